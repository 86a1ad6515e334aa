/* reader: the door for what comes from outside. Takes records out of files or of
 * standard input, checks each against the contract, and tells it in its place, at its
 * time. Everything behind it may rely on what passes here. */
#include "loop.h"
#include "arrival.h"
#include "time.h"
#include "sandbox.h"
#include "reorder.h"
#include "input.h"
#include "log.h"
#include "options.h"
#include "spool.h"
#include "metrics.h"
#include "utf8.h"

#include <errno.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>

enum { SOURCE_BYTES = 1024 };
#define EPOCH INT64_C(946684800000000) /* 2000-01-01T00:00:00Z */

struct reader {
	/* As told by the options. */
	struct arrival arrive;
	uint64_t from, count, catch_up;
	bool seeded, counted, catching_up;
	bool follow, strict;
	const char *source, *fingerprint;
	struct spool spool;
	struct spool_head head; /* its segment's */
	bool returned;		/* to where the input was left */
	int clock, format, mode;
	int64_t epoch;

	struct teller teller;
	struct split split;
	struct update update;
	struct reorder hold;
	uint64_t ordinal; /* of the next record */
	uint64_t told, refused;
	const struct input *in; /* that is read now; NULL: none */
	uint64_t bytes;		/* of those before it */
	uint64_t first;		/* the first ordinal that is waited for */
	uint64_t base;		/* when the one before it arrived: the timeline starts anew there */
	int64_t start;
	bool enough; /* --count is reached */
	bool halted; /* told to stop before all was told */
	int code;
};

enum { CLOCK_IS_REAL, CLOCK_IS_VIRTUAL };

static int
epoch_set(const char *text, void *value)
{
	return time_parse(slice_of(text), value);
}

/* Shows how far it is. */
static void
show(const struct reader *rd)
{
	metrics_set(METRIC_EMITTED, rd->from + rd->told);
	metrics_set(METRIC_BYTES, rd->bytes + (rd->in && rd->in->got ? rd->in->got - split_left(&rd->split) : 0));
}

/* Waits until one of what it waits for is ready, a signal comes or the time is reached. Everything is told first; a
 * reader of ours that goes away meanwhile is noticed. */
static void
rest(struct reader *rd, int fd, int64_t deadline)
{
	struct pollfd p[2] = {{.fd = fd, .events = POLLIN}, {.fd = rd->teller.out.fd}};
	show(rd);
	tell_flush(&rd->teller);
	loop_wait(p, 2, deadline);
	if (p[1].revents & (POLLERR | POLLHUP)) {
		errno = EPIPE;
		output_failed();
	}
}

/* Waits for a record's arrival. Returns false where a stop signal comes first. */
static bool
arrived(struct reader *rd, uint64_t ordinal, uint64_t time)
{
	if (rd->clock == CLOCK_IS_VIRTUAL || ordinal < rd->first)
		return true;
	int64_t due = rd->start + (int64_t)((time - rd->base) / 1000);
	if (due == rd->start)
		return true;
	while (clock_now() < due) {
		if (loop_stopping())
			return false;
		rest(rd, -1, due);
	}
	return true;
}

/* Whether the record is to be told, and now; the counts that go with it. */
static bool
admit(struct reader *rd, uint64_t ordinal, uint64_t time, bool rejected)
{
	if (ordinal < rd->first)
		rd->base = time;
	if (ordinal < rd->from)
		return false;
	if (!arrived(rd, ordinal, time)) {
		rd->halted = true;
		return false;
	}
	rd->told++;
	rd->refused += rejected;
	rd->enough = rd->counted && rd->told == rd->count;
	return true;
}

/* The arrival time to be told, in milliseconds; -1 for none. */
static int64_t
stamp(const struct reader *rd, uint64_t time, int64_t own)
{
	bool given = rd->clock == CLOCK_IS_VIRTUAL || rd->arrive.mode == ARRIVAL_RECORDED;
	return given ? (int64_t)(time / 1000000) : own;
}

