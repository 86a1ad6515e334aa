#!/usr/bin/env bats
# kafka-reader by itself, and reader behind it.
# shellcheck disable=SC2030,SC2031,SC2154,SC2317 # helper and bats set them; functions for retry
load helper
load fakes
load kafka

setup() {
	kafka_begin
}

teardown() {
	kafka_end
}

# --- kafka-reader alone

# emits [OPTION...]: partition 0 of t. It may take long, but not for ever.
# shellcheck disable=SC2120 # options of its own
emits() {
	timeout -s KILL $((30 * ${PATIENCE:-5})) kafka-reader "$@" "kafka://$brokers/t/0"
}

# emitting [OPTION...]: in the background, into out; its pid is $started.
emitting() {
	rm -f kafka-reader.metrics
	ACCTFLOW_METRICS=$BATS_TEST_TMPDIR kafka-reader "$@" "kafka://$brokers/t/0" >>out 2>>err 3>&- &
	started=$!
	retry 100 test -s kafka-reader.metrics
}

# stopped CODE: asks it to stop.
stopped() {
	kill -TERM "$started"
	finished "$1"
}

# out_has N: whether it emitted so many messages.
out_has() {
	(($(grep -c '"offset":' out) == $1))
}

# payloads FIRST LAST: what loaded has put there.
payloads() {
	seq "$1" "$2" | sed 's/.*/"payload":"m&"/'
}

# loaded FIRST LAST [PARTITION]
loaded() {
	seq "$1" "$2" | sed 's/^/m/' >in
	broker load t "${3-0}" in
}

shown_payloads() {
	grep -o '"payload":[^}]*' <<<"$output"
}

@test "kafka-reader: an envelope for each kind of key, header and payload" {
	broker_start
	broker topic t 1
	broker send t 0 1700000000123 k 'a=1;b=2' '{"id":"x"}'
	broker send t 0 253402300799999 - - -
	broker send t 0 1 '' '' ''
	broker send t 0 1 '"\\\n\t\x01\x7fé\x00' 'a=1;b;c=\xff;a=2;é="' 'p"\\\n\x0d'
	broker send t 0 1 '\xff\xfe' 'n=1;n' '{"a":"\xff"'
	broker send t 0 1 - - '{\n "a" : [1,\x0d\n18446744073709551615, "\\n"] }\n'
	for payload in '{"base64":"AA=="}' 5 '"x"' null ' {}' '{"a":1' '[1, 2]' '{"a":1}{"b":2}' '{"base64x":1}' '[' '{"a":"\\u0000\\ud800"}'; do
		broker send t 0 1 - - "$payload"
	done
	broker skip t 0 4611686018427387904
	broker send t 0 2 - - last
	broker send t 0 2 - - '{"a":"\xff"}'
	ok emits --until end
	cat >want <<-'JSON'
		{"topic":"t","partition":0,"offset":0,"timestamp":1700000000123,"key":"k","headers":{"a":"1","b":"2"},"payload":{"id":"x"}}
		{"topic":"t","partition":0,"offset":1,"timestamp":253402300799999,"key":null,"payload":null}
		{"topic":"t","partition":0,"offset":2,"timestamp":1,"key":"","headers":{"":null},"payload":""}
		{"topic":"t","partition":0,"offset":3,"timestamp":1,"key":"\"\\\n\t\u0001é\u0000","headers":{"b":null,"c":{"base64":"/w=="},"a":"2","é":"\""},"payload":"p\"\\\n\r"}
		{"topic":"t","partition":0,"offset":4,"timestamp":1,"key":{"base64":"//4="},"headers":{"n":null},"payload":{"base64":"eyJhIjoi/yI="}}
		{"topic":"t","partition":0,"offset":5,"timestamp":1,"key":null,"payload":{"a":[1,18446744073709551615,"\n"]}}
		{"topic":"t","partition":0,"offset":6,"timestamp":1,"key":null,"payload":"{\"base64\":\"AA==\"}"}
		{"topic":"t","partition":0,"offset":7,"timestamp":1,"key":null,"payload":"5"}
		{"topic":"t","partition":0,"offset":8,"timestamp":1,"key":null,"payload":"\"x\""}
		{"topic":"t","partition":0,"offset":9,"timestamp":1,"key":null,"payload":"null"}
		{"topic":"t","partition":0,"offset":10,"timestamp":1,"key":null,"payload":" {}"}
		{"topic":"t","partition":0,"offset":11,"timestamp":1,"key":null,"payload":"{\"a\":1"}
		{"topic":"t","partition":0,"offset":12,"timestamp":1,"key":null,"payload":[1, 2]}
		{"topic":"t","partition":0,"offset":13,"timestamp":1,"key":null,"payload":"{\"a\":1}{\"b\":2}"}
		{"topic":"t","partition":0,"offset":14,"timestamp":1,"key":null,"payload":{"base64x":1}}
		{"topic":"t","partition":0,"offset":15,"timestamp":1,"key":null,"payload":"["}
		{"topic":"t","partition":0,"offset":16,"timestamp":1,"key":null,"payload":{"a":"\u0000\ud800"}}
		{"topic":"t","partition":0,"offset":4611686018427387921,"timestamp":2,"key":null,"payload":"last"}
		{"topic":"t","partition":0,"offset":4611686018427387922,"timestamp":2,"key":null,"payload":{"a":"XX"}}
		{"event":"end","complete":true}
	JSON
	sed -i 's/XX/\xff/' want
	same "$output" "$(<want)"
	ok emits --from 4611686018427387921 --until end
	same "$output" "$(tail -n 3 want)"
}

