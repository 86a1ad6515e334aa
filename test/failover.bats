#!/usr/bin/env bats
# A primary that dies and an asynchronous standby that takes its place, without what it had not received.
# shellcheck disable=SC2030,SC2031,SC2154 # helper and bats set them
load helper
load cluster

setup_file() {
	cluster_make <<<$'local all all trust\nlocal replication all trust'
	# Its socket goes by another number, in the same folder.
	STANDBY=$CLUSTER/standby
	export STANDBY
}

teardown_file() {
	server pg_ctl -D "$STANDBY" -s -m immediate stop || :
	server pg_ctl -D "$CLUSTER/data" -s -m immediate stop || :
	rm -rf -- "$CLUSTER"
}

setup() {
	cd "$BATS_TEST_TMPDIR"
	export SUITE_PGHOST=$CLUSTER
	database
}

teardown() {
	[[ ! ${started-} ]] || kill -KILL "$started" 2>/dev/null || :
}

standby_sql() {
	PGPORT=5433 sql "$1"
}

@test "an asynchronous standby is promoted: what it lacks is said, read again, and nothing is missing" {
	server pg_basebackup -h "$CLUSTER" -U acctflow -D "$STANDBY" -R -X stream
	echo 'port = 5433' | tee -a "$STANDBY/postgresql.conf" >/dev/null
	server pg_ctl -D "$STANDBY" -l "$CLUSTER/standby.log" -s -w start >/dev/null 3>&-
	for ((i = 0; i < 3000; i++)); do
		printf '{"id":"a%d","accountType":"t","tokens":1,"callbackTimeMs":1,"version":%d}\n' $((i % 100)) $((i + 1))
	done >in
	both="host=$CLUSTER,$CLUSTER port=5432,5433 user=acctflow dbname=$PGDATABASE"
	"$supervisor" run --db "$both" --delay-ms 0:20 --source s "$PWD/in" >out 2>err 3>&- &
	started=$!
	replicated() { [[ $(standby_sql "SELECT committed_offset > 0 FROM acctflow.sources" 2>/dev/null) == t ]]; }
	retry 300 replicated
	# It receives nothing more.
	standby_sql "ALTER SYSTEM SET primary_conninfo = ''"
	standby_sql 'SELECT pg_reload_conf()' >/dev/null
	cut_off() { [[ $(standby_sql 'SELECT count(*) FROM pg_stat_wal_receiver') == 0 ]]; }
	retry 300 cut_off
	has=$(standby_sql 'SELECT committed_offset FROM acctflow.sources')
	ahead() { (($(sql 'SELECT delivered_offset FROM acctflow.sources') > has + 100)); }
	retry 600 ahead
	down immediate
	server pg_ctl -D "$STANDBY" -s -w promote >/dev/null
	wait "$started" || { cat err && false; }
	started=''
	grep -q "the database lost commits" err
	same "$(standby_sql 'SELECT read, indexed, complete, committed_offset, delivered_offset FROM acctflow.sources')" '3000|3000|t|2999|2999'
	same "$(standby_sql "SELECT count(*), count(*) FILTER (WHERE state = 'pending') FROM acctflow.callbacks")" '3000|0'
	same "$(grep '"event":"indexed"' out | grep -o '"offset":[0-9]*' | sort -u | wc -l)" 3000
	PGPORT=5433 ok writer status
}
