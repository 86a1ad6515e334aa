/* The verbs that look: a query's rows as NDJSON, or as a table for people. The only
 * module that includes cJSON: it builds and prints the objects; numbers and data go
 * in as their text, so that nothing passes a double. */
#include "writer.h"

#include "log.h"
#include "source.h"
#include "sql.h"
#include "utf8.h"

#include <cjson/cJSON.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { COLUMN_MOST = 48 };

_Noreturn static void
failed(struct db *db, enum db_status status)
{
	die(status == DB_RETRY ? EXIT_TEMPORARY : EXIT_PERMANENT, "the database refused: %s", db_error(db));
}

static void
row_json(struct buf *out, struct db *db, int result, int row)
{
	cJSON *object = cJSON_CreateObject();
	const cJSON *added = object;
	for (int c = 0; added && c < db_columns(db, result); c++) {
		const char *text = db_text(db, result, row, c).p, *name = db_column(db, result, c);
		if (db_null(db, result, row, c))
			added = cJSON_AddNullToObject(object, name);
		else if (db_kind(db, result, c) == DB_BOOL)
			added = cJSON_AddBoolToObject(object, name, *text == 't');
		else if (db_kind(db, result, c) == DB_TEXT)
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

/* How many columns of a screen a text takes: its characters. */
static size_t
width(struct slice s)
{
	size_t n = 0;
	for (size_t i = 0; i < s.n; i++)
		n += ((unsigned char)s.p[i] & 0xc0) != 0x80;
	return n;
}

/* One cell as it is shown: safe, and cut to a length. */
static struct slice
cell(struct buf *room, struct db *db, int result, int row, int column)
{
	room->len = 0;
	if (row < 0)
		buf_text(room, db_column(db, result, column));
	else if (db_kind(db, result, column) == DB_BOOL)
		buf_text(room, *db_text(db, result, row, column).p == 't' ? "yes" : "no");
	else if (!db_null(db, result, row, column))
		buf_safe(room, db_text(db, result, row, column));
	size_t n = 0;
	for (size_t chars = 0; n < room->len; n++)
		if (((unsigned char)room->p[n] & 0xc0) != 0x80 && chars++ == COLUMN_MOST)
			break;
	if (n < room->len) {
		room->len = n;
		buf_text(room, "…");
	}
	return slice_buf(room);
}

static void
rows_table(struct buf *out, struct db *db, int result)
{
	int columns = db_columns(db, result), rows = db_rows(db, result);
	size_t *widest = mem_alloc((size_t)columns * sizeof *widest);
	struct buf room = {0};
	for (int c = 0; c < columns; c++) {
		widest[c] = 0;
		for (int r = -1; r < rows; r++) {
			size_t n = width(cell(&room, db, result, r, c));
			widest[c] = n > widest[c] ? n : widest[c];
		}
	}
	for (int r = -1; r < rows; r++) {
		for (int c = 0; c < columns; c++) {
			struct slice s = cell(&room, db, result, r, c);
			size_t pad = widest[c] - width(s);
			bool right = db_kind(db, result, c) == DB_NUMBER;
			bool last = c == columns - 1;
			buf_printf(out, "%s%*s", c ? "  " : "", right ? (int)pad : 0, "");
			buf_slice(out, s);
			buf_printf(out, "%*s", right || last ? 0 : (int)pad, "");
		}
		buf_char(out, '\n');
	}
	buf_free(&room);
	free(widest);
}

int
show_main(const struct writer_options *o, const char *sql, const char *argument)
{
	struct db *db = writer_connect(o, "acctflow show");
	struct db_param p[1] = {0};
	struct out out;
	out_open(&out, STDOUT_FILENO);
	if (argument)
		db_set_text(&p[0], slice_of(argument));
	else
		db_set_null(&p[0]);
	enum db_status status = db_exec(db, sql, p, 1);
	if (status != DB_OK)
		failed(db, status);
	if (text_style((enum format)o->format, STDOUT_FILENO).people)
		rows_table(&out.buf, db, 0);
	else
		for (int i = 0; i < db_rows(db, 0); i++)
			row_json(&out.buf, db, 0, i);
	if (out_flush(&out) != 0)
		out_failed();
	db_params_free(p, 1);
	buf_free(&out.buf);
	db_free(db);
	return EXIT_OK;
}

int
claim_main(const struct writer_options *o)
{
	if (!o->source)
		die(EXIT_PERMANENT, "claim wants --source NAME");
	struct db *db = writer_connect(o, "acctflow claim");
	struct source s = {0};
	struct db_param p[1] = {0};
	struct out out;
	int64_t pid;
	out_open(&out, STDOUT_FILENO);
	buf_text(&s.name, o->source);
	enum db_status status = source_claim(db, &s, (unsigned)o->lanes, false, false, true, &pid);
	db_set_text(&p[0], slice_of(o->source));
	if (status == DB_OK)
		status = db_exec(db, sql_source_show, p, 1);
	if (status != DB_OK)
		failed(db, status);
	for (int c = 0; c < db_columns(db, 0); c++) {
		struct slice v = db_text(db, 0, 0, c);
		buf_printf(&out.buf, "%s=", db_column(db, 0, c));
		if (db_kind(db, 0, c) == DB_BOOL)
			buf_text(&out.buf, *v.p == 't' ? "true" : "false");
		else
			buf_safe(&out.buf, v);
		buf_char(&out.buf, '\n');
	}
	if (out_flush(&out) != 0)
		out_failed();
	db_params_free(p, 1);
	source_free(&s);
	buf_free(&out.buf);
	db_free(db);
	return EXIT_OK;
}