/* Takes the record that was split off. */
static void
take(struct reader *rd)
{
	struct split *s = &rd->split;
	if (!s->reason.len && record_has(&s->record, M_EVENT))
		buf_text(&s->reason, "event: not allowed in an update");
	bool rejected = s->reason.len || update_read(&s->record, &rd->update, &s->reason) != 0;
	uint64_t time = arrival_next(&rd->arrive, rejected ? -1 : rd->update.arrive_ms);
	int64_t ms = rejected ? -1 : stamp(rd, time, rd->update.arrive_ms);
	if (rd->arrive.mode == ARRIVAL_OFFSET) {
		if (rejected)
			reorder_rejected(&rd->hold, time, slice_buf(&s->reason), split_line(s), s->raw, s->total);
		else
			reorder_update(&rd->hold, time, ms, &rd->update, &s->record);
		return;
	}
	uint64_t ordinal = rd->ordinal++;
	if (!admit(rd, ordinal, time, rejected))
		return;
	if (rejected) {
		tell_rejected(
		    tell_open_rejected(&rd->teller, ordinal), slice_buf(&s->reason), split_line(s), s->raw, s->total);
	} else {
		struct buf *b = tell_open_update(&rd->teller, ordinal);
		tell_body(b, &rd->update, &s->record);
		tell_stamp(b, ms);
		tell_tail(b, &rd->update);
	}
	tell_close(&rd->teller);
}

/* Tells what --arrival offset held back, in order of arrival. */
static void
held_tell(struct reader *rd)
{
	reorder_sort(&rd->hold);
	for (size_t i = 0; i < rd->hold.len && !rd->enough && !rd->halted; i++) {
		const struct held *h = &rd->hold.held[i];
		uint64_t ordinal = rd->ordinal++;
		if (admit(rd, ordinal, h->time, h->rejected))
			reorder_tell(&rd->hold, h, &rd->teller, ordinal);
	}
}

/* Goes on with the spool's segment. What its head says is what an undisturbed run would know here. */
static void
segment_start(struct reader *rd, const struct spool_head *head)
{
	rd->head = *head;
	rd->ordinal = rd->arrive.ordinal = rd->spool.first;
	rd->arrive.sum = head->arrived;
	if (rd->ordinal <= rd->first)
		rd->base = arrival_last(&rd->arrive);
	ssize_t n = split_load(&rd->split, rd->spool.in, rd->follow, head->split);
	if (n < 0)
		die(EXIT_PERMANENT,
		    "the spool \"%s\" is damaged: the head of a segment; remove it to give up what it holds",
		    rd->spool.path);
	if (n > 0)
		spool_count(&rd->spool, (size_t)n);
}

static void
segment_next(struct reader *rd)
{
	struct spool_head head;
	spool_find(&rd->spool, rd->ordinal, &head);
	segment_start(rd, &head);
}

/* Begins a segment where reading is now. `fresh`: of another file, which it begins. */
static void
segment_begin(struct reader *rd, const struct input *in, bool fresh)
{
	struct spool_head head = {.seed = rd->arrive.seed, .arrived = rd->arrive.sum, .file = rd->head.file};
	struct slice partial;
	if (fresh)
		split_start(&rd->split, -1, rd->follow);
	split_save(&rd->split, head.split, &partial);
	if (!fresh && !spool_full(&rd->spool, partial.n))
		return;
	if (rd->follow && fresh)
		input_mark(in, &head.file);
	head.at = in->got - partial.n;
	spool_begin(&rd->spool, rd->ordinal, &head, partial);
	segment_start(rd, &head);
}

/* Finds in the spool where reading is to go on. The seed it was begun with holds. */
static void
spool_start(struct reader *rd)
{
	struct spool *s = &rd->spool;
	struct spool_head head;
	if (!spool_find(s, rd->arrive.mode == ARRIVAL_OFFSET ? 0 : rd->from, &head))
		return;
	if (rd->seeded && head.seed != rd->arrive.seed)
		die(EXIT_PERMANENT, "the spool \"%s\" was begun with --seed %llu, not %llu", s->path,
		    (unsigned long long)head.seed, (unsigned long long)rd->arrive.seed);
	rd->arrive.seed = head.seed;
	segment_start(rd, &head);
}

