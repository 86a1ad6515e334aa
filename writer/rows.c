/* The only module that includes cJSON: it builds and prints the objects; numbers and data go in as their text, so that
 * nothing passes a double. */
#include "rows.h"

#include "json.h"
#include "log.h"

#include <cjson/cJSON.h>
#include <stdlib.h>
#include <unistd.h>

_Noreturn void
rows_failed(struct pg *pg, enum pg_status status)
{
	if (pg_unreachable(pg))
		die(EXIT_TEMPORARY, "the database cannot be reached any more: %s", pg_error(pg));
	die(status == PG_RETRY ? EXIT_TEMPORARY : EXIT_PERMANENT, "the database refused: %s", pg_error(pg));
}

enum format
rows_format(const struct writer_options *o)
{
	if (o->format != FORMAT_AUTO)
		return (enum format)o->format;
	return display_style(FORMAT_AUTO, STDOUT_FILENO).people ? FORMAT_TEXT : FORMAT_JSON;
}

static void
row_json(struct buf *out, struct pg *pg)
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

/* A field as RFC 4180 has it; null is empty, and the empty string is quoted. A terminal gets no control characters. */
static void
field_csv(struct buf *out, struct slice text, bool null, bool terminal)
{
	static struct buf safe;
	if (terminal) {
		safe.len = 0;
		buf_safe(&safe, text);
		text = slice_buf(&safe);
	}
	bool quoted = text.n == 0 && !null;
	for (size_t i = 0; !quoted && i < text.n; i++)
		quoted = strchr(",\"\r\n", text.p[i]) != NULL;
	if (quoted)
		buf_char(out, '"');
	for (size_t i = 0; i < text.n; i++) {
		if (text.p[i] == '"')
			buf_char(out, '"');
		buf_char(out, text.p[i]);
	}
	if (quoted)
		buf_char(out, '"');
}

static void
row_csv(struct buf *out, struct pg *pg, bool terminal)
{
	for (int c = 0; c < pg_columns(pg, 0); c++) {
		struct slice text = pg_text(pg, 0, 0, c);
		if (pg_kind(pg, 0, c) == PG_BOOL && text.n)
			text = *text.p == 't' ? SLICE("true") : SLICE("false");
		if (c)
			buf_char(out, ',');
		field_csv(out, text, pg_null(pg, 0, 0, c), terminal);
	}
	buf_char(out, '\n');
}

static void
row_people(struct rows *r)
{
	static struct buf plain;
	for (int c = 0; c < pg_columns(r->pg, 0); c++) {
		struct slice text = pg_text(r->pg, 0, 0, c);
		if (strcmp(pg_column(r->pg, 0, c), "changes") == 0 && text.n && *text.p == '"') {
			plain.len = 0;
			json_unescape(&plain, text);
			text = slice_buf(&plain);
		}
		if (pg_kind(r->pg, 0, c) == PG_BOOL && text.n)
			text = *text.p == 't' ? SLICE("yes") : SLICE("no");
		table_cell(&r->table, text, &r->out.buf);
	}
}

static void
heading_people(struct rows *r)
{
	table_open(&r->table, r->title, STDOUT_FILENO, display_style(FORMAT_TEXT, STDOUT_FILENO).color);
	for (int c = 0; c < pg_columns(r->pg, 0); c++) {
		struct slice name = slice_of(pg_column(r->pg, 0, c));
		bool number = pg_kind(r->pg, 0, c) == PG_NUMBER;
		table_column(&r->table, name,
		    slice_is(name, "source") ? TABLE_PATH
		    : number		     ? TABLE_NUMBER
					     : TABLE_TEXT);
	}
}

static void
heading(struct rows *r)
{
	if (r->format == FORMAT_TEXT)
		heading_people(r);
	for (int c = 0; r->format == FORMAT_CSV && c < pg_columns(r->pg, 0); c++) {
		if (c)
			buf_char(&r->out.buf, ',');
		buf_text(&r->out.buf, pg_column(r->pg, 0, c));
	}
	if (r->format == FORMAT_CSV)
		buf_char(&r->out.buf, '\n');
}

void
rows_show(struct rows *r)
{
	bool terminal = isatty(STDOUT_FILENO);
	output_open(&r->out, STDOUT_FILENO);
	r->sound = true;
	for (; pg_next(r->pg); r->n++) {
		if (r->n == 0)
			heading(r);
		if (r->format == FORMAT_TEXT)
			row_people(r);
		else if (r->format == FORMAT_CSV)
			row_csv(&r->out.buf, r->pg, terminal);
		else
			row_json(&r->out.buf, r->pg);
		r->sound &= !r->judge || r->judge(r->pg);
		if (output_full(&r->out) && output_flush(&r->out) != 0)
			output_failed();
	}
	enum pg_status status = pg_finish(r->pg);
	if (status != PG_OK)
		rows_failed(r->pg, status);
	if (r->n == 0)
		heading(r);
	if (r->format == FORMAT_TEXT)
		table_close(&r->table, &r->out.buf);
	if (output_flush(&r->out) != 0)
		output_failed();
	buf_free(&r->out.buf);
}
