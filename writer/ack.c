/* The verb ack: events in, events out; and behind what was written, recorded in one transaction, the callbacks that
 * reached their outcome and the offset up to which all was acknowledged. What was recorded was emitted; what was
 * emitted may not be recorded yet. An `indexed` counts as acknowledged once the next line is not the `cancelled`
 * that belongs to it, or a crash between the two would lose the second one. */
#include "ack.h"

#include "lease_end.h"
#include "lines.h"
#include "log.h"
#include "metrics.h"
#include "pg_connect.h"
#include "source.h"
#include "sql.h"
#include "time.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
	MOST_HELD = 100000, /* events in a load: so many pass while the database is away */
	ENOUGH = 2000,	    /* events from which on a load is recorded at once */
	BUSY = 1000,	    /* events in a load that show a busy stream */
	PAUSE_US = 2000,    /* between loads, so that a small one waits for company */
	BUSY_PAUSE_US = 50000,
	PIPE_BYTES = 1 << 20,
	AT_ONCE =
	    4096, /* bytes of lines with a callback that are written at once, so that a pipe with room takes them all */
	HOLD_US = 50000,
	UNRECORDED_US = 1000000, /* a record under way for so long shows that we may be cut off */
};

/* What is recorded together. */
struct load {
	size_t events;
	int64_t acknowledged;	     /* -1: nothing new */
	struct pg_array outcomes[4]; /* the first ones of sql/outcomes_insert.sql */
};

struct ack {
	const struct writer_options *o;
	struct lines in;
	struct output out;
	struct display_style style;
	struct pg *pg;
	struct source source;
	struct record record;
	struct buf scratch;
	struct load loads[2], *next, *recording;
	int64_t open;	      /* an `indexed` at that offset was passed on and is not acknowledged yet; -1: none */
	int64_t acknowledged; /* up to there it is recorded; -1: nothing of this source yet */
	int64_t recorded;     /* when it was last recorded, by the database's clock; -1: not yet */
	int64_t begun;	      /* when recording began */
	int64_t until;	      /* a pause; a load that is not due by itself waits for it */
	unsigned tries, last_reads;
	bool claimed, waiting;	/* waiting: for a pause between two tries */
	bool blocked;		/* a line waits until all before it is recorded */
	_Atomic int64_t *lease; /* when our leases end; NULL: never */
	bool leased, held;	/* it was looked at since the last flush; a callback waits, as they have ended */
	bool ended, stopped, real_clock;
};

static void
load_clear(struct load *l)
{
	l->events = 0;
	l->acknowledged = -1;
	pg_array(&l->outcomes[0], PG_TEXTS);
	pg_array(&l->outcomes[1], PG_BIGINTS);
	pg_array(&l->outcomes[2], PG_TIMES);
	pg_array(&l->outcomes[3], PG_BOOLS);
}

static bool
load_empty(const struct load *l)
{
	return l->acknowledged < 0 && l->outcomes[0].count == 0;
}

/* Notes how long the update took from its ingestion. */
static void
latency_observe(const struct ack *a)
{
	int64_t t;
	if (!a->real_clock || record_has(&a->record, M_REPLAYED) || record_time(&a->record, M_INGESTED_AT, &t) != 0)
		return;
	int64_t now = clock_now();
	uint64_t us = now > t ? (uint64_t)(now - t) : 0;
	metrics_observe(HISTOGRAM_EMITTED, us, 1);
	if (record_has(&a->record, M_TRACE))
		metrics_exemplify(HISTOGRAM_EMITTED, us, a->record.m[M_TRACE]);
}

/* The `indexed` that was passed on last has nothing more to come. */
static void
open_close(struct ack *a)
{
	if (a->open >= 0)
		a->next->acknowledged = a->open;
	a->open = -1;
}

/* A callback's outcome, if the record says which and when. */
static void
outcome_note(struct ack *a, bool failed)
{
	const struct record *r = &a->record;
	struct pg_array *p = a->next->outcomes;
	uint64_t version;
	int64_t t;
	struct slice id = record_text(r, M_ID, &a->scratch);
	if (id.n == 0 || record_integer(r, M_VERSION, VERSION_MAX, &version) != 0 ||
	    record_time(r, M_FIRED_AT, &t) != 0) {
		log_warn("line %llu: an outcome without id, version or firedAt is not recorded",
		    (unsigned long long)a->in.number);
		return;
	}
	pg_push_text(&p[0], id);
	pg_push_i64(&p[1], (int64_t)version);
	pg_push_time(&p[2], t);
	pg_push_bool(&p[3], failed);
}

