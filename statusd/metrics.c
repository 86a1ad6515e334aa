/* The metrics in Prometheus's text format, version 0.0.4. No account id is ever a label. What is not known is left out.
 */
#include "pipeline.h"

#include "options.h"

#include <inttypes.h>

static void
head(struct buf *b, const char *name, const char *type, const char *help)
{
	buf_printf(b, "# HELP acctflow_%s %s\n# TYPE acctflow_%s %s\n", name, help, name, type);
}

static void
count(struct buf *b, const char *name, const char *help, uint64_t v)
{
	head(b, name, "counter", help);
	buf_printf(b, "acctflow_%s %" PRIu64 "\n", name, v);
}

static void
gauge(struct buf *b, const char *name, const char *help, double v)
{
	head(b, name, "gauge", help);
	buf_printf(b, "acctflow_%s %.17g\n", name, v);
}

/* A label's value: backslash, quote and newline are escaped. */
static void
label(struct buf *b, const char *value)
{
	for (; *value; value++) {
		if (*value == '\\' || *value == '"')
			buf_char(b, '\\');
		buf_char(b, *value == '\n' ? ' ' : *value);
	}
}

static void
histogram(struct buf *b, const struct pipeline *p, enum program_index owner, enum histogram which, const char *name,
    double unit, const char *help)
{
	const struct metrics_histogram *h = &p->program[owner].stats.histogram[which];
	uint64_t sum = 0;
	if (!p->program[owner].known)
		return;
	head(b, name, "histogram", help);
	for (int i = 0; i < METRICS_BUCKETS - 1; i++) {
		sum += h->count[i];
		buf_printf(
		    b, "acctflow_%s_bucket{le=\"%g\"} %" PRIu64 "\n", name, (double)metrics_bounds[which][i] / unit, sum);
	}
	sum += h->count[METRICS_BUCKETS - 1];
	buf_printf(b,
	    "acctflow_%s_bucket{le=\"+Inf\"} %" PRIu64 "\nacctflow_%s_sum %.17g\nacctflow_%s_count %" PRIu64 "\n", name,
	    sum, name, (double)h->sum / unit, name, sum);
}

/* What the database counts. */
static void
counted_write(const struct report *r, struct buf *b)
{
	if (r->counted) {
		count(b, "read_total", "Records that were committed, of all sources.", r->read);
		count(b, "indexed_total", "Updates that were indexed.", r->indexed);
		head(b, "ignored_total", "counter", "Updates that changed nothing, by reason.");
		buf_printf(b,
		    "acctflow_ignored_total{reason=\"stale\"} %" PRIu64 "\n"
		    "acctflow_ignored_total{reason=\"duplicate\"} %" PRIu64 "\n"
		    "acctflow_ignored_total{reason=\"conflict\"} %" PRIu64 "\n",
		    r->stale, r->duplicate, r->conflict);
	}
	if (r->reasoned) {
		head(b, "rejected_total", "counter", "Records that were rejected, by what was wrong with them.");
		for (int i = 0; i < REASONS; i++)
			buf_printf(
			    b, "acctflow_rejected_total{reason=\"%s\"} %" PRIu64 "\n", report_reasons[i], r->reason[i]);
	}
	if (r->settled) {
		count(b, "fired_total", "Callbacks that are recorded as fired.", r->fired);
		count(b, "cancelled_total", "Callbacks that a newer version cancelled.", r->cancelled);
		gauge(b, "pending_callbacks", "Callbacks that have neither fired nor been cancelled.",
		    (double)r->pending);
	}
}

void
metrics_write(const struct pipeline *p, bool ready, struct buf *b)
{
	head(b, "build_info", "gauge", "The version that answers; always 1.");
	buf_printf(b, "acctflow_build_info{version=\"%s\"} 1\n", acctflow_version);
	gauge(b, "ready", "Whether the database answers, its schema is right, lag is within bounds and all loops turn.",
	    ready);
	counted_write(&p->report, b);
	const struct watched *w = &p->program[WRITER], *s = &p->program[SETTLE];
	if (w->known)
		count(b, "batches_total", "Batches that were committed.", w->stats.value[METRIC_BATCHES]);
	count(b, "database_retries_total", "Database work that was tried again.",
	    (w->known ? w->stats.value[METRIC_RETRIES] : 0) + (s->known ? s->stats.value[METRIC_RETRIES] : 0));
	head(b, "restarts_total", "counter", "Ends of a program after which it was started again, by cause.");
	for (size_t i = 0; i < p->causes; i++) {
		buf_text(b, "acctflow_restarts_total{program=\"");
		label(b, p->cause[i].program);
		buf_text(b, "\",cause=\"");
		label(b, p->cause[i].cause);
		buf_printf(b, "\"} %" PRIu64 "\n", p->cause[i].count);
	}
	head(b, "up", "gauge", "Whether the program runs.");
	for (int i = 0; i < PROGRAMS; i++)
		buf_printf(b, "acctflow_up{program=\"%s\"} %d\n", program_names[i], p->program[i].running);
	if (p->lag_records >= 0) {
		gauge(b, "lag_records", "Records that reader told and the database has not committed.",
		    (double)p->lag_records);
		gauge(b, "lag_seconds", "For how long the oldest of them has been waiting.", p->lag_seconds);
	}
	gauge(b, "oldest_due_seconds", "By how much the oldest pending callback is overdue.",
	    (double)pipeline_overdue(p) / 1e6);
	gauge(b, "spool_bytes", "What is spooled of inputs that cannot be read twice.", (double)p->spool_bytes);
	gauge(b, "disk_free_bytes", "Room on the disk of the state folder.", (double)p->disk_free);
	histogram(b, p, WRITER, HISTOGRAM_BATCH, "batch_updates", 1, "Updates in a batch.");
	histogram(b, p, WRITER, HISTOGRAM_COMMIT, "commit_seconds", 1e6,
	    "From handing a batch to the database to its commit.");
	histogram(b, p, SETTLE, HISTOGRAM_TOLD, "arrival_to_told_seconds", 1e6,
	    "From an update's arrival at writer to its event having been told.");
	histogram(b, p, TIMERD, HISTOGRAM_LATENESS, "callback_lateness_seconds", 1e6,
	    "From when a callback was due to when it fired.");
}
