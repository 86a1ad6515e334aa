# A Postgres of one bats file's own, which it may kill, or have listen and ask as it likes, on top of helper.bash.
#
#   cluster_make        in setup_file: makes it in CLUSTER and starts it; standard input is its pg_hba.conf
#   cluster_database NAME   makes a database in it
#   cluster_remove      in teardown_file
#   server COMMAND...   one of Postgres's programs, as the user it may run as
#   up, down [MODE]     starts it, stops it (immediate)
#
# Its socket is in CLUSTER, its superuser is acctflow. With ACCTFLOW_TEST_CITUS it is a Citus.
# shellcheck shell=bash disable=SC2034,SC2154

cluster_make() {
	local initdb server
	# Its tests would take it from each other.
	BATS_NO_PARALLELIZE_WITHIN_FILE=true
	# A short path, for the socket, that user postgres may enter.
	CLUSTER=$(mktemp -d /tmp/acctflow-cluster.XXXXXX)
	initdb=$(compgen -G '/usr/lib/postgresql/*/bin/initdb' | sort -V | tail -n 1) || initdb=$(command -v initdb)
	CLUSTER_BIN=${initdb%/*}
	export CLUSTER CLUSTER_BIN
	((EUID != 0)) || chown postgres: "$CLUSTER"
	if [[ ${ACCTFLOW_TEST_CITUS-} ]]; then
		citus_make "$CLUSTER"
		citus_prepare "$CLUSTER" "$bin/writer"
		cat >"$CLUSTER/pg_hba.conf"
		for server in "${CITUS_SERVERS[@]}"; do
			cp "$CLUSTER/pg_hba.conf" "$CLUSTER/$server/pg_hba.conf"
			citus_server pg_ctl -D "$CLUSTER/$server" -s reload
		done
		return 0
	fi
	server initdb -D "$CLUSTER/data" -U acctflow -E UTF8 --locale=C -A trust >/dev/null
	cat >>"$CLUSTER/data/postgresql.conf" <<-END
		listen_addresses = ''
		unix_socket_directories = '$CLUSTER'
		fsync = off
		full_page_writes = off
		log_min_messages = error
		wal_writer_delay = 10s
	END
	cat >"$CLUSTER/data/pg_hba.conf"
	up
}

cluster_database() {
	if [[ ${ACCTFLOW_TEST_CITUS-} ]]; then
		citus_database "$CLUSTER" "$1" prepared
	else
		psql -Xqh "$CLUSTER" -U acctflow -d postgres -c "CREATE DATABASE $1"
	fi
}

cluster_remove() {
	[[ ! ${ACCTFLOW_TEST_CITUS-} ]] || { citus_remove "$CLUSTER" && return; }
	down immediate
	rm -rf -- "$CLUSTER"
}

server() {
	local as=()
	((EUID != 0)) || as=(runuser -u postgres --)
	(cd / && "${as[@]}" "$CLUSTER_BIN/$1" "${@:2}")
}

up() {
	server pg_ctl -D "$CLUSTER/data" -l "$CLUSTER/log" -s -w start >/dev/null 3>&- 5>&- 6>&-
}

# shellcheck disable=SC2120 # the bats files give a mode
down() {
	server pg_ctl -D "$CLUSTER/data" -s -w -m "${1-immediate}" stop
}