/* What to do at the end of a followed file. Returns false where the reading ends. */
static bool
follow(struct reader *rd, struct input *in)
{
	switch (input_look(in)) {
	case INPUT_WAIT:
		rest(rd, in->inotify, -1);
		break;
	case INPUT_GREW:
		break;
	case INPUT_MOVED:
		split_end(&rd->split);
		break;
	case INPUT_CUT:
		log_error("\"%s\" was cut off below the %llu bytes that were read, so that what is new in it is not "
			  "known; if "
			  "that is meant, read it anew by `supervisor run --again`, or under another --source",
		    in->path, (unsigned long long)in->got);
		rd->code = EXIT_PERMANENT;
		return false;
	}
	return true;
}

/* Gets more bytes by way of the spool. Returns false where a stop signal ends the reading. */
static bool
spool_fill(struct reader *rd, struct input *in)
{
	struct spool *s = &rd->spool;
	struct pollfd p = {.fd = in->fd, .events = POLLIN};
	show(rd);
	/* The last line of a file lacked its newline, and another file followed. */
	if (!spool_ready(s) && s->next != UINT64_MAX) {
		split_end(&rd->split);
		return true;
	}
	/* First, where what is moved comes from: known only when all that was moved is read. */
	if (!spool_ready(s) && !rd->returned) {
		in->got = rd->head.at + spool_held(s);
		if (rd->follow)
			input_return(in, &rd->head.file);
		rd->returned = true;
	}
	/* Of --arrival offset the first segment is needed to the end. */
	if (!spool_ready(s) && rd->arrive.mode != ARRIVAL_OFFSET)
		segment_begin(rd, in, false);
	if (loop_wait(&p, 1, 0) == 0 && !loop_stopping() && !spool_ready(s))
		rest(rd, in->fd, -1);
	if (loop_stopping())
		return false;
	if (!spool_ready(s)) {
		ssize_t moved = spool_move(s, in->fd);
		if (moved == 0 && rd->follow)
			return follow(rd, in);
		if (moved == 0)
			spool_end(s);
		in->got += moved > 0 ? (uint64_t)moved : 0;
	}
	if (!spool_ready(s))
		return true;
	ssize_t n = split_read(&rd->split);
	if (n < 0)
		die(EXIT_TEMPORARY, "could not read the spool \"%s\": %m", s->path);
	spool_count(s, (size_t)n);
	return true;
}

/* Gets more bytes, waiting for them where none are there. Returns false where a stop signal ends the reading. */
static bool
fill(struct reader *rd, struct input *in)
{
	struct pollfd p = {.fd = in->fd, .events = POLLIN};
	show(rd);
	if (loop_wait(&p, 1, 0) == 0 && !loop_stopping())
		rest(rd, in->fd, -1);
	if (loop_stopping())
		return false;
	ssize_t n = split_read(&rd->split);
	if (n > 0)
		in->got += (uint64_t)n;
	if (n < 0 && errno != EAGAIN) {
		int e = errno;
		tell_flush(&rd->teller);
		errno = e;
		die(e == EISDIR ? EXIT_PERMANENT : EXIT_TEMPORARY, "could not read \"%s\": %m", in->path);
	}
	if (n != 0 || !rd->follow)
		return true;

	split_resume(&rd->split);
	return follow(rd, in);
}

