/* What --arrival offset holds back: all records of the input, until they can be put
 * in order of arrival. The one thing in reader whose memory grows with the input. */
#ifndef ACCTFLOW_REORDER_H
#define ACCTFLOW_REORDER_H

#include "event.h"

enum held_kind {
	HELD_UPDATE,
	HELD_REJECTED,
	HELD_FOREIGN, /* of another shard: only its place counts */
};

struct held {
	uint64_t time;	/* of arrival */
	uint64_t order; /* of reading */
	uint64_t hash;	/* of an update: update_hash */
	int64_t stamp;	/* arriveMs, -1 for none */
	size_t at;	/* where its text starts: body, then trace */
	uint32_t body, trace;
	enum held_kind kind;
};

struct reorder {
	struct held *held;
	size_t len, cap;
	struct buf text;
};

void reorder_update(struct reorder *o, uint64_t time, int64_t stamp, const struct update *u, const struct record *r);
void reorder_rejected(struct reorder *o, uint64_t time, int64_t stamp, const struct reject *j);
void reorder_foreign(struct reorder *o, uint64_t time);

/* Sorts by time; those of equal time stay in order of reading. */
void reorder_sort(struct reorder *o);

/* Appends the record as common/event has it. */
void reorder_emit(const struct reorder *o, const struct held *h, struct buf *b, struct slice source, uint64_t offset);

#endif
