#!/usr/bin/env bats
# How bin/writer finds its database, and what it does when that is not there, goes away,
# refuses, or answers too late. On a Postgres of this file's own, which may be killed.
# shellcheck disable=SC2030,SC2031,SC2154,SC2164 # helper and bats set them; a cd that fails ends the test
load helper
load writer
load cluster

setup_file() {
	cluster_make <<-END
		local all guarded scram-sha-256
		local all nobody reject
		local all all trust
	END
	psql -Xqh "$CLUSTER" -U acctflow -d postgres -c "CREATE ROLE guarded SUPERUSER LOGIN PASSWORD 'geheim'" -c 'CREATE ROLE nobody LOGIN'
}

teardown_file() {
	cluster_remove
}

setup() {
	cd "$BATS_TEST_TMPDIR"
	server pg_ctl -D "$CLUSTER/data" -s status >/dev/null || up
	export SUITE_PGHOST=$CLUSTER
	database
}

teardown() {
	writer_end
	for one in ${others[@]+"${others[@]}"}; do kill -9 "$one" 2>/dev/null || true; done
	server pg_ctl -D "$CLUSTER/data" -s status >/dev/null || up
	PGUSER=acctflow PGHOST=$CLUSTER database_drop
}

# backends: the pids of writer's.
backends() {
	sql "SELECT pid FROM pg_stat_activity WHERE application_name = 'acctflow writer'"
}

@test "no database: tried again until the deadline, then 111 and what to look at" {
	for verb in run ack status migrate 'history a' 'claim --source s'; do
		# shellcheck disable=SC2086 # verbs have operands
		fails 111 writer --db 'host=127.0.0.1 port=1' --deadline 1 $verb </dev/null
		err_has 'warn writer['
		err_has 'could not connect to the database, trying again for up to 1 s: '
		err_has 'could not connect to the database within 1 s: '
		err_has 'Connection refused'
		err_has 'is it running, and is --db or PGHOST right?'
	done
	ACCTFLOW_DEADLINE=0 fails 111 writer --db "host=127.0.0.1 port=1" status
	[[ $stderr != *trying* ]]
}

@test "a server that takes connections and says nothing is given up at the deadline" {
	mkdir dumb
	perl -MIO::Socket::UNIX -e 'my $door = IO::Socket::UNIX->new(Local => "dumb/.s.PGSQL.5432", Listen => 9) or die "listen: $!";
		my @held; while (my $one = $door->accept) { push @held, $one }' 3>&- 5>&- 6>&- &
	others+=($!)
	retry 100 test -S dumb/.s.PGSQL.5432
	for verb in run status; do
		PGHOST=$PWD/dumb fails 111 writer --deadline 1 $verb </dev/null
		err_has 'could not connect to the database within 1 s: no answer in time; is it running'
	done
}

@test "told to stop while the database is not there it ends at once" {
	feed --db 'host=127.0.0.1 port=1' run
	retry 100 grep -q 'trying again' err
	kill -TERM "$pid"
	retry 30 gone "$pid"
	ended 0
}

@test "what only a person can mend is not tried again" {
	PGDATABASE=nope fails 100 writer status
	err_has 'database "nope" does not exist'
	PGUSER=nobody2 fails 100 writer status
	err_has 'role "nobody2" does not exist'
	PGUSER=nobody fails 100 writer status
	err_has 'pg_hba.conf rejects connection'
	fails 100 writer --db 'host' status
	err_has 'not a connection string'
	fails 100 writer --db 'hots=x' status
	err_has 'not a connection string: invalid connection option "hots"'
	for wrong in port=x sslmode=x; do
		fails 100 writer --db "host=/none $wrong" status
		err_has 'invalid '
	done
	[[ $stderr != *trying* ]]
}

