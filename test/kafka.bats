#!/usr/bin/env bats
# Kafka: the broker that these tests use; kafka-reader alone, with reader, and under the supervisor; kcat in its place.
# shellcheck disable=SC2030,SC2031,SC2154,SC2317 # helper and bats set them; functions for retry
load helper
load kafka
load http
load fakes

setup() {
	cd "$BATS_TEST_TMPDIR" || return
	started=''
}

teardown() {
	[[ ! $started ]] || kill -KILL "$started" 2>/dev/null || :
	broker_stop
	exec 5>&-
	database_drop
}

# fetch OFFSET [ARGUMENT...]: what stands in partition 0 of t from there to its end, as `offset key payload`.
fetch() {
	kcat -C -b "$brokers" -t t -p 0 -o "$1" -e -q -X topic.auto.offset.reset=error -X fetch.wait.max.ms=10 \
		-f '%o %k %s\n' "${@:2}"
}

needs_kcat() {
	command -v kcat >/dev/null || skip 'there is no kcat'
}

@test "kafka: a file is loaded, a line a message, in order" {
	needs_kcat
	broker_start
	broker topic t 2
	seq 1000 >in
	broker load t 0 in
	broker_has t 0 '0 1000'
	broker_has t 1 '0 0'
	ok fetch 990
	same "$output" "$(paste -d ' ' <(seq 990 999) <(seq 991 1000) | sed 's/ /  /')"
}

@test "kafka: a message has its time, its key, its headers and its payload, byte for byte" {
	needs_kcat
	broker_start
	broker topic t 1
	broker send t 0 1700000000123 'k\x00\xff' 'a=1;a=\x3b\t;b;c=' 'p\n\\\x00'
	broker send t 0 0 - - -
	broker send t 0 0 '' - ''
	ok fetch 0 -f '%T %K %k %S %s.\n'
	kcat -C -b "$brokers" -t t -p 0 -o 0 -c 1 -e -q -f '%T %K %k %S %s' >out
	printf '1700000000123 3 k\0\377 4 p\n\\\0' | cmp - out
	kcat -C -b "$brokers" -t t -p 0 -o 0 -e -q -J >out
	head -n 1 out | grep -F '"headers":["a","1","a",";\t","b",null,"c",""]'
	grep -F '"key":null,"payload":null' out
	grep -F '"key":"","payload":""' out
}

@test "kafka: a living topic gets more partitions, and keeps what it has" {
	needs_kcat
	broker_start
	broker topic t 1
	broker send t 0 0 - - one
	broker topic t 3
	broker send t 2 0 - - two
	broker_has t 0 '0 1'
	broker_has t 2 '0 1'
	ok kcat -L -b "$brokers" -t t
	has 'topic "t" with 3 partitions'
	run broker topic t 2
	has 'error:'
}

@test "kafka: a topic is deleted and made anew, and nobody makes one by asking for it" {
	needs_kcat
	broker_start
	broker topic t 1
	broker send t 0 0 - - old
	broker topic t 0
	run broker send t 0 0 - - lost
	has 'error: no partition 0 of t'
	ok kcat -L -b "$brokers" -t t
	has 'topic "t" with 0 partitions: Broker: Unknown topic or partition'
	broker topic t 1
	broker_has t 0 '0 0'
	broker send t 0 0 - - new
	ok fetch 0
	same "$output" '0  new'
	fails 1 kcat -C -b "$brokers" -t none -p 0 -e -X allow.auto.create.topics=false
}

@test "kafka: what is before an offset is gone, and offsets are left out" {
	needs_kcat
	broker_start
	broker topic t 1
	seq 0 99 >in
	broker load t 0 in
	broker truncate t 0 40
	broker_has t 0 '40 100'
	fails 1 fetch 39
	err_has 'Offset out of range'
	ok fetch 40
	same "${#lines[@]} ${lines[0]}" '60 40  40'
	broker skip t 0 50
	broker send t 0 0 - - behind
	broker send t 0 0 - - last
	broker_has t 0 '40 152'
	for from in 99 100 120 149; do
		ok fetch $from
		same "${lines[-2]}, ${lines[-1]}" '150  behind, 151  last'
	done
	run broker truncate t 0 153
	has 'error: 153 is not within 40 and 152'
}

