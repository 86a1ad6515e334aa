# The private Postgres: made, started, counted by its users, watched, revived, stopped by the last of them.
# shellcheck shell=bash disable=SC2034,SC2154,SC2086 # set and used by the other parts

gate=''  # a descriptor: the lock of whoever starts or stops it
users='' # a descriptor: the shared lock of those who use it

# The folder of Postgres's programs: of the cluster's version if there is a cluster, else the newest.
db_binaries() {
	local want='*' found
	[[ ! -r ${ACCTFLOW_HOME-}/postgres/PG_VERSION ]] || want=$(<"$ACCTFLOW_HOME/postgres/PG_VERSION")
	found=/usr/lib/postgresql/$want/bin/initdb
	[[ -x $found ]] || found=$(compgen -G "$found" | sort -V | tail -n 1) || :
	[[ $found ]] || found=$(readlink -f -- "$(command -v initdb || :)") || :
	[[ -z $found ]] || printf '%s\n' "${found%/*}"
}

# as_db COMMAND...: as the user who owns the cluster (Postgres refuses root), from a folder he can be in, away from our
# terminal's ^C, holding none of our locks.
as_db() {
	local as=()
	((EUID != 0)) || as=(runuser -u "$db_user" --)
	(cd / && descriptors_close && exec setsid --wait "${as[@]}" "$@") </dev/null
}

# Sets cluster (real path, "" if there is none), db_user and db_bin.
db_find() {
	cluster='' db_user=''
	db_bin=$(db_binaries)
	[[ $db_bin ]] || fail $PERMANENT "could not find Postgres's programs; see: acctflow packages"
	if [[ -e $ACCTFLOW_HOME/postgres/PG_VERSION ]]; then
		cluster=$(realpath -- "$ACCTFLOW_HOME/postgres")
		db_user=$(stat -c %U -- "$cluster")
		((EUID == 0)) || [[ -O $cluster ]] ||
			fail $PERMANENT "the private Postgres in \"$cluster\" belongs to user $db_user; set ACCTFLOW_HOME to a folder of your own"
	elif ((EUID == 0)); then
		db_user=postgres
		id -u postgres >/dev/null 2>&1 ||
			fail $PERMANENT "there is no user postgres, who would run the private Postgres for root; see: acctflow packages"
	else
		db_user=$(id -un)
	fi
}

# Makes the cluster, next to its place first, so that a half made one is never taken for one.
db_init() {
	local place=$ACCTFLOW_HOME/postgres locale=C
	rm -rf -- "$place.new"
	mkdir -m 0700 -- "$place.new" || fail $TEMPORARY "could not make folder \"$place.new\""
	((EUID != 0)) || chown "$db_user": -- "$place.new"
	if ((EUID == 0)) && ! as_db test -w "$place.new"; then
		rm -rf -- "$place.new"
		place=/var/lib/postgresql/acctflow-$(cksum <<<"$ACCTFLOW_HOME" | cut -d ' ' -f 1)
		log info "user $db_user cannot reach \"$ACCTFLOW_HOME\"; the private Postgres goes to \"$place\""
		rm -rf -- "$place.new"
		mkdir -m 0700 -- "$place.new"
		chown "$db_user": -- "$place.new"
		# A state folder that was removed since has left its cluster: kept, once.
		if [[ -e $place/PG_VERSION ]]; then
			cluster=$place db_stop
			rm -rf -- "$place.old"
			mv -- "$place" "$place.old"
			log warn "the cluster of an earlier state folder of that name was moved to \"$place.old\""
		fi
	fi
	log info "making a private Postgres in \"$place\""
	if locale -a 2>/dev/null | grep -qixE 'C\.utf-?8'; then locale=C.UTF-8; fi
	as_db "$db_bin/initdb" -D "$place.new" -U acctflow -E UTF8 --locale="$locale" -A trust -k >"$run/initdb.log" 2>&1 || {
		cat "$run/initdb.log" >&2
		rm -rf -- "$place.new"
		fail $TEMPORARY "could not make the private Postgres in \"$place\""
	}
	rm -f -- "$run/initdb.log"
	printf '%s\n' '' "# acctflow's supervisor writes this file at each start:" "include_if_exists = 'acctflow.conf'" \
		>>"$place.new/postgresql.conf"
	mv -T -- "$place.new" "$place"
	[[ $place == "$ACCTFLOW_HOME/postgres" ]] || ln -sfn -- "$place" "$ACCTFLOW_HOME/postgres"
	cluster=$(realpath -- "$place")
}

