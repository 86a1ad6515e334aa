/* See spans.h. Members of an event are JSON, and are copied as they are. */
#include "spans.h"

#include "export.h"
#include "time.h"
#include "trace.h"

#include <cjson/cJSON.h>
#include <inttypes.h>
#include <stdio.h>
#include <xxhash.h>

enum kind { INTERNAL = 1, CLIENT = 3, PRODUCER = 4, CONSUMER = 5 };
/* Seeds of ids; attempts are numbered from DELIVER on. */
enum step { TRACE, READ, WAIT, COMMIT, BATCH, SCHEDULED, FIRE, DELIVER };

struct id {
	uint64_t span;
	char trace[TRACE_ID];
};

/* What the spans of an event have in common. */
struct origin {
	const struct record *r;
	struct id id; /* of the span that its traceparent names */
	bool ids;
};

struct span {
	const struct id *trace;
	uint64_t id, parent; /* parent 0: a root */
	const char *name;
	enum kind kind;
	int64_t start, end;
	const struct id *link;
	bool error;
};

/* Spans of one event, separated by commas. */
static struct buf text;
static unsigned spans;

/* --- ids */

static void
hex_write(char *p, uint64_t id)
{
	for (int i = TRACE_PARENT - 1; i >= 0; i--, id >>= 4)
		p[i] = "0123456789abcdef"[id & 15];
}

static uint64_t
hex_read(const char *p)
{
	uint64_t id = 0;
	for (int i = 0; i < TRACE_PARENT; i++)
		id = id << 4 | (uint64_t)(p[i] <= '9' ? p[i] - '0' : p[i] - 'a' + 10);
	return id;
}

/* The hash of texts, each ended by NUL. */
static XXH128_hash_t
hash_of(const struct slice *of, size_t n)
{
	static struct buf all;
	all.len = 0;
	for (size_t i = 0; i < n; i++) {
		buf_slice(&all, of[i]);
		buf_char(&all, '\0');
	}
	return XXH3_128bits(all.p, all.len);
}

static uint64_t
span_id(XXH128_hash_t of, unsigned step)
{
	uint64_t id = XXH3_64bits_withSeed(&of, sizeof of, step);
	return id ? id : 1;
}

/* A trace of our own, and its root. */
static struct id
root_id(XXH128_hash_t of, enum step root)
{
	struct id id = {.span = span_id(of, root)};
	hex_write(id.trace, of.high64);
	hex_write(id.trace + TRACE_PARENT, span_id(of, TRACE));
	return id;
}

/* --- a span, member by member */

/* In nanoseconds, as far as 64 bits go. */
static uint64_t
nanoseconds(int64_t t)
{
	return t < 0 ? 0 : t > INT64_MAX / 1000 ? (uint64_t)INT64_MAX : (uint64_t)t * 1000;
}

static void
add_hex(uint64_t id)
{
	buf_reserve(&text, TRACE_PARENT);
	hex_write(text.p + text.len, id);
	text.len += TRACE_PARENT;
}

/* The ids of a span, `name` being what they begin with. */
static void
add_ids(const char *name, const struct id *trace, uint64_t id)
{
	buf_text(&text, name);
	buf_add(&text, trace->trace, TRACE_ID);
	buf_text(&text, "\",\"spanId\":\"");
	add_hex(id);
}

/* Up to its attributes. Clocks of two machines may differ: a span ends no earlier than it starts. */
static void
span_open(const struct span *s)
{
	if (spans++)
		buf_char(&text, ',');
	add_ids("{\"traceId\":\"", s->trace, s->id);
	if (s->parent) {
		buf_text(&text, "\",\"parentSpanId\":\"");
		add_hex(s->parent);
	}
	if (s->link) {
		add_ids("\",\"links\":[{\"traceId\":\"", s->link, s->link->span);
		buf_text(&text, "\"}],\"name\":\"");
	} else {
		buf_text(&text, "\",\"name\":\"");
	}
	buf_text(&text, s->name);
	buf_text(&text, "\",\"kind\":");
	buf_char(&text, (char)('0' + s->kind));
	buf_text(&text, ",\"startTimeUnixNano\":\"");
	buf_u64(&text, nanoseconds(s->start));
	buf_text(&text, "\",\"endTimeUnixNano\":\"");
	buf_u64(&text, nanoseconds(s->end < s->start ? s->start : s->end));
	buf_text(&text, s->error ? "\",\"status\":{\"code\":2},\"attributes\":[" : "\",\"attributes\":[");
}

/* A JSON token as an attribute, if it is a string, a boolean or an integer of OTLP, which is text as JSON has 64 bits.
 */
