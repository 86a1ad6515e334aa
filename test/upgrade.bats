#!/usr/bin/env bats
# Upgrading: dumps of every released schema, migrated by this version and by one that is made up of it and a migration more;
# what an older program does on a newer schema; and both versions at work on one database.
# shellcheck disable=SC2154,SC2164 # helper sets root, bin and supervisor; a cd that fails ends the test
load helper

setup_file() {
	# A version with one more migration, as a release may have it: only the writer differs.
	export NEWER=$BATS_FILE_TMPDIR/bin
	local tree=$BATS_FILE_TMPDIR/tree here
	here=$(cd "$BATS_TEST_DIRNAME/.." && pwd)
	mkdir -p "$tree" "$NEWER"
	cp -a "$here"/{Makefile,common,writer,sql} "$tree/"
	echo "ALTER TABLE acctflow.latest ADD COLUMN upgraded text DEFAULT 'new'; CREATE TABLE acctflow.more (id integer);" >"$tree/sql/002_more.sql"
	sed -i 's/SCHEMA_VERSION = 1,/SCHEMA_VERSION = 2,/' "$tree/writer/schema.h"
	sed -i 's/migrations\[\] = {sql_001_tables}/migrations[] = {sql_001_tables, sql_002_more}/' "$tree/writer/schema.c"
	make -s -C "$tree" BIN=bin BUILD=build VERSION=99.0.0 CFLAGS=-O1 bin/writer >/dev/null
	cp "$tree/bin/writer" "$NEWER/"
	ln -s "$(cd "$here" && realpath "${BIN:-bin}")"/{reader,timerd,deliver,statusd} "$NEWER/"
}

setup() {
	cd "$BATS_TEST_TMPDIR"
	[[ ! ${ACCTFLOW_TEST_CITUS-} ]] || skip 'the dumps are of a plain Postgres'
	database empty
}

# newer COMMAND...: with the newer version's programs.
newer() { ACCTFLOW_BIN=$NEWER PATH=$NEWER:$PATH "$@"; }

# stored: what users see, in an order of its own.
stored() {
	local relation
	for relation in accounts account_updates callbacks rejected_updates sources source_shards; do
		echo "-- $relation"
		sql "SELECT to_jsonb(r) FROM acctflow.$relation r" | sort
	done
}

# shape: tables, columns, indexes, constraints and views, but for their order.
shape() {
	pg_dump --schema=acctflow --schema-only --no-owner --no-privileges | grep -vE '^(--|\\|SET |SELECT |$)' | sort
}

@test "each released schema is migrated from its dump: the same shape as a new one, all that was stored, and the source goes on" {
	local dump fresh before programs
	for programs in "$bin" "$NEWER"; do
		ok "$programs/writer" migrate
		fresh=$(shape)
		for dump in "$root"/test/dumps/*.sql; do
			sql 'DROP SCHEMA acctflow CASCADE' 2>/dev/null
			ok psql -X -q -v ON_ERROR_STOP=1 -f "$dump"
			before=$(stored)
			ok "$programs/writer" migrate
			same "$(shape)" "$fresh"
			same "$(stored)" "$before"
			ok "$programs/writer" migrate
			ok "$programs/writer" status --format json
			hasnt '"consistent":false'
			# What was pending when the dump was made is overdue, and is taken up.
			same "$(sql "SELECT string_agg(id || version, ' ' ORDER BY id) FROM acctflow.callbacks WHERE state = 'pending'")" 'A3 F9'
			cp "$root/test/dumps/input.ndjson" in
			echo '{"id":"G","accountType":"mint","tokens":1,"callbackTimeMs":0,"version":1}' >>in
			ACCTFLOW_BIN=$programs ok "$supervisor" run --source s --shards 2 --arrival none --format json in
			same "$(jq -r 'select(.event == "fired") | .id' <<<"$output" | sort | paste -s -d ' ')" 'A F G'
			same "$(jq -c 'select(.read) | [.read, .indexed, .complete]' <<<"$output" | tail -n 1)" '[14,9,true]'
			same "$(sql "SELECT state, count(*) FROM acctflow.callbacks GROUP BY 1 ORDER BY 1")" $'cancelled|2\nfailed|1\nfired|4'
			# Of the failed one there is another attempt where that is asked for.
			ok "$programs/writer" retry
			same "$(jq -c '[.id, .state]' <<<"$output")" '["refused","pending"]'
		done
		sql 'DROP SCHEMA acctflow CASCADE' 2>/dev/null
	done
}

@test "a migration that is cut off leaves the older schema as it was, and can be made again" {
	local before
	ok "$bin/writer" migrate
	before=$(shape)
	# It waits for a lock, in the middle.
	mkfifo hold
	psql -X -q <hold >held 3>&- &
	exec 8>hold
	echo 'BEGIN; LOCK TABLE acctflow.latest; SELECT 1;' >&8
	retry 50 test -s held
	"$NEWER/writer" migrate --deadline 60 2>err 3>&- 8>&- &
	started=$!
	waits() { [[ $(sql "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'") == 1 ]]; }
	retry 100 waits
	kill -9 "$started"
	exec 8>&-
	quiet() { [[ $(sql "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()") == 0 ]]; }
	retry 100 quiet
	same "$(shape)" "$before"
	ok "$bin/writer" status
	ok newer writer migrate
	same "$(sql 'SELECT max(version) FROM acctflow.migrations')" 2
}

@test "an older program refuses a newer schema, whatever it was started for" {
	local verb
	ok newer writer migrate
	for verb in run migrate status sources richest claim\ --source\ s pending rejected retry; do
		# shellcheck disable=SC2086 # words
		fails 100 writer $verb </dev/null
		err_has "the schema's version is 2, this program knows 1: use a newer acctflow"
	done
	echo '{"id":"A","accountType":"mint","tokens":1,"callbackTimeMs":0,"version":1}' >in
	fails 100 "$supervisor" run in
	err_has 'use a newer acctflow'
	same "$(sql 'SELECT count(*) FROM acctflow.history')" 0
}

@test "both versions on one database: the older one works on until the newer one takes its pipeline over" {
	local n=3000 seen
	seq $n | sed 's/.*/{"id":"a&","accountType":"t","tokens":1,"callbackTimeMs":200,"version":1}/' >in
	ACCTFLOW_HOME=$PWD/old "$supervisor" run --source s --delay-ms 2:4 --format json in >out.old 2>err.old 3>&- &
	started=$!
	read_now() { sql 'SELECT coalesce(sum(read), 0) FROM acctflow.sources' 2>/dev/null || echo 0; }
	further() { (($(read_now) > $1)); }
	retry 300 further 50
	ok newer writer migrate
	# Its statements fit what the newer one has added to.
	seen=$(read_now)
	retry 300 further $((seen + 50))
	ACCTFLOW_HOME=$PWD/new ok newer "$supervisor" run --source s --delay-ms 2:4 --format json in
	printf '%s\n' "$output" >out.new
	status=0
	wait "$started" || status=$?
	same "$status" 100
	grep -q 'use a newer acctflow' err.old
	same "$(sql 'SELECT count(*), count(DISTINCT (id, version)) FROM acctflow.history')" "$n|$n"
	same "$(sql "SELECT state, count(*) FROM acctflow.callbacks GROUP BY 1")" "fired|$n"
	same "$(newer writer status --format json | jq -c '[.read, .consistent]')" "[$n,true]"
	# All was emitted, by one or the other.
	for event in indexed fired; do
		same "$(cat out.old out.new | grep '^{.*}$' | jq -r "select(.event == \"$event\") | .id" | sort -u | wc -l)" $n
	done
}
