/* See prometheus.h. */
#include "prometheus.h"

#include "options.h"

#include <inttypes.h>
#include <stdio.h>

static bool open_metrics; /* what is being written */

/* In OpenMetrics a counter's samples end in _total, its own name does not. */
static void
prometheus_head(struct buf *b, const char *name, const char *type, const char *help)
{
	int n = (int)strlen(name) - (open_metrics && strcmp(type, "counter") == 0 ? (int)strlen("_total") : 0);
	buf_printf(b, "# HELP acctflow_%.*s %s\n# TYPE acctflow_%.*s %s\n", n, name, help, n, name, type);
}

static void
prometheus_gauge(struct buf *b, const char *name, const char *help, double v)
{
	prometheus_head(b, name, "gauge", help);
	buf_printf(b, "acctflow_%s %.17g\n", name, v);
}

static void
prometheus_label(struct buf *b, const char *name, const char *value)
{
	buf_printf(b, "%s=", name);
	pipelines_quote(value, b);
}

/* Appends a sample of a pipeline: NAMESUFFIX{source="…",shard="…"MORE} VALUE */
static void
prometheus_sample(
    struct buf *b, const char *name, const char *suffix, const struct pipeline *p, const char *more, double v)
{
	buf_printf(b, "acctflow_%s%s{", name, suffix);
	prometheus_label(b, "source", p->source);
	buf_char(b, ',');
	prometheus_label(b, "shard", p->shard);
	buf_printf(b, "%s} %.17g\n", more, v);
}

/* Appends to the bucket's line what was seen in it last of an update that is sampled. */
static void
prometheus_exemplar(struct buf *b, const struct metrics_exemplar *e, double unit)
{
	if (!open_metrics || !metrics_exemplified(e))
		return;
	b->len--;
	buf_printf(b, " # {trace_id=\"%016" PRIx64 "%016" PRIx64 "\"} %.17g %.6f\n", e->trace[0], e->trace[1],
	    (double)e->value / unit, (double)e->at / 1e6);
}

/* An upper bound; OpenMetrics wants a point in it. */
static void
prometheus_bound(char *le, size_t n, double bound)
{
	char text[32];
	snprintf(text, sizeof text, "%g", bound);
	snprintf(le, n, ",le=\"%s%s\"", text, open_metrics && !strpbrk(text, ".e") ? ".0" : "");
}

static void
prometheus_histogram(struct buf *b, const struct pipelines *ps, enum histogram which)
{
	static const struct {
		const char *name, *help;
		enum program_index program;
		double unit;
	} shown[HISTOGRAM_COUNT] = {{"batch_updates", "Updates in a batch.", WRITER, 1},
	    {"commit_seconds", "From handing a batch to the database to its commit.", WRITER, 1e6},
	    {"arrival_to_emitted_seconds", "From an update's arrival at writer to its event being emitted.", ACK, 1e6},
	    {"callback_lateness_seconds", "From when a callback was due to when it fired.", TIMERD, 1e6},
	    {"delivery_seconds", "From when a callback fired to when the receiver had taken it.", DELIVER, 1e6}};
	const char *name = shown[which].name;
	char le[48];
	prometheus_head(b, name, "histogram", shown[which].help);
	for (size_t k = 0; k < ps->n; k++) {
		const struct pipeline *p = &ps->all[k];
		const struct metrics_histogram *h = &p->program[shown[which].program].metrics.histogram[which];
		uint64_t sum = 0;
		for (int i = 0; i < METRICS_BUCKETS; i++) {
			snprintf(le, sizeof le, ",le=\"+Inf\"");
			if (i < METRICS_BUCKETS - 1)
				prometheus_bound(le, sizeof le, (double)metrics_bounds[which][i] / shown[which].unit);
			sum += h->count[i];
			prometheus_sample(b, name, "_bucket", p, le, (double)sum);
			prometheus_exemplar(b, &h->exemplar[i], shown[which].unit);
		}
		prometheus_sample(b, name, "_sum", p, "", (double)h->sum / shown[which].unit);
		prometheus_sample(b, name, "_count", p, "", (double)sum);
	}
}