@test "kafka: whoever waits at the end sees what comes behind left out offsets" {
	needs_kcat
	broker_start
	broker topic t 1
	broker send t 0 0 - - first
	kcat -C -b "$brokers" -t t -p 0 -o 0 -c 40 -u -q -X fetch.wait.max.ms=1 -f '%o %s\n' >out 2>err 3>&- &
	retry 100 grep -q first out
	for ((i = 1; i < 40; i++)); do
		broker skip t 0 10
		broker send t 0 0 - - "$i"
	done
	wait $! || { cat err && false; }
	same "$(tail -n 1 out)" '429 39'
}

@test "kafka: brokers go and come, partitions change their leader, requests fail" {
	needs_kcat
	broker_start 3
	[[ $brokers == *,*,* ]]
	broker topic t 1
	broker leader t 0 2
	seq 10 >in
	broker load t 0 in
	ok kcat -L -b "$brokers" -t t
	has 'leader 2'
	broker down 2
	broker leader t 0 3
	ok fetch 9
	same "$output" '9  10'
	broker down all
	fails 1 kcat -L -b "$brokers" -m 1
	broker up all
	broker load t 0 in
	broker_has t 0 '0 20'
	# TOPIC_AUTHORIZATION_FAILED, for Fetch.
	broker error 1 29 1000
	run fetch 0
	has 'Topic authorization failed'
	broker error 1 29 0
	ok fetch 19
	broker rtt all 100
	ok fetch 19
}