@test "passwords: by file or variable, a wrong one is not tried again, none is ever logged" {
	export PGUSER=guarded
	fails 100 writer status
	err_has 'no password supplied'
	echo "*:*:*:guarded:falsch" >wrong
	echo "*:*:*:guarded:geheim" >right
	chmod 600 wrong right
	fails 100 writer --log-level trace --password-file wrong status
	err_has 'password authentication failed for user "guarded"'
	[[ $stderr != *falsch* && $stderr != *trying* ]]
	for way in '--password-file right' "-c $PWD/config"; do
		printf 'password_file: %s/right\n' "$PWD" >config
		# shellcheck disable=SC2086 # a way is an option and its value
		ok writer --log-level trace $way migrate
		[[ $stderr != *geheim* ]]
	done
	PGPASSFILE=$PWD/right ok writer migrate
	PGPASSWORD=geheim ok writer --log-level trace migrate
	[[ $stderr != *geheim* ]]
	ACCTFLOW_PASSWORD_FILE=right ok writer migrate
	# The server's log has none either.
	run ! grep -e geheim -e falsch "$CLUSTER/log"
}

@test "a password in the connection string is refused, and not repeated" {
	local conninfo
	for conninfo in "host=$CLUSTER password=geheim" "password='geheim'" "postgresql://guarded:geheim@localhost/x" \
		"postgres://localhost/x?password=geheim" "host=x sslpassword=geheim"; do
		fails 100 writer --db "$conninfo" status
		err_has 'password in it, where others can read it; use --password-file or PGPASSFILE'
		[[ $stderr != *geheim* ]]
		ACCTFLOW_DB=$conninfo fails 100 writer status
		[[ $stderr != *geheim* ]]
		printf 'database: "%s"\n' "$conninfo" >config
		fails 100 env -u PGHOST -u PGPORT -u PGUSER -u PGDATABASE writer -c config status
		[[ $stderr != *geheim* ]]
	done
	# Nor where the string is wrong around it.
	for conninfo in 'host=x password=my geheim' "host=x password='geheim" 'postgresql://u:%zzgeheim@localhost/x' 'postgresql://[geheim' 'PASSWORD=geheim' 'password = geheim more'; do
		fails 100 writer --db "$conninfo" status
		err_has 'not a connection string'
		[[ $stderr != *geheim* ]] || { echo "$stderr" && false; }
	done
}

@test "how the database is found: option, environment, configuration, the private one" {
	local name=$PGDATABASE
	sql "CREATE DATABASE other_$name"
	update a 1 | PGDATABASE=other_$name writer >/dev/null
	writer migrate
	unset PGHOST PGPORT PGUSER PGDATABASE
	here="host=$CLUSTER user=acctflow dbname=$name" there="host=$CLUSTER user=acctflow dbname=other_$name"
	found() {
		ok env "$@"
		[[ $output == *'"id":"a"'* ]] || { shown && false; }
	}
	mkdir -p "$ACCTFLOW_HOME/run"
	echo "$there" >"$ACCTFLOW_HOME/run/db"
	found writer richest
	echo "$here" >"$ACCTFLOW_HOME/run/db"
	mkdir -p elsewhere/run
	echo "$there" >elsewhere/run/db
	found writer --home elsewhere richest
	printf 'home: elsewhere\n' >config
	env -u ACCTFLOW_HOME -u ACCTFLOW_CONFIG writer -c config richest | grep -q '"id":"a"'
	printf 'database: %s\n' "$there" >config
	found writer -c config richest
	printf 'database: %s\n' "$here" >config
	found ACCTFLOW_DB="$there" writer -c config richest
	found PGHOST="$CLUSTER" PGUSER=acctflow PGDATABASE="other_$name" writer richest
	found PGHOST="$CLUSTER" PGUSER=acctflow PGDATABASE="other_$name" writer -c config richest
	found ACCTFLOW_DB="$here" PGHOST=/none writer --db "$there" richest
	found PGHOST=/none writer --db "postgresql:///other_$name?host=$CLUSTER&user=acctflow" richest
	export PGHOST=$CLUSTER PGUSER=acctflow PGDATABASE=$name
	sql "DROP DATABASE other_$name"
}

