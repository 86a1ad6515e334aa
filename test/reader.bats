#!/usr/bin/env bats
# What a user sees of bin/reader. Needs no database.
# shellcheck disable=SC2154,SC2164 # helper sets root and bin; a cd that fails ends the test
# shellcheck disable=SC2016,SC2059 # a backquote is text; formats are tests' own

load helper

setup() {
	cd "$BATS_TEST_TMPDIR"
}

teardown() {
	[[ -z ${pid-} ]] || kill -9 "$pid" 2>/dev/null || true
}

# update ID VERSION [MORE]: one update as a line, MORE being further members.
update() {
	printf '{"id":"%s","accountType":"t","tokens":1,"callbackTimeMs":2,"version":%s%s}\n' "$1" "$2" "${3:+,$3}"
}

# now_ms: a clock for lower and upper bounds.
now_ms() {
	local t=${EPOCHREALTIME/[^0-9]/}
	echo $((t / 1000))
}

# told FILE N: FILE holds at least N lines.
told() {
	[[ -f $1 ]] && (($(wc -l <"$1") >= $2))
}

# ended PID: waits, not forever, and gives its exit status.
ended() {
	retry 100 gone "$1" || return 99
	wait "$1"
}

# records: standard input without begin and end. offsets, ids: one column of it.
records() {
	grep -v -e '^{"event":"begin"' -e '^{"event":"end"'
}
offsets() {
	sed -n 's/.*"offset":\([0-9]*\).*/\1/p' | tr '\n' ' '
}
ids() {
	sed -n 's/.*"id":"\([^"]*\)".*/\1/p' | tr '\n' ' '
}
stamps() {
	sed -n 's/.*"arriveMs":\([0-9]*\).*/\1/p' | tr '\n' ' '
}

# refuses MESSAGE ARGUMENT...: exits 100, tells nothing, and the error has MESSAGE.
refuses() {
	fails 100 reader "${@:2}"
	err_has "$1"
	same "$output" ''
}

