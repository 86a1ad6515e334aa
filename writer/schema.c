/* See schema.h. Migrations run in order, each once, then the views, all in one transaction under a transaction's
 * advisory lock, so that any number of programs may start on an empty database at once. */
#include "schema.h"

#include "hash.h"
#include "log.h"
#include "loop.h"
#include "pg_connect.h"
#include "sql.h"
#include "time.h"

#include <stdlib.h>

/* In order, each with the oldest version whose programs work with what it makes: that of the migration before it where
 * it only adds, so that such programs run on, and may be started again; else its own, and those that run are fenced
 * off. */
static const struct {
	const char *sql;
	int oldest;
} migrations[] = {
    {sql_001_tables, 1},
};
_Static_assert(sizeof migrations / sizeof *migrations == SCHEMA_VERSION, "a version for each migration");
enum { PAUSE_US = 200000, LOCK_MS = 900 };

_Noreturn static void
schema_failed(struct pg *pg, enum pg_status status, const char *what)
{
	const char *state = pg_sqlstate(pg);
	if (loop_stopping())
		exit(EXIT_OK);
	if (strcmp(state, "42501") == 0)
		die(EXIT_PERMANENT,
		    "this role may not %s (%s); as the schema's or the database's owner run: writer migrate --db …; "
		    "writer roles prints which roles there are",
		    what, pg_error(pg));
	if (strcmp(state, "55P03") == 0)
		die(EXIT_TEMPORARY, "could not %s within %lld s: another program holds a lock for it", what,
		    (long long)(pg_deadline() / 1000000));
	die(status == PG_RETRY ? EXIT_TEMPORARY : EXIT_PERMANENT, "could not %s: %s", what, pg_error(pg));
}

static int64_t
schema_hash(int version)
{
	return (int64_t)hash_fnv1a(HASH_FNV1A, slice_of(migrations[version - 1].sql));
}

enum pg_status
schema_read(struct pg *pg, struct schema *s)
{
	*s = (struct schema){.version = SCHEMA_NONE};
	/* Not by to_regclass: it may answer from a cache what was so before another program's migration. */
	enum pg_status status = pg_exec(pg,
	    "SELECT EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attname = 'oldest')"
	    " FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"
	    " WHERE n.nspname = 'acctflow' AND c.relname = 'migrations'",
	    NULL, 0);
	if (status != PG_OK || pg_rows(pg, 0) == 0)
		return status;
	s->version = SCHEMA_FOREIGN;
	if (slice_is(pg_text(pg, 0, 0, 0), "f"))
		return PG_OK;
	status = pg_exec(pg, "SELECT version, hash, oldest FROM acctflow.migrations ORDER BY version", NULL, 0);
	if (status != PG_OK)
		return status;
	int last = SCHEMA_NONE;
	for (int row = 0; row < pg_rows(pg, 0); row++) {
		last = (int)pg_i64(pg, 0, row, 0);
		struct slice hash = pg_text(pg, 0, row, 1);
		if (last != row + 1 || (last <= SCHEMA_VERSION && strtoll(hash.p, NULL, 10) != schema_hash(last)))
			return PG_OK;
		int oldest = (int)pg_i64(pg, 0, row, 2);
		s->oldest = oldest > s->oldest ? oldest : s->oldest;
	}
	s->version = last;
	return PG_OK;
}

bool
schema_works(const struct schema *s)
{
	return s->version >= SCHEMA_VERSION && s->oldest <= SCHEMA_VERSION;
}

/* Exits where nothing that this program does could help. */
static void
schema_judge(const struct schema *s)
{
	if (s->version == SCHEMA_FOREIGN)
		die(EXIT_PERMANENT, "the schema acctflow was made by an unreleased version; make freshdb drops this "
				    "database and makes it anew");
	if (s->version > SCHEMA_VERSION && !schema_works(s))
		die(EXIT_PERMANENT, "the schema's version is %d, this program knows %d: use a newer acctflow",
		    s->version, SCHEMA_VERSION);
}

static int
schema_find(struct pg *pg)
{
	struct schema s;
	enum pg_status status = schema_read(pg, &s);
	if (status != PG_OK)
		schema_failed(pg, status, "read the schema's version");
	schema_judge(&s);
	return s.version;
}

int
schema_check(struct pg *pg)
{
	int version = schema_find(pg);
	if (version == SCHEMA_NONE)
		die(EXIT_PERMANENT, "there is nothing in this database yet; is --db or PGHOST right? acctflow run or "
				    "writer migrate begins");
	if (version < SCHEMA_VERSION)
		die(EXIT_PERMANENT, "the schema's version is %d, this program needs %d: run writer migrate", version,
		    SCHEMA_VERSION);
	return version;
}

