/* Records of the stream on their way out. Under --arrival offset all of them are held until they can be put in order
 * of arrival: the one thing in reader whose memory grows with the input. Else there is one at a time. */
#ifndef ACCTFLOW_REORDER_H
#define ACCTFLOW_REORDER_H

#include "buf.h"

struct held {
	uint64_t time;	/* of arrival */
	uint64_t order; /* of reading */
	uint64_t hash;	/* of an update, where --check asks for it */
	size_t at, n;	/* its text behind source and offset; none where nobody will want it */
	bool own;	/* of this shard */
	bool rejected, skipped;
	bool traced, sampled; /* it came with a trace; which is sampled */
};

struct reorder {
	struct held *held;
	size_t len, cap;
	struct buf text; /* all in one piece of memory, which realloc moves by remapping */
};

/* A new one, whose text is what is appended to o->text until the next one. Valid until then. */
struct held *reorder_add(struct reorder *o);

/* Sorts by time; those of equal time stay in order of reading. */
void reorder_sort(struct reorder *o);

#endif
