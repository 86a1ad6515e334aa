/* See status.h. Text from outside is escaped, or is JSON that the database made. */
#include "status.h"

#include "options.h"

#include <inttypes.h>
#include <stdio.h>

enum { RESTARTS_SHOWN = 100 };

static const enum program_index owner[HISTOGRAM_COUNT] = {WRITER, WRITER, ACK, TIMERD, DELIVER};

static uint64_t
histogram_count(const struct pipelines *ps, int which, int bucket)
{
	uint64_t sum = 0;
	for (size_t i = 0; i < ps->n; i++)
		sum += ps->all[i].program[owner[which]].metrics.histogram[which].count[bucket];
	return sum;
}

void
history_add(struct history *h, const struct pipelines *ps, const struct database *db)
{
	double *s = h->second[h->seconds++ % HISTORY];
	s[READ] = (double)db->number[DB_READ];
	s[INDEXED] = (double)db->number[DB_INDEXED];
	s[REJECTED] = (double)db->number[DB_REJECTED];
	s[PENDING] = (double)db->number[DB_PENDING];
	s[FIRED] = (double)pipelines_sum(ps, TIMERD, METRIC_FIRED);
	s[LAG] = -1;
	s[LATENESS_SUM] = s[LATENESS_COUNT] = 0;
	for (size_t i = 0; i < ps->n; i++) {
		const struct pipeline *p = &ps->all[i];
		if (p->lag_records >= 0)
			s[LAG] = (s[LAG] < 0 ? 0 : s[LAG]) + (double)p->lag_records;
		s[LATENESS_SUM] += (double)p->program[TIMERD].metrics.histogram[HISTOGRAM_LATENESS].sum / 1e6;
	}
	for (int i = 0; i < METRICS_BUCKETS; i++)
		s[LATENESS_COUNT] += (double)histogram_count(ps, HISTOGRAM_LATENESS, i);
}

/* Appends "NAME":"TEXT", */
static void
json_text(struct buf *b, const char *name, const char *text)
{
	buf_printf(b, "\"%s\":", name);
	pipelines_quote(text, b);
	buf_char(b, ',');
}

/* The lines of `why`. */
static void
reasons_write(struct buf *b, const struct buf *why, bool json)
{
	for (size_t at = 0, end; at < why->len; at = end + 1) {
		for (end = at; why->p[end] != '\n'; end++)
			continue;
		if (json) {
			buf_text(b, at ? "," : "");
			buf_json(b, (struct slice){why->p + at, end - at});
		} else {
			buf_printf(b, "not ready: %.*s\n", (int)(end - at), why->p + at);
		}
	}
}

static const char *
json_bool(bool is)
{
	return is ? "true" : "false";
}

static void
json_progress(struct buf *b, const struct progress *g)
{
	buf_printf(b, "\"progress\":{\"reading\":%s,\"emitted\":%" PRIu64 ",\"bytes\":%" PRIu64 ",\"size\":%" PRIu64,
	    json_bool(g->known), g->emitted, g->bytes, g->size);
	buf_printf(b, ",\"rate\":%.6g,\"left\":%.6g}", g->rate, g->left);
}

/* The spans that tracer dropped, whatever the reason. */
static uint64_t
spans_dropped(const struct watched *w)
{
	const _Atomic uint64_t *v = w->metrics.value;
	return v[METRIC_SPANS_FULL] + v[METRIC_SPANS_REFUSED] + v[METRIC_SPANS_LEFT];
}

static void
json_pipeline(struct buf *b, const struct pipeline *p)
{
	buf_char(b, '{');
	json_text(b, "source", p->source);
	json_text(b, "shard", p->shard);
	json_progress(b, &p->progress);
	buf_printf(b, ",\"lagRecords\":%" PRIi64 ",\"lagSeconds\":%.6g,\"programs\":[", p->lag_records, p->lag_seconds);
	for (int i = p->first; i < PROGRAMS; i++) {
		if (!pipeline_has(p, i))
			continue;
		const struct watched *w = &p->program[i];
		buf_printf(b, "%s{\"name\":\"%s\",\"state\":\"%s\",\"pid\":%u", i > p->first ? "," : "",
		    program_names[i], program_states[w->state], w->metrics.pid);
		if (i == KAFKA_READER)
			buf_printf(b, ",\"behind\":%" PRIu64, w->metrics.value[METRIC_BEHIND]);
		if (i == DELIVER)
			buf_printf(b, ",\"held\":%" PRIu64, w->metrics.value[METRIC_WAITING]);
		if (i == TRACER)
			buf_printf(b, ",\"exported\":%" PRIu64 ",\"dropped\":%" PRIu64,
			    w->metrics.value[METRIC_SPANS_EXPORTED], spans_dropped(w));
		buf_printf(
		    b, ",\"startedAt\":%" PRIi64 ",\"tickAt\":%" PRIi64 "}", w->metrics.started, w->metrics.tick);
	}
	buf_text(b, "]}");
}

