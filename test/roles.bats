#!/usr/bin/env bats
# What the roles of sql/roles.sql may do, and what they may not; and that names are looked for where only the server's
# owner can put one. On a Postgres of this file's own, since roles are one server's.
load helper
load writer
load cluster

setup_file() {
	cluster_make <<<'local all all trust'
	cluster_database first
	psql -Xqh "$CLUSTER" -U acctflow -d first -c 'CREATE ROLE outsider LOGIN'
	PGHOST=$CLUSTER PGUSER=acctflow PGDATABASE=first writer migrate
	writer roles | psql -Xqh "$CLUSTER" -U acctflow -d first
	psql -Xqh "$CLUSTER" -U acctflow -d first -c 'CREATE ROLE pipeline LOGIN IN ROLE acctflow_writer' \
		-c 'CREATE ROLE report LOGIN IN ROLE acctflow_reader' -c 'CREATE ROLE keeper LOGIN IN ROLE acctflow_owner'
}

teardown_file() {
	cluster_remove
}

setup() {
	cd "$BATS_TEST_TMPDIR"
	export SUITE_PGHOST=$CLUSTER
	database
	writer migrate 2>/dev/null
	writer roles | psql -Xq
}

teardown() {
	writer_end
	PGUSER=acctflow database_drop
}

# privileges: all that anybody but the owner was granted here: kind, name, to whom, what (of which columns).
privileges() {
	psql -XqAtF ' ' <<-'END'
		WITH granted (kind, name, part, acl, owner) AS (
			SELECT 'schema', nspname::text, NULL::text, nspacl, NULL::oid FROM pg_namespace WHERE nspname = 'acctflow'
			UNION ALL
			SELECT 'relation', relname, NULL, relacl, NULL FROM pg_class WHERE relnamespace = 'acctflow'::regnamespace
			UNION ALL
			SELECT 'relation', relname, attname, attacl, NULL FROM pg_attribute JOIN pg_class c ON c.oid = attrelid
			WHERE relnamespace = 'acctflow'::regnamespace
			UNION ALL
			SELECT 'function', proname, NULL, coalesce(proacl, acldefault('f', proowner)), proowner FROM pg_proc WHERE pronamespace = 'acctflow'::regnamespace
			UNION ALL
			SELECT 'default', defaclobjtype::text, NULL, defaclacl, NULL FROM pg_default_acl
		)
		SELECT kind, name, g.grantee, g.privilege || coalesce(' (' || string_agg(part, ' ' ORDER BY part COLLATE "C") || ')', '')
		FROM granted, LATERAL (SELECT CASE WHEN grantee = 0 THEN 'PUBLIC' ELSE grantee::regrole::text END AS grantee,
									  privilege_type || CASE WHEN is_grantable THEN ' WITH GRANT OPTION' ELSE '' END AS privilege
							   FROM aclexplode(acl) WHERE grantee IS DISTINCT FROM owner) g
		WHERE g.grantee <> 'acctflow_owner'
		GROUP BY kind, name, g.grantee, g.privilege
		ORDER BY 1, 2, 3, 4;
	END
}

