/* See event.h. */
#include "event.h"

#include "time.h"

#include <string.h>

#define LITERAL(b, text) buf_add(b, text, sizeof(text) - 1)

static void
open_event(struct buf *b, const char *name)
{
	LITERAL(b, "{\"event\":\"");
	buf_text(b, name);
	buf_char(b, '"');
}

static void
add_place(struct buf *b, struct slice source, int64_t offset)
{
	if (!source.n)
		return;
	LITERAL(b, ",\"source\":");
	buf_slice(b, source);
	if (offset >= 0) {
		LITERAL(b, ",\"offset\":");
		buf_u64(b, (uint64_t)offset);
	}
}

static void
add_shard(struct buf *b, struct slice source, struct shard shard)
{
	LITERAL(b, ",\"source\":");
	buf_slice(b, source);
	LITERAL(b, ",\"shard\":\"");
	buf_shard(b, shard);
	buf_char(b, '"');
}

static void
add_version(struct buf *b, struct slice id, int64_t version)
{
	LITERAL(b, ",\"id\":");
	buf_json(b, id);
	LITERAL(b, ",\"version\":");
	buf_u64(b, (uint64_t)version);
}

/* `name` with comma and colon. */
static void
add_time(struct buf *b, const char *name, int64_t t)
{
	buf_text(b, name);
	buf_char(b, '"');
	buf_time(b, t);
	buf_char(b, '"');
}

static void
add_token(struct buf *b, const char *name, struct slice token)
{
	buf_text(b, name);
	buf_slice(b, token);
}

static void
close_event(struct buf *b, bool replayed)
{
	if (replayed)
		LITERAL(b, ",\"replayed\":true");
	buf_char(b, '}');
}

void
event_update_begin(struct buf *b, struct slice source, int64_t offset)
{
	LITERAL(b, "{\"source\":");
	buf_slice(b, source);
	LITERAL(b, ",\"offset\":");
	buf_u64(b, (uint64_t)offset);
}

/* A string's token is its canonical form already where nothing in it is escaped, and an escape is always longer than
 * what it stands for. */
static void
add_text(struct buf *b, struct slice token, struct slice text)
{
	if (token.n == text.n + 2)
		buf_slice(b, token);
	else
		buf_json(b, text);
}

static void
add_integer(struct buf *b, const char *name, bool given, struct slice token, uint64_t v)
{
	buf_text(b, name);
	if (!given)
		LITERAL(b, "null");
	else if (token.n)
		buf_slice(b, token);
	else
		buf_u64(b, v);
}

/* Integers that were checked stand in the record as they are emitted. */
void
event_update_body(struct buf *b, const struct update *u, const struct record *r)
{
	LITERAL(b, ",\"id\":");
	add_text(b, r->m[M_ID], u->id);
	LITERAL(b, ",\"accountType\":");
	if (u->account_type.n)
		add_text(b, r->m[M_ACCOUNT_TYPE], u->account_type);
	else
		LITERAL(b, "null");
	add_integer(b, ",\"tokens\":", u->has_tokens, r->m[M_TOKENS], u->tokens);
	add_integer(b, ",\"callbackTimeMs\":", u->callback_ms >= 0, r->m[M_CALLBACK_TIME_MS], (uint64_t)u->callback_ms);
	add_integer(b, ",\"version\":", true, r->m[M_VERSION], (uint64_t)u->version);
	if (u->deleted)
		LITERAL(b, ",\"deleted\":true");
	add_token(b, ",\"data\":", u->data);
}

static void
add_arrival(struct buf *b, int64_t arrive_ms)
{
	if (arrive_ms >= 0) {
		LITERAL(b, ",\"arriveMs\":");
		buf_u64(b, (uint64_t)arrive_ms);
	}
}

void
event_update_end(struct buf *b, struct slice trace, int64_t arrive_ms)
{
	add_arrival(b, arrive_ms);
	if (trace.n)
		add_token(b, ",\"trace\":", trace);
	buf_char(b, '}');
}

