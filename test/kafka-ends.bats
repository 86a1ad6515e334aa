#!/usr/bin/env bats
# Where a partition of a topic ends, for who reads it to there.
# shellcheck disable=SC2154 # helper and bats set them
load helper
load kafka

teardown() {
	broker_stop
}

@test "kafka: what was read to its end is read to its end again, with nothing new in it" {
	cd "$BATS_TEST_TMPDIR"
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
	cd "$BATS_TEST_TMPDIR"
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
