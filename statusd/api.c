/* The state as one JSON object, for the page and for whoever asks. Text from outside goes in escaped, or as JSON that
 * the database or a program made. */
#include "pipeline.h"

#include "time.h"
#include "options.h"

#include <inttypes.h>

static void
time_write(struct buf *b, const char *name, int64_t t)
{
	buf_printf(b, "\"%s\":", name);
	if (t <= 0) {
		buf_text(b, "null");
		return;
	}
	buf_char(b, '"');
	buf_time(b, t);
	buf_char(b, '"');
}

static void
text_write(struct buf *b, struct slice s)
{
	struct buf safe = {0};
	buf_safe(&safe, s);
	buf_json(b, slice_buf(&safe));
	buf_free(&safe);
}

/* The lines of `why` as an array. */
static void
reasons_write(struct buf *b, const struct buf *why)
{
	buf_char(b, '[');
	for (size_t at = 0, end; at < why->len; at = end + 1) {
		for (end = at; end < why->len && why->p[end] != '\n'; end++)
			continue;
		buf_text(b, at ? "," : "");
		buf_json(b, (struct slice){why->p + at, end - at});
	}
	buf_char(b, ']');
}

static uint64_t
restarts_of(const struct pipeline *p, const char *program)
{
	uint64_t n = 0;
	for (size_t i = 0; i < p->causes; i++)
		if (!program || slice_is(slice_of(program), p->cause[i].program))
			n += p->cause[i].count;
	return n;
}

static void
programs_write(const struct pipeline *p, struct buf *b)
{
	buf_text(b, ",\"programs\":[");
	for (int i = 0; i < PROGRAMS; i++) {
		const struct watched *w = &p->program[i];
		buf_printf(b, "%s{\"name\":\"%s\",\"state\":\"%s\",\"pid\":", i ? "," : "", program_names[i],
		    !w->running				? "stopped"
		    : p->now - w->stats.tick > STALE_US ? "stalled"
							: "running");
		if (w->running)
			buf_u64(b, w->stats.pid);
		else
			buf_text(b, "null");
		buf_char(b, ',');
		time_write(b, "startedAt", w->known ? w->stats.started : 0);
		buf_char(b, ',');
		time_write(b, "tickAt", w->known ? w->stats.tick : 0);
		buf_printf(b, ",\"restarts\":%" PRIu64 "}", restarts_of(p, program_names[i]));
	}
	buf_char(b, ']');
}

static void
database_write(const struct report *r, struct buf *b)
{
	buf_printf(b, ",\"database\":{\"reachable\":%s,\"schema\":", r->error.len ? "false" : "true");
	if (r->answered)
		buf_i64(b, r->schema);
	else
		buf_text(b, "null");
	buf_text(b, ",\"error\":");
	if (r->error.len)
		text_write(b, slice_buf(&r->error));
	else
		buf_text(b, "null");
	buf_char(b, ',');
	time_write(b, "askedAt", r->answered);
	buf_char(b, '}');
}

static void
totals_write(const struct pipeline *p, struct buf *b)
{
	const struct report *r = &p->report;
	uint64_t retries = 0;
	for (int i = 0; i < PROGRAMS; i++)
		retries += p->program[i].known ? p->program[i].stats.value[METRIC_RETRIES] : 0;
	const struct {
		const char *name;
		bool known;
		uint64_t v;
	} all[] = {
	    {"read", r->counted, r->read},
	    {"indexed", r->counted, r->indexed},
	    {"stale", r->counted, r->stale},
	    {"duplicate", r->counted, r->duplicate},
	    {"conflict", r->counted, r->conflict},
	    {"rejected", r->counted, r->rejected},
	    {"fired", r->settled, r->fired},
	    {"cancelled", r->settled, r->cancelled},
	    {"pending", r->settled, r->pending},
	    {"retries", true, retries},
	    {"restarts", true, restarts_of(p, NULL)},
	};
	buf_text(b, ",\"totals\":{");
	for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
		buf_printf(b, "%s\"%s\":", i ? "," : "", all[i].name);
		if (all[i].known)
			buf_u64(b, all[i].v);
		else
			buf_text(b, "null");
	}
	buf_char(b, '}');
}

static void
number_write(struct buf *b, double v)
{
	if (v < 0)
		buf_text(b, "null");
	else
		buf_printf(b, "%.6g", v);
}