@test "kafka-reader: --from, --until and --check bound what is read" {
	broker_start
	broker topic t 2
	loaded 0 9
	# between FIRST LAST OPTION...
	between() {
		ok emits "${@:3}"
		same "$(shown_payloads)" "$(payloads "$1" "$2")"
		same "${lines[-1]}" '{"event":"end","complete":true}'
	}
	between 0 9 --until end
	between 4 9 --from 4 --until end
	between 4 5 --from 4 --until 6
	between 1 0 --from 4 --until 4
	between 1 0 --from 4 --until 2
	between 1 0 --from 10 --until end
	# The message to compare comes first, be it the only one.
	between 2 5 --from 4 --check 2:7 --until 6
	between 3 3 --from 4 --check 3:7 --until 4
	between 9 9 --from 10 --check 9:7 --until end
	# What was committed, and not delivered, is compared on the way.
	between 4 9 --from 4 --check 7:7 --until end
	ok timeout 100 kafka-reader --until end "kafka://$brokers/t/1"
	same "$output" '{"event":"end","complete":true}'
	ok timeout 100 kafka-reader --list "kafka://$brokers/t"
	same "$output" $'0 0 10\n1 0 0'
}

@test "kafka-reader: without --until it waits for what comes, and ends by TERM" {
	broker_start
	broker topic t 1
	loaded 0 2
	emitting
	retry 100 out_has 3
	loaded 3 5
	retry 100 out_has 6
	stopped 0
	same "$(shown_payloads)" "$(payloads 0 5)"
	same "$(tail -n 1 out)" '{"event":"end","complete":false}'
	same "$stderr" ''
	# Nothing has come yet.
	broker topic t 0
	broker topic t 1
	rm out
	emitting
	stopped 0
	same "$output" '{"event":"end","complete":false}'
}