@test "kafka: what is not a command is answered too" {
	broker_start
	run broker nothing
	has 'error: no such command: nothing'
	run broker topic t
	has 'error: topic takes 2 words'
	run broker load t 0 in
	has 'error: no partition 0 of t'
	broker topic t 1
	run broker load t 0 none
	has 'error: could not open "none"'
	printf 'topic t 2\nend t 1\n' | "${BUILD:-$root/build}/kafka-broker" >out
	same "$(tail -n 2 out)" $'ok\n0 0'
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

# --- under the supervisor

# updated FIRST LAST [PARTITION [CALLBACK_MS]]: numbered updates, as messages; the partition's accounts are its own.
updated() {
	local i p=${3-0}
	for ((i = $1; i <= $2; i++)); do
		printf '{"id":"p%d-%d","accountType":"t","tokens":%d,"callbackTimeMs":%s,"version":%d}\n' "$p" $((i % 7)) "$i" "${4-null}" $((i + 1))
	done >in
	broker load t "$p" in
}

# running OPTION...: a run of topic t in the background.
running() {
	start "$@" "kafka://$brokers/t"
}

# ran CODE OPTION...: a run to the end of topic t.
ran() {
	fails "$1" timeout -s KILL $((60 * ${PATIENCE:-5})) "$supervisor" run --until-end "${@:2}" "kafka://$brokers/t"
}

# told TEXT [N]: whether the run has printed it (N times). warned TEXT: whether it has said so.
told() {
	(($(grep -c -- "$1" out) >= ${2:-1}))
}

warned() {
	grep -q -- "$1" err
}

# indexed PARTITION N: whether the first N of that partition are indexed, each once.
indexed() {
	same "$(sql "SELECT count(*), count(DISTINCT source_offset), min(source_offset), max(source_offset), bool_and(version = source_offset + 1)
		FROM acctflow.account_updates WHERE source = 'kafka:main/t/$1'")" "$2|$2|0|$(($2 - 1))|t"
}

sources() {
	sql 'SELECT name, committed_offset, delivered_offset, read, indexed, rejected, complete FROM acctflow.sources ORDER BY name'
}

@test "run kafka://: each partition is a source, to the end that was seen; again it goes on there" {
	database
	broker_start
	broker topic t 4
	updated 0 99 0
	updated 0 9 1
	updated 0 0 3
	ran 0
	same "$(sources)" 'kafka:main/t/0|99|99|100|100|0|t
kafka:main/t/1|9|9|10|10|0|t
kafka:main/t/2|||0|0|0|t
kafka:main/t/3|0|0|1|1|0|t'
	indexed 0 100
	# Nothing new.
	ran 0
	hasnt '"event":"indexed"'
	same "$(sql 'SELECT sum(read) FROM acctflow.sources')" 111
	updated 100 104 0
	updated 0 2 2
	ran 0
	same "$(grep -c '"event":"indexed"' <<<"$output")" 8
	same "$(sources)" 'kafka:main/t/0|104|104|105|105|0|t
kafka:main/t/1|9|9|10|10|0|t
kafka:main/t/2|2|2|3|3|0|t
kafka:main/t/3|0|0|1|1|0|t'
	indexed 0 105
	# Another cluster's topic of that name is another source.
	ran 0 --cluster other
	same "$(sql "SELECT name, read FROM acctflow.sources WHERE name LIKE 'kafka:other/t/0'")" 'kafka:other/t/0|105'
}

@test "run kafka://: what comes while it runs is indexed; TERM stops it, and the next run fires what is pending" {
	database
	broker_start
	broker topic t 2
	updated 0 4 0 3600000
	running
	retry 300 told '"event":"indexed"' 5
	updated 5 9 0 3600000
	updated 0 4 1
	retry 300 told '"event":"indexed"' 15
	kill -TERM "$started"
	finished 0
	err_has 'asked to stop: finishing what was read'
	hasnt '"event":"fired"'
	same "$(sql "SELECT count(*) FROM acctflow.callbacks WHERE state = 'pending'")" 7
	# An hour later.
	for table in latest history; do sql "UPDATE acctflow.$table SET ingested_at = ingested_at - interval '1 hour'"; done
	ran 0
	same "$(grep -c '"event":"fired"' <<<"$output")" 7
	hasnt '"event":"indexed"'
	indexed 0 10
	indexed 1 5
}

@test "run kafka://: kafka-reader is killed, and nothing is lost or comes twice" {
	database
	broker_start
	broker topic t 1
	updated 0 9999
	running --log-level info
	for _ in 1 2 3; do
		pid=$(child kafka-reader)
		writer=$(child writer)
		# In the middle: nobody takes what it has.
		kill -STOP "$writer"
		kill -KILL "$pid"
		retry 300 gone "$pid"
		kill -CONT "$writer" 2>/dev/null || :
		another() { [[ $(awk '$1 == "kafka-reader" { print $2 }' "$ACCTFLOW_HOME/run/pipelines/0/pids" 2>/dev/null) != @(|"$pid") ]]; }
		retry 300 another
	done
	all_there() { [[ $(sql 'SELECT count(*) FROM acctflow.account_updates') == 10000 ]]; }
	retry 600 all_there
	kill -TERM "$started"
	finished 0
	err_has 'kafka-reader['
	err_has 'was killed by signal 9; starting again in'
	indexed 0 10000
	same "$(sql 'SELECT read, indexed, rejected, committed_offset = delivered_offset FROM acctflow.sources')" '10000|10000|0|t'
}

@test "run kafka://: messages that are gone are refused, the other partitions go on; --accept-gap is recorded" {
	database
	broker_start
	broker topic t 2
	updated 0 9 0
	updated 0 9 1
	ran 0
	updated 10 19 0
	updated 10 19 1
	broker truncate t 0 15
	ran 100
	err_has 'offsets 10 to 14 of t/0 are gone: the partition begins at 15 now; --accept-gap goes on there'
	indexed 0 10
	indexed 1 20
	ran 0 --accept-gap
	err_has 'offsets 10 to 14 of t/0 are gone, which was accepted'
	same "$(sources)" 'kafka:main/t/0|19|19|16|15|1|t
kafka:main/t/1|19|19|20|20|0|t'
	ok "$supervisor" rejected --format json
	same "${#lines[@]}" 1
	has '"offset":14'
	has '\"gap\":{\"from\":10,\"to\":14}'
	# That was it: neither the option nor the gap comes again.
	updated 20 21 0
	ran 0
	same "$(grep -c '"event":"indexed"' <<<"$output")" 2
	same "$(sql "SELECT count(*) FROM acctflow.account_updates WHERE source = 'kafka:main/t/0' AND version = source_offset + 1")" 17
}

@test "run kafka://: a topic that was made anew is refused, whatever it holds; --again reads it as #2" {
	database
	broker_start
	broker topic t 1
	updated 0 9
	ran 0
	# another N: another topic of that name, with other messages.
	another() {
		broker topic t 0
		broker topic t 1
		updated 1000 $((999 + $1))
		broker_has t 0 "0 $1"
	}
	another 4
	ran 100
	err_has 'offsets 4 to 9 of t/0 were read before, and the partition ends at 4 now: it lost them, or the topic was made anew'
	for n in 10 15; do
		another $n
		ran 100
		err_has 'the input has changed: its record at offset 9 is not what it was when it was read before'
	done
	indexed 0 10
	running
	finished 100
	err_has 'the input has changed'
	indexed 0 10
	ran 0 --again
	same "$(sources)" 'kafka:main/t/0|9|9|10|10|0|f
kafka:main/t/0#2|14|14|15|15|0|t'
	# It goes on there.
	updated 2000 2001
	ran 0
	same "$(sources)" 'kafka:main/t/0|9|9|10|10|0|f
kafka:main/t/0#2|16|16|17|17|0|t'
}

@test "run kafka://: a topic that is made anew while it is read is refused, too" {
	database
	broker_start
	broker topic t 1
	updated 0 9
	running
	retry 300 told '"event":"indexed"' 10
	broker topic t 0
	retry 300 grep -q 'is gone, at least for a moment' "$ACCTFLOW_HOME/log/acctflow.log"
	broker topic t 1
	updated 1000 1014
	finished 100
	err_has 'the input has changed: its record at offset 9 is not what it was'
	indexed 0 10
}

@test "run kafka://: a new partition is seen" {
	database
	broker_start
	broker topic t 1
	updated 0 4
	export ACCTFLOW_LIST_MS=300
	running --log-level info
	retry 300 told '"event":"indexed"' 5
	broker topic t 3
	updated 0 2 2
	retry 300 told '"event":"indexed"' 8
	updated 0 1 1
	retry 300 told '"event":"indexed"' 10
	kill -TERM "$started"
	finished 0
	err_has 'topic "t" has a new partition, 1'
	err_has 'topic "t" has a new partition, 2'
	indexed 1 2
	indexed 2 3
}

@test "run kafka://: no broker at the start, and none for a while" {
	database
	broker_start
	broker topic t 1
	updated 0 4
	broker down all
	running
	retry 300 warned 'no broker of .* answers: .*; waiting'
	broker up all
	retry 300 told '"event":"indexed"' 5
	broker down all
	twice() { (($(grep -c 'no broker of .* answers: .*; waiting' err) == 2)); }
	retry 300 twice
	broker up all
	updated 5 9
	retry 300 told '"event":"indexed"' 10
	# Stopped while there is none: nothing is lost by that.
	broker down all
	thrice() { (($(grep -c 'no broker of .* answers: .*; waiting' err) == 3)); }
	retry 300 thrice
	kill -TERM "$started"
	finished 0
	indexed 0 10
	# Nor while it waits for the first answer.
	running
	retry 300 warned 'no broker of'
	kill -TERM "$started"
	finished 0
	hasnt '"event":"indexed"'
}

@test "run kafka://: a topic that does not exist, and options that do not go with Kafka" {
	database
	broker_start
	broker topic t 1
	echo topic.metadata.propagation.max.ms=500 >quick
	fails 100 timeout -s KILL 300 "$supervisor" run --properties quick "kafka://$brokers/none"
	err_has 'topic "none" does not exist'
	wrong() {
		fails 100 timeout -s KILL 300 "$supervisor" run "${@:2}"
		same "$stderr" "supervisor: $1"
	}
	address=kafka://h:1/t
	for bad in kafka:// kafka://h:1 kafka://h:1/ kafka:///t kafka://h:1/t/0 kafka://me:secret@h:1/t 'kafka://h:1/t t'; do
		wrong "input \"$bad\": kafka://HOST:PORT,…/TOPIC is wanted; a password belongs into a --properties file" "$bad"
	done
	wrong '--shards is not for Kafka: each partition is a pipeline of its own' --shards 2 $address
	wrong '--follow is for files: a partition is read on without it' --follow $address
	wrong '--source is not for Kafka: a partition is the source kafka:CLUSTER/TOPIC/PARTITION; see --cluster' --source s $address
	wrong "input \"$address\" was given twice" $address $address
	wrong '--cluster: expected letters, digits, dots, dashes and underscores, not "a/b"' --cluster a/b $address
	wrong '--cluster: expected letters, digits, dots, dashes and underscores, not ""' --cluster '' $address
	for option in '--cluster c' '--properties quick' --until-end --accept-gap; do
		# shellcheck disable=SC2086 # a word each
		wrong "${option%% *} is for an INPUT kafka://HOST:PORT,…/TOPIC" $option "$root/data/challenge-input.json"
	done
}

@test "run kafka://: --properties goes to kafka-reader" {
	database
	broker_start
	broker topic t 1
	updated 0 4
	echo 'client.id=somebody' >properties
	ran 0 --properties properties
	indexed 0 5
	echo 'sasl.password' >properties
	ran 100 --properties properties
	err_has '"properties" line 1: name=value is wanted'
	ran 100 --properties nowhere
	err_has 'could not open properties file "nowhere"'
}

@test "run kafka://: a map of one's own: key, tombstones, headers, and the message's time" {
	database
	broker_start
	broker topic t 1
	cat >map.yaml <<-'END'
		id: /key
		accountType: t
		tokens: /payload/tokens
		version: /offset
		callbackTimeMs: null
		data: /headers
		trace: /headers/traceparent
		arriveMs: /timestamp
		deleted:
		  from: /payload
		  values: [null]
		offset: /offset
		partition:
		  join: [/topic, /partition]
		  separator: /
	END
	trace=00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01
	broker send t 0 1700000000123 k1 "traceparent=$trace;h=\\xff" '{"tokens":1}'
	broker send t 0 1700000000124 k2 - '{"tokens":18446744073709551615}'
	broker send t 0 1700000000999 k1 - -
	broker send t 0 1700000001000 '\xff' - '{"tokens":1}'
	broker send t 0 1700000001001 - - '{"tokens":1}'
	ran 0 --map ./map.yaml --arrival recorded --clock virtual --epoch 1970-01-01T00:00:00Z
	same "$(sql 'SELECT id, tokens, version FROM acctflow.accounts')" 'k2|18446744073709551615|1'
	same "$(sql 'SELECT id, version, deleted FROM acctflow.account_updates ORDER BY id, version')" 'k1|0|f
k1|2|t
k2|1|f'
	same "$(sql "SELECT count(*) FROM acctflow.rejects WHERE reason LIKE 'id: %(mapped from /key)'")" 2
	has "\"trace\":\"$trace\""
	has '"ingestedAt":"2023-11-14T22:13:20.123000Z"'
	has '"ingestedAt":"2023-11-14T22:13:20.999000Z"'
	ok "$supervisor" history k1 --format json
	has "$trace"
	has '{"traceparent":"'"$trace"'","h":{"base64":"/w=="}}'
}

@test "run kafka://: nothing is committed to Kafka; where a group is named, what Postgres has, and no more" {
	database
	broker_start
	broker topic t 1
	committed() { broker committed t 0 && [[ $answer == "$1" ]]; }
	# librdkafka would do so more often than ours.
	printf 'auto.commit.interval.ms=10\n' >properties
	updated 0 9
	running --properties properties
	retry 300 told '"event":"indexed"' 10
	kill -TERM "$started"
	finished 0
	committed none
	export ACCTFLOW_GROUP=g
	running --properties properties
	updated 10 19
	retry 300 committed 'g 20'
	# kafka-reader and reader have those, Postgres has not.
	writer=$(child writer)
	kill -STOP "$writer"
	updated 20 29
	lagging() { "$supervisor" status --format text | grep -q 'lag 10 records'; }
	retry 100 lagging
	committed 'g 20'
	kill -CONT "$writer"
	retry 300 committed 'g 30'
	kill -TERM "$started"
	finished 0
	indexed 0 30
	# It is for others to look at: we go on where Postgres is.
	unset ACCTFLOW_GROUP
	ran 0
	hasnt '"event":"indexed"'
}

# page_has PATH PATTERN: whether a line of it is that.
page_has() {
	port_read && get "$1" && grep -qE -- "$2" <<<"$page"
}

@test "run kafka://: the lag of each partition, while writer stands still; no broker is a reason not to be ready" {
	database
	export ACCTFLOW_LISTEN=127.0.0.1:0
	broker_start
	broker topic t 2
	updated 0 4 0
	updated 0 4 1
	running
	retry 300 told '"event":"indexed"' 10
	label() { echo "\\{source=\"kafka:main/t/$1\",shard=\"0/1\"\\}"; }
	for p in 0 1; do retry 300 page_has /metrics "^acctflow_lag_records$(label $p) 0$"; done
	retry 300 page_has /readyz '^ok$'
	frozen=''
	for p in 0 1; do
		grep -q '^kafka:main/t/0 ' "$ACCTFLOW_HOME/run/pipelines/$p/name" || continue
		frozen=$(awk '$1 == "writer" { print $2 }' "$ACCTFLOW_HOME/run/pipelines/$p/pids")
	done
	kill -STOP "$frozen"
	updated 5 20004 0
	updated 5 9 1
	retry 300 page_has /metrics "^acctflow_lag_records$(label 0) 20000$"
	retry 300 page_has /metrics "^acctflow_lag_seconds$(label 0) ([1-9]|0\\.[0-9]*[1-9])"
	retry 300 told '"event":"indexed"' 15
	retry 300 page_has /metrics "^acctflow_lag_records$(label 1) 0$"
	ok "$supervisor" status --format text
	has 'lag 20,000 records'
	[[ $output =~ kafka-reader\[[0-9]+\]:\ running,\ [0-9,]+\ messages\ behind ]]
	kill -CONT "$frozen"
	all_there() { [[ $(sql 'SELECT count(*) FROM acctflow.account_updates') == 20015 ]]; }
	retry 600 all_there
	retry 300 page_has /metrics "^acctflow_lag_records$(label 0) 0$"
	broker down all
	retry 600 page_has /readyz 'no Kafka broker has answered for '
	broker up all
	retry 300 page_has /readyz '^ok$'
	kill -TERM "$started"
	finished 0
	indexed 0 20005
}

# --- kcat in its place

# recipe: the one of doc/maps.md, for these brokers.
recipe() {
	awk '/^\*\*Kafka\.\*\*/ { on = 1 } on && /^    / { print; seen = 1 } seen && !/^    /  { exit }' "$root/doc/maps.md" |
		sed "s|BROKERS|$brokers|; s|\./supervisor|$supervisor|"
}

# piped COMMAND: runs it in the background; kcat's pid is then in kcat.pid.
piped() {
	rm -f kcat.pid
	bash -c "$1" >out 2>err 3>&- &
	started=$!
	retry 100 test -s kcat.pid
}

# piped_end: the run is stopped, kcat ended.
piped_end() {
	"$supervisor" stop
	kill -KILL "$(<kcat.pid)"
	wait "$started" || :
	started=''
}

@test "doc/maps.md: its recipe for kcat, and how it goes on" {
	needs_kcat
	database
	mkdir kcat.bin
	printf '#!/bin/sh\necho $$ >"%s"\nexec %s "$@"\n' "$PWD/kcat.pid" "$(command -v kcat)" >kcat.bin/kcat
	chmod +x kcat.bin/kcat
	PATH=$PWD/kcat.bin:$PATH
	broker_start
	broker topic accounts 4
	# fed FIRST LAST
	fed() {
		local i
		for ((i = $1; i <= $2; i++)); do update "a$i" $((i + 1)); done >in
		broker load accounts 3 in
	}
	update() { printf '{"id":"%s","accountType":"t","tokens":5,"callbackTimeMs":null,"version":%d}\n' "$1" "$2"; }
	stands() { same "$(sql 'SELECT name, committed_offset, delivered_offset, read, indexed, rejected FROM acctflow.sources')" "kafka:bank/accounts/3|$1"; }
	line=$(recipe)
	[[ $line == *kcat*' -o 0 '*supervisor*' run '* ]]
	fed 0 9
	broker send accounts 3 0 - - -
	piped "$line"
	retry 300 told '"event":"indexed"' 10
	retry 300 told '"event":"rejected"'
	fed 11 12
	retry 300 told '"event":"indexed"' 12
	piped_end
	stands '12|12|13|12|1'
	# Behind what status shows.
	fed 13 14
	ok "$supervisor" status --format json
	[[ $output =~ \"committed\":([0-9]+) ]]
	piped "${line/ -o 0 / -o $((BASH_REMATCH[1] + 1)) }"
	retry 300 told '"event":"indexed"' 2
	piped_end
	stands '14|14|15|14|1'
	# Or from anywhere before that.
	fed 15 15
	piped "$line"
	retry 300 told '"event":"indexed"' 1
	piped_end
	stands '15|15|16|15|1'
	# Another partition's records are no part of it.
	broker send accounts 2 0 - - '{"id":"x","accountType":"t","tokens":5,"callbackTimeMs":null,"version":1}'
	piped "${line/ -p 3 / -p 2 }"
	retry 300 warned 'which is not this source'
	kill -KILL "$(<kcat.pid)"
	wait "$started" || status=$?
	same "$status" 100
	started=''
	stands '15|15|16|15|1'
	# What is gone is an error of kcat's.
	broker truncate accounts 3 16
	piped "${line/ -o 0 / -o 2 }"
	retry 300 warned 'Offset out of range'
	kill -KILL "$(<kcat.pid)" 2>/dev/null || :
	"$supervisor" stop
	wait "$started" || :
	started=''
	stands '15|15|16|15|1'
}
