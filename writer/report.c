/* The verb report: a run as one HTML file. The page is made by the Makefile of report.html, report.css and report.js,
 * with a hole for the data: JSON, a member for each statement below, an array of its columns' names and then of its
 * rows, each an array. Rows go through as they come, all of one snapshot, so that memory does not grow with the
 * history. Nothing that an update may hold ends the script element that the data is in. */
#include "report.h"

#include "log.h"
#include "query.h"
#include "report_page.h"
#include "rows.h"
#include "sql.h"

#include <stdlib.h>
#include <unistd.h>

enum { MOST_VERSIONS = 200000, MOST_CHANGES = 20000 };

struct report {
	struct pg *pg;
	struct output out;
	struct buf line;
	char *source, *start; /* of the run */
	int64_t bin;	      /* ms */
};

/* Appends JSON. What means something to HTML, or to JavaScript, is only ever within its strings. */
static void
report_escape(struct buf *out, struct slice json)
{
	for (size_t i = 0; i < json.n; i++) {
		const char *p = json.p + i;
		bool separator = json.n - i >= 3 && memcmp(p, "\xe2\x80", 2) == 0 && (p[2] == '\xa8' || p[2] == '\xa9');
		if (*p == '<')
			buf_text(out, "\\u003c");
		else if (separator)
			buf_text(out, p[2] == '\xa8' ? "\\u2028" : "\\u2029");
		else
			buf_char(out, *p);
		i += separator ? 2 : 0;
	}
}

static void
report_value(struct buf *line, const struct pg *pg, int column)
{
	struct slice text = pg_text(pg, 0, 0, column);
	if (pg_null(pg, 0, 0, column))
		buf_text(line, "null");
	else if (pg_kind(pg, 0, column) == PG_TEXT)
		buf_json(line, text);
	else if (pg_kind(pg, 0, column) == PG_BOOL)
		buf_text(line, *text.p == 't' ? "true" : "false");
	else
		buf_slice(line, text);
}

/* Adds the row that is there as an array, without the nulls at its end. */
static void
report_row(struct report *r)
{
	int columns = pg_columns(r->pg, 0);
	while (columns > 1 && pg_null(r->pg, 0, 0, columns - 1))
		columns--;
	r->line.len = 0;
	for (int c = 0; c < columns; c++) {
		buf_text(&r->line, c ? "," : ",\n[");
		report_value(&r->line, r->pg, c);
	}
	buf_char(&r->line, ']');
	report_escape(&r->out.buf, slice_buf(&r->line));
	if (output_full(&r->out) && output_flush(&r->out) != 0)
		output_failed();
}

static void
report_names(struct report *r, const char *section)
{
	buf_printf(&r->out.buf, "\"%s\":[", section);
	for (int c = 0; c < pg_columns(r->pg, 0); c++)
		buf_printf(&r->out.buf, "%s\"%s\"", c ? "," : "[", pg_column(r->pg, 0, c));
	buf_char(&r->out.buf, ']');
}

/* Adds a statement's rows. The first also says what the others are about. */
static void
report_section(struct report *r, const char *name, const char *sql, const struct pg_param *params, size_t n)
{
	pg_each(r->pg, QUERY_PATIENCE_S, sql, params, n);
	bool more = pg_next(r->pg);
	if (!more && pg_finish(r->pg) != PG_OK)
		rows_failed(r->pg, pg_finish(r->pg));
	report_names(r, name);
	for (; more; more = pg_next(r->pg)) {
		if (!r->source) {
			r->source = mem_string(pg_text(r->pg, 0, 0, 0));
			r->start = mem_string(pg_text(r->pg, 0, 0, 1));
			r->bin = pg_i64(r->pg, 0, 0, 4);
		}
		report_row(r);
	}
	if (pg_finish(r->pg) != PG_OK)
		rows_failed(r->pg, pg_finish(r->pg));
	buf_text(&r->out.buf, "]");
}

static void
report_sections(struct report *r)
{
	struct pg_param source = pg_text_param(slice_of(r->source)), start = pg_text_param(slice_of(r->start)),
			bin = pg_i64_param(r->bin);
	const struct {
		const char *name, *sql;
		struct pg_param params[3];
		size_t n;
	} sections[] = {
	    {"types", sql_report_types, {source}, 1},
	    {"density", sql_report_density, {source, start, bin}, 3},
	    {"rates", sql_report_rates, {source, start, bin}, 3},
	    {"lateness", sql_report_lateness, {source}, 1},
	    {"rejects", sql_report_rejects, {source, start}, 2},
	    {"changes", sql_report_changes, {source, start, pg_i64_param(MOST_CHANGES)}, 3},
	    {"lanes", sql_report_lanes, {source, start, pg_i64_param(MOST_VERSIONS)}, 3},
	};
	for (size_t i = 0; i < sizeof sections / sizeof *sections; i++) {
		buf_text(&r->out.buf, ",\n");
		report_section(r, sections[i].name, sections[i].sql, sections[i].params, sections[i].n);
	}
}

int
report_main(const struct writer_options *o)
{
	if (isatty(STDOUT_FILENO))
		die_usage(
		    "report writes an HTML file, which a terminal does not show; redirect it: report > report.html");
	struct report r = {.pg = query_open(o)};
	struct pg_param source = pg_string_param(o->source);
	output_open(&r.out, STDOUT_FILENO);
	/* One snapshot: the sections are about the same rows. What the planner takes for a few rows of the history may
	 * be all. */
	pg_queue(r.pg, "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY", NULL, 0);
	pg_queue(r.pg, "SELECT set_config('enable_nestloop', 'off', true)", NULL, 0);
	if (pg_run(r.pg) != PG_OK)
		rows_failed(r.pg, pg_finish(r.pg));
	buf_add(&r.out.buf, report_head, sizeof report_head);
	buf_char(&r.out.buf, '{');
	report_section(&r, "run", sql_report_run, &source, 1);
	if (r.source) {
		report_sections(&r);
		buf_text(&r.out.buf, "}\n");
		buf_add(&r.out.buf, report_tail, sizeof report_tail);
		if (output_flush(&r.out) != 0)
			output_failed();
	} else if (o->source) {
		query_absent("source", o->source, "");
	} else {
		log_error("no source in this database yet: acctflow run reads one");
	}
	int code = r.source ? EXIT_OK : EXIT_REJECTED;
	pg_free(r.pg);
	buf_free(&r.out.buf);
	buf_free(&r.line);
	free(r.source);
	free(r.start);
	return code;
}
