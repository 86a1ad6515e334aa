/* See pg.h. libpq in non-blocking mode throughout. Where its memory runs out in the middle, it may lose the end of a
 * pipeline or leave rows out: then the connection is given up rather than waited for. */
#include "pg_connect.h"

#include "log.h"
#include "loop.h"
#include "time.h"

#include <libpq-fe.h>
#include <stdio.h>
#include <stdlib.h>

enum { MOST_RESULTS = 32, MOST_PARAMS = 16, SILENCE_S = 60, SECOND = 1000000 };
enum { OID_BOOL = 16, OID_TEXT = 25, OID_JSON = 114, OID_JSONB = 3802 };

enum pg_state {
	PG_RESTS,    /* nothing is under way; status has the outcome */
	PG_CONNECTS, /* dial goes on */
	PG_ROLLBACK, /* a pipeline of our own, before the next transaction */
	PG_PIPELINE, /* what was queued */
	PG_SIMPLE,   /* statements outside of a pipeline: a script, a COPY before its rows and after them */
	PG_COPY,     /* a piece of rows is sent */
};

struct pg {
	struct pg_dial dial;
	PGconn *conn;
	enum pg_state state;
	enum pg_status status;
	PGresult *results[MOST_RESULTS];
	int queued, done;
	int path;	/* which result to come is of PG_PATH, and nobody's; -1: none */
	bool failed;	/* queueing itself failed */
	bool ran;	/* what was queued was run: the next statement begins anew */
	bool each, row; /* by rows; one is there */
	bool unsent;	/* the server has not taken all yet */
	bool read_only; /* the server is: other hosts are tried, or the same one later */
	bool unreachable;
	int64_t heard, patience; /* patience: how long a silence may last; 0: as long as the deadline says */
};

struct pg *
pg_new(const char *application)
{
	struct pg *pg = mem_alloc(sizeof *pg);
	*pg = (struct pg){.dial.application = application, .path = -1};
	return pg;
}

static void
pg_results_clear(struct pg *pg)
{
	for (int i = 0; i < pg->done; i++)
		PQclear(pg->results[i]);
	pg->queued = pg->done = 0;
	pg->path = -1;
	pg->failed = pg->ran = pg->each = pg->row = false;
	pg->status = PG_OK;
}

static void
pg_drop(struct pg *pg)
{
	PQfinish(pg->conn);
	pg->conn = NULL;
}

void
pg_free(struct pg *pg)
{
	if (!pg)
		return;
	pg_results_clear(pg);
	pg_drop(pg);
	pg_dial_end(&pg->dial);
	buf_free(&pg->dial.fault.text);
	free(pg);
}

/* What was under way is over. */
static enum pg_status
pg_over(struct pg *pg, enum pg_status status)
{
	pg->state = PG_RESTS;
	pg->ran = true;
	pg->status = status;
	return status;
}

/* The connection cannot be used any more. The first error stays: what comes behind it is its consequence. */
static enum pg_status
pg_lost(struct pg *pg, const char *message)
{
	if (pg->status == PG_OK) {
		pg->dial.fault.text.len = 0;
		pg_fault_add(&pg->dial.fault, message, NULL);
		pg->unreachable = true;
	}
	pg_drop(pg);
	return pg_over(pg, pg->status == PG_OK ? PG_RETRY : pg->status);
}

/* Notes an error result; the first one of a pipeline is the cause, those behind it are only skipped. */
static void
pg_note(struct pg *pg, const PGresult *r)
{
	if (pg->status != PG_OK)
		return;
	const char *state = PQresultErrorField(r, PG_DIAG_SQLSTATE);
	const char *primary = PQresultErrorField(r, PG_DIAG_MESSAGE_PRIMARY);
	pg->dial.fault.text.len = 0;
	pg_fault_add(&pg->dial.fault, primary ? primary : PQresultErrorMessage(r), state);
	pg->status = state ? pg_classify(state) : PG_RETRY;
	pg->unreachable = !state || strncmp(state, "08", 2) == 0 || strncmp(state, "57P", 3) == 0;
	pg->read_only |= state && strcmp(state, "25006") == 0;
}