static void
json_series(struct buf *b, const struct history *h)
{
	static const char *const names[SERIES] = {
	    "read", "indexed", "rejected", "pending", "fired", "lag", "latenessSum", "latenessCount"};
	size_t first = h->seconds < HISTORY ? 0 : h->seconds - HISTORY;
	for (int s = 0; s < SERIES; s++) {
		buf_printf(b, "%s\"%s\":[", s ? "," : "", names[s]);
		for (size_t i = first; i < h->seconds; i++)
			buf_printf(b, i > first ? ",%.12g" : "%.12g", h->second[i % HISTORY][s]);
		buf_char(b, ']');
	}
}

static void
json_histograms(struct buf *b, const struct pipelines *ps)
{
	static const char *const names[HISTOGRAM_COUNT] = {"batch", "commit", "emitted", "lateness", "delivery"};
	for (int h = 0; h < HISTOGRAM_COUNT; h++) {
		buf_printf(b, "%s\"%s\":[", h ? "," : "", names[h]);
		for (int i = 0; i < METRICS_BUCKETS; i++)
			buf_printf(b, "%s[%" PRIu64 ",%" PRIu64 "]", i ? "," : "",
			    i < METRICS_BUCKETS - 1 ? metrics_bounds[h][i] : 0, histogram_count(ps, h, i));
		buf_char(b, ']');
	}
}

/* The exemplar of a histogram that was seen last; NULL: none. */
static const struct metrics_exemplar *
exemplar_last(const struct pipelines *ps, enum histogram which)
{
	const struct metrics_exemplar *last = NULL;
	for (size_t k = 0; k < ps->n; k++) {
		const struct metrics_exemplar *e = ps->all[k].program[owner[which]].metrics.histogram[which].exemplar;
		for (int i = 0; i < METRICS_BUCKETS; i++)
			if (metrics_exemplified(&e[i]) && (!last || e[i].at > last->at))
				last = &e[i];
	}
	return last;
}

static void
json_traces(struct buf *b, const struct pipelines *ps)
{
	static const struct {
		enum histogram which;
		const char *name;
	} shown[] = {{HISTOGRAM_EMITTED, "emitted"}, {HISTOGRAM_LATENESS, "lateness"}};
	const char *comma = "";
	for (size_t i = 0; i < sizeof shown / sizeof *shown; i++) {
		const struct metrics_exemplar *e = exemplar_last(ps, shown[i].which);
		if (!e)
			continue;
		buf_printf(b,
		    "%s{\"histogram\":\"%s\",\"value\":%" PRIu64 ",\"at\":%" PRIu64 ",\"traceId\":\"%016" PRIx64
		    "%016" PRIx64 "\"}",
		    comma, shown[i].name, e->value, e->at, e->trace[0], e->trace[1]);
		comma = ",";
	}
}

static void
json_restarts(struct buf *b, const struct pipelines *ps)
{
	for (size_t i = ps->restarts; i > 0 && i + RESTARTS_SHOWN > ps->restarts; i--) {
		const struct restart *r = &ps->restart[i - 1];
		buf_text(b, i < ps->restarts ? ",{" : "{");
		json_text(b, "program", r->program);
		json_text(b, "cause", r->cause);
		buf_printf(b, "\"at\":%" PRIi64 "}", r->at);
	}
}

void
status_json(const struct pipelines *ps, const struct database *db, const struct history *h, const struct buf *why,
    bool ending, const char *trace_url, struct buf *b)
{
	struct progress g = pipelines_progress(ps);
	buf_printf(b,
	    "{\"version\":\"%s\",\"time\":%" PRIi64 ",\"ready\":%s,\"running\":%s,\"ending\":%s,\"reasons\":[",
	    acctflow_version, ps->now, json_bool(why->len == 0), json_bool(pipelines_running(ps)), json_bool(ending));
	reasons_write(b, why, true);
	buf_printf(b,
	    "],\"database\":{\"reachable\":%s,\"schema\":%" PRIi64 ",\"answeredAt\":%" PRIi64 "},\"pipelines\":[",
	    json_bool(db->text[DB_ERROR].len == 0), db->number[DB_SCHEMA], db->answered ? db->answered + ps->shift : 0);
	for (size_t i = 0; i < ps->n; i++) {
		buf_text(b, i ? "," : "");
		json_pipeline(b, &ps->all[i]);
	}
	buf_text(b, "],");
	json_progress(b, &g);
	buf_printf(b, ",\"totals\":{\"retries\":%" PRIu64 ",\"restarts\":%zu",
	    pipelines_sum(ps, WRITER, METRIC_RETRIES) + pipelines_sum(ps, ACK, METRIC_RETRIES), ps->restarts);
	for (int i = 0; i < DB_TOTALS; i++)
		buf_printf(b, ",\"%s\":%" PRIi64, db_numbers[i], db->number[i]);
	buf_text(b, "},\"series\":{");
	json_series(b, h);
	buf_text(b, "},\"histograms\":{");
	json_histograms(b, ps);
	buf_text(b, "},");
	if (trace_url)
		json_text(b, "traceUrl", trace_url);
	buf_text(b, "\"traces\":[");
	json_traces(b, ps);
	buf_text(b, "],\"restarts\":[");
	json_restarts(b, ps);
	buf_char(b, ']');
	for (int i = DB_SOURCES; i < DB_TEXTS; i++) {
		buf_printf(b, ",\"%s\":", db_texts[i]);
		buf_slice(b, db->text[i].len ? slice_buf(&db->text[i]) : SLICE("[]"));
	}
	buf_printf(b, ",\"spoolBytes\":%" PRIu64 ",\"diskFreeBytes\":%" PRIu64 "}\n", ps->spool_bytes, ps->disk_free);
}

