/* When each record arrives, in nanoseconds from the start. Every draw is a function
 * of the seed and the record's ordinal alone, so that a stream taken up in its middle
 * goes on as if it had never stopped. Integers throughout: the same on every machine. */
#ifndef ACCTFLOW_ARRIVAL_H
#define ACCTFLOW_ARRIVAL_H

#include <stdint.h>

enum arrival_mode { ARRIVAL_GAP, ARRIVAL_OFFSET, ARRIVAL_RECORDED, ARRIVAL_NONE };

/* Texts as they were given, kept by pointer, and what they mean. */
struct delay {
	const char *text;
	uint64_t min, max; /* nanoseconds */
};

struct speed {
	const char *text;
	uint64_t millionths;
};

struct arrival {
	enum arrival_mode mode;
	uint64_t seed;
	struct delay delay;
	struct speed speed;
	/* The rest is its own. */
	uint64_t ordinal, sum;
};

/* Options' setters: "MIN:MAX" in milliseconds and "X", decimal, up to six digits behind the point. 0, or -1. */
int delay_set(const char *text, void *delay);
int speed_set(const char *text, void *speed);

/* The arrival time of the next record. arrive_ms is its own, -1 where it has none. Called once for every record, also
 * for rejected and skipped ones. Never decreases but under ARRIVAL_OFFSET; at most ARRIVE_MAX milliseconds. */
uint64_t arrival_next(struct arrival *a, int64_t arrive_ms);

/* Goes over to the record of that ordinal, which is ahead. `recorded` is the greatest arriveMs of those before it. */
void arrival_skip(struct arrival *a, uint64_t ordinal, int64_t recorded);

/* What it returned last; 0 at first. Not under ARRIVAL_OFFSET. */
uint64_t arrival_last(const struct arrival *a);

#endif
