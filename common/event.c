/* See event.h. */
#include "event.h"

#include "time.h"

static void
open_event(struct buf *b, const char *name)
{
	buf_text(b, "{\"event\":\"");
	buf_text(b, name);
	buf_char(b, '"');
}

static void
close_event(struct buf *b, bool replayed)
{
	buf_text(b, replayed ? ",\"replayed\":true}" : "}");
}

/* These append a member; `name` is with comma, quotes and colon. A token that is empty is null. */
static inline void
add_token(struct buf *b, const char *name, struct slice token)
{
	buf_text(b, name);
	if (token.n)
		buf_slice(b, token);
	else
		buf_text(b, "null");
}

static inline void
add_number(struct buf *b, const char *name, int64_t v)
{
	buf_text(b, name);
	buf_i64(b, v);
}

static void
add_time(struct buf *b, const char *name, int64_t t)
{
	buf_text(b, name);
	buf_char(b, '"');
	buf_time(b, t);
	buf_char(b, '"');
}

static void
add_place(struct buf *b, struct slice source, int64_t offset)
{
	if (!source.n)
		return;
	add_token(b, ",\"source\":", source);
	if (offset >= 0)
		add_number(b, ",\"offset\":", offset);
}

static void
add_shard(struct buf *b, struct slice source, struct shard shard)
{
	add_token(b, ",\"source\":", source);
	buf_text(b, ",\"shard\":\"");
	buf_shard(b, shard);
	buf_char(b, '"');
}

static void
add_version(struct buf *b, struct slice id, int64_t version)
{
	buf_text(b, ",\"id\":");
	buf_json(b, id);
	add_number(b, ",\"version\":", version);
}

static void
add_trace(struct buf *b, struct slice trace)
{
	if (trace.n)
		add_token(b, ",\"trace\":", trace);
}

/* What only an update that is sampled has. */
static void
add_times(struct buf *b, const struct event_times *t)
{
	if (!t)
		return;
	if (t->read_at != NO_TIME)
		add_time(b, ",\"readAt\":", t->read_at);
	if (t->commit_at == NO_TIME)
		return;
	add_time(b, ",\"commitAt\":", t->commit_at);
	add_time(b, ",\"committedAt\":", t->committed_at);
	if (t->batch >= 0)
		add_number(b, ",\"batch\":", t->batch);
}

/* A string's token is its canonical form already where nothing in it is escaped, and an escape is always longer than
 * what it stands for. Nothing of it: null. */
static void
add_text(struct buf *b, const char *name, struct slice token, struct slice text)
{
	buf_text(b, name);
	if (!text.n)
		buf_text(b, "null");
	else if (token.n == text.n + 2)
		buf_slice(b, token);
	else
		buf_json(b, text);
}

/* Integers that were checked stand in the record as they are emitted. Not given: null. */
static void
add_integer(struct buf *b, const char *name, bool given, struct slice token, uint64_t v)
{
	buf_text(b, name);
	if (!given)
		buf_text(b, "null");
	else if (token.n)
		buf_slice(b, token);
	else
		buf_u64(b, v);
}

/* Type, tokens and callback of an update that was read from r. */
static void
add_content(struct buf *b, const struct update *u, const struct record *r)
{
	add_text(b, ",\"accountType\":", r->m[M_ACCOUNT_TYPE], u->account_type);
	add_integer(b, ",\"tokens\":", u->has_tokens, r->m[M_TOKENS], u->tokens);
	add_integer(b, ",\"callbackTimeMs\":", u->callback_ms >= 0, r->m[M_CALLBACK_TIME_MS], (uint64_t)u->callback_ms);
}

static const struct record no_record = {0};

void
event_update_begin(struct buf *b, struct slice source, int64_t offset)
{
	add_token(b, "{\"source\":", source);
	add_number(b, ",\"offset\":", offset);
}

void
event_update_body(struct buf *b, const struct update *u, const struct record *r)
{
	add_text(b, ",\"id\":", r->m[M_ID], u->id);
	add_content(b, u, r);
	add_integer(b, ",\"version\":", true, r->m[M_VERSION], (uint64_t)u->version);
	if (u->deleted)
		buf_text(b, ",\"deleted\":true");
	add_token(b, ",\"data\":", u->data);
}

