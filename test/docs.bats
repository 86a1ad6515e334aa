#!/usr/bin/env bats
# The documents: commands in them run, files and functions that they name are there, manual pages have the options that
# the programs have, and the words are those of doc/glossary.md.
#
# A fenced block marked `sh` in README.md, data/README.md or doc/*.md is run here, from a folder that looks like the checkout,
# with a private Postgres; an indented block, or a fence without `sh`, is not.
# shellcheck disable=SC2154,SC2164,SC2016,SC2013 # helper sets root, bin and supervisor; a cd that fails ends the test; patterns
load helper

setup() {
	# User postgres, who runs the private Postgres for root, must be able to enter it.
	checkout=$(mktemp -d /tmp/acctflow-docs.XXXXXX)
	chmod 755 "$checkout"
	export ACCTFLOW_HOME=$checkout/var
	ln -s "$root/acctflow" "$root/data" "$root/doc" "$checkout/"
	ln -s "$bin" "$checkout/bin"
	cd "$checkout"
}

teardown() {
	"$supervisor" stop
	rm -rf -- "$checkout"
}

# blocks FILE: its `sh` blocks.
blocks() {
	awk '/^```/ { on = !on && /^```sh$/; next } on' "$1"
}

# follow FILE: runs them, one shell for all.
follow() {
	blocks "$1" >commands
	[ -s commands ]
	ok timeout 300 bash -euo pipefail -c '. ./commands'
}

documents() {
	find "$root" -maxdepth 2 -name '*.md' -not -path '*/.*' | sort
}

manuals() {
	find "$root" -maxdepth 2 -name '*.1' -not -path '*/.*' | sort
}

@test "README: its commands run, also after the first run was interrupted" {
	local first
	./acctflow run data/challenge-input.json >first.out 2>first.err &
	first=$!
	retry 600 grep -q '"event":"indexed"' first.out
	# Not INT, which a shell's background commands ignore.
	kill -TERM "$first"
	wait "$first" || {
		cat first.err
		false
	}
	follow "$root/README.md"
	has '"event":"fired"'
	has 'fired ID1 v3'
	hasnt '"consistent":false'
}

@test "the other documents: their commands run" {
	local file
	./acctflow postgres
	for file in "$root"/doc/*.md "$root/data/README.md"; do
		[[ -z $(blocks "$file") ]] || follow "$file"
	done
}

@test "writer(1): two pipelines on one file, by hand, and what its other examples ask" {
	local i
	./acctflow postgres
	for i in 1 2 3 4 5 6; do
		echo "{\"id\":\"K$i\",\"accountType\":\"mint\",\"tokens\":$i,\"callbackTimeMs\":100,\"version\":1}"
	done >input.ndjson
	echo '{"id":1}' >>input.ndjson
	sed -n '/^for i in 0 1; do$/,/^wait$/p' "$root/writer/writer.1" >commands
	ok bash -euo pipefail -c '. ./commands'
	same "$(grep -c '"event":"fired"' events.ndjson)" 6
	same "$(wc -l <events.ndjson)" 19
	ok writer richest --type mint
	has '"id":"K6"'
	ok bash -o pipefail -c 'writer rejected --format json | grep -o "\"reason\":[^,]*"'
	same "$output" '"reason":"id: not a string"'
	ok writer claim --source "$PWD/input.ndjson" --shard 0/2
	has 'done=true'
}

@test "doc/architecture.md names files and functions that are there, and all of the programs' files" {
	local name path wrong='' text
	text=$(<"$root/doc/architecture.md")
	for name in $(grep -oE '`[a-z_./-]+\.(c|h|1|bash|sql|yaml|html|js|css|svg|md)`' <<<"$text" | tr -d '`' | sort -u); do
		[[ $name != *NAME* ]] || continue
		[[ -e $root/$name || -e $root/sql/$name ]] || wrong+="no file $name"$'\n'
	done
	for name in $(grep -oE '`[a-z_0-9]+\(\)`' <<<"$text" | tr -d '`()' | sort -u); do
		grep -rqE "^(static inline .*)?\*?$name\(" "$root"/{common,reader,writer,timerd,deliver,statusd,kafka,supervise} "$root/supervisor" ||
			wrong+="no function $name"$'\n'
	done
	for path in "$root"/{common,reader,writer,timerd,deliver,statusd,kafka,data}/*.c "$root"/supervise/*.bash; do
		name=${path#"$root"/}
		[[ $text == *"\`$name\`"* ]] || wrong+="not named: $name"$'\n'
	done
	same "$wrong" ''
	((${#text} > 1000 && $(wc -l <"$root/doc/architecture.md") <= 250))
}

@test "links in the documents lead to files" {
	local file link wrong=''
	while IFS= read -r file; do
		for link in $(grep -oE '\]\([^)#]+' "$file" | cut -c3-); do
			[[ $link == http* || -e ${file%/*}/$link ]] || wrong+="${file#"$root"/}: $link"$'\n'
		done
	done < <(documents)
	same "$wrong" ''
}

# pairs: options as `-x --name`, of --help or of a manual page.
help_options() {
	perl -ne 'print $1 // "", " $2\n" while /(?:(-\w), +)?(--[a-z][a-z-]+)/g' | sort -u
}

page_options() {
	grep -E '^\.It Fl' "$1" | sed -E 's/Fl Fl /--/g; s/Fl (.) ,/-\1,/g' | help_options
}

@test "manual pages have the options that --help prints, and no others" {
	local program page help wrong=''
	for program in reader writer timerd deliver statusd kafka-reader acctflow; do
		for page in "$root"/*/"$program.1" "$root/$program.1"; do [[ ! -e $page ]] || break; done
		if [[ $program == acctflow ]]; then help=$("$supervisor" --help); else help=$("$bin/$program" --help); fi
		wrong+=$(diff <(grep -E '^  +-|^  +--' <<<"$help" | help_options) <(page_options "$page") | sed -n "s/^[<>]/$program: &/p") || :
	done
	same "$wrong" ''
}