static void
schema_check_server(struct pg *pg)
{
	enum pg_status status = pg_exec(
	    pg, "SELECT current_setting('server_version_num')::integer / 10000, getdatabaseencoding()", NULL, 0);
	if (status != PG_OK)
		schema_failed(pg, status, "ask for the server's version and encoding");
	if (pg_i64(pg, 0, 0, 0) < 13)
		die(EXIT_PERMANENT, "the server is PostgreSQL %s, acctflow needs 13 or newer", pg_text(pg, 0, 0, 0).p);
	if (!slice_is(pg_text(pg, 0, 0, 1), "UTF8"))
		die(EXIT_PERMANENT,
		    "the database's encoding is %s, acctflow needs UTF8; make it with: createdb -E UTF8 -T template0 "
		    "NAME",
		    pg_text(pg, 0, 0, 1).p);
}

/* Begins the transaction and waits for the lock; the isolation is so that afterwards it sees what others made. */
static enum pg_status
schema_lock(struct pg *pg)
{
	struct buf sql = {0};
	/* Within the deadline, by which a server that says nothing is given up. */
	int64_t ms = pg_deadline() / 1000 * 9 / 10;
	buf_printf(&sql,
	    PG_BEGIN "; SELECT " PG_PATH ", pg_catalog.set_config('lock_timeout', '%lld', true);"
		     " SELECT pg_advisory_xact_lock(hashtext('acctflow.migrations'))",
	    (long long)(ms > LOCK_MS ? ms : LOCK_MS));
	enum pg_status status = pg_script(pg, buf_cstr(&sql));
	buf_free(&sql);
	return status;
}

/* Becomes the schema's owner for the rest of the transaction, so that all in it has one owner, whoever migrates; or
 * makes the schema. *roles: whether its owner is the one of sql/roles.sql. Citus connects to its workers as whom we
 * have become, and nobody may log in as that role: there its member makes all, and sql/roles.sql hands it over. */
static enum pg_status
schema_own(struct pg *pg, bool *roles)
{
	enum pg_status status = pg_exec(pg,
	    "SELECT CASE WHEN current_setting('citus.shard_count', true) IS NULL THEN set_config('role', r.rolname, "
	    "true) "
	    "END, r.rolname = 'acctflow_owner'"
	    " FROM pg_namespace n JOIN pg_roles r ON r.oid = n.nspowner WHERE n.nspname = 'acctflow'",
	    NULL, 0);
	if (status != PG_OK)
		return status;
	*roles = pg_rows(pg, 0) > 0 && slice_is(pg_text(pg, 0, 0, 1), "t");
	return pg_rows(pg, 0) > 0 ? PG_OK : pg_script(pg, "CREATE SCHEMA acctflow");
}

/* What is missing: migrations, the distribution if that is asked for; and the views, last. */
struct schema_task {
	bool distribute;
	unsigned shards;      /* 0: as many as Citus makes by itself */
	struct schema before; /* as it was found */
	bool done;	      /* nothing was missing */
};

static enum pg_status
schema_apply(struct pg *pg, const struct schema_task *t, int version)
{
	int oldest = migrations[version - 1].oldest;
	enum pg_status status = pg_script(pg, migrations[version - 1].sql);
	if (status == PG_OK)
		status = pg_exec(pg, "INSERT INTO acctflow.migrations (version, hash, oldest) VALUES ($1, $2, $3)",
		    PG_PARAMS(pg_i64_param(version), pg_i64_param(schema_hash(version)), pg_i64_param(oldest)));
	return status == PG_OK && oldest > t->before.oldest ? pg_script(pg, sql_fence) : status;
}

static enum pg_status
schema_distributed(struct pg *pg, bool *distributed)
{
	enum pg_status status =
	    pg_exec(pg, "SELECT FROM pg_dist_partition WHERE logicalrelid = to_regclass('acctflow.latest')", NULL, 0);
	*distributed = status == PG_OK && pg_rows(pg, 0) > 0;
	return status;
}

/* Exits where there is no Citus. A transaction that a worker prepared, and did not live to end, hides its rows until
 * Citus looks for such. */