@test "kafka-reader: what is wrong in its arguments: 100, and what is wanted" {
	for address in '' kafka://h:1 kafka://h:1/t kafka:///t/0 kafka://h:1/t/x kafka://h:1/t/-1 kafka://h:1/t/0/1 kafka://h:1//0 \
		kafka://h:1/t/2147483648 http://h:1/t/0 h:1/t/0 kafka://me:secret@h:1/t/0 'kafka://h:1/t t/0'; do
		fails 100 timeout 100 kafka-reader "$address"
		err_has 'kafka://HOST:PORT,…/TOPIC/PARTITION is wanted; a password belongs into a --properties file'
	done
	fails 100 timeout 100 kafka-reader --list kafka://h:1/t/0
	err_has 'kafka://HOST:PORT,…/TOPIC is wanted'
	fails 100 timeout 100 kafka-reader
	err_has 'one partition is wanted'
	fails 100 timeout 100 kafka-reader kafka://h:1/t/0 kafka://h:1/t/1
	err_has 'one partition is wanted'
	for option in --from=-1 --from=x --until=x --until=-1 --check=x --check=:5 --from=9223372036854775807; do
		fails 100 timeout 100 kafka-reader $option kafka://h:1/t/0
		err_has "${option%%=*}"
	done
}

@test "kafka-reader: properties go to librdkafka, and a wrong one is told with its line" {
	broker_start
	broker topic t 1
	loaded 0 2
	printf '%s\n' '# who we are' '' '! old style' ' client.id = somebody ' $'fetch.wait.max.ms=10\r' 'ssl.ca.location=' >properties
	ok emits --properties properties --until end
	same "$(shown_payloads)" "$(payloads 0 2)"
	# They count: nobody speaks TLS there.
	echo 'security.protocol=ssl' >properties
	emitting --properties properties
	retry 100 grep -q 'no broker of .* answers: .*SSL' err
	stopped 0
	while IFS='|' read -r line why; do
		printf '\n%b\n' "$line" >properties
		fails 100 timeout 100 kafka-reader --properties properties kafka://h:1/t/0
		err_has "\"properties\" line 2: $why"
	done <<-'END'
		no.such.name=1|No such configuration property: "no.such.name"
		client.id|name=value is wanted
		=x|
		session.timeout.ms=x|
		security.protocol=carrier pigeon|
		bootstrap.servers=h:2|kafka-reader sets bootstrap.servers itself
		 group.id = g|kafka-reader sets group.id itself
		enable.auto.commit=true|kafka-reader sets enable.auto.commit itself
		auto.commit.enable=true|kafka-reader sets auto.commit.enable itself
		auto.offset.reset=latest|kafka-reader sets auto.offset.reset itself
	END
	fails 100 timeout 100 kafka-reader --properties nowhere kafka://h:1/t/0
	err_has 'could not open properties file "nowhere": No such file'
	# A password is not shown.
	printf '%s\n' 'sasl.mechanisms=PLAIN' 'sasl.username=me' 'sasl.password=hunter2' 'security.protocol=sasl_plaintext' >properties
	emitting --properties properties --log-level trace
	retry 100 grep -q 'no broker of' err
	stopped 0
	run ! grep -r hunter2 out err
}

@test "kafka-reader: a topic or a partition that does not exist" {
	broker_start
	broker topic t 2
	echo topic.metadata.propagation.max.ms=500 >quick
	export ACCTFLOW_PROPERTIES=$PWD/quick
	fails 100 timeout 100 kafka-reader "kafka://$brokers/none/0"
	err_has 'topic "none" does not exist, or has no partition 0'
	fails 100 timeout 100 kafka-reader "kafka://$brokers/t/2"
	err_has 'topic "t" does not exist, or has no partition 2'
	fails 100 timeout 100 kafka-reader --list "kafka://$brokers/none"
	err_has 'topic "none" does not exist'
	# It was there, and goes.
	emitting
	loaded 0 0
	retry 100 out_has 1
	broker topic t 0
	finished 111
	err_has 'topic "t" is gone, at least for a moment'
	hasnt '"event":"end"'
}

@test "kafka-reader: its consumer goes" {
	broker_start
	broker topic t 1
	loaded 0 9
	status=0
	# shellcheck disable=SC2119
	emits 2>err | head -n 1 >out || status=$?
	same "${PIPESTATUS[0]}$status" 00
	same "$(<err)" ''
	# Also where nothing comes any more.
	mkfifo pipe
	emitting_into() { kafka-reader "kafka://$brokers/t/0" >pipe 2>err 3>&- & }
	emitting_into
	started=$!
	head -n 10 pipe >out
	finished 0
}

