/* See intake.h. */
#include "batch_reader.h"

#include "log.h"

#include <errno.h>
#include <string.h>

/* Whether the line belongs to another source than the batch has records of. */
static bool
foreign(struct batch_reader *t, struct slice source)
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
add_rejected(struct batch_reader *t, struct slice line, struct slice reason, uint64_t total)
{
	struct item *it = batch_add(t->next, ITEM_REJECTED);
	batch_set_line(t->next, it, line);
	it->reason = batch_keep(t->next, reason);
	it->total = total;
	it->ingested_at = t->epoch;
	return it;
}

/* Whether the line is just what reader makes of such an update, and follows from its members: each value stands where
 * it would if nothing but the names, unescaped, were between them. */
static bool
as_reader_has_it(const struct record *r, const struct update *u, struct slice line)
{
	static const enum member order[] = {M_SOURCE, M_OFFSET, M_ID, M_ACCOUNT_TYPE, M_TOKENS, M_CALLBACK_TIME_MS,
	    M_VERSION, M_DATA, M_ARRIVE_MS, M_TRACE};
	static const unsigned char between[] = {sizeof "{source:" + 1, sizeof ",offset:" + 1, sizeof ",id:" + 1,
	    sizeof ",accountType:" + 1, sizeof ",tokens:" + 1, sizeof ",callbackTimeMs:" + 1, sizeof ",version:" + 1,
	    sizeof ",data:" + 1, sizeof ",arriveMs:" + 1, sizeof ",trace:" + 1};
	const char *at = line.p;
	for (size_t i = 0; i < sizeof order / sizeof *order; i++) {
		struct slice value = r->m[order[i]];
		if (!value.n)
			continue;
		if (value.p != at + between[i])
			return false;
		at = value.p + value.n;
	}
	/* An escape is longer than what it stands for. */
	size_t source = u->source.n ? u->source.n + 2 : 0;
	return at + 1 == line.p + line.n && r->m[M_SOURCE].n == source && (source || !record_has(r, M_OFFSET)) &&
	       r->m[M_ID].n == u->id.n + 2 && r->m[M_ACCOUNT_TYPE].n == u->account_type.n + 2 &&
	       r->m[M_DATA].n == u->data.n;
}

/* Adds an update, or a reject for what is none. `line` was parsed, `valid` says whether it is a record. Returns NULL
 * where it must wait. */
static struct item *
add_update(struct batch_reader *t, struct slice line, bool valid)
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
	if (as_reader_has_it(&t->record, u, line))
		line.n = 0;
	batch_set_update(b, it, u, line);
	if (t->virtual_clock)
		it->ingested_at = u->arrive_ms >= 0 ? t->epoch + u->arrive_ms * 1000 : t->epoch;
	return it;
}

static struct item *
add_event(struct batch_reader *t, struct slice line)
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
	batch_set_line(b, it, line);
	it->total = 0;
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
take_line(struct batch_reader *t, struct slice line, bool too_long)
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
batch_reader_take(struct batch_reader *t)
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
batch_reader_read(struct batch_reader *t)
{
	ssize_t n = lines_read(&t->in);
	if (n < 0 && errno == EAGAIN)
		return true;
	if (n < 0)
		die(EXIT_TEMPORARY, "could not read standard input: %m");
	return batch_reader_take(t) && n > 0;
}

bool
batch_reader_over(const struct batch_reader *t)
{
	return t->in.eof && !t->holds;
}

void
batch_reader_free(struct batch_reader *t)
{
	record_free(&t->record);
	update_free(&t->update);
	buf_free(&t->reason);
	buf_free(&t->room);
	buf_free(&t->in.buf);
}
