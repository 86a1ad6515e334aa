#!/usr/bin/env bats
# The broker that the tests of kafka-reader use.
# shellcheck disable=SC2030,SC2031,SC2154 # helper and bats set them
load helper
load kafka

setup() {
	cd "$BATS_TEST_TMPDIR"
}

teardown() {
	broker_stop
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
