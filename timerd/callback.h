/* What a callback will tell: the members of its update that `fired` and `cancelled`
 * print, packed into one string of bytes, and those two records made from it. */
#ifndef ACCTFLOW_CALLBACK_H
#define ACCTFLOW_CALLBACK_H

#include "record.h"
#include "timers.h"

/* An `indexed` or `pending` record, read. Slices live as long as the record's line and the struct's buffers. */
struct schedule {
	struct slice id; /* JSON string, canonical: equal ids are equal bytes */
	int64_t version, due;
	struct slice content;
	struct buf id_room, content_room, room;
};

/* Reads what is to be scheduled. Returns NULL, or the name of the member that is missing or wrong. `s` starts zeroed
 * and is used again. */
const char *schedule_read(const struct record *r, struct schedule *s);
void schedule_free(struct schedule *s);

/* Appends the record, without newline. */
void callback_fired(struct buf *out, const struct timer *r, int64_t now);
void callback_cancelled(struct buf *out, const struct timer *r, int64_t superseded_by, int64_t now);

#endif