granted='function account_history acctflow_reader EXECUTE
function account_history acctflow_writer EXECUTE
function accounts_at acctflow_reader EXECUTE
function accounts_at acctflow_writer EXECUTE
function accounts_diff acctflow_reader EXECUTE
function accounts_diff acctflow_writer EXECUTE
function changes acctflow_reader EXECUTE
function changes acctflow_writer EXECUTE
function changes_line acctflow_reader EXECUTE
function changes_line acctflow_writer EXECUTE
function moment_known acctflow_reader EXECUTE
function moment_known acctflow_writer EXECUTE
function richest_at acctflow_reader EXECUTE
function richest_at acctflow_writer EXECUTE
function source_moment acctflow_reader EXECUTE
function source_moment acctflow_writer EXECUTE
function tops_follow acctflow_reader EXECUTE
function tops_follow acctflow_writer EXECUTE
relation account_updates acctflow_reader SELECT
relation account_updates acctflow_writer SELECT
relation accounts acctflow_reader SELECT
relation accounts acctflow_writer SELECT
relation callbacks acctflow_reader SELECT
relation callbacks acctflow_writer SELECT
relation deliveries acctflow_reader SELECT
relation deliveries acctflow_writer INSERT (pipeline)
relation deliveries acctflow_writer SELECT
relation deliveries acctflow_writer UPDATE (delivered_offset owner_pid owner_start token updated_at)
relation fleet acctflow_reader SELECT
relation fleet acctflow_writer SELECT
relation history acctflow_reader SELECT
relation history acctflow_writer INSERT
relation history acctflow_writer SELECT
relation inputs acctflow_reader SELECT
relation inputs acctflow_writer INSERT (name shards)
relation inputs acctflow_writer SELECT
relation inputs acctflow_writer UPDATE (arrival clock delay_ms seed speed started_at)
relation latest acctflow_reader SELECT
relation latest acctflow_writer INSERT (account_type callback_time_ms data deleted id ingested_at pipeline source_offset tokens version)
relation latest acctflow_writer SELECT
relation latest acctflow_writer UPDATE (account_type callback_time_ms data deleted ingested_at pipeline previous_version source_offset tokens version)
relation leases acctflow_reader SELECT
relation leases acctflow_writer INSERT (changed_at shard source)
relation leases acctflow_writer SELECT
relation leases acctflow_writer UPDATE (changed_at done_at lag machine wanted_by)
relation machines acctflow_reader SELECT
relation machines acctflow_writer DELETE
relation machines acctflow_writer INSERT (joined_at machine until)
relation machines acctflow_writer SELECT
relation machines acctflow_writer UPDATE (until)
relation migrations acctflow_reader SELECT
relation migrations acctflow_writer SELECT
relation outcomes acctflow_reader SELECT
relation outcomes acctflow_writer INSERT
relation outcomes acctflow_writer SELECT
relation pipelines acctflow_reader SELECT
relation pipelines acctflow_writer INSERT (shard source)
relation pipelines acctflow_writer SELECT
relation pipelines acctflow_writer UPDATE (broken check_hash check_offset committed_offset complete conflict duplicate fingerprint indexed ingested_at owner_pid owner_start rejected skipped stale token updated_at without_callback xid)
relation rejected_updates acctflow_reader SELECT
relation rejected_updates acctflow_writer SELECT
relation rejects acctflow_reader SELECT
relation rejects acctflow_writer INSERT
relation rejects acctflow_writer SELECT
relation retention acctflow_reader SELECT
relation retention acctflow_writer SELECT
relation source_shards acctflow_reader SELECT
relation source_shards acctflow_writer SELECT
relation sources acctflow_reader SELECT
relation sources acctflow_writer SELECT
relation top_slices acctflow_reader SELECT
relation top_slices acctflow_writer SELECT
relation top_watermarks acctflow_reader SELECT
relation top_watermarks acctflow_writer SELECT
relation tops acctflow_reader SELECT
relation tops acctflow_writer SELECT
schema acctflow acctflow_reader USAGE
schema acctflow acctflow_writer USAGE'

owners() {
	sql "SELECT DISTINCT nspowner::regrole FROM pg_namespace WHERE nspname = 'acctflow'
		UNION SELECT relowner::regrole FROM pg_class WHERE relnamespace = 'acctflow'::regnamespace
		UNION SELECT proowner::regrole FROM pg_proc WHERE pronamespace = 'acctflow'::regnamespace"
}

@test "what each role was granted, and nothing else" {
	[[ ! ${ACCTFLOW_TEST_CITUS-} ]] || skip 'Citus grants whole tables'
	same "$(privileges)" "$granted"
	same "$(owners)" acctflow_owner
	same "$(sql "SELECT rolname, rolsuper, rolinherit, rolcreaterole, rolcreatedb, rolcanlogin, rolreplication, rolbypassrls
		FROM pg_roles WHERE rolname LIKE 'acctflow\\_%' ORDER BY 1")" 'acctflow_owner|f|t|f|f|f|f|f
acctflow_reader|f|t|f|f|f|f|f
acctflow_writer|f|t|f|f|f|f|f'
	# They are members of nothing.
	same "$(sql "SELECT count(*) FROM pg_auth_members WHERE member::regrole::text LIKE 'acctflow\\_%'")" 0
}

