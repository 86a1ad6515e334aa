/* See tell.h. The order of members is fixed: the same input gives the same bytes. */
#include "tell.h"

#include "time.h"

#include <string.h>

#define LITERAL(out, text) buf_add(out, text, sizeof(text) - 1)

static void
tell_place(struct buf *out, struct slice source, int64_t offset)
{
	if (source.n) {
		LITERAL(out, ",\"source\":");
		buf_json(out, source);
	}
	if (source.n && offset >= 0) {
		LITERAL(out, ",\"offset\":");
		buf_u64(out, (uint64_t)offset);
	}
}

static void
tell_version(struct buf *out, struct slice id, int64_t version)
{
	LITERAL(out, ",\"id\":");
	buf_json(out, id);
	LITERAL(out, ",\"version\":");
	buf_u64(out, (uint64_t)version);
}

static void
tell_time(struct buf *out, const char *name, int64_t t)
{
	buf_text(out, name);
	buf_time(out, t);
	buf_char(out, '"');
}

void
tell_update(struct buf *out, const struct update *u, int64_t ingested_at)
{
	tell_place(out, u->source, u->offset);
	tell_version(out, u->id, u->version);
	LITERAL(out, ",\"accountType\":");
	buf_json(out, u->account_type);
	LITERAL(out, ",\"tokens\":");
	buf_u64(out, u->tokens);
	LITERAL(out, ",\"callbackTimeMs\":");
	buf_u64(out, u->callback_ms);
	LITERAL(out, ",\"data\":");
	buf_slice(out, u->data);
	tell_time(out, ",\"ingestedAt\":\"", ingested_at);
	tell_time(out, ",\"dueAt\":\"", ingested_at + (int64_t)u->callback_ms * 1000);
	if (u->trace.n) {
		LITERAL(out, ",\"trace\":");
		buf_slice(out, u->trace);
	}
}

static void
tell_rejected(struct buf *out, const struct batch *b, const struct item *it)
{
	struct slice line = item_line(b, it);
	if (!it->reason) {
		/* Reader's own event, with the time added. */
		while (line.n > 0 && line.p[line.n - 1] != '}')
			line.n--;
		buf_add(out, line.p, line.n - 1);
	} else {
		struct buf room = {0};
		LITERAL(out, "{\"event\":\"rejected\"");
		tell_place(out, slice_buf(&b->source), it->offset);
		LITERAL(out, ",\"reason\":");
		buf_json(out, slice_of(it->reason));
		buf_char(out, ',');
		line = batch_line(b, it, &room);
		record_raw(out, line, it->total ? it->total : line.n);
		buf_free(&room);
	}
	tell_time(out, ",\"ingestedAt\":\"", it->ingested_at);
}

void
tell_item(struct buf *out, const struct batch *b, const struct item *it)
{
	if (it->kind == ITEM_REJECTED) {
		tell_rejected(out, b, it);
	} else if (it->kind != ITEM_UPDATE) {
		buf_slice(out, item_line(b, it));
		return;
	} else if (it->outcome == INDEXED) {
		struct update u = batch_update(b, it);
		LITERAL(out, "{\"event\":\"indexed\"");
		tell_update(out, &u, it->ingested_at);
		if (it->fired_at != INT64_MIN)
			tell_time(out, ",\"firedAt\":\"", it->fired_at);
	} else {
		LITERAL(out, "{\"event\":\"ignored\"");
		tell_place(out, slice_buf(&b->source), it->offset);
		tell_version(out, item_id(b, it), it->version);
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
