/* The verb settle: the end of the pipeline. Events are written on first and recorded
 * afterwards, so that what is recorded as delivered was; while the database works, or
 * is away, events go on passing. */
#include "lines.h"
#include "loop.h"
#include "writer.h"

#include "time.h"
#include "glance.h"
#include "log.h"
#include "record.h"
#include "source.h"
#include "sql.h"
#include "metrics.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

enum {
	MOST_HELD = 100000,
	ENOUGH = 50000, /* events that are worth a transaction at once */
	PAUSE_US = 50000,
	/* else so long passes between two; the first after a rest waits for nothing */
	BUSY = 1000, /* events a pause; then it is longer: a transaction costs as much as a thousand events */
	BUSY_PAUSE_US = 200000,
	PIPE_BYTES = 256 << 10,
};

/* What is to be recorded in one transaction. */
struct load {
	struct pg_param fired[6]; /* ids, versions, times; the source and its token; what was delivered of it */
	int64_t delivered;	  /* -1: nothing new */
	struct buf source;	  /* whose offset that is; empty: none */
	size_t events;		  /* passed on but not yet recorded */
};

/* Lines of one read that were only glanced at, all of one source and with offsets that go up: the last two of these say
 * what was delivered. */
struct run {
	struct slice text;    /* from the first line to the last; empty: none */
	struct slice last[2]; /* that have an offset; the last one first */
	int64_t offset;	      /* its offset */
	bool closed;	      /* behind it came what was no `cancelled` */
};

struct ack {
	const struct writer_options *o;
	struct lines in;
	struct output out;
	struct display_style style;
	struct record record;
	struct buf room;
	struct load loads[2], *next;
	struct pg *db;
	struct source source; /* the one whose delivery we hold; token -1: none */
	struct slice held;    /* a line of another source: it waits until what is before it is recorded */
	bool holds, ended;
	bool known; /* something that fired was recorded before: from then on that is looked for */
	struct pg_idle idle;
	/* The last `indexed`: delivered once the line after it is another than the `cancelled` that belongs to it. */
	int64_t open; /* -1: none */
	struct buf open_source;
	struct buf place; /* how a line of it gives its place, for glance_at */
	struct run run;
	bool again; /* a line is gone through that was glanced at before */
	/* For statusd: of the updates that passed last, when all of them were ingested, and how many they are. */
	char ingested[TIME_TEXT];
	uint64_t same;
	bool virtual_clock;
};

static void
load_clear(struct load *l)
{
	pg_array_text(&l->fired[0]);
	pg_array_bigint(&l->fired[1]);
	pg_array_time(&l->fired[2]);
	l->delivered = -1;
	l->source.len = 0;
	l->events = 0;
}

static bool
load_empty(const struct load *l)
{
	return l->fired[0].count == 0 && l->delivered < 0;
}

/* Takes the open `indexed` as delivered. Returns false where it belongs to another source than the load has. */
static bool
open_close(struct ack *s)
{
	struct load *l = s->next;
	if (s->open < 0)
		return true;
	if (l->source.len && !slice_same(slice_buf(&s->open_source), slice_buf(&l->source)))
		return false;
	if (l->source.len == 0)
		buf_slice(&l->source, slice_buf(&s->open_source));
	if (s->open > l->delivered)
		l->delivered = s->open;
	s->open = -1;
	return true;
}

/* Notes how long those took that were ingested at the same time. */
static void
same_observe(struct ack *s)
{
	int64_t t;
	if (s->same && time_parse((struct slice){s->ingested, TIME_TEXT - 1}, &t) == 0) {
		int64_t took = clock_now() - t;
		metrics_observe(HISTOGRAM_EMITTED, took > 0 ? (uint64_t)took : 0, s->same);
	}
	s->same = 0;
}

/* Counts an `indexed`, ingested at t, with those before it; a read of writer's gives all its updates one time. */
static void
same_count(struct ack *s, struct slice t)
{
	if (s->virtual_clock || t.n != TIME_TEXT - 1)
		return;
	if (memcmp(s->ingested, t.p, TIME_TEXT - 1) != 0) {
		same_observe(s);
		memcpy(s->ingested, t.p, TIME_TEXT - 1);
	}
	s->same++;
}