/* Reads one file to its end. Sets code, enough or halted where nothing more is to be read. */
static void
input_read(struct reader *rd, struct input *in)
{
	if (!rd->spool.path)
		split_start(&rd->split, in->fd, rd->follow);
	else if (rd->spool.in < 0)
		segment_begin(rd, in, true);
	while (!rd->enough && !rd->halted) {
		if (rd->spool.path && rd->ordinal == rd->spool.next)
			segment_next(rd);
		switch (split_next(&rd->split)) {
		case SPLIT_RECORD:
			take(rd);
			break;
		case SPLIT_MORE:
			rd->halted = rd->spool.path ? !spool_fill(rd, in) : !fill(rd, in);
			break;
		case SPLIT_EMPTY:
			if (rd->spool.cut)
				return;
			if (in->next < 0 && (!rd->spool.path || rd->spool.next == UINT64_MAX)) {
				log_error("\"%s\" is empty: there is no record in it", in->path);
				rd->code = EXIT_PERMANENT;
				return;
			}
			__attribute__((fallthrough));
		case SPLIT_END:
			if (rd->spool.path && rd->spool.next != UINT64_MAX)
				spool_damaged(&rd->spool, "a segment ends before the next one begins");
			if (in->next < 0)
				return;
			log_info("\"%s\" is another file now: going on with its first line", in->path);
			input_next(in);
			if (rd->spool.path)
				segment_begin(rd, in, true);
			else
				split_start(&rd->split, in->fd, rd->follow);
			break;
		case SPLIT_BROKEN:
			if (rd->spool.cut && rd->split.cut_off) {
				log_warn("\"%s\" %s; it was given up there, what stands before it was read", in->path,
				    buf_cstr(&rd->split.error));
				return;
			}
			log_error("\"%s\" %s; what stands before it was read", in->path, buf_cstr(&rd->split.error));
			rd->code = EXIT_PERMANENT;
			return;
		}
	}
}

static void
inputs_read(struct reader *rd, char *const *paths, int n)
{
	for (int i = 0; i < n && !rd->code && !rd->enough && !rd->halted; i++) {
		struct input in;
		if (input_open(&in, paths[i], rd->follow, rd->follow && rd->spool.path && rd->spool.in >= 0) != 0) {
			log_error("could not open file \"%s\": %m", paths[i]);
			rd->code = EXIT_PERMANENT;
			return;
		}
		rd->in = &in;
		input_read(rd, &in);
		rd->in = NULL;
		rd->bytes += in.got;
		input_close(&in);
	}
	if (!rd->halted)
		held_tell(rd);
}

static void
begin(struct reader *rd, const char *arrival)
{
	struct buf *b = tell_open(&rd->teller);
	buf_text(b, "{\"event\":\"begin\",\"source\":");
	buf_json(b, slice_of(rd->source));
	buf_printf(b, ",\"seed\":%llu,\"arrival\":\"%s\",\"delayMs\":\"%s\",\"speed\":\"%s\",\"clock\":\"%s\"",
	    (unsigned long long)rd->arrive.seed, arrival, rd->arrive.delay.text, rd->arrive.speed.text,
	    rd->clock == CLOCK_IS_VIRTUAL ? "virtual" : "real");
	if (rd->fingerprint && *rd->fingerprint)
		buf_printf(b, ",\"fingerprint\":\"%s\"", rd->fingerprint);
	else
		buf_text(b, ",\"fingerprint\":null");
	if (rd->from)
		buf_printf(b, ",\"from\":%llu", (unsigned long long)rd->from);
	buf_text(b, ",\"startedAt\":\"");
	buf_time(b, rd->clock == CLOCK_IS_VIRTUAL ? rd->epoch : rd->start);
	buf_text(b, "\"}");
	tell_close(&rd->teller);
	tell_flush(&rd->teller);
}

static void
end(struct reader *rd)
{
	show(rd);
	struct buf *b = tell_open(&rd->teller);
	buf_text(b, "{\"event\":\"end\",\"source\":");
	buf_json(b, slice_of(rd->source));
	buf_printf(b, ",\"read\":%llu,\"complete\":%s}", (unsigned long long)rd->told, rd->halted ? "false" : "true");
	tell_close(&rd->teller);
	tell_flush(&rd->teller);
}