@test "again: what was granted beside it is taken back; all belongs to the owner" {
	[[ ! ${ACCTFLOW_TEST_CITUS-} ]] || skip 'Citus grants whole tables'
	sql 'GRANT ALL ON ALL TABLES IN SCHEMA acctflow TO acctflow_writer, acctflow_reader, PUBLIC'
	sql 'GRANT ALL ON SCHEMA acctflow TO acctflow_writer, acctflow_reader, PUBLIC'
	sql 'GRANT UPDATE (data) ON acctflow.history TO acctflow_writer WITH GRANT OPTION'
	sql 'ALTER TABLE acctflow.latest OWNER TO acctflow'
	sql 'ALTER SCHEMA acctflow OWNER TO acctflow'
	[[ $(privileges) == *'history acctflow_writer DELETE'* && $(owners) == *$'acctflow\n'* ]]
	for i in 1 2; do
		ok psql -Xq < <(writer roles)
		same "$output$stderr" ''
		same "$(privileges)" "$granted"
		same "$(owners)" acctflow_owner
	done
	# Halfway is nowhere.
	sql 'REVOKE USAGE ON SCHEMA acctflow FROM acctflow_reader'
	sql 'ALTER TABLE acctflow.deliveries RENAME TO elsewhere'
	fails 3 psql -Xq < <(writer roles)
	err_has 'relation "acctflow.deliveries" does not exist'
	[[ $(privileges) != *'acctflow_reader USAGE'* && $(privileges) == *'acctflow_reader SELECT'* ]]
	# It wants the schema first.
	sql 'DROP SCHEMA acctflow CASCADE' 2>/dev/null
	fails 3 psql -Xq < <(writer roles)
	err_has 'schema "acctflow" does not exist'
}

@test "migrations: by a member of the owner, who owns all that they make; not by the writer" {
	tables=$(sql "SELECT string_agg(oid::regclass::text, ',') FROM pg_class WHERE relnamespace = 'acctflow'::regnamespace AND relkind = 'r'")
	local denied='to set role "acctflow_owner"'
	# On Citus nobody becomes the owner, whom its nodes let nobody log in as.
	[[ ! ${ACCTFLOW_TEST_CITUS-} ]] || denied='for schema acctflow'
	emptied() { sql "DROP TABLE $tables CASCADE" 2>/dev/null; }
	for user in keeper acctflow; do
		emptied
		for other in pipeline report outsider; do
			for verb in run migrate; do
				PGUSER=$other fails 100 writer $verb </dev/null
				err_has "this role may not migrate the schema (permission denied $denied)"
				err_has 'run: writer migrate'
			done
		done
		PGUSER=$user ok writer migrate
		err_has 'migrated the schema from version 0 to '
		[[ ${ACCTFLOW_TEST_CITUS-} ]] || same "$(privileges)" "$granted"
		same "$(owners)" acctflow_owner
	done
	# No schema at all: nobody may but who may make one; roles that are there say nothing about this database.
	sql 'DROP SCHEMA acctflow CASCADE' 2>/dev/null
	for other in pipeline keeper; do
		PGUSER=$other fails 100 writer run </dev/null
		err_has 'this role may not migrate the schema (permission denied for database'
	done
	ok writer migrate
	same "$(owners)" acctflow
	PGUSER=pipeline fails 100 writer run </dev/null
	err_has "this role may not read the schema's version (permission denied for schema acctflow)"
	err_has 'writer roles prints which roles there are'
	# An owner of whatever name; on Citus what is made belongs to who migrates.
	[[ ! ${ACCTFLOW_TEST_CITUS-} ]] || return 0
	sql 'ALTER SCHEMA acctflow OWNER TO outsider'
	emptied
	ok writer migrate
	same "$(owners)" outsider
	same "$(privileges)" ''
}