static void
attribute(const char *name, struct slice token)
{
	uint64_t ignored;
	bool string = token.n && token.p[0] == '"', number = !string && json_integer(token, INT64_MAX, &ignored) == 0;
	if (!number && !string && !slice_is(token, "true") && !slice_is(token, "false"))
		return;
	buf_text(&text, text.p[text.len - 1] == '[' ? "{\"key\":\"" : ",{\"key\":\"");
	buf_text(&text, name);
	buf_text(&text, string	 ? "\",\"value\":{\"stringValue\":"
			: number ? "\",\"value\":{\"intValue\":\""
				 : "\",\"value\":{\"boolValue\":");
	buf_slice(&text, token);
	buf_text(&text, number ? "\"}}" : "}}");
}

/* What names the update, by OpenTelemetry's semantic conventions for messaging and in words of our own. `operation` is
 * its type, `name` its name. */
static void
attributes_update(const struct origin *o, const char *operation, const char *name)
{
	const struct slice *m = o->r->m, source = m[M_SOURCE], offset = m[M_OFFSET];
	char id[24];
	uint64_t number;
	bool kafka = source.n > 7 && memcmp(source.p, "\"kafka:", 7) == 0;
	attribute("messaging.system", kafka ? SLICE("\"kafka\"") : SLICE("\"acctflow\""));
	attribute("messaging.operation.type", slice_of(operation));
	attribute("messaging.operation.name", slice_of(name));
	attribute("messaging.destination.name", source);
	if (kafka)
		attribute("messaging.kafka.offset", offset);
	if (json_integer(offset, INT64_MAX, &number) == 0) {
		snprintf(id, sizeof id, "\"%" PRIu64 "\"", number);
		attribute("messaging.message.id", slice_of(id));
	}
	attribute("acctflow.version", m[M_VERSION]);
	if (o->ids)
		attribute("acctflow.account.id", m[M_ID]);
}

static void
attributes_database(void)
{
	attribute("db.system.name", SLICE("\"postgresql\""));
	attribute("db.operation.name", SLICE("\"COMMIT\""));
}

static void
span_close(void)
{
	buf_text(&text, "]}");
}

/* Hands over what was opened and closed. */
static void
spans_done(uint64_t key)
{
	export_spans(key, slice_buf(&text), spans);
	text.len = spans = 0;
}

/* --- spans of events */

static int64_t
time_or(const struct record *r, enum member m, int64_t otherwise)
{
	int64_t t;
	return record_time(r, m, &t) == 0 ? t : otherwise;
}

/* The batch's, once while events of the batch come. */
static struct id
spans_batch(const struct record *r, int64_t from, int64_t to)
{
	struct id id = root_id(hash_of((struct slice[]){r->m[M_SOURCE], r->m[M_BATCH]}, 2), BATCH);
	if (export_seen(id.span))
		return id;
	span_open(
	    &(struct span){.trace = &id, .id = id.span, .name = "batch", .kind = CLIENT, .start = from, .end = to});
	attributes_database();
	attribute("messaging.destination.name", r->m[M_SOURCE]);
	attribute("acctflow.batch", r->m[M_BATCH]);
	span_close();
	spans_done(id.span);
	return id;
}

/* What became of an update. One that is emitted again does not say when it was read and committed: then each of these
 * spans is a moment. */
static void
spans_update(const struct origin *o)
{
	const struct record *r = o->r;
	XXH128_hash_t hash =
	    hash_of((struct slice[]){r->m[M_TRACE], r->m[M_SOURCE], r->m[M_OFFSET], r->m[M_ID], r->m[M_VERSION]}, 5);
	uint64_t key = span_id(hash, TRACE), parent = o->id.span, read = span_id(hash, READ);
	/* Where reader began the trace, its second half names `read`. */
	if (hex_read(o->id.trace + TRACE_ID - TRACE_PARENT) == parent) {
		read = parent;
		parent = 0;
	}
	int64_t ingested;
	if (record_time(r, M_INGESTED_AT, &ingested) != 0 || export_seen(key))
		return;
	int64_t commit = time_or(r, M_COMMIT_AT, ingested), committed = time_or(r, M_COMMITTED_AT, commit);
	bool batched = record_has(r, M_BATCH);
	struct id batch = batched ? spans_batch(r, commit, committed) : (struct id){0};

	span_open(&(struct span){.trace = &o->id,
	    .id = read,
	    .parent = parent,
	    .name = "read",
	    .kind = CONSUMER,
	    .start = time_or(r, M_READ_AT, ingested),
	    .end = ingested,
	    .error = record_is(r, M_EVENT, "rejected")});
	attributes_update(o, "\"receive\"", "\"read\"");
	attribute("acctflow.verdict", r->m[record_is(r, M_EVENT, "ignored") ? M_REASON : M_EVENT]);
	attribute("acctflow.replayed", r->m[M_REPLAYED]);
	span_close();
	span_open(&(struct span){.trace = &o->id,
	    .id = span_id(hash, WAIT),
	    .parent = read,
	    .name = "wait for commit",
	    .kind = INTERNAL,
	    .start = ingested,
	    .end = commit,
	    .link = batched ? &batch : NULL});
	span_close();
	span_open(&(struct span){.trace = &o->id,
	    .id = span_id(hash, COMMIT),
	    .parent = read,
	    .name = "commit",
	    .kind = CLIENT,
	    .start = commit,
	    .end = committed});
	attributes_database();
	span_close();
	spans_done(key);
}

