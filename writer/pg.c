/* See db.h. libpq in non-blocking mode throughout: two connections work at once
 * and input is read meanwhile, all from one poll. */
#include "pg.h"

#include "time.h"
#include "loop.h"
#include "log.h"
#include "metrics.h"

#include <arpa/inet.h>
#include <errno.h>
#include <libpq-fe.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

enum { MOST_RESULTS = 16 };
enum { OID_BOOL = 16, OID_TEXT = 25, OID_JSON = 114 };

struct pg {
	PGconn *conn;
	const char *application;
	PGresult *results[MOST_RESULTS];
	int queued, done;
	bool failed;				 /* queueing itself failed */
	bool ran;				 /* what was queued was run: the next statement begins anew */
	bool path;				 /* the first result to come is of PG_PATH, and nobody's */
	bool (*step)(struct pg *, bool *unsent); /* goes on with what was started; true when that is over */
	void (*row)(void *);			 /* of pg_each */
	void *row_context;
	/* Of pg_start_many and pg_start_copy. */
	bool (*more)(void *);
	void (*took)(void *, int result);
	struct slice (*rows)(void *);
	void *context;
	int kept; /* the results that are not for took */
	bool copying;
	enum pg_status status;
	char sqlstate[6];
	struct buf error;
};

static struct {
	const char *conninfo, *passfile;
	uint64_t deadline_s;
	struct pg_idle *idle;
} shared = {.conninfo = ""};

void
pg_configure(const char *conninfo, const char *passfile, uint64_t deadline_s)
{
	char *message = NULL;
	shared.conninfo = conninfo;
	shared.passfile = passfile;
	shared.deadline_s = deadline_s;
	PQconninfoOption *options = PQconninfoParse(conninfo, &message);
	if (!options && (!message || strstr(message, "out of memory")))
		die(EXIT_TEMPORARY, "out of memory");
	/* libpq's words repeat a piece of the text: not where that may be of a password. */
	if (!options && (strcasestr(conninfo, "password") || strstr(conninfo, "://")))
		die(EXIT_PERMANENT, "not a connection string; is something in it not escaped?");
	if (!options)
		die(EXIT_PERMANENT, "not a connection string: %.*s", (int)strcspn(message, "\n"), message);
	const char *secret = NULL; /* a constant of libpq's */
	for (PQconninfoOption *o = options; o->keyword; o++)
		if (o->val && *o->dispchar == '*') /* password, sslpassword, what a newer libpq may hold for secret */
			secret = o->keyword;
	PQconninfoFree(options);
	if (secret)
		die(EXIT_PERMANENT,
		    "the connection string has a %s in it, where others can read it; use --password-file or PGPASSFILE",
		    secret);
}

void
pg_idle(struct pg_idle *idle)
{
	shared.idle = idle;
}

/* One wait, in which the idle function may run. fds has room for two more than n. */
static void
wait_for(struct pollfd *fds, int n, int64_t deadline)
{
	struct pg_idle *idle = shared.idle;
	fds[n] = (struct pollfd){.fd = idle ? idle->in : -1, .events = POLLIN};
	fds[n + 1] = (struct pollfd){.fd = idle ? idle->out : -1, .events = POLLOUT};
	loop_wait(fds, n + 2, deadline);
	if (idle && (fds[n].revents || fds[n + 1].revents))
		idle->fn(idle->context, fds[n].revents != 0, fds[n + 1].revents != 0);
}

struct pg *
pg_new(const char *application)
{
	struct pg *db = mem_alloc(sizeof *db);
	*db = (struct pg){.application = application};
	return db;
}

static void
results_clear(struct pg *db)
{
	for (int i = 0; i < db->done; i++)
		PQclear(db->results[i]);
	db->queued = db->done = 0;
	db->failed = db->ran = db->path = false;
	db->status = PG_OK;
}

void
pg_free(struct pg *db)
{
	if (!db)
		return;
	results_clear(db);
	PQfinish(db->conn);
	buf_free(&db->error);
	free(db);
}

