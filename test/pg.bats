#!/usr/bin/env bats
# The connection by itself: hosts that are silent, servers that are read only, a proxy that pools by transaction, locks that
# others hold. On a Postgres of this file's own, since what is set in it is one server's.
# shellcheck disable=SC2030,SC2031,SC2154 # helper and bats set them
load helper
load writer
load cluster

setup_file() {
	cluster_make <<<'local all all trust'
}

teardown_file() {
	cluster_remove
}

setup() {
	cd "$BATS_TEST_TMPDIR"
	export SUITE_PGHOST=$CLUSTER
	database
}

teardown() {
	writer_end
	for one in ${others[@]+"${others[@]}"}; do kill -9 "$one" 2>/dev/null || true; done
	unset PGPORT
	PGHOST=$CLUSTER PGUSER=acctflow database_drop
}

# dumb: a socket in dumb/ that takes connections and says nothing.
dumb() {
	mkdir dumb
	perl -MIO::Socket::UNIX -e 'my $door = IO::Socket::UNIX->new(Local => "dumb/.s.PGSQL.5432", Listen => 9) or die "listen: $!";
		my @held; while (my $one = $door->accept) { push @held, $one }' 3>&- 5>&- 6>&- &
	others+=($!)
	retry 100 test -S dumb/.s.PGSQL.5432
}

@test "the connection's own checks" {
	sql "ALTER DATABASE $PGDATABASE SET default_transaction_isolation = 'serializable'"
	ok "${BUILD:-$root/build}/unit/pg"
	hasnt 'not ok'
	[[ $output != *SKIP* ]]
	# Notices went through the log.
	err_has 'debug pg['
	err_has 'the database says: a\u001b[31m\u000ab'
	err_has 'info pg['
	[[ $stderr != *$'\e'* && $stderr != *NOTICE* ]]
}

@test "several hosts: one that is silent, or not there, is passed over" {
	dumb
	ok writer --db "host=$PWD/dumb,$CLUSTER" --deadline 10 migrate
	ok writer --db "host=$PWD/dumb,$CLUSTER connect_timeout=1" --deadline 600 sources
	ok writer --db "host=$PWD/none,$CLUSTER" sources
	[[ $stderr != *trying* ]]
	PGHOST=$PWD/none,$PWD/dumb,$CLUSTER ok writer --deadline 10 sources
	ok writer --db "postgresql:///$PGDATABASE?host=$PWD/dumb&host=$CLUSTER" --deadline 10 sources
	printf '[one]\nhost=%s,%s\n' "$PWD/dumb" "$CLUSTER" >services
	PGSERVICEFILE=$PWD/services ok env -u PGHOST writer --db service=one --deadline 10 sources
	# The words of each.
	fails 111 writer --db "host=$PWD/dumb,$PWD/none" --deadline 1 sources
	err_has "no answer in time from \"$PWD/dumb\"; connection to server on socket \"$PWD/none/.s.PGSQL.5432\" failed: No such file"
}

@test "a host that may only be read is passed over where that is asked for" {
	writer migrate
	sql "ALTER DATABASE $PGDATABASE SET default_transaction_read_only = on"
	fails 111 writer --db "host=$CLUSTER,$CLUSTER target_session_attrs=read-write" --deadline 1 sources
	err_has 'session is read-only'
	ok writer --db "host=$CLUSTER,$CLUSTER target_session_attrs=prefer-standby" sources
	ok writer sources
}

@test "a Unix socket that is not there: said at once, with what to do; --resume waits for it" {
	before=$SECONDS
	PGHOST=$PWD/none fails 111 writer --deadline 600 sources
	((SECONDS - before < 60))
	err_has "no Postgres runs here: connection to server on socket \"$PWD/none/.s.PGSQL.5432\" failed: No such file or directory"
	err_has "acctflow postgres starts the private one of ACCTFLOW_HOME ($ACCTFLOW_HOME)"
	err_has --db
	[[ $stderr != *trying* ]]
	PGHOST=$PWD/none fails 111 writer --resume --deadline 1 </dev/null
	err_has 'trying again for up to 1 s'
	err_has 'could not connect to the database within 1 s'
}

