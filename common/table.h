/* Tables for people. Where one does not fit the terminal, each row is a block of labels and values. Long texts are cut.
 */
#ifndef ACCTFLOW_TABLE_H
#define ACCTFLOW_TABLE_H

#include "buf.h"

enum { TABLE_COLUMNS = 24 };

/* A number gets thousands separators; a path is cut in its middle, other text at its end. */
enum table_kind { TABLE_TEXT, TABLE_NUMBER, TABLE_PATH };

struct table {
	const char *title;
	size_t width; /* of the terminal; 0: no limit */
	bool bold;
	int columns, cell; /* the next cell's column */
	struct {
		struct buf name;
		enum table_kind kind;
		size_t width; /* in characters: the widest that is held, then as laid out; 0: not shown */
	} column[TABLE_COLUMNS];
	struct buf cells; /* of the rows that are held, each cell a line */
	size_t held;
	bool begun, blocks;
};

/* Begins a table that goes to fd; the title is kept by pointer. Columns first, by their members' names: accountType is
 * shown as "account type". */
void table_open(struct table *t, const char *title, int fd, bool bold);
void table_column(struct table *t, struct slice name, enum table_kind kind);

/* Adds a cell; a row is complete once each column has one. Rows are held, and appended to *out, so that columns are
 * wide enough: all of them, up to a thousand. */
void table_cell(struct table *t, struct slice text, struct buf *out);

/* Appends what is left, and frees it. */
void table_close(struct table *t, struct buf *out);

/* The width of the terminal that fd is, else COLUMNS, else 0. */
size_t table_terminal(int fd);

#endif
