# Three Postgres servers that are one Citus: a coordinator and two workers. Sourced by helper.bash's suite, by cluster.bash
# and by the harnesses, where ACCTFLOW_TEST_CITUS names the folder of a Postgres's programs that has the extension.
#
#   citus_make FOLDER        makes the servers below FOLDER and starts them; their sockets are in it, the coordinator's port
#                            is 5432, the workers' are 5433 and 5434; superuser acctflow, everybody is trusted
#   citus_up, citus_down FOLDER SERVER [MODE]   starts or stops one: coordinator, worker1, worker2
#   citus_database FOLDER NAME     a database on all three, with the extension, the workers registered
#   citus_database_drop FOLDER NAME
#   citus_remove FOLDER      ends the servers
# shellcheck shell=bash

CITUS_SERVERS=(coordinator worker1 worker2)

citus_server() {
	local as=()
	((EUID != 0)) || as=(runuser -u postgres --)
	(cd / && "${as[@]}" "$ACCTFLOW_TEST_CITUS/$1" "${@:2}")
}

# citus_sql FOLDER PORT DATABASE STATEMENT...
citus_sql() {
	local statement args=()
	for statement in "${@:4}"; do args+=(-c "$statement"); done
	psql -XqAt -v ON_ERROR_STOP=1 -h "$1" -p "$2" -U acctflow -d "$3" "${args[@]}"
}

citus_up() {
	citus_server pg_ctl -D "$1/$2" -l "$1/$2.log" -s -w start >/dev/null 3>&- 5>&- 6>&-
}

citus_down() {
	citus_server pg_ctl -D "$1/$2" -s -w -m "${3-immediate}" stop
}

citus_make() {
	local server port=5432
	((EUID != 0)) || chown postgres: "$1"
	for server in "${CITUS_SERVERS[@]}"; do
		citus_server initdb -D "$1/$server" -U acctflow -E UTF8 --locale=C -A trust -N >/dev/null
		cat >>"$1/$server/postgresql.conf" <<-END
			listen_addresses = ''
			port = $port
			unix_socket_directories = '$1'
			shared_preload_libraries = 'citus'
			max_connections = 300
			max_prepared_transactions = 300
			wal_level = logical
			fsync = off
			full_page_writes = off
			log_min_messages = error
			autovacuum = off
			citus.enable_statistics_collection = off
			citus.node_conninfo = 'sslmode=disable'
			citus.local_hostname = '$1'
			${CITUS_SETTINGS-}
		END
		citus_up "$1" "$server"
		port=$((port + 1))
	done
}

citus_database() {
	local port
	for port in 5432 5433 5434; do
		citus_sql "$1" "$port" postgres 'SET citus.enable_ddl_propagation = off' "CREATE DATABASE $2"
		citus_sql "$1" "$port" "$2" 'CREATE EXTENSION citus'
	done
	citus_sql "$1" 5432 "$2" "SELECT citus_set_coordinator_host('$1', 5432)" \
		"SELECT citus_add_node('$1', 5433)" "SELECT citus_add_node('$1', 5434)" >/dev/null
}

citus_database_drop() {
	local port
	for port in 5432 5433 5434; do
		citus_sql "$1" "$port" postgres 'SET citus.enable_ddl_propagation = off' "DROP DATABASE IF EXISTS $2 WITH (FORCE)"
	done
}

citus_remove() {
	local server
	for server in "${CITUS_SERVERS[@]}"; do citus_down "$1" "$server" || :; done
	rm -rf -- "$1"
}
