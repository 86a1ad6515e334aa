/* The same figures on a terminal, for `supervisor run` and `supervisor status`. */
#include "show.h"

#include "time.h"

#include <inttypes.h>
#include <stdio.h>

/* 12,345,678 */
static void
count_write(struct buf *b, uint64_t v)
{
	char text[32];
	int n = snprintf(text, sizeof text, "%" PRIu64, v);
	for (int i = 0; i < n; i++) {
		if (i && (n - i) % 3 == 0)
			buf_char(b, ',');
		buf_char(b, text[i]);
	}
}

static void
duration_write(struct buf *b, double s)
{
	if (s < 120)
		buf_printf(b, "%.0f s", s);
	else if (s < 7200)
		buf_printf(b, "%.0f min", s / 60);
	else
		buf_printf(b, "%.1f h", s / 3600);
}

/* Records a second: of the last seconds where those are known, else since reader started. */
static double
rate(const struct pipeline *p)
{
	enum { LAST = 5 };
	const struct metrics *s = &p->program[READER].stats;
	if (p->seconds > LAST) {
		int64_t before = p->second[(p->seconds - 1 - LAST) % HISTORY].told;
		int64_t now = p->second[(p->seconds - 1) % HISTORY].told;
		if (before >= 0 && now >= before)
			return (double)(now - before) / LAST;
	}
	double since = (double)(p->now - s->started) / 1e6;
	return since > 0 ? (double)s->value[METRIC_TOLD] / since : 0;
}

bool
show_progress(const struct pipeline *p, struct buf *b)
{
	const struct watched *w = &p->program[READER];
	if (!w->running)
		return false;
	const struct metrics *s = &w->stats;
	double bytes = (double)s->value[METRIC_BYTES], size = (double)s->value[METRIC_SIZE];
	double since = (double)(p->now - s->started) / 1e6;
	if (size > 0)
		buf_printf(b, "%.0f %% read, ", bytes < size ? 100 * bytes / size : 100);
	count_write(b, s->value[METRIC_TOLD]);
	buf_text(b, " records, ");
	count_write(b, (uint64_t)rate(p));
	buf_text(b, "/s");
	if (size > bytes && bytes > 0 && since > 1) {
		buf_text(b, ", ");
		duration_write(b, since * (size - bytes) / bytes);
		buf_text(b, " left");
	}
	return true;
}

static void
latency_write(const struct pipeline *p, enum histogram which, const char *name, struct buf *b)
{
	double p50 = pipeline_quantile(p, which, 60, 0.5), p99 = pipeline_quantile(p, which, 60, 0.99);
	if (p50 >= 0)
		buf_printf(b, "%-10s%.1f ms half of them, %.1f ms 99 %%\n", name, p50 / 1e3, p99 / 1e3);
}

void
show_status(const struct pipeline *p, const struct buf *why_not_ready, bool totals, struct buf *b)
{
	const struct report *r = &p->report;
	buf_printf(b, "%-10s", "programs");
	for (int i = 0; i < PROGRAMS; i++) {
		const struct watched *w = &p->program[i];
		bool still = w->running && p->now - w->stats.tick > STALE_US;
		buf_printf(b, "%s%s %s", i ? ", " : "", program_names[i],
		    !w->running ? "stopped"
		    : still	? "stands still"
				: "runs");
	}
	buf_printf(b, "\n%-10s", "input");
	if (show_progress(p, b)) {
		buf_text(b, " of ");
		buf_safe(b, (struct slice){p->program[READER].stats.source, p->program[READER].stats.source_n});
	} else {
		buf_text(b, "none is read");
	}
	if (p->lag_records >= 0) {
		buf_printf(b, "\n%-10s", "lag");
		count_write(b, (uint64_t)p->lag_records);
		buf_printf(b, " records, %.0f s", p->lag_seconds);
	}
	buf_char(b, '\n');
	if (totals && r->counted) {
		const struct {
			const char *name;
			uint64_t v;
		} all[] = {{"read", r->read}, {"indexed", r->indexed}, {"stale", r->stale}, {"duplicate", r->duplicate},
		    {"conflict", r->conflict}, {"rejected", r->rejected}, {"fired", r->fired},
		    {"cancelled", r->cancelled}, {"pending", r->pending}};
		for (size_t i = 0; i < sizeof all / sizeof *all - (r->settled ? 0 : 3); i++) {
			buf_printf(b, "%-10s", all[i].name);
			count_write(b, all[i].v);
			buf_char(b, '\n');
		}
	}
	latency_write(p, HISTOGRAM_COMMIT, "commit", b);
	latency_write(p, HISTOGRAM_TOLD, "told in", b);
	latency_write(p, HISTOGRAM_LATENESS, "lateness", b);
	if (why_not_ready->len) {
		buf_printf(b, "%-10s", "not ready");
		for (size_t i = 0; i + 1 < why_not_ready->len; i++)
			buf_char(b, why_not_ready->p[i] == '\n' ? ';' : why_not_ready->p[i]);
		buf_char(b, '\n');
	}
}
