#!/usr/bin/env bats
# `acctflow verify`: each of these faults, planted by itself, is found, and runs without one are never blamed.
# shellcheck disable=SC1003,SC2016,SC2030,SC2031,SC2154,SC2164 # helper and bats set them; receivers expand theirs; a cd that fails ends the test
load helper

setup() {
	cd "$BATS_TEST_TMPDIR"
	database
}

teardown() {
	cd /
	PGDATABASE=${run:-$PGDATABASE} database_drop
}

# Twelve records: A's first callback is cancelled, its second fires; its version 2 is stale, 1 comes twice, 3 comes with
# other content; B fires and is deleted; C has no callback; D's first is cancelled.
records() {
	cat <<-'END'
		{"id":"A","accountType":"t","tokens":5,"callbackTimeMs":400,"version":1,"arriveMs":0,"data":{"a": 1}}
		{"id":"A","accountType":"t","tokens":7,"callbackTimeMs":400,"version":3,"arriveMs":100}
		{"id":"A","accountType":"t","tokens":6,"callbackTimeMs":400,"version":2,"arriveMs":200}
		{"id":"A","accountType":"t","tokens":5,"callbackTimeMs":400,"version":1,"arriveMs":210,"data":{"a":1}}
		{"id":"A","accountType":"t","tokens":8,"callbackTimeMs":400,"version":3,"arriveMs":220}
		nonsense
		{"id":"B","accountType":"t","tokens":1,"callbackTimeMs":100,"version":1,"arriveMs":300}
		{"id":"B","version":2,"deleted":true,"arriveMs":1000}
		{"id":"C","accountType":"t","tokens":1,"callbackTimeMs":null,"version":1,"arriveMs":1050}
		{"id":"D","accountType":"t","tokens":1,"callbackTimeMs":100,"version":1,"arriveMs":1100}
		{"id":"E"}
		{"id":"D","accountType":"t","tokens":18446744073709551615,"callbackTimeMs":50,"version":2,"arriveMs":1150,"data":"\u00e9 \" x"}
	END
}

# verified FAULTS ARGUMENT...: 0 differences or some.
verified() {
	fails "$1" "$supervisor" verify "${@:2}"
}

# planted EVERYWHERE|INPUT TEXT STATEMENT: that fault in a copy of the run is found, named so; without INPUT, too, or not.
planted() {
	local without=1
	[[ $1 == EVERYWHERE ]] || without=0
	PGDATABASE=postgres sql "CREATE DATABASE ${run}_f TEMPLATE $run"
	PGDATABASE=${run}_f
	sql "SET search_path = acctflow; $3"
	verified $without
	((without == 0)) || has "$2"
	verified 1 in
	has "$2"
	PGDATABASE=$run
	PGDATABASE=postgres sql "DROP DATABASE ${run}_f"
}

