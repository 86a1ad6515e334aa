#!/usr/bin/env bats
# A database whose clock is five minutes ahead of ours: all that supervised programs do goes by it, and nothing jumps.
# shellcheck disable=SC2030,SC2031,SC2154 # helper and bats set them
load helper
load cluster

setup_file() {
	STEP=$(mktemp -d /tmp/acctflow-step.XXXXXX)
	export STEP
	chmod 755 "$STEP"
	${CC:-cc} -shared -fPIC -O -o "$STEP/step.so" "$BATS_TEST_DIRNAME/faults/step.c" -ldl
	perl -e 'print pack "q", 300' >"$STEP/seconds"
	# Of the server only.
	export FAULTS_STEP=$STEP/seconds LD_PRELOAD=$STEP/step.so
	cluster_make <<<'local all all trust'
	unset FAULTS_STEP LD_PRELOAD
}

teardown_file() {
	cluster_remove
	rm -rf -- "$STEP"
}

setup() {
	cd "$BATS_TEST_TMPDIR" || return
	export SUITE_PGHOST=$CLUSTER
	database
	started=''
}

teardown() {
	[[ ! $started ]] || kill -KILL "$started" 2>/dev/null || :
	database_drop
}

# ahead TIME: by how many seconds it is ahead of our clock.
ahead() {
	echo $(($(date -d "$1" +%s) - $(date +%s)))
}

@test "the programs of a run have the database's clock, and statusd sees them run" {
	(($(ahead "$(sql 'SELECT clock_timestamp()')") > 290))
	export ACCTFLOW_LISTEN=127.0.0.1:0
	printf '{"id":"a","accountType":"t","tokens":1,"callbackTimeMs":500,"version":1}\n' >in
	env --default-signal=INT,TERM "$supervisor" run --follow --arrival none --source s --format json "$PWD/in" >out 2>err 3>&- &
	started=$!
	retry 300 grep -q '"event":"fired"' out
	at=$(sed -n 's/.*"ingestedAt":"\([^"]*\)".*/\1/p' out | head -n 1)
	(($(ahead "$at") > 250 && $(ahead "$at") <= 300))
	(($(sed -n 's/.*"latenessUs":\([0-9]*\).*/\1/p' out) < 5000000))
	retry 300 test -s "$ACCTFLOW_HOME/run/statusd.url"
	url=$(<"$ACCTFLOW_HOME/run/statusd.url") url=${url%/}
	running() { curl --noproxy "*" -sf "$url/api/status" >status && (($(grep -o '"state":"running"' status | wc -l) == 4)); }
	retry 100 running
	same "$(curl --noproxy "*" -s "$url/healthz")" ok
	retry 100 curl --noproxy "*" -sf "$url/readyz"
	(($(ahead "@$(($(grep -o '"time":[0-9]*' status | head -n 1 | cut -d : -f 2) / 1000000))") > 290))
	(($(ahead "@$(($(grep -o '"answeredAt":[0-9]*' status | cut -d : -f 2) / 1000000))") > 250))
	kill -TERM "$started"
	wait "$started"
	started=''
}