@test "a database that comes later is waited for" {
	writer migrate
	token=$(writer claim --source s | sed -n 's/^token=//p')
	down
	# By hand a socket that is not there is not waited for.
	fails 111 writer run </dev/null
	err_has 'no Postgres runs here'
	feed run --resume --source s --token "$token"
	placed s 0 a 1 >&5
	retry 100 grep -q 'trying again' err
	up
	retry 100 grep -q '"id":"a"' out
	grep -q 'connected to the database again after' err
	echo '{"event":"end","source":"s","shard":"0/1","read":1,"lastOffset":0,"complete":true}' >&5
	exec 5>&-
	ended 0
}

@test "a restart while nothing is going on goes unnoticed" {
	writer migrate
	feed run
	retry 100 grep -q . <(backends)
	for how in immediate fast; do
		down $how
		up
		# What comes first may be the beginning of a source, an update, or one of no source.
		echo '{"event":"begin","source":"s","seed":1}' >&5
		placed s 0 a 1 >&5
		retry 100 told 2
		down $how
		up
		placed s 1 a 2 >&5
		update b 1 >&5
		retry 100 grep -q '"id":"b"' out
		: >out
	done
	exec 5>&-
	ended 0
	same "$(sql 'SELECT read, indexed, duplicate FROM acctflow.sources')" '4|2|2'
}

@test "restarts in the middle of everything: each update is committed and told once" {
	writer migrate
	for ((i = 0; i < 6000; i++)); do placed s $i "a$((i % 50))" $((i / 50)); done >in
	feed run --batch 200
	cat in >&5 &
	for how in immediate fast immediate; do
		now=$(wc -l <out)
		more() { (($(wc -l <out) > now || $(wc -l <out) == 6000)); }
		retry 200 more
		down $how
		up
	done
	exec 5>&-
	ended 0
	same "$(members event offset <out)" "$(for ((i = 0; i < 6000; i++)); do echo "indexed $i "; done)"
	same "$(sql 'SELECT read, indexed, committed_offset FROM acctflow.sources')" '6000|6000|5999'
	same "$(sql 'SELECT count(*) FROM acctflow.account_updates')" 6000
}

@test "a backend killed in the middle of a batch" {
	feed run
	placed s 0 a 1 >&5
	retry 100 told 1
	for signal in TERM KILL; do
		n=$(wc -l <out)
		held 'LOCK TABLE acctflow.latest IN SHARE MODE'
		for i in {1..600}; do placed s $((n + i - 1)) "$signal$i" 1; done >&5
		retry 100 waits 1
		kill -$signal "$(sql "SELECT pid FROM pg_stat_activity WHERE wait_event_type = 'Lock'" | head -n 1)"
		retry 100 grep -q 'trying the batch again' err
		[[ $signal == KILL ]] || told "$n"
		release
		retry 200 told $((n + 600))
		: >err
	done
	exec 5>&-
	ended 0
	same "$(counts)" '1201|1201|0|0|0|0|0'
	same "$(members offset <out)" "$(seq 0 1200 | sed 's/$/ /')"
}

