/* What --arrival offset holds back: all records of the input, as they will be told,
 * until they can be put in order of arrival. The one thing in reader whose memory
 * grows with the input. */
#ifndef ACCTFLOW_HOLD_H
#define ACCTFLOW_HOLD_H

#include "tell.h"

struct held {
	uint64_t time; /* of arrival */
	int64_t stamp; /* as tell_stamp takes it */
	size_t at;     /* where its text starts: body, then tail */
	uint32_t body, tail;
	bool rejected;
};

struct reorder {
	struct held *held;
	size_t len, cap;
	struct buf text;
};

void reorder_update(struct reorder *hold, uint64_t time, int64_t stamp, const struct update *u, const struct record *r);
void reorder_rejected(
    struct reorder *hold, uint64_t time, struct slice reason, uint64_t line, struct slice raw, uint64_t total);

/* Sorts by time; those of equal time stay in order of reading. */
void reorder_sort(struct reorder *hold);

void reorder_tell(const struct reorder *hold, const struct held *h, struct teller *t, uint64_t offset);
void reorder_free(struct reorder *hold);

#endif
