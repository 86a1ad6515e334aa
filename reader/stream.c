/* See stream.h. */
#include "stream.h"

#include "event.h"
#include "log.h"
#include "loop.h"
#include "metrics.h"
#include "options.h"
#include "time.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

/* Whether the stream has offsets of its own. */
static bool
is_positioned(const struct stream *st)
{
	return st->split.map && st->split.map->has_offset;
}

/* Shows how far it is. */
static void
show(const struct stream *st)
{
	metrics_set(METRIC_EMITTED, st->ordinal > st->from ? st->ordinal : st->from);
	metrics_set(METRIC_BYTES, st->bytes - split_left(&st->split));
}

static void
flush(struct stream *st)
{
	if (st->out.buf.len && output_flush(&st->out) != 0)
		output_failed();
}

/* Emits the record that was put together in `line`. */
static void
record_close(struct stream *st)
{
	display_record(&st->out.buf, st->style, slice_buf(&st->line));
	st->line.len = 0;
	if (output_full(&st->out))
		flush(st);
}

/* Waits until fd is ready, a signal comes or the time is reached. Everything is emitted first; a consumer that goes
 * away meanwhile is noticed. */
static void
rest(struct stream *st, int fd, int64_t deadline)
{
	struct pollfd p[2] = {{.fd = fd, .events = POLLIN}, {.fd = st->out.fd}};
	show(st);
	flush(st);
	loop_wait(p, 2, deadline);
	if (p[1].revents & (POLLERR | POLLHUP)) {
		errno = EPIPE;
		output_failed();
	}
}

/* Waits for a record's arrival. Returns false where a stop signal comes first. */
static bool
arrived(struct stream *st, uint64_t ordinal, uint64_t time)
{
	if (st->clock == CLOCK_VIRTUAL || ordinal < st->first)
		return true;
	int64_t due = st->start + (int64_t)((time - st->base) / 1000);
	if (due == st->start)
		return true;
	while (clock_now() < due) {
		if (loop_stopping())
			return false;
		rest(st, -1, due);
	}
	return true;
}

static void
check_gone(const struct check *c)
{
	log_info("the record at offset %llu is gone: whether this is the stream that was read before is not known",
	    (unsigned long long)c->offset);
}

/* Compares the record that was read before with what it was then. A stream with offsets of its own may have dropped it.
 */
static void
check_record(struct stream *st, const struct held *h)
{
	struct check *c = &st->check;
	if (!c->text || c->passed || st->ordinal < c->offset)
		return;
	c->passed = true;
	if (st->ordinal > c->offset)
		check_gone(c);
	else if (!h->own || h->rejected || h->skipped || h->hash != c->hash)
		die(EXIT_PERMANENT,
		    "the input has changed: its record at offset %llu is not what it was when it was read before; "
		    "`acctflow run --again` reads it anew",
		    (unsigned long long)c->offset);
}

/* Ends an update: with a trace, if it has none and is to begin one, and with the time, if its trace is sampled. */
static void
update_end(struct stream *st, const struct held *h, uint64_t ordinal)
{
	struct slice begun = {0};
	int64_t now = NO_TIME;
	if (!h->traced && st->sample.every)
		begun = sample_trace(&st->sample, ordinal);
	if (h->sampled || begun.n)
		now = st->clock == CLOCK_VIRTUAL ? st->epoch + (int64_t)(h->time / 1000000) * 1000 : clock_now();
	event_update_end(&st->line, begun, now);
}

/* The next record of the stream: emits it at its time, if it is this shard's, and counts it. */
static void
emit(struct stream *st, const struct held *h)
{
	uint64_t ordinal = st->ordinal;
	/* A map's ordinals have gaps. */
	if (st->limited && ordinal > st->to) {
		st->ordinal = st->to + 1;
		st->enough = true;
		return;
	}
	if (ordinal < st->first)
		st->base = h->time;
	check_record(st, h);
	if (ordinal < st->from) {
		/* It was read before. */
	} else if (h->own && !arrived(st, ordinal, h->time)) {
		st->halted = true;
		return;
	} else {
		st->passed++;
		st->refused += h->rejected;
		st->read += h->own;
	}
	st->ordinal++;
	st->enough = (st->counted && st->passed == st->count) || (st->limited && ordinal >= st->to);
	if (!h->own || ordinal < st->from)
		return;
	metrics_set(METRIC_OWN, st->ordinal);
	if (h->rejected)
		event_rejected_begin(&st->line, st->token, (int64_t)ordinal, NO_TIME);
	else if (h->skipped)
		event_skipped_begin(&st->line, st->token, (int64_t)ordinal);
	else
		event_update_begin(&st->line, st->token, (int64_t)ordinal);
	buf_add(&st->line, st->reorder.text.p + h->at, h->n);
	if (!h->rejected && !h->skipped)
		update_end(st, h, ordinal);
	record_close(st);
}

