/* See health.h. */
#include "health.h"

#include <inttypes.h>

enum { RETRYING_S = 10, OVERDUE_S = 30 };

void
health_alive(const struct pipelines *ps, struct buf *why)
{
	for (size_t i = 0; i < ps->n * PROGRAMS; i++) {
		const struct watched *w = &ps->all[i / PROGRAMS].program[i % PROGRAMS];
		if (w->state != STALLED)
			continue;
		pipelines_label(ps, &ps->all[i / PROGRAMS], why);
		buf_printf(why, "%s[%u] has been stalled for %.0f s\n", program_names[i % PROGRAMS], w->metrics.pid,
		    (double)(ps->now - w->metrics.tick) / 1e6);
	}
}

static void
health_database(const struct pipelines *ps, const struct database *db, struct buf *why)
{
	const int64_t *n = db->number;
	if (db->text[DB_ERROR].len) {
		buf_text(why, "the database does not answer: ");
		buf_safe(why, slice_buf(&db->text[DB_ERROR]));
		buf_char(why, '\n');
	} else if (n[DB_SCHEMA] != n[DB_SCHEMA_WANTED]) {
		buf_printf(
		    why, "the schema's version is %" PRIi64 ", not %" PRIi64 "\n", n[DB_SCHEMA], n[DB_SCHEMA_WANTED]);
	} else if (n[DB_OVERDUE] > 0 && !pipelines_running(ps)) {
		buf_printf(why, "no run is on, and %" PRIi64 " callback%s overdue\n", n[DB_OVERDUE],
		    n[DB_OVERDUE] == 1 ? " is" : "s are");
	}
}

static void
health_pipeline(const struct pipelines *ps, const struct pipeline *p, const struct limits *l, struct buf *why)
{
	if (p->lag_seconds > (double)l->most_lag) {
		pipelines_label(ps, p, why);
		buf_printf(why, "the database is %.0f s behind the input\n", p->lag_seconds);
	}
	for (int i = 0; i < PROGRAMS; i++) {
		int64_t since = (int64_t)p->program[i].metrics.value[METRIC_RETRYING];
		if (p->program[i].state == STOPPED || since == 0 || ps->now - since < RETRYING_S * INT64_C(1000000))
			continue;
		pipelines_label(ps, p, why);
		if (i == KAFKA_READER)
			buf_text(why, "no Kafka broker has answered");
		else
			buf_printf(why, "%s has been retrying", program_names[i]);
		buf_printf(why, " for %.0f s\n", (double)(ps->now - since) / 1e6);
	}
	if (p->overdue > OVERDUE_S) {
		pipelines_label(ps, p, why);
		buf_printf(why, "callbacks are overdue by %.0f s\n", p->overdue);
	}
}

void
health_ready(const struct pipelines *ps, const struct database *db, const struct limits *l, struct buf *why)
{
	health_database(ps, db, why);
	if (ps->disk_free < l->least_disk * 1000000)
		buf_printf(why, "the disk of the state folder is nearly full: %.1f MB are free\n",
		    (double)ps->disk_free / 1e6);
	for (size_t i = 0; i < ps->n; i++)
		health_pipeline(ps, &ps->all[i], l, why);
	health_alive(ps, why);
}