/* The callback's, as the events of its end say it. */
struct callback {
	const struct origin *o;
	XXH128_hash_t hash;
	const struct id *trace;
	bool failed;
};

/* [start, end, outcome]. The last attempt of a callback that fired was taken. */
static void
span_attempt(const struct callback *c, const cJSON *item, unsigned number)
{
	static struct buf outcome;
	const char *member[3];
	int64_t start, end;
	char digits[12];
	for (int i = 0; i < 3; i++)
		if (!(member[i] = cJSON_GetStringValue(cJSON_GetArrayItem(item, i))))
			return;
	if (time_parse(slice_of(member[0]), &start) != 0 || time_parse(slice_of(member[1]), &end) != 0)
		return;
	bool error = item->next || c->failed;
	outcome.len = 0;
	buf_json(&outcome, slice_of(member[2]));
	snprintf(digits, sizeof digits, "%u", number);
	span_open(&(struct span){.trace = c->trace,
	    .id = span_id(c->hash, DELIVER + number),
	    .parent = span_id(c->hash, FIRE),
	    .name = "deliver",
	    .kind = CLIENT,
	    .start = start,
	    .end = end,
	    .error = error});
	attributes_update(c->o, "\"send\"", "\"deliver\"");
	attribute("acctflow.attempt", slice_of(digits));
	attribute("acctflow.outcome", slice_buf(&outcome));
	if (error)
		attribute("error.type", slice_buf(&outcome));
	span_close();
}

/* Its `fire`, and each attempt that is known: of many the last ones. */
static void
spans_fired(const struct callback *c, int64_t due, int64_t fired)
{
	const struct record *r = c->o->r;
	uint64_t attempts;
	span_open(&(struct span){.trace = c->trace,
	    .id = span_id(c->hash, FIRE),
	    .parent = c->trace->span,
	    .name = "fire",
	    .kind = PRODUCER,
	    .start = due,
	    .end = fired,
	    .error = c->failed});
	attributes_update(c->o, "\"send\"", "\"fire\"");
	attribute("acctflow.lateness_us", r->m[M_LATENESS_US]);
	attribute("acctflow.recovered", r->m[M_RECOVERED]);
	span_close();
	cJSON *all = cJSON_ParseWithLength(r->m[M_ATTEMPTS_AT].p, r->m[M_ATTEMPTS_AT].n);
	unsigned known = (unsigned)cJSON_GetArraySize(all), number = 1;
	if (record_integer(r, M_ATTEMPTS, UINT32_MAX, &attempts) == 0 && attempts > known)
		number += (unsigned)attempts - known;
	for (cJSON *item = all ? all->child : NULL; item; item = item->next)
		span_attempt(c, item, number++);
	cJSON_Delete(all);
}

static void
spans_callback(const struct origin *o)
{
	const struct record *r = o->r;
	bool cancelled = record_is(r, M_EVENT, "cancelled");
	XXH128_hash_t hash = hash_of((struct slice[]){r->m[M_TRACE], r->m[M_ID], r->m[M_VERSION]}, 3);
	struct id id = root_id(hash, SCHEDULED);
	int64_t due, at;
	if (record_time(r, M_DUE_AT, &due) != 0 || record_time(r, cancelled ? M_CANCELLED_AT : M_FIRED_AT, &at) != 0 ||
	    export_seen(id.span))
		return;
	int64_t end = cancelled ? at : due;
	span_open(&(struct span){.trace = &id,
	    .id = id.span,
	    .name = "scheduled",
	    .kind = INTERNAL,
	    .start = time_or(r, M_INGESTED_AT, end),
	    .end = end,
	    .link = &o->id});
	attributes_update(o, "\"process\"", "\"schedule\"");
	attribute("acctflow.outcome", r->m[M_EVENT]);
	attribute("acctflow.superseded_by", r->m[M_SUPERSEDED_BY]);
	attribute("acctflow.replayed", r->m[M_REPLAYED]);
	span_close();
	if (!cancelled)
		spans_fired(&(struct callback){o, hash, &id, record_is(r, M_EVENT, "failed")}, due, at);
	spans_done(id.span);
}

void
spans_event(const struct record *r, bool ids)
{
	struct origin o = {.r = r, .ids = ids};
	if (!trace_sampled(r->m[M_TRACE]))
		return;
	struct slice trace = trace_id(r->m[M_TRACE]);
	memcpy(o.id.trace, trace.p, trace.n);
	o.id.span = hex_read(trace.p + TRACE_ID + 1);
	if (record_is(r, M_EVENT, "indexed") || record_is(r, M_EVENT, "ignored") || record_is(r, M_EVENT, "rejected"))
		spans_update(&o);
	else if (record_is(r, M_EVENT, "fired") || record_is(r, M_EVENT, "failed") ||
		 record_is(r, M_EVENT, "cancelled"))
		spans_callback(&o);
}
