/* See table.h. */
#include "table.h"

#include <stdlib.h>
#include <sys/ioctl.h>

enum { HELD_ROWS = 1000, HELD_CHARS = 240, WIDEST = 48, NARROWEST = 20, GAP = 2 };

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

static bool
table_cuttable(enum table_kind kind)
{
	return kind == TABLE_TEXT || kind == TABLE_PATH;
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

/* The first n characters, or those from the nth on. */
static struct slice
table_head(struct slice s, size_t n)
{
	size_t i = 0;
	for (size_t chars = 0; i < s.n; i++)
		if (((unsigned char)s.p[i] & 0xc0) != 0x80 && chars++ == n)
			break;
	return (struct slice){s.p, i};
}

static struct slice
table_tail(struct slice s, size_t n)
{
	size_t head = table_head(s, n).n;
	return (struct slice){s.p + head, s.n - head};
}

/* Appends a text, cut to a width. */
static void
table_cut(struct buf *out, struct slice s, size_t width, enum table_kind kind)
{
	size_t chars = table_chars(s);
	if (chars <= width || !table_cuttable(kind) || width < 3) {
		buf_slice(out, s);
		return;
	}
	size_t head = kind == TABLE_PATH ? (width - 1) / 3 : width - 1;
	buf_slice(out, table_head(s, head));
	buf_text(out, "…");
	buf_slice(out, table_tail(s, chars - (width - 1 - head)));
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

/* Appends digits in groups of three; what is no integer as it is. */
static void
table_number(struct buf *out, struct slice s)
{
	size_t sign = s.n > 0 && s.p[0] == '-';
	bool integer = s.n > sign && strspn(s.p + sign, "0123456789") >= s.n - sign;
	for (size_t i = 0; i < s.n; i++) {
		if (integer && i > sign && (s.n - i) % 3 == 0)
			buf_char(out, ',');
		buf_char(out, s.p[i]);
	}
}

/* Makes columns narrower, the widest text first, until they fit. Returns whether they do. */
static bool
table_shrink(struct table *t)
{
	for (;;) {
		size_t sum = 0, most = 0;
		int widest = -1;
		for (int c = 0; c < t->columns; c++) {
			size_t width = t->column[c].width, name = t->column[c].name.len;
			size_t least = name > NARROWEST ? name : NARROWEST;
			sum += width ? width + GAP : 0;
			if (table_cuttable(t->column[c].kind) && width > least && width > most) {
				most = width;
				widest = c;
			}
		}
		if (t->width == 0 || sum <= t->width + GAP)
			return true;
		if (widest < 0)
			return false;
		t->column[widest].width--;
	}
}

/* Decides on the layout, by the rows that are held. Where these are all, columns without any content are left out. */
static void
table_lay_out(struct table *t, bool all)
{
	for (int c = 0; c < t->columns; c++) {
		size_t widest = t->column[c].widest, name = t->column[c].name.len;
		size_t width = widest > name ? widest : name;
		width = width > WIDEST && table_cuttable(t->column[c].kind) ? WIDEST : width;
		t->column[c].width = all && widest == 0 ? 0 : width;
	}
	t->blocks = !table_shrink(t);
}

/* Appends one line of cells, or the heading. *p moves past the cells. */
static void
table_line(struct table *t, struct buf *out, const char **p)
{
	bool first = true;
	size_t pad = 0;
	for (int c = 0; c < t->columns; c++) {
		struct slice s = slice_buf(&t->column[c].name);
		enum table_kind kind = t->column[c].kind;
		size_t width = t->column[c].width;
		if (p) {
			s = (struct slice){*p, (size_t)((const char *)rawmemchr(*p, '\n') - *p)};
			*p += s.n + 1;
		}
		if (width == 0)
			continue;
		buf_printf(out, "%*s", (int)(first ? 0 : pad + GAP), "");
		size_t chars = table_chars(s) < width || !table_cuttable(kind) ? table_chars(s) : width;
		pad = chars < width ? width - chars : 0;
		if (kind == TABLE_NUMBER) {
			buf_printf(out, "%*s", (int)pad, "");
			pad = 0;
		}
		table_cut(out, s, width, kind);
		first = false;
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
		struct slice s = {*p, (size_t)((const char *)rawmemchr(*p, '\n') - *p)};
		*p += s.n + 1;
		if (c == 0) {
			buf_text(out, t->bold ? "\033[1m" : "");
			table_cut(out, s, t->width, t->column[c].kind);
			buf_text(out, t->bold ? "\033[0m\n" : "\n");
		} else if (s.n) {
			buf_printf(out, "%*s%-*s%*s", GAP, "", (int)label, buf_cstr(&t->column[c].name), GAP, "");
			size_t before = label + 2 * GAP;
			table_cut(out, s, t->width > before ? t->width - before : 0, t->column[c].kind);
			buf_char(out, '\n');
		}
	}
}

static void
table_bold(struct table *t, struct buf *out, bool on)
{
	if (t->bold)
		buf_text(out, on ? "\033[1m" : "\033[0m");
}

/* Appends the rows that are held, behind title and heading where these are the first. */
static void
table_print(struct table *t, struct buf *out, bool all)
{
	if (!t->begun) {
		table_lay_out(t, all);
		table_bold(t, out, true);
		buf_printf(out, "%s%s\n", t->title, t->held ? "" : ": none");
		if (t->held && !t->blocks)
			table_line(t, out, NULL);
		table_bold(t, out, false);
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
		table_number(&t->cells, text);
	else
		buf_safe(&t->cells, text);
	struct slice s = {t->cells.p + at, t->cells.len - at};
	if (t->column[t->cell].kind == TABLE_TEXT && table_chars(s) > HELD_CHARS) {
		t->cells.len = at + table_head(s, HELD_CHARS).n;
		buf_text(&t->cells, "…");
		s.n = t->cells.len - at;
	}
	size_t chars = table_chars(s);
	if (chars > t->column[t->cell].widest)
		t->column[t->cell].widest = chars;
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
