/* See spans.h. Members of an event are JSON, and are copied as they are. */
#include "spans.h"

#include "export.h"
#include "time.h"
#include "trace.h"

#include <cjson/cJSON.h>
#include <stdio.h>
#include <xxhash.h>

/* The name of each step's span, and its kind: 1 is internal, 3 a client, 4 a producer. Each is the seed of its ids;
 * attempts are numbered from DELIVER on. */
enum step { TRACE, READ, WAIT, COMMIT, BATCH, SCHEDULED, FIRE, DELIVER };
static const char *const names[] = {
    [READ] = "read\",\"kind\":3",
    [WAIT] = "wait for commit\",\"kind\":1",
    [COMMIT] = "commit\",\"kind\":3",
    [BATCH] = "batch\",\"kind\":3",
    [SCHEDULED] = "scheduled\",\"kind\":1",
    [FIRE] = "fire\",\"kind\":4",
    [DELIVER] = "deliver\",\"kind\":3",
};

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
static void
add_time(const char *name, int64_t t)
{
	buf_text(&text, name);
	buf_u64(&text, t < 0 ? 0 : t > INT64_MAX / 1000 ? INT64_MAX / 1000 : (uint64_t)t);
	buf_text(&text, t > 0 ? "000" : "");
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
add_ids(const char *name, const char *trace, uint64_t id)
{
	buf_text(&text, name);
	buf_add(&text, trace, TRACE_ID);
	buf_text(&text, "\",\"spanId\":\"");
	add_hex(id);
}

/* Up to its attributes; parent 0: a root. Clocks of two machines may differ: a span ends no earlier than it starts. */
static void
span_open(const struct id *trace, enum step step, uint64_t id, uint64_t parent, int64_t start, int64_t end)
{
	if (spans++)
		buf_char(&text, ',');
	add_ids("{\"traceId\":\"", trace->trace, id);
	if (parent) {
		buf_text(&text, "\",\"parentSpanId\":\"");
		add_hex(parent);
	}
	buf_text(&text, "\",\"name\":\"");
	buf_text(&text, names[step]);
	add_time(",\"startTimeUnixNano\":\"", start);
	add_time("\",\"endTimeUnixNano\":\"", end < start ? start : end);
	buf_text(&text, "\",\"attributes\":[");
}

/* Ends it; `link` may be NULL. */
static void
span_close(const struct id *link, bool error)
{
	if (link)
		add_ids("],\"links\":[{\"traceId\":\"", link->trace, link->span);
	buf_text(&text, link ? "\"}]" : "]");
	buf_text(&text, error ? ",\"status\":{\"code\":2}}" : "}");
}

static void
attribute_open(const char *name, const char *type)
{
	buf_text(&text, text.p[text.len - 1] == '[' ? "{\"key\":\"" : ",{\"key\":\"");
	buf_text(&text, name);
	buf_text(&text, type);
}

/* A text without anything that JSON would escape, as an attribute. */
static void
attribute_text(const char *name, struct slice value)
{
	attribute_open(name, "\",\"value\":{\"stringValue\":\"");
	buf_slice(&text, value);
	buf_text(&text, "\"}}");
}

/* A JSON token as one, if it is a string, a boolean or an integer of OTLP, which is text as JSON has 64 bits. */
static void
attribute(const char *name, struct slice token)
{
	uint64_t ignored;
	bool string = token.n && token.p[0] == '"', number = !string && json_integer(token, INT64_MAX, &ignored) == 0;
	if (!number && !string && !slice_is(token, "true") && !slice_is(token, "false"))
		return;
	attribute_open(name, string   ? "\",\"value\":{\"stringValue\":"
			     : number ? "\",\"value\":{\"intValue\":\""
				      : "\",\"value\":{\"boolValue\":");
	buf_slice(&text, token);
	buf_text(&text, number ? "\"}}" : "}}");
}

/* Where the update came from, and its place there. A partition of Kafka is the source "kafka:NAME/TOPIC/PARTITION". */
static void
attributes_source(struct slice source, struct slice offset)
{
	static const char prefix[] = "\"kafka:";
	bool kafka = source.n > sizeof prefix && memcmp(source.p, prefix, sizeof prefix - 1) == 0;
	const char *end = source.p + source.n - 1, *last = kafka ? memrchr(source.p, '/', source.n) : NULL;
	const char *topic = last ? memrchr(source.p, '/', (size_t)(last - source.p)) : NULL;
	attribute_text("messaging.system", topic ? SLICE("kafka") : SLICE("acctflow"));
	if (topic) {
		attribute_text("messaging.destination.name", (struct slice){topic + 1, (size_t)(last - topic - 1)});
		attribute_text(
		    "messaging.destination.partition.id", (struct slice){last + 1, (size_t)(end - last - 1)});
		attribute("messaging.kafka.offset", offset);
	} else {
		attribute("messaging.destination.name", source);
	}
	uint64_t ignored;
	if (json_integer(offset, INT64_MAX, &ignored) == 0)
		attribute_text("messaging.message.id", offset);
}

/* What names the update, by OpenTelemetry's semantic conventions for messaging and in words of our own. `operation` is
 * "receive" or "send"; NULL: the span is of nothing with a broker. */
static void
attributes_update(const struct origin *o, const char *operation, const char *name)
{
	const struct slice *m = o->r->m;
	attributes_source(m[M_SOURCE], m[M_OFFSET]);
	if (operation) {
		attribute_text("messaging.operation.type", slice_of(operation));
		attribute_text("messaging.operation.name", slice_of(name));
	}
	attribute("acctflow.version", m[M_VERSION]);
	if (o->ids)
		attribute("acctflow.account.id", m[M_ID]);
}

static void
attributes_database(void)
{
	attribute_text("db.system.name", SLICE("postgresql"));
	attribute_text("db.operation.name", SLICE("COMMIT"));
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

/* The batch's, once. */
static struct id
spans_batch(const struct record *r, int64_t from, int64_t to)
{
	struct id id = root_id(hash_of((struct slice[]){r->m[M_SOURCE], r->m[M_BATCH]}, 2), BATCH);
	if (export_seen(id.span))
		return id;
	span_open(&id, BATCH, id.span, 0, from, to);
	attributes_database();
	attribute("messaging.destination.name", r->m[M_SOURCE]);
	attribute("acctflow.batch", r->m[M_BATCH]);
	span_close(NULL, false);
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
	if (trace_hex(o->id.trace + TRACE_ID - TRACE_PARENT) == parent) {
		read = parent;
		parent = 0;
	}
	int64_t ingested;
	if (record_time(r, M_INGESTED_AT, &ingested) != 0 || export_seen(key))
		return;
	int64_t commit = time_or(r, M_COMMIT_AT, ingested), committed = time_or(r, M_COMMITTED_AT, commit);
	bool batched = record_has(r, M_BATCH);
	struct id batch = batched ? spans_batch(r, commit, committed) : (struct id){0};

	span_open(&o->id, READ, read, parent, time_or(r, M_READ_AT, ingested), ingested);
	attributes_update(o, "receive", "read");
	attribute("acctflow.verdict", r->m[record_is(r, M_EVENT, "ignored") ? M_REASON : M_EVENT]);
	attribute("acctflow.replayed", r->m[M_REPLAYED]);
	span_close(NULL, false);
	span_open(&o->id, WAIT, span_id(hash, WAIT), read, ingested, commit);
	span_close(batched ? &batch : NULL, false);
	span_open(&o->id, COMMIT, span_id(hash, COMMIT), read, commit, committed);
	attributes_database();
	span_close(NULL, false);
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
	span_open(c->trace, DELIVER, span_id(c->hash, DELIVER + number), span_id(c->hash, FIRE), start, end);
	attributes_update(c->o, "send", "deliver");
	attribute("acctflow.attempt", slice_of(digits));
	attribute("acctflow.outcome", slice_buf(&outcome));
	if (error)
		attribute("error.type", slice_buf(&outcome));
	span_close(NULL, error);
}

/* Its `fire`, and each attempt that is known: of many the last ones. */
static void
spans_fired(const struct callback *c, int64_t due, int64_t fired)
{
	const struct record *r = c->o->r;
	uint64_t attempts;
	span_open(c->trace, FIRE, span_id(c->hash, FIRE), c->trace->span, due, fired);
	attributes_update(c->o, "send", "fire");
	attribute("acctflow.lateness_us", r->m[M_LATENESS_US]);
	attribute("acctflow.recovered", r->m[M_RECOVERED]);
	if (c->failed)
		attribute("error.type", r->m[M_EVENT]);
	span_close(NULL, c->failed);
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
	span_open(&id, SCHEDULED, id.span, 0, time_or(r, M_INGESTED_AT, end), end);
	attributes_update(o, NULL, NULL);
	attribute("acctflow.outcome", r->m[M_EVENT]);
	attribute("acctflow.superseded_by", r->m[M_SUPERSEDED_BY]);
	attribute("acctflow.replayed", r->m[M_REPLAYED]);
	span_close(&o->id, false);
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
	o.id.span = trace_hex(trace.p + TRACE_ID + 1);
	if (record_is(r, M_EVENT, "indexed") || record_is(r, M_EVENT, "ignored"))
		spans_update(&o);
	else if (record_is(r, M_EVENT, "fired") || record_is(r, M_EVENT, "failed") ||
		 record_is(r, M_EVENT, "cancelled"))
		spans_callback(&o);
}
