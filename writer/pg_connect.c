/* See pg_connect.h. libpq's own walk over several hosts has no time of its own for each when nothing blocks, so that it
 * would stay with a first one that accepts and is silent. Each host is therefore tried by a connection object of its own.
 * The resolver is the one thing that may still block. */
#include "pg_connect.h"

#include "log.h"
#include "loop.h"
#include "metrics.h"
#include "time.h"

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
	NAMES = 64, /* libpq 17 has some 50 keywords */
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
pg_fault_keep(struct pg_fault *f, const char *message, const char *sqlstate)
{
	while (*message == '\n' || *message == ' ')
		message++;
	f->text.len = 0;
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
	static const char *const passing[] = {"08", "40", "53", "57", "58", "XX", "55P03", "55006", "25006", "25P03",
	    "25P04", "26000"};
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

/* The parameters of one attempt. Later ones override earlier ones. */
struct dial_params {
	const char *names[NAMES], *values[NAMES];
	char *own[NAMES]; /* values to be freed */
	int n, owned;
};

static void
dial_set(struct dial_params *p, const char *name, const char *value)
{
	for (int i = 0; i < p->n; i++)
		if (strcmp(p->names[i], name) == 0) {
			p->values[i] = value;
			return;
		}
	if (p->n < NAMES - 1) {
		p->names[p->n] = name;
		p->values[p->n++] = value;
	}
}

static void
dial_set_own(struct dial_params *p, const char *name, char *value)
{
	if (value && p->owned < NAMES) {
		p->own[p->owned++] = value;
		dial_set(p, name, value);
	}
}

static void
dial_set_number(struct dial_params *p, const char *name, int64_t value)
{
	char text[24];
	snprintf(text, sizeof text, "%lld", (long long)value);
	dial_set_own(p, name, mem_string(slice_of(text)));
}

/* A network that went silent is noticed within the deadline, and by the kernel before it is by us: it has the better
 * word for it. */
static void
dial_set_keepalives(struct dial_params *p)
{
	int64_t s = shared.deadline_s ? (int64_t)shared.deadline_s : 60;
	dial_set_number(p, "keepalives_idle", s / 3 > 0 ? s / 3 : 1);
	dial_set_number(p, "keepalives_interval", s / 6 > 0 ? s / 6 : 1);
	dial_set_number(p, "keepalives_count", 3);
	dial_set_number(p, "tcp_user_timeout", s < 3600 ? s * 750 : 3600 * 750);
}

/* Narrows the parameters to the host whose turn it is. Returns how long it may take. */
static int64_t
dial_set_host(struct pg_dial *d, struct dial_params *p, const PQconninfoOption *all)
{
	const char *host = dial_value(all, "host"), *address = dial_value(all, "hostaddr");
	const char *port = dial_value(all, "port"), *attributes = dial_value(all, "target_session_attrs");
	const char *timeout = dial_value(all, "connect_timeout");
	d->hosts = dial_count(address ? address : host);
	if (d->hosts > 1) {
		dial_set_own(p, "host", dial_nth(host, d->host));
		dial_set_own(p, "hostaddr", dial_nth(address, d->host));
		dial_set_own(p, "port", dial_nth(port, dial_count(port) > 1 ? d->host : 0));
	}
	bool prefer = attributes && strcmp(attributes, "prefer-standby") == 0;
	if (prefer)
		dial_set(p, "target_session_attrs", d->standby ? "standby" : "any");
	else if (d->writing && (!attributes || strcmp(attributes, "any") == 0))
		dial_set(p, "target_session_attrs", "read-write");
	d->standby &= prefer;
	int64_t own = timeout ? strtoll(timeout, NULL, 10) * SECOND : 0;
	int64_t left = d->limit - clock_now();
	int64_t most = shared.deadline_s && left < HOSTS_US ? left : HOSTS_US;
	if (own > 0)
		return shared.deadline_s && left < own ? left : own;
	return most / d->hosts;
}

/* Each option as it is in force: the connection string's, else the environment's, the service's or libpq's own. */
static PQconninfoOption *
dial_options(const PQconninfoOption *given)
{
	const char *service = dial_value(given, "service"), *before = getenv("PGSERVICE");
	char *kept = before ? mem_string(slice_of(before)) : NULL;
	if (service)
		setenv("PGSERVICE", service, 1); /* so that the defaults are read from there */
	PQconninfoOption *all = PQconndefaults();
	if (!all)
		die(EXIT_TEMPORARY, "out of memory");
	if (service && kept)
		setenv("PGSERVICE", kept, 1);
	else if (service)
		unsetenv("PGSERVICE");
	free(kept);
	for (PQconninfoOption *o = all; o->keyword; o++)
		if (dial_value(given, o->keyword)) {
			free(o->val);
			o->val = mem_string(slice_of(dial_value(given, o->keyword)));
		}
	return all;
}

/* Messages of the server's that answer nothing: a trigger's notices, a warning at connecting. What is in them is data. */
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

/* Begins with the host whose turn it is. */
static void
dial_host(struct pg_dial *d)
{
	struct dial_params p = {0};
	PQconninfoOption *given = dial_parse(shared.conninfo), *all = dial_options(given);
	static const char *const alive[] = {
	    "keepalives", "keepalives_idle", "keepalives_interval", "keepalives_count", "tcp_user_timeout"};
	bool kept = false;
	for (size_t i = 0; i < sizeof alive / sizeof *alive; i++)
		kept |= dial_value(all, alive[i]) != NULL;
	for (const PQconninfoOption *o = given; o->keyword; o++)
		if (o->val)
			dial_set(&p, o->keyword, o->val);
	if (!kept)
		dial_set_keepalives(&p);
	dial_set(&p, "fallback_application_name", d->application);
	dial_set(&p, "client_encoding", "UTF8");
	if (shared.passfile)
		dial_set(&p, "passfile", shared.passfile);
	d->until = clock_now() + dial_set_host(d, &p, all);
	d->conn = PQconnectStartParams(p.names, p.values, 0);
	if (!d->conn)
		die(EXIT_TEMPORARY, "out of memory");
	PQsetNoticeReceiver(d->conn, dial_notice, NULL);
	PQsetErrorVerbosity(d->conn, PQERRORS_VERBOSE);
	d->events = POLLOUT;
	d->state = PG_DIAL_HOST;
	for (int i = 0; i < p.owned; i++)
		free(p.own[i]);
	PQconninfoFree(all);
	PQconninfoFree(given);
}

/* A refused connection has no SQLSTATE field; at verbose verbosity its message has it: "FATAL:  28P01: …". */
static enum pg_status
dial_classify(const PGconn *conn, struct pg_fault *f)
{
	const char *message = PQerrorMessage(conn), *p = message;
	while ((p = strstr(p, ":  ")) != NULL) {
		p += 3;
		if (strspn(p, "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ") == 5 && p[5] == ':') {
			pg_fault_keep(f, message, p);
			return pg_classify(f->sqlstate) == PG_RETRY ? PG_RETRY : PG_FATAL;
		}
	}
	pg_fault_keep(f, message, NULL);
	/* No answer from a server: not there (yet), or a wrong name or file, between which only a person can decide. But no
	 * password, or one side's TLS settings or certificate not to the other's liking: that stays so. */
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
	struct pg_fault f = {0};
	enum pg_status status = PG_RETRY;
	if (PQstatus(d->conn) == CONNECTION_BAD) {
		status = dial_classify(d->conn, &f);
	} else {
		const char *host = PQhost(d->conn);
		buf_text(&f.text, "no answer in time");
		if (d->hosts > 1 && host)
			buf_printf(&f.text, " from \"%s\"", host);
	}
	d->absent &= dial_absent(d->conn);
	PQfinish(d->conn);
	d->conn = NULL;
	if (d->fault.text.len)
		buf_text(&d->fault.text, "; ");
	buf_slice(&d->fault.text, slice_buf(&f.text));
	memcpy(d->fault.sqlstate, f.sqlstate, sizeof f.sqlstate);
	d->worst = status == PG_RETRY ? status : d->worst;
	buf_free(&f.text);
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
	d->state = PG_DIAL_IDLE;
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
	d->state = PG_DIAL_PAUSE;
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
	d->state = PG_DIAL_IDLE;
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
	d->start = clock_now();
	d->limit = d->start + pg_deadline();
	d->pause = PAUSE_FIRST;
	d->told = false;
	d->state = PG_DIAL_ROUND;
}

enum pg_status
pg_dial_step(struct pg_dial *d, struct pg_wait *wait)
{
	enum pg_status status = PG_WAIT;
	while (status == PG_WAIT) {
		switch (d->state) {
		case PG_DIAL_IDLE:
			return PG_RETRY;
		case PG_DIAL_ROUND:
			d->host = 0;
			d->worst = PG_FATAL;
			d->absent = d->standby = true;
			d->fault.text.len = 0;
			dial_host(d);
			break;
		case PG_DIAL_HOST:
			status = dial_host_step(d);
			if (status == PG_WAIT) {
				*wait = (struct pg_wait){PQsocket(d->conn), d->events, d->until};
				return PG_WAIT;
			}
			if (status == PG_OK)
				return dial_made(d);
			dial_failed(d);
			status = PG_WAIT;
			d->host++;
			if (d->host == d->hosts && d->standby) {
				d->host = 0;
				d->standby = false;
			}
			if (d->host < d->hosts)
				dial_host(d);
			else
				status = dial_round_end(d);
			break;
		case PG_DIAL_PAUSE:
			if (loop_stopping())
				d->state = PG_DIAL_IDLE;
			else if (clock_now() >= d->until)
				d->state = PG_DIAL_ROUND;
			else {
				*wait = (struct pg_wait){-1, 0, d->until};
				return PG_WAIT;
			}
			break;
		}
	}
	return status;
}

void
pg_dial_end(struct pg_dial *d)
{
	PQfinish(d->conn);
	d->conn = NULL;
	buf_free(&d->fault.text);
}
