/* See pg_connect.h. libpq's own walk over several hosts has no time of its own for each when nothing blocks, so that it
 * would stay with a first one that accepts and is silent. Each host is therefore tried by a connection object of its
 * own. The resolver is the one thing that may still block. */
#include "pg_connect.h"

#include "log.h"
#include "loop.h"
#include "metrics.h"
#include "time.h"

#include <libpq-fe.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include <unistd.h>

enum {
	SECOND = 1000000,
	HOSTS_US = 10 * SECOND, /* the most for one round over all hosts, where the deadline leaves it */
	STOPPED_US = SECOND,	/* asked to stop: as long for a host that answers */
	PAUSE_FIRST = 50000,
	PAUSE_LAST = 4 * SECOND,
};

static struct {
	const char *conninfo, *passfile;
	uint64_t deadline_s;
	bool patient;
} shared = {.conninfo = "", .deadline_s = 60};

int64_t
pg_deadline(void)
{
	return (int64_t)shared.deadline_s * SECOND;
}

/* The options that a connection string gives, all others NULL. */
static PQconninfoOption *
dial_parse(const char *conninfo)
{
	char *message = NULL;
	PQconninfoOption *options = PQconninfoParse(conninfo, &message);
	if (!options && (!message || strstr(message, "out of memory")))
		die(EXIT_TEMPORARY, "out of memory");
	/* libpq's words repeat a piece of the text: not where that may be of a password. */
	if (!options && (strcasestr(conninfo, "password") || strstr(conninfo, "://")))
		die(EXIT_PERMANENT, "not a connection string; is something in it not escaped?");
	if (!options)
		die(EXIT_PERMANENT, "not a connection string: %.*s", (int)strcspn(message, "\n"), message);
	return options;
}

static const char *
dial_value(const PQconninfoOption *options, const char *keyword)
{
	for (const PQconninfoOption *o = options; o && o->keyword; o++)
		if (strcmp(o->keyword, keyword) == 0)
			return o->val && *o->val ? o->val : NULL;
	return NULL;
}

