# Three Postgres servers that are one Citus, a coordinator and two workers, made from the Postgres whose programs are in the
# folder that ACCTFLOW_TEST_CITUS names; it must have the extension.
#
#   citus_make FOLDER     makes the servers below FOLDER and starts them. Their sockets are in it, the coordinator's port is
#                         5432, the workers' are 5433 and 5434; the superuser is acctflow, everybody is trusted
#   citus_up, citus_down FOLDER SERVER [MODE]   starts or stops one: coordinator, worker1, worker2
#   citus_database FOLDER NAME [TEMPLATE]   a database on all three, the workers registered with the coordinator
#   citus_prepare FOLDER WRITER   the database `prepared`, its tables distributed, as a template
#   citus_database_drop FOLDER NAME
#   citus_remove FOLDER   ends the servers
# shellcheck shell=bash

CITUS_SERVERS=(coordinator worker1 worker2)
CITUS_PORTS=(5432 5433 5434)

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

# citus_all FOLDER DATABASE STATEMENT...: on all servers at once, not passed on from one to another.
citus_all() {
	local port started=() pid
	for port in "${CITUS_PORTS[@]}"; do
		citus_sql "$1" "$port" "$2" 'SET citus.enable_ddl_propagation = off' "${@:3}" &
		started+=($!)
	done
	for pid in "${started[@]}"; do wait "$pid" || return; done
}

citus_up() {
	citus_server pg_ctl -D "$1/$2" -l "$1/$2.log" -s -w start >/dev/null 3>&- 5>&- 6>&-
}

citus_down() {
	citus_server pg_ctl -D "$1/$2" -s -w -m "${3-immediate}" stop
}

citus_make() {
	local i server
	((EUID != 0)) || chown postgres: "$1"
	for i in "${!CITUS_SERVERS[@]}"; do
		server=${CITUS_SERVERS[i]}
		citus_server initdb -D "$1/$server" -U acctflow -E UTF8 --locale=C -A trust -N >/dev/null
		cat >>"$1/$server/postgresql.conf" <<-END
			listen_addresses = ''
			port = ${CITUS_PORTS[i]}
			unix_socket_directories = '$1'
			shared_preload_libraries = 'citus'
			max_connections = 300
			max_worker_processes = 100
			max_prepared_transactions = 300
			fsync = off
			full_page_writes = off
			log_min_messages = error
			autovacuum = off
			citus.enable_statistics_collection = off
			citus.recover_2pc_interval = '2s'
			citus.node_conninfo = 'sslmode=disable'
			citus.local_hostname = '$1'
		END
		citus_up "$1" "$server"
	done
}

citus_database() {
	citus_all "$1" postgres "CREATE DATABASE $2 ${3+TEMPLATE $3}" || return
	[[ ! ${3-} ]] || return 0
	citus_all "$1" "$2" 'CREATE EXTENSION citus' || return
	citus_sql "$1" 5432 "$2" "SELECT citus_set_coordinator_host('$1', 5432)" \
		"SELECT citus_add_node('$1', 5433)" "SELECT citus_add_node('$1', 5434)" >/dev/null
}

citus_prepare() {
	citus_database "$1" prepared
	"$2" migrate --distributed --shard-count 4 --db "host=$1 user=acctflow dbname=prepared" 2>/dev/null
	citus_all "$1" postgres 'ALTER DATABASE prepared ALLOW_CONNECTIONS false' \
		"SELECT count(pg_terminate_backend(pid, 10000)) FROM pg_stat_activity WHERE datname = 'prepared'" >/dev/null
}

citus_database_drop() {
	local try
	# What Citus runs by itself connects again.
	for try in {1..20}; do
		! citus_all "$1" postgres "DROP DATABASE IF EXISTS $2 WITH (FORCE)" 2>/dev/null || return 0
		sleep "0.$try"
	done
	return 1
}

citus_remove() {
	local server
	for server in "${CITUS_SERVERS[@]}"; do citus_down "$1" "$server" || :; done
	rm -rf -- "$1"
}
