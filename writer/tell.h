/* The events that writer tells, made from the items of a committed batch. */
#ifndef ACCTFLOW_TELL_H
#define ACCTFLOW_TELL_H

#include "batch.h"

/* Appends the event of the batch's item as one line without its newline. */
void tell_item(struct buf *out, const struct batch *b, const struct item *it);

/* Appends the members that `indexed` and `pending` share, behind `{"event":"…"`. */
void tell_update(struct buf *out, const struct update *u, int64_t ingested_at);

#endif