@test "kafka-reader: nobody reads its output: it takes no more memory than it may" {
	[[ ! ${ACCTFLOW_SANITIZED-} ]] || skip 'the sanitizers take memory of their own'
	broker_start
	broker topic t 1
	perl -e 'print "x" x 999, "\n" for 1 .. 60000' >in
	broker load t 0 in
	mkfifo pipe
	exec 5<>pipe
	kafka-reader "kafka://$brokers/t/0" >pipe 2>err 3>&- 5>&- &
	started=$!
	# Until it has been the same ten times.
	size='' times=0
	settled() {
		local now
		now=$(awk '/^VmRSS/ { print $2 }' "/proc/$started/status")
		[[ $now == "$size" ]] && ((now > 10000)) || { size=$now times=0 && return 1; }
		((++times >= 10))
	}
	retry 300 settled
	((size < 45000))
	# All of it comes, once somebody reads.
	head -n 60000 <&5 | tail -n 1 >out
	grep -q '"offset":59999,' out
	stopped 0
}

@test "kafka-reader: no broker answers: that is said once, and it goes on when one does" {
	broker_start
	broker topic t 1
	loaded 0 4
	broker down all
	for when in start middle; do
		[[ $when == middle ]] || emitting
		retry 100 grep -q 'no broker of .* answers: .*; waiting' err
		broker up all
		retry 100 grep -q 'a broker of .* answers again after' err
		if [[ $when == start ]]; then
			retry 100 out_has 5
			same "$(grep -c 'no broker of' err)" 1
			: >err
			broker down all
		fi
	done
	loaded 5 9
	retry 100 out_has 10
	stopped 0
	same "$(grep -c 'no broker of' <<<"$stderr")" 1
	same "$(shown_payloads)" "$(payloads 0 9)"
}

@test "kafka-reader: offsets that are gone are named, and passed over only where that is accepted" {
	broker_start
	broker topic t 1
	loaded 0 9
	broker truncate t 0 5
	fails 100 emits --from 2 --until end
	err_has 'offsets 2 to 4 of t/0 are gone: the partition begins at 5 now; --accept-gap goes on there'
	same "$output" ''
	ok emits --from 2 --until end --accept-gap
	err_has 'offsets 2 to 4 of t/0 are gone, which was accepted'
	same "${lines[0]}" '{"topic":"t","partition":0,"offset":4,"gap":{"from":2,"to":4}}'
	same "$(shown_payloads)" "$(payloads 5 9)"
	# What was never read is not missed; nor is the message to compare.
	ok emits --until end
	same "$(shown_payloads)" "$(payloads 5 9)"
	ok emits --from 5 --check 4:7 --until end
	same "$(shown_payloads)" "$(payloads 5 9)"
	ok emits --from 5 --accept-gap --until end
	hasnt gap
	# All of it is gone.
	broker truncate t 0 10
	fails 100 emits --from 9 --until end
	err_has 'offsets 9 to 9 of t/0 are gone: the partition begins at 10 now'
	ok emits --from 10 --check 9:7 --until end
	same "$output" '{"event":"end","complete":true}'
	ok emits --from 3 --accept-gap --until end
	same "$output" '{"topic":"t","partition":0,"offset":9,"gap":{"from":3,"to":9}}
{"event":"end","complete":true}'
}

@test "kafka-reader: a partition that ends before what was read is refused" {
	broker_start
	broker topic t 1
	loaded 0 9
	for options in '--from 20' '--from 20 --until end' '--from 20 --accept-gap' '--from 3 --check 19:7'; do
		# shellcheck disable=SC2086 # a word each
		fails 100 emits $options
		err_has 'offsets 10 to 19 of t/0 were read before, and the partition ends at 10 now: it lost them, or the topic was made anew'
		same "$output" ''
	done
	# It is so while it is read.
	emitting
	retry 100 out_has 10
	broker topic t 0
	broker topic t 1
	retry 300 gone "$started"
	status=0
	wait "$started" || status=$?
	started=''
	[[ $status == 100 || $status == 111 ]]
	run ! grep -q '"event":"end"' out
}