/* What follows is of the source that the record names: by hand it is claimed when there is something to record. */
static void
source_set(struct ack *a)
{
	struct source *s = &a->source;
	if (shard_read(record_text(&a->record, M_SHARD, &a->scratch), &s->shard) != 0)
		s->shard = SHARD_WHOLE;
	s->name.len = 0;
	buf_slice(&s->name, record_text(&a->record, M_SOURCE, &a->scratch));
	s->token = a->acknowledged = a->recorded = -1;
	log_source(buf_cstr(&s->name));
}

/* By hand: takes the source from the record. Returns false where the record must wait, since what is to be recorded is
 * of another one. */
static bool
source_follow(struct ack *a)
{
	struct slice name = record_text(&a->record, M_SOURCE, &a->scratch);
	bool begins = record_is(&a->record, M_EVENT, "begin"); /* perhaps another shard */
	if (a->o->token_given || (!begins && (name.n == 0 || slice_same(name, slice_buf(&a->source.name)))))
		return true;
	if (name.n && (a->recording || !load_empty(a->next)))
		return false;
	source_set(a);
	return true;
}

static int64_t
offset_of(const struct record *r, enum member m)
{
	uint64_t v;
	return record_has(r, M_SOURCE) && record_integer(r, m, VERSION_MAX, &v) == 0 ? (int64_t)v : -1;
}

static void
ack_flush(struct ack *a)
{
	a->leased = false;
	if (a->out.buf.len && output_flush(&a->out) != 0)
		output_failed();
}

/* Another machine may emit this callback, once our leases have ended: whether we still may, also after all waiting for
 * room. What is appended until the next flush is written at once. Once we may be cut off, whatever we emit is emitted
 * again by whoever takes over: then it waits too. */
static bool
lease_allows(struct ack *a)
{
	if (a->leased)
		return true;
	ack_flush(a);
	if (output_ready(&a->out) != 0)
		output_failed();
	a->leased = clock_boot() < *a->lease && (!a->recording || clock_now() - a->begun < UNRECORDED_US);
	if (!a->leased && !a->held)
		metrics_add(METRIC_HELD, 1);
	if (!a->leased && output_release(&a->out) != 0)
		output_failed();
	a->held = !a->leased;
	return a->leased;
}

/* Notes what an event means that is passed on. Returns false where it has to wait: until all before it is recorded, or
 * until our leases are renewed. */
static bool
event_note(struct ack *a, struct slice line)
{
	struct record *r = &a->record;
	if (record_parse_line(line, r) != 0)
		return true;
	bool failed = record_is(r, M_EVENT, "failed"), outcome = failed || record_is(r, M_EVENT, "fired");
	if (outcome && a->lease && !lease_allows(a))
		return false;
	if (!record_is(r, M_EVENT, "cancelled"))
		open_close(a);
	if (!source_follow(a))
		return false;
	if (record_is(r, M_EVENT, "indexed")) {
		latency_observe(a);
		a->open = offset_of(r, M_OFFSET);
	} else if (record_is(r, M_EVENT, "ignored") || record_is(r, M_EVENT, "rejected")) {
		a->open = offset_of(r, M_OFFSET);
		open_close(a);
	} else if (outcome) {
		outcome_note(a, failed);
	} else if (record_is(r, M_EVENT, "begin")) {
		a->ended = false;
		a->real_clock = !record_is(r, M_CLOCK, "virtual");
	} else if (record_is(r, M_EVENT, "end")) {
		a->ended = true;
		a->open = offset_of(r, M_LAST_OFFSET);
		open_close(a);
	} else if (record_is(r, M_EVENT, "summary")) {
		/* Timerd's last word says that it saw the end of its input, also where that was no reader's. */
		a->ended = true;
	}
	return true;
}