# rejects REASON TEXT: TEXT as a line is rejected for it, and the line behind it is taken.
rejects() {
	printf '%s\n%s\n' "$2" "$(update after 1)" >reject.json
	run --separate-stderr reader -a none -S x reject.json
	echo "$2: status $status, output: $output, error: $stderr"
	[[ $status = 0 && ${#lines[@]} = 4 ]]
	[[ ${lines[1]} = '{"event":"rejected","source":"x","offset":0,"reason":"'"$1"*'","line":1,"raw":'* ]]
	[[ ${lines[2]} = '{"source":"x","offset":1,"id":"after",'* ]]
}

@test "help, version, man page" {
	run reader --help
	[[ $status = 0 && $output = usage:\ reader* && $output = *--catch-up-to* ]]
	while read -r option; do
		grep -q -e "Fl Fl ${option#--}" "$root/reader/reader.1" || { echo "not in the manual: $option" && false; }
	done < <(grep -o -e '--[a-z-]*' <<<"$output")
	run reader -V
	[[ $status = 0 && $output = "reader (acctflow) "* ]]
	command -v mandoc >/dev/null || skip "no mandoc"
	mandoc -T lint -W warning "$root/reader/reader.1"
}

@test "wrong options are refused by name" {
	update a 1 >f
	refuses 'unknown option "--wrong"' --wrong f
	refuses 'option "--seed" wants a value' --seed
	refuses '--arrival: expected one of gap|offset|recorded|none, not "x"' -a x f
	for d in 5 5:1 1:2:3 -1:2 : 1:x 0.0000001:1 1e3:2e3 0:99999999999; do
		refuses "--delay-ms: expected MIN:MAX, two numbers of milliseconds, the first not larger, not \"$d\"" --delay-ms "$d" f
	done
	for x in 0 -1 x 1x 0.0000001 . 1. ''; do
		refuses "--speed: expected a decimal number above 0, not \"$x\"" --speed "$x" f
	done
	refuses '--seed: expected a whole number from 0 to 18446744073709551615' --seed 18446744073709551616 f
	refuses '--seed: expected a whole number' --seed -1 f
	refuses '--from: expected a whole number' --from x f
	refuses '--count: expected a whole number' --count -1 f
	refuses '--catch-up-to: expected a whole number' --catch-up-to -1 f
	refuses '--clock: expected one of real|virtual' --clock x f
	refuses '--epoch: expected a time such as 2000-01-01T00:00:00Z' --epoch 2000-13-01T00:00:00Z f
	refuses '--format: expected one of auto|json|text' --format x f
	refuses '--fingerprint: expected BYTES:HASH' --fingerprint 12 f
	refuses '--fingerprint: expected BYTES:HASH' --fingerprint 4097:0123456789abcdef f
	refuses '--check: expected OFFSET:HASH' --check 1 f
	for shard in 1/1 0/0 0/1025 x 1 -1/2; do
		refuses "--shard: expected I/N, not \"$shard\"" --shard "$shard" f
	done
	refuses 'it has a control character' --source $'a\nb' f
	refuses '--shard wants a regular file' --shard 0/2 /dev/null
	refuses '--follow is for the whole of a source' --follow --shard 0/2 f
	refuses 'name has 0 bytes' --source '' f
	refuses 'not UTF-8' --source $'\xff' f
	refuses 'give it one by --source' --source "$(printf '%1025s' '')" f
}

@test "option over environment over configuration file over default" {
	update a 1 >f
	unset ACCTFLOW_CONFIG
	printf 'reader:\n  seed: 1\n  arrival: none\n' >config.yaml
	reader f | grep -q '"seed":1,"arrival":"none","delayMs":"0:1000"'
	ACCTFLOW_SEED=2 reader f | grep -q '"seed":2,"arrival":"none"'
	ACCTFLOW_SEED=2 reader -s 3 f | grep -q '"seed":3,'
	printf 'reader:\n  speeed: 1\n' >config.yaml
	refuses 'config.yaml line 2: unknown name "speeed"' f
}

@test "begin and end have what resuming needs, in order" {
	update a 1 >f
	hash="$(wc -c <f):????????????????????????????????"
	run reader --clock virtual --seed 18446744073709551615 --delay-ms 0.5:2 --speed 2.5 --epoch 2020-02-29T12:00:00Z f
	[[ $status = 0 ]]
	[[ ${lines[0]} = '{"event":"begin","source":"'"$PWD"'/f","shard":"0/1","seed":18446744073709551615,"arrival":"gap","delayMs":"0.5:2","speed":"2.5","clock":"virtual","fingerprint":"'$hash'","startedAt":"2020-02-29T12:00:00.000000Z"}' ]]
	[[ ${lines[2]} = '{"event":"end","source":"'"$PWD"'/f","shard":"0/1","read":1,"lastOffset":0,"complete":true,"fingerprint":"'$hash'"}' ]]
	run reader --clock virtual --from 1 f
	[[ ${lines[0]} = *'","from":1,"startedAt":"2000-01-01T00:00:00.000000Z"}' ]]
	[[ ${lines[1]} = *'"read":0,'*'"complete":true'* ]]
}

@test "without --seed every run has another, and any JSON tool can hold it" {
	update a 1 >f
	a=$(reader -a none f | sed -n 's/.*"seed":\([0-9]*\).*/\1/p')
	b=$(reader -a none f | sed -n 's/.*"seed":\([0-9]*\).*/\1/p')
	[[ $a != "$b" ]]
	[[ ${#a} -le 16 && ${#b} -le 16 ]]
}

@test "on the real clock begin says when it started" {
	update a 1 >f
	before=$(date -u +%Y-%m-%dT%H:%M:%S)
	started=$(reader -a none f | sed -n 's/.*"startedAt":"\([^"]*\)".*/\1/p')
	after=$(date -u +%Y-%m-%dT%H:%M:%S.999999Z)
	[[ ! $started < $before && ! $started > $after ]]
}

@test "an update is told in the contract's order and nothing else of it" {
	printf '%s\n' ' { "version" : 9223372036854775807, "more": 1, "data" : { "b" : [ 1.50 , "x  y" ], "a" : 9007199254740993 } ,' \
		'"callbackTimeMs":31536000000,"tokens":18446744073709551615,"accountType":"\u0074\/\u00e9","id":"a\u000a\"\u20ac",' \
		'"source":"forged","offset":77,"arriveMs":5,"trace":"00-a-b-01" }' | tr -d '\n' >f
	run --separate-stderr reader -a none -S 'n"ö' f
	[[ ${lines[1]} = '{"source":"n\"ö","offset":0,"id":"a\n\"€","accountType":"t/é","tokens":18446744073709551615,"callbackTimeMs":31536000000,"version":9223372036854775807,"data":{"b":[1.50,"x  y"],"a":9007199254740993},"arriveMs":5,"trace":"00-a-b-01"}' ]]
	run --separate-stderr reader -a none -S x <<<"$(update a 0)"
	[[ ${lines[1]} = '{"source":"x","offset":0,"id":"a","accountType":"t","tokens":1,"callbackTimeMs":2,"version":0,"data":null}' ]]
}

@test "an update that breaks a rule is rejected by member and reason" {
	rejects 'id: missing' '{"accountType":"t","tokens":1,"callbackTimeMs":2,"version":1}'
	rejects 'id: not a string' '{"id":1,"accountType":"t","tokens":1,"callbackTimeMs":2,"version":1}'
	rejects 'id: not of 1 to 255 bytes' "$(update '' 1)"
	rejects 'id: not of 1 to 255 bytes' "$(update "$(printf '%0256d' 0)" 1)"
	rejects 'accountType: missing' '{"id":"a","tokens":1,"callbackTimeMs":2,"version":1}'
	rejects 'tokens: out of range' '{"id":"a","accountType":"t","tokens":18446744073709551616,"callbackTimeMs":2,"version":1}'
	rejects 'tokens: not an integer' '{"id":"a","accountType":"t","tokens":5.0,"callbackTimeMs":2,"version":1}'
	rejects 'tokens: not an integer' '{"id":"a","accountType":"t","tokens":-0,"callbackTimeMs":2,"version":1}'
	rejects 'tokens: not an integer' '{"id":"a","accountType":"t","tokens":"5","callbackTimeMs":2,"version":1}'
	rejects 'callbackTimeMs: out of range' '{"id":"a","accountType":"t","tokens":1,"callbackTimeMs":31536000001,"version":1}'
	rejects 'version: missing' '{"id":"a","accountType":"t","tokens":1,"callbackTimeMs":2}'
	rejects 'version: out of range' "$(update a 9223372036854775808)"
	rejects 'version: not an integer' "$(update a 5e0)"
	rejects 'arriveMs: out of range' "$(update a 1 '"arriveMs":10000000000001')"
	rejects 'trace: not a string' "$(update a 1 '"trace":1')"
	rejects 'event: not allowed in an update' "$(update a 1 '"event":"end"')"
	rejects 'event: not allowed in an update' "$(update a 1 '"\u0065vent":"end"')"
	rejects 'id: member name given twice' "$(update a 1 '"\u0069d":"b"')"
	rejects 'other: member name given twice' "$(update a 1 '"other":1,"other":2')"
	rejects 'not an object' '"[1]"'
	rejects 'not an object' 7
	rejects 'not JSON' '{"id":'
	rejects 'unknown word' 'nil'
	rejects 'more text behind the value' "$(update a 1) $(update b 1)"
	rejects 'version: number with a leading zero' "$(update a 01)"
}

@test "what Postgres cannot store is rejected in its place, the stream goes on" {
	big=$(printf '%01001d' 0)
	local -A data=(['"\u0000"']='\\u0000 in a string' ['"\ud800"']='lone surrogate' ['"\udc00x"']='lone surrogate'
		["1${big}"]='number of more than 1,000 digits' ['1e1000']='number of more than 1,000 digits'
		['1e-1001']='number of more than 1,000 digits' [$'"\xff"']='invalid UTF-8' [$'"\xed\xa0\x80"']='invalid UTF-8')
	for d in "${!data[@]}"; do
		rejects "data: ${data[$d]}" "$(update a 1 "\"data\":$d")"
		run --separate-stderr reader -a none -S x <<<"[$(update a 1 "\"data\":$d"),$(update after 1)]"
		[[ $status = 0 && ${lines[1]} = '{"event":"rejected","source":"x","offset":0,"reason":"data: '"${data[$d]}"* ]]
		[[ ${lines[2]} = '{"source":"x","offset":1,"id":"after"'* ]]
	done
	reader -a none <<<"$(update a 1 '"data":["\ud83d\ude00",1e999]')" | grep -q '"data":\["\\ud83d\\ude00",1e999\]'
}

@test "a rejected record says where it stood and shows what it was" {
	printf '[\n %s,\n\n {"a":\n1},\n12, "x"]' "$(update a 1)" >f
	run --separate-stderr reader -a none -S x f
	[[ $status = 0 ]]
	[[ ${lines[2]} = '{"event":"rejected","source":"x","offset":1,"reason":"id: missing","line":4,"raw":"{\"a\":\n1}","rawBytes":8,"rawEncoding":"utf8"}' ]]
	[[ ${lines[3]} = '{"event":"rejected","source":"x","offset":2,"reason":"not an object, at byte 1","line":6,"raw":"12","rawBytes":2,"rawEncoding":"utf8"}' ]]
	printf '\n\nx\n\xff\n' >f
	run --separate-stderr reader -a none -S x f
	[[ ${lines[1]} = *'"line":3,"raw":"x","rawBytes":1,"rawEncoding":"utf8"}' ]]
	[[ ${lines[2]} = *'"line":4,"raw":"/w==","rawBytes":1,"rawEncoding":"base64"}' ]]
}

@test "an array's element at every place: numbers, words, strings, white space" {
	printf ' \t\r\n[ 1 ,2.5e+3,-0,true,false , null,"a]}\\"",[ ],{ }, [[1,{"a":"]"}]]\n] \n' >f
	run --separate-stderr reader -a none -S x f
	[[ $status = 0 && ${lines[11]} = *'"read":10,'*'"complete":true'* ]]
	[[ ${lines[1]} = *'"line":2,"raw":"1"'* && ${lines[7]} = *'"raw":"\"a]}\\\"\""'* && ${lines[10]} = *'"raw":"[[1,{\"a\":\"]\"}]]"'* ]]
}

@test "an empty array is an input of no records" {
	run --separate-stderr reader -a none <<<' [ ] '
	[[ $status = 0 && ${#lines[@]} = 2 && ${lines[1]} = *'"read":0,'*'"complete":true'* ]]
}

@test "bytes that are not JSON end an array, after all before them" {
	broken() {
		printf "$1" >f
		run --separate-stderr reader -a none -S x f
		echo "$1: $status $output $stderr"
		[[ $status = 100 && ${lines[-1]} = '{"event":"end","source":"x","shard":"0/1","read":'$2',"lastOffset":'*',"complete":false,"broken":true,"fingerprint":"'* ]]
		[[ $stderr = *"\"f\" $3"* ]]
	}
	broken '[1,\n22, tru,3]' 2 "line 2, column 5, byte offset 8: unknown word, near \"[1,\\u000a22, tru,3]\""
	broken '[1,]' 1 "line 1, column 4, byte offset 3: unexpected character"
	broken '[,1]' 0 "line 1, column 2, byte offset 1: unexpected character"
	broken '[1 2]' 1 "line 1, column 4, byte offset 3: expected ',' or ']' behind an element"
	broken '[1}' 1 "line 1, column 3, byte offset 2: expected ',' or ']'"
	broken '[{"a":[}]}, 2]' 0 "line 1, column 8, byte offset 7: a: unexpected character"
	broken '[{"a":1,}]' 0 "line 1, column 9, byte offset 8: expected a member name in quotes"
	broken '["a\nb"]' 0 "line 1, column 4, byte offset 3: line end inside a string"
	broken '[1] [2]' 1 "line 1, column 5, byte offset 4: more text behind the array"
	broken '[1]x' 1 "line 1, column 4, byte offset 3: more text behind the array"
	broken '[1,-]' 1 "line 1, column 5, byte offset 4: '-' without a digit"
	broken '[1,\f2]' 1 "line 1, column 4, byte offset 3: unexpected character"
	broken '[1,\000]' 1 "line 1, column 4, byte offset 3: NUL byte"
}

@test "a truncated array is an error, whatever it is cut in" {
	whole='[{"a":"b\n"}, 12, true]'
	for ((cut = 1; cut < ${#whole}; cut++)); do
		printf '%s' "${whole:0:cut}" >f
		fails 100 reader -a none f
		has '"complete":false,"broken":true'
		err_has "byte offset $cut: the input ends inside the array"
	done
	# What is whole is told, also a number that could have gone on.
	[[ $(printf '%s' "${whole:0:17}" | reader -a none 2>/dev/null | grep -c -e '"raw":"{' -e '"raw":"12"') = 2 ]]
}

@test "an excerpt cannot act on a terminal" {
	printf '[1, \033[31m\xe2\x80\xae\xff]' >f
	run --separate-stderr reader -a none f
	[[ $status = 100 && $stderr = *'near "[1, \u001b[31m\u202e\xff]"'* && $stderr != *$'\033'* ]]
}

@test "missing inputs and directories are found before anything is told" {
	update a 1 >f
	mkdir d
	refuses 'could not open file "gone": No such file' gone
	refuses 'could not open file "gone": No such file' f gone
	refuses 'could not read "d": it is a directory' d
	refuses 'could not read "d": it is a directory' f d
	run --separate-stderr reader </
	[[ $status = 100 && -z $output && $stderr = *'is a directory'* ]]
	((EUID == 0)) && return
	chmod 0 f
	refuses 'could not open file "f": Permission denied' f
}

@test "an empty input is an error with begin and end" {
	for text in '' $' \n\t\r\n '; do
		printf '%s' "$text" >f
		run --separate-stderr reader -S x f
		[[ $status = 100 && ${lines[1]} = '{"event":"end","source":"x","shard":"0/1","read":0,"lastOffset":null,"complete":true,"fingerprint":"'* ]]
		[[ $stderr = *'"f" is empty'* ]]
	done
	run --separate-stderr reader </dev/null
	[[ $status = 100 && $stderr = *'"-" is empty'* ]]
}

@test "lines may end in CRLF, be blank, or lack the last newline" {
	printf '\r\n%s\r\n\n  \n%s\n{"x":1}\n%s' "$(update a 1)" "$(update b 1)" "$(update c 1)" >f
	run --separate-stderr reader -a none f
	[[ $status = 0 && $stderr = *'1 of 4 records were rejected'* && ${lines[-1]} = *'"read":4,'* && ${lines[3]} = *'"line":6,'* ]]
	[[ $(ids <<<"$output") = 'a b c ' ]]
}

@test "an unterminated last line that is not whole is dropped with a warning" {
	printf '%s\n{"id":"b",' "$(update a 1)" >f
	run --separate-stderr reader -a none f
	[[ $status = 0 && ${lines[-1]} = *'"read":1,'*'"complete":true'* && $stderr = *'dropped the last line, 10 bytes'* ]]
}

@test "a byte order mark is skipped, with one warning" {
	printf '\xef\xbb\xbf%s\n%s\n' "$(update a 1)" "$(update b 1)" >f
	ok reader -a none f
	same "$(ids <<<"$output")" 'a b '
	same "$(grep -c 'byte order mark' <<<"$stderr")" 1
	printf '\xef\xbb\xbf \n[%s]' "$(update a 1)" >f
	ok reader -a none f
	same "$(ids <<<"$output")" 'a '
	err_has 'byte order mark'
	# In pieces, too.
	ok bash -c "{ printf '\\xef'; sleep 0.1; printf '\\xbb\\xbf'; update() { :; }; echo '$(update a 1)'; } | reader -a none"
	same "$(ids <<<"$output")" 'a '
}

# wrong HINT RECORDS: the input f is none; as many records of it were emitted.
wrong() {
	fails 100 reader -a none f
	err_has "$1"
	same "$(records <<<"$output" | wc -l)" "$2"
	[[ ${lines[-1]} == *'"complete":false,"broken":true'* ]]
}

@test "what is plainly something else is named, with what to do" {
	{
		update a 1
		update b 1
	} >good
	gzip -c good >f
	wrong 'looks like gzip: zcat FILE' 0
	iconv -f UTF-8 -t UTF-16 good >f
	wrong 'looks like UTF-16: iconv' 0
	iconv -f UTF-8 -t UTF-16BE good >f
	wrong 'looks like UTF-16: iconv -f UTF-16BE' 0
	{ printf '[' && update a 1 && printf ']'; } | iconv -f UTF-8 -t UTF-16LE >f
	wrong 'looks like UTF-16: iconv -f UTF-16LE' 0
	printf 'id,accountType,tokens\na,t,1\n' >f
	wrong 'looks like CSV' 2
	err_has '2 of 2 records were rejected'
	printf '{\n  "id": "a",\n  "version": 1\n}\n' >f
	wrong 'is one object over several lines, not one a line: jq -c . FILE' 0
	printf '{"accounts":[\n%s,\n%s\n]}\n' "$(update a 1)" "$(update b 1)" >f
	wrong "jq -c '.[\"accounts\"][]' FILE" 0
	printf '{"accounts":[%s,%s]}\n' "$(update a 1)" "$(update b 1)" >f
	wrong "is an object that holds the updates: jq -c '.[\"accounts\"][]'" 1
	# A line that broke off is only that.
	printf '{"id":\n%s\n' "$(update a 1)" >f
	ok reader -a none f
	same "$(ids <<<"$output")" 'a '
	# Where something of it is an update, the rest is rejected.
	printf 'id,x\n%s\n' "$(update a 1)" >f
	ok reader -a none f
	err_has '1 of 2 records were rejected'
}

@test "a binary file is rejected line by line" {
	run --separate-stderr reader -a none "$bin/reader"
	[[ $status = 100 && ${lines[-1]} = *'"complete":false,"broken":true'* ]]
	n=$(records <<<"$output" | wc -l)
	((n > 10))
	[[ ${lines[-1]} = *"\"read\":$n,"* && $(records <<<"$output" | grep -c '"event":"rejected"') = "$n" ]]
	grep -q '"rawEncoding":"base64"' <<<"$output"
	# Control characters do not get through.
	run ! grep -q -P '[\x00-\x08\x0b-\x1f]' <<<"$output"
}

@test "what comes out does not depend on how the input is cut into reads" {
	deep=$(
		printf '[%.0s' {1..600}
		printf '"]\\"]"'
		printf ']%.0s' {1..600}
	)
	printf '[ %s , 12,\n{"a":"\\u00e9\\ud83d\\ude00\xc3\xa9]"},%s,true,"\xff",-1.5e3, "\\"}" ]\n' "$(update a 1 '"data": [ 1 ]')" "$deep" >array
	{
		update a 1 '"data": {"b" : "\\" }'
		printf '\n%s\nrubbish\r\n\xff\n' "$deep"
		update b 2
	} >lines
	printf '[1, {"a":[}, 2]' >broken
	# Packets, unlike what a pipe holds, come one a read.
	packets() { # BYTES COMMAND...
		perl -MSocket -e '
			my $n = shift;
			$SIG{PIPE} = "IGNORE";
			socketpair(my $a, my $b, AF_UNIX, SOCK_SEQPACKET, 0) or die $!;
			if (!fork) {
				close $a;
				open STDIN, "<&", $b or die $!;
				close $b;
				exec @ARGV;
			}
			close $b;
			while (sysread STDIN, my $c, $n) { syswrite $a, $c or last }
			close $a;
			wait;
			exit $? >> 8' "$@"
	}
	command -v perl >/dev/null || skip "no perl"
	local -A read=([array]=8 [lines]=5 [broken]=1)
	for f in array lines broken; do
		run --separate-stderr reader -a none -s 1 --clock virtual <$f
		whole=$output whole_status=$status whole_error=$(sed 's/.*] //; s/, near.*//' <<<"$stderr")
		has "\"read\":${read[$f]},"
		for n in 1 2 3 7; do
			run --separate-stderr packets $n reader -a none -s 1 --clock virtual <$f
			same "$output" "$whole"
			same "$status" "$whole_status"
			same "$(sed 's/.*] //; s/, near.*//' <<<"$stderr")" "$whole_error"
		done
	done
}

@test "a record over 16 MiB is skipped without being held" {
	[[ ! ${ACCTFLOW_SANITIZED-} ]] || skip 'the sanitizers need more address space'
	# 100 MB of string in 60 MB of address space.
	long() { # BEFORE BETWEEN BEHIND
		printf "$1%s$2{\"id\":\"" "$(update a 1)"
		head -c 100000000 /dev/zero | tr '\0' x
		printf "\"}$2%s$3" "$(update b 1)"
	}
	for style in array lines; do
		if [[ $style = array ]]; then long '[' , ']'; else long '' '\n' '\n'; fi >f
		ok bash -c 'ulimit -v 60000; reader -a none -S x f'
		[[ ${lines[1]} = *'"id":"a"'* && ${lines[3]} = *'"offset":2,"id":"b"'* ]]
		[[ ${lines[2]} = '{"event":"rejected","source":"x","offset":1,"reason":"longer than 16 MiB","line":'*'"rawBytes":100000009,"rawEncoding":"utf8"}' ]]
		((${#lines[2]} > 65000 && ${#lines[2]} < 66000))
	done
}

@test "16 MiB is a record still, one byte more is not" {
	fixed=$(update a 1 '"data":""' | wc -c) # with its newline
	body() { head -c $((16777216 - fixed + 1 + $1)) /dev/zero | tr '\0' x; }
	for more in 0 1; do
		{
			printf '['
			update a 1 '"data":"@"' | tr -d '\n' | sed 's/@.*//'
			body $more
			printf '"}, 1]'
		} >array
		{
			update a 1 '"data":"@"' | tr -d '\n' | sed 's/@.*//'
			body $more
			printf '"}\n1\n'
		} >lines
		for f in array lines; do
			reader -a none $f | cut -c 1-200 >out
			if ((more)); then grep -q '"longer than 16 MiB"' out; else [[ $(ids <out) = 'a ' ]]; fi
			tail -1 out | grep -q '"read":2,.*"complete":true'
		done
	done
}

@test "nesting of 512 is taken, deeper is rejected, and the stream goes on" {
	nest() {
		printf "%0$1d" 0 | tr 0 '['
		printf "%0$1d" 0 | tr 0 ']'
	}
	for style in lines array; do
		{
			update a 1 "\"data\":$(nest 511)"
			update b 1 "\"data\":$(nest 512)"
			nest 100000
			echo
			update c 1
		} >f
		[[ $style = lines ]] || { sed -i '1s/^/[/; $!s/$/,/; $s/$/]/' f; }
		run --separate-stderr reader -a none -S x f
		[[ $status = 0 && ${lines[1]} = *'"id":"a"'* && ${lines[4]} = *'"offset":3,"id":"c"'* ]]
		[[ ${lines[2]} = *'"reason":"nesting deeper than 512'*'"line":2,'* ]]
		[[ ${lines[3]} = *'"reason":"nesting deeper than 512'*'"line":3,'*'"rawBytes":200000,'* ]]
	done
}

@test "one seed, one stream; another seed, another" {
	for i in {1..50}; do update "$i" "$i"; done >f
	one=$(reader --clock virtual -s 1 f)
	[[ $(reader --clock virtual -s 1 f) = "$one" ]]
	[[ $(reader --clock virtual -s 2 f | stamps) != $(stamps <<<"$one") ]]
	# In range, never decreasing, and spread.
	last=0
	local -A gaps=()
	for t in $(stamps <<<"$one"); do
		((t >= last && t - last <= 1001))
		gaps[$((t - last))]=1
		last=$t
	done
	((last > 15000 && last < 35000 && ${#gaps[@]} > 40))
	# A rejected record has its draw, and its stamp, too.
	sed -i '3s/.*/rubbish/' f
	same "$(reader --clock virtual -s 1 f | stamps)" "$(stamps <<<"$one")"
}

@test "--delay-ms sets the range of the gaps, --speed divides" {
	for i in {1..20}; do update "$i" "$i"; done >f
	[[ $(reader --clock virtual -D 10:10 f | stamps) = "$(seq -s ' ' 10 10 200) " ]]
	[[ $(reader --clock virtual -D 10:10 --speed 2.5 f | stamps) = "$(seq -s ' ' 4 4 80) " ]]
	[[ $(reader --clock virtual -D 10:10 --speed 0.5 f | stamps) = "$(seq -s ' ' 20 20 400) " ]]
	[[ $(reader --clock virtual -D 0.25:0.25 f | stamps) = '0 0 0 1 1 1 1 2 2 2 2 3 3 3 3 4 4 4 4 5 ' ]]
	[[ $(reader --clock virtual -a none f | stamps | tr -d '0 ') = '' ]]
	[[ $(reader -a none f | stamps) = '' ]]
}

@test "--arrival recorded follows arriveMs, missing or decreasing taken as the one before" {
	{
		update a 1 '"arriveMs":20'
		update b 1
		echo '{"arriveMs":500}'
		update c 1 '"arriveMs":10'
		update d 1 '"arriveMs":30'
	} >f
	[[ $(reader --clock virtual -a recorded f | stamps) = '20 20 20 20 30 ' ]]
	[[ $(reader --clock virtual -a recorded -x 10 f | stamps) = '2 2 2 2 3 ' ]]
	[[ $(reader -a recorded -x 10 f | records | sed 3d | stamps) = '2 2 2 3 ' ]]
	[[ $(reader -a none f | records | sed 3d | stamps) = '20 10 30 ' ]]
	[[ $(reader --clock virtual -a none f | records | stamps) = '0 0 0 0 0 ' ]]
}

@test "--arrival offset puts records in order of their own random times" {
	for i in {1..100}; do update "$i" "$i"; done >f
	echo rubbish >>f
	run --separate-stderr reader --clock virtual -a offset -D 100:10000 -s 4 f
	[[ $status = 0 && ${lines[-1]} = *'"read":101,'* ]]
	[[ $(records <<<"$output" | offsets) = "$(seq -s ' ' 0 100) " ]]
	[[ $(stamps <<<"$output") = "$(stamps <<<"$output" | tr ' ' '\n' | sed '/^$/d' | sort -n | tr '\n' ' ')" ]]
	[[ $(ids <<<"$output") != "$(seq -s ' ' 1 100) " ]]
	[[ $(ids <<<"$output" | tr ' ' '\n' | sed '/^$/d' | sort -n | tr '\n' ' ') = "$(seq -s ' ' 1 100) " ]]
	first=$(stamps <<<"$output" | cut -d' ' -f1)
	((first >= 100 && first < 2000))
	grep '"rejected"' <<<"$output" | grep -q '"line":101,'
	[[ $(reader --clock virtual -a offset -D 100:10000 -s 4 f) = "$output" ]]
	# Equal times stay in order.
	[[ $(reader --clock virtual -a offset -D 5:5 f | ids) = "$(seq -s ' ' 1 100) " ]]
	# An array that breaks off is told as far as it goes.
	run --separate-stderr reader -a offset -D 0:1 <<<"[$(update a 1),"
	[[ $status = 100 && $(ids <<<"$output") = 'a ' && ${lines[-1]} = *'"read":1,'*'"complete":false,"broken":true'* ]]
}

@test "--from gives the tail of the undisturbed run" {
	for i in {1..30}; do
		((i % 7)) && update "$i" "$i" "\"arriveMs\":$((i * 37 % 50 + i))" || echo '{"id":"no"}'
	done >f
	for arrival in gap offset recorded none; do
		whole=$(reader --clock virtual -s 5 -a $arrival f | records)
		for from in 0 1 7 29 30 31; do
			tail=$(reader --clock virtual -s 5 -a $arrival --from $from f | records) || true
			same "$tail" "$(tail -n +$((from + 1)) <<<"$whole")"
		done
		part=$(reader --clock virtual -s 5 -a $arrival --from 3 --count 4 f)
		same "$(records <<<"$part")" "$(sed -n 4,7p <<<"$whole")"
		[[ $(tail -1 <<<"$part") = *'"read":4,'*'"complete":true'* ]]
	done
}

@test "--count stops without reading on" {
	printf '[%s,%s,garbage' "$(update a 1)" "$(update b 1)" >f
	run --separate-stderr reader -a none --count 0 f
	[[ $status = 0 && -z $stderr && ${#lines[@]} = 2 && ${lines[1]} = *'"read":0,'*'"complete":true'* ]]
	run --separate-stderr reader -a none --count 2 f
	[[ $status = 0 && -z $stderr && ${#lines[@]} = 4 && ${lines[3]} = *'"read":2,'*'"complete":true'* ]]
	mkfifo p
	{
		update a 1
		update b 1
		retry 300 test -e finished
	} >p &
	run --separate-stderr timeout 20 reader -a none --count 2 p
	touch finished
	[[ $status = 0 && $(ids <<<"$output") = 'a b ' ]]
}

@test "on the real clock records wait for their arrival" {
	for i in {1..5}; do update "$i" "$i"; done >f
	start=$(now_ms)
	reader -D 60:70 f >out
	took=$(($(now_ms) - start))
	((took >= 300 && took < 10000))
	start=$(now_ms)
	reader -D 60000:60000 -x 1000 f >out
	took=$(($(now_ms) - start))
	((took >= 300 && took < 10000))
	start=$(now_ms)
	reader -a offset -D 200:200 f >out
	took=$(($(now_ms) - start))
	((took >= 200 && took < 10000))
}

@test "what is told waits for nobody: each record is out before the next is waited for" {
	{
		update a 1
		update b 1
	} >f
	reader -D 3600000:3600000 --catch-up-to 0 f >out &
	pid=$!
	retry 100 told out 2
	kill -0 $pid
	[[ $(ids <out) = 'a ' ]]
	# The same where the input, not the time, is waited for.
	mkfifo p
	reader -a none p >out2 &
	other=$!
	exec 9>p
	update a 1 >&9
	retry 100 told out2 2
	printf '[' >&9
	update b 1 >&9
	retry 100 told out2 3
	exec 9>&-
	ended $other
	grep -q '"offset":1,"reason":"not JSON' out2
}

@test "on the real clock --from and --catch-up-to start the timeline anew" {
	for i in {1..100}; do update "$i" "$i"; done >f
	start=$(now_ms)
	reader -D 300:300 --from 99 f >out
	took=$(($(now_ms) - start))
	((took >= 300 && took < 10000))
	start=$(now_ms)
	reader -D 300:300 --from 50 --catch-up-to 98 f >out
	took=$(($(now_ms) - start))
	((took >= 300 && took < 10000))
	[[ $(records <out | offsets) = "$(seq -s ' ' 50 99) " ]]
	[[ $(reader -a offset -D 0:3600000 --catch-up-to 99 f | records | wc -l) = 100 ]]
}

@test "several files are one source: array and lines, offsets run on" {
	printf '[%s,%s]' "$(update a 1)" "$(update b 1)" >one
	update c 1 >two
	ln -s two link
	run --separate-stderr reader -a none one link one
	[[ $status = 0 && $(ids <<<"$output") = 'a b c a b ' && $(offsets <<<"$output") = '0 1 2 3 4 ' ]]
	[[ ${lines[0]} = *"\"source\":\"$PWD/one:$PWD/two:$PWD/one\""* ]]
	refuses 'standard input cannot be one of several files' one -
	# The first that is wrong is the end of the input.
	printf '[1,' >wrong
	run --separate-stderr reader -a none one wrong two
	[[ $status = 100 && $(ids <<<"$output") = 'a b ' && $stderr = *'"wrong" line 1, column 4'* ]]
}

@test "the source's name" {
	update a 1 >f
	run reader -a none --source 'my "name"' f
	[[ ${lines[0]} = '{"event":"begin","source":"my \"name\"",'* && ${lines[1]} = '{"source":"my \"name\"",'* ]]
	run reader -a none <f
	[[ ${lines[0]} = '{"event":"begin","source":"-",'*'"fingerprint":null,'* ]]
	run reader -a none - <f
	[[ ${lines[0]} = '{"event":"begin","source":"-",'* ]]
	cp f $'odd\xff'
	run reader -a none $'odd\xff'
	[[ ${lines[0]} = *'/odd\\xff",'* ]]
}

# mark EVENT FILE: the fingerprint in it.
mark() {
	reader -a none "$2" 2>/dev/null | sed -n "s/{\"event\":\"$1\".*\"fingerprint\":\"\([^\"]*\)\".*/\1/p"
}

@test "a fingerprint recognises an input: begin has its head's, end that of what was read" {
	for i in {1..2000}; do update "$i" "$i"; done >f
	size=$(wc -c <f)
	head=$(mark begin f)
	whole=$(mark end f)
	[[ $head = 65536:* && $whole = "$size":* ]]
	# The same however it was read: stopped by --count, and in a record that was skipped.
	{
		head -n 10 f
		head -c 20000000 /dev/zero | tr '\0' x
		printf '\n%s\n' "$(update b 1)"
	} >long
	same "$(mark end long | cut -d : -f 1)" "$(wc -c <long)"
	ok reader -n 0 --fingerprint "$(mark end long)" long
	# XXH3's 128 bits of nothing and of "a".
	: >empty
	run --separate-stderr reader empty
	[[ ${lines[0]} = *'"fingerprint":"0:99aa06d3014798d86001c324468d497f"'* ]]
	printf a >a
	same "$(mark begin a)" 1:a96faf705af16834e6c632b61e964e1f
	part=$(reader -a none -n 1000 f | tail -1 | sed 's/.*"fingerprint":"\([^"]*\)".*/\1/')
	head -n 1000 f >half
	same "$part" "$(mark end half)"
	ok reader -n 0 --fingerprint "$whole" f
	ok reader -n 0 --fingerprint "$head" f
	update more 1 >>f
	grown=$(wc -c <f)
	ok reader -a none --from 2000 --fingerprint "$whole" f
	same "$(ids <<<"$output")" 'more '
	sed -i 's/"id":"1900"/"id":"1901"/' f
	refuses "\"f\" is not what was read before: its first $size bytes have changed, of the $grown bytes that it has now" --fingerprint "$whole" f
	reader -a none --fingerprint "$head" f >out
	: >f
	refuses 'its first 65536 bytes have changed, of the 0 bytes that it has now' -n 0 --fingerprint "$head" f
	printf ' [%s]' "$(update a 1)" >array
	ok reader -n 0 --fingerprint "$(mark end array)" array
	refuses 'is not a regular file' --fingerprint "$whole" -
	fails 100 reader -n 0 --fingerprint "$whole" gone
	err_has 'could not open file "gone"'
	# Several files are one.
	cat half f >both
	same "$(reader -a none half f | tail -1 | sed 's/.*"fingerprint":"\([^"]*\)".*/\1/')" "$(mark end both)"
}

@test "--check: the update that was committed last must be what it was" {
	for i in {1..20}; do update "$i" "$i"; done >f
	echo rubbish >>f
	update b 1 >>f
	# By the formula: FNV-1a over id, the numbers, type and data.
	hash=$(perl -Mbigint -e 'my $h = 14695981039346656037; for my $c (unpack "C*", "7" . pack("Q<4", 1, 2, 7, 2) . "t" . "null") {
		$h = (($h ^ $c) * 1099511628211) % 2**64 } print $h')
	for a in gap none; do
		ok reader --clock virtual -a $a --from 7 --check "6:$hash" f
		same "$(ids <<<"$output")" "$(seq -s ' ' 8 20) b "
		fails 100 reader --clock virtual -a $a --from 7 --check "5:$hash" f
		err_has 'the input has changed: its record at offset 5'
		fails 100 reader --clock virtual -a $a --from 21 --check "20:$hash" f
		fails 100 reader --clock virtual -a $a --from 31 --check "30:$hash" f
		err_has 'it ends before its record at offset 30'
	done
	# Of another shard it is not this one's.
	own=0
	for shard in 0/2 1/2; do
		reader -a none --from 7 --check "6:$hash" --shard $shard f >out 2>err && own=$((own + 1))
	done
	same $own 1
	# In order of arrival there is another at that place.
	reader --clock virtual -a offset -s 3 f >out 2>err
	n=$(grep '"id":"7"' out | offsets)
	ok reader --clock virtual -a offset -s 3 --from 15 --check "$((n)):$hash" f
}

@test "--shard: together the shards emit the whole stream, each account in one of them" {
	for i in {1..300}; do
		((i % 50)) && update "$((i % 40))" "$i" "\"arriveMs\":$((i * 37 % 50 + i))" || echo "rubbish $i"
	done >f
	# FNV-1a 64, modulo 3: a, b and the empty string have af63dc4c8601ec8c, af63df4c8601f1a5, cbf29ce484222325.
	{
		update a 1
		update b 1
		update '\u0061' 2
	} >g
	same "$(reader -a none --shard 0/2 g | ids)" 'a a '
	same "$(reader -a none --shard 1/2 g | ids)" 'b '
	same "$(reader -a none --shard 1/5 g | ids)$(reader -a none --shard 0/5 g | ids)" "$(reader -a none --shard 1/5 g | ids)$(reader -a none --shard 0/5 g | ids)"
	for arrival in gap offset recorded none; do
		for more in '' '--from 70' '--from 20 --count 90' '--to 120' '--catch-up-to 30 --from 10'; do
			# shellcheck disable=SC2086 # words
			reader --clock virtual -s 5 -a $arrival $more f 2>/dev/null >whole
			: >parts
			for shard in 0/3 1/3 2/3; do
				# shellcheck disable=SC2086
				reader --clock virtual -s 5 -a $arrival $more --shard $shard f 2>/dev/null >part
				records <part >>parts
				grep -q "\"shard\":\"$shard\",\"read\":$(records <part | wc -l),\"lastOffset\":$(tail -1 whole | sed 's/.*"lastOffset":\([0-9]*\).*/\1/')," part
				[[ $shard = 0/3 ]] || ! grep -q '"rejected"' part
			done
			same "$(sed 's/.*"offset":\([0-9]*\),.*/\1 &/' parts | sort -n -k 1,1 | cut -d ' ' -f 2- | md5sum)" "$(records <whole | md5sum)"
		done
	done
	# Rejects have a stamp under the virtual clock.
	same "$(grep '"rejected"' whole | grep -v -c '"arriveMs":')" 0
}

@test "--to is included, and has the draws of the whole stream" {
	for i in {1..30}; do update "$i" "$i"; done >f
	whole=$(reader --clock virtual -s 5 f | records)
	same "$(reader --clock virtual -s 5 --from 3 --to 8 f | records)" "$(sed -n 4,9p <<<"$whole")"
	same "$(reader --clock virtual -s 5 --to 0 f | records)" "$(sed -n 1p <<<"$whole")"
	same "$(reader --clock virtual -s 5 --from 9 --to 8 f | records)" ''
}

@test "--strict exits 1 where something was rejected" {
	{
		update a 1
		echo x
	} >f
	run --separate-stderr reader -a none --strict f
	[[ $status = 1 && ${lines[-1]} = *'"read":2,'*'"complete":true'* ]]
	run --separate-stderr reader -a none f
	[[ $status = 0 ]]
	run --separate-stderr reader -a none --strict -n 1 f
	[[ $status = 0 ]]
}

@test "--follow reads on as the file grows, also where a line comes in pieces" {
	update a 1 >f
	reader -a none --follow f >out 2>err &
	pid=$!
	retry 100 told out 2
	printf '{"id":"b","acc' >>f
	sleep 0.1 # gives a wrong reader the time to take the half line
	printf '%s\n' 'ountType":"t","tokens":1,"callbackTimeMs":2,"version":1}' >>f
	retry 100 told out 3
	update c 1 >>f
	retry 100 told out 4
	kill $pid
	ended $pid
	[[ $(ids <out) = 'a b c ' && $(offsets <out) = '0 1 2 ' ]]
	tail -1 out | grep -q '"read":3,.*"complete":false'
	[[ ! -s err ]]
}

@test "--follow waits for an empty file to be written" {
	: >f
	reader -a none --follow f >out &
	pid=$!
	retry 100 told out 1
	update a 1 >>f
	retry 100 told out 2
	kill $pid
	ended $pid
}

@test "--follow finishes a renamed file, then goes on with the new one" {
	mkdir d
	update a 1 >d/f
	ln -s d/f link
	reader -a none --follow link >out 2>err &
	pid=$!
	retry 100 told out 2
	update b 1 >>d/f
	mv d/f d/f.1
	update c 1 >>d/f.1
	update d 1 | tr -d '\n' >>d/f.1 # whole, but without its newline
	update e 1 >new
	mv new d/f
	retry 100 told out 6
	update f 1 >>d/f
	retry 100 told out 7
	[[ $(ids <out) = 'a b c d e f ' && $(offsets <out) = '0 1 2 3 4 5 ' ]]
	# And once more, by a name that is free for a while.
	mv d/f d/f.2
	update g 1 >>d/f.2
	retry 100 told out 8
	update h 1 >d/f
	retry 100 told out 9
	kill $pid
	ended $pid
	[[ $(ids <out) = 'a b c d e f g h ' ]]
	grep -q 'is another file now' err
}

# follows: starts reader on f, which has the update a.
follows() {
	reader -a none --follow "${1:-f}" >out 2>err &
	pid=$!
	retry 100 emitted_ids 'a '
}

# emitted_ids IDS: whether these were emitted, in order.
emitted_ids() {
	[[ $(ids <out) == "$1" ]]
}

@test "--follow: a producer that goes on writing to the renamed file loses nothing" {
	update a 1 >f
	follows
	exec 9>>f
	mv f f.1
	update z 1 >f
	for id in b c d e; do
		sleep 0.4 # the producer is told of the rotation late
		update $id 1 >&9
	done
	retry 100 emitted_ids 'a b c d e z '
	run ! grep ' warn ' err
	# What comes even later is said.
	update f 1 >&9
	exec 9>&-
	retry 100 grep -q "$(update f 1 | wc -c) bytes were written to the file that was at \"f\" before" err
	kill $pid
	ended $pid
}

@test "--follow: a successor that cannot be opened yet is said, tried again, and ends with 111" {
	((EUID)) || skip 'root opens everything'
	update a 1 >f
	follows
	mv f f.1
	(umask 777 && : >f)
	retry 100 grep -q 'cannot be opened: Permission denied; trying again' err
	chmod 600 f
	update b 1 >f
	retry 100 emitted_ids 'a b '
	same "$(grep -c 'cannot be opened' err)" 1
	kill $pid
	ended $pid
}

@test "--follow: links that are turned, also in the middle of the path" {
	mkdir -p logs/one logs/two
	update a 1 >logs/one/f
	ln -s one logs/current
	follows logs/current/f
	update b 1 >logs/two/f
	ln -sfn two logs/current
	retry 100 emitted_ids 'a b '
	update c 1 >>logs/two/f
	retry 100 emitted_ids 'a b c '
	kill $pid
	ended $pid
	# A link to the file itself, and back.
	update a 1 >f1
	update b 1 >f2
	ln -s f1 link
	follows link
	ln -sfn f2 link
	retry 100 emitted_ids 'a b '
	kill $pid
	ended $pid
}

@test "--follow: a link that is turned to an unknown folder is not missed silently" {
	mkdir -p known/deep elsewhere
	update a 1 >known/deep/f
	ln -s known/deep/f link
	mkdir links && ln -s "$PWD/known/deep/f" links/f
	follows links/f
	update b 1 >elsewhere/f
	ln -sfn "$PWD/elsewhere/f" links/f
	said() { emitted_ids 'a b ' || grep -q 'cannot be opened: Permission denied' err; }
	retry 100 said
	kill $pid
	ended $pid
}

@test "--follow: a file that is copied and cut off, whatever it has grown to by then" {
	for i in {1..5}; do update "a$i" 1; done >f
	reader -a none --follow f >out 2>err &
	pid=$!
	retry 100 emitted_ids 'a1 a2 a3 a4 a5 '
	# Seen before it grows, and only when it is longer than before; with lines that were written since the last look.
	kill -STOP $pid
	update b 1 >>f
	cp f f.1
	: >f
	kill -CONT $pid
	retry 100 emitted_ids 'a1 a2 a3 a4 a5 b '
	update c 1 >>f
	retry 100 emitted_ids 'a1 a2 a3 a4 a5 b c '
	kill -STOP $pid
	update d 1 >>f
	mv f.1 f.2
	cp f f.1
	for i in {1..9}; do update "e$i" 1; done >f
	kill -CONT $pid
	retry 100 emitted_ids "a1 a2 a3 a4 a5 b c d $(printf 'e%d ' {1..9})"
	run ! grep ' warn ' err
	# Without a copy it is said, and what is there is read.
	update g 1 >f
	retry 100 emitted_ids "a1 a2 a3 a4 a5 b c d $(printf 'e%d ' {1..9})g "
	grep -q '"f" was cut off or written anew, and no copy of it is in its folder' err
	kill $pid
	ended $pid
}

@test "--follow sees what inotify does not say" {
	command -v strace >/dev/null || skip 'no strace'
	update a 1 >f
	strace -qq -D -o trace -e trace=inotify_init1 -e inject=inotify_init1:error=EMFILE reader -a none --follow f >out 2>err &
	pid=$!
	retry 100 emitted_ids 'a '
	update b 1 >>f
	retry 100 emitted_ids 'a b '
	mv f f.1
	update c 1 >f
	retry 100 emitted_ids 'a b c '
	kill $pid
	ended $pid || :
}

@test "--follow says when a file came and went unseen" {
	update a 1 >f
	reader -a none --follow f >out 2>err &
	pid=$!
	retry 100 told out 2
	# Each seen: nothing to say.
	for id in b c; do
		mv f f.1
		update $id 1 >f
		retry 100 grep -q "\"id\":\"$id\"" out
	done
	run ! grep ' warn ' err
	kill -STOP $pid
	mv f f.1
	update d 1 >f
	mv f f.2
	update e 1 >f
	kill -CONT $pid
	retry 100 grep -q '"id":"e"' out
	kill $pid
	ended $pid
	[[ $(ids <out) = 'a b c e ' ]]
	grep -q ' warn reader.* 2 files were at "f" since the one that was read to its end' err
}

@test "--follow refuses what cannot be followed" {
	{
		update a 1
		update b 1
	} >f
	refuses '--follow wants a file, not standard input' --follow
	refuses '--follow wants a file, not standard input' --follow -
	refuses '--follow wants one file, not 2' --follow f f
	refuses '--arrival offset reads the input to its end first' --follow -a offset f
	refuses '--follow wants a regular file' --follow /dev/null
	echo '[]' >array
	run --separate-stderr timeout 20 reader -a none --follow array
	[[ $status = 100 && $stderr = *'an array cannot be followed'* ]]
}

@test "a stop while waiting for an arrival ends with what was told" {
	{
		update a 1
		update b 1
	} >f
	for signal in TERM INT; do
		rm -f out
		env --default-signal=INT reader -D 3600000:3600000 --catch-up-to 0 f >out &
		pid=$!
		retry 100 told out 2
		kill -$signal $pid
		ended $pid
		[[ $(tail -1 out) = *'"event":"end"'*'"read":1,'*'"complete":false'* ]]
	done
}

@test "a stop tells what was read first" {
	mkfifo p
	reader -a none p >out &
	pid=$!
	exec 9>p
	{
		update a 1
		update b 1
		printf '{"half'
	} >&9
	retry 100 told out 3
	update x 1 | sed 's/^/":1}\n/' >&9
	kill -TERM $pid
	ended $pid
	exec 9>&-
	[[ $(tail -1 out) = *'"complete":false'* ]]
	[[ $(records <out | wc -l) = $(tail -1 out | sed 's/.*"read":\([0-9]*\).*/\1/') ]]
}

@test "a stop is heard while a named pipe has no writer" {
	mkfifo p
	reader -a none p >out &
	pid=$!
	retry 100 told out 1
	kill -TERM $pid
	ended $pid
	[[ $(tail -1 out) = *'"read":0,'*'"complete":false'* ]]
}

@test "a consumer that stands still: one signal waits for it, the second does not" {
	for i in {1..5000}; do update "$i" "$i"; done >f
	mkfifo p
	reader -a none f >p &
	pid=$!
	exec 9<p
	# Once it has read so much it has more to tell than the pipe holds.
	has_read() { (($(sed -n 's/^rchar: //p' "/proc/$pid/io") > 100000)); }
	retry 100 has_read
	kill -TERM $pid
	# That it goes on waiting can only be seen by giving it time to end.
	sleep 0.2
	run gone $pid
	[[ $status = 1 ]]
	kill -TERM $pid
	status=0
	ended $pid || status=$?
	exec 9<&-
	[[ $status = 143 ]]
}

@test "a full disk is a temporary error, a consumer that leaves an ordinary end" {
	update a 1 >f
	run --separate-stderr bash -c 'reader -a none f >/dev/full'
	[[ $status = 111 && $stderr = *'could not write standard output: No space left on device'* ]]
	run --separate-stderr bash -c 'reader -a none f >&-'
	[[ $status = 111 && $stderr = *'could not write standard output: Bad file descriptor'* ]]
	run --separate-stderr bash -c 'set -o pipefail; for i in {1..9999}; do echo 1; done | { reader -a none; echo "status $?" >&2; } | head -1'
	[[ $stderr = 'status 0' ]]
	# Also while it waits, for time or for input.
	run --separate-stderr timeout 20 bash -c '{ reader -D 3600000:3600000 f; echo "status $?" >&2; } | head -1'
	[[ $status = 0 && $stderr = 'status 0' ]]
	run --separate-stderr timeout 20 bash -c '{ reader -a none --follow f; echo "status $?" >&2; } | head -1'
	[[ $status = 0 && $stderr = 'status 0' ]]
}

@test "closed standard input is an error, not another file" {
	run --separate-stderr bash -c 'reader -a none <&-'
	[[ $status = 111 && $stderr = *'could not read "-": Bad file descriptor'* ]]
}

@test "a format in configuration or environment counts on a terminal only" {
	update a 7 >f
	printf 'format: text\n' >c.yaml
	ok reader -c c.yaml -a none f
	has '"id":"a"'
	ACCTFLOW_FORMAT=text reader -a none f | grep -q '"id":"a"'
	reader -c c.yaml -a none --format text f | grep -q 'update a v7'
	command -v script >/dev/null || skip "no script(1)"
	ACCTFLOW_FORMAT=json script -qec "reader -a none f" /dev/null </dev/null | grep -q '"id":"a"'
}

@test "lines for people on a terminal or by --format text" {
	{
		update a 7
		printf 'x\033\n'
	} >f
	run --separate-stderr reader -a none --format text f
	[[ ${lines[0]} = ??:??:??.???\ begin\ * && ${lines[1]} = *'update a v7 t, 1 tokens'* ]]
	[[ ${lines[2]} = *'rejected line 2: '*'x\u001b' && ${lines[3]} = *'end '*'(2 read)' ]]
	command -v script >/dev/null || skip "no script(1)"
	on_terminal() { env -u NO_COLOR script -qec "reader -a none $* f" /dev/null </dev/null; }
	on_terminal | grep -q 'update.* a v7'
	on_terminal | grep -q $'\033\[31mrejected'
	NO_COLOR=1 script -qec "reader -a none f" /dev/null </dev/null | { ! grep -q $'\033'; }
	on_terminal --format json | grep -q '"id":"a"'
}

@test "memory does not grow with the input" {
	[[ ! ${ACCTFLOW_SANITIZED-} ]] || skip 'the sanitizers have a memory of their own'
	command -v perl >/dev/null || skip "no perl"
	# 64 MB of records of 64 KB in 20 MB of address space.
	perl -e '$u = q({"id":"a","accountType":"t","tokens":1,"callbackTimeMs":2,"version":1,"data":") . "x" x 64000 . q("});
		print "[$u"; print ",\n$u" for 1 .. 999; print "]"' >f
	run --separate-stderr bash -c 'ulimit -v 20000; reader -a none f | tail -1'
	[[ $status = 0 && $output = *'"read":1000,'*'"complete":true'* ]]
}

@test "the sample: its updates and its rejects" {
	run --separate-stderr reader -a none "$root/data/challenge-input.json"
	[[ $status = 0 && ${lines[-1]} = *'"complete":true'* ]]
	grep -q '"event":"rejected".*"reason":"version: missing"' <<<"$output"
	real=$root/../shared/data/challenge-input.json
	[[ -f $real ]] || skip "the real input is not here"
	run --separate-stderr reader -a none "$real"
	[[ ${lines[-1]} = *'"read":124,'*'"complete":true'* && $(grep -c '"reason":"version: missing"' <<<"$output") = 5 ]]
}