/* Says what for, where the connection has to wait; ends it where that took too long. */
static enum pg_status
pg_wait(struct pg *pg, struct pg_wait *wait)
{
	char message[64];
	short events = pg->unsent ? POLLIN | POLLOUT : POLLIN;
	int64_t silence = pg->patience ? pg->patience : pg_deadline() ? pg_deadline() : (int64_t)SILENCE_S * SECOND;
	*wait = (struct pg_wait){PQsocket(pg->conn), events, pg->heard + silence};
	if (clock_now() < wait->until)
		return PG_WAIT;
	snprintf(message, sizeof message, "no word from the server for %lld s", (long long)(silence / SECOND));
	return pg_lost(pg, message);
}

/* Moves bytes both ways as far as that goes without waiting. False: the connection is lost, but what came before may
 * still be taken from it. */
static bool
pg_move(struct pg *pg)
{
	if (pg_fd_ready(PQsocket(pg->conn), pg->unsent ? POLLIN | POLLOUT : POLLIN))
		pg->heard = clock_now();
	int flushed = PQflush(pg->conn);
	pg->unsent = flushed == 1;
	/* Read even so: the server may have said why. */
	bool read = PQconsumeInput(pg->conn) == 1;
	return flushed >= 0 && read && PQstatus(pg->conn) == CONNECTION_OK;
}

/* Each transaction looks for names where nobody but the server's owner can put one. Not once a connection: behind a
 * proxy the next transaction may be on another, and this one's next be another program's. Where a BEGIN with its
 * isolation level comes first it must stay the first. */
static void
pg_path(struct pg *pg, int index)
{
	if (PQsendQueryParams(pg->conn, "SELECT " PG_PATH, 0, NULL, NULL, NULL, NULL, 0) == 1)
		pg->path = index;
	else
		pg->failed = true;
}

static bool
pg_send(struct pg *pg, const char *sql, const struct pg_param *params, size_t n)
{
	Oid types[MOST_PARAMS];
	const char *values[MOST_PARAMS];
	char numbers[MOST_PARAMS][24];
	int lengths[MOST_PARAMS], formats[MOST_PARAMS];
	for (size_t i = 0; i < n; i++) {
		const struct pg_param *p = &params[i];
		types[i] = p->oid;
		values[i] = p->is_number ? numbers[i] : p->bytes.p;
		lengths[i] = (int)p->bytes.n;
		formats[i] = !p->is_number;
		snprintf(numbers[i], sizeof numbers[i], "%lld", (long long)p->number);
	}
	return PQsendQueryParams(pg->conn, sql, (int)n, types, values, lengths, formats, 0) == 1;
}

void
pg_queue(struct pg *pg, const char *sql, const struct pg_param *params, size_t n)
{
	if (pg->ran)
		pg_results_clear(pg);
	if (n > MOST_PARAMS || pg->queued == MOST_RESULTS)
		die(EXIT_PERMANENT, "too many statements or parameters at once"); /* a fault of the caller's */
	if (!pg->conn || pg->failed) {
		pg->failed = true;
		return;
	}
	bool fresh = pg->queued == 0 && PQtransactionStatus(pg->conn) == PQTRANS_IDLE;
	bool begin = strncmp(sql, "BEGIN", 5) == 0;
	if (fresh && !begin)
		pg_path(pg, 0);
	if (!pg->failed && !pg_send(pg, sql, params, n))
		pg->failed = true;
	if (fresh && begin && !pg->failed)
		pg_path(pg, 1);
	pg->queued++;
}

/* Starts in that state, where queueing went well. */
static void
pg_begin(struct pg *pg, enum pg_state state, bool good)
{
	pg->heard = clock_now();
	if (!pg->conn)
		pg_lost(pg, "not connected");
	else if (!good)
		pg_lost(pg, PQerrorMessage(pg->conn));
	else
		pg->state = state;
}

void
pg_start(struct pg *pg)
{
	pg_begin(pg, PG_PIPELINE, pg->conn && !pg->failed && PQpipelineSync(pg->conn) == 1);
}

void
pg_copy_start(struct pg *pg, const char *sql)
{
	pg_results_clear(pg);
	pg_begin(pg, PG_SIMPLE, pg->conn && PQexitPipelineMode(pg->conn) == 1 && PQsendQuery(pg->conn, sql) == 1);
}

/* Keeps a result, where it is wanted. False: it is an error of libpq's own, memory say, and what follows may be lost.
 */
