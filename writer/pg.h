/* The database connection: with pg_connect.c the only module that includes libpq. Nothing in it waits but the functions
 * named as blocking: whatever is started goes on by pg_step, which says what it waits for, so that a program has one
 * poll. Queries are queued and run as one pipeline. Nothing is prepared and no session state is kept, so that a
 * transaction-pooling proxy may stand in between. */
#ifndef ACCTFLOW_PG_H
#define ACCTFLOW_PG_H

#include "pg_param.h"

enum pg_status {
	PG_OK,
	PG_WAIT,  /* not over yet */
	PG_RETRY, /* the connection, or something that passes: try the transaction again */
	PG_DATA,  /* a row was refused: the same rows would fail again */
	PG_FATAL, /* trying again cannot help */
};

/* What a connection waits for: its descriptor, or a time. */
struct pg_wait {
	int fd;	       /* -1: none */
	short events;  /* POLLIN, POLLOUT */
	int64_t until; /* by clock_now(), when to step again whatever came; -1: no such time */
};

struct pg;

/* Makes a connection object; nothing is connected yet. `application` is kept by pointer. */
struct pg *pg_new(const char *application);
void pg_free(struct pg *pg);

/* Starts to make the connection ready for a transaction: rolls back what is open, connects where that fails or there is
 * no connection, tries again with capped, jittered backoff up to the deadline or until asked to stop (PG_RETRY). */
void pg_ready(struct pg *pg);

/* How a transaction begins whose statements wait for each other by locks, whatever the server's default is. */
#define PG_BEGIN "BEGIN ISOLATION LEVEL READ COMMITTED"

/* Fixes for the rest of a transaction the search_path; that nothing is compiled first, which takes longer than it
 * saves; and that plans do not depend on the parameters, as making such a plan begins with copies of arrays of a
 * megabyte. Citus, which is there where its settings are, needs the parameters to find a shard, connects to its
 * workers anew in each transaction unless it may keep connections, and writes strings for them as our own setting says,
 * which is not theirs. pg_queue sees to it by itself, pg_script does not.
 */
#define PG_PATH                                                                                                        \
	"pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', true), pg_catalog.set_config('jit', 'off', "      \
	"true), pg_catalog.set_config('plan_cache_mode', CASE WHEN "                                                   \
	"pg_catalog.current_setting('citus.shard_count', true) IS NULL THEN 'force_generic_plan' ELSE 'auto' END, "    \
	"true), pg_catalog.set_config('citus.max_cached_conns_per_worker', '8', true), "                               \
	"pg_catalog.set_config('standard_conforming_strings', 'on', true)"

/* Queues a statement for the next pg_start. The SQL text must live until then; the parameters are sent at once. A
 * transaction's first statement gets PG_PATH. */
void pg_queue(struct pg *pg, const char *sql, const struct pg_param *params, size_t n);

/* Starts what was queued as one pipeline. Once pg_step says PG_OK the results are there, in the order of queueing,
 * until the next pg_queue. After any error the transaction is over; call pg_ready before anything else. */
void pg_start(struct pg *pg);

/* COPY … FROM STDIN within an open transaction, outside of a pipeline: start; then any number of pieces of rows, then
 * an empty one, which ends it. Each is gone on with by pg_step until PG_OK. */
void pg_copy_start(struct pg *pg, const char *sql);
void pg_copy(struct pg *pg, struct slice bytes);

/* Goes on with what was started. PG_WAIT: *wait says for what. */
enum pg_status pg_step(struct pg *pg, struct pg_wait *wait);

/* Blocking: steps until it is over. pg_connect is pg_ready and that, pg_run is pg_start and that, pg_exec queues one
 * statement and runs it. */
enum pg_status pg_finish(struct pg *pg);
enum pg_status pg_connect(struct pg *pg);
enum pg_status pg_run(struct pg *pg);
enum pg_status pg_exec(struct pg *pg, const char *sql, const struct pg_param *params, size_t n);

/* Blocking: one query, row by row, so that memory does not grow with them. After pg_each, each pg_next that returns
 * true has made a row, row 0 of result 0. Once it is false, pg_finish says how it ended, and result 0 has the columns
 * only. The server may be silent for so many seconds; 0: for as long as the deadline says. */
void pg_each(struct pg *pg, unsigned patience_s, const char *sql, const struct pg_param *params, size_t n);
bool pg_next(struct pg *pg);

/* Blocking, ended by a stop signal (PG_RETRY, the connection is dropped): several statements without parameters, as
 * migrations have them. */
enum pg_status pg_script(struct pg *pg, const char *sql);

int pg_rows(const struct pg *pg, int result);
int pg_columns(const struct pg *pg, int result);
const char *pg_column(const struct pg *pg, int result, int column);
enum pg_kind { PG_TEXT, PG_BOOL, PG_JSON, PG_NUMBER };
enum pg_kind pg_kind(const struct pg *pg, int result, int column);
bool pg_null(const struct pg *pg, int result, int row, int column);
struct slice pg_text(const struct pg *pg, int result, int row, int column);
int64_t pg_i64(const struct pg *pg, int result, int row, int column); /* -1 where null */

/* The last error in one line, and its SQLSTATE ("" if there is none). 57014 (statement_timeout) and 25P04
 * (transaction_timeout) are PG_RETRY: a smaller transaction may come through. */
const char *pg_error(const struct pg *pg);
const char *pg_sqlstate(const struct pg *pg);

/* After PG_RETRY: whether it is about reaching the database, not about a statement that a living one refused. */
bool pg_unreachable(const struct pg *pg);

/* Whether what was looked for is a Unix socket that is not there. */
bool pg_absent(const struct pg *pg);

#endif
