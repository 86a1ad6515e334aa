#!/usr/bin/env bats
# Kafka: the broker that these tests use; topics under the supervisor; kcat in kafka-reader's place.
# shellcheck disable=SC2030,SC2031,SC2154,SC2317 # helper and bats set them; functions for retry
load helper
load kafka
load http
load fakes

setup() {
	kafka_begin
}

teardown() {
	kafka_end
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
	# One that is asked to stop before it listens is killed by that, and then what was not acknowledged is left to the next run.
	listens() { (($((0x$(awk '$1 == "SigBlk:" { print $2 }' "/proc/$(child kafka-reader)/status"))) & 0x4000)); }
	retry 300 listens
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
		same "$stderr" "acctflow: $1"
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

# --- kcat in its place

# recipe: the one of doc/maps.md, for these brokers.
recipe() {
	awk '/^\*\*Kafka\.\*\*/ { on = 1 } on && /^    / { print; seen = 1 } seen && !/^    /  { exit }' "$root/doc/maps.md" |
		sed "s|BROKERS|$brokers|; s|\./acctflow|$supervisor|"
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
