/* The database connection: the only module that includes libpq. Queries are queued
 * and run as one pipeline, on one or more connections at once; while any of them
 * waits, an idle function goes on reading input. Nothing is prepared and no session
 * state is kept, so that a transaction-pooling proxy may stand in between. */
#ifndef ACCTFLOW_DB_H
#define ACCTFLOW_DB_H

#include "buf.h"

enum db_status {
	DB_OK,
	DB_RETRY, /* the connection, or something that passes: try the transaction again */
	DB_DATA,  /* a value was refused: the same rows would fail again */
	DB_FATAL, /* retrying cannot mend it */
};

/* A parameter: an array in binary form under construction, or one scalar as text. */
struct db_param {
	unsigned type; /* OID; 0: the server infers it from a scalar's text */
	bool array, null;
	uint32_t count;
	struct buf bytes;
};

/* Empties p for an array of that type. Elements are appended by the functions below. */
void db_array_text(struct db_param *p);
void db_array_bigint(struct db_param *p);
void db_array_time(struct db_param *p);
void db_array_numeric(struct db_param *p);
void db_array_bool(struct db_param *p);
void db_push_text(struct db_param *p, struct slice s);
void db_push_i64(struct db_param *p, int64_t v);  /* bigint */
void db_push_time(struct db_param *p, int64_t t); /* microseconds since 1970 */
void db_push_u64(struct db_param *p, uint64_t v); /* numeric */
void db_push_bool(struct db_param *p, bool v);
void db_push_null(struct db_param *p);

/* Scalars, as text. */
void db_set_text(struct db_param *p, struct slice s);
void db_set_i64(struct db_param *p, int64_t v);
void db_set_null(struct db_param *p);
void db_params_free(struct db_param *p, int n);

struct db;

/* What all connections share: `conninfo` may be empty (libpq's defaults and PG*); `deadline_s` is how long an
 * unreachable database is retried. A conninfo with a password in it is refused (exit 100). */
void db_configure(const char *conninfo, const char *passfile, uint64_t deadline_s);

/* What to do while the database works: fn is called when `in` can be read or `out` written (-1: not asked), and may
 * change both. */
struct db_idle {
	int in, out;
	void (*fn)(void *context, bool readable, bool writable);
	void *context;
};

/* Sets it; NULL: nothing. Kept by pointer. */
void db_idle(struct db_idle *idle);

/* Makes a connection object; nothing is connected yet. */
struct db *db_new(const char *application);
void db_free(struct db *db);

/* Connects where it is not connected, retrying with capped, jittered backoff. Returns DB_OK, DB_RETRY past the deadline
 * or when told to stop, DB_FATAL where retrying cannot help (db_error says what). */
enum db_status db_connect(struct db *db);

/* Fixes for the rest of a transaction the search_path, and that nothing is compiled first, which takes longer than it
 * saves. db_queue sees to it by itself, db_script does not. */
#define DB_PATH                                                                                                        \
	"pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', true), pg_catalog.set_config('jit', 'off', true)"

/* Queues a statement for the next db_run. The SQL text must live until then; the parameters are sent at once. */
void db_queue(struct db *db, const char *sql, const struct db_param *params, int n);

/* Runs all that was queued and waits for it. After DB_OK the results are there, in the order of queueing, until the
 * next db_queue. Otherwise the transaction is over. */
enum db_status db_run(struct db *db);

/* The same in two steps, for several connections at once: start each, then drive them all. When what was started on
 * dbs[i] is over without an error, next(context, i) starts more and returns true, or returns false. No connection waits
 * for another, or two programs could wait for each other's in a circle that the server does not see. Returns the worst
 * status of all. */
void db_start(struct db *db);
enum db_status db_drive(struct db **dbs, int n, bool (*next)(void *context, int i), void *context);

/* db_start for more than is to be in memory at once. more(context) queues one statement with each call, the first at
 * once, the next when what was queued before has been sent, and returns false after the last one. Of their results
 * took(context, result) is told as each comes; it is not kept. */
void db_start_many(struct db *db, bool (*more)(void *context), void (*took)(void *context, int result), void *context);

/* Rows for a binary COPY: start, then for each row db_rows_add and a push of every column, then end. */
void db_rows_start(struct db_param *p);
void db_rows_add(struct db_param *p, int columns);
void db_rows_end(struct db_param *p);

/* Starts `COPY … FROM STDIN (FORMAT binary)`. rows(context) gives its bytes, piece by piece as the server takes them;
 * they must live until the next call. Empty: there are no more. */
void db_start_copy(struct db *db, const char *sql, struct slice (*rows)(void *context), void *context);

/* Whether the last db_run's last statement, a COMMIT, came through on this connection. */
bool db_committed(const struct db *db);

/* The configured deadline, in microseconds. */
int64_t db_deadline(void);

/* Queue one statement and run it. */
enum db_status db_exec(struct db *db, const char *sql, const struct db_param *params, int n);

/* Runs one query, and calls row(context) for each row as it comes, which is row 0 of result 0 then: memory does not
 * grow with them. Afterwards result 0 has the columns and no rows. */
enum db_status db_each(
    struct db *db, const char *sql, const struct db_param *params, int n, void (*row)(void *context), void *context);

/* Runs several statements without parameters, as migrations have them. */
enum db_status db_script(struct db *db, const char *sql);

/* Gives up the transaction after an error: rolls back, or drops the connection if that fails. */
void db_reset(struct db *db);

int db_rows(const struct db *db, int result);
int db_columns(const struct db *db, int result);
const char *db_column(const struct db *db, int result, int column);
enum db_kind { DB_TEXT, DB_BOOL, DB_JSON, DB_NUMBER };
enum db_kind db_kind(const struct db *db, int result, int column);
bool db_null(const struct db *db, int result, int row, int column);
struct slice db_text(const struct db *db, int result, int row, int column);
int64_t db_i64(const struct db *db, int result, int row, int column); /* -1 where null */

/* Puts a parameter of the connection, as it is in force, into *value; nothing where it has none. */
void db_setting(const struct db *db, const char *keyword, struct buf *value);

/* The last error in one line, and its SQLSTATE ("" if there is none). */
const char *db_error(const struct db *db);
const char *db_sqlstate(const struct db *db);
int db_server_version(const struct db *db);

#endif