/* Notes a callback that fired, if the record says which and when. */
static void
fired_note(struct ack *s)
{
	struct record *r = &s->record;
	struct load *l = s->next;
	uint64_t version;
	int64_t t;
	if (s->again || record_integer(r, M_VERSION, VERSION_MAX, &version) != 0 || record_time(r, M_FIRED_AT, &t) != 0)
		return;
	pg_push_text(&l->fired[0], record_text(r, M_ID, &s->room));
	pg_push_i64(&l->fired[1], (int64_t)version);
	pg_push_time(&l->fired[2], t);
}

/* Notes what a passed event means. Returns false where it belongs to another source than the load has. */
static bool
note(struct ack *s, struct slice line)
{
	static const char *const placed[] = {"indexed", "ignored", "rejected"};
	struct record *r = &s->record;
	uint64_t offset;
	if (record_parse_line(line, r) != 0)
		return true;
	if (!record_is(r, M_EVENT, "cancelled") && !open_close(s))
		return false;
	/* timerd's last word says that it saw the end of its input, also where that was no reader's. */
	s->ended |= record_is(r, M_EVENT, "end") || record_is(r, M_EVENT, "summary");
	if (record_is(r, M_EVENT, "begin")) {
		s->ended = false;
		s->virtual_clock = record_is(r, M_CLOCK, "virtual");
	}
	if (record_is(r, M_EVENT, "fired")) {
		fired_note(s);
		return true;
	}
	for (size_t i = 0; i < sizeof placed / sizeof *placed; i++) {
		if (!record_is(r, M_EVENT, placed[i]))
			continue;
		if (!record_has(r, M_SOURCE) || record_integer(r, M_OFFSET, VERSION_MAX, &offset) != 0)
			return true;
		if (i == 0 && !s->again && !record_has(r, M_REPLAYED) && record_has(r, M_INGESTED_AT))
			same_count(s, (struct slice){r->m[M_INGESTED_AT].p + 1, r->m[M_INGESTED_AT].n - 2});
		s->open = (int64_t)offset;
		s->open_source.len = 0;
		buf_slice(&s->open_source, record_text(r, M_SOURCE, &s->room));
		glance_place(&s->place, r->m[M_SOURCE]);
		/* Nothing belongs to the others. */
		if (i == 0 || open_close(s))
			return true;
		s->open = -1;
		return false;
	}
	return true;
}

/* Takes a line into the run. Returns false where it does not belong there. */
static bool
run_take(struct ack *s, struct slice line)
{
	struct run *r = &s->run;
	const struct buf *source = &s->next->source;
	int64_t offset;
	enum glance is = glance_at(line, slice_buf(&s->place), &offset);
	if (is == GLANCE_UNKNOWN)
		return false;
	if (r->text.n == 0) {
		if (source->len && !slice_same(slice_buf(&s->open_source), slice_buf(source)))
			return false;
		*r = (struct run){.text.p = line.p, .offset = -1};
	}
	if (is == GLANCE_FIRED) {
		if (record_parse_line(line, &s->record) == 0) {
			fired_note(s);
			r->closed = true;
		}
	} else if (is != GLANCE_CANCELLED) {
		struct slice t = {0};
		if (is == GLANCE_INDEXED && metrics_shown())
			t = glance_ingested_at(line);
		if (offset <= r->offset || (is == GLANCE_INDEXED && metrics_shown() && t.n == 0))
			return false;
		same_count(s, t);
		r->last[1] = r->last[0];
		r->last[0] = line;
		r->offset = offset;
		r->closed = false;
	}
	r->text.n = (size_t)(line.p + line.n - r->text.p);
	return true;
}

/* Notes what the run means: the same as if each line had been noted. */
static void
run_end(struct ack *s)
{
	struct run r = s->run;
	const char *p = r.text.p, *end = p + r.text.n;
	bool sound = true;
	if (r.text.n == 0)
		return;
	s->run.text.n = 0;
	s->again = true;
	for (int i = 0; i < 2; i++)
		sound = sound && (r.last[i].n == 0 || record_parse_line(r.last[i], &s->record) == 0);
	if (sound) {
		for (int i = 1; i >= 0; i--)
			if (r.last[i].n)
				note(s, r.last[i]);
		if (r.closed)
			open_close(s);
	}
	while (!sound && p < end) {
		const char *newline = memchr(p, '\n', (size_t)(end - p));
		struct slice line = {p, (size_t)((newline ? newline : end) - p)};
		note(s, line);
		p = line.p + line.n + 1;
	}
	s->again = false;
}