void
event_update(struct buf *b, struct slice source, const struct update *u)
{
	static const struct record none = {0};
	size_t start = b->len;
	buf_char(b, '{');
	add_place(b, source, u->offset);
	event_update_body(b, u, &none);
	event_update_end(b, u->trace, u->arrive_ms);
	/* The first member has no comma. */
	memmove(b->p + start + 1, b->p + start + 2, b->len - start - 2);
	b->len--;
}

static void
add_fingerprint(struct buf *b, struct slice fingerprint)
{
	LITERAL(b, ",\"fingerprint\":");
	if (fingerprint.n)
		buf_json(b, fingerprint);
	else
		LITERAL(b, "null");
}

void
event_begin(struct buf *b, const struct event_begin *e)
{
	open_event(b, "begin");
	add_shard(b, e->source, e->shard);
	buf_printf(b, ",\"seed\":%llu,\"arrival\":\"%s\",\"delayMs\":\"%s\",\"speed\":\"%s\",\"clock\":\"%s\"",
	    (unsigned long long)e->seed, e->arrival, e->delay_ms, e->speed, e->clock);
	add_fingerprint(b, e->fingerprint);
	if (e->from)
		buf_printf(b, ",\"from\":%llu", (unsigned long long)e->from);
	add_time(b, ",\"startedAt\":", e->started_at);
	buf_char(b, '}');
}

void
event_end(struct buf *b, const struct event_end *e)
{
	open_event(b, "end");
	add_shard(b, e->source, e->shard);
	LITERAL(b, ",\"read\":");
	buf_u64(b, e->read);
	LITERAL(b, ",\"lastOffset\":");
	if (e->last_offset >= 0)
		buf_u64(b, (uint64_t)e->last_offset);
	else
		LITERAL(b, "null");
	buf_text(b, e->complete ? ",\"complete\":true" : ",\"complete\":false");
	if (e->broken)
		LITERAL(b, ",\"broken\":true");
	add_fingerprint(b, e->fingerprint);
	buf_char(b, '}');
}

void
event_rejected_begin(struct buf *b, struct slice source, int64_t offset, int64_t ingested_at)
{
	open_event(b, "rejected");
	add_place(b, source, offset);
	if (ingested_at != NO_TIME)
		add_time(b, ",\"ingestedAt\":", ingested_at);
}

void
event_rejected_body(struct buf *b, const struct reject *j)
{
	LITERAL(b, ",\"reason\":");
	buf_json(b, j->reason);
	if (j->line) {
		LITERAL(b, ",\"line\":");
		buf_u64(b, j->line);
	}
	LITERAL(b, ",\"raw\":");
	buf_json(b, j->raw);
	LITERAL(b, ",\"rawBytes\":");
	buf_u64(b, j->raw_bytes);
	buf_text(b, j->base64 ? ",\"rawEncoding\":\"base64\"" : ",\"rawEncoding\":\"utf8\"");
}

void
event_rejected_end(struct buf *b, int64_t arrive_ms, bool replayed)
{
	add_arrival(b, arrive_ms);
	close_event(b, replayed);
}

void
event_rejected(struct buf *b, struct slice source, int64_t offset, const struct reject *j, int64_t arrive_ms,
    int64_t ingested_at, bool replayed)
{
	event_rejected_begin(b, source, offset, ingested_at);
	event_rejected_body(b, j);
	event_rejected_end(b, arrive_ms, replayed);
}

