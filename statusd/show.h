/* The figures as lines for people. */
#ifndef ACCTFLOW_SHOW_H
#define ACCTFLOW_SHOW_H

#include "pipeline.h"

/* Appends how far reader is, without a newline: share, records, rate, time left. Returns false where none runs. */
bool show_progress(const struct pipeline *p, struct buf *b);

/* Appends some lines: programs, input, lag, with `totals` the counts, latencies, and what is wrong. */
void show_status(const struct pipeline *p, const struct buf *why_not_ready, bool totals, struct buf *b);

#endif
