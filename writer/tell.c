/* See tell.h. The order of members is fixed: the same input gives the same bytes. */
#include "tell.h"

#include "clock.h"

#include <string.h>

#define LITERAL(out, text) buf_add(out, text, sizeof(text) - 1)

static void
tell_place(struct buf *out, const struct item *it, struct slice source)
{
	if (source.n) {
		LITERAL(out, ",\"source\":");
		buf_json(out, source);
	}
	if (source.n && it->offset >= 0) {
		LITERAL(out, ",\"offset\":");
		buf_u64(out, (uint64_t)it->offset);
	}
}

static void
tell_version(struct buf *out, const struct item *it)
{
	LITERAL(out, ",\"id\":");
	buf_json(out, it->id);
	LITERAL(out, ",\"version\":");
	buf_u64(out, (uint64_t)it->version);
}

static void
tell_time(struct buf *out, const char *name, int64_t t)
{
	buf_text(out, name);
	buf_time(out, t);
	buf_char(out, '"');
}

void
tell_update(struct buf *out, const struct item *it, struct slice source)
{
	tell_place(out, it, source);
	tell_version(out, it);
	LITERAL(out, ",\"accountType\":");
	buf_json(out, it->account_type);
	LITERAL(out, ",\"tokens\":");
	buf_u64(out, it->tokens);
	LITERAL(out, ",\"callbackTimeMs\":");
	buf_u64(out, it->callback_ms);
	LITERAL(out, ",\"data\":");
	buf_slice(out, it->data);
	tell_time(out, ",\"ingestedAt\":\"", it->ingested_at);
	tell_time(out, ",\"dueAt\":\"", it->ingested_at + (int64_t)it->callback_ms * 1000);
	if (it->trace.n) {
		LITERAL(out, ",\"trace\":");
		buf_slice(out, it->trace);
	}
}

static void
tell_rejected(struct buf *out, const struct batch *b, const struct item *it)
{
	if (it->reason.n == 0) {
		/* Reader's own event, with the time added. */
		size_t n = it->line.n;
		while (n > 0 && it->line.p[n - 1] != '}')
			n--;
		buf_add(out, it->line.p, n - 1);
	} else {
		LITERAL(out, "{\"event\":\"rejected\"");
		tell_place(out, it, slice_buf(&b->source));
		LITERAL(out, ",\"reason\":");
		buf_json(out, it->reason);
		buf_char(out, ',');
		struct buf room = {0};
		struct slice line = batch_line(b, it, &room);
		record_raw(out, line, it->total ? it->total : line.n);
		buf_free(&room);
	}
	tell_time(out, ",\"ingestedAt\":\"", it->ingested_at);
}

void
tell_item(struct buf *out, const struct batch *b, const struct item *it)
{
	struct slice source = slice_buf(&b->source);
	if (it->kind == ITEM_REJECTED) {
		tell_rejected(out, b, it);
	} else if (it->kind != ITEM_UPDATE) {
		buf_slice(out, it->line);
		return;
	} else if (it->outcome == INDEXED) {
		LITERAL(out, "{\"event\":\"indexed\"");
		tell_update(out, it, source);
		if (it->fired_at != INT64_MIN)
			tell_time(out, ",\"firedAt\":\"", it->fired_at);
	} else {
		LITERAL(out, "{\"event\":\"ignored\"");
		tell_place(out, it, source);
		tell_version(out, it);
		LITERAL(out, ",\"reason\":\"");
		buf_text(out, outcome_name[it->outcome]);
		LITERAL(out, "\",\"currentVersion\":");
		buf_i64(out, it->current);
		tell_time(out, ",\"ingestedAt\":\"", it->ingested_at);
	}
	if (it->replayed)
		LITERAL(out, ",\"replayed\":true");
	buf_char(out, '}');
}
