/* A hierarchical timing wheel: items in order of due time, equal ones in the order
 * they were added. Adding, removing and (amortised) taking out cost constant time,
 * however many there are. Items are the caller's own and are linked in place. */
#ifndef ACCTFLOW_WHEEL_H
#define ACCTFLOW_WHEEL_H

#include <stdbool.h>
#include <stdint.h>

struct wheel_item {
	struct wheel_item *next, *prev;
	int64_t due; /* microseconds, any int64_t; not to be changed while in the wheel */
};

enum { WHEEL_BITS = 6, WHEEL_SLOTS = 2 << WHEEL_BITS, WHEEL_LEVELS = 64 / WHEEL_BITS + 1 };

/* The inside is wheel.c's own. A wheel must not be moved once it is made. */
struct wheel {
	uint64_t current; /* nothing in the slots is due before it */
	unsigned levels;  /* a bit for each level that has an item */
	uint64_t used[WHEEL_LEVELS][2];
	struct wheel_item late;
	struct wheel_item slot[WHEEL_LEVELS][WHEEL_SLOTS];
};

#define WHEEL_NEVER INT64_MAX

void wheel_init(struct wheel *w);
void wheel_add(struct wheel *w, struct wheel_item *item);
void wheel_remove(struct wheel *w, struct wheel_item *item);

/* Takes out the item that comes first, if it is due at `now`; else NULL. It moves at most some hundred items down the
 * levels, so that a crowd stalls nobody: NULL while wheel_next() <= now means that it wants to be called again. */
struct wheel_item *wheel_pop(struct wheel *w, int64_t now);

/* A time at or before which nothing is due, WHEEL_NEVER where the wheel is empty. It is exact for the items of the
 * lowest level and for one alone in its slot; else it is when wheel_pop has a slot to take apart. */
int64_t wheel_next(const struct wheel *w);

#endif
