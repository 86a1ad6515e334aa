/* See intake.h. */
#include "intake.h"

#include "log.h"

#include <errno.h>
#include <string.h>

/* Whether the line belongs to another source than the batch has records of. */
static bool
foreign(struct intake *t, struct slice source)
{
	struct batch *b = t->next;
	bool other = !slice_same(source, slice_buf(&b->source));
	for (size_t i = 0; other && i < b->n; i++)
		if (b->items[i].kind != ITEM_PASS)
			return true;
	b->source.len = 0;
	buf_slice(&b->source, source);
	return false;
}

static struct item *
add_rejected(struct intake *t, struct slice line, struct slice reason, uint64_t total)
{
	struct item *it = batch_add(t->next, ITEM_REJECTED);
	it->line = batch_text(t->next, line);
	it->reason = batch_keep(t->next, reason);
	it->total = total;
	it->ingested_at = t->epoch;
	return it;
}

/* How much of a line is the beginning that reader makes, which need not be kept: it follows from source and offset. */
static size_t
start_length(struct intake *t, struct slice line, const struct update *u)
{
	struct buf *start = &t->start;
	if (!u->source.n)
		return 0;
	if (!slice_same(slice_buf(&t->start_of), u->source)) {
		t->start_of.len = start->len = 0;
		buf_slice(&t->start_of, u->source);
		batch_line_start(start, u->source);
	}
	if (line.n <= start->len || memcmp(line.p, start->p, start->len) != 0)
		return 0;
	size_t n = start->len;
	while (n < line.n && line.p[n] >= '0' && line.p[n] <= '9')
		n++;
	return n > start->len ? n : 0;
}

/* A slice of the line, or of the room where it was unescaped or compacted, which the next line takes again: as it lies
 * in the batch's text. */
static struct slice
settle_slice(struct batch *b, struct slice line, struct slice kept, const struct buf *room, struct slice s)
{
	uintptr_t p = (uintptr_t)s.p, in_line = (uintptr_t)line.p, in_room = (uintptr_t)room->p;
	if (s.n && p >= in_line && p < in_line + line.n)
		return (struct slice){kept.p + (p - in_line), s.n};
	return s.n && p >= in_room && p < in_room + room->len ? batch_text(b, s) : s;
}

/* Adds an update, or a reject for what is none. `line` was parsed, `valid` says whether it is a record. Returns NULL
 * where it must wait. */
static struct item *
add_update(struct intake *t, struct slice line, bool valid)
{
	struct batch *b = t->next;
	struct update *u = &t->update;
	if (!valid)
		record_reason(&t->reason, &t->record, line.p);
	else
		valid = update_read(&t->record, u, &t->reason) == 0;
	struct slice source = valid ? u->source : (struct slice){0};
	if (foreign(t, source))
		return NULL;
	if (!valid)
		return add_rejected(t, line, slice_buf(&t->reason), line.n);

	struct item *it = batch_add(b, ITEM_UPDATE);
	size_t start = start_length(t, line, u);
	line = (struct slice){line.p + start, line.n - start};
	it->cut = start > 0;
	it->line = batch_text(b, line);
	it->offset = source.n ? u->offset : -1;
	it->id = settle_slice(b, line, it->line, &u->room, u->id);
	it->account_type = settle_slice(b, line, it->line, &u->room, u->account_type);
	it->data = settle_slice(b, line, it->line, &u->room, u->data);
	it->trace = settle_slice(b, line, it->line, &u->room, u->trace);
	it->tokens = u->tokens;
	it->callback_ms = u->callback_ms;
	it->version = u->version;
	if (t->virtual_clock)
		it->ingested_at = u->arrive_ms >= 0 ? t->epoch + u->arrive_ms * 1000 : t->epoch;
	return it;
}

static struct item *
add_event(struct intake *t, struct slice line)
{
	struct batch *b = t->next;
	const struct record *r = &t->record;
	enum item_kind kind = record_is(r, M_EVENT, "rejected") ? ITEM_REJECTED
			      : record_is(r, M_EVENT, "begin")	? ITEM_BEGIN
			      : record_is(r, M_EVENT, "end")	? ITEM_END
								: ITEM_PASS;
	if (kind == ITEM_BEGIN && b->n > 0)
		return NULL;
	t->room.len = 0;
	if (kind != ITEM_PASS && foreign(t, record_text(r, M_SOURCE, &t->room)))
		return NULL;
	struct item *it = batch_add(b, kind);
	uint64_t offset;
	if (record_has(r, M_SOURCE) && record_integer(r, M_OFFSET, VERSION_MAX, &offset) == 0)
		it->offset = (int64_t)offset;
	it->line = batch_text(b, line);
	it->ingested_at = t->epoch;
	b->begins |= kind == ITEM_BEGIN;
	b->ends |= kind == ITEM_END;
	t->ended |= kind == ITEM_END;
	if (kind == ITEM_BEGIN)
		t->ended = false;
	return it;
}

/* Adds one line. Returns false where it must wait for the next batch. */
static bool
take_line(struct intake *t, struct slice line, bool too_long)
{
	struct batch *b = t->next;
	/* Text is taken twice at most: as it is, and unescaped or compacted. */
	if (b->n >= t->most || b->begins || b->ends || !batch_room(b, 2 * line.n))
		return false;
	if (too_long)
		return !foreign(t, (struct slice){0}) &&
		       add_rejected(t, line, SLICE("longer than 16 MiB"), t->in.total);
	bool valid = record_parse_line(line, &t->record) == 0;
	return valid && record_has(&t->record, M_EVENT) ? add_event(t, line) : add_update(t, line, valid);
}

bool
intake_take(struct intake *t)
{
	for (;;) {
		enum line_status s = LINE_OK;
		if (!t->holds) {
			s = lines_next(&t->in, &t->held);
			t->held_long = s == LINE_LONG;
		}
		if (s == LINE_NONE)
			return true;
		t->holds = !take_line(t, t->held, t->held_long);
		if (t->holds)
			return false;
	}
}

bool
intake_read(struct intake *t)
{
	ssize_t n = lines_read(&t->in);
	if (n < 0 && errno == EAGAIN)
		return true;
	if (n < 0)
		die(EXIT_TEMPORARY, "could not read standard input: %m");
	return intake_take(t) && n > 0;
}

bool
intake_over(const struct intake *t)
{
	return t->in.eof && !t->holds;
}

void
intake_free(struct intake *t)
{
	record_free(&t->record);
	update_free(&t->update);
	buf_free(&t->reason);
	buf_free(&t->room);
	buf_free(&t->start);
	buf_free(&t->start_of);
	buf_free(&t->in.buf);
}