void
event_update_tail(struct buf *b, struct slice trace, int64_t arrive_ms)
{
	if (arrive_ms >= 0)
		add_number(b, ",\"arriveMs\":", arrive_ms);
	add_trace(b, trace);
}

void
event_update_end(struct buf *b, struct slice trace, int64_t read_at)
{
	add_trace(b, trace);
	if (read_at != NO_TIME)
		add_time(b, ",\"readAt\":", read_at);
	buf_char(b, '}');
}

void
event_update(struct buf *b, struct slice source, const struct update *u)
{
	size_t start = b->len;
	add_place(b, source, u->offset);
	event_update_body(b, u, &no_record);
	event_update_tail(b, u->trace, u->arrive_ms);
	event_update_end(b, (struct slice){0}, NO_TIME);
	b->p[start] = '{'; /* instead of the first member's comma */
}

static void
add_fingerprint(struct buf *b, struct slice fingerprint)
{
	add_text(b, ",\"fingerprint\":", (struct slice){0}, fingerprint);
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
	add_integer(b, ",\"read\":", true, (struct slice){0}, e->read);
	add_integer(b, ",\"lastOffset\":", e->last_offset >= 0, (struct slice){0}, (uint64_t)e->last_offset);
	buf_text(b, e->complete ? ",\"complete\":true" : ",\"complete\":false");
	if (e->broken)
		buf_text(b, ",\"broken\":true");
	add_fingerprint(b, e->fingerprint);
	buf_char(b, '}');
}

static const char input_end[] = "{\"event\":\"end\",\"complete\":";

void
event_input_end(struct buf *b, bool complete)
{
	buf_text(b, input_end);
	buf_text(b, complete ? "true}" : "false}");
}

bool
event_is_input_end(struct slice line, bool *complete)
{
	size_t n = sizeof input_end - 1;
	if (line.n <= n || memcmp(line.p, input_end, n) != 0)
		return false;
	*complete = line.p[n] == 't';
	return true;
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
	buf_text(b, ",\"reason\":");
	buf_json(b, j->reason);
	if (j->line)
		add_integer(b, ",\"line\":", true, (struct slice){0}, j->line);
	buf_text(b, ",\"raw\":");
	buf_json(b, j->raw);
	add_integer(b, ",\"rawBytes\":", true, (struct slice){0}, j->raw_bytes);
	buf_text(b, j->base64 ? ",\"rawEncoding\":\"base64\"" : ",\"rawEncoding\":\"utf8\"");
}

void
event_rejected_end(struct buf *b, int64_t arrive_ms, bool replayed)
{
	if (arrive_ms >= 0)
		add_number(b, ",\"arriveMs\":", arrive_ms);
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
    int64_t due_at, int64_t fired_at, bool replayed, const struct event_times *times)
{
	open_event(b, name);
	add_place(b, source, u->offset);
	add_version(b, u->id, u->version);
	add_content(b, u, &no_record);
	add_token(b, ",\"data\":", u->data);
	add_time(b, ",\"ingestedAt\":", ingested_at);
	if (due_at != NO_TIME)
		add_time(b, ",\"dueAt\":", due_at);
	else
		buf_text(b, ",\"dueAt\":null");
	if (u->deleted)
		buf_text(b, ",\"deleted\":true");
	add_trace(b, u->trace);
	add_times(b, times);
	if (fired_at != NO_TIME)
		add_time(b, ",\"firedAt\":", fired_at);
	close_event(b, replayed);
}

void
event_ignored(struct buf *b, struct slice source, const struct update *u, const char *reason, int64_t current_version,
    int64_t ingested_at, bool replayed, const struct event_times *times)
{
	open_event(b, "ignored");
	add_place(b, source, u->offset);
	add_version(b, u->id, u->version);
	add_time(b, ",\"ingestedAt\":", ingested_at);
	add_number(b, ",\"currentVersion\":", current_version);
	buf_text(b, ",\"reason\":\"");
	buf_text(b, reason);
	buf_char(b, '"');
	add_trace(b, u->trace);
	add_times(b, times);
	close_event(b, replayed);
}