@test "verify: each fault is found" {
	local second="interval '1 second'"
	records >in
	ok "$supervisor" run --clock virtual --arrival recorded in
	verified 0
	same "$output" '12 of 12 records accounted for'
	verified 0 in
	same "$output" '12 of 12 records accounted for'
	run=$PGDATABASE

	# Rows of the history.
	planted EVERYWHERE 'stale counted 0, as many as there are rows, found 1' "DELETE FROM history WHERE id = 'A' AND version = 2"
	planted INPUT 'offset 2, id "A", version 2: expected stale "t" 6 400 null shard 0 offset 2, found no row' "
		DELETE FROM history WHERE id = 'A' AND version = 2; UPDATE pipelines SET stale = 0, duplicate = 2"
	planted INPUT 'id "C", version 1: expected indexed' "
		UPDATE history SET version = 2 WHERE id = 'C'; UPDATE latest SET version = 2 WHERE id = 'C'"
	planted INPUT 'found indexed "t" 5 400 {"a":2} shard 0 offset 0' "UPDATE history SET data = '{\"a\":2}' WHERE id = 'A' AND version = 1"
	planted INPUT 'expected indexed "t" 18446744073709551615 50 "\u00e9 \" x" shard 0 offset 11' "
		UPDATE history SET data = E'\"\\u00e9 \\\\\" x\"' WHERE id = 'D' AND version = 2"
	planted INPUT 'found indexed "t" 1 null deleted null' "
		UPDATE history SET deleted = true WHERE id = 'C'; UPDATE latest SET deleted = true WHERE id = 'C'"
	planted INPUT 'found indexed "t" 1 100 null shard 0 offset 3' "UPDATE history SET source_offset = 3, ingested_at = ingested_at - interval '85 ms' WHERE id = 'B' AND version = 1"
	planted INPUT 'found indexed "t" 9 400 null shard 0 offset 3' "
		INSERT INTO history SELECT 4, ingested_at, 3, 400, pipeline, true, false, id, 't', 9, 'null' FROM history WHERE id = 'A' AND version = 2;
		UPDATE latest l SET version = 4, tokens = 9, source_offset = 3, ingested_at = h.ingested_at FROM history h WHERE l.id = 'A' AND h.id = 'A' AND h.version = 4;
		UPDATE pipelines SET indexed = indexed + 1, duplicate = 0; DELETE FROM outcomes WHERE id = 'A'"
	planted EVERYWHERE 'offset 2, id "A", version 2: expected stale, found applied' "
		UPDATE history SET applied = true WHERE id = 'A' AND version = 2; UPDATE pipelines SET stale = 0, indexed = indexed + 1"
	planted EVERYWHERE 'offset 6, id "B", version 1: expected applied, found stale' "
		UPDATE history SET applied = false WHERE id = 'B' AND version = 1; UPDATE pipelines SET stale = 2, indexed = indexed - 1"
	planted EVERYWHERE 'offset 0, id "A", version 2: expected one record at this offset' "UPDATE history SET source_offset = 0 WHERE id = 'A' AND version = 2"
	planted EVERYWHERE 'found a record' "UPDATE history SET source_offset = 12 WHERE id = 'D' AND version = 2; UPDATE latest SET source_offset = 12 WHERE id = 'D'"
	planted EVERYWHERE 'indexed counted 1, as many as there are rows, found no pipeline 7' "UPDATE history SET pipeline = 7 WHERE id = 'C'; UPDATE latest SET pipeline = 7 WHERE id = 'C'"

	# Times.
	planted EVERYWHERE 'offset 2, id "A", version 2: expected ingested at' "UPDATE history SET ingested_at = ingested_at - $second WHERE id = 'A' AND version = 2"
	planted EVERYWHERE 'the last of its pipeline, or earlier' "UPDATE history SET ingested_at = ingested_at + $second WHERE id = 'D' AND version = 2"
	planted EVERYWHERE 'offset 5: expected ingested at' "UPDATE rejects SET rejected_at = rejected_at - $second WHERE source_offset = 5"
	planted INPUT 'offset 2, id "A", version 2: expected ingested at 2000-01-01 00:00:00.2+00' "UPDATE history SET ingested_at = ingested_at + interval '1 ms' WHERE id = 'A' AND version = 2"
	planted EVERYWHERE 'id "D", version 2: expected due at the latest' "UPDATE history SET due_at = ingested_at + $second WHERE id = 'D' AND version = 2"

	# The latest state.
	planted EVERYWHERE 'id "A", version 3: expected latest row version 3' "UPDATE latest SET version = 4 WHERE id = 'A'"
	planted EVERYWHERE 'id "D", version 2: expected latest row version 2 "t" 18446744073709551615 50' "UPDATE latest SET tokens = 2 WHERE id = 'D'"
	planted EVERYWHERE 'id "D", version 2: expected latest row version 2' "UPDATE latest SET ingested_at = ingested_at + $second WHERE id = 'D'"
	planted EVERYWHERE 'id "C", version 1: expected latest row version 1 "t" 1 null null ingested 2000-01-01 00:00:01.05+00 offset 8, found none' "DELETE FROM latest WHERE id = 'C'"
	planted EVERYWHERE 'id "F", version 1: expected no latest row' "INSERT INTO latest SELECT 1, ingested_at, 8, NULL, NULL, 1, false, 'F', 't', 1, 'null' FROM latest WHERE id = 'C'"

	# Outcomes.
	planted EVERYWHERE 'id "A", version 1: expected cancelled by the version of' "INSERT INTO outcomes SELECT 1, ingested_at + interval '400 ms', false, id FROM history WHERE id = 'A' AND version = 1"
	planted EVERYWHERE 'id "A", version 2: expected no outcome of a stale version' "INSERT INTO outcomes VALUES (2, now(), false, 'A')"
	planted EVERYWHERE 'id "C", version 1: expected no outcome of a version without a callback' "INSERT INTO outcomes VALUES (1, now(), true, 'C')"
	planted EVERYWHERE 'id "A", version 9: expected no outcome of a version that the history does not have' "INSERT INTO outcomes VALUES (9, now(), false, 'A')"
	planted EVERYWHERE 'id "A", version 3: expected no outcome before it was due' "UPDATE outcomes SET settled_at = settled_at - interval '1 ms' WHERE id = 'A'"

	# Rejects.
	planted EVERYWHERE 'rejected counted 1, as many as there are rows, found 2' "DELETE FROM rejects WHERE source_offset = 5"
	planted INPUT 'offset 5: expected rejected' "DELETE FROM rejects WHERE source_offset = 5; UPDATE pipelines SET rejected = 1, duplicate = 2"
	planted INPUT 'offset 10: expected rejected' "UPDATE rejects SET raw = 'else' WHERE source_offset = 10"
	planted INPUT 'offset 4, id "A", version 3: expected a reject of kind conflict' "
		DELETE FROM rejects WHERE source_offset = 4; UPDATE pipelines SET conflict = 0, duplicate = 2"
	planted INPUT 'offset 3: expected no reject that the input does not explain' "
		UPDATE rejects SET source_offset = 3, rejected_at = rejected_at - interval '10 ms' WHERE source_offset = 4"

	# The books.
	planted EVERYWHERE 'indexed counted 7, as many as there are rows, found 8' 'UPDATE pipelines SET indexed = indexed + 1'
	planted EVERYWHERE 'withoutCallback counted 2' 'UPDATE pipelines SET without_callback = 1'
	planted INPUT 'duplicate counted 1, as many as the input has, found 2' 'UPDATE pipelines SET duplicate = 2'
	planted INPUT 'skipped counted 0, as many as the input has, found 1' 'UPDATE pipelines SET skipped = 1'
	planted INPUT 'committed at most 11, the last offset of the input, found 12' 'UPDATE pipelines SET committed_offset = 12'
	planted EVERYWHERE 'nothing beyond the committed offset 10' 'UPDATE pipelines SET committed_offset = 10'
	planted EVERYWHERE 'acknowledged at most 11' 'UPDATE deliveries SET delivered_offset = 12'
	planted EVERYWHERE 'none in deliveries' 'DELETE FROM deliveries'
	planted EVERYWHERE 'a shard below 1' 'UPDATE pipelines SET shard = 1'
}