/* Passes on the lines that were read, as many as a load may hold. */
static void
lines_pass(struct ack *a)
{
	a->blocked = false;
	while (a->next->events < MOST_HELD) {
		struct lines before = a->in;
		struct slice line;
		enum line_status status = lines_next(&a->in, &line);
		if (status == LINE_NONE)
			break;
		if (status == LINE_LONG) {
			log_warn(
			    "dropped a line of %llu bytes: longer than any event", (unsigned long long)a->in.total);
			continue;
		}
		if (a->leased && a->out.buf.len + line.n > AT_ONCE)
			ack_flush(a);
		if (!event_note(a, line)) {
			a->in = before;
			a->blocked = !a->held;
			break;
		}
		display_record(&a->out.buf, a->style, line);
		a->next->events++;
	}
	ack_flush(a);
}

/* Queues and starts the one transaction of the load. */
static void
record_start(struct ack *a)
{
	const struct load *l = a->recording;
	const struct pg_array *o = l->outcomes;
	struct pg_param pipeline = pg_null_param(), token = pipeline;
	pg_queue(a->pg, PG_BEGIN, NULL, 0);
	if (a->source.token >= 0) {
		pipeline = pg_i64_param(a->source.pipeline);
		token = pg_i64_param(a->source.token);
		/* Outcomes alone are no more to be recorded than offsets, once the database has gone back. */
		struct pg_param known = pg_offset_param(l->acknowledged < 0 ? a->acknowledged : l->acknowledged);
		pg_queue(
		    a->pg, sql_deliveries_advance, PG_PARAMS(pipeline, token, known, pg_offset_param(a->recorded)));
	}
	if (o[0].count)
		pg_queue(a->pg, sql_outcomes_insert,
		    PG_PARAMS(pg_array_param(&o[0]), pg_array_param(&o[1]), pg_array_param(&o[2]),
			pg_array_param(&o[3]), pipeline, token));
	pg_queue(a->pg, "COMMIT", NULL, 0);
	pg_start(a->pg);
}

/* A try failed. */
static void
record_failed(struct ack *a, enum pg_status status)
{
	if (status != PG_RETRY)
		die(EXIT_PERMANENT, "the database refused: %s", pg_error(a->pg));
	if (clock_now() - a->begun > pg_deadline() || (loop_stopping() && a->tries > 3))
		die(EXIT_TEMPORARY, "could not record what was passed on: %s", pg_error(a->pg));
	log_warn("trying to record again: %s", pg_error(a->pg));
	metrics_add(METRIC_RETRIES, 1);
	a->tries++;
	a->waiting = true;
	a->until = clock_now() + (a->tries < 8 ? 10000 << a->tries : 2000000);
}

static void
record_done(struct ack *a)
{
	int64_t known = a->recording->acknowledged < 0 ? a->acknowledged : a->recording->acknowledged;
	int code;
	if (a->source.token >= 0 && pg_rows(a->pg, 1) == 0) {
		/* Nothing was recorded: another pipeline has taken over, or the database lost what was committed. */
		enum pg_status status = source_lost(a->pg, &a->source, true, known, &code);
		if (status == PG_OK)
			exit(code);
		record_failed(a, status);
		return;
	}
	a->acknowledged = known;
	if (a->source.token >= 0)
		a->recorded = pg_i64(a->pg, 1, 0, 0);
	metrics_add(METRIC_BATCHES, 1);
	a->until = clock_now() + (a->recording->events < BUSY ? PAUSE_US : BUSY_PAUSE_US);
	load_clear(a->recording);
	a->recording = NULL;
}

/* Starts to record what was passed on, unless company may come. Claiming, by hand and once a source, blocks. */
static void
load_start(struct ack *a)
{
	bool due = a->next->events >= ENOUGH || a->blocked || a->in.eof || a->stopped || clock_now() >= a->until;
	if (load_empty(a->next) || !due)
		return;
	a->recording = a->next;
	a->next = a->next == &a->loads[0] ? &a->loads[1] : &a->loads[0];
	a->begun = clock_now();
	a->tries = 0;
	a->claimed = a->waiting = false;
	pg_ready(a->pg);
}

