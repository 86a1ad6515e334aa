/* A query's rows on standard output: as NDJSON, as CSV, or as a table for people. */
#ifndef ACCTFLOW_ROWS_H
#define ACCTFLOW_ROWS_H

#include "table.h"
#include "writer.h"

struct rows {
	struct pg *pg;
	const char *title;
	enum format format;
	bool (*judge)(struct pg *pg); /* asked of each row, whether it is as it should be; may be NULL */
	struct output out;
	struct table table;
	uint64_t n;
	bool sound; /* as the judge says of all rows */
};

/* How rows are shown on standard output: by --format, or by whether it is a terminal. Never FORMAT_AUTO. */
enum format rows_format(const struct writer_options *o);

/* Shows all rows of what pg_each started; exits where that fails. Sets n and sound. */
void rows_show(struct rows *r);

/* Ends with what the database said of a query that failed. */
_Noreturn void rows_failed(struct pg *pg, enum pg_status status);

#endif