/* 12,345,678 */
static void
text_count(struct buf *b, uint64_t v)
{
	char digits[24];
	snprintf(digits, sizeof digits, "%" PRIu64, v);
	buf_number(b, slice_of(digits));
}

static void
text_duration(struct buf *b, double s)
{
	if (s < 120)
		buf_printf(b, "%.0f s", s);
	else if (s < 7200)
		buf_printf(b, "%.0f min", s / 60);
	else
		buf_printf(b, "%.1f h", s / 3600);
}

bool
status_progress(const struct progress *g, struct buf *b)
{
	if (!g->known)
		return false;
	if (g->size > 0)
		buf_printf(b, "%.0f %% read, ", g->bytes < g->size ? 100 * (double)g->bytes / (double)g->size : 100.0);
	text_count(b, g->emitted);
	buf_text(b, " records");
	if (g->rate >= 0) {
		buf_text(b, ", ");
		text_count(b, (uint64_t)(g->rate + 0.5));
		buf_text(b, "/s");
	}
	if (g->left >= 0) {
		buf_text(b, ", ");
		text_duration(b, g->left);
		buf_text(b, " left");
	}
	return true;
}

static void
text_program(const struct pipelines *ps, const struct pipeline *p, int i, struct buf *b)
{
	const struct watched *w = &p->program[i];
	pipelines_label(ps, p, b);
	buf_text(b, program_names[i]);
	if (w->state != STOPPED)
		buf_printf(b, "[%u]", w->metrics.pid);
	buf_printf(b, ": %s", program_states[w->state]);
	if (w->state == STALLED)
		buf_printf(b, " for %.0f s", (double)(ps->now - w->metrics.tick) / 1e6);
	if (i == KAFKA_READER && w->state != STOPPED) {
		buf_text(b, ", ");
		text_count(b, w->metrics.value[METRIC_BEHIND]);
		buf_text(b, " messages behind");
	} else if (i == READER && p->progress.known) {
		buf_text(b, ", ");
		status_progress(&p->progress, b);
	} else if (i == DELIVER && w->state != STOPPED) {
		buf_text(b, ", ");
		text_count(b, w->metrics.value[METRIC_WAITING]);
		buf_text(b, " callbacks held");
	} else if (i == TRACER && w->state != STOPPED) {
		buf_text(b, ", ");
		text_count(b, w->metrics.value[METRIC_SPANS_EXPORTED]);
		buf_text(b, " spans exported, ");
		text_count(b, spans_dropped(w));
		buf_text(b, " dropped");
	} else if (i == WRITER && p->lag_records >= 0) {
		buf_text(b, ", lag ");
		text_count(b, (uint64_t)p->lag_records);
		buf_text(b, " records, ");
		text_duration(b, p->lag_seconds);
	}
	buf_char(b, '\n');
}

void
status_text(const struct pipelines *ps, const struct database *db, const struct buf *why, bool totals, struct buf *b)
{
	for (size_t k = 0; k < ps->n; k++)
		for (int i = ps->all[k].first; i < PROGRAMS; i++)
			if (pipeline_has(&ps->all[k], i))
				text_program(ps, &ps->all[k], i, b);
	buf_text(b, pipelines_running(ps) ? "" : "no run is on\n");
	for (int i = 0; i < DB_TOTALS && totals; i++) {
		if (db->number[i] < 0)
			continue;
		buf_printf(b, "%-10s", db_numbers[i]);
		text_count(b, (uint64_t)db->number[i]);
		buf_char(b, '\n');
	}
	buf_text(b, why->len ? "" : "ready\n");
	reasons_write(b, why, false);
}