# --- reader behind it

# envelope OFFSET [PARTITION [TOPIC]]: with an update.
envelope() {
	printf '{"topic":"%s","partition":%d,"offset":%d,"payload":{"id":"a%d","accountType":"t","tokens":%d,"callbackTimeMs":null,"version":%d}}\n' \
		"${3-t}" "${2-0}" "$1" $(($1 % 7)) "$1" $(($1 + 1))
}

# offsets: those that were emitted, in one line.
offsets() {
	grep -o '"offset":[0-9]*' <<<"$output" | tr -dc '0-9\n' | tr '\n' ' '
}

@test "reader --resume: input that stops without an end is a crash, one that says so ends" {
	envelope 5 >cut.in
	{ envelope 5 && echo '{"event":"end","complete":true}'; } >whole
	{ envelope 5 && echo '{"event":"end","complete":false}'; } >asked
	: >empty
	tail -n 1 whole >nothing
	for input in cut.in empty; do
		fails 111 reader --map kafka --resume --source s - <$input
		err_has 'the program feeding this one died (its input stopped without an'
		hasnt '"event":"end"'
		# Without --resume, as behind kcat, that is how it ends.
		ok reader --map kafka --source s - <$input
		has '"complete":true'
	done
	ok reader --map kafka --resume --source s - <whole
	same "$(offsets)" '5 '
	has '"read":1,"lastOffset":5,"complete":true'
	ok reader --map kafka --resume --source s - <asked
	has '"read":1,"lastOffset":5,"complete":false'
	ok reader --map kafka --resume --source s - <nothing
	has '"read":0,'
	has '"complete":true'
	# --count is an end, too.
	ok reader --map kafka --resume --source s --count 1 - <cut.in
	# What stands behind the end is not read.
	{ cat whole && envelope 6; } >more.in
	ok reader --map kafka --resume --source s - <more.in
	same "$(offsets)" '5 '
	# Whoever feeds it ends first.
	{ cat whole && until [[ -e go ]]; do sleep 0.05; done; } | reader --map kafka --resume --source s - >out 3>&- &
	retry 100 grep -q '"event":"end"' out
	if retry 1 gone "$!"; then false; fi
	: >go
	wait "$!"
	for map in '' '--map debezium'; do
		# shellcheck disable=SC2086 # a word each
		fails 100 reader $map --resume --source s - <whole
		err_has '--resume is for a map that gives each record its offset'
	done
	# An update of another format that looks like an end is none.
	printf '%s\n' '{"event":"end","complete":true}' '{"id":"a","accountType":"t","tokens":1,"callbackTimeMs":null,"version":1}' >in
	ok reader --arrival none --source s in
	has '"read":2,'
}

@test "reader: a record of another partition ends it" {
	{ envelope 5 3 && envelope 6 3 && envelope 7 4; } >in
	for source in kafka:main/t/3 'kafka:main/t/3#2' kafka:a-b/t/3; do
		fails 100 reader --map kafka --source "$source" - <in
		err_has 'line 3 is a record of "t/4", which is not this source'"'"'s partition'
		same "$(offsets)" '5 6 '
		hasnt '"event":"end"'
	done
	fails 100 reader --map kafka --source kafka:main/u/3 - <in
	err_has 'line 1 is a record of "t/3"'
	fails 100 reader --map kafka --source kafka:main/t/33 - <in
	# Other names say nothing about a partition, and some records do not either.
	ok reader --map kafka --source t/3 - <in
	same "$(offsets)" '5 6 7 '
	{ envelope 5 3 && echo '{"offset":6}' && echo x && envelope 9 3; } >in
	ok reader --map kafka --source kafka:main/t/3 - <in
	same "$(offsets)" '5 6 7 9 '
	# The end has no partition.
	{ envelope 5 3 && echo '{"event":"end","complete":true}'; } >in
	ok reader --map kafka --resume --source kafka:main/t/3 - <in
}