# pipe: an input with all there is, through the whole pipeline, in batches small and large.
pipe() {
	generate --updates 1500 --accounts 100 --seed 4 --edges >in
	reader --arrival offset --clock virtual --seed 9 --source s in | writer --clock virtual | timerd --clock virtual |
		writer ack >out."$PGDATABASE"
	reader --arrival none --clock virtual --seed 9 --count 40 --source small in | writer --clock virtual --batch 3 | timerd --clock virtual |
		writer ack >>out."$PGDATABASE"
}
relations() {
	PGUSER=acctflow psql -Xqf "$root/test/relations.sql" | LC_ALL=C sort
}

@test "the whole pipeline and every verb as the writer: the same as the superuser has" {
	PGUSER=pipeline pipe
	relations >relations.pipeline
	for verb in status sources richest rejected pending report 'history 6BhkGCMVMyrjEEkrASJcLxfAvoW43g6BubxjpeUyZFoz' 'status --source s'; do
		for user in pipeline report acctflow; do
			# shellcheck disable=SC2086 # verbs have operands
			PGUSER=$user writer $verb | sed 's/"rejectedAt":"[^"]*"//; s/Z","20[^"]*Z",/Z",/' >"saw.$user"
		done
		cmp saw.pipeline saw.acctflow
		cmp saw.report saw.acctflow
	done
	[[ -s relations.pipeline ]]
	first=$PGDATABASE
	database
	pipe
	relations | cmp - relations.pipeline
	cmp "out.$first" "out.$PGDATABASE"
	PGDATABASE=$first sql 'SELECT 1' >/dev/null
	for verb in run ack 'claim --source s'; do
		# shellcheck disable=SC2086
		PGDATABASE=$first PGUSER=report fails 100 writer $verb < <(update a 1 && echo '{"event":"fired","id":"a","version":1,"firedAt":"2000-01-01T00:00:00Z"}')
		err_has 'permission denied for table'
	done
	PGDATABASE=$first PGUSER=outsider fails 100 writer status
	err_has 'permission denied for schema acctflow'
	second=$PGDATABASE PGDATABASE=$first
	database_drop
	PGDATABASE=$second
}

@test "taking a source over from one that hangs, as the writer" {
	export PGUSER=pipeline
	feed
	placed s 0 a 1 >&5
	retry 100 told 1
	PGUSER=acctflow held
	placed s 1 a 2 >&5
	PGUSER=acctflow retry 100 waits 1
	kill -STOP "$pid"
	ok writer claim --source s
	has committed=0
	err_has 'ending the backend that holds the source'
	kill -CONT "$pid"
	release
	retry 100 gone "$pid"
	ended 100
	grep -q 'another writer has taken the source over; this one stops' err
	told 1
	# By hand, one that lives is respected.
	feed
	placed s 1 a 2 >&5
	retry 100 told 1
	fails 100 writer < <(placed s 1 a 2)
	err_has 'another writer works on this source'
	exec 5>&-
	ended 0
}

@test "a commit that was cut off is looked up, and ended, as the writer" {
	[[ ! ${ACCTFLOW_TEST_CITUS-} ]] || skip 'Citus has no triggers, by which the commit is held up'
	export PGUSER=pipeline
	PGUSER=acctflow sql "CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS \$\$BEGIN PERFORM pg_advisory_xact_lock_shared(42); RETURN NULL; END\$\$"
	PGUSER=acctflow sql 'CREATE CONSTRAINT TRIGGER slow AFTER INSERT ON acctflow.history DEFERRABLE INITIALLY DEFERRED
		FOR EACH ROW WHEN (NEW.version > 1) EXECUTE FUNCTION slow()'
	feed
	placed s 0 a 1 >&5
	retry 100 told 1
	PGUSER=acctflow held 'SELECT pg_advisory_lock(42)'
	placed s 1 a 2 >&5
	PGUSER=acctflow retry 100 waits 1
	PGUSER=acctflow sql "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND usename = 'pipeline'" >/dev/null
	retry 100 grep -q 'trying the batch again' err
	release
	retry 100 told 2
	exec 5>&-
	ended 0
}

