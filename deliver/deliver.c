/* deliver: events in, events out. All pass in their order, but for `fired`: that is handed to a receiver first, and
 * passes when the receiver has taken it; where it never does, `failed` passes in its stead. What is held back here is
 * recorded nowhere, so that after a crash it fires again: there is no table of deliveries.
 * A newer version of the account that passes ends the attempts for the older one. Like timerd, it reads what is waiting
 * before it begins an attempt. */
#include "display.h"
#include "event.h"
#include "lease_end.h"
#include "lines.h"
#include "log.h"
#include "loop.h"
#include "metrics.h"
#include "output.h"
#include "post.h"
#include "process.h"
#include "sandbox.h"
#include "time.h"
#include "trace.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

enum {
	READS = 16,		/* at most, before attempts begin: endless input must not starve them */
	HELD_BYTES = 256 << 20, /* of events that are held: more is not read */
	LEASE_US = 50000,	/* between looks at leases that have ended */
	NOTED = 32,		/* attempts, at most, that a callback that is sampled shows: the last ones */
	ROW = 5,		/* so many failures one after another are worth a warning */
};

static struct {
	const char *exec, *worker, *post, *secret, *lease;
	uint64_t jobs, timeout_ms, attempts, give_up_s, waiting;
	uint64_t backoff_min_ms, backoff_max_ms;
	bool private, resume, no_wait;
	int format;
} options = {.jobs = 8,
    .timeout_ms = 10000,
    .attempts = 20,
    .give_up_s = 86400,
    .waiting = 100000,
    .backoff_min_ms = 1000,
    .backoff_max_ms = 3600000};

struct deliver {
	struct lines in;
	struct output out;
	struct display_style style;
	struct queue queue;
	unsigned in_flight;
	struct buf last; /* `end` and `summary`, which wait until nothing is held */
	bool blocked;	 /* so does what follows them, unread */
	bool ended, incomplete, virtual_clock;
	bool took;	   /* the receiver has answered */
	unsigned failures; /* since then */
	_Atomic int64_t *lease;
	struct record record;
	struct answer answer;
	struct buf scratch;
};

/* --- events out */

static void
emit(struct deliver *d, struct slice line)
{
	display_record(&d->out.buf, d->style, line);
}

static void
emit_failed(struct deliver *d, const struct job *job, struct slice error)
{
	struct buf safe = {0}, line = {0};
	if (record_parse_line(job->line, &d->record) == 0) {
		while (error.n && isspace((unsigned char)error.p[error.n - 1]))
			error.n--;
		buf_safe(&safe, error);
		size_t n = safe.len < ANSWER_BYTES ? safe.len : ANSWER_BYTES;
		while (n < safe.len && n > 0 && ((unsigned char)safe.p[n] & 0xc0) == 0x80)
			n--;
		event_failed(
		    &line, &d->record, job->attempts, (struct slice){safe.p, n}, job->attempted, job->attempted_n);
		emit(d, slice_buf(&line));
	}
	buf_free(&safe);
	buf_free(&line);
}

static void
emit_fired(struct deliver *d, const struct job *job)
{
	struct buf line = {0};
	if (job->noted)
		event_attempted(&line, job->line, job->attempts, job->attempted, job->attempted_n);
	emit(d, job->noted ? slice_buf(&line) : job->line);
	buf_free(&line);
}

static void
emit_cancelled(struct deliver *d, const struct job *job, int64_t superseded_by, int64_t at)
{
	struct record *r = &d->record;
	struct event_callback c = {.version = job->version};
	struct buf line = {0};
	if (record_parse_line(job->line, r) == 0 && record_time(r, M_DUE_AT, &c.due_at) == 0) {
		c.source = r->m[M_SOURCE];
		c.offset = r->m[M_OFFSET];
		c.id = r->m[M_ID];
		c.trace = r->m[M_TRACE];
		c.ingested_at = r->m[M_INGESTED_AT];
		event_cancelled(&line, &c, superseded_by, at, false);
		emit(d, slice_buf(&line));
	}
	buf_free(&line);
}

/* --- events in */

