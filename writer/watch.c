/* The verb status --interval, from which statusd has the database's figures: the same again and again over one
 * connection, as blocks of `name=value` lines that a blank line ends. It goes on whatever the database does, and
 * changes nothing there. A figure that costs a pass over a relation is asked for only when something has changed, and
 * so rarely that it takes a small share of the time: the least while pipelines work, more once they rest, when the
 * figures are to become exact. */
#include "watch.h"

#include "hash.h"
#include "log.h"
#include "loop.h"
#include "sandbox.h"
#include "schema.h"
#include "sql.h"
#include "time.h"

#include <string.h>
#include <unistd.h>

enum {
	SHARE_BUSY = 150, /* that part of the time each */
	SHARE_RESTING = 20,
	AT_LEAST_US = 60 * 1000000, /* asked so often even where nothing seems to have changed */
	PENDING_COLUMN = 2,	    /* of sql/watch_outcomes.sql */
	CHANGED_COLUMNS = 8,	    /* the first ones of sql/watch.sql */
};
#define TIMEOUT_S "30"

/* The statements that are asked from time to time. */
static struct question {
	const char *sql;
	uint64_t mark; /* that it was asked at */
	int64_t asked, took;
} questions[] = {
    {.sql = sql_watch_outcomes}, {.sql = sql_watch_rejects}, {.sql = sql_watch_reasons}, {.sql = sql_watch_richest}};

struct watch {
	struct pg *db;
	struct output out;
	int64_t interval;
	uint64_t mark;	    /* of when any source moved last, and how far */
	bool pending, busy; /* something is pending; something moved since the last look */
};

/* Ends a block; the next one comes within so long. */
static void
watch_block_end(struct watch *w, int64_t within)
{
	buf_printf(&w->out.buf, "next=%lld\n\n", (long long)(within / 1000000 + 1));
	if (output_flush(&w->out) != 0)
		output_failed();
}

/* Runs a statement and emits its only row, each column as a line. The limit is not for the session: behind a proxy that
 * is another program's next. */
static enum pg_status
watch_run(struct watch *w, const char *sql)
{
	pg_queue(w->db, "SELECT set_config('statement_timeout', '" TIMEOUT_S "s', true)", NULL, 0);
	pg_queue(w->db, sql, NULL, 0);
	enum pg_status status = pg_run(w->db);
	for (int c = 0; status == PG_OK && c < pg_columns(w->db, 1); c++) {
		buf_printf(&w->out.buf, "%s=", pg_column(w->db, 1, c));
		buf_slice(&w->out.buf, pg_text(w->db, 1, 0, c));
		buf_char(&w->out.buf, '\n');
	}
	return status;
}

/* Asks, where it is time to, in a block of its own. */
static enum pg_status
watch_ask(struct watch *w, struct question *q)
{
	bool first = q == questions;
	int64_t start = clock_now(), since = start - q->asked;
	if (since < (w->busy ? SHARE_BUSY : SHARE_RESTING) * q->took || since < w->interval - w->interval / 4)
		return PG_OK;
	if (q->mark == w->mark && since < AT_LEAST_US && !(w->pending && first))
		return PG_OK;
	watch_block_end(w, 30 * INT64_C(1000000));
	enum pg_status status = watch_run(w, q->sql);
	q->mark = w->mark;
	q->asked = start;
	q->took = clock_now() - start;
	if (status == PG_OK && first)
		w->pending = pg_i64(w->db, 1, 0, PENDING_COLUMN) > 0;
	/* It took too long: that need not be logged every time, and the rest is known. */
	if (status == PG_RETRY && strcmp(pg_sqlstate(w->db), "57014") == 0) {
		log_debug("gave up a count that took more than " TIMEOUT_S " s");
		return PG_OK;
	}
	return status;
}

static enum pg_status
watch_look(struct watch *w)
{
	struct schema s;
	enum pg_status status = pg_connect(w->db);
	if (status == PG_OK)
		status = schema_read(w->db, &s);
	if (status != PG_OK)
		return status;
	buf_printf(&w->out.buf, "schema=%d\nschema.wanted=%d\n", s.version > 0 ? s.version : 0,
	    schema_works(&s) ? s.version : SCHEMA_VERSION);
	if (!schema_works(&s))
		return PG_OK;
	status = watch_run(w, sql_watch);
	uint64_t mark = HASH_FNV1A;
	for (int c = 0; status == PG_OK && c < CHANGED_COLUMNS; c++)
		mark = hash_fnv1a(hash_fnv1a(mark, pg_text(w->db, 1, 0, c)), SLICE(" "));
	w->busy = mark != w->mark;
	w->mark = mark;
	for (size_t i = 0; status == PG_OK && i < sizeof questions / sizeof *questions; i++)
		status = watch_ask(w, &questions[i]);
	return status;
}

int
watch_main(const struct writer_options *o)
{
	struct watch w = {.db = pg_new("acctflow status"), .interval = (int64_t)o->interval * 1000000};
	struct pollfd p = {.fd = STDOUT_FILENO}; /* nobody reads any more: noticed at once */
	output_open(&w.out, STDOUT_FILENO);
	sandbox_privileges();
	while (!loop_stopping() && !p.revents) {
		int64_t next = clock_now() + w.interval;
		/* Found anew each time: the private Postgres may only be there later. */
		writer_configure(o, 0);
		if (watch_look(&w) != PG_OK)
			buf_printf(&w.out.buf, "error=%s\n", pg_error(w.db));
		watch_block_end(&w, w.interval);
		while (!loop_stopping() && !p.revents && clock_now() < next)
			loop_wait(&p, 1, next);
	}
	buf_free(&w.out.buf);
	pg_free(w.db);
	return EXIT_OK;
}