/* Keeps the first line of a message of libpq's. */
static void
error_keep(struct pg *db, const char *message, const char *sqlstate)
{
	db->error.len = 0;
	while (*message == '\n' || *message == ' ')
		message++;
	buf_add(&db->error, message, strcspn(message, "\n"));
	memset(db->sqlstate, 0, sizeof db->sqlstate);
	if (sqlstate)
		memcpy(db->sqlstate, sqlstate, strnlen(sqlstate, 5));
}

/* What an SQLSTATE asks for. Class 22 and 23: the data; what passes: connection, resources, concurrency, a standby. */
static enum pg_status
classify(const char *state)
{
	static const char *const passing[] = {"08", "40", "53", "57", "58", "XX", "55P03", "25006", "26000", "55006"};
	if (strncmp(state, "22", 2) == 0 || strncmp(state, "23", 2) == 0 || strcmp(state, "54000") == 0)
		return PG_DATA;
	for (size_t i = 0; i < sizeof passing / sizeof *passing; i++)
		if (strncmp(state, passing[i], strlen(passing[i])) == 0)
			return PG_RETRY;
	return PG_FATAL;
}

/* A refused connection has no SQLSTATE field; at verbose verbosity its message has it: "FATAL:  28P01: …". */
static enum pg_status
classify_refusal(struct pg *db)
{
	const char *message = PQerrorMessage(db->conn), *p = message;
	while ((p = strstr(p, ":  ")) != NULL) {
		p += 3;
		if (strspn(p, "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ") == 5 && p[5] == ':') {
			error_keep(db, message, p);
			return classify(db->sqlstate);
		}
	}
	error_keep(db, message, NULL);
	/* No answer from a server: not there (yet), or a wrong name or file, which only a person can tell apart. But no
	 * password, or one side's TLS settings or certificate not to the other's liking: that stays so. */
	static const char *const lasting[] = {"fe_sendauth", "certificate verify failed", "certificate file",
	    "server certificate for", "private key file", "SSL was required", "alert unknown ca", "alert certificate"};
	bool lasts = PQconnectionNeedsPassword(db->conn) || strncmp(message, "invalid ", 8) == 0;
	for (size_t i = 0; i < sizeof lasting / sizeof *lasting; i++)
		lasts |= strstr(message, lasting[i]) != NULL;
	return lasts ? PG_FATAL : PG_RETRY;
}

static enum pg_status
connect_once(struct pg *db, int64_t deadline)
{
	const char *names[] = {"dbname", "fallback_application_name", "client_encoding", "passfile", NULL};
	const char *values[] = {shared.conninfo, db->application, "UTF8", shared.passfile, NULL};
	if (!shared.passfile)
		names[3] = NULL;
	PQfinish(db->conn);
	db->conn = PQconnectStartParams(names, values, 1);
	if (!db->conn)
		die(EXIT_TEMPORARY, "out of memory");
	PQsetErrorVerbosity(db->conn, PQERRORS_VERBOSE);
	PostgresPollingStatusType state = PGRES_POLLING_WRITING;
	while (PQstatus(db->conn) != CONNECTION_BAD && state != PGRES_POLLING_OK && state != PGRES_POLLING_FAILED) {
		struct pollfd fds[3] = {
		    {.fd = PQsocket(db->conn), .events = state == PGRES_POLLING_READING ? POLLIN : POLLOUT}};
		wait_for(fds, 1, deadline);
		if (clock_now() >= deadline || (fds[0].revents == 0 && loop_stopping() && clock_now() >= deadline))
			break;
		if (fds[0].revents)
			state = PQconnectPoll(db->conn);
	}
	if (PQstatus(db->conn) == CONNECTION_OK && PQsetnonblocking(db->conn, 1) == 0 &&
	    PQenterPipelineMode(db->conn)) {
		PQsetErrorVerbosity(db->conn, PQERRORS_DEFAULT);
		return PG_OK;
	}
	if (PQstatus(db->conn) != CONNECTION_BAD) {
		error_keep(db, "no answer in time", NULL);
		return PG_RETRY;
	}
	return classify_refusal(db);
}