/* How much there is to read, where all of it is files that do not grow. */
static uint64_t
inputs_size(const struct reader *rd, char *const *paths, int n)
{
	uint64_t size = 0;
	for (int i = 0; i < n; i++) {
		struct stat st;
		if (rd->follow || strcmp(paths[i], "-") == 0 || stat(paths[i], &st) != 0 || !S_ISREG(st.st_mode))
			return 0;
		size += (uint64_t)st.st_size;
	}
	return size;
}

/* Settles source, fingerprint and seed; what is wrong is found before anything is told. */
static void
prepare(struct reader *rd, char *const *paths, int n, struct buf *name, struct buf *head)
{
	if (rd->follow && n != 1)
		die(EXIT_PERMANENT, "--follow wants one file, not %d", n);
	if (rd->follow && rd->arrive.mode == ARRIVAL_OFFSET)
		die(EXIT_PERMANENT, "--arrival offset reads the input to its end first and cannot go with --follow");
	if (rd->spool.path && !rd->follow && (n != 1 || strcmp(paths[0], "-") != 0))
		die(EXIT_PERMANENT, "--spool is for standard input and for --follow, not for files");
	inputs_check(paths, n, rd->follow, rd->follow && rd->spool.path);

	if (!rd->source) {
		inputs_name(name, paths, n);
		rd->source = buf_cstr(name);
	}
	struct slice source = slice_of(rd->source);
	for (size_t i = 0, k; i < source.n; i += k) {
		k = utf8_decode(source.p + i, source.p + source.n, NULL);
		if (k == 0)
			die(EXIT_PERMANENT, "--source: the name is not UTF-8");
	}
	if (source.n < 1 || source.n > SOURCE_BYTES)
		die(EXIT_PERMANENT, "the source's name has %zu bytes, not 1 to %d: give it one by --source", source.n,
		    SOURCE_BYTES);
	log_source(rd->source);

	if (rd->fingerprint && *rd->fingerprint) {
		fingerprint_check(paths[0], rd->fingerprint);
	} else {
		fingerprint_make(head, paths[0]);
		rd->fingerprint = buf_cstr(head);
	}
	/* Small enough that tools that keep numbers in doubles show it unharmed. */
	if (!rd->seeded && getrandom(&rd->arrive.seed, sizeof rd->arrive.seed, 0) == sizeof rd->arrive.seed)
		rd->arrive.seed >>= 11;
	rd->enough = rd->counted && rd->count == 0;
	rd->first = rd->catching_up && rd->catch_up >= rd->from ? rd->catch_up + 1 : rd->from;
}

/* From here on the inputs can be read, the spool written, and nothing else opened. Nothing of the input was looked at.
 */
static void
confine(const struct reader *rd, char *const *paths, int n)
{
	struct sandbox c;
	sandbox_begin(&c, SANDBOX_CALLS);
	inputs_confine(&c, paths, n, rd->follow);
	if (rd->spool.path)
		sandbox_write(&c, rd->spool.path);
	sandbox_end(&c);
}

