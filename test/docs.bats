#!/usr/bin/env bats
# The documents: commands in them run, files and functions that they name are there, manual pages have the options that
# the programs have, and the words are those of doc/glossary.md.
#
# A fenced block marked `sh` in README.md, data/README.md or doc/*.md is run here, from a folder that looks like the checkout,
# with a private Postgres; an indented block, or a fence without `sh`, is not: there the verbs and options must be ones that
# the programs have.
# shellcheck disable=SC2154,SC2164,SC2016,SC2013 # helper sets root, bin and supervisor; a cd that fails ends the test; patterns
load helper
load kafka

setup() {
	# User postgres, who runs the private Postgres for root, must be able to enter it.
	checkout=$(mktemp -d /tmp/acctflow-docs.XXXXXX)
	chmod 755 "$checkout"
	export ACCTFLOW_HOME=$checkout/var
	ln -s "$root/acctflow" "$root/data" "$root/doc" "$checkout/"
	ln -s "$bin" "$checkout/bin"
	cd "$checkout"
	web=''
}

teardown() {
	[[ ! $web ]] || kill -KILL "$web" 2>/dev/null || :
	broker_stop
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

# recipe HEADING: the commands of that section of doc/recipes.md, for a test to run.
recipe() {
	awk -v heading="## $1" '/^## / { on = $0 == heading } on' "$root/doc/recipes.md" >section
	blocks section >commands
	[ -s commands ]
}

# needs PROGRAM...: what acctflow can do without, and a recipe cannot.
needs() {
	local program
	for program; do command -v "$program" >/dev/null || skip "$program is not installed"; done
}

# serve: a web server. It has what lies in the folder web, without its end where a file is named events; and it takes a
# POST as Slack does, into the file posted, a line each. Sets web, its pid, and url.
serve() {
	mkdir -p web
	perl -MIO::Socket::INET -e '
		my $s = IO::Socket::INET->new(LocalAddr => "127.0.0.1:0", Listen => 9) or die;
		$| = 1; print $s->sockport, "\n";
		while (my $c = $s->accept) {
			my ($n, $request) = (0, scalar <$c>);
			while (<$c>) { $n = $1 if /^content-length: (\d+)/i; last if /^\r?$/ }
			my ($status, $answer) = (404, "none\n");
			if ($request =~ m{^POST }) {
				read $c, my $body, $n;
				($status, $answer) = $body =~ /^\s*\{\s*"text":/ ? (200, "ok") : (400, "no_text");
				open my $f, ">>", "posted"; $body =~ s/\n//g; print $f "$status $body\n"; close $f;
			} elsif ($request =~ m{^GET /(\w[\w.]*) } && open my $f, "<", "web/$1") {
				local $/; ($status, $answer) = (200, scalar <$f>);
			}
			print $c "HTTP/1.1 $status -\r\nconnection: close\r\n\r\n$answer";
			close $c;
		}' >port 3>&- &
	web=$!
	retry 100 test -s port
	url=http://127.0.0.1:$(<port)
}

# update ID VERSION TOKENS [CALLBACK_MS]
update() {
	printf '{"id":"%s","accountType":"mint","tokens":%s,"callbackTimeMs":%s,"version":%d}\n' "$1" "$3" "${4-null}" "$2"
}


documents() {
	find "$root" -maxdepth 2 -name '*.md' -not -path '*/.*' | sort
}

manuals() {
	find "$root" -maxdepth 2 -name '*.[157]' -not -path '*/.*' | sort
}

@test "README and the guide: their commands run, also after the first run was interrupted" {
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
	has '"event":"fired","source":"'
	has '"id":"A","version":2,'
	follow "$root/doc/guide.md"
	has '"event":"fired"'
	has 'fired ID1 v3'
	hasnt '"consistent":false'
}

@test "the other documents: their commands run" {
	local file
	./acctflow postgres
	for file in "$root"/doc/*.md "$root/data/README.md"; do
		[[ ${file##*/} != guide.md ]] || continue   # above
		[[ ${file##*/} != recipes.md ]] || continue # each of these needs servers of its own, below
		[[ -z $(blocks "$file") ]] || follow "$file"
	done
}

@test "recipes: each that has commands is run below" {
	same "$(sed -nE "s/^[[:space:]]recipe '?([^']*)'?$/\1/p" "$BATS_TEST_FILENAME" | sort)" \
		"$(awk '/^## / { heading = substr($0, 4) } /^```sh$/ { print heading }' "$root/doc/recipes.md" | sort -u)"
}