static bool
pg_keep(struct pg *pg, PGresult *r)
{
	ExecStatusType status = PQresultStatus(r);
	bool own = false;
	if (status == PGRES_FATAL_ERROR) {
		pg_note(pg, r);
		own = !PQresultErrorField(r, PG_DIAG_SQLSTATE);
	}
	bool good = status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK;
	if (good && pg->path == pg->done) {
		pg->path = -1;
	} else if ((good || (status == PGRES_SINGLE_TUPLE && pg->each)) && pg->done < MOST_RESULTS) {
		pg->row = status == PGRES_SINGLE_TUPLE;
		pg->results[pg->done++] = r;
		return true;
	}
	PQclear(r);
	return !own;
}

/* Goes on with a pipeline to its end or a row, with what is in none to its end or to where a COPY waits for rows. */
static enum pg_status
pg_take(struct pg *pg, struct pg_wait *wait)
{
	/* Rows that are there are taken before more are read, or libpq's buffer would grow with the result. */
	bool alive = (pg->each && !pg->unsent && !PQisBusy(pg->conn)) || pg_move(pg), simple = pg->state == PG_SIMPLE;
	int nothing = 0;
	while (!PQisBusy(pg->conn)) {
		PGresult *r = PQgetResult(pg->conn);
		ExecStatusType status = PQresultStatus(r);
		if (r && (status == PGRES_PIPELINE_SYNC || status == PGRES_COPY_IN)) {
			PQclear(r);
			return pg_over(pg, pg->status);
		}
		if (!r && PQstatus(pg->conn) == CONNECTION_OK && simple && PQenterPipelineMode(pg->conn) == 1)
			return pg_over(pg, pg->status);
		/* The end of one statement's results; twice and without a connection, of all. */
		if (!r && (simple || (PQstatus(pg->conn) != CONNECTION_OK && ++nothing > 1)))
			return pg_lost(pg, PQerrorMessage(pg->conn));
		/* The next statement is in its turn now, which is when rows can be asked for. */
		if (!r && pg->each)
			PQsetSingleRowMode(pg->conn);
		if (!r)
			continue;
		nothing = 0;
		if (!pg_keep(pg, r))
			return pg_lost(pg, PQerrorMessage(pg->conn));
		if (pg->row)
			return PG_OK;
	}
	/* Where memory for the pipeline's end is refused, libpq says so and goes on waiting for it. */
	if (!alive || strstr(PQerrorMessage(pg->conn), "out of memory"))
		return pg_lost(pg, PQerrorMessage(pg->conn));
	return pg_wait(pg, wait);
}

/* Waits until libpq holds nothing of a piece any more: memory does not grow, and a next one that is not taken then
 * finds no memory, and must not be left out. */
static enum pg_status
pg_copy_step(struct pg *pg, struct pg_wait *wait)
{
	if (!pg_move(pg))
		return pg_lost(pg, PQerrorMessage(pg->conn));
	return pg->unsent ? pg_wait(pg, wait) : pg_over(pg, PG_OK);
}

void
pg_copy(struct pg *pg, struct slice bytes)
{
	if (bytes.n)
		pg_begin(pg, PG_COPY, pg->conn && PQputCopyData(pg->conn, bytes.p, (int)bytes.n) == 1);
	else
		pg_begin(pg, PG_SIMPLE, pg->conn && PQputCopyEnd(pg->conn, NULL) == 1);
}

static void
pg_connect_start(struct pg *pg)
{
	pg_drop(pg);
	pg->dial.writing |= pg->read_only;
	pg->read_only = false;
	pg_dial_start(&pg->dial);
	pg->state = PG_CONNECTS;
}

void
pg_ready(struct pg *pg)
{
	bool keep = pg->conn && pg->state == PG_RESTS && !pg->read_only;
	PGTransactionStatusType open = keep ? PQtransactionStatus(pg->conn) : PQTRANS_UNKNOWN;
	pg_results_clear(pg);
	pg->state = PG_RESTS;
	if (open == PQTRANS_IDLE)
		return;
	if ((open == PQTRANS_INTRANS || open == PQTRANS_INERROR) && pg_send(pg, "ROLLBACK", NULL, 0))
		pg_begin(pg, PG_ROLLBACK, PQpipelineSync(pg->conn) == 1);
	if (pg->state != PG_ROLLBACK)
		pg_connect_start(pg);
}

/* Makes the connection ready, or goes on with that. */
static enum pg_status
pg_ready_step(struct pg *pg, struct pg_wait *wait)
{
	enum pg_status status = pg->state == PG_ROLLBACK ? pg_take(pg, wait) : pg_dial_step(&pg->dial, wait);
	if (status == PG_WAIT)
		return status;
	if (pg->state != PG_CONNECTS) {
		pg_results_clear(pg);
		if (status == PG_OK)
			return status;
		pg_connect_start(pg);
		return pg_ready_step(pg, wait);
	}
	pg->state = PG_RESTS;
	pg->status = status;
	pg->unreachable = status != PG_OK;
	pg->conn = pg->dial.conn;
	pg->dial.conn = NULL;
	return status;
}