# clean [SOURCE-OPTION... INPUT]: nothing is found in what is there, nor in this input.
clean() {
	verified 0
	[[ $output =~ ^([0-9]+)' of '([0-9]+)' records accounted for'$ && ${BASH_REMATCH[1]} == "${BASH_REMATCH[2]}" ]]
	verified 0 "$@"
	same "$stderr" ''
}

@test "verify: runs on both clocks, in all orders, with all kinds of records, are not blamed" {
	local input options
	# Some callbacks are due in a year.
	generate --updates 400 --accounts 40 --seed 7 --deleted 10 --silent 10 --edges --arrive-ms 0:40 >edges
	generate --updates 400 --accounts 40 --seed 7 --deleted 10 --silent 10 --callback-ms 0:300 --lines >some
	while read -r input options; do
		database_drop
		database
		# shellcheck disable=SC2086 # a word each
		ok "$supervisor" run $options $input
		clean "$input"
		same "$output" '400 of 400 records accounted for'
	done <<-'END'
		edges --clock virtual
		edges --clock virtual --arrival offset --seed 3
		edges --clock virtual --arrival recorded --shards 2
		edges --clock virtual --arrival offset --shards 3 --delay-ms 5:70 --speed 2.5
		some --arrival none --shards 2
		some --delay-ms 0:1
	END
	# Again, in other shards; with another source that wrote the same accounts before, and one that differs in some.
	ok "$supervisor" run --clock virtual --again --shards 2 some
	sed 's/"tokens": *[0-9]*/"tokens":9/' some >other
	ok "$supervisor" run --clock virtual other
	generate --updates 500 --accounts 40 --seed 8 --edges --silent 20 >third
	ok "$supervisor" run --clock virtual third
	clean some
	clean --source "$PWD/some#2" some
	clean other
	clean third
	# A loss that the other source does not explain is found here too.
	sql "DELETE FROM acctflow.history WHERE (id, version) = (SELECT h.id, h.version FROM acctflow.history h JOIN acctflow.pipelines p USING (pipeline) WHERE source LIKE '%third' LIMIT 1)"
	verified 1 third
	has 'found no row'
}