static void
latency_write(const struct pipeline *p, struct buf *b)
{
	static const struct {
		const char *name;
		enum histogram which;
	} all[] = {{"commit", HISTOGRAM_COMMIT}, {"arrivalToTold", HISTOGRAM_TOLD}, {"lateness", HISTOGRAM_LATENESS}};
	buf_text(b, ",\"latency\":{");
	for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
		double p50 = pipeline_quantile(p, all[i].which, 60, 0.5),
		       p99 = pipeline_quantile(p, all[i].which, 60, 0.99);
		buf_printf(b, "%s\"%s\":{\"p50\":", i ? "," : "", all[i].name);
		number_write(b, p50 < 0 ? p50 : p50 / 1e6);
		buf_text(b, ",\"p99\":");
		number_write(b, p99 < 0 ? p99 : p99 / 1e6);
		buf_char(b, '}');
	}
	buf_char(b, '}');
}

static void
series_write(const struct pipeline *p, struct buf *b)
{
	size_t kept = p->seconds < HISTORY ? p->seconds : HISTORY;
	buf_text(b, ",\"series\":{\"step\":1,");
	time_write(b, "end", p->now);
	for (int s = 0; s < SERIES; s++) {
		buf_printf(b, ",\"%s\":[", series_names[s]);
		for (size_t i = p->seconds - kept; i < p->seconds; i++) {
			if (i > p->seconds - kept)
				buf_char(b, ',');
			number_write(b, p->second[i % HISTORY].value[s]);
		}
		buf_char(b, ']');
	}
	buf_char(b, '}');
}

static void
events_write(const struct metrics *s, bool known, struct buf *b)
{
	uint32_t n = known ? s->events_n : 0;
	uint32_t kept = n < METRICS_EVENTS ? n : METRICS_EVENTS;
	buf_text(b, ",\"events\":[");
	for (uint32_t i = 1; i <= kept; i++) {
		uint32_t at = (n - i) % METRICS_EVENTS;
		buf_text(b, i > 1 ? "," : "");
		buf_add(b, s->event[at].text, s->event[at].n);
	}
	buf_char(b, ']');
}

static void
restarts_write(const struct pipeline *p, struct buf *b)
{
	size_t kept = p->restarts < RESTARTS_SHOWN ? p->restarts : RESTARTS_SHOWN;
	buf_text(b, ",\"restarts\":[");
	for (size_t i = 1; i <= kept; i++) {
		const struct restart *r = &p->restart[(p->restarts - i) % RESTARTS_SHOWN];
		buf_printf(b, "%s{\"program\":", i > 1 ? "," : "");
		text_write(b, slice_of(r->program));
		buf_text(b, ",\"cause\":");
		text_write(b, slice_of(r->cause));
		buf_char(b, ',');
		time_write(b, "at", r->at);
		buf_char(b, '}');
	}
	buf_char(b, ']');
}

static void
input_write(const struct pipeline *p, struct buf *b)
{
	const struct watched *w = &p->program[READER];
	buf_text(b, ",\"input\":");
	if (!w->known) {
		buf_text(b, "null");
		return;
	}
	buf_text(b, "{\"source\":");
	text_write(b, (struct slice){w->stats.source, w->stats.source_n});
	buf_printf(b, ",\"told\":%" PRIu64 ",\"bytes\":%" PRIu64 ",\"size\":%" PRIu64 "}", w->stats.value[METRIC_TOLD],
	    w->stats.value[METRIC_BYTES], w->stats.value[METRIC_SIZE]);
}

static void
raw_write(struct buf *b, const char *name, const struct buf *json)
{
	buf_printf(b, ",\"%s\":", name);
	if (json->len)
		buf_slice(b, slice_buf(json));
	else
		buf_text(b, "[]");
}

void
api_write(const struct pipeline *p, const struct buf *why, struct buf *b)
{
	const struct report *r = &p->report;
	buf_printf(b, "{\"version\":\"%s\",", acctflow_version);
	time_write(b, "time", p->now);
	buf_printf(b, ",\"ready\":%s,\"reasons\":", why->len ? "false" : "true");
	reasons_write(b, why);
	database_write(r, b);
	programs_write(p, b);
	totals_write(p, b);
	raw_write(b, "sources", &r->sources);
	buf_text(b, ",\"lag\":{\"records\":");
	number_write(b, (double)p->lag_records);
	buf_text(b, ",\"seconds\":");
	number_write(b, p->lag_records < 0 ? -1 : p->lag_seconds);
	buf_char(b, '}');
	latency_write(p, b);
	input_write(p, b);
	series_write(p, b);
	raw_write(b, "pendingByDue", &r->pending_by_due);
	raw_write(b, "richest", &r->richest);
	events_write(&p->program[SETTLE].stats, p->program[SETTLE].known, b);
	raw_write(b, "rejects", &r->rejects);
	restarts_write(p, b);
	buf_printf(b, ",\"spoolBytes\":%" PRIu64 ",\"diskFreeBytes\":%" PRIu64 "}\n", p->spool_bytes, p->disk_free);
}