@test "reader --check: compared wherever it comes; a record that is gone is said, and no end" {
	for offset in 3 4 6 9; do envelope $offset; done >in
	# Behind --from, at it, and before it.
	for check in 6:1 4:1 3:1; do
		fails 100 reader --map kafka --source s --from 4 --check $check - <in
		err_has "its record at offset ${check%:*} is not what it was when it was read before"
	done
	for check in 5:1 7:1; do
		ok reader --map kafka --source s --from 4 --check $check - <in
		same "$(offsets)" '4 6 9 '
		err_has "the record at offset ${check%:*} is gone: whether this is the stream that was read before is not known"
	done
	# It begins behind it.
	ok reader --map kafka --source s --from 4 --check 2:1 - <in
	same "$(offsets)" '4 6 9 '
	err_has 'the record at offset 2 is gone'
	# It has not come yet: nothing is known against it where it was to be read now.
	ok reader --map kafka --source s --from 4 --check 12:1 - <in
	same "$(offsets)" '4 6 9 '
	fails 100 reader --map kafka --source s --from 13 --check 12:1 - <in
	err_has 'it ends before its record at offset 12, which was read before'
}

# --- where it ends

@test "kafka: what was read to its end is read to its end again, with nothing new in it" {
	broker_start
	broker topic t 1
	"$bin/generate" --updates 20 --unversioned 0 --lines >in
	broker load t 0 in
	"$bin/kafka-reader" --until end "kafka://$brokers/t/0" >all
	ok "$bin/kafka-reader" --from 20 --check 19:77 --until end "kafka://$brokers/t/0"
	same "$output" "$(sed -n '20,$p' all)"
	ok "$bin/kafka-reader" --from 20 --until end "kafka://$brokers/t/0"
	same "$output" '{"event":"end","complete":true}'
}

@test "kafka: a partition that keeps nothing of what was read is read to its end again" {
	broker_start
	broker topic t 1
	"$bin/generate" --updates 20 --unversioned 0 --lines >in
	broker load t 0 in
	broker truncate t 0 20
	"$bin/kafka-reader" --from 20 --check 19:77 --until end "kafka://$brokers/t/0" >all
	ok "$bin/reader" --resume --map kafka --source kafka:main/t/0 --from 20 --check 19:77 - <all
	err_has 'the record at offset 19 is gone'
	has '"event":"end"'
}

@test "kafka: an input that stops without an end is one whose kafka-reader died, wherever that was" {
	fails 111 "$bin/reader" --resume --map kafka --source kafka:main/t/0 --from 20 - </dev/null
	err_has 'died'
	# The partition has not changed because nothing of it came.
	fails 111 "$bin/reader" --resume --map kafka --source kafka:main/t/0 --from 20 --check 19:77 - </dev/null
	err_has 'died'
}

@test "kafka: who reads more slowly than the broker sends waits for nothing else" {
	broker_start
	broker topic t 1
	"$bin/generate" --updates 60000 --lines >in
	broker load t 0 in
	"$bin/kafka-reader" --until end "kafka://$brokers/t/0" |
		timeout $((4 * ${PATIENCE:-5})) perl -e 'while (sysread STDIN, my $b, 65536) { print $b; select undef, undef, undef, 0.01 if ++$n % 8 == 0 }' >out
	same "$(wc -l <out)" 60001
}

@test "kafka: a partition that has no leader for a while is waited for" {
	broker_start
	broker topic t 1
	"$bin/generate" --updates 20 --lines >in
	broker load t 0 in
	broker leader t 0 -1
	"$bin/kafka-reader" --until end "kafka://$brokers/t/0" >out 2>err 3>&- &
	retry 100 grep -q 'Leader not available; waiting' err
	broker leader t 0 1
	wait $!
	same "$(wc -l <out) $(grep -c warn err)" '21 1'
}