/* Writes on what is between two places of the input's buffer. */
static void
write_on(struct ack *s, const char *from, const char *to)
{
	const char *end = s->in.buf.p + s->in.buf.len;
	if (to > end) { /* the last line lacks its newline */
		if (output_through(&s->out, (struct slice){from, (size_t)(end - from)}) != 0)
			output_failed();
		from = to;
		buf_char(&s->out.buf, '\n');
	}
	if (output_through(&s->out, (struct slice){from, (size_t)(to - from)}) != 0)
		output_failed();
}

/* Passes on the lines that were read. Returns false where no more can be taken now. */
static bool
pass(struct ack *s)
{
	bool more = true;
	const char *from = s->in.buf.p, *to = from; /* lines behind one another that are yet to be written */
	while (more) {
		enum line_status status = s->holds ? LINE_OK : lines_next(&s->in, &s->held);
		if (status == LINE_NONE)
			break;
		struct slice line = s->held;
		s->holds = false;
		if (status == LINE_LONG || !run_take(s, line)) {
			run_end(s);
			s->holds = status != LINE_LONG && !note(s, line);
		}
		if (s->holds)
			break;
		if (status == LINE_LONG) {
			log_warn(
			    "dropped a line of %llu bytes: longer than any event", (unsigned long long)s->in.total);
			continue;
		}
		if (s->style.people) {
			display_record(&s->out.buf, s->style, line);
			if (output_full(&s->out) && output_flush(&s->out) != 0)
				output_failed();
		} else {
			if (line.p != to) {
				write_on(s, from, to);
				from = line.p;
			}
			to = line.p + line.n + 1;
		}
		more = ++s->next->events < MOST_HELD;
	}
	run_end(s);
	write_on(s, from, to);
	same_observe(s);
	return more && !s->holds;
}

static bool
read_more(struct ack *s)
{
	ssize_t n = lines_read(&s->in);
	if (n < 0 && errno != EAGAIN)
		die(EXIT_TEMPORARY, "could not read standard input: %m");
	return pass(s) && n != 0;
}

static void
meanwhile(void *context, bool readable, bool writable)
{
	struct ack *s = context;
	(void)writable;
	if (readable && !read_more(s))
		s->idle.in = -1;
}

static enum pg_status
source_take(struct ack *s, const struct load *l)
{
	if (l->source.len == 0 ||
	    (s->source.token >= 0 && slice_same(slice_buf(&l->source), slice_buf(&s->source.name))))
		return PG_OK;
	s->source.name.len = 0;
	buf_slice(&s->source.name, slice_buf(&l->source));
	log_source(buf_cstr(&s->source.name));
	if (!s->o->token_given)
		return source_claim_delivery(s->db, &s->source);
	s->source.token = (int64_t)s->o->token;
	return PG_OK;
}

/* One transaction, in one round trip. *fenced: another settle has taken the source over, and nothing was recorded. */
static enum pg_status
load_record(struct ack *s, struct load *l, bool *fenced)
{
	struct pg_param *p = l->fired;
	enum pg_status status = source_take(s, l);
	bool sourced = s->source.token >= 0;
	*fenced = false;
	if (status != PG_OK)
		return status;
	pg_set_text(&p[3], slice_buf(&s->source.name));
	pg_set_i64(&p[4], s->source.token);
	pg_set_i64(&p[5], l->delivered);
	p[3].null = !sourced;
	p[5].null = l->delivered < 0;
	pg_queue(s->db, "BEGIN", NULL, 0);
	if (sourced)
		pg_queue(s->db, sql_delivery_advance, &p[3], 3);
	if (p[0].count)
		pg_queue(s->db, s->known ? sql_fired_insert : sql_fired_insert_new, p, 5);
	pg_queue(s->db, "COMMIT", NULL, 0);
	status = pg_run(s->db);
	*fenced = status == PG_OK && sourced && pg_rows(s->db, 1) == 0;
	return status;
}