# versions SOURCE: of each account of that source those that are indexed, each with its tokens.
versions() {
	"$supervisor" psql -XAt -v source="$1" <<<"SELECT string_agg(id || ' ' || coalesce(tokens::text, 'gone'), ',' ORDER BY id, version)
		FROM acctflow.account_updates WHERE source = :'source'" 2>/dev/null
}
versions_are() { [[ $(versions "$1") == "$2" ]]; }

@test "recipes: a table by logical decoding, received again after a stop; the same table by psql" {
	needs pg_recvlogical
	./acctflow postgres
	recipe 'A table, by logical decoding'
	sed -n '/^tail /,$p' commands >second
	cat >>commands <<'END'
trap 'kill %1 %2 2>/dev/null; wait' EXIT
psql -q -d "$bank" <<'SQL'
INSERT INTO wallet VALUES ('w1', 'cash', 5), ('w2', E'a\nmessage: transactional: 1 prefix: acctflow, sz: 9 content:{}', 6);
BEGIN;
UPDATE wallet SET balance = 7 WHERE id = 'w1';
UPDATE wallet SET balance = 8 WHERE id = 'w1';
COMMIT;
DELETE FROM wallet WHERE id = 'w2';
SQL
retry 300 versions_are bank 'w1 5,w1 7,w1 8,w2 6,w2 gone'
# All of it stops, Postgres too. What is then read again is known.
kill %2
./acctflow stop
wait %2 || :
./acctflow postgres
. ./second
psql -q -d "$bank" -c "INSERT INTO wallet VALUES ('w3', 'cash', 9)"
retry 300 versions_are bank 'w1 5,w1 7,w1 8,w2 6,w2 gone,w3 9'
./acctflow psql -XAt -c "SELECT 'counts', read, indexed, duplicate FROM acctflow.sources WHERE name = 'bank'"
kill %2
./acctflow stop
END
	export supervisor
	export -f retry versions versions_are
	ok timeout -k 5 300 bash -euo pipefail -mc '. ./commands'
	has 'counts|11|6|5'

	bank=$(./acctflow postgres | sed 's/dbname=[^ ]*/dbname=bank/')
	export bank
	recipe 'A query, by psql'
	ok timeout 300 bash -euo pipefail -c '. ./commands'
	same "$(versions wallets)" 'w1 8,w3 9'
}

@test "recipes: a stream over HTTP by curl, complete and as events, with a repeat and a missing end" {
	needs curl
	./acctflow postgres
	serve
	{ update A 1 10 && update A 2 20 && update B 1 5; } >web/updates.ndjson
	{ printf 'event: update\ndata: %s\n\n: a comment\ndata:%s\n\n' "$(update A 2 20)" "$(update B 2 6)" && printf 'data: {"id":"C"'; } >web/events
	recipe 'A stream over HTTP, by curl'
	FEED=$url ok timeout 300 bash -euo pipefail -c '. ./commands'
	same "$(versions feed)" 'A 10,A 20,B 5,B 6'
	same "$("$supervisor" psql -XAt -c 'SELECT read, duplicate, rejected FROM acctflow.sources')" '5|1|0'
	# An error page is no input.
	rm web/updates.ndjson
	FEED=$url fails 100 timeout 300 bash -euo pipefail -c '. ./commands'
	err_has 'there is no record in it'
}

