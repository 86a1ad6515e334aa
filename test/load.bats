#!/usr/bin/env bats
# The load test by itself: that it runs, prints what it measured, and refuses what makes no sense.

load helper

@test "a small load is fed, measured and plotted" {
	# It makes a Postgres of its own.
	RATE=300 SECONDS=4 SHAPES='steady bursty' ACCOUNTS=100 CALLBACK=0:500 SVG=$BATS_TEST_TMPDIR/load.svg BIN=$bin \
		ok "$root/test/load/run"
	for line in 'steady: ' 'bursty: ' 'arrival to emitted' 'callback lateness' 'lag ' 'memory, writer' '/metrics answered'; do has "$line"; done
	# The stream is cut at 1,200 updates, most of them indexed.
	(($(sed -n 's/.*arrival to emitted.* of \([0-9]*\)$/\1/p' <<<"$output" | head -n 1) > 600))
	if command -v gnuplot >/dev/null; then grep -q '</svg>' "$BATS_TEST_TMPDIR/load.svg"; fi
}

@test "a load that makes no sense is refused" {
	run "$root/test/load/run" now
	same "$status" 100
	RATE=none run "$root/test/load/run"
	[[ $status != 0 && $output == *'not a number: none'* ]]
	SHAPES=square run "$root/test/load/run"
	[[ $status != 0 && $output == *SHAPES* ]]
}
