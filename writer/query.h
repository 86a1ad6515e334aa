/* The verbs that only look: a query's rows as NDJSON, or as a table for people. None of them migrates. Each returns the
 * exit code: 1 where what it was asked for is not there, or where counts do not add up. */
#ifndef ACCTFLOW_QUERY_H
#define ACCTFLOW_QUERY_H

#include "writer.h"

int query_status(const struct writer_options *o);
int query_sources(const struct writer_options *o);
int query_richest(const struct writer_options *o);
int query_history(const struct writer_options *o);
int query_rejected(const struct writer_options *o);

#endif
