/* timerd: events in, events out in one total order, and between them what happens to
 * the callbacks: `cancelled` where a newer version comes, `fired` when one is due.
 * A turn of the loop is: wait for input or the next due time, read what is waiting at
 * that moment and no more, fire what was due before, write. So nothing fires that
 * waiting input would have cancelled, and endless input starves nobody.
 *
 * Only pending callbacks are remembered, no versions. That suffices: within a pipeline an `indexed` is always newer
 * than all of its account before it, since writer emits what is not as `ignored`; and each `pending` comes before any
 * `indexed`. */
#include "callback.h"
#include "display.h"
#include "lines.h"
#include "log.h"
#include "loop.h"
#include "metrics.h"
#include "output.h"
#include "sandbox.h"
#include "time.h"
#include "timers.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

enum {
	LINE_BYTES = 32 << 20,
	STOP_BYTES = 1 << 20,  /* after a stop signal: the most that is still read; no pipe holds more */
	EMPTY_COST = 16 << 10, /* a timers_pop that only moved callbacks takes as long as emitting so many bytes */
};

struct timerd {
	bool virtual_clock, resume, no_wait;
	struct display_style style;
	struct lines in;
	struct output out;
	struct timers *timers;
	struct event_summary n;
	struct buf source;		   /* of the last `begin`, as JSON */
	bool caught_up, ended, incomplete; /* the events of these names were read; reader was asked to stop */
	int64_t now;			   /* the virtual clock */
	struct record record;
	struct schedule schedule;
	struct buf line; /* the event that is being written */
};

static void
flush(struct timerd *t)
{
	if (output_flush(&t->out) != 0)
		output_failed();
}

static void
emit(struct timerd *t, struct slice line)
{
	display_record(&t->out.buf, t->style, line);
	if (output_full(&t->out))
		flush(t);
}

static void
emit_fired(struct timerd *t, struct timer *r)
{
	int64_t now = t->virtual_clock ? r->item.due : clock_now();
	struct event_callback c = callback_unpack(r);
	t->line.len = 0;
	event_fired(&t->line, &c, now, r->recovered);
	emit(t, slice_buf(&t->line));
	t->n.fired++;
	metrics_add(METRIC_FIRED, 1);
	if (!t->virtual_clock) {
		uint64_t late = now > c.due_at ? (uint64_t)(now - c.due_at) : 0;
		metrics_observe(HISTOGRAM_LATENESS, late, 1);
		metrics_exemplify(HISTOGRAM_LATENESS, late, c.trace);
	}
	free(r);
}

static void
emit_cancelled(struct timerd *t, struct timer *r, int64_t superseded_by, bool replayed)
{
	struct event_callback c = callback_unpack(r);
	t->line.len = 0;
	event_cancelled(&t->line, &c, superseded_by, t->virtual_clock ? t->now : clock_now(), replayed);
	emit(t, slice_buf(&t->line));
	t->n.cancelled++;
	free(r);
}

/* Fires what is due at `now` until about `most` bytes were emitted. Returns false when there is more. */
static bool
fire(struct timerd *t, int64_t now, size_t most)
{
	size_t done = 0;
	while (timers_count(t->timers) > 0 && timers_next(t->timers) <= now) {
		if (done >= most)
			return false;
		struct timer *r = timers_pop(t->timers, now);
		if (r)
			emit_fired(t, r);
		done += r ? t->line.len : EMPTY_COST;
	}
	return true;
}

/* Sets the record's callback and cancels the older version's. A version without one only cancels. Returns false where
 * the record does not have what that needs. */
static bool
schedule(struct timerd *t, bool recovered, bool replayed)
{
	struct schedule *s = &t->schedule;
	struct timer *old = NULL;
	const char *wrong = schedule_read(&t->record, s);
	if (wrong) {
		log_warn("line %llu: \"%s\" is missing or wrong, so no callback is set",
		    (unsigned long long)t->in.number, wrong);
		return false;
	}
	if (s->due != NO_TIME)
		timers_set(t->timers, s->id, s->version, s->due, recovered, s->content, &old);
	else
		old = timers_take(t->timers, s->id, s->version - 1);
	if (old)
		emit_cancelled(t, old, s->version, replayed);
	return true;
}

static void
on_indexed(struct timerd *t)
{
	bool replayed = slice_is(t->record.m[M_REPLAYED], "true");
	t->n.indexed++;
	bool set = schedule(t, replayed, replayed);
	/* Recorded as fired before it was replayed: by a run that took up what was pending, without the input. */
	if (set && record_has(&t->record, M_FIRED_AT))
		free(timers_take(t->timers, t->schedule.id, t->schedule.version));
}

