#!/usr/bin/env bats
# reader --map: the maps that come along, against what each sample is to become; the language; the stream's own offsets.

load helper

setup() {
	cd "$BATS_TEST_TMPDIR" || return
	samples=$BATS_TEST_DIRNAME/maps
}

# become: output without what reader adds; of a reject only the member at fault.
become() {
	perl -ne 'next if /^\{"event":"(?:begin|end)"/; s/"source":"s","offset":\d+,?//; s/,"readAt":"[^"]*"//;
		s/^\{"event":"rejected",.*?"reason":"(\w+).*/{"event":"rejected","reason":"$1"}/; print'
}

# broken NAME: a thousand variants of its sample: bytes lost, doubled and changed, values replaced, members taken away.
broken() {
	perl -e 'srand 1; @lines = <>; chomp @lines;
		for my $n (1 .. 1000) {
			my $line = $lines[rand @lines];
			for (1 .. 1 + rand 3) {
				my $at = int rand length $line;
				my $how = int rand 5;
				if ($how == 0) { substr $line, $at, 1 + rand 4, "" }
				elsif ($how == 1) { substr $line, $at, 0, substr $line, $at, 1 + rand 8 }
				elsif ($how == 2) { substr $line, $at, 1, chr 33 + rand 94 }
				elsif ($how == 3) { $line =~ s/:("[^"\\]*"|\d+|null|true|false)(?=[,}])/":" . (qw(null true [] {} -1 1e3 "" "7" 18446744073709551616))[rand 9]/e if rand() < 0.5 }
				else { $line =~ s/"\w+":("[^"\\]*"|\d+|null),?// }
			}
			$line =~ s/\s*[\r\n]\s*/ /g;
			print length $line ? $line : "x", "\n" }' "$samples/$1.in"
}

@test "each map makes of its sample what it should" {
	for want in "$samples"/*.want; do
		name=${want##*/}
		name=${name%.want}
		ok reader --map "$name" --arrival none --source s "$samples/$name.in"
		same "$(become <<<"$output")" "$(<"$want")"
	done
}

@test "each map has a sample" {
	same "$(cd "$samples" && ls ./*.want)" "$(cd "$BATS_TEST_DIRNAME/../maps" && ls ./*.yaml | sed 's/yaml$/want/')"
	for map in "$BATS_TEST_DIRNAME"/../maps/*.yaml; do
		name=$(basename "$map" .yaml)
		same "$(reader --map "$map" --arrival none --source s "$samples/$name.in" 2>/dev/null | become)" "$(<"$samples/$name.want")"
	done
}

@test "a thousand broken variants of each: every record is an update, skipped, or rejected with its place" {
	for want in "$samples"/*.want; do
		name=$(basename "$want" .want)
		# Offsets that fall end the reader, rightly: they are left out here.
		sed '/^offset:/d' "$BATS_TEST_DIRNAME/../maps/$name.yaml" >map.yaml
		broken "$name" >in
		ok reader --map ./map.yaml --arrival none --source s in
		become <<<"$output" >out
		same "$(wc -l <out)" 1000
		grep -q '^{"event":"ignored","reason":"skipped"}$' out || [[ $name =~ kafka|kcat|connect ]]
		# What passes keeps the contract's rules.
		grep -v '^{"event"' out >updates
		(($(wc -l <updates) > 50))
		ok reader --arrival none --source s updates
		same "$(become <<<"$output")" "$(<updates)"
		same "$(grep -o '"reason":"[^"]*' <<<"$output" | sort | uniq -c)" ''
		# Each reject names a member and its pointers, or the place where it is no JSON.
		same "$(reader --map ./map.yaml --arrival none --source s in 2>/dev/null | grep '"event":"rejected"' |
			grep -vE '"reason":"[^"]*(\(mapped from (/|the whole)|at byte [0-9]+)')" ''
	done
}

@test "pointers: escapes, array elements, strings that hold JSON, alternatives, joins, defaults, constants" {
	cat >map.yaml <<'END'
id:
  join: ["/a~1b/m~0n", /list/1]
  separator: /
accountType:
  from: [/none, /null, /kind]
tokens:
  from: /none
  default: 18446744073709551615
version: /text/inner/v
callbackTimeMs:
  value: 5
data: ""
END
	cat >in <<'END'
{"a/b":{"m~n":"x\"y"},"list":[0,42],"null":null,"kind":true,"text":"{\"inner\":{\"v\":\"9223372036854775807\"}}"}
{"\u0061/b":{"m~n":"\u00e4"},"list":[ 0, 1.5 ],"kind":"k","text":"[]"}
{"a/b":{"m~n":"x"},"list":[0,1],"kind":"k","text":"{\"inner\":{\"v\":1}"}
{"a/b":{"m~n":"x"},"list":[0,[]],"kind":"k","text":{"inner":{"v":1}}}
{"a/b":{"m~n":"x"},"list":[0,1],"kind":"k","kind":"l","text":{"inner":{"v":1}}}
END
	ok reader --map ./map.yaml --arrival none --source s in
	same "$(grep -v '"event":"\(begin\|end\)"' <<<"$output" | sed 's/,"line".*//')" \
		'{"source":"s","offset":0,"id":"x\"y/42","accountType":"true","tokens":18446744073709551615,"callbackTimeMs":5,"version":9223372036854775807,"data":{"a/b":{"m~n":"x\"y"},"list":[0,42],"null":null,"kind":true,"text":"{\"inner\":{\"v\":\"9223372036854775807\"}}"}}
{"event":"rejected","source":"s","offset":1,"reason":"version: missing (mapped from /text/inner/v)"
{"event":"rejected","source":"s","offset":2,"reason":"text: a string that holds broken JSON, at byte 1"
{"event":"rejected","source":"s","offset":3,"reason":"id: missing (mapped from /a~1b/m~0n and /list/1)"
{"event":"rejected","source":"s","offset":4,"reason":"accountType: member name given twice, at byte 51 (mapped from /none or /null or /kind)"'
}

@test "doc/maps.md: its example becomes what it shows" {
	awk '/^```yaml$/ { on = 1; next } /^```$/ { if (on) exit } on' "$BATS_TEST_DIRNAME/../doc/maps.md" >map.yaml
	mapfile -t shown < <(sed -n 's/^    \({.*}\)$/\1/p' "$BATS_TEST_DIRNAME/../doc/maps.md")
	echo "${shown[0]}" >in
	ok reader --map ./map.yaml --arrival none --source s in
	# The rest of data is left out there.
	same "$(become <<<"$output" | sed 's/\("branch":"ZRH",\).*/\1…}}/')" "${shown[1]}"
}

@test "a constant for data loses its white space, too" {
	printf '%s\n' 'id: /id' 'accountType: t' 'tokens: 0' 'version: 1' 'callbackTimeMs: null' "data: '{ \"a\" : 1 }'" >map.yaml
	echo '{"id":"a"}' >in
	ok reader --map ./map.yaml --arrival none --source s in
	has '"data":{"a":1}}'
}

@test "what is not mapped may hold what Postgres cannot store; white space in data goes, whatever was seen before" {
	printf '%s\n' 'id: /id' 'accountType: t' 'tokens: 0' 'version: 1' 'callbackTimeMs: null' 'data: /d' >map.yaml
	printf '%s\n' '{"id":"a","d":{"x":1},"rest":"\u0000"}' '{ "id" : "b", "d" : { "x" : [ 1, 2 ] } }' '{"id":"c","d":"\ud800"}' >in
	ok reader --map ./map.yaml --arrival none --source s in
	same "$(become <<<"$output")" '{"id":"a","accountType":"t","tokens":0,"callbackTimeMs":null,"version":1,"data":{"x":1}}
{"id":"b","accountType":"t","tokens":0,"callbackTimeMs":null,"version":1,"data":{"x":[1,2]}}
{"event":"rejected","reason":"data"}'
	sed -i 's|/d$|""|' map.yaml
	printf '%s\n' '{"id":"a","d":[{"x":1}]}' '{"id":"b","d":[{"x":1}] }' '{"id":"c", "d":[{"x":1}]}' >in
	ok reader --map ./map.yaml --arrival none --source s in
	same "$(grep -o '"data":.*' <<<"$output")" '"data":{"id":"a","d":[{"x":1}]}}
"data":{"id":"b","d":[{"x":1}]}}
"data":{"id":"c","d":[{"x":1}]}}'
}

@test "a record whose string breaks off is rejected, also where what was read of it would be skipped" {
	printf '%s\n' 'id: /p/id' 'accountType: t' 'tokens: 0' 'version: 1' 'callbackTimeMs: null' 'skip: {from: /p/op, values: [m]}' >map.yaml
	printf '%s\n' '{"p":"{\"op\":\"m\"}"}' '{"p":"{\"op\":\"m\","}' >in
	ok reader --map ./map.yaml --arrival none --source s in
	same "$(become <<<"$output")" '{"event":"ignored","reason":"skipped"}
{"event":"rejected","reason":"p"}'
}

@test "unwrap: a record each, in arrays and lines, with one ordinal each; what is no array is rejected" {
	printf '%s\n' 'unwrap: /batch/records' 'id: /k' 'accountType: t' 'tokens: 0' 'version: 1' 'callbackTimeMs: null' >map.yaml
	printf '%s\n' '{"batch":{"records":[{"k":1},{"k":2}, 3 ]}}' '{"batch":{"records":[]}}' '{"batch":7}' '{"batch":{"records":[ {"k":4} ]}}' >in
	ok reader --map ./map.yaml --arrival none --source s in
	by_line=$output
	same "$(grep -oE '"offset":[0-9]+,"(id":"[0-9]+|reason":"[^"]*)' <<<"$output")" '"offset":0,"id":"1
"offset":1,"id":"2
"offset":2,"reason":"id: missing (mapped from /k)
"offset":3,"reason":"unwrap: no array there, at byte 1 (mapped from /batch/records)
"offset":4,"id":"4'
	has '"read":5,"lastOffset":4,"complete":true'
	# Elements of what is no record are none.
	printf '%s\n' '{"batch":{"records":[{"k":9}]}} x' '{"batch":"{\"records\":[{\"k\":9}],"}' '{"batch":"{\"records\":[{\"k\":8}]}"}' >broken
	ok reader --map ./map.yaml --arrival none --source s broken
	same "$(become <<<"$output")" '{"event":"rejected","reason":"more"}
{"event":"rejected","reason":"batch"}
{"id":"8","accountType":"t","tokens":0,"callbackTimeMs":null,"version":1,"data":null}'
	jq -c -s . in >array
	ok reader --map ./map.yaml --arrival none --source s array
	same "$(become <<<"$output")" "$(become <<<"$by_line")"
	ok reader --map ./map.yaml --arrival none --source s --from 1 --count 2 in
	same "$(grep -o '"offset":[0-9]*' <<<"$output")" '"offset":1
"offset":2'
}

@test "a stream's own offsets: gaps, resuming, what comes again, and what does not rise" {
	kcat() { for o; do printf '{"offset":%d,"payload":"{\\"id\\":\\"a\\",\\"accountType\\":\\"t\\",\\"tokens\\":1,\\"callbackTimeMs\\":null,\\"version\\":%d}"}\n' "$o" "$o"; done; }
	kcat 5 7 90 >in
	ok reader --map kcat --source s in
	same "$(grep -o '"offset":[0-9]*' <<<"$output" | tr '\n' ' ')" '"offset":5 "offset":7 "offset":90 '
	has '"arrival":"none"'
	has '"lastOffset":90'
	ok reader --map kcat --source s --from 6 --to 89 in
	same "$(grep -o '"offset":[0-9]*' <<<"$output" | tr '\n' ' ')" '"offset":7 '
	# An input may begin with the end of the one before it.
	kcat 7 90 91 >in2
	ok reader --map kcat --source s in in2
	same "$(grep -o '"offset":[0-9]*' <<<"$output" | tr '\n' ' ')" '"offset":5 "offset":7 "offset":90 "offset":91 '
	# One whose offset cannot be read gets the next one, and none is lost behind it.
	{ kcat 5 && echo x && kcat 7; } >in
	ok reader --map kcat --source s in
	same "$(grep -o '"offset":[0-9]*' <<<"$output" | tr '\n' ' ')" '"offset":5 "offset":6 "offset":7 '
	{ kcat 5 && echo x && kcat 6; } >in
	fails 100 reader --map kcat --source s in
	err_has 'line 3: offset 6 does not rise, 6 was the last'
	has '"offset":6,"reason"'
	fails 100 reader --map kcat --arrival gap --source s in
	err_has 'only --arrival none and recorded go with it'
}

@test "--explain shows what each member of the first record became, and from where" {
	head -n 1 "$samples/debezium.in" >in
	ok reader --map debezium --explain in
	has $'version\t26834688\t/source/lsn'
	has $'tokens\t10\t/after/tokens'
	same "$(tail -n 1 <<<"$output")" 'an update'
	echo '{"op":"c"}' >in
	fails 1 reader --map debezium --explain in
	has 'rejected: id: missing (mapped from /after/id or /before/id or /payload/after/id or /payload/before/id)'
	echo null >in
	ok reader --map debezium --explain in
	has 'skipped'
}

@test "a map that is wrong: 100, with its line and what it should be" {
	good=$'id: /i\naccountType: t\ntokens: 0\nversion: 1\ncallbackTimeMs: null\n'
	while IFS='|' read -r more why; do
		printf "$good$more\n" >map.yaml
		fails 100 reader --map ./map.yaml /dev/null
		err_has "$why"
	done <<'END'
idd: /x|line 6: idd: no member of an update can be mapped by this name
id: /x|line 6: id: given twice
data: {x: /y}|line 6: data: knows from, join
deleted: {from: /y}\nskip: /z|skip wants `from` and `values`
skip: {values: [1]}|skip wants `from` and `values`
data: {from: y}|a JSON pointer begins with a slash
data: /a~2|in a pointer ~ stands before 0 or 1
arriveMs: soon|line 6: arriveMs: "soon" is no value for it
skip: no|line 6: skip: "no" is no value for it
data: {value: "[1,"}|line 6: data: "[1," is no value for it
data: {join: [/a, /b]}|only id, accountType and partition are joined
offset: /o\nunwrap: /r|unwrap makes several records of one
data: [[/a]]|line 6: expected a plain value
END
	echo 'id: /x' >map.yaml
	fails 100 reader --map ./map.yaml /dev/null
	err_has 'does not say what accountType is'
	fails 100 reader --map nosuch /dev/null
	err_has 'there is no map "nosuch"; there are connect, debezium'
	fails 100 reader --map ./nosuch.yaml /dev/null
	err_has 'No such file'
	fails 100 reader --explain /dev/null
	err_has '--explain is for --map'
}

@test "a spool is mapped by its copier, too: shards, array and lines" {
	printf '%s\n' 'unwrap: /r' 'id: /k' 'accountType: t' 'tokens: 0' 'version: /v' 'callbackTimeMs: null' >map.yaml
	perl -e 'for my $n (0 .. 299) { print "{\"r\":[", join(",", map { "{\"k\":\"k$_\",\"v\":$n}" } 1 .. 7), "]}\n" }' >in
	for form in lines array; do
		[[ $form == lines ]] || { jq -c -s . in >array && mv array in; }
		mkdir spool
		ok reader --map ./map.yaml --copy-to spool --copy-ahead 0 <in
		for shard in 0 1; do reader --map ./map.yaml --spool spool --shard $shard/2 --arrival none --source s >"out$shard"; done
		same "$(grep -h '"k[0-9]' out? | wc -l)" 2100
		same "$(grep -ho '"lastOffset":[0-9]*' out? | sort -u)" '"lastOffset":2099'
		rm -r spool
	done
}

@test "a run of a mapped stream: skipped records are counted, and the same stream sent again goes on behind what was read" {
	database
	cat >map.yaml <<'END'
id: /payload/id
accountType: t
tokens: /payload/tokens
version: /offset
callbackTimeMs: 0
offset: /offset
skip:
  from: /payload
  values: [null]
END
	messages() {
		perl -e 'for (1 .. $ARGV[0]) { my $o = 3 * $_;
			print $_ % 4 ? "{\"offset\":$o,\"payload\":\"{\\\"id\\\":\\\"a" . $_ % 5 . "\\\",\\\"tokens\\\":$_}\"}\n" : "{\"offset\":$o,\"payload\":null}\n" }' "$1"
	}
	messages 40 >in
	ok "$supervisor" run --listen none --map ./map.yaml --source s - <in
	same "$(sql "SELECT read, indexed, skipped, rejected, committed_offset, delivered_offset, complete FROM acctflow.sources")" '40|30|10|0|120|120|t'
	messages 60 >in
	ok "$supervisor" run --listen none --map ./map.yaml --source s - <in
	same "$(sql "SELECT read, indexed, skipped, rejected, committed_offset, delivered_offset, complete FROM acctflow.sources")" '60|45|15|0|180|180|t'
	same "$(grep -c '"reason":"skipped"' <<<"$output")" 5
	same "$(sql "SELECT count(*) FROM acctflow.callbacks WHERE state IN ('fired', 'cancelled')")" 45
}