@test "recipes: a topic of Kafka, to its end" {
	cd "$BATS_TEST_TMPDIR"
	broker_start
	cd "$checkout"
	broker topic accounts 2
	broker send accounts 0 0 A - "$(update A 1 10)"
	broker send accounts 1 0 B - "$(update B 1 20)"
	broker send accounts 0 0 A - "$(update A 2 30)"
	recipe Kafka
	BROKERS=$brokers ok timeout 300 bash -euo pipefail -c '. ./commands'
	same "$(versions kafka:main/accounts/0)" 'A 10,A 30'
	same "$(versions kafka:main/accounts/1)" 'B 20'
}

@test "recipes: Slack takes the message that a command makes, and not the event; text cannot alert a channel" {
	needs curl jq
	serve
	echo "url = \"$url/services/T/B/X\"" >slack.conf
	recipe Slack
	ok timeout 300 bash -euo pipefail -c '. ./commands'
	same "$(jq -r .text <<<"$(cut -d ' ' -f 2- posted)")" 'ID1 has stood at version 3, 30 tokens'
	grep '"event":"fired"' <<<"$output" >fired
	update '<!channel>' 1 18446744073709551615 0 >update.ndjson
	ACCTFLOW_EXEC=./slack.sh ok ./acctflow run --arrival none update.ndjson
	same "$(tail -n 1 posted | cut -d ' ' -f 2- | jq -r .text)" '&lt;!channel&gt; has stood at version 1, 18446744073709551615 tokens'
	# Why there is a command at all.
	ok bin/deliver --allow-private --post "$url/" <fired
	has '"event":"failed"'
	has no_text
	# Where nobody answers it is tried again.
	kill -KILL "$web"
	wait "$web" || :
	ACCTFLOW_ID=A ACCTFLOW_VERSION=1 ACCTFLOW_TOKENS=1 fails 1 ./slack.sh
}

