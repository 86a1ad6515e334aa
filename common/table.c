/* See table.h. */
#include "table.h"

#include <stdlib.h>
#include <sys/ioctl.h>

enum { HELD_ROWS = 1000, HELD_CHARS = 240, WIDEST = 48, GAP = 2 };

size_t
table_terminal(int fd)
{
	struct winsize size = {0};
	if (ioctl(fd, TIOCGWINSZ, &size) == 0 && size.ws_col > 0)
		return size.ws_col;
	const char *columns = getenv("COLUMNS");
	unsigned long n = columns ? strtoul(columns, NULL, 10) : 0;
	return n < 10000 ? n : 0;
}

void
table_open(struct table *t, const char *title, int fd, bool bold)
{
	*t = (struct table){.title = title, .width = table_terminal(fd), .bold = bold};
}

/* How many columns of a screen a text takes: its characters. */
static size_t
table_chars(struct slice s)
{
	size_t n = 0;
	for (size_t i = 0; i < s.n; i++)
		n += ((unsigned char)s.p[i] & 0xc0) != 0x80;
	return n;
}

/* The first n characters. */
static struct slice
table_head(struct slice s, size_t n)
{
	size_t i = 0;
	for (size_t chars = 0; i < s.n; i++)
		if (((unsigned char)s.p[i] & 0xc0) != 0x80 && chars++ == n)
			break;
	return (struct slice){s.p, i};
}

/* Appends a text, cut to a width: a path in its middle, other text at its end, a number never. */
static void
table_cut(struct buf *out, struct slice s, size_t width, enum table_kind kind)
{
	size_t chars = table_chars(s), head = kind == TABLE_PATH ? (width - 1) / 3 : width - 1;
	if (chars <= width || kind == TABLE_NUMBER || width < 3) {
		buf_slice(out, s);
		return;
	}
	size_t tail = table_head(s, chars - (width - 1 - head)).n;
	buf_slice(out, table_head(s, head));
	buf_text(out, "…");
	buf_slice(out, (struct slice){s.p + tail, s.n - tail});
}

void
table_column(struct table *t, struct slice name, enum table_kind kind)
{
	if (t->columns == TABLE_COLUMNS)
		return;
	struct buf *b = &t->column[t->columns].name;
	for (size_t i = 0; i < name.n; i++) {
		bool upper = name.p[i] >= 'A' && name.p[i] <= 'Z';
		if (upper)
			buf_char(b, ' ');
		buf_char(b, upper ? (char)(name.p[i] - 'A' + 'a') : name.p[i]);
	}
	t->column[t->columns++].kind = kind;
}

/* Decides on the layout, by the rows that are held. Where these are all, columns without any content are left out. */
static void
table_lay_out(struct table *t, bool all)
{
	size_t sum = 0;
	for (int c = 0; c < t->columns; c++) {
		size_t widest = t->column[c].width, name = t->column[c].name.len;
		size_t width = widest > name ? widest : name;
		width = width > WIDEST && t->column[c].kind != TABLE_NUMBER ? WIDEST : width;
		t->column[c].width = all && widest == 0 ? 0 : width;
		sum += t->column[c].width ? t->column[c].width + GAP : 0;
	}
	t->blocks = t->width > 0 && sum > t->width + GAP;
}

/* The next of the cells that are held. */
static struct slice
table_next(const char **p)
{
	struct slice s = {*p, (size_t)((const char *)rawmemchr(*p, '\n') - *p)};
	*p += s.n + 1;
	return s;
}

/* Appends one line of cells, or the heading. *p moves past the cells. */
static void
table_line(struct table *t, struct buf *out, const char **p)
{
	size_t pad = 0;
	for (int c = 0; c < t->columns; c++) {
		struct slice s = p ? table_next(p) : slice_buf(&t->column[c].name);
		size_t width = t->column[c].width, chars = table_chars(s), rest = chars < width ? width - chars : 0;
		if (width == 0)
			continue;
		bool number = t->column[c].kind == TABLE_NUMBER;
		buf_printf(out, "%*s", (int)(number ? pad + rest : pad), "");
		table_cut(out, s, width, t->column[c].kind);
		pad = number ? GAP : GAP + rest;
	}
	buf_char(out, '\n');
}

/* Appends a row as a block: its first cell as the heading, a line for each other that is not empty. */
static void
table_block(struct table *t, struct buf *out, const char **p)
{
	size_t label = 0;
	for (int c = 1; c < t->columns; c++)
		label = t->column[c].name.len > label ? t->column[c].name.len : label;
	for (int c = 0; c < t->columns; c++) {
		struct slice s = table_next(p);
		size_t before = c ? label + 2 * GAP : 0;
		if (c && !s.n)
			continue;
		if (c)
			buf_printf(out, "%*s%-*s%*s", GAP, "", (int)label, buf_cstr(&t->column[c].name), GAP, "");
		else
			buf_text(out, t->bold ? "\033[1m" : "");
		table_cut(out, s, t->width > before ? t->width - before : 0, t->column[c].kind);
		buf_text(out, !c && t->bold ? "\033[0m\n" : "\n");
	}
}

/* Appends the rows that are held, behind title and heading where these are the first. */
static void
table_print(struct table *t, struct buf *out, bool all)
{
	if (!t->begun) {
		table_lay_out(t, all);
		buf_printf(out, "%s%s%s\n", t->bold ? "\033[1m" : "", t->title, t->held ? "" : ": none");
		if (t->held && !t->blocks)
			table_line(t, out, NULL);
		buf_text(out, t->bold ? "\033[0m" : "");
	}
	const char *p = buf_cstr(&t->cells);
	for (; t->held > 0; t->held--) {
		if (t->blocks)
			buf_char(out, '\n');
		(t->blocks ? table_block : table_line)(t, out, &p);
		t->begun = true;
	}
	t->cells.len = 0;
}

void
table_cell(struct table *t, struct slice text, struct buf *out)
{
	size_t at = t->cells.len;
	if (t->column[t->cell].kind == TABLE_NUMBER)
		buf_number(&t->cells, text);
	else
		buf_safe(&t->cells, text);
	struct slice s = {t->cells.p + at, t->cells.len - at};
	size_t chars = table_chars(s), *width = &t->column[t->cell].width;
	if (t->column[t->cell].kind == TABLE_TEXT && chars > HELD_CHARS) {
		t->cells.len = at + table_head(s, HELD_CHARS).n;
		buf_text(&t->cells, "…");
	}
	if (!t->begun && chars > *width)
		*width = chars;
	buf_char(&t->cells, '\n');
	if (++t->cell < t->columns)
		return;
	t->cell = 0;
	if (++t->held == HELD_ROWS)
		table_print(t, out, false);
}

void
table_close(struct table *t, struct buf *out)
{
	if (t->held > 0 || !t->begun)
		table_print(t, out, !t->begun);
	for (int c = 0; c < t->columns; c++)
		buf_free(&t->column[c].name);
	buf_free(&t->cells);
}