# Every statement in sql/, to be explained, in each.sql. Rights are looked at all the same.
each_make() {
	local file name n args
	echo 'SET plan_cache_mode = force_generic_plan;' >each.sql # or a null might have a table left out
	for file in "$root"/sql/*.sql; do
		name=$(basename "$file" .sql)
		case $name in 0* | roles | views* | functions | distribute | history_copy) continue ;; esac
		n=$(grep -o '\$[0-9]*' "$file" | tr -d '$' | sort -n | tail -n 1)
		args=$(printf 'NULL,%.0s' $(seq 1 "${n:-0}"))
		((${n:-0})) || args=''
		printf '%s\n' "\\warn $name" "PREPARE s_$name AS" "$(<"$file")" ';' "EXPLAIN EXECUTE s_$name${args:+(${args%,})};"
	done >>each.sql
}

# each USER: what becomes of them as that user: a name, and `ok` or an SQLSTATE.
each() {
	PGUSER=$1 psql -Xq -v VERBOSITY=sqlstate -f each.sql 2>&1 >/dev/null | sed 's/^psql:[^ ]* //; s/^ERROR:  //' |
		awk '/^[0-9A-Z]+$/ { if (state == "ok") state = $0; next } { if (name) print name, state; name = $0; state = "ok" } END { print name, state }'
}

@test "statement by statement" {
	[[ ! ${ACCTFLOW_TEST_CITUS-} ]] || skip 'Citus has no plan without values, and with nulls none that asks for rights'
	each_make
	same "$(each acctflow | grep -v ' ok$')" ''
	# The history, its outcomes and rejects are the owner's to change.
	same "$(each pipeline | grep -v ' ok$')" 'history_forget 42501
history_prune 42501
outcomes_prune 42501
outcomes_retry 42501
pipelines_forget 42501
pipelines_prune 42501
rejects_discard 42501
rejects_forget 42501
rejects_redrive 42501
retention_raise 42501
tops_forget 42501
tops_prune 42501'
	same "$(each report | grep -v ' 42501$')" 'account_at ok
accounts ok
accounts_at ok
callbacks ok
deliveries_token ok
fleet ok
history ok
history_before ok
history_diff ok
history_known ok
history_prunable ok
history_replay ok
history_versions ok
inputs_moment ok
inputs_shards ok
inputs_started ok
latest_ids ok
latest_pending ok
latest_versions ok
latest_walk ok
leases_held ok
leases_read ok
pending ok
pipelines_find ok
pipelines_holders_end ok
pipelines_open ok
pipelines_owner ok
pipelines_pending ok
pipelines_show ok
rejected ok
rejected_counts ok
rejects_choose ok
rejects_known ok
report_changes ok
report_density ok
report_lanes ok
report_lateness ok
report_rates ok
report_rejects ok
report_run ok
report_types ok
richest ok
richest_at ok
sources ok
status ok
tops_lock ok
watch ok
watch_outcomes ok
watch_reasons ok
watch_rejects ok
watch_richest ok'
	same "$(each outsider | grep -v ' 42501$')" ''
	same "$(each outsider | wc -l)" "$(cd "$root/sql" && printf '%s\n' [a-z]*.sql | grep -vcx -e roles.sql -e history_copy.sql -e functions.sql -e views.sql -e views_drop.sql -e distribute.sql)"
	for user in report outsider; do
		PGUSER=$user fails 3 psql -Xq -v VERBOSITY=sqlstate -v ON_ERROR_STOP=1 -f "$root/sql/history_copy.sql" -c ''
		err_has 42501
	done
}

# refused USER: each of the statements on standard input, one a line, is, for want of a right.
refused() {
	local line
	while IFS= read -r line; do printf "\\\\warn '%s'\nBEGIN;\n%s\nROLLBACK;\n" "${line//\'/\'\'}" "$line"; done >refused.sql
	sed -n "/^.warn/ { s/^.warn '\(.*\)'/\1\n42501/; s/''/'/g; p }" refused.sql >wanted
	PGUSER=$1 psql -Xq -v VERBOSITY=sqlstate -f refused.sql 2>&1 >/dev/null | sed 's/^psql:[^ ]* ERROR:  //' >got
	[[ -s wanted ]]
	diff -u wanted got
}

@test "what nobody but the owner may" {
	[[ ! ${ACCTFLOW_TEST_CITUS-} ]] || skip 'Citus grants whole tables'
	history='history outcomes rejects'
	books='latest inputs pipelines deliveries migrations'
	PGUSER=pipeline writer < <(placed s 0 a 1) >/dev/null
	every() {
		for table in $history $books; do
			echo "DELETE FROM acctflow.$table;"
			echo "TRUNCATE acctflow.$table;"
			echo "ALTER TABLE acctflow.$table ADD more integer;"
			echo "DROP TABLE acctflow.$table CASCADE;"
			echo "LOCK TABLE acctflow.$table IN ACCESS EXCLUSIVE MODE;"
			echo "CREATE INDEX ON acctflow.$table ((1));"
			echo "CREATE TRIGGER t AFTER INSERT ON acctflow.$table EXECUTE FUNCTION suppress_redundant_updates_trigger();"
			echo "COPY acctflow.$table TO '/tmp/acctflow-never';"
			echo "COPY acctflow.$table FROM PROGRAM 'true';"
		done
		cat <<-END
			CREATE TABLE acctflow.more (n integer);
			CREATE VIEW acctflow.more AS SELECT 1;
			CREATE OR REPLACE VIEW acctflow.sources AS SELECT 1;
			CREATE FUNCTION acctflow.more() RETURNS integer LANGUAGE sql AS 'SELECT 1';
			CREATE SCHEMA more;
			DROP SCHEMA acctflow CASCADE;
			ALTER SCHEMA acctflow RENAME TO more;
			ALTER SCHEMA acctflow OWNER TO CURRENT_USER;
			SET ROLE acctflow_owner;
			SET ROLE acctflow;
			GRANT acctflow_owner TO CURRENT_USER;
			CREATE ROLE more;
			ALTER ROLE acctflow_writer SUPERUSER;
			SELECT pg_read_file('PG_VERSION');
			SELECT lo_import('/etc/hostname');
		END
		for table in $history; do
			echo "UPDATE acctflow.$table SET version = version;"
			echo "SELECT * FROM acctflow.$table FOR UPDATE;"
		done | sed 's/rejects SET version = version/rejects SET raw = raw/'
		echo "INSERT INTO acctflow.history SELECT * FROM acctflow.history ON CONFLICT (id, version) DO UPDATE SET data = 'null';"
		echo "INSERT INTO acctflow.migrations VALUES (1000);"
		echo "UPDATE acctflow.migrations SET version = 1000;"
	}
	# Granting what one has is only warned of.
	for user in pipeline report; do PGUSER=$user sql 'GRANT SELECT ON ALL TABLES IN SCHEMA acctflow TO outsider' 2>/dev/null || true; done
	every | refused pipeline
	every | refused report
	every | refused outsider
	refused pipeline <<-END
		UPDATE acctflow.latest SET id = 'b';
		UPDATE acctflow.inputs SET name = 'b';
		UPDATE acctflow.inputs SET shards = 2;
		UPDATE acctflow.pipelines SET source = 'b';
		UPDATE acctflow.pipelines SET shard = 1;
		UPDATE acctflow.deliveries SET pipeline = 1;
		INSERT INTO acctflow.pipelines (source, shard, token) VALUES ('b', 0, 1);
		INSERT INTO acctflow.deliveries (pipeline, delivered_offset) VALUES (1, 1);
		INSERT INTO acctflow.inputs (name, shards, seed) VALUES ('b', 1, 1);
	END
	for table in $history $books; do
		echo "INSERT INTO acctflow.$table DEFAULT VALUES;"
		echo "UPDATE acctflow.$table SET xx = 1;"
	done | sed 's/\(latest\|history\|outcomes\|migrations\) SET xx/\1 SET version/; s/rejects SET xx/rejects SET raw_bytes/
		s/inputs SET xx/inputs SET seed/; s/\(pipelines\|deliveries\) SET xx/\1 SET token/' | refused report
	printf 'SELECT * FROM acctflow.%s;\n' $history $books accounts account_updates callbacks rejected_updates source_shards sources |
		refused outsider
	# Nothing came of it.
	same "$(privileges)" "$granted"
	same "$(counts)" '1|1|0|0|0|0|0'
}

@test "prune and forget: by a member of the owner, not by the writer" {
	{ placed s 0 a 1 && placed s 1 a 2; } | writer --clock virtual | timerd --clock virtual | writer ack >/dev/null
	for verb in 'prune --before 2001-01-01T00:00:00Z' 'forget a'; do
		for user in pipeline report; do
			# shellcheck disable=SC2086 # verbs have operands
			PGUSER=$user fails 100 writer $verb
			err_has 'this is for the role that owns the schema: '
			err_has 'permission denied'
		done
	done
	same "$(sql 'SELECT count(*) FROM acctflow.history')" 2
	PGUSER=report ok writer replay
	same "${#lines[@]}" 2
	PGUSER=keeper ok writer prune --before 2001-01-01T00:00:00Z
	has '"pruned":1'
	PGUSER=keeper ok writer forget a
	same "$(sql 'SELECT count(*) FROM acctflow.accounts')" 0
	ok writer status
}

# shadowed SCHEMA: there, what statements name is something else, that fails: tables, functions, operators.
shadowed() {
	psql -Xq -v ON_ERROR_STOP=1 -c "CREATE SCHEMA IF NOT EXISTS $1" -c "GRANT USAGE ON SCHEMA $1 TO PUBLIC" -c 'SET search_path = pg_catalog' -f - <<-EOF
		CREATE FUNCTION $1.unnest(text[]) RETURNS SETOF text LANGUAGE plpgsql AS 'BEGIN RAISE ''picked up unnest''; END';
		CREATE FUNCTION $1.unnest(bigint[]) RETURNS SETOF bigint LANGUAGE plpgsql AS 'BEGIN RAISE ''picked up unnest''; END';
		CREATE TABLE $1.latest (id text);
		CREATE TABLE $1.pipelines (id text);
		CREATE TABLE $1.pg_class (nothing text);
		CREATE TABLE $1.pg_stat_activity (nothing text);
		CREATE TABLE $1.pg_locks (nothing text);
		DO \$\$
		DECLARE
		    f record;
		    n integer := 0;
		BEGIN
		    FOR f IN SELECT oid, proname, pg_get_function_arguments(oid) AS takes, pg_get_function_result(oid) AS gives FROM pg_proc
		             WHERE pronamespace = 'pg_catalog'::regnamespace AND prokind = 'f' AND proname IN ('now', 'to_char', 'hashtext', 'pg_backend_pid',
		                 'pg_current_xact_id', 'pg_advisory_xact_lock', 'set_config', 'jsonb_typeof', 'pg_terminate_backend') LOOP
		        EXECUTE format('CREATE FUNCTION $1.%I(%s) RETURNS %s LANGUAGE plpgsql AS %L', f.proname, f.takes, f.gives,
		            format('BEGIN RAISE %L; END', 'picked up ' || f.proname));
		    END LOOP;
		    FOR f IN SELECT oprname AS name, oprleft::regtype AS l, oprright::regtype AS r, oprresult::regtype AS gives FROM pg_operator
		             WHERE oprname IN ('=', '<', '<=', '<>', '+', '-') AND oprright = oprleft AND oprleft IN ('text'::regtype, 'name'::regtype,
		                 'smallint'::regtype, 'integer'::regtype, 'bigint'::regtype, 'oid'::regtype, 'xid'::regtype, 'numeric'::regtype)
		             UNION ALL VALUES ('*'::name, 'bigint'::regtype, 'interval'::regtype, 'interval'::regtype),
		                 ('*', 'numeric', 'integer', 'numeric'), ('*', 'bigint', 'integer', 'bigint') LOOP
		        n := n + 1;
		        EXECUTE format('CREATE FUNCTION $1.o%s(%s, %s) RETURNS %s LANGUAGE plpgsql AS %L', n, f.l, f.r, f.gives, 
		            format('BEGIN RAISE %L; END', format('picked up %s %s %s', f.l, f.name, f.r)));
		        EXECUTE format('CREATE OPERATOR $1.%s (LEFTARG = %s, RIGHTARG = %s, FUNCTION = $1.o%s)', f.name, f.l, f.r, n);
		    END LOOP;
		END
		\$\$;
	EOF
}

@test "verify: the reporting role may, on its own and with an input" {
	printf '{"id":"A","accountType":"t","tokens":1,"callbackTimeMs":%d,"version":%d}\n' 2 1 5 2 5 1 >in
	PGUSER=pipeline ok "$supervisor" run --clock virtual in
	PGUSER=report ok "$supervisor" verify
	same "$output" '3 of 3 records accounted for'
	PGUSER=report ok "$supervisor" verify in
	same "$output" '3 of 3 records accounted for'
	# What is in the way under the same names is not asked.
	sql 'CREATE SCHEMA hostile; CREATE VIEW hostile.line AS SELECT 1; CREATE FUNCTION hostile.max(bigint) RETURNS bigint LANGUAGE sql AS $$SELECT 7$$;
		GRANT USAGE ON SCHEMA hostile TO PUBLIC'
	PGOPTIONS='-c search_path=hostile,pg_catalog' PGUSER=report ok "$supervisor" verify in
	sql "REVOKE TEMP ON DATABASE $PGDATABASE FROM PUBLIC"
	PGUSER=report fails 100 "$supervisor" verify in
	err_has 'permission denied'
	PGUSER=report ok "$supervisor" verify
}

@test "names are looked for in pg_catalog and our schema only" {
	# The same without anything in the way.
	PGUSER=pipeline pipe
	relations >relations.wanted
	mv "out.$PGDATABASE" out.wanted
	for verb in status richest rejected pending; do writer $verb; done | sed 's/"rejectedAt":"[^"]*"//' >saw.wanted
	for path in '"$user", public' 'hostile, pg_catalog'; do
		for user in pipeline acctflow; do
			database_drop
			database
			schema=public
			[[ $path != hostile* ]] || schema=hostile
			shadowed "$schema"
			# They do get in the way.
			fails 1 env PGOPTIONS="-c search_path=${path// /\\ }" psql -Xqc "SELECT unnest('{a}'::text[])"
			err_has 'picked up unnest'
			export PGOPTIONS="-c search_path=${path// /\\ }"
			writer migrate
			PGOPTIONS='' psql -Xq < <(writer roles)
			export PGUSER=$user
			pipe
			for verb in status richest rejected pending; do writer $verb; done | sed 's/"rejectedAt":"[^"]*"//' | cmp - saw.wanted
			export PGUSER=acctflow
			unset PGOPTIONS
			PGOPTIONS='-c search_path=pg_catalog' relations | cmp - relations.wanted
			cmp "out.$PGDATABASE" out.wanted
			# The views too.
			same "$(PGOPTIONS='-c search_path=hostile,pg_catalog' sql 'TABLE acctflow.sources')" "$(sql 'TABLE acctflow.sources')"
			PGOPTIONS='-c search_path=hostile,pg_catalog' sql 'TABLE acctflow.callbacks' >/dev/null
		done
	done
}