/* Goes on with recording. */
static void
load_turn(struct ack *a, struct pg_wait *wait)
{
	while (a->recording) {
		if (a->waiting && clock_now() < a->until && !loop_stopping()) {
			*wait = (struct pg_wait){.fd = -1, .until = a->until};
			return;
		}
		if (a->waiting) {
			a->waiting = a->claimed = false;
			pg_ready(a->pg);
		}
		enum pg_status status = pg_step(a->pg, wait);
		if (status == PG_WAIT)
			return;
		bool ready = status == PG_OK && !a->claimed;
		if (ready && a->source.name.len && a->source.token < 0)
			status = source_claim_delivery(a->pg, &a->source);
		if (status != PG_OK) {
			record_failed(a, status);
		} else if (ready) {
			a->claimed = true;
			record_start(a);
		} else {
			record_done(a);
		}
	}
}

static void
wait_turn(struct ack *a, const struct pg_wait *wait)
{
	bool full = a->next->events >= MOST_HELD || a->blocked || a->held;
	bool reads = !a->in.eof && !a->stopped && !full;
	struct pollfd fds[] = {
	    {.fd = reads ? STDIN_FILENO : -1, .events = POLLIN},
	    {.fd = a->recording ? wait->fd : -1, .events = wait->events},
	};
	int64_t until = a->recording ? wait->until : load_empty(a->next) ? -1 : a->until, soon = clock_now() + HOLD_US;
	if (a->held && (until < 0 || until > soon))
		until = soon;
	loop_wait(fds, 2, reads && loop_stopping() ? 0 : until);
	a->stopped |= a->held && loop_stopping();
	if (reads && loop_stopping() && (!fds[0].revents || a->last_reads++ >= STOP_READS))
		a->stopped = true;
	else if (fds[0].revents && lines_read(&a->in) < 0 && errno != EAGAIN)
		die(EXIT_TEMPORARY, "could not read standard input: %m");
}

static void
ack_loop(struct ack *a)
{
	struct pg_wait wait = {.fd = -1, .until = -1};
	for (;;) {
		lines_pass(a);
		/* A crash upstream may have swallowed its `cancelled`: then it comes again. */
		if (a->in.eof && !a->o->resume)
			open_close(a);
		if (!a->recording)
			load_start(a);
		load_turn(a, &wait);
		if (a->recording) {
			wait_turn(a, &wait);
			continue;
		}
		if (load_empty(a->next)) {
			bool more = a->blocked || a->next->events >= MOST_HELD;
			a->next->events = 0;
			if (more)
				continue;
			if (a->stopped || (a->in.eof && a->in.at >= a->in.buf.len))
				return;
		}
		wait_turn(a, &wait);
	}
}

int
ack_main(const struct writer_options *o)
{
	static struct ack a;
	a = (struct ack){.o = o,
	    .in = {.fd = STDIN_FILENO, .max = 4 * RECORD_BYTES},
	    .style = display_style((enum format)o->format, STDOUT_FILENO),
	    .source = {.token = -1, .shard = o->shard},
	    .open = -1,
	    .acknowledged = -1,
	    .recorded = -1,
	    .real_clock = true,
	    .next = &a.loads[0]};
	/* Fewer and larger reads under load; refused it stays as it is. */
	fcntl(STDIN_FILENO, F_SETPIPE_SZ, PIPE_BYTES);
	load_clear(&a.loads[0]);
	load_clear(&a.loads[1]);
	metrics_open("ack");
	a.pg = writer_open(o, "acctflow ack", true);
	if (o->source && o->token_given) {
		buf_text(&a.source.name, o->source);
		if (source_find(a.pg, &a.source) != PG_OK)
			die(EXIT_TEMPORARY, "could not find the source: %s", pg_error(a.pg));
		a.source.token = (int64_t)o->token;
		log_source(o->source);
	}
	if (o->lease && (a.lease = lease_end_map(o->lease, false)) == NULL)
		die(EXIT_PERMANENT, "could not map \"%s\": %m", o->lease);
	output_open(&a.out, STDOUT_FILENO);
	if (o->output_lock && output_share(&a.out, o->output_lock) != 0)
		die(EXIT_PERMANENT, "could not open \"%s\": %m", o->output_lock);
	ack_loop(&a);
	bool cut_off = o->resume && !a.ended && !loop_stopping();
	if (cut_off)
		log_error("the program feeding this one died (its input stopped without an `end` event)");
	source_release(a.pg, &a.source, sql_deliveries_release);
	pg_free(a.pg);
	log_source(NULL);
	return cut_off ? EXIT_TEMPORARY : EXIT_OK;
}
