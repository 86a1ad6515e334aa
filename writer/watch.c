/* See watch.h. The same again and again over one connection, as blocks of `name=value` lines that a blank line ends. It
 * goes on whatever the database does, and changes nothing there. A figure that costs a pass over a relation is asked for
 * only when something has changed, and so rarely that it takes a small share of the time: the least while pipelines work,
 * more once they rest, when the figures are to become exact. */
#include "watch.h"

#include "log.h"
#include "sandbox.h"
#include "loop.h"
#include "schema.h"
#include "sql.h"
#include "time.h"

#include <string.h>

#include <unistd.h>

enum {
	SHARE_BUSY = 150, /* that part of the time each */
	SHARE_RESTING = 40,
	SHARE_BEHIND = 10,	    /* resting, and what was asked last is not so any more */
	AT_LEAST_US = 60 * 1000000, /* asked so often even where nothing seems to have changed */
	TIMEOUT_S = 30,
	PENDING_COLUMN = 2, /* of sql/watch_outcomes.sql */
	CHANGED_COLUMNS = 7, /* the first ones of sql/watch.sql */
};

/* A statement that is asked from time to time. */
struct question {
	const char *sql;
	struct buf changed; /* the mark that it was asked at */
	int64_t asked, took;
};

struct watch {
	struct pg *db;
	struct output out;
	int64_t interval;
	struct buf changed; /* when any source moved last, and how far */
	bool pending, busy; /* something is pending; something moved since the last look */
	struct question outcomes, rejects, richest, reasons;
};

static void
watch_value(struct watch *w, const char *name, struct slice value)
{
	buf_printf(&w->out.buf, "%s=", name);
	buf_slice(&w->out.buf, value);
	buf_char(&w->out.buf, '\n');
}

/* Emits the only row of a result, each column as a line. */
static void
watch_row(struct watch *w, int result)
{
	for (int c = 0; c < pg_columns(w->db, result); c++)
		watch_value(w, pg_column(w->db, result, c), pg_text(w->db, result, 0, c));
}

/* Ends a block; the next one comes within so long. */
static void
watch_block_end(struct watch *w, int64_t within)
{
	buf_printf(&w->out.buf, "next=%lld\n\n", (long long)(within / 1000000 + 1));
	if (output_flush(&w->out) != 0)
		output_failed();
}

/* Queues how long the statements of this transaction may take. Not for the session: behind a proxy that is another
 * program's next. */
static void
watch_limit(struct watch *w)
{
	struct pg_param p[1] = {0};
	pg_set_i64(&p[0], TIMEOUT_S * 1000);
	p[0].type = 0;
	pg_queue(w->db, "SELECT set_config('statement_timeout', $1, true)", p, 1);
	pg_params_free(p, 1);
}

static bool
watch_due(const struct watch *w, struct question *q)
{
	bool moved = !slice_same(slice_buf(&q->changed), slice_buf(&w->changed));
	int64_t share = w->busy ? SHARE_BUSY : moved ? SHARE_BEHIND : SHARE_RESTING;
	int64_t since = clock_now() - q->asked;
	if (since < share * q->took || since < w->interval - w->interval / 4)
		return false;
	if (!moved && since < AT_LEAST_US && !(w->pending && q == &w->outcomes))
		return false;
	q->changed.len = 0;
	buf_slice(&q->changed, slice_buf(&w->changed));
	return true;
}

/* Asks, where it is time to, in a block of its own. */
static enum pg_status
watch_ask(struct watch *w, struct question *q)
{
	struct pg_param p[1] = {0};
	char now[TIME_TEXT];
	if (!watch_due(w, q))
		return PG_OK;
	watch_block_end(w, TIMEOUT_S * INT64_C(1000000));
	int64_t start = clock_now();
	time_format(start, now);
	pg_set_text(&p[0], slice_of(now));
	watch_limit(w);
	pg_queue(w->db, q->sql, p, q == &w->outcomes);
	enum pg_status status = pg_run(w->db);
	pg_params_free(p, 1);
	q->asked = start;
	q->took = clock_now() - start;
	if (status == PG_OK)
		watch_row(w, 1);
	if (status == PG_OK && q == &w->outcomes)
		w->pending = pg_i64(w->db, 1, 0, PENDING_COLUMN) > 0;
	/* It took too long: that need not be reported every time, and the rest is known. */
	if (status == PG_RETRY && strcmp(pg_sqlstate(w->db), "57014") == 0) {
		log_debug("gave up a count that took more than %d s", TIMEOUT_S);
		status = PG_OK;
	}
	return status;
}

static enum pg_status
watch_look(struct watch *w)
{
	int version;
	enum pg_status status = pg_connect(w->db);
	if (status == PG_OK)
		status = schema_read(w->db, &version);
	if (status != PG_OK)
		return status;
	buf_printf(&w->out.buf, "schema=%d\nschema.wanted=%d\n", version > 0 ? version : 0, schema_version());
	if (version != schema_version())
		return PG_OK;
	watch_limit(w);
	pg_queue(w->db, sql_watch, NULL, 0);
	status = pg_run(w->db);
	if (status != PG_OK)
		return status;
	watch_row(w, 1);
	struct buf before = w->changed;
	w->changed = (struct buf){0};
	for (int c = 0; c < CHANGED_COLUMNS; c++) {
		buf_slice(&w->changed, pg_text(w->db, 1, 0, c));
		buf_char(&w->changed, ' ');
	}
	w->busy = !slice_same(slice_buf(&before), slice_buf(&w->changed));
	buf_free(&before);
	struct question *const all[] = {&w->outcomes, &w->rejects, &w->reasons, &w->richest};
	for (size_t i = 0; status == PG_OK && i < sizeof all / sizeof *all; i++)
		status = watch_ask(w, all[i]);
	return status;
}

int
watch_main(const struct writer_options *o)
{
	struct watch w = {
	    .interval = (int64_t)o->interval * 1000000,
	    .outcomes = {.sql = sql_watch_outcomes},
	    .rejects = {.sql = sql_watch_rejects},
	    .reasons = {.sql = sql_watch_reasons},
	    .richest = {.sql = sql_watch_richest},
	};
	output_open(&w.out, STDOUT_FILENO);
	w.db = pg_new("acctflow status");
	sandbox_privileges();
	while (!loop_stopping()) {
		int64_t start = clock_now();
		/* Found anew each time: the private Postgres may only be there later. */
		writer_configure(o, 0);
		enum pg_status status = watch_look(&w);
		if (status != PG_OK) {
			watch_value(&w, "error", slice_of(pg_error(w.db)));
		}
		watch_block_end(&w, w.interval);
		/* Nobody reads any more: noticed at once. */
		struct pollfd p = {.fd = w.out.fd};
		while (!loop_stopping() && !p.revents && clock_now() < start + w.interval)
			loop_wait(&p, 1, start + w.interval);
		if (p.revents)
			break;
	}
	buf_free(&w.changed);
	buf_free(&w.outcomes.changed);
	buf_free(&w.rejects.changed);
	buf_free(&w.reasons.changed);
	buf_free(&w.richest.changed);
	buf_free(&w.out.buf);
	pg_free(w.db);
	return EXIT_OK;
}
