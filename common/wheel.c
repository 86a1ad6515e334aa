/* A hierarchical timing wheel (Varghese and Lauck 1987, scheme 7) for what is far, a
 * heap for what is near. A slot of the lowest level is 2^WHEEL_FINE microseconds wide,
 * one of a level above as wide as all slots below it together. When the time comes to
 * a slot, its items move down; from the lowest level they move into the heap, which
 * alone knows their exact order. So nothing depends on the order in which items lie in
 * a slot or move, and a slot can be taken apart little by little.
 *
 * Invariants: what is in the heap is due before all slots in use; a slot in use starts behind `current`; while
 * `moving` holds items, nothing is taken out. */
#include "wheel.h"

#include "buf.h"

#include <stdbool.h>
#include <stdlib.h>

/* Signed times in unsigned order. */
static uint64_t
wheel_key(int64_t t)
{
	return (uint64_t)t ^ UINT64_C(1) << 63;
}

static int64_t
wheel_time(uint64_t key)
{
	return (int64_t)(key ^ UINT64_C(1) << 63);
}

static int
level_shift(int level)
{
	return WHEEL_FINE + level * WHEEL_BITS;
}

static void
list_init(struct wheel_item *list)
{
	list->next = list->prev = list;
}

static void
list_append(struct wheel_item *list, struct wheel_item *item)
{
	item->prev = list->prev;
	item->next = list;
	list->prev->next = item;
	list->prev = item;
}

static void
list_remove(struct wheel_item *item)
{
	/* NOLINTNEXTLINE(clang-analyzer-core.NullDereference): what is in the heap, without a prev, is in no list. */
	item->prev->next = item->next;
	item->next->prev = item->prev;
}

static bool
heap_before(const struct wheel_entry *a, const struct wheel_entry *b)
{
	return a->due != b->due ? a->due < b->due : a->order < b->order;
}

static void
heap_put(struct wheel *w, size_t i, struct wheel_entry e)
{
	w->heap[i] = e;
	e.item->place = i;
}

/* Puts e where it belongs, starting from the hole at i. */
static void
heap_sift(struct wheel *w, size_t i, struct wheel_entry e)
{
	for (; i > 0 && heap_before(&e, &w->heap[(i - 1) / 2]); i = (i - 1) / 2)
		heap_put(w, i, w->heap[(i - 1) / 2]);
	for (size_t child; (child = 2 * i + 1) < w->heap_n; i = child) {
		child += child + 1 < w->heap_n && heap_before(&w->heap[child + 1], &w->heap[child]);
		if (!heap_before(&w->heap[child], &e))
			break;
		heap_put(w, i, w->heap[child]);
	}
	heap_put(w, i, e);
}

static void
heap_add(struct wheel *w, struct wheel_item *item)
{
	if (w->heap_n == w->heap_cap) {
		w->heap_cap = w->heap_cap ? 2 * w->heap_cap : 64;
		w->heap = mem_grow(w->heap, w->heap_cap * sizeof *w->heap);
	}
	item->prev = NULL;
	heap_sift(w, w->heap_n++, (struct wheel_entry){item->due, item->order, item});
}

static void
heap_remove(struct wheel *w, size_t i)
{
	w->heap_n--;
	if (i < w->heap_n)
		heap_sift(w, i, w->heap[w->heap_n]);
}

void
wheel_init(struct wheel *w)
{
	*w = (struct wheel){0};
	list_init(&w->moving);
	for (int level = 0; level < WHEEL_LEVELS; level++)
		for (int i = 0; i < WHEEL_SLOTS; i++)
			list_init(&w->slot[level][i]);
}

void
wheel_free(struct wheel *w)
{
	free(w->heap);
}

/* Puts an item where its distance from `current` says. */
static void
wheel_place(struct wheel *w, struct wheel_item *item)
{
	uint64_t key = wheel_key(item->due), differs = key ^ w->current;
	if (key < w->current || differs >> WHEEL_FINE == 0) {
		heap_add(w, item);
		return;
	}
	int level = (63 - __builtin_clzll(differs) - WHEEL_FINE) / WHEEL_BITS;
	unsigned i = key >> level_shift(level) & (WHEEL_SLOTS - 1);
	list_append(&w->slot[level][i], item);
	w->used[level][i / 64] |= UINT64_C(1) << i % 64;
	w->levels |= 1U << level;
}

void
wheel_add(struct wheel *w, struct wheel_item *item)
{
	item->order = w->added++;
	wheel_place(w, item);
}

void
wheel_remove(struct wheel *w, struct wheel_item *item)
{
	if (item->prev)
		list_remove(item);
	else
		heap_remove(w, item->place);
}

/* The first slot that has items, and its start; NULL where there is none. Levels do not overlap, so it is on the lowest
 * level in use. Slots that wheel_remove emptied are found out here. */
static struct wheel_item *
slot_first(struct wheel *w, uint64_t *start)
{
	while (w->levels) {
		int level = __builtin_ctz(w->levels);
		for (unsigned word = 0; word < WHEEL_SLOTS / 64; word++)
			for (uint64_t *bits = &w->used[level][word]; *bits; *bits &= *bits - 1) {
				uint64_t i = word * 64 + (unsigned)__builtin_ctzll(*bits);
				struct wheel_item *list = &w->slot[level][i];
				int shift = level_shift(level), above = shift + WHEEL_BITS;
				if (list->next == list)
					continue;
				*start = (above < 64 ? w->current >> above << above : 0) | i << shift;
				return list;
			}
		w->levels &= w->levels - 1;
	}
	return NULL;
}

/* Begins to take the first slot apart if its time has come. Returns whether it did. */
static bool
slot_begin(struct wheel *w, uint64_t now)
{
	uint64_t start;
	struct wheel_item *list = slot_first(w, &start);
	if (!list) {
		if (now > w->current)
			w->current = now >> WHEEL_FINE << WHEEL_FINE;
		return false;
	}
	if (start > now)
		return false;
	w->current = start;
	w->moving = *list;
	w->moving.next->prev = w->moving.prev->next = &w->moving;
	list_init(list);
	return true;
}

struct wheel_item *
wheel_pop(struct wheel *w, int64_t now)
{
	int moves = WHEEL_MOVES;
	do {
		struct wheel_item *item;
		for (; (item = w->moving.next) != &w->moving; moves--) {
			if (moves == 0)
				return NULL;
			__builtin_prefetch(item->next);
			list_remove(item);
			wheel_place(w, item);
		}
	} while (w->heap_n == 0 && slot_begin(w, wheel_key(now)));
	if (w->heap_n == 0 || w->heap[0].due > now)
		return NULL;
	struct wheel_item *first = w->heap[0].item;
	heap_remove(w, 0);
	return first;
}

int64_t
wheel_next(struct wheel *w)
{
	uint64_t start;
	if (w->moving.next != &w->moving)
		return wheel_time(w->current);
	if (w->heap_n)
		return w->heap[0].due;
	return slot_first(w, &start) ? wheel_time(start) : WHEEL_NEVER;
}
