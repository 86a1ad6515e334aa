/* reader: the door for what comes from outside. Takes records out of files, of standard
 * input or of a spool, checks each against the contract, and emits it in its place, at its
 * time. Everything behind it may rely on what passes here. */
#include "arrival.h"
#include "copier.h"
#include "display.h"
#include "event.h"
#include "file.h"
#include "follow.h"
#include "log.h"
#include "loop.h"
#include "map_load.h"
#include "metrics.h"
#include "options.h"
#include "output.h"
#include "reorder.h"
#include "sandbox.h"
#include "split.h"
#include "spool.h"
#include "time.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/random.h>
#include <unistd.h>

enum { SOURCE_BYTES = 1024 };

/* Where an update is checked while the stream before --from is skipped. */
struct check {
	const char *text; /* as it was given; NULL: nowhere */
	uint64_t offset, hash;
	bool passed;
};

struct reader {
	/* As the options set them. */
	struct arrival arrival;
	struct shard shard;
	struct check check;
	struct copier_options copier;
	uint64_t from, to, count, catch_up;
	bool seeded, limited, counted, catching_up;
	bool follows, strict, explains, paced;
	const char *source, *fingerprint, *map;
	int clock, format, mode;
	int64_t epoch;

	char *const *paths;
	int paths_n;
	struct spool spool;   /* path NULL: files are read */
	struct follow follow; /* with --follow */
	const char *name;     /* of what is read now, for messages */
	int fd;
	uint64_t bytes; /* that were read in all */
	struct fingerprint *print;
	struct buf hint; /* what the input seems to be instead of updates */
	bool guessed, hopeless;

	struct output out;
	struct display_style style;
	struct slice token; /* the source as JSON */
	struct split split;
	struct update update;
	struct reorder reorder;
	struct buf line, raw;
	uint64_t ordinal;	  /* of the next record of the stream */
	uint64_t passed, refused; /* of the stream, from --from on */
	uint64_t read;		  /* of those, this shard's */
	uint64_t first;		  /* the first ordinal that is waited for */
	uint64_t base;		  /* when the one before it arrived: the timeline starts anew there */
	int64_t start;
	bool enough; /* --count or --to is reached */
	bool halted; /* stopped by a signal before all was emitted */
	bool broken; /* the input ends where it should not */
	int code;
};

/* "OFFSET:HASH" */
static int
check_set(const char *text, void *value)
{
	struct check *c = value;
	const char *colon = strchr(text, ':');
	if (!*text)
		return 0;
	if (!colon || json_integer((struct slice){text, (size_t)(colon - text)}, VERSION_MAX, &c->offset) != 0 ||
	    json_integer(slice_of(colon + 1), UINT64_MAX, &c->hash) != 0)
		return -1;
	c->text = mem_string(slice_of(text));
	return 0;
}

/* Shows how far it is. */
static void
show(const struct reader *rd)
{
	metrics_set(METRIC_EMITTED, rd->ordinal > rd->from ? rd->ordinal : rd->from);
	metrics_set(METRIC_BYTES, rd->bytes - split_left(&rd->split));
}

static void
flush(struct reader *rd)
{
	if (rd->out.buf.len && output_flush(&rd->out) != 0)
		output_failed();
}

/* Emits the record that was put together in `line`. */
static void
record_close(struct reader *rd)
{
	display_record(&rd->out.buf, rd->style, slice_buf(&rd->line));
	rd->line.len = 0;
	if (output_full(&rd->out))
		flush(rd);
}

/* Waits until fd is ready, a signal comes or the time is reached. Everything is emitted first; a consumer that goes
 * away meanwhile is noticed. */