static bool
held_full(const struct deliver *d)
{
	return d->queue.count >= options.waiting || d->queue.bytes >= HELD_BYTES;
}

/* A `fired`: held, unless it names nobody. */
static void
on_fired(struct deliver *d, struct slice line)
{
	uint64_t version;
	int64_t at;
	struct slice id = record_text(&d->record, M_ID, &d->scratch);
	if (id.n == 0 || record_integer(&d->record, M_VERSION, VERSION_MAX, &version) != 0 ||
	    record_time(&d->record, M_DUE_AT, &at) != 0) {
		log_warn("line %llu: a fired without id, version or dueAt is passed on undelivered",
		    (unsigned long long)d->in.number);
		emit(d, line);
		return;
	}
	struct job *job = queue_add(&d->queue, id, (int64_t)version, line, clock_now());
	job->noted = !d->virtual_clock && trace_sampled(d->record.m[M_TRACE]) && !record_has(&d->record, M_ATTEMPTS_AT);
}

/* An `indexed`: what is held of the account and older is cancelled, unless it is in flight. d->record is another one
 * afterwards. */
static void
on_indexed(struct deliver *d)
{
	uint64_t version;
	int64_t at = clock_now();
	struct slice id = record_text(&d->record, M_ID, &d->scratch);
	if (d->queue.count == 0 || record_integer(&d->record, M_VERSION, VERSION_MAX, &version) != 0)
		return;
	if (d->virtual_clock)
		record_time(&d->record, M_INGESTED_AT, &at);
	for (struct job *job = queue_supersede(&d->queue, id, (int64_t)version), *next; job; job = next) {
		next = job->next;
		emit_cancelled(d, job, (int64_t)version, at);
		job_free(job);
	}
}

/* Takes an event. Returns false where it has to wait until nothing is held. */
static bool
handle(struct deliver *d, struct slice line)
{
	struct record *r = &d->record;
	bool parsed = record_parse_line(line, r) == 0;
	if (parsed && record_is(r, M_EVENT, "fired")) {
		on_fired(d, line);
		return true;
	}
	bool end = parsed && record_is(r, M_EVENT, "end"), summary = parsed && record_is(r, M_EVENT, "summary");
	d->ended |= end || summary;
	if (end)
		d->incomplete = slice_is(r->m[M_COMPLETE], "false") && !slice_is(r->m[M_BROKEN], "true");
	if (d->queue.count && (end || summary)) {
		buf_slice(&d->last, line);
		buf_char(&d->last, '\n');
		return true;
	}
	if (d->last.len)
		return false;
	emit(d, line);
	if (parsed && record_is(r, M_EVENT, "begin")) {
		d->ended = d->incomplete = false;
		d->virtual_clock = record_is(r, M_CLOCK, "virtual");
	} else if (parsed && record_is(r, M_EVENT, "indexed")) {
		on_indexed(d);
	}
	return true;
}

/* Nothing is held any more, or no longer waited for: `end` and `summary` pass. */
static void
last_pass(struct deliver *d)
{
	struct slice rest = slice_buf(&d->last);
	while (rest.n) {
		size_t n = (size_t)((char *)memchr(rest.p, '\n', rest.n) - rest.p);
		emit(d, (struct slice){rest.p, n});
		rest = (struct slice){rest.p + n + 1, rest.n - n - 1};
	}
	d->last.len = 0;
	d->blocked = false;
}

/* Handles the lines that were read, as many as may be held and written. */
static void
lines_handle(struct deliver *d)
{
	struct slice line;
	enum line_status status;
	while (!d->blocked && !held_full(d) && !output_full(&d->out)) {
		struct lines before = d->in;
		if ((status = lines_next(&d->in, &line)) == LINE_NONE)
			return;
		if (status == LINE_LONG)
			log_warn("line %llu: left out, its %llu bytes are more than any event has",
			    (unsigned long long)d->in.number, (unsigned long long)d->in.total);
		else if (!handle(d, line)) {
			d->in = before;
			d->blocked = true;
		}
	}
}

/* --- attempts */

/* Whether no attempt may begin any more. */
static bool
stopped(const struct deliver *d)
{
	return loop_stopping() || d->incomplete || (d->in.eof && ((options.resume && !d->ended) || options.no_wait));
}