@test "told to stop while a host is silent: at once" {
	dumb
	PGHOST=$PWD/dumb writer --deadline 600 migrate 2>err 3>&- &
	pid=$!
	listens() { (($((0x$(awk '$1 == "SigBlk:" { print $2 }' "/proc/$pid/status"))) & 0x4000)); }
	retry 300 listens
	sleep 0.5
	kill -TERM "$pid"
	retry 100 gone "$pid"
	ended 0
}

@test "an empty database whose default isolation is another one: any number may begin at once" {
	for level in serializable 'repeatable read'; do
		sql "DROP SCHEMA IF EXISTS acctflow CASCADE" 2>/dev/null
		sql "ALTER DATABASE $PGDATABASE SET default_transaction_isolation = '$level'"
		held 'SELECT pg_advisory_xact_lock(hashtext('"'acctflow.migrations'"'))'
		for i in 1 2 3 4 5; do
			writer migrate 2>"err.$i" 3>&- 5>&- 6>&- &
			pids[i]=$!
		done
		retry 300 waits 5
		release
		for i in 1 2 3 4 5; do wait "${pids[i]}" || { cat "err.$i" && false; }; done
		same "$(sql 'SELECT count(*) FROM acctflow.migrations')" "$(printf '%s\n' "$root"/sql/0*.sql | wc -l)"
	done
}

@test "waiting for the migration's lock: ended by a signal, by the deadline; tried again where the backend goes" {
	held 'SELECT pg_advisory_xact_lock(hashtext('"'acctflow.migrations'"'))'
	writer migrate 2>err 3>&- 5>&- 6>&- &
	pid=$!
	retry 100 waits 1
	kill -TERM "$pid"
	retry 100 gone "$pid"
	ended 0
	retry 100 waits 0
	fails 111 writer --deadline 1 migrate
	err_has 'could not migrate the schema within 1 s: another program holds a lock for it'
	writer migrate 2>err 3>&- 5>&- 6>&- &
	pid=$!
	retry 100 waits 1
	sql "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE wait_event_type = 'Lock'" >/dev/null
	retry 100 grep -q 'could not migrate the schema, trying again: terminating connection' err
	release
	retry 300 gone "$pid"
	ended 0
	ok writer sources
}

@test "behind a proxy that pools by transaction no setting of ours is left in a session" {
	command -v pgbouncer >/dev/null || skip 'no pgbouncer'
	local as=()
	((EUID != 0)) || as=(runuser -u postgres --)
	cat >"$CLUSTER/pgbouncer.ini" <<-END
		[databases]
		* = host=$CLUSTER user=acctflow
		[pgbouncer]
		listen_addr =
		unix_socket_dir = $CLUSTER
		listen_port = 6433
		auth_type = any
		pidfile = $CLUSTER/pgbouncer.pid
		pool_mode = transaction
		default_pool_size = 1
	END
	(cd / && exec "${as[@]}" pgbouncer -q "$CLUSTER/pgbouncer.ini") >pgbouncer.log 2>&1 3>&- 5>&- 6>&- &
	retry 100 test -s "$CLUSTER/pgbouncer.pid" -a -S "$CLUSTER/.s.PGSQL.6433"
	others+=("$(<"$CLUSTER/pgbouncer.pid")")
	settings() { psql -XqAt -c 'SHOW statement_timeout' -c 'SHOW search_path' -c 'SHOW jit' -c 'SHOW lock_timeout' -c 'SELECT current_user'; }
	before=$(settings)
	export PGPORT=6433
	ok writer migrate
	mkfifo fifo
	writer status --interval 1 >out 2>err 3>&- 5>&- 6>&- &
	pid=$!
	retry 100 grep -q '^fired=' out
	ok writer status
	ok writer richest
	for i in 1 2 3 4 5; do same "$(settings)" "$before"; done
	kill -TERM "$pid"
	retry 100 gone "$pid"
}