void
event_skipped_begin(struct buf *b, struct slice source, int64_t offset)
{
	open_event(b, "ignored");
	add_place(b, source, offset);
}

void
event_skipped_end(struct buf *b, int64_t arrive_ms, bool replayed)
{
	buf_text(b, ",\"reason\":\"skipped\"");
	if (arrive_ms >= 0)
		add_number(b, ",\"arriveMs\":", arrive_ms);
	close_event(b, replayed);
}

void
event_skipped(struct buf *b, struct slice source, int64_t offset, int64_t arrive_ms, bool replayed)
{
	event_skipped_begin(b, source, offset);
	event_skipped_end(b, arrive_ms, replayed);
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
	add_number(b, ",\"version\":", c->version);
}

static void
close_callback(struct buf *b, const struct event_callback *c)
{
	add_trace(b, c->trace);
	if (c->ingested_at.n)
		add_token(b, ",\"ingestedAt\":", c->ingested_at);
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
	add_number(b, ",\"latenessUs\":", fired_at - c->due_at);
	if (recovered)
		buf_text(b, ",\"recovered\":true");
	close_callback(b, c);
	buf_char(b, '}');
}

static void
add_attempts(struct buf *b, const struct event_attempt *a, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		buf_text(b, i ? ",[\"" : ",\"attemptsAt\":[[\"");
		buf_time(b, a[i].began_at);
		buf_text(b, "\",\"");
		buf_time(b, a[i].ended_at);
		buf_text(b, "\",");
		buf_json(b, slice_of(a[i].outcome));
		buf_char(b, ']');
	}
	if (n)
		buf_char(b, ']');
}

void
event_attempted(struct buf *b, struct slice fired, unsigned attempts, const struct event_attempt *a, size_t n)
{
	const char *end = memrchr(fired.p, '}', fired.n);
	buf_add(b, fired.p, (size_t)(end - fired.p));
	add_number(b, ",\"attempts\":", attempts);
	add_attempts(b, a, n);
	buf_char(b, '}');
}

void
event_failed(struct buf *b, const struct record *r, unsigned attempts, struct slice error,
    const struct event_attempt *a, size_t n)
{
	open_event(b, "failed");
	for (enum member m = M_SOURCE; m < M_COUNT; m++)
		if (record_has(r, m) && m != M_ATTEMPTS) {
			buf_printf(b, ",\"%s\":", member_name[m]);
			buf_slice(b, r->m[m]);
		}
	add_number(b, ",\"attempts\":", attempts);
	buf_text(b, ",\"error\":");
	buf_json(b, error);
	add_attempts(b, a, n);
	buf_char(b, '}');
}

void
event_cancelled(
    struct buf *b, const struct event_callback *c, int64_t superseded_by, int64_t cancelled_at, bool replayed)
{
	open_callback(b, "cancelled", c);
	add_number(b, ",\"supersededBy\":", superseded_by);
	add_time(b, ",\"dueAt\":", c->due_at);
	add_time(b, ",\"cancelledAt\":", cancelled_at);
	close_callback(b, c);
	close_event(b, replayed);
}

void
event_summary(struct buf *b, const struct event_summary *e)
{
	open_event(b, "summary");
	if (e->source.n)
		add_shard(b, e->source, e->shard);
	/* clang-format off */
	const struct {
		const char *name;
		uint64_t value;
	} all[] = {
		{"indexed", e->indexed}, {"stale", e->stale}, {"duplicate", e->duplicate}, {"conflict", e->conflict},
		{"skipped", e->skipped}, {"rejected", e->rejected}, {"restored", e->restored}, {"fired", e->fired},
		{"cancelled", e->cancelled}, {"pending", e->pending},
	};
	/* clang-format on */
	for (size_t i = 0; i < sizeof all / sizeof *all; i++)
		buf_printf(b, ",\"%s\":%llu", all[i].name, (unsigned long long)all[i].value);
	buf_char(b, '}');
}