void
event_indexed(struct buf *b, const char *name, struct slice source, const struct update *u, int64_t ingested_at,
    int64_t due_at, int64_t fired_at, bool replayed)
{
	open_event(b, name);
	add_place(b, source, u->offset);
	add_version(b, u->id, u->version);
	LITERAL(b, ",\"accountType\":");
	if (u->account_type.n)
		buf_json(b, u->account_type);
	else
		LITERAL(b, "null");
	LITERAL(b, ",\"tokens\":");
	if (u->has_tokens)
		buf_u64(b, u->tokens);
	else
		LITERAL(b, "null");
	LITERAL(b, ",\"callbackTimeMs\":");
	if (u->callback_ms >= 0)
		buf_u64(b, (uint64_t)u->callback_ms);
	else
		LITERAL(b, "null");
	add_token(b, ",\"data\":", u->data);
	add_time(b, ",\"ingestedAt\":", ingested_at);
	if (due_at != NO_TIME)
		add_time(b, ",\"dueAt\":", due_at);
	else
		LITERAL(b, ",\"dueAt\":null");
	if (u->deleted)
		LITERAL(b, ",\"deleted\":true");
	if (u->trace.n)
		add_token(b, ",\"trace\":", u->trace);
	if (fired_at != NO_TIME)
		add_time(b, ",\"firedAt\":", fired_at);
	close_event(b, replayed);
}

void
event_ignored(struct buf *b, struct slice source, int64_t offset, struct slice id, int64_t version, const char *reason,
    int64_t current_version, int64_t ingested_at, bool replayed)
{
	open_event(b, "ignored");
	add_place(b, source, offset);
	add_version(b, id, version);
	add_time(b, ",\"ingestedAt\":", ingested_at);
	LITERAL(b, ",\"currentVersion\":");
	buf_i64(b, current_version);
	LITERAL(b, ",\"reason\":\"");
	buf_text(b, reason);
	buf_char(b, '"');
	close_event(b, replayed);
}

void
event_caughtup(struct buf *b, struct slice source)
{
	open_event(b, "caughtup");
	add_place(b, source, -1);
	buf_char(b, '}');
}

/* What both outcomes begin with. */
static void
open_callback(struct buf *b, const char *name, const struct event_callback *c)
{
	open_event(b, name);
	if (c->source.n)
		add_token(b, ",\"source\":", c->source);
	if (c->offset.n)
		add_token(b, ",\"offset\":", c->offset);
	add_token(b, ",\"id\":", c->id);
	LITERAL(b, ",\"version\":");
	buf_u64(b, (uint64_t)c->version);
}

void
event_fired(struct buf *b, const struct event_callback *c, int64_t fired_at, bool recovered)
{
	open_callback(b, "fired", c);
	add_token(b, ",\"accountType\":", c->account_type);
	add_token(b, ",\"tokens\":", c->tokens);
	add_token(b, ",\"data\":", c->data);
	add_time(b, ",\"dueAt\":", c->due_at);
	add_time(b, ",\"firedAt\":", fired_at);
	LITERAL(b, ",\"latenessUs\":");
	buf_i64(b, fired_at - c->due_at);
	if (recovered)
		LITERAL(b, ",\"recovered\":true");
	if (c->trace.n)
		add_token(b, ",\"trace\":", c->trace);
	buf_char(b, '}');
}

void
event_cancelled(
    struct buf *b, const struct event_callback *c, int64_t superseded_by, int64_t cancelled_at, bool replayed)
{
	open_callback(b, "cancelled", c);
	LITERAL(b, ",\"supersededBy\":");
	buf_i64(b, superseded_by);
	add_time(b, ",\"dueAt\":", c->due_at);
	add_time(b, ",\"cancelledAt\":", cancelled_at);
	if (c->trace.n)
		add_token(b, ",\"trace\":", c->trace);
	close_event(b, replayed);
}

void
event_summary(struct buf *b, const struct event_summary *e)
{
	open_event(b, "summary");
	if (e->source.n)
		add_shard(b, e->source, e->shard);
	const struct {
		const char *name;
		uint64_t value;
	} all[] = {
	    {"indexed", e->indexed},
	    {"stale", e->stale},
	    {"duplicate", e->duplicate},
	    {"conflict", e->conflict},
	    {"rejected", e->rejected},
	    {"restored", e->restored},
	    {"fired", e->fired},
	    {"cancelled", e->cancelled},
	    {"pending", e->pending},
	};
	for (size_t i = 0; i < sizeof all / sizeof *all; i++)
		buf_printf(b, ",\"%s\":%llu", all[i].name, (unsigned long long)all[i].value);
	buf_char(b, '}');
}
