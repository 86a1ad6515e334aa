#!/usr/bin/env bats
# Where a partition of a topic ends, for who reads it to there.
# shellcheck disable=SC2154 # helper and bats set them
load helper
load fakes
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

@test "kafka: who reads more slowly than the broker sends waits for nothing else" {
	cd "$BATS_TEST_TMPDIR"
	broker_start
	broker topic t 1
	"$bin/generate" --updates 60000 --lines >in
	broker load t 0 in
	"$bin/kafka-reader" --until end "kafka://$brokers/t/0" |
		timeout $((4 * ${PATIENCE:-5})) perl -e 'while (sysread STDIN, my $b, 65536) { print $b; select undef, undef, undef, 0.01 if ++$n % 8 == 0 }' >out
	same "$(wc -l <out)" 60001
}

@test "kafka: a partition that has no leader for a while is waited for" {
	cd "$BATS_TEST_TMPDIR"
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

@test "kafka: with --until-end a topic is asked again, too, when nobody could tell its partitions" {
	fakes=$BATS_TEST_TMPDIR/fakes
	fake_all
	printf 'KILL\n111\n' >"$fakes/deaths-list"
	fake kafka-reader <<'END'
case $* in
*--list*)
	"$state/die" list || exit
	echo '0 0 5'
	;;
*) echo '{"event":"end","complete":true}' ;;
esac
END
	ok timeout $((10 * ${PATIENCE:-5})) "$supervisor" run --until-end kafka://nowhere:1/t
	[[ ! -s $fakes/deaths-list ]]
	grep -- '--source kafka:main/t/0' "$fakes/reader.args"
}