static unsigned
random_below(unsigned n)
{
	unsigned v = 0;
	if (getrandom(&v, sizeof v, GRND_NONBLOCK) < 0)
		v = (unsigned)clock_now();
	return v % n;
}

enum pg_status
pg_connect(struct pg *db)
{
	if (db->conn && PQstatus(db->conn) == CONNECTION_OK)
		return PG_OK;
	results_clear(db);
	int64_t start = clock_now(), limit = start + (int64_t)shared.deadline_s * 1000000, pause = 50000;
	for (bool told = false;; told = true) {
		int64_t try_until = clock_now() + 10 * 1000000;
		enum pg_status status =
		    connect_once(db, try_until < limit || shared.deadline_s == 0 ? try_until : limit);
		if (status == PG_OK && told)
			log_info("connected to the database again after %.1f s", (double)(clock_now() - start) / 1e6);
		if (status != PG_RETRY)
			return status;
		if (clock_now() + pause >= limit || loop_stopping())
			return PG_RETRY;
		if (!told)
			log_warn("could not connect to the database, trying again for up to %llu s: %s",
			    (unsigned long long)shared.deadline_s, pg_error(db));
		metrics_add(METRIC_RETRIES, 1);
		int64_t until = clock_now() + pause / 2 + random_below((unsigned)pause);
		while (clock_now() < until && !loop_stopping()) {
			struct pollfd none[2];
			wait_for(none, 0, until);
		}
		pause = pause < 2000000 ? pause * 2 : 4000000;
	}
}

/* Each transaction looks for names where nobody but the server's owner can put one. Not once a connection: behind a
 * proxy the next transaction may be on another, and this one's next be another program's. */
static void
path_queue(struct pg *db)
{
	if (!db->conn || db->queued || db->failed || PQtransactionStatus(db->conn) == PQTRANS_INTRANS ||
	    PQtransactionStatus(db->conn) == PQTRANS_INERROR)
		return;
	db->path = PQsendQueryParams(db->conn, "SELECT " PG_PATH, 0, NULL, NULL, NULL, NULL, 0) == 1;
	db->failed = !db->path;
}

void
pg_queue(struct pg *db, const char *sql, const struct pg_param *params, int n)
{
	Oid types[16];
	const char *values[16];
	int lengths[16], formats[16];
	if (db->ran)
		results_clear(db);
	path_queue(db);
	for (int i = 0; i < n; i++) {
		const struct pg_param *p = &params[i];
		if (p->array) {
			uint32_t count = htonl(p->count);
			memcpy(p->bytes.p + 12, &count, 4);
		}
		types[i] = p->type;
		/* An empty buffer has no memory, and a null pointer would mean null; text must end in NUL. */
		values[i] = p->null ? NULL : p->bytes.len ? p->bytes.p : "";
		if (!p->array && !p->null && p->bytes.len) {
			struct buf *b = (struct buf *)(uintptr_t)&p->bytes;
			values[i] = buf_cstr(b);
		}
		lengths[i] = (int)p->bytes.len;
		formats[i] = p->array;
	}
	if (!db->conn || db->failed || PQsendQueryParams(db->conn, sql, n, types, values, lengths, formats, 0) != 1)
		db->failed = true;
	else
		db->queued++;
}

/* Notes an error result; the first one of a pipeline is the cause, those behind it are only skipped. */
static void
note_error(struct pg *db, const PGresult *r)
{
	if (db->status != PG_OK)
		return;
	const char *state = PQresultErrorField(r, PG_DIAG_SQLSTATE);
	const char *primary = PQresultErrorField(r, PG_DIAG_MESSAGE_PRIMARY);
	error_keep(db, primary ? primary : PQresultErrorMessage(r), state);
	db->status = state ? classify(state) : PG_RETRY;
}

/* Whether the error is libpq's own, memory say: then it may have lost the pipeline's end with it, for which we would
 * wait for ever, and the connection is given up. */
