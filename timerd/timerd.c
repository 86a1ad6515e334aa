/* timerd: events in, events out in one total order, and between them what happens to
 * the callbacks: `cancelled` where a newer version comes, `fired` when one is due.
 * A turn of the loop is: wait for input or the next due time, read what is waiting at that moment and no more, fire
 * what was due before, write. So nothing fires that waiting input would have cancelled, and endless input starves
 * nobody. */
#include "callback.h"
#include "time.h"
#include "sandbox.h"
#include "lines.h"
#include "loop.h"
#include "output.h"
#include "log.h"
#include "metrics.h"
#include "display.h"
#include "timers.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

enum {
	LINE_BYTES = 32 << 20,
	STOP_BYTES =
	    1 << 20, /* when told to stop: the most that is still read of what is waiting; no pipe holds more */
};

struct counts {
	uint64_t indexed, stale, duplicate, conflict, rejected, restored, fired, cancelled;
};

struct timerd {
	bool virtual_clock, resume, no_wait;
	struct display_style style;
	struct lines in;
	struct output out;
	struct timers *timers;
	struct counts n;
	bool caught_up, ended, incomplete; /* the events of these names were read; `end` was not complete */
	int64_t now;			   /* the virtual clock */
	struct record record;
	struct schedule schedule;
	struct buf room;
};

static void
flush(struct timerd *t)
{
	if (output_flush(&t->out) != 0)
		output_failed();
}

static void
tell(struct timerd *t, struct slice line)
{
	display_record(&t->out.buf, t->style, line);
	if (output_full(&t->out))
		flush(t);
}

static void
tell_fired(struct timerd *t, struct timer *r)
{
	int64_t now = t->virtual_clock ? r->item.due : clock_now();
	t->room.len = 0;
	callback_fired(&t->room, r, now);
	tell(t, slice_buf(&t->room));
	t->n.fired++;
	metrics_add(METRIC_FIRED, 1);
	if (!t->virtual_clock)
		metrics_observe(HISTOGRAM_LATENESS, now > r->item.due ? (uint64_t)(now - r->item.due) : 0, 1);
	timer_free(r);
}

/* Fires what is due at `now` until about `most` bytes were told. Returns false when there is more. */
static bool
fire(struct timerd *t, int64_t now, size_t most)
{
	size_t told = 0;
	for (; timers_next(t->timers) <= now && timers_count(t->timers) > 0; told += t->room.len) {
		if (told >= most)
			return false;
		struct timer *r = timers_pop(t->timers, now);
		t->room.len = 0;
		if (r)
			tell_fired(t, r);
	}
	return true;
}

/* Sets the record's callback. Returns false where the record does not have what that needs. */
static bool
schedule(struct timerd *t, bool recovered)
{
	struct schedule *s = &t->schedule;
	struct timer *old;
	const char *wrong = schedule_read(&t->record, s);
	if (wrong) {
		log_warn("line %llu: \"%s\" is missing or wrong, so no callback is set",
		    (unsigned long long)t->in.number, wrong);
		return false;
	}
	if (!timers_set(t->timers, s->id, s->version, s->due, recovered, s->content, &old) || !old)
		return true;
	t->room.len = 0;
	callback_cancelled(&t->room, old, s->version, t->virtual_clock ? t->now : clock_now());
	tell(t, slice_buf(&t->room));
	t->n.cancelled++;
	metrics_add(METRIC_CANCELLED, 1);
	timer_free(old);
	return true;
}

static void
on_indexed(struct timerd *t, struct slice line)
{
	tell(t, line);
	t->n.indexed++;
	bool set = schedule(t, slice_is(t->record.m[M_REPLAYED], "true"));
	/* Recorded as fired before it was told again: by a run that took up what was pending, without the input. */
	if (set && record_has(&t->record, M_FIRED_AT))
		timers_drop(t->timers, t->schedule.id, t->schedule.version);
}

static void
on_pending(struct timerd *t, struct slice line)
{
	(void)line;
	t->n.restored++;
	schedule(t, true);
}

static void
on_ignored(struct timerd *t, struct slice line)
{
	tell(t, line);
	t->n.stale += record_is(&t->record, M_REASON, "stale");
	t->n.duplicate += record_is(&t->record, M_REASON, "duplicate");
	t->n.conflict += record_is(&t->record, M_REASON, "conflict");
}

static void
on_rejected(struct timerd *t, struct slice line)
{
	tell(t, line);
	t->n.rejected++;
}

static void
on_begin(struct timerd *t, struct slice line)
{
	tell(t, line);
	struct slice source = record_text(&t->record, M_SOURCE, &t->room);
	if (source.n) {
		char *name = mem_string(source);
		log_source(name);
		free(name);
	}
}

static void
on_end(struct timerd *t, struct slice line)
{
	tell(t, line);
	t->ended = true;
	t->incomplete = t->incomplete || slice_is(t->record.m[M_COMPLETE], "false");
}

static void
on_caughtup(struct timerd *t, struct slice line)
{
	(void)line;
	t->caught_up = true;
}

