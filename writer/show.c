/* The verbs that look: a query's rows as NDJSON, or as a table for people. The only
 * module that includes cJSON: it builds and prints the objects; numbers and data go
 * in as their text, so that nothing passes a double. */
#include "writer.h"

#include "log.h"
#include "sql.h"
#include "utf8.h"

#include <cjson/cJSON.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { COLUMN_MOST = 48, TABLE_ROWS = 1000 };

/* Rows are shown as they come. A table's columns need some rows at once to be wide enough. */
struct show {
	struct pg *db;
	struct output out;
	bool people;
	uint64_t rows;
	struct buf cells, room; /* of the rows that are held, each cell a line */
	size_t held, *widest;
};

_Noreturn static void
failed(struct pg *db, enum pg_status status)
{
	die(status == PG_RETRY ? EXIT_TEMPORARY : EXIT_PERMANENT, "the database refused: %s", pg_error(db));
}

static void
row_json(struct buf *out, struct pg *db, int result, int row)
{
	cJSON *object = cJSON_CreateObject();
	const cJSON *added = object;
	for (int c = 0; added && c < pg_columns(db, result); c++) {
		const char *text = pg_text(db, result, row, c).p, *name = pg_column(db, result, c);
		if (pg_null(db, result, row, c))
			added = cJSON_AddNullToObject(object, name);
		else if (pg_kind(db, result, c) == PG_BOOL)
			added = cJSON_AddBoolToObject(object, name, *text == 't');
		else if (pg_kind(db, result, c) == PG_TEXT)
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
cell(struct buf *room, struct pg *db, int result, int row, int column)
{
	room->len = 0;
	if (row < 0)
		buf_text(room, pg_column(db, result, column));
	else if (pg_kind(db, result, column) == PG_BOOL)
		buf_text(room, *pg_text(db, result, row, column).p == 't' ? "yes" : "no");
	else if (!pg_null(db, result, row, column))
		buf_safe(room, pg_text(db, result, row, column));
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

/* Holds a row of the table; -1: the heading. */
static void
row_hold(struct show *s, int row)
{
	int columns = pg_columns(s->db, 0);
	if (!s->widest) {
		s->widest = mem_alloc((size_t)columns * sizeof *s->widest);
		memset(s->widest, 0, (size_t)columns * sizeof *s->widest);
		if (row >= 0)
			row_hold(s, -1);
	}
	for (int c = 0; c < columns; c++) {
		struct slice text = cell(&s->room, s->db, 0, row, c);
		size_t n = width(text);
		s->widest[c] = n > s->widest[c] ? n : s->widest[c];
		buf_slice(&s->cells, text);
		buf_char(&s->cells, '\n');
	}
	s->held++;
}

/* Prints the rows that are held, each column as wide as it ever was. */
static void
table_print(struct show *s)
{
	int columns = pg_columns(s->db, 0);
	const char *p = s->cells.p;
	for (; s->held > 0; s->held--) {
		for (int c = 0; c < columns; c++) {
			struct slice text = {p, (size_t)((const char *)rawmemchr(p, '\n') - p)};
			size_t pad = s->widest[c] - width(text);
			bool right = pg_kind(s->db, 0, c) == PG_NUMBER;
			bool last = c == columns - 1;
			buf_printf(&s->out.buf, "%s%*s", c ? "  " : "", right ? (int)pad : 0, "");
			buf_slice(&s->out.buf, text);
			buf_printf(&s->out.buf, "%*s", right || last ? 0 : (int)pad, "");
			p += text.n + 1;
		}
		buf_char(&s->out.buf, '\n');
	}
	s->cells.len = 0;
}

static void
row_show(void *context)
{
	struct show *s = context;
	s->rows++;
	if (!s->people)
		row_json(&s->out.buf, s->db, 0, 0);
	else
		row_hold(s, 0);
	if (s->held >= TABLE_ROWS)
		table_print(s);
	if (output_full(&s->out) && output_flush(&s->out) != 0)
		output_failed();
}

int
show_main(const struct writer_options *o, const char *sql, const char *argument)
{
	struct show s = {.db = writer_connect(o, "acctflow show")};
	struct pg_param p[1] = {0};
	output_open(&s.out, STDOUT_FILENO);
	s.people = display_style((enum format)o->format, STDOUT_FILENO).people;
	if (argument)
		pg_set_text(&p[0], slice_of(argument));
	else
		pg_set_null(&p[0]);
	pg_each(s.db, sql, p, 1);
	while (pg_next(s.db))
		row_show(&s);
	enum pg_status status = pg_last(s.db);
	if (status != PG_OK)
		failed(s.db, status);
	if (s.people && s.rows == 0)
		row_hold(&s, -1);
	table_print(&s);
	if (output_flush(&s.out) != 0)
		output_failed();
	if (o->operand && s.rows == 0)
		log_warn("no account \"%s\"", o->operand);
	pg_params_free(p, 1);
	buf_free(&s.out.buf);
	buf_free(&s.cells);
	buf_free(&s.room);
	free(s.widest);
	pg_free(s.db);
	return EXIT_OK;
}
