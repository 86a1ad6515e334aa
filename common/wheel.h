/* The timers' order: items come out by due time, equal ones in the order they were
 * added. Adding and removing take constant time, taking out nearly so, however many
 * there are. Items are the caller's own and are linked in place. */
#ifndef ACCTFLOW_WHEEL_H
#define ACCTFLOW_WHEEL_H

#include <stddef.h>
#include <stdint.h>

struct wheel_item {
	union {
		struct wheel_item *next;
		size_t place; /* in the heap */
	};
	struct wheel_item *prev; /* NULL: in the heap */
	int64_t due;		 /* microseconds, any int64_t; must not change while in the wheel */
	uint64_t order;
};

/* The inside is wheel.c's own. A wheel must not be moved once it is made. */
enum { WHEEL_BITS = 8, WHEEL_SLOTS = 1 << WHEEL_BITS, WHEEL_FINE = 10, WHEEL_LEVELS = 7, WHEEL_MOVES = 512 };

struct wheel_entry {
	int64_t due;
	uint64_t order;
	struct wheel_item *item;
};

struct wheel {
	uint64_t current; /* where the heap's span begins; only overdue items are before it */
	uint64_t added;
	struct wheel_entry *heap;
	size_t heap_n, heap_cap;
	struct wheel_item moving; /* what was in the slot that is being taken apart */
	unsigned levels;	  /* a bit for each level that has a slot in use */
	uint64_t used[WHEEL_LEVELS][WHEEL_SLOTS / 64];
	struct wheel_item slot[WHEEL_LEVELS][WHEEL_SLOTS];
};

#define WHEEL_NEVER INT64_MAX

void wheel_init(struct wheel *w);
void wheel_free(struct wheel *w);
void wheel_add(struct wheel *w, struct wheel_item *item);
void wheel_remove(struct wheel *w, struct wheel_item *item);

/* Takes out the item that comes first, if it is due at `now`; else NULL. It moves at most WHEEL_MOVES items between
 * slots, so that a crowd stalls nobody: NULL while wheel_next() <= now means that it wants to be called again. */
struct wheel_item *wheel_pop(struct wheel *w, int64_t now);

/* A time at or before which nothing is due, WHEEL_NEVER where the wheel is empty. It is exact for what is due within a
 * millisecond; else it is when wheel_pop has a slot to take apart. */
int64_t wheel_next(struct wheel *w);

#endif
