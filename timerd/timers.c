/* A timing wheel for the order and a hash table for the accounts. The table grows by
 * linear hashing (Litwin 1980), a bucket at a time: at ten million callbacks nothing stands still to rehash. A callback
 * is one allocation: 59 bytes, its bucket's 8, malloc's 8 and rounding, and what the record itself brings. */
#include "timers.h"

#include "hash.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

enum { BUCKETS_MIN = 64 };

struct timers {
	struct wheel wheel;
	struct timer **bucket;
	size_t buckets, room, half; /* in use, allocated, and the highest power of two that is <= buckets */
	uint64_t count;
};

struct timers *
timers_new(void)
{
	struct timers *t = mem_alloc(sizeof *t);
	*t = (struct timers){.buckets = BUCKETS_MIN, .room = BUCKETS_MIN, .half = BUCKETS_MIN};
	wheel_init(&t->wheel);
	t->bucket = mem_alloc(t->room * sizeof *t->bucket);
	memset(t->bucket, 0, t->room * sizeof *t->bucket);
	return t;
}

void
timers_free(struct timers *t)
{
	for (size_t i = 0; i < t->buckets; i++)
		for (struct timer *r = t->bucket[i], *next; r; r = next) {
			next = r->chain;
			free(r);
		}
	wheel_free(&t->wheel);
	free(t->bucket);
	free(t);
}

static struct timer **
timers_bucket(struct timers *t, uint32_t h)
{
	size_t i = h & (t->half * 2 - 1);
	return &t->bucket[i < t->buckets ? i : i - t->half];
}

/* One bucket more: what belongs there leaves its bucket in the lower half. */
static void
timers_grow(struct timers *t)
{
	if (t->buckets == t->room) {
		/* For sizes that matter, glibc moves page tables, not bytes. */
		t->room *= 2;
		t->bucket = mem_grow(t->bucket, t->room * sizeof *t->bucket);
	}
	struct timer **from = &t->bucket[t->buckets - t->half], **to = &t->bucket[t->buckets];
	while (*from) {
		struct timer *r = *from;
		if (r->hash & t->half) {
			*from = r->chain;
			*to = r;
			to = &r->chain;
		} else {
			from = &r->chain;
		}
	}
	*to = NULL;
	if (++t->buckets == t->half * 2)
		t->half *= 2;
}

/* Where the account's callback hangs, or where it would. */
static struct timer **
timers_find(struct timers *t, uint32_t h, struct slice id)
{
	struct timer **at = timers_bucket(t, h);
	while (*at && ((*at)->hash != h || !slice_same(timer_id(*at), id)))
		at = &(*at)->chain;
	return at;
}

bool
timers_set(struct timers *t, struct slice id, int64_t version, int64_t due, bool recovered, struct slice content,
    struct timer **old)
{
	uint32_t h = (uint32_t)hash_bytes(id);
	struct timer **at = timers_find(t, h, id);
	*old = *at;
	if (*old && (*old)->version >= version) {
		*old = NULL;
		return false;
	}
	size_t size = id.n + content.n;
	struct timer *r = mem_alloc(offsetof(struct timer, text) + size);
	r->item.due = due;
	r->chain = *old ? (*old)->chain : NULL;
	r->version = version;
	r->hash = h;
	r->size = (uint32_t)size;
	r->id_size = (uint16_t)id.n;
	r->recovered = recovered;
	memcpy(r->text, id.p, id.n);
	memcpy(r->text + id.n, content.p, content.n);
	*at = r;
	if (*old)
		wheel_remove(&t->wheel, &(*old)->item);
	wheel_add(&t->wheel, &r->item);
	if (!*old && ++t->count > t->buckets)
		timers_grow(t);
	return true;
}

struct timer *
timers_take(struct timers *t, struct slice id, int64_t most)
{
	struct timer **at = timers_find(t, (uint32_t)hash_bytes(id), id), *r = *at;
	if (!r || r->version > most)
		return NULL;
	*at = r->chain;
	wheel_remove(&t->wheel, &r->item);
	t->count--;
	return r;
}

struct timer *
timers_pop(struct timers *t, int64_t now)
{
	struct wheel_item *item = wheel_pop(&t->wheel, now);
	if (!item)
		return NULL;
	struct timer *r = (struct timer *)((char *)item - offsetof(struct timer, item));
	struct timer **at = timers_bucket(t, r->hash);
	while (*at != r)
		at = &(*at)->chain;
	*at = r->chain;
	t->count--;
	return r;
}

int64_t
timers_next(struct timers *t)
{
	return wheel_next(&t->wheel);
}

uint64_t
timers_count(const struct timers *t)
{
	return t->count;
}
