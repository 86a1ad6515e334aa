#!/usr/bin/env bats
# The way to the database: over TLS, of which each side checks the other; and passwords, which nobody gets to see. On a
# Postgres of this file's own that listens on the loopback.
load helper
load writer
load cluster

# signed NAME CA SUBJECT [EXTENSION]: NAME.key and NAME.crt, signed by CA.
signed() {
	openssl req -newkey rsa:2048 -nodes -keyout "$1.key" -subj "$3" 2>/dev/null |
		openssl x509 -req -CA "$2.crt" -CAkey "$2.key" -CAcreateserial -days 2 -out "$1.crt" ${4:+-extfile <(echo "$4")} 2>/dev/null
}

setup_file() {
	local name tries=0
	cluster_make <<-END
		local all guarded scram-sha-256
		local all all trust
		hostssl all certified 127.0.0.1/32 cert
		hostssl all all 127.0.0.1/32 scram-sha-256
	END
	psql -Xqh "$CLUSTER" -U acctflow -d postgres -c "CREATE ROLE guarded SUPERUSER LOGIN PASSWORD 'geheim'" \
		-c 'CREATE ROLE certified SUPERUSER LOGIN'
	mkdir "$CLUSTER/tls"
	cd "$CLUSTER/tls"
	for name in ca other; do
		openssl req -x509 -newkey rsa:2048 -nodes -keyout $name.key -out $name.crt -days 2 -subj "/CN=$name" 2>/dev/null
	done
	signed server ca /CN=server 'subjectAltName=DNS:db.test'
	signed certified ca /CN=certified
	signed stranger other /CN=certified
	((EUID != 0)) || chown postgres: server.key
	chmod 600 ./*.key
	chmod 755 .
	until
		down fast
		PORT=$((20000 + RANDOM % 12000))
		{
			echo "listen_addresses = '127.0.0.1'"
			echo 'ssl = on'
			echo "ssl_cert_file = '$PWD/server.crt'"
			echo "ssl_key_file = '$PWD/server.key'"
			echo "ssl_ca_file = '$PWD/ca.crt'"
			echo "port = $PORT"
		} >"$CLUSTER/data/postgresql.auto.conf"
		up
	do ((++tries < 5)); done
	export PORT
}

teardown_file() {
	cluster_remove
}

setup() {
	cd "$BATS_TEST_TMPDIR"
	export SUITE_PGHOST=$CLUSTER SUITE_PGPORT=$PORT
	database
	echo '*:*:*:guarded:geheim' >right
	echo '*:*:*:guarded:falsch' >wrong
	chmod 600 right wrong
	tls=$CLUSTER/tls
}

teardown() {
	writer_end
	PGUSER=acctflow PGHOST=$CLUSTER database_drop
}

# at HOST: our database there, over TCP.
at() {
	echo "host=$1 hostaddr=127.0.0.1 port=$PORT dbname=$PGDATABASE user=${user-guarded}"
}

@test "TLS: whom writer talks to is checked as it was asked to be; what is wrong is told, and not tried again" {
	command -v openssl >/dev/null || skip 'no openssl'
	export PGPASSFILE=$PWD/right
	ok writer --db "$(at db.test) sslmode=verify-full sslrootcert=$tls/ca.crt" migrate
	placed s 0 a 1 | writer --db "$(at db.test) sslmode=verify-full sslrootcert=$tls/ca.crt" >out
	told 1
	# By the variables, and by the configuration file.
	PGHOST=db.test PGHOSTADDR=127.0.0.1 PGUSER=guarded PGSSLMODE=verify-full PGSSLROOTCERT=$tls/ca.crt ok writer status
	has '"indexed":1'
	echo "database: $(at db.test) sslmode=verify-full sslrootcert=$tls/ca.crt" >config
	ok env -u PGHOST -u PGPORT -u PGUSER -u PGDATABASE writer -c config status
	has '"indexed":1'
	# wrong WORDS SETTING...
	wrong() {
		local words=$1
		shift
		fails 100 writer --db "$*" status
		err_has "$words"
		err_has 'could not connect to the database: '
		[[ $stderr != *trying* ]]
		fails 100 writer --db "$*" --resume < <(placed s 1 a 2)
		same "$output" ''
	}
	wrong 'certificate verify failed' "$(at db.test) sslmode=verify-full sslrootcert=$tls/other.crt"
	wrong 'certificate verify failed' "$(at db.test) sslmode=verify-ca sslrootcert=$tls/other.crt"
	wrong 'does not match host name "elsewhere.test"' "$(at elsewhere.test) sslmode=verify-full sslrootcert=$tls/ca.crt"
	wrong 'root certificate file "none.crt" does not exist' "$(at db.test) sslmode=verify-full sslrootcert=none.crt"
	wrong 'no pg_hba.conf entry' "$(at db.test) sslmode=disable"
	ok writer --db "$(at elsewhere.test) sslmode=verify-ca sslrootcert=$tls/ca.crt" status
}

@test "TLS: who writer is, by a certificate" {
	command -v openssl >/dev/null || skip 'no openssl'
	export PGSSLMODE=verify-full PGSSLROOTCERT=$tls/ca.crt user=certified
	# refused WORDS NAME: with that certificate, or none.
	refused() {
		fails 100 writer --db "$(at db.test) ${2:+sslcert=$tls/$2.crt sslkey=$PWD/$2.key}" migrate
		err_has "$1"
		[[ $stderr != *trying* ]]
	}
	cp "$tls/certified.key" "$tls/stranger.key" .
	refused 'connection requires a valid client certificate' ''
	refused 'alert unknown ca' stranger
	ok writer --db "$(at db.test) sslcert=$tls/certified.crt sslkey=$PWD/certified.key" migrate
	chmod 644 certified.key
	refused 'has group or world access' certified
	mv certified.key elsewhere
	refused 'certificate present, but not private key file' certified
}

@test "TLS: a server that has none, where it is asked for" {
	sql "ALTER SYSTEM SET ssl = off" && sql 'SELECT pg_reload_conf()' >/dev/null
	plain() { [[ $(sql 'SHOW ssl') == off ]]; }
	retry 100 plain
	PGPASSFILE=$PWD/right fails 100 writer --db "$(at db.test) sslmode=require" status
	sql "ALTER SYSTEM SET ssl = on" && sql 'SELECT pg_reload_conf()' >/dev/null
	err_has 'server does not support SSL, but SSL was required'
	[[ $stderr != *trying* ]]
}

# seen TEXT: in which files of ours, command lines and environments it stands.
seen() {
	local pid
	grep -rlaFe "$1" "$ACCTFLOW_HOME" log out err || true
	while read -r pid; do
		! grep -aqsFe "$1" "/proc/$pid/cmdline" || echo "cmdline of $pid"
		! grep -aqsFe "$1" "/proc/$pid/environ" || echo "environ of $pid"
	done < <(family "$$")
}
# family PID: it, and all that came of it.
family() {
	local child
	echo "$1"
	for child in $(cat "/proc/$1/task/$1/children" 2>/dev/null); do family "$child"; done
}

@test "a password is in no command line, environment, log, state or error of a whole run" {
	: >log
	printf 'database: %s\npassword_file: %s\nlog-level: trace\n' "host=$CLUSTER port=$PORT dbname=$PGDATABASE user=guarded" "$PWD/right" >config
	export ACCTFLOW_CONFIG=$PWD/config
	sql "ALTER SYSTEM SET log_min_messages = debug1" && sql 'SELECT pg_reload_conf()' >/dev/null
	mkfifo fifo
	env -u PGHOST -u PGPORT -u PGUSER -u PGDATABASE "$supervisor" run --source s - <fifo >out 2>err 3>&- 5>&- 6>&- &
	pid=$!
	exec 5>fifo
	update a 1 >&5
	indexed() { grep -q '"event":"indexed"' out; }
	retry 200 indexed
	# All are there to be looked at.
	same "$(family $pid | xargs -I{} cat /proc/{}/comm | grep -cE '^(reader|writer|timerd)$')" 5
	[[ $(seen ACCTFLOW_HOME=) == *'environ of '* && $(seen --resume) == *'cmdline of '* ]]
	same "$(seen geheim)" ''
	exec 5>&-
	retry 200 gone "$pid"
	ended 0
	same "$(seen geheim)" ''
	# What is wrong with it is told without it.
	printf 'database: %s\npassword_file: %s\n' "host=$CLUSTER port=$PORT dbname=$PGDATABASE user=guarded" "$PWD/wrong" >config
	update a 2 >in
	for verb in 'run --log-level trace in' status; do
		# shellcheck disable=SC2086 # a verb and its operands
		fails 100 env -u PGHOST -u PGPORT -u PGUSER -u PGDATABASE "$supervisor" $verb
		err_has 'password authentication failed for user "guarded"'
		[[ $stderr$output != *falsch* ]]
	done
	sql "ALTER SYSTEM RESET log_min_messages" && sql 'SELECT pg_reload_conf()' >/dev/null
	run ! grep -e geheim -e falsch "$CLUSTER/log"
	# A file that others can read is not read, and named.
	chmod 644 right
	fails 100 env -u ACCTFLOW_CONFIG PGUSER=guarded writer --log-level trace --password-file right status
	err_has 'no password supplied'
	[[ $stderr != *geheim* ]]
}