/* Records a load, however often that must be tried: doing it twice changes nothing. */
static void
load_settle(struct ack *s, struct load *l)
{
	int64_t start = clock_now();
	for (unsigned tries = 0;; tries++) {
		bool fenced = false;
		enum pg_status status = pg_connect(s->db);
		if (status == PG_OK)
			status = load_record(s, l, &fenced);
		if (fenced)
			die(EXIT_PERMANENT, "another pipeline has taken the source over; this one stops");
		if (status == PG_OK)
			return;
		if (status == PG_DATA && !s->known && strcmp(pg_sqlstate(s->db), "23505") == 0) {
			s->known = true;
			pg_reset(s->db);
			continue;
		}
		if (status != PG_RETRY)
			die(EXIT_PERMANENT, "the database refused: %s", pg_error(s->db));
		if (clock_now() - start > pg_deadline() || (loop_stopping() && tries > 3))
			die(EXIT_TEMPORARY, "the database cannot be reached: %s", pg_error(s->db));
		log_warn("trying to record again: %s", pg_error(s->db));
		metrics_add(METRIC_RETRIES, 1);
		pg_reset(s->db);
	}
}

int
ack_main(const struct writer_options *o)
{
	struct ack s = {.o = o,
	    .in = {.fd = STDIN_FILENO, .max = 4 * RECORD_BYTES},
	    .style = display_style((enum format)o->format, STDOUT_FILENO),
	    .source = {.token = -1},
	    .open = -1};
	/* Fewer and larger reads under load; refused it stays as it is. */
	fcntl(STDIN_FILENO, F_SETPIPE_SZ, PIPE_BYTES);
	load_clear(&s.loads[0]);
	load_clear(&s.loads[1]);
	s.next = &s.loads[0];
	metrics_open("ack"); /* before the rest of the files is given up */
	s.db = writer_connect(o, "acctflow ack");
	if (o->source && o->token_given) {
		buf_text(&s.source.name, o->source);
		s.source.token = (int64_t)o->token;
		log_source(o->source);
	}
	output_open(&s.out, STDOUT_FILENO);
	/* The one before may have been killed in the middle of a line. */
	if (o->resume && !s.style.people)
		buf_char(&s.out.buf, '\n');
	s.idle = (struct pg_idle){.out = -1, .fn = meanwhile, .context = &s};
	int64_t pause = 0; /* until then a small load waits for company */
	for (unsigned last_reads = 0;;) {
		bool room = pass(&s);
		bool due = !room || s.next->events >= ENOUGH || s.in.eof || loop_stopping() || clock_now() >= pause;
		if (!load_empty(s.next) && due) {
			struct load *full = s.next;
			s.next = full == &s.loads[0] ? &s.loads[1] : &s.loads[0];
			if (s.holds)
				room = pass(&s);
			s.idle.in = room && !s.in.eof ? STDIN_FILENO : -1;
			pg_idle(&s.idle);
			load_settle(&s, full);
			pg_idle(NULL);
			pause = clock_now() + (full->events < BUSY ? PAUSE_US : BUSY_PAUSE_US);
			load_clear(full);
			continue;
		}
		bool empty = load_empty(s.next);
		if (empty)
			s.next->events = 0;
		if (empty && s.in.eof && !s.holds) {
			/* A crash upstream may have swallowed its `cancelled`: then it is told again. */
			if (s.open < 0 || o->resume)
				break;
			open_close(&s);
			continue;
		}
		struct pollfd p = {.fd = STDIN_FILENO, .events = POLLIN};
		loop_wait(&p, 1, loop_stopping() ? 0 : empty ? -1 : pause);
		if (loop_stopping() && (!p.revents || last_reads++ >= STOP_READS))
			break;
		if (p.revents)
			read_more(&s);
	}
	bool cut_off = o->resume && !s.ended && !loop_stopping();
	if (cut_off)
		log_error("the input ended without `end`: whoever fed it is gone");
	for (int i = 0; i < 2; i++) {
		pg_params_free(s.loads[i].fired, 6);
		buf_free(&s.loads[i].source);
	}
	buf_free(&s.in.buf);
	buf_free(&s.out.buf);
	buf_free(&s.room);
	buf_free(&s.open_source);
	buf_free(&s.place);
	record_free(&s.record);
	source_free(&s.source);
	pg_free(s.db);
	log_source(NULL);
	return cut_off ? EXIT_TEMPORARY : EXIT_OK;
}