@test "what fails while the guard is still being sent" {
	writer migrate
	# Batches that no socket holds.
	text=$(printf '%8192s' '' | tr ' ' x)
	for ((i = 0; i < 3000; i++)); do placed s $i "a$i" 1 "\"data\":\"$text\""; done >in
	sql "CREATE SEQUENCE public.tries;
		CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS \$\$BEGIN
			CASE nextval('public.tries')
			WHEN 2, 5 THEN RAISE EXCEPTION 'on purpose' USING ERRCODE = '40P01';
			WHEN 3, 6 THEN PERFORM pg_terminate_backend(pg_backend_pid());
			ELSE END CASE; RETURN NULL; END\$\$;
		CREATE TRIGGER fail AFTER INSERT ON acctflow.latest EXECUTE FUNCTION fail();
		ALTER TABLE acctflow.latest ADD CONSTRAINT unlucky CHECK (id NOT IN ('a400', 'a1500', 'a2999'))" >/dev/null
	writer <in >out 2>err 3>&- &
	pid=$!
	retry 600 gone "$pid"
	ended 0
	same "$(sql 'SELECT last_value > 6 FROM public.tries')" t
	same "$(members offset <out)" "$(seq 0 2999 | sed 's/$/ /')"
	same "$(counts)" '3000|2997|0|0|0|0|3'
	same "$(sql 'SELECT count(*) FROM acctflow.account_updates')" 2997
}

@test "history that finds no memory on its way is sent again, not left out" {
	[[ ! ${ACCTFLOW_SANITIZED-} ]] || skip 'the sanitizers do not go along with LD_PRELOAD'
	writer migrate
	# libpq's own refusal, of its third piece.
	"${CC:-cc}" -xc -shared -fPIC -o refuse.so - <<-'END'
		#define _GNU_SOURCE
		#include <dlfcn.h>
		int PQputCopyData(void *connection, const char *p, int n)
		{
			static int (*next)(void *, const char *, int), calls;
			if (!next)
				*(void **)&next = dlsym(RTLD_NEXT, "PQputCopyData");
			return ++calls == 3 ? 0 : next(connection, p, n);
		}
	END
	text=$(printf '%2048s' '' | tr ' ' x)
	for ((i = 0; i < 2000; i++)); do placed s $i "a$i" 1 "\"data\":\"$text\""; done >in
	LD_PRELOAD=$PWD/refuse.so writer <in >out 2>err 3>&- &
	pid=$!
	retry 300 gone "$pid"
	ended 0
	grep -q 'trying the batch again' err
	same "$(counts)" '2000|2000|0|0|0|0|0'
	same "$(sql 'SELECT count(*) FROM acctflow.account_updates')" 2000
}

@test "past the deadline in the middle: 111, and what was told is what is there" {
	feed run --deadline 1
	placed s 0 a 1 >&5
	retry 100 told 1
	down
	placed s 1 a 2 >&5
	retry 100 gone "$pid"
	ended 111
	grep -q 'the database cannot be reached' err
	told 1
	up
	same "$(counts)" '1|1|0|0|0|0|0'
	placed s 1 a 2 | writer >>out
	same "$(sql 'SELECT committed_offset, indexed FROM acctflow.sources')" '1|2'
}

# refusing STATE TIMES: the next so many batches are refused with that SQLSTATE.
refusing() {
	sql "CREATE SEQUENCE IF NOT EXISTS public.refused" >/dev/null
	sql "ALTER SEQUENCE public.refused RESTART"
	sql "CREATE OR REPLACE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS
		\$\$BEGIN IF nextval('public.refused') <= $2 THEN RAISE EXCEPTION 'refused on purpose' USING ERRCODE = '$1'; END IF; RETURN NULL; END\$\$"
	sql "CREATE OR REPLACE TRIGGER refuse AFTER INSERT ON acctflow.history EXECUTE FUNCTION refuse()"
}

@test "what passes is tried again, whatever its name; what does not, ends it" {
	writer migrate
	n=0
	# Serialization, deadlock, disk full, out of memory, connection lost behind a proxy, internal, read only, shut down.
	for state in 40001 40P01 53100 53200 08006 XX000 25006 57P01 55P03; do
		refusing $state 3
		placed s $n "a$n" 1 >in
		ok writer <in
		has '"event":"indexed"'
		err_has 'trying the batch again: refused on purpose'
		((++n))
	done
	same "$(counts)" "$n|$n|0|0|0|0|0"
	refusing 53100 1000000
	placed s $n "a$n" 1 >in
	fails 111 writer --deadline 1 <in
	same "$output" ''
	for state in 42501 42P01 0A000; do
		refusing $state 1000000
		fails 100 writer <in
		err_has 'the database refused: refused on purpose'
		same "$output" ''
	done
	same "$(counts)" "$n|$n|0|0|0|0|0"
}

