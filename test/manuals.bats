#!/usr/bin/env bats
# The manual pages: their examples run, acctflow-config(5) has what can be configured, acctflow-sql(7) has the relations,
# and doc/records.schema.json, of which acctflow-records(5) speaks, has what the programs emit.
# shellcheck disable=SC2154,SC2164,SC2016 # helper sets root, bin and supervisor; a cd that fails ends the test; patterns
load helper

setup() {
	# User postgres, who runs the private Postgres for root, must be able to enter it.
	place=$(mktemp -d /tmp/acctflow-manuals.XXXXXX)
	chmod 755 "$place"
	export ACCTFLOW_HOME=$place/var
	cd "$place"
	private=''
}

teardown() {
	[[ ! $private ]] || "$supervisor" stop
	database_drop
	rm -rf -- "$place"
}

pages() {
	find "$root" -maxdepth 2 -name '*.[157]' -not -path '*/.*' | sort
}

# section PAGE NAME: the lines of the page between that heading, .Sh or .Ss, and the next of its kind or a higher one.
section() {
	awk -v name="$2" '
		$1 == ".Sh" || ($1 == ".Ss" && level != ".Sh") { on = 0 }
		$1 == ".Sh" || $1 == ".Ss" { text = $0; sub(/^[^ ]* /, "", text); if (text == name) { on = 1; level = $1; next } }
		on' "$1"
}

# --- examples

