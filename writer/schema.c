/* Migrations run in order, each once, all in one transaction under a transaction's
 * advisory lock, so that any number of programs may start on an empty database at
 * once. */
#include "schema.h"

#include "log.h"
#include "sql.h"

#include <string.h>

static const char *const migrations[] = {sql_001_base};
enum { VERSION = sizeof migrations / sizeof *migrations };

int
migrate_version(void)
{
	return VERSION;
}

_Noreturn static void
failed(struct pg *db, enum pg_status status, const char *what)
{
	if (strcmp(pg_sqlstate(db), "42501") == 0)
		die(EXIT_PERMANENT,
		    "this role may not %s (%s); as the schema's or the database's owner run: writer migrate --db …; "
		    "what "
		    "roles there are, prints: writer roles",
		    what, pg_error(db));
	die(status == PG_RETRY ? EXIT_TEMPORARY : EXIT_PERMANENT, "could not %s: %s", what, pg_error(db));
}

/* The schema's version: 0 if there is none. */
static int
version_read(struct pg *db)
{
	/* Not by to_regclass: it may answer from a cache what was so before another program's migration. */
	enum pg_status status = pg_exec(db,
	    "SELECT EXISTS (SELECT FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"
	    " WHERE n.nspname = 'acctflow' AND c.relname = 'migrations')",
	    NULL, 0);
	if (status == PG_OK && slice_is(pg_text(db, 0, 0, 0), "f"))
		return 0;
	if (status == PG_OK)
		status = pg_exec(db, "SELECT coalesce(max(version), 0) FROM acctflow.migrations", NULL, 0);
	if (status != PG_OK)
		failed(db, status, "read the schema's version");
	return (int)pg_i64(db, 0, 0, 0);
}

static void
run(struct pg *db, const char *sql)
{
	enum pg_status status = pg_script(db, sql);
	if (status != PG_OK)
		failed(db, status, "migrate the schema");
}

/* Becomes the schema's owner for the rest of the transaction, so that all in it has one owner, whoever migrates; or
 * makes the schema. Returns whether its owner is the one of sql/roles.sql. */
static bool
owner_become(struct pg *db)
{
	enum pg_status status = pg_exec(db,
	    "SELECT set_config('role', r.rolname, true), r.rolname = 'acctflow_owner'"
	    " FROM pg_namespace n JOIN pg_roles r ON r.oid = n.nspowner WHERE n.nspname = 'acctflow'",
	    NULL, 0);
	if (status != PG_OK)
		failed(db, status, "migrate the schema");
	if (pg_rows(db, 0) > 0)
		return slice_is(pg_text(db, 0, 0, 1), "t");
	run(db, "CREATE SCHEMA acctflow");
	return false;
}

int
migrate(struct pg *db)
{
	if (pg_server_version(db) < 130000)
		die(EXIT_PERMANENT, "the server is PostgreSQL %d, acctflow needs 13 or newer",
		    pg_server_version(db) / 10000);
	enum pg_status status = pg_exec(db, "SHOW server_encoding", NULL, 0);
	if (status != PG_OK)
		failed(db, status, "ask for the encoding");
	if (!slice_is(pg_text(db, 0, 0, 0), "UTF8"))
		die(EXIT_PERMANENT,
		    "the database's encoding is %s, acctflow needs UTF8; make it with: createdb -E UTF8 -T template0 "
		    "NAME",
		    pg_text(db, 0, 0, 0).p);
	int version = version_read(db);
	if (version > VERSION)
		die(EXIT_PERMANENT, "the schema's version is %d, this program knows %d: use a newer acctflow", version,
		    VERSION);
	if (version == VERSION)
		return 0;

	run(db, "BEGIN; SELECT " PG_PATH "; SELECT pg_advisory_xact_lock(hashtext('acctflow.migrations'))");
	version = version_read(db);
	bool roles = owner_become(db);
	if (version == 0)
		run(db, "CREATE TABLE acctflow.migrations"
			" (version integer PRIMARY KEY, migrated_at timestamptz NOT NULL DEFAULT now())");
	for (int i = version; i < VERSION; i++) {
		struct pg_param p[1] = {0};
		run(db, migrations[i]);
		pg_set_i64(&p[0], i + 1);
		status = pg_exec(db, "INSERT INTO acctflow.migrations (version) VALUES ($1)", p, 1);
		pg_params_free(p, 1);
		if (status != PG_OK)
			failed(db, status, "migrate the schema");
	}
	if (roles && version < VERSION)
		run(db, sql_roles);
	run(db, "COMMIT");
	if (version < VERSION)
		log_info("migrated the schema from version %d to %d", version, VERSION);
	return VERSION - version;
}