@test "a pause between tries, which grows, where ack's statement is refused" {
	for i in 0 1 2; do placed s $i "a$i" 1; done | writer | timerd >events
	sql 'CREATE SEQUENCE public.tries'
	sql "CREATE FUNCTION no_room() RETURNS trigger LANGUAGE plpgsql AS
		\$\$BEGIN PERFORM nextval('public.tries'); RAISE EXCEPTION 'no room' USING ERRCODE = '53100'; END\$\$"
	sql 'CREATE TRIGGER no_room BEFORE INSERT ON acctflow.outcomes EXECUTE FUNCTION no_room()'
	fails 111 writer ack --deadline 3 <events
	err_has 'trying to record again: no room'
	err_has 'could not record what was passed on: no room'
	[[ $stderr != *'cannot be reached'* ]]
	(($(sql 'SELECT last_value FROM public.tries') < 30))
	sql 'DROP TRIGGER no_room ON acctflow.outcomes'
	ok writer ack <events
	same "$(sql "SELECT count(*) FROM acctflow.callbacks WHERE state = 'fired'")" 3
}

@test "what a person replaces while it runs is read anew: the password file" {
	writer migrate
	sql 'GRANT ALL ON SCHEMA acctflow TO guarded; GRANT ALL ON ALL TABLES IN SCHEMA acctflow TO guarded; GRANT ALL ON ALL SEQUENCES IN SCHEMA acctflow TO guarded'
	echo '*:*:*:guarded:geheim' >passes
	chmod 600 passes
	PGUSER=guarded PGPASSFILE=$PWD/passes feed run --deadline 600
	placed s 0 a 1 >&5
	retry 100 told 1
	sql "ALTER ROLE guarded PASSWORD 'neu'"
	echo '*:*:*:guarded:neu' >next
	chmod 600 next
	mv next passes
	down
	up
	placed s 1 a 2 >&5
	retry 100 told 2
	exec 5>&-
	ended 0
	sql "ALTER ROLE guarded PASSWORD 'geheim'; DROP OWNED BY guarded"
}