# Sets socket, the folder of Postgres's socket: within the cluster, or a short one under /tmp that the cluster links
# to, where the path is too long for a socket or holds what would need quoting.
db_socket() {
	local link=$cluster/socket
	socket=$link
	if ((${#link} > 90)) || [[ $link == *[!A-Za-z0-9_./+@%=~-]* ]]; then
		socket=$(readlink -- "$link" || :)
		if [[ -z $socket || $(stat -c %U:%a -- "$socket" 2>/dev/null) != "$db_user:700" ]]; then
			socket=$(as_db mktemp -d /tmp/acctflow-XXXXXX)
			rm -rf -- "$link"
			as_db ln -s -- "$socket" "$link"
		fi
	elif [[ ! -d $link ]]; then
		as_db mkdir -m 0700 -- "$link"
	fi
}

# Whether it runs; then sets socket. The pid file alone does not say so: it outlives a kill -9.
db_running() {
	local lines=() words=()
	[[ ${cluster-} && -r $cluster/postmaster.pid ]] || return 1
	mapfile -t lines <"$cluster/postmaster.pid"
	[[ ${lines[0]-} =~ ^[0-9]+$ ]] || return 1
	mapfile -d '' -t words 2>/dev/null <"/proc/${lines[0]}/cmdline" || return 1
	[[ " ${words[*]-} " == *" -D $cluster "* ]] || return 1
	socket=${lines[4]-}
}

db_name() {
	cksum <<<"$cluster" | cut -d ' ' -f 1
}

# The pids of what a killed postmaster left behind. They end by themselves soon; one that is stopped does not.
db_orphans() {
	local file title name
	name=$(db_name)
	for file in /proc/[0-9]*/cmdline; do
		title=''
		IFS= read -r -d '' title 2>/dev/null <"$file" || :
		[[ $title != "postgres: acctflow-$name: "* ]] || basename -- "${file%/cmdline}"
	done
}

db_orphans_end() {
	local pids until=$((SECONDS + 3))
	while mapfile -t pids < <(db_orphans) && ((${#pids[@]})); do
		((SECONDS < until)) || kill -KILL "${pids[@]}" 2>/dev/null || :
		sleep 0.05
	done
}

# psql as the private Postgres's owner, for what is not the pipeline's.
db_admin() {
	(descriptors_close && exec "$db_bin/psql" -X -q -A -t -v ON_ERROR_STOP=1 \
		-d "host=$socket port=5432 dbname=postgres user=acctflow" "$@") </dev/null
}

# Whether it answers; then the pipeline's database is made where there is none.
db_ready() {
	local found
	db_running && [[ $socket ]] || return 1
	found=$(db_admin -c "SELECT 1 FROM pg_database WHERE datname = 'acctflow'" 2>/dev/null) || return 1
	[[ $found ]] || db_admin -c 'CREATE DATABASE acctflow' 2>/dev/null
}

# Its settings at each start. Only a lack of room hinders that.
db_configure() {
	printf '%s\n' "listen_addresses = ''" 'port = 5432' "unix_socket_directories = '$socket'" \
		'unix_socket_permissions = 0700' 'wal_writer_delay = 10ms' "cluster_name = 'acctflow-$(db_name)'" \
		>"$cluster/acctflow.conf.new" && mv -f -- "$cluster/acctflow.conf.new" "$cluster/acctflow.conf"
}

# Starts the cluster, or finds it running. Called with the gate held.
db_start() {
	local until=$((SECONDS + 60)) tries=0 conninfo
	db_find
	[[ $cluster ]] || db_init
	while ! db_ready; do
		((SECONDS < until)) || fail $TEMPORARY "the private Postgres does not get ready; see \"$cluster/server.log\""
		if db_running; then
			sleep 0.05
			continue
		fi
		db_orphans_end
		db_socket
		# What is left of these names a dead process, one that nobody reaps, or after a reboot an unrelated one.
		rm -f -- "$cluster/postmaster.pid" "$socket/.s.PGSQL.5432" "$socket/.s.PGSQL.5432.lock"
		db_configure 2>/dev/null || [[ -s $cluster/acctflow.conf ]] ||
			fail $TEMPORARY "could not write \"$cluster/acctflow.conf\": is the disk full?"
		as_db "$db_bin/pg_ctl" -D "$cluster" -l "$cluster/server.log" -s -w -t 60 start >/dev/null 2>&1 && continue
		((++tries < 5)) || {
			tail -n 5 -- "$cluster/server.log" >&2 || :
			fail $TEMPORARY "could not start the private Postgres; see \"$cluster/server.log\""
		}
		sleep "0.$tries"
	done
	conninfo="host=$socket port=5432 dbname=acctflow user=acctflow"
	[[ -s $run/db && $(<"$run/db") == "$conninfo" ]] || state_write '>' "$run/db" "$conninfo"
}

# Stops it. Called with the gate held.
db_stop() {
	rm -f -- "$run/db"
	if db_running; then
		as_db "$db_bin/pg_ctl" -D "$cluster" -s -m fast -w -t 60 stop >/dev/null 2>&1 ||
			as_db "$db_bin/pg_ctl" -D "$cluster" -s -m immediate -w -t 30 stop >/dev/null 2>&1 || :
	fi
	local short
	short=$(readlink -- "$cluster/socket" || :)
	[[ $short != /tmp/acctflow-?????? ]] || rm -rf -- "$short" "$cluster/socket"
}

gate_take() {
	file_lock gate "$run/db.gate" 180 || fail $TEMPORARY "another supervisor is starting or stopping the private Postgres for too long"
}

gate_leave() {
	exec {gate}>&-
}

# Makes sure that there is a database, and counts us among its users.
db_acquire() {
	db_private || return 0
	gate_take
	db_start
	exec {users}>>"$run/db.users"
	flock -s "$users" || fail $TEMPORARY "could not lock \"$run/db.users\""
	gate_leave
}

# The last user stops it.
db_release() {
	[[ $users ]] || return 0
	if [[ -e $run/db.keep ]]; then
		users=''
		return
	fi
	gate_take
	exec {users}>&-
	users=''
	! flock -n -x "$run/db.users" true || db_stop
	gate_leave
}

# --- during a run

# Watches it by a session whose only work is to be broken off. (The hour bounds how long its snapshot is held; the pid
# of a postmaster that nobody reaps could not be watched as well.)
db_watch() {
	[[ $users ]] || return 0
	keeper='' child_start s.watch "$db_bin/psql" -X -q -d "host=$socket port=5432 dbname=postgres user=acctflow application_name=supervisor" \
		-c 'SELECT pg_sleep(3600)' 2>/dev/null
}

# Starts it again, in a child, since pipelines are to be looked after too. Its repeated failures are logged once.
db_revive() {
	[[ $db_away ]] || db_running || {
		db_away=${EPOCHREALTIME/./}
		log warn 'the private Postgres is gone; starting it again'
	}
	live[s.revive]=''
	(
		trap - EXIT INT TERM HUP
		descriptors_close "$events"
		((${tries[s.revive]:-0} < 2)) || exec 2>/dev/null
		status=0
		(gate_take && db_start) || status=$?
		printf 's.revive ended %d\n' "$status" >&"$events"
	) &
	live[s.revive]=$!
}

# db_revived STATUS: it runs again, or another try is due soon.
db_revived() {
	local delay seconds
	if (($1)); then
		restart_later s.revive
		return
	fi
	[[ ! $db_away ]] || { seconds_since "$db_away" && log info "the private Postgres is back after $seconds s"; }
	db_away=''
	unset 'tries[s.revive]'
	db_running || :
	db_watch
}