# examples PAGE: its examples as files, 01.example and so on: each line of .Dl, and each block of .Bd.
examples() {
	rm -f -- *.example
	section "$1" EXAMPLES | perl -ne '
		BEGIN { $n = 0 }
		sub put { my ($text) = @_; $text =~ s/\\\(dq/"/g; $text =~ s/\\e/\\/g; $text =~ s/\\&//g; $text =~ s/\\-/-/g;
			open my $file, ">", sprintf("%02d.example", ++$n) or die; print $file $text; close $file }
		if (/^\.Bd/) { $block = ""; $on = 1 } elsif (/^\.Ed/) { put($block); $on = 0 } elsif ($on) { $block .= $_ }
		elsif (/^\.Dl (.*)/s) { put($1) }'
}

# Examples that do not run here, by how they begin, each with its reason.
declare -gA left_out=(
	['reader -a none --follow /var/log/']='reads a file of the system, for ever'
	['writer --db '\''host=db.example.net']='a database elsewhere'
	['curl -s http://127.0.0.1:9732']='statusd by its usual port, which may be somebody else'\''s'
	['kafka-reader ']='Kafka'
)
# Examples that need a program which may not be there.
declare -gA needs=([jq]='| jq ' [jsonschema]='jsonschema $(')
# Examples that print nothing: they write a file, ask for nothing, or find nothing wrong.
quiet=('> ' 'psql "$(' 'split ' 'jsonschema ' '--exec ' '>events')

# is_left_out TEXT: and notes that its entry is of use.
is_left_out() {
	local begin
	for begin in "${!left_out[@]}"; do
		[[ $1 != "$begin"* ]] || {
			used[$begin]=1
			return 0
		}
	done
	return 1
}

is_missing() {
	local program
	for program in "${!needs[@]}"; do
		if [[ " | $1" == *"${needs[$program]}"* ]] && ! command -v "$program" >/dev/null; then return 0; fi
	done
	return 1
}

is_quiet() {
	local part
	for part in "${quiet[@]}"; do
		[[ $1 != *"$part"* ]] || return 0
	done
	return 1
}

# What the examples find: inputs, something pending and long due, a source whose events nobody acknowledged.
furnish() {
	"$supervisor" freshdb >freshdb.out 2>&1 || {
		cat freshdb.out
		return 1
	}
	cp "$root/test/maps/debezium.in" changes.json
	cat >updates.ndjson <<-'END'
		{"id":"ID1","accountType":"mint","tokens":243,"callbackTimeMs":400,"version":7,"data":{"any":"JSON"}}
		{"id":"ID2","accountType":"mint","tokens":1,"callbackTimeMs":null,"version":1,"data":{"mintId":"ID2"}}
		{"id":1}
	END
	cp updates.ndjson input.ndjson
	{
		sed 's/ID1/ID9/' updates.ndjson | reader -a none --source pending - | writer | timerd --no-wait | writer ack
		reader -a none --source half data/scenario-1.json | writer
		reader -a none data/scenario-2.json | writer | tee events.ndjson
	} >events 2>errors
}

# commands FILE: in a shell, without input.
commands() {
	ok timeout 100 bash -euo pipefail "$1"
	[[ $output ]] || is_quiet "$(<"$1")" || {
		shown
		return 1
	}
}

# queries FILE: each of them finds something.
queries() {
	local query
	while IFS= read -r -d ';' query; do
		ok psql -XAt -v ON_ERROR_STOP=1 -d "$(<"$ACCTFLOW_HOME/run/db")" -c "$query"
		[[ $output ]] || {
			shown
			return 1
		}
	done <"$1"
}

# configuration FILE: each program takes it, and sees all of it.
configuration() {
	local program
	for program in reader writer timerd deliver tracer statusd kafka-reader; do
		ok "$program" --config "$1" --print-config
		same "$(wc -l <<<"$output")" "$(grep -cE ': .' "$1")"
	done
}

@test "the examples of the manual pages run" {
	local file page text kinds='' name
	local -A used=()
	private=true
	# Nobody waits.
	export ACCTFLOW_CLOCK=virtual
	ln -s "$root/acctflow" "$root/data" "$root/doc" .
	mkdir stubs
	printf '#!/bin/sh\ncat updates.ndjson\n' >stubs/some-command
	printf '#!/bin/sh\necho "$@" >>mails\n' >stubs/mail
	chmod +x stubs/*
	PATH=$place/stubs:$PATH
	./acctflow postgres
	for page in $(pages); do
		echo "${page#"$root"/}"
		examples "$page"
		[[ -e 01.example ]]
		furnish
		for file in *.example; do
			text=$(<"$file")
			echo "$text"
			if is_left_out "$text" || is_missing "$text"; then continue; fi
			# The shards of a source do not change, and what was indexed once fires no more.
			[[ $text != 'for i in 0 1'* && $text != *'> events.ndjson' ]] || furnish
			if [[ $text == '{'* ]]; then
				kinds+='records ' # see below
			elif [[ $text == SELECT* ]]; then
				queries "$file"
				kinds+='queries '
			elif [[ $text =~ ^[a-z-]+: ]]; then
				configuration "$file"
				kinds+='configuration '
			else
				commands "$file"
				kinds+='commands '
			fi
		done
	done
	for name in records queries configuration commands; do [[ $kinds == *$name* ]]; done
	grep -q 'ID1 is due' mails
	# No entry that no example needs.
	same "${#used[@]}" "${#left_out[@]}"
}

# --- acctflow-config(5)

# named PAGE SECTION: the names in its list, a line each.
named() {
	section "$1" "$2" | sed -n 's/^\.It Cm //p' | sed 's/ , /\n/g' | sort
}

# list_of NAME: a list of strings in common/options.c.
list_of() {
	sed -n "/ $1\[\] = {/,/};/p" "$root/common/options.c" | grep -oE '"[^"]+"' | tr -d '"' | sort
}

@test "acctflow-config(5) has every option of every section, and no others" {
	local page=$root/doc/acctflow-config.5 program name wrong=''
	same "$(named "$page" 'TOP LEVEL')" "$(list_of shared_keys)"
	same "$({ section "$page" SECTIONS; sed -n '/^\.Ss reader/,/^\.Sh FILES/p' "$page"; } | sed -n 's/^\.Ss //p; s/^\.Cm supervisor$/supervisor/p' | sort -u)" \
		"$(list_of sections)"
	for program in $(list_of sections); do
		[[ $program != supervisor ]] || continue
		# Those that cannot stand in the file are for the command line only.
		for name in $("$bin/$program" --help | grep -oE '^  +(-., )?--[a-z-]+' | sed 's/.*--//'); do
			printf '%s:\n  %s: "@"\n' "$program" "$name" >config.yaml
			"$bin/$program" --config config.yaml --print-config >out 2>&1 || :
			grep -q 'unknown name' out || echo "$name"
		done | grep -vxE 'log-level|log-format|no-sandbox' | sort >settable
		[ -s settable ]
		wrong+=$(diff settable <(named "$page" "$program") | sed -n "s/^[<>]/$program: &/p") || :
	done
	same "$wrong" ''
}

# --- acctflow-sql(7)

@test "acctflow-sql(7) has every view, column, type and table of the database, and no others" {
	local page=$root/doc/acctflow-sql.7
	database
	ok writer migrate
	psql -XAtq >relations <<-'END'
		SELECT c.relname || ' ' || a.attname || ' ' || format_type(a.atttypid, a.atttypmod)
		FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid
		WHERE c.relnamespace = 'acctflow'::regnamespace AND c.relkind = 'v' AND a.attnum > 0
		ORDER BY c.relname, a.attnum
	END
	(($(wc -l <relations) > 50))
	awk '$1 == ".Ss" { view = $2 } $1 == ".It" && $4 == "No" { name = $3; sub(/^.It Cm [^ ]* No /, ""); print view, name, $0 }' "$page" |
		sort -s -k 1,1 >described
	ok diff relations described
	same "$(sed -n '/^\.Pq Cm latest/{s/^\.Pq Cm //; s/ No and Cm / , /; s/ , /\n/g; p}' "$page" | sed 's/ *$//' | sort)" \
		"$(sql "SELECT relname FROM pg_class WHERE relnamespace = 'acctflow'::regnamespace AND relkind = 'r'" | sort)"
	same "$(named "$page" Indexes)" "$(sql "SELECT indexname FROM pg_indexes WHERE schemaname = 'acctflow'
		AND tablename IN ('latest', 'history', 'outcomes', 'rejects')" | sort)"
	same "$(section "$page" Roles | grep -oE 'acctflow_[a-z]+' | sort -u)" "$(grep -oE 'acctflow_(owner|writer|reader)' "$root/sql/roles.sql" | sort -u)"
}

# --- records.schema.json

# validate [--refuse] <LINES: by a Python that has the validator.
validate() {
	"$python" "$root/test/records" "$root/doc/records.schema.json" "$@"
}

validator_find() {
	for python in python3 /usr/bin/python3; do
		if "$python" -c 'from jsonschema import Draft202012Validator' 2>/dev/null; then return 0; fi
	done
	skip 'no validator of JSON Schema 2020-12: install python3-jsonschema'
}

# An input with everything there is.
everything() {
	cat <<-'END'
		{"id":"A1","accountType":"mint","tokens":18446744073709551615,"callbackTimeMs":400,"version":3,"data":{"a":[1,2.50,null]},"trace":"t1"}
		{"id":"A1","accountType":"mint","tokens":0,"callbackTimeMs":400,"version":9223372036854775807,"trace":"t2"}
		{"id":"A2","accountType":"mint","tokens":1,"callbackTimeMs":31536000000,"version":0,"trace":"t3"}
		{"id":"A2","deleted":true,"version":2}
		{"id":"A3","accountType":"mint","tokens":5,"callbackTimeMs":null,"version":3,"trace":"t"}
		{"id":"A3","accountType":"mint","tokens":6,"callbackTimeMs":null,"version":3}
		{"id":"A3","accountType":"mint","tokens":5,"callbackTimeMs":null,"version":3}
		{"id":"A3","accountType":"mint","tokens":5,"callbackTimeMs":null,"version":2}
		{"id":"A4","accountType":"mint","tokens":5.0,"callbackTimeMs":1,"version":3}
		{"id":"A5","accountType":"mint","tokens":7,"callbackTimeMs":600000,"version":1,"data":"kept","trace":"t5"}
		{"id":"A6","accountType":"mint","tokens":7,"callbackTimeMs":200,"version":1}
		nonsense
		{"event":"fired"}
	END
	printf '{"id":"\xff"}\n'
	generate --updates 300 --edges --deleted 10 --silent 20 --lines --seed 3
}

# by_hand: pipelines without a supervisor, every program's output.
by_hand() {
	local token
	everything >all
	reader --arrival offset --clock virtual --seed 1 --source hand all | tee r1 | writer --clock virtual | tee w1 |
		timerd --clock virtual | tee t1 | deliver --exec 'case $ACCTFLOW_TOKENS in *[02468]) ;; *) echo no; exit 100 ;; esac' | writer ack >a1
	# It died behind some of the events: these are acknowledged, the others come again.
	sed 's/"A/"C/' all >some
	{ cat some && echo '{"id":"Z1","accountType":"mint","tokens":1,"callbackTimeMs":1,"version":1}'; } >longer
	reader --arrival none --clock virtual --source again --to 250 some | writer --clock virtual | tee w2 |
		timerd --clock virtual --no-wait | sed -n 1,5p | writer ack >a2
	claim again
	reader --arrival none --clock virtual --source again --from 3 longer | writer --clock virtual --resume --source again --token "$token" |
		tee w3 | timerd --clock virtual --resume | tee t3 | deliver --exec 'exit 100' | writer ack --resume --source again --token "$token" >a3
	# Once more, all of it done.
	reader --arrival none --clock virtual --source hand all | writer --clock virtual | timerd --clock virtual | writer ack >a4
	# Records that a map skips; an array that breaks off; by hand, without a source.
	reader --map debezium --source changes --clock virtual "$root/test/maps/debezium.in" | tee r5 | writer --clock virtual |
		timerd --clock virtual | writer ack >a5
	claim changes
	reader --map debezium --source changes --clock virtual "$root/test/maps/debezium.in" |
		writer --clock virtual --resume --source changes --token "$token" >w6
	head -n -3 "$root/data/challenge-input.json" >broken.json
	reader --arrival none broken.json >r7 2>err7 || :
	grep -v '"event"' all | writer 2>err8 | timerd --no-wait >t8
	writer pending --format json >p9
	# On the real clock, sampled: the times that a trace needs.
	printf '{"id":"%s","accountType":"mint","tokens":1,"callbackTimeMs":%s,"version":%d}\n' S 1 2 S 1 1 U 3600000 1 U null 2 | reader --arrival none --trace-sample 1/1 --source sampled - |
		tee r8 | writer | tee w8 | timerd | deliver --exec true | writer ack >a8
	printf '{"id":"T","accountType":"mint","tokens":1,"callbackTimeMs":1,"version":1}\n' | reader --arrival none --trace-sample 1/1 --source refused - |
		writer | timerd | deliver --exec 'exit 100' >a9
}

# claim SOURCE: sets token.
claim() {
	token=$(writer claim --source "$1" --log-level warn | sed -n 's/^token=//p')
}

# supervised: runs, their events.
supervised() {
	ok "$supervisor" run --clock virtual --source sample "$root/data/challenge-input.json"
	echo "$output" >s1
	ok "$supervisor" run --clock virtual --again --shards 4 --source sample "$root/data/challenge-input.json"
	echo "$output" >s2
	everything | sed -n '1,2p;11p' | sed 's/"A/"B/' >given
	ok env ACCTFLOW_EXEC='exit 100' "$supervisor" run --arrival none --speed 2.5 --source given - <given
	echo "$output" >s3
	has '"event":"failed"'
	# Takes up what is pending.
	ok "$supervisor" retry
	ok "$supervisor" run
	has '"recovered":true'
	echo "$output" >s4
}

@test "records.schema.json: what the programs emit, and nothing else" {
	local python
	validator_find
	database
	by_hand 2>errors || {
		cat errors
		false
	}
	supervised
	# Behind the events of a run comes what people ask for, which are no records.
	{ cat [rwtap][0-9] && grep -h '"event":' s[0-9]; } >lines
	ok validate <lines
	same "$output" ''
	(($(wc -l <lines) > 2000))
}

@test "records.schema.json: the records in the manual pages" {
	local python page
	validator_find
	for page in $(pages); do
		examples "$page"
		for file in *.example; do [[ $(<"$file") != '{'* ]] || cat "$file"; done
	done >lines
	ok validate <lines
	has unseen
	grep -q '"event":"caughtup"' lines
}

@test "records.schema.json: wrong records are refused" {
	local python
	validator_find
	cat >wrong <<-'END'
		{}
		[]
		7
		{"event":"settled"}
		{"event":null,"id":"a","accountType":"t","tokens":1,"callbackTimeMs":1,"version":1}
		{"id":"a","accountType":"t","tokens":1,"callbackTimeMs":1}
		{"id":"a","accountType":"t","callbackTimeMs":1,"version":1}
		{"id":"a","accountType":"t","tokens":1,"version":1}
		{"id":"a","tokens":1,"callbackTimeMs":1,"version":1,"deleted":false}
		{"id":"","accountType":"t","tokens":1,"callbackTimeMs":1,"version":1}
		{"id":"a","accountType":null,"tokens":1,"callbackTimeMs":1,"version":1}
		{"id":"a","accountType":"t","tokens":18446744073709551616,"callbackTimeMs":1,"version":1}
		{"id":"a","accountType":"t","tokens":-1,"callbackTimeMs":1,"version":1}
		{"id":"a","accountType":"t","tokens":-0,"callbackTimeMs":1,"version":1}
		{"id":"a","accountType":"t","tokens":5.0,"callbackTimeMs":1,"version":1}
		{"id":"a","accountType":"t","tokens":5e0,"callbackTimeMs":1,"version":1}
		{"id":"a","accountType":"t","tokens":"5","callbackTimeMs":1,"version":1}
		{"id":"a","accountType":"t","tokens":1,"callbackTimeMs":31536000001,"version":1}
		{"id":"a","accountType":"t","tokens":1,"callbackTimeMs":1,"version":9223372036854775808}
		{"id":"a","accountType":"t","tokens":1,"callbackTimeMs":1,"version":1,"arriveMs":10000000000001}
		{"id":"a","accountType":"t","tokens":1,"callbackTimeMs":1,"version":1,"deleted":"yes"}
		{"id":"a","id":"a","accountType":"t","tokens":1,"callbackTimeMs":1,"version":1}
		{"event":"begin","source":"s","shard":"0","seed":1,"arrival":"gap","delayMs":"0:1","speed":"1","clock":"real","fingerprint":null,"startedAt":"2000-01-01T00:00:00.000000Z"}
		{"event":"begin","source":"s","shard":"0/1","seed":1,"arrival":"soon","delayMs":"0:1","speed":"1","clock":"real","fingerprint":null,"startedAt":"2000-01-01T00:00:00.000000Z"}
		{"event":"begin","source":"s","shard":"0/1","seed":1,"arrival":"gap","delayMs":"0:1","speed":"1","clock":"real","fingerprint":null,"startedAt":"2000-01-01 00:00:00Z"}
		{"event":"end","source":"s","shard":"0/1","read":1,"lastOffset":0,"complete":true,"broken":true,"fingerprint":null}
		{"event":"end","source":"s","shard":"0/1","read":1,"lastOffset":-1,"complete":true,"fingerprint":null}
		{"event":"indexed","id":"a","version":1,"accountType":"t","tokens":1,"callbackTimeMs":1,"data":1,"ingestedAt":"2000-01-01T00:00:00.000000Z","dueAt":null}
		{"event":"indexed","id":"a","version":1,"accountType":"t","tokens":1,"callbackTimeMs":null,"data":1,"ingestedAt":"2000-01-01T00:00:00.000000Z","dueAt":"2000-01-01T00:00:00.000000Z"}
		{"event":"indexed","id":"a","version":1,"accountType":"t","tokens":1,"callbackTimeMs":null,"data":1,"ingestedAt":"2000-01-01T00:00:00.000000Z","dueAt":null,"deleted":false}
		{"event":"indexed","id":"a","version":1,"accountType":"t","tokens":1,"callbackTimeMs":null,"data":1,"ingestedAt":"2000-01-01T00:00:00.000000Z","dueAt":null,"offset":3}
		{"event":"indexed","id":"a","version":1,"accountType":"t","tokens":1,"callbackTimeMs":null,"data":1,"ingestedAt":"2000-01-01T00:00:00.000000Z","dueAt":null,"more":1}
		{"event":"indexed","id":"a","version":1,"accountType":null,"tokens":null,"callbackTimeMs":null,"data":1,"ingestedAt":"2000-01-01T00:00:00.000000Z","dueAt":null}
		{"event":"indexed","id":"a","version":1,"accountType":"t","tokens":1,"callbackTimeMs":1,"data":1,"ingestedAt":"2000-01-01T00:00:00.000000Z","dueAt":"2000-01-01T00:00:00.001000Z","firedAt":"2000-01-01T00:00:00.001000Z"}
		{"event":"ignored","id":"a","version":1,"ingestedAt":"2000-01-01T00:00:00.000000Z","currentVersion":1,"reason":"old"}
		{"event":"ignored","source":"s","offset":1,"reason":"stale"}
		{"event":"ignored","source":"s","offset":1,"id":"a","reason":"skipped"}
		{"event":"rejected","reason":"r","raw":"x","rawBytes":1}
		{"event":"rejected","reason":"r","raw":"x","rawBytes":1,"rawEncoding":"base64"}
		{"event":"rejected","reason":"","raw":"x","rawBytes":1,"rawEncoding":"utf8"}
		{"event":"cancelled","id":"a","version":1,"dueAt":"2000-01-01T00:00:00.000000Z","cancelledAt":"2000-01-01T00:00:00.000000Z"}
		{"event":"fired","id":"a","version":1,"accountType":"t","tokens":1,"data":1,"dueAt":"2000-01-01T00:00:00.000000Z","firedAt":"2000-01-01T00:00:00.000000Z","latenessUs":-1}
		{"event":"fired","id":"a","version":1,"accountType":"t","tokens":1,"data":1,"dueAt":"2000-01-01T00:00:00.000000Z","firedAt":"2000-13-01T00:00:00.000000Z","latenessUs":1}
		{"event":"fired","id":"a","version":1,"accountType":"t","tokens":1,"data":1,"dueAt":"2000-01-01T00:00:00.000000Z","firedAt":"2000-01-01T00:00:00.000000Z","latenessUs":1,"attempts":1}
		{"event":"failed","id":"a","version":1,"accountType":"t","tokens":1,"data":1,"dueAt":"2000-01-01T00:00:00.000000Z","firedAt":"2000-01-01T00:00:00.000000Z","latenessUs":1,"attempts":0,"error":""}
		{"event":"summary","source":"s","indexed":0,"stale":0,"duplicate":0,"conflict":0,"skipped":0,"rejected":0,"restored":0,"fired":0,"cancelled":0,"pending":0}
		{"event":"summary","indexed":0}
		{"event":"pending","id":"a","version":1,"accountType":"t","tokens":1,"callbackTimeMs":null,"data":1,"ingestedAt":"2000-01-01T00:00:00.000000Z","dueAt":null}
		{"event":"caughtup","source":"s","offset":1}
	END
	run validate --refuse <wrong
	same "$(grep -v '^unseen ' <<<"$output")" ''
	same "$status" 0
}
