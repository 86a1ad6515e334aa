#!/usr/bin/env bats
# The benchmark's harness, at sizes at which its figures mean nothing: it runs, says what it measured, leaves nothing.
# shellcheck disable=SC2154 # helper sets root
load helper

setup() {
	[[ ! ${ACCTFLOW_SANITIZED-} ]] || skip 'what the sanitizers cost is not of interest'
	command -v /usr/bin/time >/dev/null || skip 'time(1) is not installed'
	mkdir "$BATS_TEST_TMPDIR/data"
	export BENCH_DIR=$BATS_TEST_TMPDIR/data BENCH_JSON=$BATS_TEST_TMPDIR/bench.json RUNS=1 LATENESS_S=1 LATENCY_UPDATES=20 CROWD=1000 MEMORY_MB=20
	export BIN=$bin
}

@test "bench: measures the rows that were asked for" {
	ROWS='citus alone-p50 crowd lateness-p50 lateness-p99 reader-memory map map-jq' READER_MB=20 JQ_MB=1 ok "$root/test/bench/run"
	has '1,000 callbacks due at one moment'
	same "$(jq -r '.rows[] | "\(.name) \(.median > 0) \(.ours | length)"' "$BENCH_JSON")" "alone-p50 true 1
map true 1
map-jq true 1
reader-memory true 1
lateness-p50 true 1
lateness-p99 true 1
crowd true 1"
	same "$(jq -r '.leftOut | keys | join(" ")' "$BENCH_JSON")" 'citus citus-coordinator'
	same "$(ls "$BENCH_DIR")" ''
}

@test "bench: rows of loading, by shards and against what one would do by hand" {
	UPDATES=3000 ACCOUNTS=100 ROW_UPDATES=50 KAFKA_UPDATES=3000 PAST_UPDATES=3000 PAST_ACCOUNTS=100 ROWS='load shards traces verify past kafka' ok "$root/test/bench/run"
	same "$(jq -r '.rows[] | .name' "$BENCH_JSON" | paste -s -d ' ')" 'disk load load1 row copy1 copy2 writer-memory shards reader-share traces traces-all verify verify-memory past-follow past-p50 past-p99 past-account past-history kafka kafka-wall'
	same "$(jq -r '.leftOut | length' "$BENCH_JSON")" 0
	same "$(ls "$BENCH_DIR")" ''
}

@test "bench: a server that is far away, and an old snapshot that is held" {
	DISTANCE_UPDATES=2000 ACCOUNTS=100 MINUTES=0.1 HORIZON_RATE=50 HORIZON_ACCOUNTS=10 ROWS='distance horizon' ok "$root/test/bench/run"
	same "$(jq -r '.rows[] | "\(.name) \(.median > 0)"' "$BENCH_JSON")" "horizon true
horizon-p50 true
distance true
distance-12 true
distance-alone true
distance-tls true
distance-tls-12 true
distance-alone-tls true"
	# Two round trips, and no less.
	jq -e '.rows[] | select(.name == "distance-alone") | .more["12000us"] >= 24' "$BENCH_JSON"
	jq -e '.rows[] | select(.name == "horizon") | .more.held | length == 12' "$BENCH_JSON"
	same "$(ls "$BENCH_DIR")" ''
}

@test "bench: a row that is not known, or a size that is none, is refused" {
	ROWS=nonsense fails 100 "$root/test/bench/run"
	err_has 'there is no row "nonsense"'
	UPDATES=many fails 100 "$root/test/bench/run"
	err_has 'UPDATES: expected a whole number'
}