# proxy: listens at proxy/ and passes on to the cluster; a kill cuts all connections.
proxy() {
	mkdir -p proxy
	perl -MIO::Socket::UNIX -MIO::Select -e '
		unlink "proxy/.s.PGSQL.5432";
		my $door = IO::Socket::UNIX->new(Local => "proxy/.s.PGSQL.5432", Listen => 9) or die "listen: $!";
		my ($in, %peer) = (IO::Select->new($door));
		for (;;) {
			for my $from ($in->can_read) {
				if ($from == $door) {
					my ($a, $b) = (scalar $door->accept, IO::Socket::UNIX->new(Peer => "$ENV{CLUSTER}/.s.PGSQL.5432") || die "connect: $!");
					@peer{$a, $b} = ($b, $a);
					$in->add($a, $b);
				} elsif (my $to = $peer{$from}) {
					if (sysread $from, my $bytes, 65536) {
						for (my $at = 0; $at < length $bytes;) { $at += syswrite($to, $bytes, 65536, $at) // last }
					} else {
						delete @peer{$from, $to};
						$in->remove($from, $to);
						close $_ for $from, $to;
					}
				}
			}
		}' 2>>proxy.err 3>&- 5>&- 6>&- &
	others+=($!)
	retry 100 test -S proxy/.s.PGSQL.5432
}

# Every commit of a version past 1 waits for whoever holds the advisory lock 42.
slow_commit() {
	sql "CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS \$\$BEGIN PERFORM pg_advisory_xact_lock_shared(42); RETURN NULL; END\$\$"
	sql 'CREATE CONSTRAINT TRIGGER slow AFTER INSERT ON acctflow.history DEFERRABLE INITIALLY DEFERRED
		FOR EACH ROW WHEN (NEW.version > 1) EXECUTE FUNCTION slow()'
}

@test "a connection that goes silent in the middle is given up at the deadline" {
	writer migrate
	proxy
	PGHOST=$PWD/proxy feed run --deadline 2
	placed s 0 a 1 >&5
	retry 100 told 1
	kill -STOP "${others[0]}"
	placed s 1 a 2 >&5
	retry 300 gone "$pid"
	exec 5>&-
	ended 111
	grep -q 'no word from the server for 2 s' err
	told 1
}

@test "a commit whose answer is lost is looked up, not made twice" {
	writer migrate
	slow_commit
	# Who wrote the row is not to be told from its xmin: on another node, or as here in a subtransaction, that is another one.
	sql "CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS \$\$BEGIN
		BEGIN UPDATE acctflow.pipelines SET updated_at = clock_timestamp() WHERE pipeline = NEW.pipeline; EXCEPTION WHEN division_by_zero THEN NULL; END;
		RETURN NULL; END\$\$"
	sql 'CREATE TRIGGER touch AFTER UPDATE ON acctflow.pipelines FOR EACH ROW WHEN (pg_trigger_depth() = 0) EXECUTE FUNCTION touch()'
	proxy
	PGHOST=$PWD/proxy feed run --deadline 600
	placed s 0 a 1 >&5
	retry 100 told 1
	held 'SELECT pg_advisory_lock(42)'
	placed s 1 a 2 >&5
	update b 2 >&5
	retry 100 waits 1
	kill -9 "${others[0]}"
	rm -r proxy
	proxy
	# Its old backend does not know yet that nobody listens, and commits.
	retry 100 grep -q 'waiting for the transaction that was cut off' err
	told 1
	release
	retry 100 told 3
	exec 5>&-
	ended 0
	same "$(counts)" '2|2|0|0|0|0|0'
	same "$(members event id version <out)" $'indexed a 1 \nindexed a 2 \nindexed b 2 '
	same "$(sql 'SELECT count(*) FROM acctflow.account_updates')" 3
}

@test "a commit that was cut off and hangs is ended, then made again" {
	writer migrate
	slow_commit
	proxy
	PGHOST=$PWD/proxy feed run --deadline 600
	placed s 0 a 1 >&5
	retry 100 told 1
	# While one update is held up the others gather, to be one batch on both connections.
	held 'LOCK TABLE acctflow.latest IN SHARE MODE'
	placed s 1 a1 1 >&5
	retry 100 waits 1
	for i in {2..600}; do placed s "$i" "a$i" 2; done >&5
	echo "SELECT pg_advisory_lock(42); COMMIT;" >&6
	retry 100 told 2
	retry 100 waits 1
	old=$(sql "SELECT string_agg(pid::text, ',') FROM pg_stat_activity WHERE wait_event_type = 'Lock'")
	kill -9 "${others[0]}"
	rm -r proxy
	proxy
	ended_backends() { [[ -z $(sql "SELECT pid FROM pg_stat_activity WHERE pid IN ($old)") ]]; }
	retry 200 ended_backends
	told 2
	release
	retry 200 told 601
	exec 5>&-
	ended 0
	same "$(counts)" '601|601|0|0|0|0|0'
	same "$(members offset <out)" "$(seq 0 600 | sed 's/$/ /')"
}

@test "a server that crashed may have forgotten the transaction, and give its number to another" {
	writer migrate
	slow_commit
	for others_go_first in '' 1; do
		feed run
		echo "{\"event\":\"begin\",\"source\":\"s$others_go_first\"}" >&5
		retry 100 told 1
		held 'SELECT pg_advisory_lock(42)'
		placed "s$others_go_first" 0 "a$others_go_first" 2 >&5
		retry 100 waits 1
		kill -STOP "$pid"
		down
		up
		if [[ $others_go_first ]]; then
			for i in {1..40}; do sql 'SELECT pg_current_xact_id()' >/dev/null; done
		fi
		kill -CONT "$pid"
		retry 100 told 2 || { cat err && false; }
		exec 5>&-
		ended 0
		release
	done
	same "$(sql 'SELECT read, indexed FROM acctflow.sources')" $'1|1\n1|1'
	same "$(sql 'SELECT count(*) FROM acctflow.account_updates')" 2
}

@test "ack goes on across a restart, and records all that fired" {
	writer migrate
	fired() {
		for ((i = $1; i < $2; i++)); do
			echo "{\"event\":\"fired\",\"source\":\"s\",\"offset\":$i,\"id\":\"a\",\"version\":$i,\"firedAt\":\"2000-01-01T00:00:00Z\"}"
		done
	}
	recorded() { [[ $(sql 'SELECT count(*) FROM acctflow.outcomes') == "$1" ]]; }
	feed ack
	fired 0 10 >&5
	retry 100 recorded 10
	down
	fired 10 2000 >&5
	# They pass all the same.
	retry 100 told 2000
	up
	retry 100 recorded 2000
	exec 5>&-
	ended 0
	feed ack --deadline 1
	fired 2000 2001 >&5
	retry 100 recorded 2001
	down
	fired 2001 2002 >&5
	retry 100 gone "$pid"
	ended 111
	told 2
}

@test "behind a pgbouncer that pools by transaction" {
	command -v pgbouncer >/dev/null || skip 'no pgbouncer'
	local as=()
	((EUID != 0)) || as=(runuser -u postgres --)
	cat >"$CLUSTER/pgbouncer.ini" <<-END
		[databases]
		* = host=$CLUSTER user=acctflow
		[pgbouncer]
		listen_addr =
		unix_socket_dir = $CLUSTER
		listen_port = 6432
		auth_type = any
		pidfile = $CLUSTER/pgbouncer.pid
		pool_mode = transaction
		default_pool_size = 3
	END
	(cd / && exec "${as[@]}" pgbouncer -q "$CLUSTER/pgbouncer.ini") >pgbouncer.log 2>&1 3>&- 5>&- 6>&- &
	retry 100 test -s "$CLUSTER/pgbouncer.pid" -a -S "$CLUSTER/.s.PGSQL.6432"
	# Not what it was started by, which may have to look after it.
	others+=("$(<"$CLUSTER/pgbouncer.pid")")
	generate --updates 1500 --accounts 40 --seed 3 --edges >data
	reader --arrival offset --clock virtual --seed 9 --source s data >in
	for i in 1 2 3 4; do sed "s/\"source\":\"s\"/\"source\":\"s$i\"/; s/\"id\":\"/&s$i-/" in >"in.$i"; done
	PGPORT=6432 writer migrate
	for i in 1 2 3 4; do
		PGPORT=6432 writer --clock virtual --batch 700 <"in.$i" >"out.$i" 2>"err.$i" &
		pids[i]=$!
	done
	for i in 1 2 3 4; do wait "${pids[i]}" || { cat "err.$i" && false; }; done
	# Which source came first is chance.
	for verb in status richest pending; do PGPORT=6432 writer $verb | sort >"saw.$verb"; done
	# A backend that the pool keeps is no writer that works on the source.
	PGPORT=6432 writer --clock virtual <in.1 >again
	same "$(members event reason <again | grep -v -e begin -e end -e rejected -e duplicate -e conflict || true)" ''
	database_drop
	database
	for i in 1 2 3 4; do writer --clock virtual <"in.$i" | cmp - "out.$i"; done
	for verb in status richest pending; do writer $verb | sort | cmp - "saw.$verb"; done
}
