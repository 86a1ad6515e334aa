/* The database connection: the only module that includes libpq. Queries are queued
 * and run as one pipeline, on one or more connections at once; while any of them
 * waits, an idle function goes on reading input. Nothing is prepared and no session
 * state is kept, so that a transaction-pooling proxy may stand in between. */
#ifndef ACCTFLOW_DB_H
#define ACCTFLOW_DB_H

#include "buf.h"

enum pg_status {
	PG_OK,
	PG_RETRY, /* the connection, or something that passes: try the transaction again */
	PG_DATA,  /* a value was refused: the same rows would fail again */
	PG_FATAL, /* retrying cannot mend it */
};

/* A parameter: an array in binary form under construction, or one scalar as text. */
struct pg_param {
	unsigned type; /* OID; 0: the server infers it from a scalar's text */
	bool array, null;
	uint32_t count;
	struct buf bytes;
};

/* Empties p for an array of that type. Elements are appended by the functions below. */
void pg_array_text(struct pg_param *p);
void pg_array_bigint(struct pg_param *p);
void pg_array_time(struct pg_param *p);
void pg_array_numeric(struct pg_param *p);
void pg_array_bool(struct pg_param *p);
void pg_push_text(struct pg_param *p, struct slice s);
void pg_push_i64(struct pg_param *p, int64_t v);  /* bigint */
void pg_push_time(struct pg_param *p, int64_t t); /* microseconds since 1970 */
void pg_push_u64(struct pg_param *p, uint64_t v); /* numeric */
void pg_push_bool(struct pg_param *p, bool v);
void pg_push_null(struct pg_param *p);

/* Scalars, as text. */
void pg_set_text(struct pg_param *p, struct slice s);
void pg_set_i64(struct pg_param *p, int64_t v);
void pg_set_null(struct pg_param *p);
void pg_params_free(struct pg_param *p, int n);

struct pg;

/* What all connections share: `conninfo` may be empty (libpq's defaults and PG*); `deadline_s` is how long an
 * unreachable database is retried. A conninfo with a password in it is refused (exit 100). */
void pg_configure(const char *conninfo, const char *passfile, uint64_t deadline_s);

/* What to do while the database works: fn is called when `in` can be read or `out` written (-1: not asked), and may
 * change both. */
struct pg_idle {
	int in, out;
	void (*fn)(void *context, bool readable, bool writable);
	void *context;
};

/* Sets it; NULL: nothing. Kept by pointer. */
void pg_idle(struct pg_idle *idle);

/* Makes a connection object; nothing is connected yet. */
struct pg *pg_new(const char *application);
void pg_free(struct pg *db);

/* Connects where it is not connected, retrying with capped, jittered backoff. Returns PG_OK, PG_RETRY past the deadline
 * or when told to stop, PG_FATAL where retrying cannot help (pg_error says what). */
enum pg_status pg_connect(struct pg *db);

/* Fixes for the rest of a transaction the search_path, and that nothing is compiled first, which takes longer than it
 * saves. pg_queue sees to it by itself, pg_script does not. */
#define PG_PATH                                                                                                        \
	"pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', true), pg_catalog.set_config('jit', 'off', true)"

/* Queues a statement for the next pg_run. The SQL text must live until then; the parameters are sent at once. */
void pg_queue(struct pg *db, const char *sql, const struct pg_param *params, int n);

/* Runs all that was queued and waits for it. After PG_OK the results are there, in the order of queueing, until the
 * next pg_queue. Otherwise the transaction is over. */
enum pg_status pg_run(struct pg *db);

/* The same in two steps, for several connections at once: start each, then drive them all. When what was started on
 * dbs[i] is over without an error, next(context, i) starts more and returns true, or returns false. No connection waits
 * for another, or two programs could wait for each other's in a circle that the server does not see. Returns the worst
 * status of all. */
void pg_start(struct pg *db);
enum pg_status pg_drive(struct pg **dbs, int n, bool (*next)(void *context, int i), void *context);

/* pg_start for more than is to be in memory at once. more(context) queues one statement with each call, the first at
 * once, the next when what was queued before has been sent, and returns false after the last one. Of their results
 * took(context, result) is told as each comes; it is not kept. */
void pg_start_many(struct pg *db, bool (*more)(void *context), void (*took)(void *context, int result), void *context);

/* Rows for a binary COPY: start, then for each row pg_rows_add and a push of every column, then end. */
void pg_rows_start(struct pg_param *p);
void pg_rows_add(struct pg_param *p, int columns);
void pg_rows_end(struct pg_param *p);

/* Starts `COPY … FROM STDIN (FORMAT binary)`. rows(context) gives its bytes, piece by piece as the server takes them;
 * they must live until the next call. Empty: there are no more. */
void pg_start_copy(struct pg *db, const char *sql, struct slice (*rows)(void *context), void *context);

/* Whether the last pg_run's last statement, a COMMIT, came through on this connection. */
bool pg_committed(const struct pg *db);

/* The configured deadline, in microseconds. */
int64_t pg_deadline(void);

/* Queue one statement and run it. */
enum pg_status pg_exec(struct pg *db, const char *sql, const struct pg_param *params, int n);

/* Runs one query, and calls row(context) for each row as it comes, which is row 0 of result 0 then: memory does not
 * grow with them. Afterwards result 0 has the columns and no rows. */
enum pg_status pg_each(
    struct pg *db, const char *sql, const struct pg_param *params, int n, void (*row)(void *context), void *context);

/* Runs several statements without parameters, as migrations have them. */
enum pg_status pg_script(struct pg *db, const char *sql);

/* Gives up the transaction after an error: rolls back, or drops the connection if that fails. */
void pg_reset(struct pg *db);

int pg_rows(const struct pg *db, int result);
int pg_columns(const struct pg *db, int result);
const char *pg_column(const struct pg *db, int result, int column);
enum pg_kind { PG_TEXT, PG_BOOL, PG_JSON, PG_NUMBER };
enum pg_kind pg_kind(const struct pg *db, int result, int column);
bool pg_null(const struct pg *db, int result, int row, int column);
struct slice pg_text(const struct pg *db, int result, int row, int column);
int64_t pg_i64(const struct pg *db, int result, int row, int column); /* -1 where null */

/* Puts a parameter of the connection, as it is in force, into *value; nothing where it has none. */
void pg_setting(const struct pg *db, const char *keyword, struct buf *value);

/* The last error in one line, and its SQLSTATE ("" if there is none). */
const char *pg_error(const struct pg *db);
const char *pg_sqlstate(const struct pg *db);
int pg_server_version(const struct pg *db);

#endif
