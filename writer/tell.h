/* The events that writer tells, made from the items of a committed batch. */
#ifndef ACCTFLOW_TELL_H
#define ACCTFLOW_TELL_H

#include "batch.h"

/* Appends the event of the batch's item as one line without its newline. */
void tell_item(struct buf *out, const struct batch *b, const struct item *it);

/* Appends the members that `indexed` and `pending` share, behind `{"event":"…"`. offset < 0 and an empty source are
 * left out; trace is a JSON string or empty. */
void tell_update(struct buf *out, const struct item *it, struct slice source);

#endif