static void
prometheus_database(const int64_t *n, struct buf *b)
{
	static const struct {
		enum db_number which;
		const char *name, *labels, *help; /* no help: of the same metric as the one before */
	} counts[] = {{DB_READ, "read_total", "", "Records committed, of all sources."},
	    {DB_INDEXED, "indexed_total", "", "Updates indexed."},
	    {DB_STALE, "ignored_total", "{reason=\"stale\"}", "Records that changed nothing, by reason."},
	    {DB_DUPLICATE, "ignored_total", "{reason=\"duplicate\"}", NULL},
	    {DB_CONFLICT, "ignored_total", "{reason=\"conflict\"}", NULL},
	    {DB_SKIPPED, "ignored_total", "{reason=\"skipped\"}", NULL},
	    {DB_FIRED, "fired_total", "", "Callbacks recorded as fired."},
	    {DB_FAILED, "failed_total", "", "Callbacks recorded as failed."},
	    {DB_CANCELLED, "cancelled_total", "", "Callbacks cancelled by a newer version."}};
	for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
		if (n[counts[i].which] < 0)
			continue;
		if (counts[i].help)
			prometheus_head(b, counts[i].name, "counter", counts[i].help);
		buf_printf(b, "acctflow_%s%s %" PRIi64 "\n", counts[i].name, counts[i].labels, n[counts[i].which]);
	}
	if (n[DB_PENDING] >= 0)
		prometheus_gauge(b, "pending_callbacks", "Callbacks that have neither fired nor been cancelled.",
		    (double)n[DB_PENDING]);
	prometheus_head(b, "rejected_total", "counter", "Records rejected, by what was wrong.");
	for (int i = DB_KINDS; i < DB_NUMBERS; i++)
		if (n[i] >= 0)
			buf_printf(b, "acctflow_rejected_total{reason=\"%s\"} %" PRIi64 "\n",
			    strchr(db_numbers[i], '.') + 1, n[i]);
}

/* Each cause once, with how often. */
static void
prometheus_restarts(const struct pipelines *ps, struct buf *b)
{
	prometheus_head(b, "restarts_total", "counter", "Restarts of the programs in this run, by cause.");
	for (size_t i = 0; i < ps->restarts; i++) {
		const struct restart *r = &ps->restart[i];
		if (!r->same)
			continue;
		buf_text(b, "acctflow_restarts_total{");
		prometheus_label(b, "program", r->program);
		buf_char(b, ',');
		prometheus_label(b, "cause", r->cause);
		buf_printf(b, "} %zu\n", r->same);
	}
}

/* Those of pipelines with a tracer. */
static void
prometheus_spans(const struct pipelines *ps, struct buf *b)
{
	static const struct {
		enum metrics_value which;
		const char *name, *more, *help; /* no help: of the same metric as the one before */
	} counts[] = {{METRIC_SPANS_EXPORTED, "trace_spans_exported_total", "", "Spans that the collector took."},
	    {METRIC_SPANS_FULL, "trace_spans_dropped_total", ",reason=\"queue_full\"",
		"Spans that it did not get, by reason."},
	    {METRIC_SPANS_REFUSED, "trace_spans_dropped_total", ",reason=\"refused\"", NULL},
	    {METRIC_SPANS_LEFT, "trace_spans_dropped_total", ",reason=\"ended\"", NULL}};
	for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
		if (counts[i].help)
			prometheus_head(b, counts[i].name, "counter", counts[i].help);
		for (size_t k = 0; k < ps->n; k++)
			if (pipeline_has(&ps->all[k], TRACER))
				prometheus_sample(b, counts[i].name, "", &ps->all[k], counts[i].more,
				    (double)ps->all[k].program[TRACER].metrics.value[counts[i].which]);
	}
}

