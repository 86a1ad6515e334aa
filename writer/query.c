/* The verbs that only look: a query's rows as NDJSON, or as a table for people. None of them migrates. The exit code is
 * 1 where what was asked for is not there, or where counts do not add up. The only module that includes cJSON: it
 * builds and prints the objects; numbers and data go in as their text, so that nothing passes a double. */
#include "query.h"

#include "log.h"
#include "sql.h"
#include "table.h"
#include "watch.h"

#include <cjson/cJSON.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

enum { PATIENCE_S = 3600 }; /* a query over all accounts may take its time; a dead network is the kernel's to notice */

/* A query whose rows are shown as they come. */
struct query {
	struct pg *pg;
	struct output out;
	struct table table;
	struct display_style style;
	const char *title;
	uint64_t rows;
};

_Noreturn static void
query_failed(struct pg *pg, enum pg_status status)
{
	if (pg_unreachable(pg))
		die(EXIT_TEMPORARY, "the database cannot be reached any more: %s", pg_error(pg));
	die(status == PG_RETRY ? EXIT_TEMPORARY : EXIT_PERMANENT, "the database refused: %s", pg_error(pg));
}

static void
query_json(struct buf *out, struct pg *pg)
{
	cJSON *object = cJSON_CreateObject();
	const cJSON *added = object;
	for (int c = 0; added && c < pg_columns(pg, 0); c++) {
		const char *text = pg_text(pg, 0, 0, c).p, *name = pg_column(pg, 0, c);
		if (pg_null(pg, 0, 0, c))
			added = cJSON_AddNullToObject(object, name);
		else if (pg_kind(pg, 0, c) == PG_BOOL)
			added = cJSON_AddBoolToObject(object, name, *text == 't');
		else if (pg_kind(pg, 0, c) == PG_TEXT)
			added = cJSON_AddStringToObject(object, name, text);
		else
			added = cJSON_AddRawToObject(object, name, text);
	}
	char *line = added ? cJSON_PrintUnformatted(object) : NULL;
	if (!line)
		die(EXIT_TEMPORARY, "out of memory");
	buf_text(out, line);
	buf_char(out, '\n');
	cJSON_free(line);
	cJSON_Delete(object);
}

static void
query_heading(struct query *q)
{
	table_open(&q->table, q->title, STDOUT_FILENO, q->style.color);
	for (int c = 0; c < pg_columns(q->pg, 0); c++) {
		struct slice name = slice_of(pg_column(q->pg, 0, c));
		bool number = pg_kind(q->pg, 0, c) == PG_NUMBER;
		table_column(&q->table, name,
		    slice_is(name, "source") ? TABLE_PATH
		    : number		     ? TABLE_NUMBER
					     : TABLE_TEXT);
	}
}

static void
query_people(struct query *q)
{
	for (int c = 0; c < pg_columns(q->pg, 0); c++) {
		struct slice text = pg_text(q->pg, 0, 0, c);
		if (pg_kind(q->pg, 0, c) == PG_BOOL && text.n)
			text = *text.p == 't' ? SLICE("yes") : SLICE("no");
		table_cell(&q->table, text, &q->out.buf);
	}
}

/* Says, of a row of status, whether its counts add up. */
static bool
query_consistent(struct pg *pg)
{
	int last = pg_columns(pg, 0) - 1;
	if (strcmp(pg_column(pg, 0, last), "consistent") != 0 || slice_is(pg_text(pg, 0, 0, last), "t"))
		return true;
	struct buf safe = {0};
	buf_safe(&safe, pg_text(pg, 0, 0, 0));
	log_error("the counts of source \"%s\", shard %s, do not add up with its rows: were rows deleted, or was the "
		  "database set back?",
	    buf_cstr(&safe), pg_text(pg, 0, 0, 1).p);
	buf_free(&safe);
	return false;
}

/* Shows all rows. Returns whether their counts add up. */
static bool
query_rows(struct query *q)
{
	bool consistent = true;
	for (; pg_next(q->pg); q->rows++) {
		if (q->rows == 0 && q->style.people)
			query_heading(q);
		if (q->style.people)
			query_people(q);
		else
			query_json(&q->out.buf, q->pg);
		consistent &= query_consistent(q->pg);
		if (output_full(&q->out) && output_flush(&q->out) != 0)
			output_failed();
	}
	enum pg_status status = pg_finish(q->pg);
	if (status != PG_OK)
		query_failed(q->pg, status);
	if (q->style.people && q->rows == 0)
		query_heading(q);
	if (q->style.people)
		table_close(&q->table, &q->out.buf);
	if (output_flush(&q->out) != 0)
		output_failed();
	buf_free(&q->out.buf);
	return consistent;
}

/* Where there are no rows: whether what was asked for is there all the same, as a source without rejects is. Emits what
 * there is none of. */
static bool
query_found(struct query *q, const char *what, const char *name)
{
	bool found = q->rows > 0 || !name;
	if (!found && strcmp(what, "source") == 0) {
		enum pg_status status = pg_exec(q->pg, sql_inputs_shards, PG_PARAMS(pg_text_param(slice_of(name))));
		if (status != PG_OK)
			query_failed(q->pg, status);
		found = pg_rows(q->pg, 0) > 0;
	}
	if (!found) {
		struct buf safe = {0};
		buf_safe(&safe, slice_of(name));
		log_error("no %s \"%s\" in this database", what, buf_cstr(&safe));
		buf_free(&safe);
	}
	return found;
}

/* Runs a query that has one parameter, and shows its rows. */
static int
query_run(const struct writer_options *o, const char *title, const char *sql, struct pg_param param, const char *what,
    const char *name)
{
	struct query q = {.pg = writer_open(o, "acctflow query", false), .title = title};
	sigset_t none;
	/* There is nothing to be finished: ^C ends it as it ends any other program. */
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	output_open(&q.out, STDOUT_FILENO);
	q.style = display_style((enum format)o->format, STDOUT_FILENO);
	pg_each(q.pg, PATIENCE_S, sql, &param, 1);
	bool consistent = query_rows(&q), found = query_found(&q, what, name);
	pg_free(q.pg);
	return consistent && found ? EXIT_OK : EXIT_REJECTED;
}

int
retry_main(const struct writer_options *o)
{
	static struct pg_array ids;
	pg_array(&ids, PG_TEXTS);
	for (char **id = o->operands; *id; id++)
		pg_push_text(&ids, slice_of(*id));
	struct pg_param param = *o->operands ? pg_array_param(&ids) : pg_null_param();
	return query_run(o, "Tried again", sql_outcomes_retry, param, "failed callback of account", *o->operands);
}

int
query_main(const struct writer_options *o)
{
	const struct {
		const char *verb, *title, *sql, *what, *name;
	} queries[] =
	    {
		{"status", "Sources, by shard", sql_status, "source", o->source},
		{"sources", "Sources", sql_sources, "source", o->source},
		{"fleet", "Fleet, by machine", sql_fleet, "source", o->source},
		{"richest", "Highest-token account of each type", sql_richest, "account of type", o->type},
		{"history", "Versions", sql_history, "account", *o->operands},
		{"rejected", "Rejected records", sql_rejected, "source", o->source},
	    },
	  *q = queries;
	while (strcmp(q->verb, o->verb) != 0)
		q++;
	if (o->interval && q->sql == sql_status)
		return watch_main(o);
	struct pg_param param = q->name ? pg_text_param(slice_of(q->name)) : pg_null_param();
	return query_run(o, q->title, q->sql, param, q->what, q->name);
}