static bool
own_error(struct pg *db, PGresult *r)
{
	if (PQresultErrorField(r, PG_DIAG_SQLSTATE))
		return false;
	PQclear(r);
	PQfinish(db->conn);
	db->conn = NULL;
	return true;
}

/* Queues one statement more; behind the last one, or an error, the pipeline's end. */
static bool
pipeline_queue(struct pg *db)
{
	if (db->status != PG_OK || !db->more || !db->more(db->context))
		db->more = NULL;
	if (!db->failed && db->conn && (db->more || PQpipelineSync(db->conn) == 1))
		return true;
	error_keep(db, db->conn ? PQerrorMessage(db->conn) : "not connected", NULL);
	db->status = PG_RETRY;
	return false;
}

/* Takes what results have come. Returns true when the pipeline's end has come, or the connection is lost. */
static bool
results_take(struct pg *db)
{
	if (PQconsumeInput(db->conn) != 1 || PQstatus(db->conn) != CONNECTION_OK) {
		if (db->status == PG_OK)
			error_keep(db, PQerrorMessage(db->conn), NULL);
		db->status = PG_RETRY;
		return true;
	}
	while (!PQisBusy(db->conn)) {
		PGresult *r = PQgetResult(db->conn);
		if (!r) {
			/* The end of one statement's results; once the connection is lost there is nothing else. */
			if (PQstatus(db->conn) != CONNECTION_OK) {
				db->status = PG_RETRY;
				return true;
			}
			/* After an error nothing of what was sent is left, and the server waits for the pipeline's end.
			 */
			if (db->status != PG_OK && db->more && !pipeline_queue(db))
				return true;
			/* The statement behind that of the path is in its turn now, which is when it can be asked for.
			 */
			if (db->row)
				PQsetSingleRowMode(db->conn);
			continue;
		}
		switch (PQresultStatus(r)) {
		case PGRES_PIPELINE_SYNC:
			PQclear(r);
			return true;
		case PGRES_COMMAND_OK:
		case PGRES_TUPLES_OK:
			if (db->path) {
				db->path = false;
				break;
			}
			if (db->took && db->done == db->kept) {
				db->results[db->done] = r;
				db->took(db->context, db->done);
				db->results[db->done] = NULL;
				break;
			}
			if (db->done < MOST_RESULTS) {
				db->results[db->done++] = r;
				continue;
			}
			break;
		case PGRES_SINGLE_TUPLE:
			if (!db->row)
				break;
			db->results[0] = r;
			db->done = 1;
			db->row(db->row_context);
			db->done = 0;
			break;
		case PGRES_FATAL_ERROR:
			note_error(db, r);
			if (own_error(db, r))
				return true;
			break;
		default:
			break;
		}
		PQclear(r);
	}
	/* Where memory for the pipeline's end is refused, libpq says so and goes on waiting for it. */
	if (db->status == PG_OK && strstr(PQerrorMessage(db->conn), "out of memory")) {
		error_keep(db, "out of memory", NULL);
		db->status = PG_RETRY;
		PQfinish(db->conn);
		db->conn = NULL;
		return true;
	}
	return false;
}

/* Sends what is queued, and queues more as long as the server takes it. */
static int
pipeline_send(struct pg *db)
{
	int flushed;
	while ((flushed = PQflush(db->conn)) == 0 && db->more)
		if (!pipeline_queue(db))
			return -1;
	return flushed;
}

/* Goes on with a pipeline. Returns true when it is over. */
static bool
pipeline_step(struct pg *db, bool *unsent)
{
	int flushed = pipeline_send(db);
	*unsent = flushed == 1;
	bool over = results_take(db);
	if (flushed < 0)
		db->status = PG_RETRY;
	return over || flushed < 0;
}