int
main(int argc, char **argv)
{
	static struct reader rd = {
	    .arrive = {.delay = {"0:1000", 0, 1000000000}, .speed = {"1", 1000000}},
	    .epoch = EPOCH,
	    .spool = {.limit = 16 << 20},
	};
	static char *standard_input[] = {"-", NULL};
	static const struct option_spec specs[] = {
	    {"arrival", 'a', OPTION_CHOICE, &rd.mode, "gap|offset|recorded|none",
		"random gaps; a random time each; their arriveMs; at once (default: gap)", 0, 0, NULL, NULL, NULL},
	    {"delay-ms", 'd', OPTION_CUSTOM, &rd.arrive.delay, "MIN:MAX", "the random time's range (default: 0:1000)",
		0, 0, NULL, delay_set, NULL},
	    {"speed", 'x', OPTION_CUSTOM, &rd.arrive.speed, "X", "so many times as fast (default: 1)", 0, 0, NULL,
		speed_set, NULL},
	    {"seed", 's', OPTION_COUNT, &rd.arrive.seed, "N", "the same seed gives the same stream (default: random)",
		0, UINT64_MAX, &rd.seeded, NULL, NULL},
	    {"from", 'f', OPTION_COUNT, &rd.from, "OFFSET", "tell nothing before this offset", 0, VERSION_MAX - 1, NULL,
		NULL, NULL},
	    {"count", 'n', OPTION_COUNT, &rd.count, "N", "stop after so many records", 0, UINT64_MAX, &rd.counted, NULL,
		NULL},
	    {"follow", 'F', OPTION_FLAG, &rd.follow, NULL, "go on as the file grows, one record a line", 0, 0, NULL,
		NULL, NULL},
	    {"source", 'S', OPTION_TEXT, &rd.source, "NAME", "the source's name (default: the file's real path)", 0, 0,
		NULL, NULL, NULL},
	    {"strict", 0, OPTION_FLAG, &rd.strict, NULL, "exit 1 if a record was rejected", 0, 0, NULL, NULL, NULL},
	    {"catch-up-to", 0, OPTION_COUNT, &rd.catch_up, "OFFSET", "wait for nothing up to this offset", 0,
		VERSION_MAX - 1, &rd.catching_up, NULL, NULL},
	    {"fingerprint", 0, OPTION_TEXT, &rd.fingerprint, "BYTES:HASH", "refuse a file that begins otherwise", 0, 0,
		NULL, NULL, NULL},
	    {"spool", 0, OPTION_TEXT, &rd.spool.path, "DIR",
		"move standard input, or what is followed, through files there", 0, 0, NULL, NULL, NULL},
	    {"spool-segment", 0, OPTION_COUNT, &rd.spool.limit, "BYTES", "bytes in such a file (default: 16777216)", 1,
		INT64_MAX, NULL, NULL, NULL},
	    {"clock", 0, OPTION_CHOICE, &rd.clock, "real|virtual", "virtual: nobody waits (default: real)", 0, 0, NULL,
		NULL, "clock"},
	    {"epoch", 0, OPTION_CUSTOM, &rd.epoch, "TIME",
		"when the virtual clock starts (default: 2000-01-01T00:00:00Z)", 0, 0, NULL, epoch_set, "epoch"},
	    {"format", 0, OPTION_CHOICE, &rd.format, "auto|json|text",
		"NDJSON, or lines for people (default: by terminal)", 0, 0, NULL, NULL, "format"},
	    {0},
	};
	static const struct program program = {
	    .name = "reader",
	    .usage = "[options] [FILE... | -]",
	    .purpose = "Tells the account updates of files or of standard input as NDJSON, each at its time.",
	};
	struct buf name = {0}, head = {0};

	loop_init();
	int operands = options_read(&program, specs, argc, argv);
	char *const *paths = operands < argc ? argv + operands : standard_input;
	int n = operands < argc ? argc - operands : 1;
	rd.arrive.mode = (enum arrival_mode)rd.mode;
	prepare(&rd, paths, n, &name, &head);

	tell_init(&rd.teller, (enum format)rd.format, slice_of(rd.source));
	if (rd.spool.path)
		spool_open(&rd.spool);
	metrics_open("reader");
	confine(&rd, paths, n);
	if (rd.spool.path)
		spool_start(&rd);
	rd.start = clock_now();
	metrics_source(slice_of(rd.source));
	metrics_set(METRIC_EMITTED, rd.from);
	metrics_set(METRIC_SIZE, inputs_size(&rd, paths, n));
	static const char *const arrivals[] = {"gap", "offset", "recorded", "none"};
	begin(&rd, arrivals[rd.mode]);
	inputs_read(&rd, paths, n);
	end(&rd);

	buf_free(&name);
	buf_free(&head);
	spool_close(&rd.spool);
	reorder_free(&rd.hold);
	split_free(&rd.split);
	update_free(&rd.update);
	tell_free(&rd.teller);
	return rd.code ? rd.code : rd.strict && rd.refused ? EXIT_REJECTED : EXIT_OK;
}