/* Emits what was taken, in order of arrival. */
static void
held_emit(struct stream *st)
{
	struct reorder *o = &st->reorder;
	reorder_sort(o);
	for (size_t i = 0; i < o->len && !st->enough && !st->halted; i++)
		emit(st, &o->held[i]);
	o->len = o->text.len = 0;
}

/* Appends the text of a record that is to be emitted. */
static void
text_add(struct stream *st, const struct held *h, int64_t stamp)
{
	struct split *s = &st->split;
	struct buf *b = &st->reorder.text;
	if (h->skipped) {
		event_skipped_end(b, stamp, false);
		return;
	}
	if (!h->rejected) {
		event_update_body(b, &st->update, &s->record);
		event_update_tail(b, st->update.trace, stamp);
		return;
	}
	struct reject j = {.reason = slice_buf(&s->reason), .line = split_line(s)};
	reject_raw(&j, s->raw, s->total, &st->raw);
	event_rejected_body(b, &j);
	event_rejected_end(b, stamp, false);
}

/* Whether it is the line by which kafka-reader says that it ends, complete or asked to. */
static bool
is_end(struct stream *st)
{
	bool complete;
	if (!is_positioned(st) || !event_is_input_end(st->split.raw, &complete))
		return false;
	st->ended = true;
	st->halted = !complete;
	return true;
}

/* Takes the record that was split off. */
static void
take(struct stream *st)
{
	struct split *s = &st->split;
	struct update *u = &st->update;
	bool together = st->arrival.mode == ARRIVAL_OFFSET;
	if (is_end(st))
		return;
	if (st->partition.len && s->map->partition.n && !slice_same(s->map->partition, slice_buf(&st->partition))) {
		flush(st);
		die(EXIT_PERMANENT, "line %llu is a record of %.*s, which is not this source's partition",
		    (unsigned long long)split_line(s), (int)s->map->partition.n, s->map->partition.p);
	}
	if (!s->reason.len && record_has(&s->record, M_EVENT))
		buf_text(&s->reason, "event: not allowed in an update");
	int order = split_ordinal(s, &st->ordinal);
	if (order == 0)
		return;
	if (order < 0) {
		flush(st);
		die(EXIT_PERMANENT, "\"%s\" %s", st->name, buf_cstr(&s->error));
	}
	struct held *h = reorder_add(&st->reorder);
	h->skipped = s->skipped;
	h->rejected = !h->skipped && (s->reason.len || update_read(&s->record, u, &s->reason) != 0);
	if (h->rejected && s->map)
		map_reason(s->map, &s->reason);
	bool updates = !h->rejected && !h->skipped;
	int64_t stamp = updates ? u->arrive_ms : -1;
	h->traced = updates && u->trace.n;
	h->sampled = h->traced && trace_sampled(u->trace);
	h->time = arrival_next(&st->arrival, stamp);
	h->own = st->shard.index == (updates ? shard_of(u->id, st->shard.count) : 0);
	if (st->clock == CLOCK_VIRTUAL || (updates && st->arrival.mode == ARRIVAL_RECORDED))
		stamp = (int64_t)(h->time / 1000000);
	if (updates && st->check.text && (together || st->ordinal == st->check.offset))
		h->hash = update_hash(u);
	if (h->own && (together || st->ordinal >= st->from))
		text_add(st, h, stamp);
	h->n = st->reorder.text.len - h->at;
	if (!together)
		held_emit(st);
}

/* Hashes what was taken of the file: it leaves the buffer by the next read. */
static void
print_on(struct stream *st)
{
	if (st->print)
		fingerprint_add(st->print, (struct slice){st->split.in.buf.p, st->split.in.at});
}

/* One read. Ends the program where it fails. */
static size_t
read_some(struct stream *st)
{
	print_on(st);
	ssize_t n = split_read(&st->split);
	if (n < 0 && errno != EAGAIN) {
		int e = errno;
		flush(st);
		errno = e;
		die(e == EISDIR ? EXIT_PERMANENT : EXIT_TEMPORARY, "could not read \"%s\": %m", st->name);
	}
	n = n < 0 ? 0 : n;
	st->bytes += (size_t)n;
	return (size_t)n;
}

/* Gets more bytes, or the end of the input, waiting where neither is there. Returns false where a stop signal ends the
 * reading. */
