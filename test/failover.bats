#!/usr/bin/env bats
# A primary that dies and a standby that takes its place: synchronous, so with all that was committed, or asynchronous,
# without what it had not received. test/failover/run does the same at random moments.
# shellcheck disable=SC2030,SC2031,SC2154 # helper and bats set them
load helper
load cluster

setup() {
	cd "$BATS_TEST_TMPDIR"
	cluster_make <<<$'local all all trust\nlocal replication all trust'
	# Its socket goes by another number, in the same folder.
	STANDBY=$CLUSTER/standby
	export SUITE_PGHOST=$CLUSTER
	database
	both="host=$CLUSTER,$CLUSTER port=5432,5433 user=acctflow dbname=$PGDATABASE"
}

teardown() {
	[[ ! ${started-} ]] || kill -KILL "$started" 2>/dev/null || :
	server pg_ctl -D "$STANDBY" -s -m immediate stop 2>/dev/null || :
	server pg_ctl -D "$CLUSTER/data" -s -m immediate stop 2>/dev/null || :
	rm -rf -- "$CLUSTER"
}

standby_make() {
	server pg_basebackup -h "$CLUSTER" -U acctflow -D "$STANDBY" -R -X stream
	echo 'port = 5433' | tee -a "$STANDBY/postgresql.conf" >/dev/null
	server pg_ctl -D "$STANDBY" -l "$CLUSTER/standby.log" -s -w start >/dev/null 3>&-
}

standby_sql() {
	PGPORT=5433 sql "$1"
}

# The primary's machine is gone, with every process on it.
primary_kill() {
	local postmaster all
	postmaster=$(head -n 1 "$CLUSTER/data/postmaster.pid")
	# Without an end of the line, which read takes for a failure.
	read -ra all <"/proc/$postmaster/task/$postmaster/children" || :
	kill -STOP "$postmaster" "${all[@]}"
	kill -KILL "$postmaster" "${all[@]}"
}

relations() {
	psql -Xq -v ON_ERROR_STOP=1 -f "$root/test/relations.sql" | LC_ALL=C sort
}

@test "a synchronous standby is promoted: nothing is lost or said to be, and it goes on by itself to the same state" {
	standby_make
	sql "ALTER SYSTEM SET synchronous_standby_names = '*'"
	sql 'SELECT pg_reload_conf()' >/dev/null
	synchronous() { [[ $(sql 'SELECT sync_state FROM pg_stat_replication') == sync ]]; }
	retry 300 synchronous
	generate --updates 20000 --accounts 500 --lines --callback-ms 0:500 >in
	# Undisturbed, in a database of its own.
	run=("$supervisor" run --clock virtual --delay-ms 0:20 --seed 7 --source s)
	sql 'CREATE DATABASE undisturbed'
	"${run[@]}" --db "host=$CLUSTER user=acctflow dbname=undisturbed" "$PWD/in" >/dev/null 2>err 3>&- || { cat err && false; }
	PGDATABASE=undisturbed relations >want
	(($(wc -l <want) > 20000))
	ACCTFLOW_BATCH=20 "${run[@]}" --db "$both" "$PWD/in" >out 2>err 3>&- &
	started=$!
	underway() { (($(sql 'SELECT coalesce(sum(read), 0) FROM acctflow.sources' 2>/dev/null || echo 0) > 1000)); }
	retry 600 underway
	primary_kill
	same "$(grep -c '"event":"summary"' out)" 0
	server pg_ctl -D "$STANDBY" -s -w promote >/dev/null
	wait "$started" || { cat err && false; }
	started=''
	same "$(grep -cE 'the database (lost|has lost)' err)" 0
	PGPORT=5433 relations >got
	cmp want got
	PGPORT=5433 ok writer status
}

@test "an asynchronous standby is promoted: what it lacks is said, read again, and nothing is missing" {
	standby_make
	for ((i = 0; i < 3000; i++)); do
		printf '{"id":"a%d","accountType":"t","tokens":1,"callbackTimeMs":1,"version":%d}\n' $((i % 100)) $((i + 1))
	done >in
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

@test "test/failover/run: a round of each kind, at a random moment" {
	[[ ! ${ACCTFLOW_SANITIZED-} ]] || skip 'one round takes minutes then'
	unset ACCTFLOW_BIN ACCTFLOW_CONFIG ACCTFLOW_HOME
	BIN=$bin ok "$root/test/failover/run" --rounds 1
	has '1 of 1 sync, 1 of 1 async; loss noticed 1 times'
}