void
pg_configure(const char *conninfo, const char *passfile, uint64_t deadline_s, bool patient)
{
	shared.conninfo = conninfo;
	shared.passfile = passfile;
	shared.deadline_s = deadline_s;
	shared.patient = patient;
	PQconninfoOption *options = dial_parse(conninfo);
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
pg_fault_add(struct pg_fault *f, const char *message, const char *sqlstate)
{
	message += strspn(message, "\n ");
	if (f->text.len)
		buf_text(&f->text, "; ");
	buf_add(&f->text, message, strcspn(message, "\n"));
	memset(f->sqlstate, 0, sizeof f->sqlstate);
	if (sqlstate)
		memcpy(f->sqlstate, sqlstate, strnlen(sqlstate, 5));
}

/* Passing: connection, resources, concurrency, timeouts, a standby. Lasting: the statement itself, rights, what is not
 * there. All the rest is a row's: a value, a constraint, a trigger's veto by whatever code. */
enum pg_status
pg_classify(const char *sqlstate)
{
	static const char *const passing[] = {
	    "08", "40", "53", "57", "58", "XX", "55P03", "55006", "25006", "25P03", "25P04", "26000"};
	static const char *const lasting[] = {"0A", "0B", "0F", "0L", "0P", "0Z", "24", "25", "26", "28", "2B", "2D",
	    "34", "3B", "3D", "3F", "42", "55", "72", "F0", "HV"};
	for (size_t i = 0; i < sizeof passing / sizeof *passing; i++)
		if (strncmp(sqlstate, passing[i], strlen(passing[i])) == 0)
			return PG_RETRY;
	for (size_t i = 0; i < sizeof lasting / sizeof *lasting; i++)
		if (strncmp(sqlstate, lasting[i], strlen(lasting[i])) == 0)
			return PG_FATAL;
	return PG_DATA;
}

/* The nth entry of a comma-separated list, as libpq reads it; NULL where there is none. The caller frees it. */
static char *
dial_nth(const char *list, int n)
{
	for (; list && n > 0; n--) {
		list = strchr(list, ',');
		list = list ? list + 1 : NULL;
	}
	return list ? mem_string((struct slice){list, strcspn(list, ",")}) : NULL;
}

static int
dial_count(const char *list)
{
	int n = 1;
	for (const char *p = list; p && (p = strchr(p, ',')) != NULL; p++)
		n++;
	return n;
}

/* The parameters of one attempt. Later ones override earlier ones, those within `dbname` too. */
struct dial_params {
	const char *names[20], *values[20];
	int n;
};

static void
dial_set(struct dial_params *p, const char *name, const char *value)
{
	if (!value)
		return;
	p->names[p->n] = name;
	p->values[p->n++] = value;
}

static void
dial_open(struct pg_dial *d, const struct dial_params *p)
{
	PQfinish(d->conn);
	d->conn = PQconnectStartParams(p->names, p->values, 1);
	if (!d->conn)
		die(EXIT_TEMPORARY, "out of memory");
}

/* Narrows the attempt, which libpq has begun with all hosts, to the one whose turn it is. Returns how long it may take.
 */
static int64_t
dial_narrow(struct pg_dial *d, struct dial_params *p)
{
	PQconninfoOption *all = PQconninfo(d->conn); /* with what the environment, the service and libpq set */
	const char *host = dial_value(all, "host"), *address = dial_value(all, "hostaddr");
	const char *port = dial_value(all, "port"), *attributes = dial_value(all, "target_session_attrs");
	const char *timeout = dial_value(all, "connect_timeout");
	int n = dial_count(address ? address : host), given = p->n;
	char *own[] = {NULL, NULL, NULL};
	d->hosts = n;
	if (n > 1) {
		dial_set(p, "host", own[0] = dial_nth(host, d->host));
		dial_set(p, "hostaddr", own[1] = dial_nth(address, d->host));
		dial_set(p, "port", own[2] = dial_nth(port, dial_count(port) > 1 ? d->host : 0));
	}
	if (d->writing && (!attributes || strcmp(attributes, "any") == 0))
		dial_set(p, "target_session_attrs", "read-write");
	int64_t most = timeout ? strtoll(timeout, NULL, 10) * SECOND : 0, left = d->limit - clock_now();
	bool shares = most <= 0;
	most = shares ? HOSTS_US : most;
	most = shared.deadline_s && left < most ? left : most;
	if (p->n > given)
		dial_open(d, p);
	for (int i = 0; i < 3; i++)
		free(own[i]);
	PQconninfoFree(all);
	return shares ? most / d->hosts : most;
}

/* Messages of the server's that answer nothing: a trigger's notices, a warning at connecting. What is in them is data.
 */
static void
dial_notice(void *context, const PGresult *r)
{
	(void)context;
	const char *severity = PQresultErrorField(r, PG_DIAG_SEVERITY_NONLOCALIZED);
	const char *text = PQresultErrorField(r, PG_DIAG_MESSAGE_PRIMARY);
	bool quiet = severity && (strcmp(severity, "NOTICE") == 0 || strcmp(severity, "INFO") == 0 ||
				     strcmp(severity, "LOG") == 0 || strncmp(severity, "DEBUG", 5) == 0);
	struct buf safe = {0};
	buf_safe(&safe, slice_of(text ? text : PQresultErrorMessage(r)));
	log_at(quiet ? LOG_DEBUG : LOG_INFO, "the database says: %s", buf_cstr(&safe));
	buf_free(&safe);
}

/* Begins with the host whose turn it is. A network that went silent is noticed within the deadline, and by the kernel
 * before it is by us: it has the better word for it. */
static void
dial_host(struct pg_dial *d)
{
	struct dial_params p = {0};
	char numbers[3][24];
	int64_t s = shared.deadline_s ? (int64_t)shared.deadline_s : 60;
	snprintf(numbers[0], sizeof *numbers, "%lld", (long long)(s / 3 > 0 ? s / 3 : 1));
	snprintf(numbers[1], sizeof *numbers, "%lld", (long long)(s / 6 > 0 ? s / 6 : 1));
	snprintf(numbers[2], sizeof *numbers, "%lld", (long long)(s < 3600 ? s * 750 : 3600 * 750));
	dial_set(&p, "keepalives_idle", numbers[0]);
	dial_set(&p, "keepalives_interval", numbers[1]);
	dial_set(&p, "keepalives_count", "3");
	dial_set(&p, "tcp_user_timeout", numbers[2]);
	dial_set(&p, "dbname", shared.conninfo);
	dial_set(&p, "fallback_application_name", d->application);
	dial_set(&p, "client_encoding", "UTF8");
	dial_set(&p, "passfile", shared.passfile);
	dial_open(d, &p);
	d->until = clock_now() + dial_narrow(d, &p);
	PQsetNoticeReceiver(d->conn, dial_notice, NULL);
	PQsetErrorVerbosity(d->conn, PQERRORS_VERBOSE);
	d->events = POLLOUT;
}

/* A refused connection has no SQLSTATE field; at verbose verbosity its message has it: "FATAL:  28P01: …". */
static enum pg_status
dial_classify(const PGconn *conn, struct pg_fault *f)
{
	const char *message = PQerrorMessage(conn), *p = message;
	while ((p = strstr(p, ":  ")) != NULL) {
		p += 3;
		if (strspn(p, "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ") == 5 && p[5] == ':') {
			pg_fault_add(f, message, p);
			return pg_classify(f->sqlstate) == PG_RETRY ? PG_RETRY : PG_FATAL;
		}
	}
	pg_fault_add(f, message, NULL);
	/* No answer from a server: not there (yet), or a wrong name or file, between which only a person can decide.
	 * But no password, or one side's TLS settings or certificate not to the other's liking: that stays so. */
	static const char *const lasting[] = {"fe_sendauth", "certificate verify failed", "certificate file",
	    "server certificate for", "private key file", "SSL was required", "alert unknown ca", "alert certificate"};
	bool lasts = PQconnectionNeedsPassword(conn) || strncmp(message, "invalid ", 8) == 0;
	for (size_t i = 0; i < sizeof lasting / sizeof *lasting; i++)
		lasts |= strstr(message, lasting[i]) != NULL;
	return lasts ? PG_FATAL : PG_RETRY;
}

/* Whether this was an attempt at a Unix socket that is not there. */
static bool
dial_absent(const PGconn *conn)
{
	const char *host = PQhost(conn);
	struct buf path = {0};
	if (!host || *host != '/')
		return false;
	buf_printf(&path, "%s/.s.PGSQL.%s", host, PQport(conn));
	bool absent = access(buf_cstr(&path), F_OK) != 0;
	buf_free(&path);
	return absent;
}

/* Notes why a host is not it. The words of all hosts of a round stand in one line. */
static void
dial_failed(struct pg_dial *d)
{
	if (PQstatus(d->conn) != CONNECTION_BAD) {
		d->worst = PG_RETRY;
		pg_fault_add(&d->fault, "no answer in time", NULL);
		if (d->hosts > 1 && PQhost(d->conn))
			buf_printf(&d->fault.text, " from \"%s\"", PQhost(d->conn));
	} else if (dial_classify(d->conn, &d->fault) == PG_RETRY) {
		d->worst = PG_RETRY;
	}
	d->absent &= dial_absent(d->conn);
	PQfinish(d->conn);
	d->conn = NULL;
}

static int64_t
dial_jitter(int64_t pause)
{
	unsigned v = 0;
	if (getrandom(&v, sizeof v, GRND_NONBLOCK) < 0)
		v = (unsigned)clock_now();
	return pause / 2 + (int64_t)v % pause;
}

/* All hosts were tried: whether there is another round, and when. */
static enum pg_status
dial_round_end(struct pg_dial *d)
{
	int64_t now = clock_now();
	d->host = 0;
	if (d->worst == PG_FATAL)
		return PG_FATAL;
	if (now + d->pause >= d->limit || loop_stopping() || (d->absent && !shared.patient && !d->before))
		return PG_RETRY;
	if (!d->told)
		log_warn("could not connect to the database, trying again for up to %llu s: %s",
		    (unsigned long long)shared.deadline_s, buf_cstr(&d->fault.text));
	d->told = true;
	metrics_add(METRIC_RETRIES, 1);
	d->until = now + dial_jitter(d->pause);
	d->pause = 2 * d->pause < PAUSE_LAST ? 2 * d->pause : PAUSE_LAST;
	return PG_WAIT;
}

static enum pg_status
dial_made(struct pg_dial *d)
{
	if (PQsetnonblocking(d->conn, 1) != 0 || PQenterPipelineMode(d->conn) != 1)
		die(EXIT_TEMPORARY, "out of memory");
	PQsetErrorVerbosity(d->conn, PQERRORS_DEFAULT);
	if (d->told)
		log_info("connected to the database again after %.1f s", (double)(clock_now() - d->start) / SECOND);
	d->before = true;
	return PG_OK;
}

bool
pg_fd_ready(int fd, short events)
{
	struct pollfd p = {.fd = fd, .events = events};
	return poll(&p, 1, 0) > 0;
}

/* Goes on with the host whose turn it is: PG_OK; PG_WAIT; PG_RETRY: it is not this one. */
static enum pg_status
dial_host_step(struct pg_dial *d)
{
	while (PQstatus(d->conn) != CONNECTION_BAD) {
		if (loop_stopping() && d->until > clock_now() + STOPPED_US)
			d->until = clock_now() + STOPPED_US;
		if (clock_now() >= d->until)
			return PG_RETRY;
		if (!pg_fd_ready(PQsocket(d->conn), d->events))
			return PG_WAIT;
		PostgresPollingStatusType state = PQconnectPoll(d->conn);
		d->events = state == PGRES_POLLING_READING ? POLLIN : POLLOUT;
		if (state == PGRES_POLLING_OK && PQstatus(d->conn) == CONNECTION_OK)
			return PG_OK;
	}
	return PG_RETRY;
}

void
pg_dial_start(struct pg_dial *d)
{
	pg_dial_end(d);
	d->start = clock_now();
	d->limit = d->start + pg_deadline();
	d->pause = PAUSE_FIRST;
	d->told = false;
	d->host = 0;
	d->until = 0;
}

enum pg_status
pg_dial_step(struct pg_dial *d, struct pg_wait *wait)
{
	for (;;) {
		if (d->conn) {
			enum pg_status status = dial_host_step(d);
			if (status == PG_WAIT)
				*wait = (struct pg_wait){PQsocket(d->conn), d->events, d->until};
			if (status != PG_RETRY)
				return status == PG_OK ? dial_made(d) : status;
			dial_failed(d);
			if (++d->host == d->hosts && (status = dial_round_end(d)) != PG_WAIT)
				return status;
		}
		if (d->host == 0) {
			/* Before a round. */
			if (d->until && loop_stopping())
				return PG_RETRY;
			if (clock_now() < d->until) {
				*wait = (struct pg_wait){-1, 0, d->until};
				return PG_WAIT;
			}
			d->worst = PG_FATAL;
			d->absent = true;
			d->fault.text.len = 0;
		}
		dial_host(d);
	}
}

void
pg_dial_end(struct pg_dial *d)
{
	PQfinish(d->conn);
	d->conn = NULL;
}