static void
prometheus_pipelines(const struct pipelines *ps, struct buf *b)
{
	static const char *const shown[][3] = {{"batches_total", "counter", "Batches committed."},
	    {"database_retries_total", "counter", "Database work that was tried again."},
	    {"held_callbacks_total", "counter", "Callbacks that waited for the machine's leases to be renewed."},
	    {"delivery_attempts_total", "counter", "Attempts to hand a callback to the receiver."},
	    {"undelivered_callbacks", "gauge", "Callbacks that fired and are held until the receiver takes them."},
	    {"oldest_due_seconds", "gauge", "By how much the oldest pending callback is overdue."},
	    {"lag_records", "gauge", "Records read, or still in Kafka, that the database has not committed."},
	    {"lag_seconds", "gauge", "How long the oldest of them has been waiting."}};
	char label[32];
	for (size_t s = 0; s < sizeof shown / sizeof *shown; s++) {
		prometheus_head(b, shown[s][0], shown[s][1], shown[s][2]);
		for (size_t i = 0; i < ps->n; i++) {
			const struct pipeline *p = &ps->all[i];
			const _Atomic uint64_t *w = p->program[WRITER].metrics.value,
					       *a = p->program[ACK].metrics.value,
					       *d = p->program[DELIVER].metrics.value;
			const double v[] = {(double)w[METRIC_BATCHES], (double)(w[METRIC_RETRIES] + a[METRIC_RETRIES]),
			    (double)a[METRIC_HELD], pipeline_has(p, DELIVER) ? (double)d[METRIC_ATTEMPTS] : -1,
			    pipeline_has(p, DELIVER) ? (double)d[METRIC_WAITING] : -1, p->overdue,
			    (double)p->lag_records, p->lag_records < 0 ? -1 : p->lag_seconds};
			if (v[s] >= 0)
				prometheus_sample(b, shown[s][0], "", p, "", v[s]);
		}
	}
	prometheus_spans(ps, b);
	prometheus_head(b, "up", "gauge", "Whether the program runs.");
	for (size_t k = 0; k < ps->n; k++) {
		const struct pipeline *p = &ps->all[k];
		for (int i = 0; i < PROGRAMS; i++) {
			if (!pipeline_has(p, i))
				continue;
			snprintf(label, sizeof label, ",program=\"%s\"", program_names[i]);
			prometheus_sample(b, "up", "", p, label, p->program[i].state != STOPPED);
		}
	}
}

void
prometheus_write(const struct pipelines *ps, const struct database *db, bool ready, bool open, struct buf *b)
{
	open_metrics = open;
	prometheus_head(b, "build_info", "gauge", "The version that answers; always 1.");
	buf_printf(b, "acctflow_build_info{version=\"%s\"} 1\n", acctflow_version);
	prometheus_gauge(b, "ready", "Whether /readyz answers 200.", ready);
	prometheus_database(db->number, b);
	prometheus_restarts(ps, b);
	prometheus_pipelines(ps, b);
	if (ps->leases >= 0)
		prometheus_gauge(
		    b, "leases_held", "Pipelines that this machine of a fleet works on.", (double)ps->leases);
	if (db->number[DB_MACHINES] > 0)
		prometheus_gauge(
		    b, "fleet_machines", "Machines that share pipelines.", (double)db->number[DB_MACHINES]);
	prometheus_gauge(b, "spool_bytes", "Disk used for spooled input.", (double)ps->spool_bytes);
	prometheus_gauge(b, "disk_free_bytes", "Room on the disk of the state folder.", (double)ps->disk_free);
	for (int h = 0; h < HISTOGRAM_COUNT; h++)
		prometheus_histogram(b, ps, (enum histogram)h);
	if (open)
		buf_text(b, "# EOF\n");
}