@test "manual pages are clean by mandoc" {
	command -v mandoc >/dev/null || skip 'mandoc is not there'
	ok manuals
	mapfile -t pages < <(manuals)
	ok mandoc -T lint -W warning "${pages[@]}"
}

# Each sentence of the text on standard input that opens with one of two words; headings and cells of tables count.
opens_badly() {
	perl -00 -pe 's/\n(?!\n|[-*|#.])/ /g' | grep -nE '(^|^[-*#|. ]+|[.!?:] +|\| *|\*\* *)(Of|What) ' | cut -c1-160 || :
}

@test "no sentence opens with Of or What" {
	local file program wrong=''
	while IFS= read -r file; do
		wrong+=$(awk '/^```/ { code = !code } !code && !/^    /' "$file" | opens_badly | sed "s,^,${file#"$root"/}: ,")
	done < <(documents)
	while IFS= read -r file; do
		wrong+=$(grep -vE '^\.' "$file" | opens_badly | sed "s,^,${file#"$root"/}: ,")
	done < <(manuals)
	for program in reader writer timerd statusd; do
		wrong+=$("$bin/$program" --help | opens_badly | sed "s,^,$program --help: ,")
	done
	wrong+=$("$supervisor" --help | opens_badly)
	same "$wrong" ''
}

# Comments and strings of C, a line each, behind the place.
spoken() {
	perl -0777 -ne '
		my $line = 1;
		while (m{\G(?:(/\*.*?\*/|//[^\n]*|"(?:[^"\\]|\\.)*")|\x27(?:[^\x27\\]|\\.)+\x27|.)}gs) {
			my $all = $&;
			if (defined $1) { (my $text = $1) =~ s/\s+/ /g; print "$ARGV:$line: $text\n" }
			$line += ($all =~ tr/\n//);
		}' "$1"
}

# Where a retired word is right: fixed strings of the line, each with its reason.
exceptions=(
	'writer/query.c:0:' # none so far; this line keeps the list from being empty
)

@test "retired words are gone from comments, messages and documents" {
	local file files
	mapfile -t files < <(documents && manuals)
	{
		for file in "$root"/{common,reader,writer,timerd,deliver,kafka,statusd,data}/*.[ch]; do spoken "$file"; done
		grep -nHE '^[[:space:]]*#' "$supervisor" "$root"/supervise/*.bash
		grep -nHE . "${files[@]}" "$root"/config.yaml "$root"/sql/*.sql "$root"/statusd/page.html
	} | sed "s,^$root/,," | grep -wiE 'tell|tells|telling|told|settle|settles|settling' |
		grep -vF "${exceptions[@]/#/-e}" | cut -c1-160 >wrong || :
	same "$(<wrong)" ''
}