static bool
leased(const struct deliver *d)
{
	return !d->lease || clock_boot() < *d->lease;
}

static void
attempt_log(const struct job *job)
{
	struct buf safe = {0};
	buf_safe(&safe, job->id);
	log_debug("attempt %u for \"%s\" version %lld", job->attempts, buf_cstr(&safe), (long long)job->version);
	buf_free(&safe);
}

static void
attempts_begin(struct deliver *d)
{
	struct job *job;
	while (d->in_flight < options.jobs && !stopped(d) && leased(d) && (job = queue_next(&d->queue, clock_now()))) {
		d->in_flight++;
		metrics_add(METRIC_ATTEMPTS, 1);
		if (job->noted)
			job->began = clock_now();
		if (log_wants(LOG_DEBUG))
			attempt_log(job);
		if (options.post)
			post_start(job);
		else
			process_start(job);
	}
}

/* An attempt has ended. */
static void
attempt_note(const struct deliver *d, struct job *job)
{
	if (!job->noted)
		return;
	if (job->attempted_n == NOTED)
		memmove(job->attempted, job->attempted + 1, --job->attempted_n * sizeof *job->attempted);
	job->attempted = mem_grow(job->attempted, (job->attempted_n + 1) * sizeof *job->attempted);
	struct event_attempt *a = &job->attempted[job->attempted_n++];
	*a = (struct event_attempt){.began_at = job->began, .ended_at = clock_now()};
	memcpy(a->outcome, d->answer.outcome, sizeof a->outcome);
}

/* How long to wait before the next attempt: doubling, the upper half of it at random. */
static int64_t
backoff(unsigned attempts)
{
	uint64_t most = options.backoff_max_ms, wait = options.backoff_min_ms;
	while (--attempts && wait < most)
		wait *= 2;
	wait = (wait < most ? wait : most) * 1000;
	return (int64_t)(wait - (uint64_t)arc4random() * (wait / 2) / UINT32_MAX);
}

/* An attempt has failed. Returns whether there will be another one. */
static bool
attempt_again(struct deliver *d, struct job *job)
{
	const struct answer *a = &d->answer;
	int64_t now = clock_now(), wait = backoff(job->attempts);
	if (wait < a->wait_us)
		wait = a->wait_us;
	if (job->attempts >= options.attempts || now + wait - job->since > (int64_t)options.give_up_s * 1000000)
		return false;
	queue_again(&d->queue, job, now + wait);
	return true;
}

/* Warns of a receiver that takes nothing: at the first failure where it never has, else after some in a row. */
static void
failures_count(struct deliver *d, enum answer_kind kind)
{
	unsigned enough = d->took ? ROW : 1;
	if (kind != ANSWER_AGAIN && d->failures >= enough)
		log_info("the receiver answers again");
	d->took |= kind != ANSWER_AGAIN;
	d->failures = kind == ANSWER_AGAIN ? d->failures + 1 : 0;
	if (d->failures == enough) {
		struct buf safe = {0};
		buf_safe(&safe, slice_buf(&d->answer.text));
		log_warn("the receiver does not take callbacks, trying again: %.300s", buf_cstr(&safe));
		buf_free(&safe);
	}
}

static void
on_answer(struct deliver *d)
{
	const struct answer *a = &d->answer;
	struct job *job = a->job;
	d->in_flight--;
	failures_count(d, a->kind);
	attempt_note(d, job);
	if (a->kind == ANSWER_TAKEN) {
		emit_fired(d, job);
		metrics_observe(HISTOGRAM_DELIVERY, (uint64_t)(clock_now() - job->since), 1);
	} else if (a->kind == ANSWER_AGAIN && job->superseded_by >= 0) {
		emit_cancelled(d, job, job->superseded_by, clock_now());
	} else if (a->kind == ANSWER_AGAIN && attempt_again(d, job)) {
		return;
	} else {
		emit_failed(d, job, slice_buf(&a->text));
	}
	queue_end(&d->queue, job);
}

static void
answers_take(struct deliver *d)
{
	while (d->in_flight && !output_full(&d->out) &&
	       (options.post ? post_answer(&d->answer) : process_answer(&d->answer)))
		on_answer(d);
}

