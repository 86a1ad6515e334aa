/* See batch_reader.h. */
#include "batch_reader.h"

#include "log.h"

#include <errno.h>
#include <string.h>

/* Whether the line belongs to another source than the batch has records of. */
static bool
is_foreign(struct batch_reader *r, struct slice source)
{
	struct batch *b = r->next;
	bool other = !slice_same(source, slice_buf(&b->source));
	for (size_t i = 0; other && i < b->n; i++)
		if (b->items[i].kind != ITEM_PASS)
			return true;
	if (other)
		batch_source(b, source);
	return false;
}

/* A line that is no record, or breaks a rule: r->reason says which. */
static struct item *
add_rejected(struct batch_reader *r, struct slice line, uint64_t total)
{
	struct reject j = {.reason = slice_buf(&r->reason)};
	reject_raw(&j, line, total, &r->scratch);
	return batch_add_reject(r->next, &j, -1);
}

/* `line` was parsed, `valid` says whether it is a record. Returns NULL where it must wait. */
static struct item *
add_update(struct batch_reader *r, struct slice line, bool valid)
{
	struct update *u = &r->update;
	if (!valid)
		record_reason(&r->reason, &r->record, line.p);
	else
		valid = update_read(&r->record, u, &r->reason) == 0;
	if (is_foreign(r, valid ? u->source : (struct slice){0}))
		return NULL;
	return valid ? batch_add_update(r->next, u) : add_rejected(r, line, line.n);
}

/* `placed`: it has a source and an offset. What was skipped without them counts nowhere. */
static enum item_kind
event_kind(const struct record *record, bool placed)
{
	bool skipped = record_is(record, M_EVENT, "ignored") && record_is(record, M_REASON, "skipped");
	return record_is(record, M_EVENT, "rejected") ? ITEM_REJECTED
	       : record_is(record, M_EVENT, "begin")  ? ITEM_BEGIN
	       : record_is(record, M_EVENT, "end")    ? ITEM_END
	       : skipped && placed		      ? ITEM_SKIPPED
						      : ITEM_PASS;
}

static struct item *
add_event(struct batch_reader *r, struct slice line)
{
	const struct record *record = &r->record;
	struct slice source = record_text(record, M_SOURCE, &r->scratch);
	uint64_t offset, arrive_ms;
	bool placed = source.n && record_integer(record, M_OFFSET, VERSION_MAX, &offset) == 0;
	enum item_kind kind = event_kind(record, placed);
	if (kind == ITEM_BEGIN && r->next->n > 0)
		return NULL;
	if (kind != ITEM_PASS && is_foreign(r, source))
		return NULL;
	if (kind == ITEM_BEGIN || kind == ITEM_END)
		r->ended = kind == ITEM_END;
	if (kind != ITEM_REJECTED && kind != ITEM_SKIPPED)
		return batch_add_event(r->next, kind, line);
	struct item *it;
	if (kind == ITEM_SKIPPED) {
		it = batch_add_skipped(r->next, (int64_t)offset);
	} else {
		struct reject j;
		reject_read(record, &j, &r->scratch);
		it = batch_add_reject(r->next, &j, placed ? (int64_t)offset : -1);
	}
	if (record_integer(record, M_ARRIVE_MS, ARRIVE_MAX, &arrive_ms) == 0)
		it->arrive_ms = (int64_t)arrive_ms;
	return it;
}

/* Adds one line. Returns false where it must wait for the next batch. */
static bool
take_line(struct batch_reader *r, struct slice line, bool too_long)
{
	struct batch *b = r->next;
	struct item *it;
	/* A reject's raw takes a third more as base64, its reason little. */
	if (b->n >= r->most || b->begins || b->ends || !batch_fits(b, 2 * line.n + 256))
		return false;
	if (too_long) {
		r->reason.len = 0;
		buf_text(&r->reason, "longer than 16 MiB");
		it = is_foreign(r, (struct slice){0}) ? NULL : add_rejected(r, line, r->in.total);
	} else {
		bool valid = record_parse_line(line, &r->record) == 0;
		it = valid && record_has(&r->record, M_EVENT) ? add_event(r, line) : add_update(r, line, valid);
	}
	if (!it)
		return false;
	it->ingested_at = it->arrive_ms < 0 ? r->epoch : r->epoch + it->arrive_ms * 1000;
	return true;
}

bool
batch_reader_take(struct batch_reader *r)
{
	for (;;) {
		enum line_status s = LINE_OK;
		if (!r->holds) {
			s = lines_next(&r->in, &r->held);
			r->held_long = s == LINE_LONG;
		}
		if (s == LINE_NONE)
			return true;
		r->holds = !take_line(r, r->held, r->held_long);
		if (r->holds)
			return false;
	}
}

bool
batch_reader_read(struct batch_reader *r)
{
	ssize_t n = lines_read(&r->in);
	if (n < 0 && errno == EAGAIN)
		return true;
	if (n < 0)
		die(EXIT_TEMPORARY, "could not read standard input: %m");
	return batch_reader_take(r) && n > 0;
}

bool
batch_reader_over(const struct batch_reader *r)
{
	return r->in.eof && !r->holds;
}