enum pg_status
pg_step(struct pg *pg, struct pg_wait *wait)
{
	switch (pg->state) {
	case PG_RESTS:
		break;
	case PG_CONNECTS:
	case PG_ROLLBACK:
		return pg_ready_step(pg, wait);
	case PG_PIPELINE:
	case PG_SIMPLE:
		return pg_take(pg, wait);
	case PG_COPY:
		return pg_copy_step(pg, wait);
	}
	return pg->status;
}

/* Waits, and steps, until it is over or, where that is asked for, the program is asked to stop. */
static enum pg_status
pg_block(struct pg *pg, bool stoppable)
{
	for (;;) {
		struct pg_wait wait = {.fd = -1, .until = -1};
		enum pg_status status = pg_step(pg, &wait);
		if (status != PG_WAIT)
			return status;
		if (stoppable && loop_stopping())
			return pg_lost(pg, "asked to stop");
		struct pollfd p = {.fd = wait.fd, .events = wait.events};
		loop_wait(&p, 1, wait.until);
	}
}

enum pg_status
pg_finish(struct pg *pg)
{
	return pg_block(pg, false);
}

enum pg_status
pg_connect(struct pg *pg)
{
	pg_ready(pg);
	return pg_finish(pg);
}

enum pg_status
pg_run(struct pg *pg)
{
	pg_start(pg);
	return pg_finish(pg);
}

enum pg_status
pg_exec(struct pg *pg, const char *sql, const struct pg_param *params, size_t n)
{
	pg_queue(pg, sql, params, n);
	return pg_run(pg);
}

enum pg_status
pg_script(struct pg *pg, const char *sql)
{
	pg_copy_start(pg, sql);
	return pg_block(pg, true);
}

void
pg_each(struct pg *pg, unsigned patience_s, const char *sql, const struct pg_param *params, size_t n)
{
	pg_queue(pg, sql, params, n);
	pg->each = true;
	pg->patience = (int64_t)patience_s * SECOND;
	if (pg->conn && !pg->failed && pg->path < 0)
		PQsetSingleRowMode(pg->conn);
	pg_start(pg);
}

bool
pg_next(struct pg *pg)
{
	if (pg->row) {
		PQclear(pg->results[--pg->done]);
		pg->row = false;
	}
	return pg->state == PG_PIPELINE && pg_finish(pg) == PG_OK && pg->row;
}

/* clang-format off */
int pg_rows(const struct pg *pg, int result) { return PQntuples(pg->results[result]); }
int pg_columns(const struct pg *pg, int result) { return PQnfields(pg->results[result]); }
const char *pg_column(const struct pg *pg, int result, int column) { return PQfname(pg->results[result], column); }
const char *pg_sqlstate(const struct pg *pg) { return pg->dial.fault.sqlstate; }
bool pg_unreachable(const struct pg *pg) { return pg->unreachable; }
bool pg_absent(const struct pg *pg) { return !pg->conn && pg->dial.absent; }
/* clang-format on */

enum pg_kind
pg_kind(const struct pg *pg, int result, int column)
{
	Oid type = PQftype(pg->results[result], column);
	return type == OID_TEXT			       ? PG_TEXT
	       : type == OID_BOOL		       ? PG_BOOL
	       : type == OID_JSON || type == OID_JSONB ? PG_JSON
						       : PG_NUMBER;
}

bool
pg_null(const struct pg *pg, int result, int row, int column)
{
	return PQgetisnull(pg->results[result], row, column) == 1;
}

struct slice
pg_text(const struct pg *pg, int result, int row, int column)
{
	const PGresult *r = pg->results[result];
	return (struct slice){PQgetvalue(r, row, column), (size_t)PQgetlength(r, row, column)};
}

int64_t
pg_i64(const struct pg *pg, int result, int row, int column)
{
	return pg_null(pg, result, row, column) ? -1 : strtoll(pg_text(pg, result, row, column).p, NULL, 10);
}

const char *
pg_error(const struct pg *pg)
{
	const struct buf *text = &pg->dial.fault.text;
	return text->len ? buf_cstr((struct buf *)(uintptr_t)text) : "the connection was lost";
}