static void
on_ignored(struct timerd *t)
{
	t->n.stale += record_is(&t->record, M_REASON, "stale");
	t->n.duplicate += record_is(&t->record, M_REASON, "duplicate");
	t->n.conflict += record_is(&t->record, M_REASON, "conflict");
	t->n.skipped += record_is(&t->record, M_REASON, "skipped");
}

/* Another source follows: how the last one ended no longer matters. */
static void
on_begin(struct timerd *t)
{
	t->ended = t->incomplete = false;
	struct slice name = record_text(&t->record, M_SOURCE, &t->line);
	t->source.len = 0;
	if (name.n) {
		buf_json(&t->source, name);
		char *source = mem_string(name);
		log_source(source);
		free(source);
	}
	if (shard_read(record_text(&t->record, M_SHARD, &t->line), &t->n.shard) != 0)
		t->n.shard = SHARD_WHOLE;
}

enum kind { INDEXED, IGNORED, REJECTED, PENDING, CAUGHTUP, BEGIN, END, OTHER };

/* The events that are looked at, and which member of each moves the virtual clock. */
/* clang-format off */
static const struct {
	const char *name;
	enum member time;
} kinds[OTHER] = {
	[INDEXED] = {"indexed", M_INGESTED_AT}, [IGNORED] = {"ignored", M_INGESTED_AT},
	[REJECTED] = {"rejected", M_INGESTED_AT}, [PENDING] = {"pending", M_COUNT}, [CAUGHTUP] = {"caughtup", M_COUNT},
	[BEGIN] = {"begin", M_STARTED_AT}, [END] = {"end", M_COUNT},
};
/* clang-format on */

static enum kind
kind_read(struct timerd *t, struct slice line)
{
	enum kind k = OTHER;
	if (record_parse_line(line, &t->record) == 0)
		for (k = 0; k < OTHER && !record_is(&t->record, M_EVENT, kinds[k].name);)
			k++;
	return k;
}

/* Under the virtual clock: what is due at the event's time fires before it. */
static void
clock_move(struct timerd *t, enum kind k)
{
	int64_t at;
	if (t->virtual_clock && k != OTHER && kinds[k].time != M_COUNT &&
	    record_time(&t->record, kinds[k].time, &at) == 0 && at >= t->now) {
		fire(t, at, SIZE_MAX);
		t->now = at;
	}
}

static void
handle(struct timerd *t, struct slice line)
{
	enum kind k = kind_read(t, line);
	clock_move(t, k);
	if (k != PENDING && k != CAUGHTUP)
		emit(t, line);
	switch (k) {
	case INDEXED:
		on_indexed(t);
		break;
	case IGNORED:
		on_ignored(t);
		break;
	case REJECTED:
		t->n.rejected++;
		break;
	case PENDING:
		t->n.restored++;
		schedule(t, true, true);
		break;
	case CAUGHTUP:
		t->caught_up = true;
		break;
	case BEGIN:
		on_begin(t);
		break;
	case END:
		t->ended = true;
		/* Nothing follows where an array broke off: what is pending comes to its end, as behind a complete one.
		 */
		t->incomplete = slice_is(t->record.m[M_COMPLETE], "false") && !slice_is(t->record.m[M_BROKEN], "true");
		break;
	case OTHER:
		break;
	}
}

static void
handle_lines(struct timerd *t)
{
	struct slice line;
	enum line_status status;
	while ((status = lines_next(&t->in, &line)) != LINE_NONE)
		if (status == LINE_OK)
			handle(t, line);
		else
			log_warn("line %llu: left out, its %llu bytes are more than %d",
			    (unsigned long long)t->in.number, (unsigned long long)t->in.total, LINE_BYTES);
}

/* Reads what is waiting at this moment. `ready`: something is, if only the end. Returns how much it was. */
static size_t
read_waiting(struct timerd *t, bool ready)
{
	int waiting = 0;
	size_t got = 0;
	if (ioctl(t->in.fd, FIONREAD, &waiting) != 0 || waiting < 0)
		waiting = 0;
	while ((ready || waiting > 0) && !t->in.eof) {
		ssize_t n = lines_read(&t->in);
		if (n < 0 && errno != EAGAIN)
			die(EXIT_TEMPORARY, "could not read standard input: %m");
		handle_lines(t);
		got += n > 0 ? (size_t)n : 0;
		if (n <= 0 || got >= (size_t)waiting)
			break;
		struct pollfd more = {.fd = t->in.fd, .events = POLLIN};
		if (loop_wait(&more, 1, 0) == 0 || (loop_stopping() && got >= STOP_BYTES))
			break;
	}
	return got;
}