/* Goes on with a COPY: wait for the server to take it, send in pieces, wait for its result. */
static bool
copy_step(struct pg *db, bool *unsent)
{
	int flushed;
	while ((flushed = PQflush(db->conn)) == 0 && db->copying && db->rows) {
		struct slice piece = db->rows(db->context);
		if (!piece.n)
			db->rows = NULL;
		/* Nothing waits to be sent, so that what is not taken now finds no memory: it must not be left out. */
		if ((piece.n ? PQputCopyData(db->conn, piece.p, (int)piece.n) : PQputCopyEnd(db->conn, NULL)) != 1) {
			flushed = -1;
			break;
		}
	}
	bool sending = db->copying && db->rows;
	flushed = flushed ? flushed : PQflush(db->conn);
	*unsent = flushed == 1;
	if (flushed < 0 || PQconsumeInput(db->conn) != 1 || PQstatus(db->conn) != CONNECTION_OK) {
		error_keep(db, PQerrorMessage(db->conn), NULL);
		db->status = PG_RETRY;
		return true;
	}
	/* Until the end of the rows was sent libpq has no result but that it waits for them. */
	while (!sending && !PQisBusy(db->conn)) {
		PGresult *r = PQgetResult(db->conn);
		if (!r) {
			if (PQenterPipelineMode(db->conn) != 1)
				db->status = PG_RETRY;
			return true;
		}
		ExecStatusType status = PQresultStatus(r);
		if (status == PGRES_FATAL_ERROR) {
			note_error(db, r);
			if (own_error(db, r))
				return true;
		}
		PQclear(r);
		if (status == PGRES_COPY_IN && !db->copying) {
			db->copying = *unsent = true;
			return false;
		}
	}
	return false;
}

void
pg_start_many(struct pg *db, bool (*more)(void *context), void (*took)(void *context, int result), void *context)
{
	db->step = pipeline_step;
	db->kept = db->queued;
	db->took = took;
	db->context = context;
	db->more = more;
	pipeline_queue(db);
}

void
pg_start(struct pg *db)
{
	pg_start_many(db, NULL, NULL, NULL);
}

void
pg_start_copy(struct pg *db, const char *sql, struct slice (*rows)(void *context), void *context)
{
	results_clear(db);
	db->step = copy_step;
	db->copying = false;
	db->rows = rows;
	db->context = context;
	if (PQexitPipelineMode(db->conn) != 1 || PQsendQuery(db->conn, sql) != 1) {
		error_keep(db, PQerrorMessage(db->conn), NULL);
		db->status = PG_RETRY;
	}
}

/* Goes on with one connection until it must wait. Returns true when there is nothing left to do on it. */
static bool
drive_one(struct pg *db, int i, bool (*next)(void *, int), void *context, bool *unsent)
{
	while (db->step(db, unsent)) {
		db->ran = true;
		if (db->status != PG_OK || !next || !next(context, i) || db->status != PG_OK)
			return true;
	}
	return false;
}

enum pg_status
pg_drive(struct pg **dbs, int n, bool (*next)(void *context, int i), void *context)
{
	bool over[4] = {false};
	/* Only what failed before: after an error the rest of the answer must still be read. */
	for (int i = 0; i < n; i++)
		over[i] = dbs[i]->status != PG_OK;
	for (;;) {
		struct pollfd fds[6];
		int left = 0;
		for (int i = 0; i < n; i++) {
			bool unsent = false;
			fds[i] = (struct pollfd){.fd = -1};
			over[i] = over[i] || drive_one(dbs[i], i, next, context, &unsent);
			if (over[i])
				continue;
			fds[i] = (struct pollfd){.fd = PQsocket(dbs[i]->conn), .events = POLLIN};
			if (unsent)
				fds[i].events |= POLLOUT;
			left++;
		}
		if (left == 0)
			break;
		wait_for(fds, n, -1);
	}
	enum pg_status worst = PG_OK;
	for (int i = 0; i < n; i++) {
		dbs[i]->ran = true;
		if (dbs[i]->status > worst)
			worst = dbs[i]->status;
	}
	return worst;
}

enum pg_status
pg_run(struct pg *db)
{
	pg_start(db);
	return pg_drive(&db, 1, NULL, NULL);
}

bool
pg_committed(const struct pg *db)
{
	return db->status == PG_OK && db->done > 0 && strcmp(PQcmdStatus(db->results[db->done - 1]), "COMMIT") == 0;
}

