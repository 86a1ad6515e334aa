/* The pending callbacks: at most one an account, found by the account's id, taken
 * out in order of due time, equal ones in the order they were set. Knows nothing of
 * records: what a callback will emit is bytes to it. */
#ifndef ACCTFLOW_TIMERS_H
#define ACCTFLOW_TIMERS_H

#include "buf.h"
#include "wheel.h"

#include <stdbool.h>

struct timers;

/* One pending callback. To be read only. */
struct timer {
	struct wheel_item item;
	struct timer *chain;
	int64_t version;
	uint32_t hash;
	uint32_t size; /* of id and content together */
	uint16_t id_size;
	bool recovered;
	char text[]; /* the id, then the content */
};

enum { TIMER_ID_MAX = UINT16_MAX };

struct timers *timers_new(void);
void timers_free(struct timers *t);

/* Sets the account's callback. Returns false where it has one whose version is not older: nothing changes. Else *old is
 * the one it replaces, or NULL; it is no longer pending and belongs to the caller, who frees it. `id` and
 * `content` are copied. id.n <= TIMER_ID_MAX, content.n < 4 GiB. */
bool timers_set(struct timers *t, struct slice id, int64_t version, int64_t due, bool recovered, struct slice content,
    struct timer **old);

/* What is taken out, here and by timers_pop, belongs to the caller; NULL where there is nothing to take. */

/* The account's callback, if its version is at most `most`. */
struct timer *timers_take(struct timers *t, struct slice id, int64_t most);

/* See wheel_pop and wheel_next. */
struct timer *timers_pop(struct timers *t, int64_t now);
int64_t timers_next(struct timers *t);

uint64_t timers_count(const struct timers *t);

static inline struct slice
timer_id(const struct timer *r)
{
	return (struct slice){r->text, r->id_size};
}

static inline struct slice
timer_content(const struct timer *r)
{
	return (struct slice){r->text + r->id_size, r->size - r->id_size};
}

#endif