static bool
fill(struct stream *st)
{
	struct spool *s = &st->spool;
	struct follow *f = &st->follow;
	bool plain = !s->path && !st->follows;
	struct pollfd p = {.fd = st->fd, .events = POLLIN};
	show(st);
	if (loop_wait(&p, plain, 0) == 0 && plain && !loop_stopping())
		rest(st, st->fd, -1);
	if (loop_stopping())
		return false;
	int64_t more = plain ? 1 : s->path ? spool_more(s) : follow_more(f);
	if (more < 0) {
		rest(st, s->path ? s->inotify : f->inotify, s->path ? clock_now() + 1000000 : follow_until(f));
	} else if (more == 0) {
		split_end(&st->split, true);
	} else if (s->path) {
		st->split.in.most = (size_t)more;
		s->at += read_some(st);
	} else if (st->follows) {
		st->split.in.fd = f->fd;
		follow_count(f, read_some(st));
		split_end(&st->split, false);
	} else {
		read_some(st);
	}
	return true;
}

/* Looks at what the input begins with, before its first record is taken. Returns false where it can be no input. */
static bool
guess(struct stream *st, enum split_status status)
{
	const struct buf *b = &st->split.in.buf;
	if (st->guessed || status == SPLIT_MORE || !b->len)
		return true;
	st->guessed = true;
	if (st->split.marked)
		log_warn(
		    "\"%s\" begins with a UTF-8 byte order mark, which JSON does not have: it is skipped", st->name);
	/* Of an array that comes in small pieces the beginning may be gone. */
	if (!st->ordinal && (!split_is_array(&st->split) || *b->p == '['))
		st->hopeless = file_guess(slice_buf(b), &st->hint);
	/* A map knows records of other shapes. */
	if (st->map && !st->hopeless)
		st->hint.len = 0;
	return !st->hopeless;
}

/* Goes over to what follows the input that was read to its end. Returns false where nothing does. */
static bool
input_next(struct stream *st)
{
	if (st->follows)
		follow_next(&st->follow);
	else if (!st->spool.path || !spool_next(&st->spool))
		return false;
	split_start(&st->split, st->follows ? st->follow.fd : st->fd, st->follows);
	st->guessed = false;
	return true;
}

/* Says why the input ends here. */
static void
input_broken(struct stream *st)
{
	const char *why = buf_cstr(&st->split.error);
	if (st->spool.cut && st->split.cut_off && st->spool.next == UINT64_MAX) {
		log_warn("\"%s\" %s; it was given up there, what stands before it was read", st->name, why);
		return;
	}
	log_error("\"%s\" %s; what stands before it was read", st->name, why);
	st->broken = true;
	st->code = EXIT_PERMANENT;
}

/* Reads one input to its end. Sets code, enough or halted where nothing more is to be read. */
static void
input_read(struct stream *st)
{
	while (!st->enough && !st->halted && !st->ended) {
		enum split_status status = split_next(&st->split);
		if (!guess(st, status))
			return;
		switch (status) {
		case SPLIT_RECORD:
			take(st);
			break;
		case SPLIT_MORE:
			st->halted = !fill(st);
			break;
		case SPLIT_EMPTY:
			if (input_next(st))
				break;
			if (st->spool.cut || is_positioned(st))
				return;
			log_error("\"%s\" is empty: there is no record in it", st->name);
			st->code = EXIT_PERMANENT;
			return;
		case SPLIT_END:
			if (!input_next(st))
				return;
			break;
		case SPLIT_BROKEN:
			input_broken(st);
			return;
		}
	}
}

/* Opens a file, or standard input, and reads it. */
static void
file_read(struct stream *st, const char *path)
{
	/* Not blocking, so that a named pipe without a writer does not keep a signal from being heard. */
	st->name = path;
	st->fd = file_is_stdin(path) ? 0 : open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	if (st->fd < 0) {
		log_error("could not open file \"%s\": %m", path);
		st->code = EXIT_PERMANENT;
		return;
	}
	posix_fadvise(st->fd, 0, 0, POSIX_FADV_SEQUENTIAL);
	split_start(&st->split, st->fd, false);
	if (st->lines)
		st->split.mode = SPLIT_LINES;
	st->guessed = st->lines;
	input_read(st);
	print_on(st);
	if (st->fd > 0)
		close(st->fd);
}