/* --- the loop */

static void
flush(struct deliver *d)
{
	if (output_some(&d->out) != 0)
		output_failed();
}

/* The earlier of two times; -1: none. */
static int64_t
earlier(int64_t a, int64_t b)
{
	return a < 0 ? b : b < 0 || a < b ? a : b;
}

/* Waits for input, answers, room, or a time. Returns whether there is input. */
static bool
wait_turn(struct deliver *d)
{
	bool reads = !d->in.eof && !d->blocked && !loop_stopping() && !held_full(d) && !output_full(&d->out);
	int64_t next = queue_due(&d->queue), deadline = options.post ? post_deadline() : process_deadline();
	if (d->in_flight < options.jobs && next != WHEEL_NEVER && !stopped(d))
		deadline = earlier(deadline, leased(d) ? (next > 1 ? next : 1) : clock_now() + LEASE_US);
	struct pollfd fds[] = {
	    {.fd = reads ? d->in.fd : -1, .events = POLLIN},
	    {.fd = options.post ? post_fd() : process_fd(), .events = POLLIN},
	    {.fd = d->out.fd, .events = d->out.buf.len ? POLLOUT : 0},
	};
	loop_wait(fds, 3, deadline);
	if (fds[2].revents & (POLLERR | POLLHUP)) {
		errno = EPIPE;
		output_failed();
	}
	return fds[0].revents != 0;
}

static void
read_waiting(struct deliver *d)
{
	struct pollfd more = {.fd = d->in.fd, .events = POLLIN};
	for (int i = 0; i < READS; i++) {
		if (lines_read(&d->in) < 0 && errno != EAGAIN)
			die(EXIT_TEMPORARY, "could not read standard input: %m");
		lines_handle(d);
		if (d->in.eof || d->blocked || held_full(d) || output_full(&d->out) || loop_wait(&more, 1, 0) == 0)
			return;
	}
}

static void
run(struct deliver *d)
{
	for (;;) {
		if (wait_turn(d))
			read_waiting(d);
		lines_handle(d);
		answers_take(d);
		attempts_begin(d);
		if (d->last.len && d->queue.count == 0) {
			last_pass(d);
			lines_handle(d);
		}
		flush(d);
		metrics_set(METRIC_WAITING, d->queue.count);
		bool over = d->in.eof && d->in.at >= d->in.buf.len && d->queue.count == 0;
		if (d->in_flight == 0 && (over || stopped(d)) && (d->in.eof || loop_stopping()))
			return;
	}
}

/* Reads MIN:MAX milliseconds. */
static int
set_backoff(const char *text, void *value)
{
	unsigned long long min, max;
	char *end;
	(void)value;
	errno = 0;
	min = strtoull(text, &end, 10);
	if (end == text || *text == '-' || *end != ':')
		return -1;
	const char *second = end + 1;
	max = strtoull(second, &end, 10);
	if (end == second || *second == '-' || *end || errno || min == 0 || max < min || max > CALLBACK_MAX)
		return -1;
	options.backoff_min_ms = min;
	options.backoff_max_ms = max;
	return 0;
}