/* Whether nothing more is to be waited for, the end of input having been seen. */
static bool
finished(const struct timerd *t)
{
	return loop_stopping() || (t->in.eof && (t->no_wait || t->incomplete || timers_count(t->timers) == 0));
}

/* Whether input broke off: then what was still to come is not known, and nothing may fire. */
static bool
broken_off(const struct timerd *t)
{
	return t->resume && t->in.eof && !t->ended;
}

/* Waits for input, a signal, or the next callback. Returns whether there is input. */
static bool
wait_turn(struct timerd *t, bool held, bool more)
{
	int64_t next = timers_next(t->timers), deadline = -1;
	if (more || (t->virtual_clock && t->in.eof))
		deadline = 0;
	else if (!held && !t->virtual_clock && next != WHEEL_NEVER)
		deadline = next > 1 ? next : 1;
	struct pollfd fds[] = {
	    {.fd = t->in.eof ? -1 : t->in.fd, .events = POLLIN},
	    {.fd = t->out.fd},
	};
	loop_wait(fds, 2, deadline);
	if (fds[1].revents & (POLLERR | POLLHUP)) {
		/* Nobody reads any more: not to be found out only when the next callback is due. A socket hangs up. */
		errno = EPIPE;
		output_failed();
	}
	return fds[0].revents != 0;
}

static void
run(struct timerd *t)
{
	bool more = false;
	do {
		/* On the real clock a resumed run fires nothing before it has read again what was emitted before. */
		bool held = t->resume && !t->virtual_clock && !t->caught_up && !t->in.eof;
		bool ready = wait_turn(t, held, more);
		int64_t now = clock_now();
		size_t got = read_waiting(t, ready);
		held = held && !t->caught_up && !t->in.eof;
		if (broken_off(t))
			break;
		if (t->virtual_clock)
			now = !t->in.eof ? INT64_MIN : finished(t) ? t->now : INT64_MAX;
		/* In pieces, to look for input in between; larger ones than those that are read, or a backlog could
		 * grow. */
		more = !held && !fire(t, now, OUTPUT_FULL + 4 * got);
		flush(t);
		int64_t next = timers_next(t->timers);
		metrics_set(METRIC_NEXT_DUE, t->virtual_clock || next == WHEEL_NEVER ? 0 : (uint64_t)next);
	} while (!finished(t));
}

static void
emit_summary(struct timerd *t)
{
	t->n.source = slice_buf(&t->source);
	t->n.pending = timers_count(t->timers);
	t->line.len = 0;
	event_summary(&t->line, &t->n);
	emit(t, slice_buf(&t->line));
	flush(t);
}

static struct timerd timerd = {.in = {.fd = STDIN_FILENO, .max = LINE_BYTES}, .now = OPTION_EPOCH_DEFAULT};
static int clock_choice = CLOCK_REAL, format = FORMAT_AUTO;

/* clang-format off */
static const struct option_spec specs[] = {
	OPTION_SPEC_CLOCK(&clock_choice, 0),
	OPTION_SPEC_EPOCH(&timerd.now, 0),
	{.name = "resume", .letter = 'r', .type = OPTION_FLAG, .value = &timerd.resume,
	 .help = "fire nothing before caughtup; input that ends without end is a crash"},
	{.name = "no-wait", .letter = 'N', .type = OPTION_FLAG, .value = &timerd.no_wait,
	 .help = "at the end of input leave what is pending"},
	OPTION_SPEC_FORMAT(&format, 0),
	{0},
};
/* clang-format on */

int
main(int argc, char **argv)
{
	static const struct program program = {
	    .name = "timerd",
	    .usage = "[options]",
	    .purpose = "Passes events on, and emits when each version's callback fires or is cancelled.",
	};
	struct timerd *t = &timerd;
	struct sandbox sandbox;
	int first = options_read(&program, specs, argc, argv);
	if (first < argc)
		die_usage("unexpected operand \"%s\": events are read from standard input", argv[first]);

	loop_init();
	metrics_open("timerd");
	t->virtual_clock = clock_choice == CLOCK_VIRTUAL;
	t->style = display_style((enum format)format, STDOUT_FILENO);
	t->timers = timers_new();
	output_open(&t->out, STDOUT_FILENO);
	sandbox_begin(&sandbox, SANDBOX_CALLS);
	sandbox_end(&sandbox);
	run(t);
	flush(t);
	if (broken_off(t) && !loop_stopping())
		die(EXIT_TEMPORARY, "input ended without \"end\": the writer before this program is gone");
	emit_summary(t);
	return EXIT_OK;
}