@test "recipes: a report by cron" {
	ok ./acctflow run --clock virtual --epoch "$(date -u +%FT%TZ -d '-1 hour')" --source sample data/challenge-input.json
	recipe 'A report every morning, by cron'
	ok timeout 300 bash -euo pipefail -c '. ./commands'
	has 'database: ok'
	has 'masterEdition'
	same "$(awk -F ' *[|] *' '$1 ~ /^ (fired|cancelled) *$/ || /^ (fired|cancelled) / { n += $2 } END { print n }' <<<"$output")" 97
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
		grep -rqE "^(static inline .*)?\*?$name\(" "$root"/{common,reader,writer,timerd,deliver,tracer,statusd,kafka,supervise} "$root/supervisor" ||
			wrong+="no function $name"$'\n'
	done
	for path in "$root"/{common,reader,writer,timerd,deliver,tracer,statusd,kafka,data}/*.c "$root"/supervise/*.bash; do
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

@test "the pictures are small, whole, and name no folder of a machine" {
	local n
	n=$(stat -c %s "$root/doc/page.png")
	((n > 20000 && n < 200000))
	same "$(head -c 8 "$root/doc/page.png" | tail -c 7 | tr -d '\r\n\032')" PNG
	n=$(stat -c %s "$root/doc/run.svg")
	((n > 10000 && n < 60000))
	same "$(tail -n 1 "$root/doc/run.svg")" '</svg>'
	ok grep -c 'class="c">fired\|class="b c">fired' "$root/doc/run.svg"
	fails 1 grep -E '"?(/tmp|/home|/root|/work)/' "$root/doc/run.svg"
}

# mentioned FILE...: "FILE PROGRAM WORD..." for each of our commands, and of some others, that stands in a document without
# being run: in an indented block, or between backquotes. WORD is an option, or a verb of acctflow, or a target of make.
mentioned() {
	perl -0777 -ne '
		(my $file = $ARGV) =~ s,.*/(?=\w+/),,;
		s/^```.*?^```$//msg;
		my @commands = /(?<![`\w])`([^`\n]+(?:\n[^`\n]+)?)`(?!`)/g;
		my $text = $_;
		for my $block ($text =~ /^\n((?: {4}.*\n)+)/mg) {
			$block =~ s/\\\n/ /g;
			$block =~ s/\|\s*\n/| /g;
			push @commands, split /\n/, $block;
		}
		for (@commands) {
			next if /[◀▶─]/; # a drawing
			s/\s#\s.*//s;
			s/(?<=\s)(["\x27]).*?\1/x/g;
			for (split /\||;|&&|\bdo\b|\bis\b|\$\(/) {
				s/^\s*(?:[A-Z_]+=\S*\s+)*//;
				s/(?<=\s)(-\S+)\s+(?!-)\S+/$1/g; # an option and its value, or a word behind a flag, which is no verb either
				my ($program, @words) = split;
				next unless defined $program && $program =~ s,^(?:\./|bin/)?(acctflow|reader|writer|timerd|deliver|tracer|statusd|kafka-reader|make|pg_recvlogical|psql|curl|kcat)$,$1,;
				next if $program =~ /^(?:psql|curl|kcat)$/ && !@words;
				print join(" ", $file, $program, grep { /^-/ || $program =~ /^(?:make|acctflow|writer)$/ && /^[a-z]+$/ } map { s/=.*|[.,]$//r } @words), "\n";
			}
		}' "$@"
}

@test "commands that the documents only mention have verbs and options that are there" {
	local file program words word help verb wrong='' n=0
	command -v kcat >/dev/null || skip 'kcat is not installed'
	{
		for program in reader writer timerd deliver tracer statusd kafka-reader; do "$bin/$program" --help >"help-$program"; done
		{ "$supervisor" --help && cat help-writer; } >help-acctflow
		pg_recvlogical --help && psql --help
	} >help-psql
	cp help-psql help-pg_recvlogical
	curl --help all >help-curl
	kcat -h >help-kcat 2>&1 || :
	while read -r file program words; do
		n=$((n + 1)) verb=''
		for word in $words; do
			case $program:$word in
			make:-*) continue ;;
			make:*) grep -qE "^$word:|^([a-z]+ )*$word( [a-z]+)*:" "$root/Makefile" || wrong+="$file: make $word"$'\n' ;;
			*:--*) grep -qE -- "(^|[ ,[])$word([] ,=]|$)" "help-$program" || wrong+="$file: $program $word"$'\n' ;;
			*:-) ;;
			*:-*) # several letters may stand together; those of psql, curl and kcat may have their value behind them
				for ((i = 1; i < ${#word}; i++)); do
					grep -qE -- "(^|[ ,|<\`])-${word:i:1}([ ,|>\`]|$)" "help-$program" || wrong+="$file: $program -${word:i:1} of $word"$'\n'
				done
				;;
			*) # the first word is the verb
				[[ ! $verb ]] || continue
				verb=$word
				grep -qE "^  $word( |,|$)|^  [a-z, ]*\b$word\b" "help-$program" || wrong+="$file: $program $word"$'\n'
				;;
			esac
		done
	done < <(mentioned "$root"/README.md "$root"/data/README.md "$root"/doc/*.md)
	same "$wrong" ''
	((n > 60))
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
	for program in reader writer timerd deliver tracer statusd kafka-reader acctflow; do
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
	for program in reader writer timerd tracer statusd; do
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
		for file in "$root"/{common,reader,writer,timerd,deliver,tracer,kafka,statusd,data}/*.[ch]; do spoken "$file"; done
		grep -nHE '^[[:space:]]*#' "$supervisor" "$root"/supervise/*.bash
		grep -nHE . "${files[@]}" "$root"/config.yaml "$root"/sql/*.sql "$root"/statusd/page.html
	} | sed "s,^$root/,," | grep -wiE 'tell|tells|telling|told|settle|settles|settling' |
		grep -vF "${exceptions[@]/#/-e}" | cut -c1-160 >wrong || :
	same "$(<wrong)" ''
}