int64_t
pg_deadline(void)
{
	return (int64_t)shared.deadline_s * 1000000;
}

enum pg_status
pg_exec(struct pg *db, const char *sql, const struct pg_param *params, int n)
{
	pg_queue(db, sql, params, n);
	return pg_run(db);
}

enum pg_status
pg_each(struct pg *db, const char *sql, const struct pg_param *params, int n, void (*row)(void *context), void *context)
{
	pg_queue(db, sql, params, n);
	if (!db->failed && !db->path)
		PQsetSingleRowMode(db->conn);
	db->row = row;
	db->row_context = context;
	enum pg_status status = pg_run(db);
	db->row = NULL;
	return status;
}

enum pg_status
pg_script(struct pg *db, const char *sql)
{
	results_clear(db);
	if (PQexitPipelineMode(db->conn) != 1 || PQsendQuery(db->conn, sql) != 1) {
		error_keep(db, PQerrorMessage(db->conn), NULL);
		return PG_RETRY;
	}
	PGresult *r;
	while ((r = PQgetResult(db->conn)) != NULL) {
		if (PQresultStatus(r) == PGRES_FATAL_ERROR)
			note_error(db, r);
		PQclear(r);
	}
	if (PQenterPipelineMode(db->conn) != 1)
		db->status = PG_RETRY;
	return db->status;
}

void
pg_reset(struct pg *db)
{
	results_clear(db);
	if (!db->conn)
		return;
	struct buf kept = db->error;
	char state[6];
	memcpy(state, db->sqlstate, sizeof state);
	db->error = (struct buf){0};
	if (PQstatus(db->conn) != CONNECTION_OK || pg_exec(db, "ROLLBACK", NULL, 0) != PG_OK) {
		PQfinish(db->conn);
		db->conn = NULL;
	}
	results_clear(db);
	buf_free(&db->error);
	db->error = kept;
	memcpy(db->sqlstate, state, sizeof state);
}

int
pg_rows(const struct pg *db, int result)
{
	return PQntuples(db->results[result]);
}

int
pg_columns(const struct pg *db, int result)
{
	return PQnfields(db->results[result]);
}

const char *
pg_column(const struct pg *db, int result, int column)
{
	return PQfname(db->results[result], column);
}

enum pg_kind
pg_kind(const struct pg *db, int result, int column)
{
	switch (PQftype(db->results[result], column)) {
	case OID_TEXT:
		return PG_TEXT;
	case OID_BOOL:
		return PG_BOOL;
	case OID_JSON:
		return PG_JSON;
	default:
		return PG_NUMBER;
	}
}

bool
pg_null(const struct pg *db, int result, int row, int column)
{
	return PQgetisnull(db->results[result], row, column) == 1;
}

struct slice
pg_text(const struct pg *db, int result, int row, int column)
{
	const PGresult *r = db->results[result];
	return (struct slice){PQgetvalue(r, row, column), (size_t)PQgetlength(r, row, column)};
}

int64_t
pg_i64(const struct pg *db, int result, int row, int column)
{
	return pg_null(db, result, row, column) ? -1 : strtoll(pg_text(db, result, row, column).p, NULL, 10);
}

const char *
pg_error(const struct pg *db)
{
	return db->error.len ? buf_cstr((struct buf *)(uintptr_t)&db->error) : "unknown error";
}

const char *
pg_sqlstate(const struct pg *db)
{
	return db->sqlstate;
}

int
pg_server_version(const struct pg *db)
{
	return PQserverVersion(db->conn);
}

void
pg_setting(const struct pg *db, const char *keyword, struct buf *value)
{
	PQconninfoOption *all = PQconninfo(db->conn);
	if (!all)
		die(EXIT_TEMPORARY, "out of memory");
	value->len = 0;
	for (const PQconninfoOption *o = all; o->keyword; o++)
		if (o->val && strcmp(o->keyword, keyword) == 0)
			buf_text(value, o->val);
	PQconninfoFree(all);
}