static void
schema_check_citus(struct pg *pg)
{
	enum pg_status status = pg_exec(pg,
	    "SELECT to_regclass('pg_catalog.pg_dist_partition'), current_setting('citus.recover_2pc_interval', true),"
	    " EXISTS (SELECT FROM pg_settings WHERE name = 'citus.recover_2pc_interval'"
	    " AND (setting::bigint > 2000 OR setting::bigint < 0))",
	    NULL, 0);
	if (status != PG_OK)
		schema_failed(pg, status, "look for Citus");
	if (pg_null(pg, 0, 0, 0))
		die(EXIT_PERMANENT,
		    "there is no Citus in this database, which --distributed wants: CREATE EXTENSION citus");
	if (*pg_text(pg, 0, 0, 2).p == 't')
		log_warn(
		    "citus.recover_2pc_interval is %s: for so long may what was committed be invisible after the death "
		    "of a worker; on each node: ALTER SYSTEM SET citus.recover_2pc_interval = '2s'; SELECT "
		    "pg_reload_conf()",
		    pg_text(pg, 0, 0, 1).p);
}

static enum pg_status
schema_distribute(struct pg *pg, unsigned shards)
{
	struct buf sql = {0};
	if (shards)
		buf_printf(&sql, "SELECT set_config('citus.shard_count', '%u', true); ", shards);
	buf_text(&sql, sql_distribute);
	enum pg_status status = pg_script(pg, buf_cstr(&sql));
	buf_free(&sql);
	return status;
}

/* One attempt. */
static enum pg_status
schema_attempt(struct pg *pg, struct schema_task *t)
{
	bool roles = false, distributed = !t->distribute;
	enum pg_status status = schema_lock(pg);
	if (status == PG_OK)
		status = schema_read(pg, &t->before);
	if (status == PG_OK && t->distribute)
		status = schema_distributed(pg, &distributed);
	if (status != PG_OK)
		return status;
	schema_judge(&t->before);
	t->done = t->before.version >= SCHEMA_VERSION && distributed;
	if (t->done)
		return pg_script(pg, "COMMIT");
	if (t->before.version > SCHEMA_VERSION)
		die(EXIT_PERMANENT,
		    "the schema's version is %d, this program would make the views of %d: distribute it with a newer "
		    "acctflow",
		    t->before.version, SCHEMA_VERSION);
	status = schema_own(pg, &roles);
	if (status == PG_OK && t->before.version == SCHEMA_NONE)
		status = pg_script(pg,
		    "CREATE TABLE acctflow.migrations (version integer PRIMARY KEY,"
		    " hash bigint NOT NULL, oldest integer NOT NULL, migrated_at timestamptz NOT NULL DEFAULT now())");
	for (int version = t->before.version + 1; status == PG_OK && version <= SCHEMA_VERSION; version++)
		status = schema_apply(pg, t, version);
	if (status == PG_OK)
		status = pg_script(pg, sql_views_drop);
	if (status == PG_OK && !distributed)
		status = schema_distribute(pg, t->shards);
	if (status == PG_OK)
		status = pg_script(pg, sql_views);
	if (status == PG_OK)
		status = pg_script(pg, sql_functions);
	if (status == PG_OK && roles)
		status = pg_script(pg, sql_roles);
	return status == PG_OK ? pg_script(pg, "COMMIT") : status;
}

void
schema_migrate(struct pg *pg, bool distribute, unsigned shards)
{
	struct schema_task t = {.distribute = distribute, .shards = shards};
	schema_check_server(pg);
	if (distribute)
		schema_check_citus(pg);
	enum pg_status status;
	if (schema_find(pg) >= SCHEMA_VERSION && !distribute)
		return;
	/* What passes is tried again: another's lock, an idle transaction that the server ended. */
	int64_t limit = clock_now() + pg_deadline();
	while ((status = schema_attempt(pg, &t)) == PG_RETRY && strcmp(pg_sqlstate(pg), "55P03") != 0 &&
	       clock_now() < limit && !loop_stopping()) {
		log_warn("could not migrate the schema, trying again: %s", pg_error(pg));
		int64_t until = clock_now() + PAUSE_US;
		while (clock_now() < until && !loop_stopping())
			loop_wait(NULL, 0, until);
		status = pg_connect(pg);
		if (status != PG_OK)
			break;
	}
	if (status != PG_OK)
		schema_failed(pg, status, "migrate the schema");
	if (t.before.version < SCHEMA_VERSION)
		log_info("migrated the schema from version %d to %d", t.before.version, SCHEMA_VERSION);
	if (distribute)
		log_info(t.done ? "the schema is distributed already" : "distributed the schema");
}