@test "verify: a map, standard input, what is not finished, and callbacks that failed are not blamed" {
	local i
	# Messages of Kafka, with gaps between their offsets.
	ok "$supervisor" run --clock virtual --source messages --map kcat "$root/test/maps/kcat.in"
	clean --source messages --map kcat "$root/test/maps/kcat.in"
	records | ok "$supervisor" run --clock virtual --source named -
	records >in
	clean --source named in
	verified 0 --source named - <in
	# A part of an input; then lines come behind it.
	ok "$supervisor" run --clock virtual --source part --count 5 in
	clean --source part in
	same "$output" $'5 of 5 records accounted for\n7 records of the input are not committed and were not compared'
	sql "UPDATE acctflow.pipelines SET complete = false WHERE source = 'part'"
	verified 0 --source part in
	has 'the source is not complete: 7 records of the input are not committed and were not compared'
	# Some callbacks are refused by their receiver.
	for i in {1..40}; do
		printf '{"id":"F%d","accountType":"t","tokens":1,"callbackTimeMs":%d,"version":1}\n{"id":"F%d","accountType":"t","tokens":2,"callbackTimeMs":%d,"version":2}\n' "$i" "$((i % 4))" "$i" "$((i % 3))"
	done >failing
	ACCTFLOW_EXEC='exit 100' ok "$supervisor" run --delay-ms 0:3 failing
	[[ $(sql 'SELECT count(*) FROM acctflow.outcomes WHERE failed') -gt 0 ]]
	clean failing
	ACCTFLOW_EXEC='[ $((RANDOM % 2)) = 0 ] || exit 100' ok "$supervisor" run --clock virtual --source failing2 failing
	clean --source failing2 failing
	# An array that broke off.
	printf '[%s,%s,nonsense' "$(sed -n 1p in)" "$(sed -n 2p in)" >broken
	fails 100 "$supervisor" run --clock virtual broken
	verified 0 broken
	same "${lines[0]}" '2 of 2 records accounted for'
	# By hand, twice, and a third time not to the end.
	reader --clock virtual --source hand in | writer --clock virtual | timerd --clock virtual | writer ack >/dev/null
	clean --source hand in
	reader --clock virtual --source hand in | writer --clock virtual | timerd --clock virtual | writer ack >/dev/null
	verified 0
	reader --clock virtual --source hand in | head -n 4 | writer --clock virtual | timerd --clock virtual | writer ack >/dev/null
	verified 0
}

@test "verify: an account in two shards of a source" {
	generate --updates 100 --accounts 9 --lines >in
	ok "$supervisor" run --clock virtual --shards 2 in
	clean in
	sql "UPDATE acctflow.history SET pipeline = 3 - pipeline, source_offset = source_offset + 1000 WHERE (id, version) = (SELECT id, version FROM acctflow.history WHERE NOT applied ORDER BY id LIMIT 1)"
	verified 1
	has 'expected the account in one shard, found 2 have it'
	verified 1 in
	has 'shard 1 offset'
}

@test "verify: lines as JSON, at most a hundred, and text that is harmless" {
	local id='x\u001b[31m\n\"\\'
	for i in {1..150}; do printf '{"id":"%s%d","accountType":"t","tokens":5,"callbackTimeMs":null,"version":1}\n' "$id" "$i"; done >in
	ok "$supervisor" run --clock virtual in
	clean in
	sql 'UPDATE acctflow.history SET tokens = 6; UPDATE acctflow.latest SET tokens = 6'
	verified 1 in
	same "${#lines[@]}" 102
	same "${lines[100]}" '... and 50 more differences'
	same "${lines[101]}" '0 of 150 records accounted for, 150 differences'
	[[ $output != *$'\e'* ]]
	verified 1 --format json in
	same "$(jq -sc '[length, .[0].shard, .[0].offset, .[0].version, .[0].id[:6], .[100]]' <<<"$output")" \
		'[101,"0/1",0,1,"x\u001b[31m",{"records":150,"accountedFor":0,"differences":150,"uncompared":0,"complete":true}]'
}

@test "verify: what it cannot do is said in a sentence" {
	records >in
	verified 100
	err_has 'relation "acctflow.'
	writer migrate
	verified 0
	same "$output" '0 of 0 records accounted for'
	verified 100 in
	err_has "source \"$PWD/in\" was never read"
	verified 100 -
	err_has 'verify - wants --source NAME'
	verified 100 in in
	verified 100 --source in
	verified 100 kafka://localhost/topic
	ok "$supervisor" run --clock virtual in
	rm in
	verified 100 in
	err_has 'could not be read to its end'
	PGHOST=/nowhere verified 111
}

@test "verify: what was pruned or forgotten is accounted for, and nothing else that is missing" {
	for ((i = 0; i < 300; i++)); do
		printf '{"id":"A%d","accountType":"t","tokens":%d,"callbackTimeMs":%s,"version":%d,"arriveMs":%d}\n' $((i % 20)) $i "$((i % 3 ? 5 : 0))" $((i % 7 ? i : i / 2)) $((i * 10))
	done >in
	ok "$supervisor" run --clock virtual --arrival recorded in
	verified 0 in
	ok "$supervisor" prune --before 2000-01-01T00:00:02Z
	ok "$supervisor" forget A7
	for input in '' in; do
		# shellcheck disable=SC2086 # none or one
		verified 0 $input
		same "$output" '300 of 300 records accounted for'
	done
	(($(sql 'SELECT pruned FROM acctflow.pipelines') > 50 && $(sql 'SELECT pruned_stale FROM acctflow.pipelines') > 5))
	sql "DELETE FROM acctflow.history WHERE id = 'A3' AND version < (SELECT max(version) FROM acctflow.history WHERE id = 'A3')"
	verified 1
	verified 1 in
	has 'pruned counted'
}
