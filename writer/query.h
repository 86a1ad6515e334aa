/* The verbs that only look. */
#ifndef ACCTFLOW_QUERY_H
#define ACCTFLOW_QUERY_H

#include "writer.h"

struct query {
	const char *verb, *title, *sql;
	const char *params; /* of query_main, a letter each */
	const char *what;   /* what there is none of where there are no rows; NULL: no rows are an answer too */
	const char *(*name)(const struct writer_options *o); /* and which one was asked for; NULL: any */
	bool (*judge)(struct pg *pg);
};

/* A name as in struct query: --source. */
const char *source_name(const struct writer_options *o);

/* Shows a query's rows. Returns the exit code. Frees the connection. */
int query_show(
    const struct writer_options *o, const struct query *q, struct pg *pg, const struct pg_param *params, size_t n);

/* What all of them share: connected, and ended by ^C. A query over all accounts may take its time; a dead network is
 * the kernel's to notice. */
enum { QUERY_PATIENCE_S = 3600 };
struct pg *query_open(const struct writer_options *o);

/* Says that there is no such thing. */
void query_absent(const char *what, const char *name, const char *when);

int query_main(const struct writer_options *o);

/* The verb retry, which shows in the same way what it changed. */
int retry_main(const struct writer_options *o);

#endif