/* clang-format off */
static const struct option_spec specs[] = {
	{.name = "exec", .letter = 'e', .type = OPTION_TEXT, .value = &options.exec, .argument = "COMMAND",
	 .help = "run it for each callback: exit 0 takes it, 100 refuses it for good, anything else is tried again"},
	{.name = "worker", .letter = 'w', .type = OPTION_TEXT, .value = &options.worker, .argument = "COMMAND",
	 .help = "keep it running: it reads a callback a line, and answers ok, retry or refuse TEXT"},
	{.name = "post", .letter = 'P', .type = OPTION_TEXT, .value = &options.post, .argument = "URL",
	 .help = "POST each callback: 2xx takes it, 4xx refuses it but for 408, 409, 425 and 429"},
	{.name = "jobs", .letter = 'j', .type = OPTION_COUNT, .value = &options.jobs, .argument = "N", .min = 1, .max = 1000,
	 .help = "so many at a time, of an account one (default: 8)"},
	{.name = "timeout-ms", .type = OPTION_COUNT, .value = &options.timeout_ms, .argument = "N", .min = 1,
	 .max = 3600000, .help = "how long an attempt may take (default: 10000)"},
	{.name = "attempts", .type = OPTION_COUNT, .value = &options.attempts, .argument = "N", .min = 1,
	 .max = 1000000, .help = "most attempts for a callback (default: 20)"},
	{.name = "give-up-after", .type = OPTION_COUNT, .value = &options.give_up_s, .argument = "SECONDS",
	 .max = 31536000, .help = "no attempt later than that after it fired (default: 86400)"},
	{.name = "backoff-ms", .type = OPTION_CUSTOM, .set = set_backoff, .argument = "MIN:MAX",
	 .form = "MIN:MAX in milliseconds, MIN not 0 and not above MAX",
	 .help = "the wait before another attempt, doubling from MIN to MAX (default: 1000:3600000)"},
	{.name = "waiting", .type = OPTION_COUNT, .value = &options.waiting, .argument = "N", .min = 1,
	 .max = 10000000, .help = "most callbacks that are held; then nothing more is read (default: 100000)"},
	{.name = "secret-file", .type = OPTION_TEXT, .value = &options.secret, .argument = "FILE",
	 .help = "sign each POST with the key in it (Standard Webhooks)"},
	{.name = "allow-private", .type = OPTION_FLAG, .value = &options.private,
	 .help = "the URL's address may be this machine's or a private network's"},
	{.name = "resume", .letter = 'r', .type = OPTION_FLAG, .value = &options.resume,
	 .help = "input that ends without end is a crash (exit 111)"},
	{.name = "no-wait", .letter = 'N', .type = OPTION_FLAG, .value = &options.no_wait,
	 .help = "at the end of input leave what is held, which stays pending"},
	{.name = "lease", .type = OPTION_TEXT, .value = &options.lease, .argument = "FILE",
	 .help = "when the machine's leases end: no attempt begins after it"},
	OPTION_SPEC_FORMAT(&options.format, 0),
	{0},
};
/* clang-format on */

static struct deliver deliver = {.in = {.fd = STDIN_FILENO, .max = 4 * RECORD_BYTES}};

int
main(int argc, char **argv)
{
	static const struct program program = {
	    .name = "deliver",
	    .usage = "[options] --exec COMMAND | --worker COMMAND | --post URL",
	    .purpose = "Hands callbacks that fired to a receiver, and passes each on once it was taken.",
	};
	struct deliver *d = &deliver;
	int first = options_read(&program, specs, argc, argv);
	if (first < argc)
		die_usage("unexpected operand \"%s\": events are read from standard input", argv[first]);
	if (!options.exec + !options.worker + !options.post != 2)
		die_usage("one of --exec, --worker and --post is wanted, and no other");
	if (!options.post && (options.secret || options.private))
		die_usage("--secret-file and --allow-private are for --post");

	loop_init();
	metrics_open("deliver");
	const struct receiver_options receiver = {(unsigned)options.jobs, (int64_t)options.timeout_ms * 1000};
	if (options.lease && !(d->lease = lease_end_map(options.lease, false)))
		die(EXIT_PERMANENT, "could not map \"%s\": %m", options.lease);
	d->style = display_style((enum format)options.format, STDOUT_FILENO);
	queue_init(&d->queue);
	output_open(&d->out, STDOUT_FILENO);
	if (options.post) {
		sandbox_privileges();
		post_open(options.post, options.secret, options.private, &receiver);
	} else
		process_open(options.exec ? options.exec : options.worker, !options.exec, &receiver);

	run(d);
	if (d->queue.count)
		log_info("%zu callbacks were not delivered; they stay pending", d->queue.count);
	bool broken_off = options.resume && d->in.eof && !d->ended && !loop_stopping();
	if (!broken_off)
		last_pass(d);
	if (output_flush(&d->out) != 0)
		output_failed();
	if (!options.post)
		process_close();
	if (broken_off)
		die(EXIT_TEMPORARY, "input ended without \"end\": the program before this one is gone");
	return EXIT_OK;
}