static void
rest(struct reader *rd, int fd, int64_t deadline)
{
	struct pollfd p[2] = {{.fd = fd, .events = POLLIN}, {.fd = rd->out.fd}};
	show(rd);
	flush(rd);
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
	if (rd->clock == CLOCK_VIRTUAL || ordinal < rd->first)
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

/* Looks at a record that is skipped. */
static void
check_skipped(struct reader *rd, const struct held *h)
{
	struct check *c = &rd->check;
	if (!c->text || rd->ordinal != c->offset)
		return;
	c->passed = true;
	if (!h->own || h->rejected || h->skipped || h->hash != c->hash)
		die(EXIT_PERMANENT,
		    "the input has changed: its record at offset %llu is not what it was when it was read before; "
		    "`supervisor run --again` reads it anew",
		    (unsigned long long)c->offset);
}

/* The next record of the stream: emits it at its time, if it is this shard's, and counts it. */
static void
emit(struct reader *rd, const struct held *h)
{
	uint64_t ordinal = rd->ordinal;
	/* A map's ordinals have gaps. */
	if (rd->limited && ordinal > rd->to) {
		rd->ordinal = rd->to + 1;
		rd->enough = true;
		return;
	}
	if (ordinal < rd->first)
		rd->base = h->time;
	if (ordinal < rd->from) {
		check_skipped(rd, h);
	} else if (h->own && !arrived(rd, ordinal, h->time)) {
		rd->halted = true;
		return;
	} else {
		rd->passed++;
		rd->refused += h->rejected;
		rd->read += h->own;
	}
	rd->ordinal++;
	rd->enough = (rd->counted && rd->passed == rd->count) || (rd->limited && ordinal >= rd->to);
	if (!h->own || ordinal < rd->from)
		return;
	if (h->rejected)
		event_rejected_begin(&rd->line, rd->token, (int64_t)ordinal, NO_TIME);
	else if (h->skipped)
		event_skipped_begin(&rd->line, rd->token, (int64_t)ordinal);
	else
		event_update_begin(&rd->line, rd->token, (int64_t)ordinal);
	buf_add(&rd->line, rd->reorder.text.p + h->at, h->n);
	record_close(rd);
}

/* Emits what was taken, in order of arrival. */
static void
held_emit(struct reader *rd)
{
	struct reorder *o = &rd->reorder;
	reorder_sort(o);
	for (size_t i = 0; i < o->len && !rd->enough && !rd->halted; i++)
		emit(rd, &o->held[i]);
	o->len = o->text.len = 0;
}

/* Appends the text of a record that is to be emitted. */
static void
text_add(struct reader *rd, const struct held *h, int64_t stamp)
{
	struct split *s = &rd->split;
	struct buf *b = &rd->reorder.text;
	if (h->skipped) {
		event_skipped_end(b, stamp, false);
		return;
	}
	if (!h->rejected) {
		event_update_body(b, &rd->update, &s->record);
		event_update_end(b, rd->update.trace, stamp);
		return;
	}
	struct reject j = {.reason = slice_buf(&s->reason), .line = split_line(s)};
	reject_raw(&j, s->raw, s->total, &rd->raw);
	event_rejected_body(b, &j);
	event_rejected_end(b, stamp, false);
}

/* Takes the record that was split off. */
static void
take(struct reader *rd)
{
	struct split *s = &rd->split;
	struct update *u = &rd->update;
	bool together = rd->arrival.mode == ARRIVAL_OFFSET;
	if (!s->reason.len && record_has(&s->record, M_EVENT))
		buf_text(&s->reason, "event: not allowed in an update");
	int order = split_ordinal(s, &rd->ordinal);
	if (order == 0)
		return;
	if (order < 0) {
		flush(rd);
		die(EXIT_PERMANENT, "\"%s\" %s", rd->name, buf_cstr(&s->error));
	}
	struct held *h = reorder_add(&rd->reorder);
	h->skipped = s->skipped;
	h->rejected = !h->skipped && (s->reason.len || update_read(&s->record, u, &s->reason) != 0);
	if (h->rejected && s->map)
		map_reason(s->map, &s->reason);
	bool updates = !h->rejected && !h->skipped;
	int64_t stamp = updates ? u->arrive_ms : -1;
	h->time = arrival_next(&rd->arrival, stamp);
	h->own = rd->shard.index == (updates ? shard_of(u->id, rd->shard.count) : 0);
	if (rd->clock == CLOCK_VIRTUAL || (updates && rd->arrival.mode == ARRIVAL_RECORDED))
		stamp = (int64_t)(h->time / 1000000);
	if (updates && rd->check.text && (together || rd->ordinal == rd->check.offset))
		h->hash = update_hash(u);
	if (h->own && (together || rd->ordinal >= rd->from))
		text_add(rd, h, stamp);
	h->n = rd->reorder.text.len - h->at;
	if (!together)
		held_emit(rd);
}

/* Hashes what was taken of the file: it leaves the buffer by the next read. */
static void
print_on(struct reader *rd)
{
	if (rd->print)
		fingerprint_add(rd->print, (struct slice){rd->split.in.buf.p, rd->split.in.at});
}

/* One read. Ends the program where it fails. */
static size_t
read_some(struct reader *rd)
{
	print_on(rd);
	ssize_t n = split_read(&rd->split);
	if (n < 0 && errno != EAGAIN) {
		int e = errno;
		flush(rd);
		errno = e;
		die(e == EISDIR ? EXIT_PERMANENT : EXIT_TEMPORARY, "could not read \"%s\": %m", rd->name);
	}
	n = n < 0 ? 0 : n;
	rd->bytes += (size_t)n;
	return (size_t)n;
}

/* Gets more bytes, or the end of the input, waiting where neither is there. Returns false where a stop signal ends the
 * reading. */
static bool
fill(struct reader *rd)
{
	struct spool *s = &rd->spool;
	struct follow *f = &rd->follow;
	bool plain = !s->path && !rd->follows;
	struct pollfd p = {.fd = rd->fd, .events = POLLIN};
	show(rd);
	if (loop_wait(&p, plain, 0) == 0 && plain && !loop_stopping())
		rest(rd, rd->fd, -1);
	if (loop_stopping())
		return false;
	int64_t more = plain ? 1 : s->path ? spool_more(s) : follow_more(f);
	if (more < 0) {
		rest(rd, s->path ? s->inotify : f->inotify, s->path ? clock_now() + 1000000 : follow_until(f));
	} else if (more == 0) {
		split_end(&rd->split, true);
	} else if (s->path) {
		rd->split.in.most = (size_t)more;
		s->at += read_some(rd);
	} else if (rd->follows) {
		rd->split.in.fd = f->fd;
		follow_count(f, read_some(rd));
		split_end(&rd->split, false);
	} else {
		read_some(rd);
	}
	return true;
}

/* Looks at what the input begins with, before its first record is taken. Returns false where it can be no input. */
static bool
guess(struct reader *rd, enum split_status status)
{
	const struct buf *b = &rd->split.in.buf;
	if (rd->guessed || status == SPLIT_MORE || !b->len)
		return true;
	rd->guessed = true;
	if (rd->split.marked)
		log_warn(
		    "\"%s\" begins with a UTF-8 byte order mark, which JSON does not have: it is skipped", rd->name);
	/* Of an array that comes in small pieces the beginning may be gone. */
	if (!rd->ordinal && (!split_is_array(&rd->split) || *b->p == '['))
		rd->hopeless = file_guess(slice_buf(b), &rd->hint);
	/* A map knows records of other shapes. */
	if (rd->map && !rd->hopeless)
		rd->hint.len = 0;
	return !rd->hopeless;
}

/* Goes over to what follows the input that was read to its end. Returns false where nothing does. */
static bool
input_next(struct reader *rd)
{
	if (rd->follows)
		follow_next(&rd->follow);
	else if (!rd->spool.path || !spool_next(&rd->spool))
		return false;
	split_start(&rd->split, rd->follows ? rd->follow.fd : rd->fd, rd->follows);
	rd->guessed = false;
	return true;
}

/* Says why the input ends here. */
static void
input_broken(struct reader *rd)
{
	const char *why = buf_cstr(&rd->split.error);
	if (rd->spool.cut && rd->split.cut_off && rd->spool.next == UINT64_MAX) {
		log_warn("\"%s\" %s; it was given up there, what stands before it was read", rd->name, why);
		return;
	}
	log_error("\"%s\" %s; what stands before it was read", rd->name, why);
	rd->broken = true;
	rd->code = EXIT_PERMANENT;
}

/* Reads one input to its end. Sets code, enough or halted where nothing more is to be read. */
static void
input_read(struct reader *rd)
{
	while (!rd->enough && !rd->halted) {
		enum split_status status = split_next(&rd->split);
		if (!guess(rd, status))
			return;
		switch (status) {
		case SPLIT_RECORD:
			take(rd);
			break;
		case SPLIT_MORE:
			rd->halted = !fill(rd);
			break;
		case SPLIT_EMPTY:
			if (input_next(rd))
				break;
			if (rd->spool.cut)
				return;
			log_error("\"%s\" is empty: there is no record in it", rd->name);
			rd->code = EXIT_PERMANENT;
			return;
		case SPLIT_END:
			if (!input_next(rd))
				return;
			break;
		case SPLIT_BROKEN:
			input_broken(rd);
			return;
		}
	}
}

/* Opens a file, or standard input, and reads it. */
static void
file_read(struct reader *rd, const char *path)
{
	/* Not blocking, so that a named pipe without a writer does not keep a signal from being heard. */
	rd->name = path;
	rd->fd = file_is_stdin(path) ? 0 : open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	if (rd->fd < 0) {
		log_error("could not open file \"%s\": %m", path);
		rd->code = EXIT_PERMANENT;
		return;
	}
	posix_fadvise(rd->fd, 0, 0, POSIX_FADV_SEQUENTIAL);
	split_start(&rd->split, rd->fd, false);
	rd->guessed = false;
	input_read(rd);
	print_on(rd);
	if (rd->fd > 0)
		close(rd->fd);
}

/* Reads a spool from the entry before --from. */
static void
spool_read(struct reader *rd)
{
	struct spool *s = &rd->spool;
	struct spool_entry e;
	rd->name = s->path;
	rd->fd = s->data;
	while (!spool_find(s, rd->arrival.mode == ARRIVAL_OFFSET ? 0 : rd->from, &e)) {
		if (loop_stopping()) {
			rd->halted = true;
			return;
		}
		rest(rd, s->inotify, clock_now() + 100000);
	}
	rd->ordinal = e.ordinal;
	arrival_skip(&rd->arrival, e.ordinal, (int64_t)e.arrived);
	if (rd->arrival.mode != ARRIVAL_OFFSET)
		rd->base = arrival_last(&rd->arrival);
	rd->check.passed = e.ordinal > rd->check.offset;
	spool_split(s, &e, &rd->split, false);
	input_read(rd);
	/* A file that was followed may grow. */
	rd->halted = rd->halted || (s->followed && !rd->enough);
}

static void
stream_read(struct reader *rd)
{
	if (rd->spool.path) {
		spool_read(rd);
	} else if (rd->follows) {
		rd->name = rd->paths[0];
		split_start(&rd->split, rd->follow.fd, true);
		input_read(rd);
	} else {
		for (int i = 0; i < rd->paths_n && !rd->code && !rd->hopeless && !rd->enough && !rd->halted; i++)
			file_read(rd, rd->paths[i]);
	}
	if (!rd->halted)
		held_emit(rd);
	if (rd->check.text && !rd->check.passed && rd->from > rd->check.offset && !rd->halted && !rd->enough)
		die(EXIT_PERMANENT,
		    "the input has changed: it ends before its record at offset %llu, which was read before; "
		    "`supervisor run --again` reads it anew",
		    (unsigned long long)rd->check.offset);
	/* What looks like something else is, where nothing of it is an update. */
	if (rd->hopeless || (rd->hint.len && rd->passed && rd->passed == rd->refused && !rd->halted)) {
		log_error("\"%s\" %s", rd->name, buf_cstr(&rd->hint));
		rd->code = EXIT_PERMANENT;
		rd->broken = true;
	}
}

static void
begin(struct reader *rd)
{
	static const char *const arrivals[] = {"gap", "offset", "recorded", "none"};
	struct buf head = {0};
	bool virtual = rd->clock == CLOCK_VIRTUAL;
	if (!rd->spool.path && !rd->follows)
		files_fingerprint(&head, rd->paths, rd->paths_n, FILE_HEAD);
	event_begin(&rd->line, &(struct event_begin){.source = rd->token,
				   .shard = rd->shard,
				   .seed = rd->arrival.seed,
				   .arrival = arrivals[rd->mode],
				   .delay_ms = rd->arrival.delay.text,
				   .speed = rd->arrival.speed.text,
				   .clock = virtual ? "virtual" : "real",
				   .fingerprint = slice_buf(&head),
				   .from = rd->from,
				   .started_at = virtual ? rd->epoch : rd->start});
	if (head.len)
		rd->print = fingerprint_new();
	record_close(rd);
	flush(rd);
	buf_free(&head);
}

static void
end(struct reader *rd)
{
	struct buf print = {0};
	show(rd);
	if (rd->print)
		fingerprint_end(rd->print, &print);
	event_end(&rd->line, &(struct event_end){.source = rd->token,
				 .shard = rd->shard,
				 .read = rd->read,
				 .last_offset = (int64_t)rd->ordinal - 1,
				 .complete = !rd->halted && !rd->broken,
				 .broken = rd->broken,
				 .fingerprint = slice_buf(&print)});
	record_close(rd);
	flush(rd);
	buf_free(&print);
	/* The supervisor says it of all shards and rounds together. */
	if (rd->refused && rd->shard.index == 0)
		log_at(metrics_shown() ? LOG_INFO : LOG_WARN,
		    "%llu of %llu records were rejected; they are the `rejected` events in the output, and "
		    "`supervisor rejected` lists those of a run",
		    (unsigned long long)rd->refused, (unsigned long long)rd->passed);
}

/* Sets the source's name. */
static void
prepare_source(struct reader *rd)
{
	static struct buf name, token;
	if (!rd->source) {
		char *const spool[] = {(char *)(uintptr_t)rd->spool.path};
		files_name(&name, *spool ? spool : rd->paths, *spool ? 1 : rd->paths_n);
		rd->source = buf_cstr(&name);
	}
	struct slice source = slice_of(rd->source);
	if (!name_is_plain(source))
		die(EXIT_PERMANENT, "--source: the name is not UTF-8, or it has a control character");
	if (source.n < 1 || source.n > SOURCE_BYTES)
		die(EXIT_PERMANENT, "the source's name has %zu bytes, not 1 to %d: give it one by --source", source.n,
		    SOURCE_BYTES);
	log_source(rd->source);
	buf_json(&token, source);
	rd->token = slice_buf(&token);
}

/* Refuses options that do not go together, and inputs that cannot be read. Nothing was emitted yet. */
static void
prepare_inputs(struct reader *rd)
{
	bool whole = rd->shard.count == 1;
	if (rd->follows && rd->paths_n != 1)
		die(EXIT_PERMANENT, "--follow wants one file, not %d", rd->paths_n);
	if (rd->follows && file_is_stdin(rd->paths[0]))
		die(EXIT_PERMANENT, "--follow wants a file, not standard input");
	if (rd->follows && rd->arrival.mode == ARRIVAL_OFFSET)
		die(EXIT_PERMANENT, "--arrival offset reads the input to its end first and cannot go with --follow");
	if (rd->follows && !whole)
		die(EXIT_PERMANENT, "--follow is for the whole of a source: its shards read a spool, see --copy-to");
	if ((rd->spool.path || rd->copier.folder) && !rd->follows && (rd->paths_n != 1 || !file_is_stdin(rd->paths[0])))
		die(EXIT_PERMANENT, "--spool and --copy-to are not for files, which can be read twice");
	if (rd->spool.path && (rd->follows || rd->copier.folder))
		die(EXIT_PERMANENT, "--spool reads what --copy-to writes, in another process");
	if (!rd->spool.path && !rd->copier.folder)
		files_check(rd->paths, rd->paths_n, rd->follows ? "--follow" : whole ? NULL : "--shard");
	else if (!rd->spool.path && !rd->follows)
		files_check(rd->paths, 1, NULL);
}

/* Loads the map. A stream with a position of its own has no order but that. */
static void
prepare_map(struct reader *rd)
{
	struct map *map = rd->map ? map_load(rd->map) : NULL;
	if (rd->explains && !map)
		die(EXIT_PERMANENT, "--explain is for --map");
	if (map && map->has_offset) {
		if (!rd->paced)
			rd->mode = ARRIVAL_NONE;
		if (rd->mode != ARRIVAL_NONE && rd->mode != ARRIVAL_RECORDED)
			die(EXIT_PERMANENT,
			    "map \"%s\" gives each record its offset: only --arrival none and recorded go with it",
			    rd->map);
	}
	rd->arrival.mode = (enum arrival_mode)rd->mode;
	rd->split.map = rd->copier.map = map;
}

static void
prepare(struct reader *rd)
{
	if (rd->fingerprint && *rd->fingerprint)
		files_recognise(rd->paths, rd->paths_n, rd->fingerprint);
	/* Small enough that tools that keep numbers in doubles show it unharmed. */
	if (!rd->seeded && getrandom(&rd->arrival.seed, sizeof rd->arrival.seed, 0) == sizeof rd->arrival.seed)
		rd->arrival.seed >>= 11;
	rd->enough = (rd->counted && rd->count == 0) || (rd->limited && rd->to < rd->from);
	rd->first = rd->catching_up && rd->catch_up >= rd->from ? rd->catch_up + 1 : rd->from;
}

/* From here on the inputs can be read and nothing else opened. Nothing of the input was looked at. */
static void
restrict_rights(struct reader *rd)
{
	struct sandbox c;
	if (rd->follows)
		follow_open(&rd->follow, rd->paths[0], NULL, 0);
	if (rd->spool.path) {
		spool_open(&rd->spool);
		spool_enter(&rd->spool, rd->shard.index);
	}
	sandbox_begin(&c, SANDBOX_CALLS);
	if (rd->spool.path)
		sandbox_read(&c, rd->spool.path);
	else if (rd->follows)
		follow_sandbox(&c, rd->paths[0], 0);
	else
		for (int i = 0; i < rd->paths_n; i++)
			if (!file_is_stdin(rd->paths[i]))
				sandbox_read(&c, rd->paths[i]);
	sandbox_end(&c);
}

/* Prints what the map makes of the first record. Returns the exit code. */
static int
explain(struct reader *rd)
{
	struct split *s = &rd->split;
	enum split_status status;
	const char *path = rd->paths[0];
	rd->fd = file_is_stdin(path) ? 0 : open(path, O_RDONLY | O_CLOEXEC);
	if (rd->fd < 0)
		die(EXIT_PERMANENT, "could not open file \"%s\": %m", path);
	rd->name = path;
	output_open(&rd->out, 1);
	split_start(s, rd->fd, false);
	while ((status = split_next(s)) == SPLIT_MORE)
		read_some(rd);
	if (status != SPLIT_RECORD)
		die(EXIT_PERMANENT, "\"%s\" %s", path, status == SPLIT_BROKEN ? buf_cstr(&s->error) : "has no record");
	bool rejected = s->reason.len || (!s->skipped && update_read(&s->record, &rd->update, &s->reason) != 0);
	map_explain(s->map, &s->record, &rd->out.buf);
	if (rejected)
		map_reason(s->map, &s->reason);
	buf_printf(&rd->out.buf, "%s%s\n",
	    rejected	 ? "rejected: "
	    : s->skipped ? "skipped"
			 : "an update",
	    buf_cstr(&s->reason));
	flush(rd);
	return rejected ? EXIT_REJECTED : EXIT_OK;
}

/* Emits the stream. Returns the exit code. */
static int
run(struct reader *rd)
{
	prepare_source(rd);
	prepare(rd);
	rd->style = display_style((enum format)rd->format, 1);
	output_open(&rd->out, 1);
	metrics_open("reader");
	restrict_rights(rd);
	rd->start = clock_now();
	metrics_set(METRIC_EMITTED, rd->from);
	metrics_set(METRIC_SIZE, rd->follows || rd->spool.path ? 0 : files_size(rd->paths, rd->paths_n));
	begin(rd);
	stream_read(rd);
	end(rd);
	if (rd->follows)
		follow_end(&rd->follow);
	return rd->code ? rd->code : rd->strict && rd->refused ? EXIT_REJECTED : EXIT_OK;
}

static struct reader reader = {
    .arrival = {.delay = {"0:1000", 0, 1000000000}, .speed = {"1", 1000000}},
    .epoch = OPTION_EPOCH_DEFAULT,
    .shard = SHARD_WHOLE,
    .copier.ahead = 1 << 20,
};

/* clang-format off */
static const struct option_spec specs[] = {
	{.name = "arrival", .letter = 'a', .type = OPTION_CHOICE, .value = &reader.mode, .given = &reader.paced,
	 .argument = "gap|offset|recorded|none",
	 .help = "random gaps; a random time each; their arriveMs; at once (default: gap)"},
	{.name = "delay-ms", .letter = 'D', .type = OPTION_CUSTOM, .value = &reader.arrival.delay, .set = delay_set,
	 .argument = "MIN:MAX", .form = "MIN:MAX, two numbers of milliseconds, the first not larger",
	 .help = "the random time's range (default: 0:1000)"},
	{.name = "speed", .letter = 'x', .type = OPTION_CUSTOM, .value = &reader.arrival.speed, .set = speed_set,
	 .argument = "X", .form = "a decimal number above 0", .help = "times as fast (default: 1)"},
	{.name = "seed", .letter = 's', .type = OPTION_COUNT, .value = &reader.arrival.seed, .argument = "N",
	 .max = UINT64_MAX, .given = &reader.seeded,
	 .help = "the same seed gives the same stream (default: random)"},
	{.name = "shard", .type = OPTION_CUSTOM, .value = &reader.shard, .set = shard_set, .argument = "I/N",
	 .help = "only the accounts of shard I of N (default: 0/1)"},
	{.name = "from", .letter = 'o', .type = OPTION_COUNT, .value = &reader.from, .argument = "OFFSET",
	 .max = VERSION_MAX - 1, .help = "emit nothing before this offset"},
	{.name = "to", .letter = 'O', .type = OPTION_COUNT, .value = &reader.to, .argument = "OFFSET",
	 .max = VERSION_MAX - 1, .given = &reader.limited, .help = "emit nothing after this offset"},
	{.name = "count", .letter = 'n', .type = OPTION_COUNT, .value = &reader.count, .argument = "N", .max = UINT64_MAX,
	 .given = &reader.counted, .help = "stop after N records of the stream"},
	{.name = "follow", .letter = 'F', .type = OPTION_FLAG, .value = &reader.follows,
	 .help = "keep reading as the file grows, one record a line"},
	OPTION_SPEC_SOURCE(&reader.source, "the source's name (default: the file's real path)", 0),
	{.name = "map", .letter = 'm', .type = OPTION_TEXT, .value = &reader.map, .argument = "NAME|FILE",
	 .help = "make updates of another format's records: see doc/maps.md"},
	{.name = "explain", .type = OPTION_ACTION, .value = &reader.explains,
	 .help = "print what the map makes of the first record, and end"},
	{.name = "strict", .type = OPTION_FLAG, .value = &reader.strict, .help = "exit 1 if a record was rejected"},
	{.name = "catch-up-to", .type = OPTION_COUNT, .value = &reader.catch_up, .argument = "OFFSET",
	 .max = VERSION_MAX - 1, .given = &reader.catching_up, .help = "wait for nothing up to this offset"},
	{.name = "fingerprint", .type = OPTION_TEXT, .value = &reader.fingerprint, .argument = "BYTES:HASH",
	 .help = "refuse a file whose first bytes are others"},
	{.name = "check", .type = OPTION_CUSTOM, .value = &reader.check, .set = check_set, .argument = "OFFSET:HASH",
	 .help = "refuse an input whose skipped update there is another"},
	{.name = "spool", .type = OPTION_TEXT, .value = &reader.spool.path, .argument = "DIR",
	 .help = "read what is copied to this folder"},
	{.name = "copy-to", .type = OPTION_TEXT, .value = &reader.copier.folder, .argument = "DIR",
	 .help = "only move standard input, or the followed file, to this folder"},
	{.name = "copy-from", .type = OPTION_COUNT, .value = &reader.copier.from, .argument = "OFFSET",
	 .max = VERSION_MAX - 1, .help = "the first record's offset there (default: 0)"},
	{.name = "copy-ahead", .type = OPTION_COUNT, .value = &reader.copier.ahead, .argument = "BYTES", .max = INT64_MAX,
	 .help = "how far ahead of its readers; 0: any distance (default: 1048576)"},
	OPTION_SPEC_CLOCK(&reader.clock, 0),
	OPTION_SPEC_EPOCH(&reader.epoch, 0),
	OPTION_SPEC_FORMAT(&reader.format, 0),
	{0},
};
/* clang-format on */

int
main(int argc, char **argv)
{
	static char *standard_input[] = {"-", NULL};
	static const struct program program = {
	    .name = "reader",
	    .usage = "[options] [FILE... | -]",
	    .purpose = "Emits the account updates of files or of standard input as NDJSON, each at its time.",
	};
	loop_init();
	int operands = options_read(&program, specs, argc, argv);
	reader.paths = operands < argc ? argv + operands : standard_input;
	reader.paths_n = operands < argc ? argc - operands : 1;
	prepare_map(&reader);
	prepare_inputs(&reader);
	if (reader.explains)
		return explain(&reader);
	if (!reader.copier.folder)
		return run(&reader);
	reader.copier.follow = reader.follows ? reader.paths[0] : NULL;
	return copier_run(&reader.copier);
}