/* What is done about each event, and which member of it moves the virtual clock. */
static const struct {
	const char *event;
	void (*handle)(struct timerd *, struct slice);
	enum member time;
} events[] = {
    {"indexed", on_indexed, M_INGESTED_AT},
    {"ignored", on_ignored, M_INGESTED_AT},
    {"rejected", on_rejected, M_INGESTED_AT},
    {"pending", on_pending, M_COUNT},
    {"caughtup", on_caughtup, M_COUNT},
    {"begin", on_begin, M_STARTED_AT},
    {"end", on_end, M_COUNT},
};

static void
handle(struct timerd *t, struct slice line)
{
	size_t i = 0, n = sizeof events / sizeof *events;
	if (record_parse_line(line, &t->record) == 0)
		while (i < n && !record_is(&t->record, M_EVENT, events[i].event))
			i++;
	else
		i = n;
	if (i == n) {
		tell(t, line);
		return;
	}
	int64_t at;
	if (t->virtual_clock && events[i].time != M_COUNT && record_time(&t->record, events[i].time, &at) == 0 &&
	    at >= t->now) {
		fire(t, at, SIZE_MAX);
		t->now = at;
	}
	events[i].handle(t, line);
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

/* Whether input broke off: then what it had to say is not known, and nothing may fire. */
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
	if (fds[1].revents & POLLERR) {
		/* Nobody reads any more: not to be found out only when the next callback is due. */
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
		/* On the real clock a resumed run fires nothing before it has heard again what was told before. */
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
		metrics_set(METRIC_PENDING, timers_count(t->timers));
		metrics_set(METRIC_NEXT_DUE, t->virtual_clock || next == WHEEL_NEVER ? 0 : (uint64_t)next);
	} while (!finished(t));
}

static void
tell_summary(struct timerd *t)
{
	const struct counts *n = &t->n;
	const struct {
		const char *name;
		uint64_t value;
	} all[] = {
	    {"indexed", n->indexed},
	    {"stale", n->stale},
	    {"duplicate", n->duplicate},
	    {"conflict", n->conflict},
	    {"rejected", n->rejected},
	    {"restored", n->restored},
	    {"fired", n->fired},
	    {"cancelled", n->cancelled},
	    {"pending", timers_count(t->timers)},
	};
	t->room.len = 0;
	buf_text(&t->room, "{\"event\":\"summary\"");
	for (size_t i = 0; i < sizeof all / sizeof *all; i++)
		buf_printf(&t->room, ",\"%s\":%llu", all[i].name, (unsigned long long)all[i].value);
	buf_char(&t->room, '}');
	tell(t, slice_buf(&t->room));
	flush(t);
}

static int
epoch_set(const char *text, void *value)
{
	return time_parse(slice_of(text), value);
}

int
main(int argc, char **argv)
{
	struct timerd t = {.in = {.fd = STDIN_FILENO, .max = LINE_BYTES}, .now = INT64_C(946684800000000)};
	int clock = 0, format = FORMAT_AUTO;
	const struct option_spec specs[] = {
	    {.name = "clock",
		.type = OPTION_CHOICE,
		.value = &clock,
		.argument = "real|virtual",
		.help = "virtual: never wait, the events' own times are the time",
		.key = "clock"},
	    {.name = "epoch",
		.type = OPTION_CUSTOM,
		.value = &t.now,
		.set = epoch_set,
		.argument = "TIME",
		.help = "where the virtual clock starts (default: 2000-01-01T00:00:00Z)",
		.key = "epoch"},
	    {.name = "resume",
		.letter = 'r',
		.type = OPTION_FLAG,
		.value = &t.resume,
		.help = "fire nothing before caughtup; input that ends without end is a crash"},
	    {.name = "no-wait",
		.letter = 'n',
		.type = OPTION_FLAG,
		.value = &t.no_wait,
		.help = "at the end of input leave what is pending"},
	    {.name = "format",
		.letter = 'f',
		.type = OPTION_CHOICE,
		.value = &format,
		.argument = "auto|json|text",
		.help = "what is printed: records, or lines for people (auto: on a terminal)",
		.key = "format"},
	    {0},
	};
	const struct program program = {
	    .name = "timerd",
	    .usage = "[options]",
	    .purpose = "Reads events, passes them on, and tells when each version's callback fires or is cancelled.",
	};
	int first = options_read(&program, specs, argc, argv);
	if (first < argc)
		die(EXIT_PERMANENT, "unexpected argument \"%s\": events are read from standard input", argv[first]);

	loop_init();
	metrics_open("timerd");
	t.virtual_clock = clock == 1;
	t.style = display_style((enum format)format, STDOUT_FILENO);
	t.timers = timers_new();
	output_open(&t.out, STDOUT_FILENO);
	struct sandbox confine;
	sandbox_begin(&confine, SANDBOX_CALLS);
	sandbox_end(&confine);
	run(&t);

	int code = EXIT_OK;
	flush(&t);
	if (broken_off(&t) && !loop_stopping()) {
		log_error("input ended without \"end\": the writer before this program is gone");
		code = EXIT_TEMPORARY;
	} else {
		tell_summary(&t);
	}
	timers_free(t.timers);
	record_free(&t.record);
	schedule_free(&t.schedule);
	buf_free(&t.room);
	buf_free(&t.in.buf);
	buf_free(&t.out.buf);
	return code;
}
