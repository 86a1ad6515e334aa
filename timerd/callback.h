/* What is kept of a callback until it fires or is cancelled: the members of its
 * `indexed` event that `fired` and `cancelled` repeat, packed into one string of bytes. */
#ifndef ACCTFLOW_CALLBACK_H
#define ACCTFLOW_CALLBACK_H

#include "event.h"
#include "timers.h"

/* An `indexed` or `pending` record, read. Slices live as long as the record's line and the struct's buffers. */
struct schedule {
	struct slice id;      /* JSON string, canonical: equal ids are equal bytes */
	int64_t version, due; /* due NO_TIME: this version has no callback */
	struct slice content; /* packed; empty without a callback */
	struct buf id_scratch, content_scratch, text;
};

/* Reads what is to be scheduled. Returns NULL, or the name of the member that is missing or wrong. `s` starts zeroed
 * and is used again. */
const char *schedule_read(const struct record *r, struct schedule *s);

/* The callback as event.h wants it; lives as long as r. */
struct event_callback callback_unpack(const struct timer *r);

#endif