/* Reads a spool from the entry before --from. */
static void
spool_read(struct stream *st)
{
	struct spool *s = &st->spool;
	struct spool_entry e;
	st->name = s->path;
	st->fd = s->data;
	while (!spool_find(s, st->arrival.mode == ARRIVAL_OFFSET ? 0 : st->from, &e)) {
		if (loop_stopping()) {
			st->halted = true;
			return;
		}
		rest(st, s->inotify, clock_now() + 100000);
	}
	st->ordinal = e.ordinal;
	arrival_skip(&st->arrival, e.ordinal, (int64_t)e.arrived);
	if (st->arrival.mode != ARRIVAL_OFFSET)
		st->base = arrival_last(&st->arrival);
	st->check.passed = e.ordinal > st->check.offset;
	spool_split(s, &e, &st->split, false);
	input_read(st);
	/* A file that was followed may grow. */
	st->halted = st->halted || (s->followed && !st->enough);
}

static void
stream_read(struct stream *st)
{
	if (st->spool.path) {
		spool_read(st);
	} else if (st->follows) {
		st->name = st->paths[0];
		split_start(&st->split, st->follow.fd, true);
		input_read(st);
	} else {
		for (int i = 0; i < st->paths_n && !st->code && !st->hopeless && !st->enough && !st->halted; i++)
			file_read(st, st->paths[i]);
	}
	if (!st->halted)
		held_emit(st);
	bool unchecked =
	    st->check.text && !st->check.passed && st->from > st->check.offset && !st->halted && !st->enough;
	/* A partition that keeps nothing of what was read is none that is shorter: kafka-reader has looked. */
	if (unchecked && st->ended)
		check_gone(&st->check);
	else if (unchecked && !st->resumes)
		die(EXIT_PERMANENT,
		    "the input has changed: it ends before its record at offset %llu, which was read before; "
		    "`acctflow run --again` reads it anew",
		    (unsigned long long)st->check.offset);
	/* What looks like something else is, where nothing of it is an update. */
	if (st->hopeless || (st->hint.len && st->passed && st->passed == st->refused && !st->halted)) {
		log_error("\"%s\" %s", st->name, buf_cstr(&st->hint));
		st->code = EXIT_PERMANENT;
		st->broken = true;
	}
}

static void
begin(struct stream *st)
{
	static const char *const arrivals[] = {"gap", "offset", "recorded", "none"};
	struct buf head = {0};
	bool virtual = st->clock == CLOCK_VIRTUAL;
	if (!st->spool.path && !st->follows)
		files_fingerprint(&head, st->paths, st->paths_n, FILE_HEAD);
	event_begin(&st->line, &(struct event_begin){.source = st->token,
				   .shard = st->shard,
				   .seed = st->arrival.seed,
				   .arrival = arrivals[st->mode],
				   .delay_ms = st->arrival.delay.text,
				   .speed = st->arrival.speed.text,
				   .clock = virtual ? "virtual" : "real",
				   .fingerprint = slice_buf(&head),
				   .from = st->from,
				   .started_at = virtual ? st->epoch : st->start});
	if (head.len)
		st->print = fingerprint_new();
	record_close(st);
	flush(st);
	buf_free(&head);
}

static void
end(struct stream *st)
{
	struct buf print = {0};
	show(st);
	if (st->print)
		fingerprint_end(st->print, &print);
	event_end(&st->line, &(struct event_end){.source = st->token,
				 .shard = st->shard,
				 .read = st->read,
				 .last_offset = (int64_t)st->ordinal - 1,
				 .complete = !st->halted && !st->broken,
				 .broken = st->broken,
				 .fingerprint = slice_buf(&print)});
	record_close(st);
	flush(st);
	buf_free(&print);
	/* The supervisor says it of all shards and rounds together. */
	if (st->refused && st->shard.index == 0)
		log_at(metrics_shown() ? LOG_INFO : LOG_WARN,
		    "%llu of %llu records were rejected; they are the `rejected` events in the output, and "
		    "`acctflow rejected` lists those of a run",
		    (unsigned long long)st->refused, (unsigned long long)st->passed);
}

void
stream_emit(struct stream *st)
{
	st->start = clock_now();
	begin(st);
	stream_read(st);
	if (st->resumes && !st->ended && !st->halted && !st->enough && !st->code) {
		flush(st);
		die(EXIT_TEMPORARY, "the program feeding this one died (its input stopped without an `end` event)");
	}
	end(st);
	/* Whoever feeds us ends first: else it would look as if reader had ended by itself. */
	char more[4096];
	struct pollfd p = {.fd = 0, .events = POLLIN};
	while (
	    st->resumes && st->ended && !loop_stopping() && loop_wait(&p, 1, -1) >= 0 && read(0, more, sizeof more) > 0)
		continue;
}
