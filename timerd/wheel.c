/* After Varghese and Lauck, "Hashed and Hierarchical Timing Wheels" (1987), scheme 7,
 * with one change. A level's slots are as wide as all 64 slots below it together; when the time comes to a slot, its
 * items move down. Here a level has 128 slots, for the slot above that is current and for the one behind it, so that
 * a slot can be taken apart little by little before its time comes, and a crowd in it holds up nobody.
 *
 * The wheel's time moves only to what was taken out or apart, never ahead of what was asked for: what is added later
 * and is overdue still comes out in order of due time. Before anything was asked for it is the beginning of time.
 *
 * Invariants, with `at(t, level)` the number of the slot: no slot in use is at at(current, level) but on level 0; the
 * one behind it is being taken apart; while it is in use, what belongs there is put there and not below, so that it
 * overtakes no equal. A slot of a higher level that starts no later than one below is taken apart first. */
#include "wheel.h"

#include <stddef.h>

enum {
	MOVES = 512,	 /* most items moved in one call */
	MOVES_AHEAD = 8, /* of which this many beside taking one out: about thrice what a steady stream needs */
	WIDE = 3,	 /* from this level on (a quarter of a second) slots are taken apart ahead of their time */
};

/* The slot that comes first. */
struct first {
	int level;
	bool behind; /* the current one's neighbour: it can be taken apart */
	uint64_t start;
	struct wheel_item *list;
};

/* Signed times in unsigned order. */
static uint64_t
key(int64_t t)
{
	return (uint64_t)t ^ UINT64_C(1) << 63;
}

static int64_t
unkey(uint64_t k)
{
	return (int64_t)(k ^ UINT64_C(1) << 63);
}

static uint64_t
at(uint64_t k, int level)
{
	return k >> level * WHEEL_BITS;
}

static void
list_init(struct wheel_item *list)
{
	list->next = list->prev = list;
}

static void
list_insert(struct wheel_item *after, struct wheel_item *item)
{
	item->prev = after;
	item->next = after->next;
	after->next->prev = item;
	after->next = item;
}

void
wheel_init(struct wheel *w)
{
	*w = (struct wheel){0};
	list_init(&w->late);
	for (int level = 0; level < WHEEL_LEVELS; level++)
		for (int i = 0; i < WHEEL_SLOTS; i++)
			list_init(&w->slot[level][i]);
}

static bool
is_used(const struct wheel *w, int level, uint64_t number)
{
	unsigned i = number % WHEEL_SLOTS;
	return w->used[level][i / 64] >> i % 64 & 1;
}

/* Puts an item on `level` or below. */
static void
place(struct wheel *w, struct wheel_item *item, int level)
{
	uint64_t k = key(item->due);
	while (level > 0 && at(k, level) - at(w->current, level) <= 1 && !is_used(w, level, at(k, level)))
		level--;
	unsigned i = at(k, level) % WHEEL_SLOTS;
	list_insert(w->slot[level][i].prev, item);
	w->used[level][i / 64] |= UINT64_C(1) << i % 64;
	/* No caller has a level above the last. NOLINTNEXTLINE(clang-analyzer-core.UndefinedBinaryOperatorResult) */
	w->levels |= 1U << level;
}

void
wheel_add(struct wheel *w, struct wheel_item *item)
{
	uint64_t k = key(item->due);
	if (k >= w->current) {
		uint64_t differs = k ^ w->current;
		place(w, item, differs ? (63 - __builtin_clzll(differs)) / WHEEL_BITS : 0);
		return;
	}
	/* Its slot is in the past. These are few, and nearly in order. */
	struct wheel_item *after = w->late.prev;
	while (after != &w->late && after->due > item->due)
		after = after->prev;
	list_insert(after, item);
}

void
wheel_remove(struct wheel *w, struct wheel_item *item)
{
	struct wheel_item *list = item->prev;
	item->prev->next = item->next;
	item->next->prev = item->prev;
	if (list->next != list || list == &w->late)
		return;
	/* It was the last in its slot, and what is left is the slot itself. */
	unsigned n = (unsigned)(list - w->slot[0]), level = n / WHEEL_SLOTS, i = n % WHEEL_SLOTS;
	w->used[level][i / 64] &= ~(UINT64_C(1) << i % 64);
	if (!(w->used[level][0] | w->used[level][1]))
		w->levels &= ~(1U << level);
}

/* How far behind the current slot, the slots being a ring, the first one in use is. The level has one. */
static unsigned
distance(const struct wheel *w, int level)
{
	unsigned from = at(w->current, level) % WHEEL_SLOTS, shift = from % 64;
	uint64_t a = w->used[level][from / 64], b = w->used[level][1 - from / 64];
	uint64_t near = shift ? a >> shift | b << (64 - shift) : a, far = shift ? b >> shift | a << (64 - shift) : b;
	return near ? (unsigned)__builtin_ctzll(near) : 64 + (unsigned)__builtin_ctzll(far);
}

/* Finds the slot that comes first; returns false where the wheel has no items but late ones. */
static bool
find_first(const struct wheel *w, struct first *f)
{
	f->start = UINT64_MAX;
	for (unsigned left = w->levels; left; left &= left - 1) {
		int level = __builtin_ctz(left);
		unsigned d = distance(w, level);
		uint64_t number = at(w->current, level) + d, start = number << level * WHEEL_BITS;
		if (start <= f->start) {
			/* The lists are not const to who may change the wheel. */
			const struct wheel_item *list = &w->slot[level][number % WHEEL_SLOTS];
			*f = (struct first){level, d == 1, start, list->next->prev};
		}
		/* What is on the levels above starts behind all that is below here. */
		if (number >> WHEEL_BITS == at(w->current, level) >> WHEEL_BITS)
			break;
	}
	return w->levels != 0;
}

/* Whether the slot's first item comes first of all: they are all equal, or it is the only one. */
static bool
is_sorted(const struct wheel *w, const struct first *f)
{
	return f->level == 0 || (f->list->next->next == f->list && !(w->levels & ((1U << f->level) - 1)));
}

static uint64_t
slot_before(const struct first *f)
{
	return f->start - (UINT64_C(1) << f->level * WHEEL_BITS);
}

/* Takes the slot behind the current one apart. Returns how many more moves may be made. */
static int
take_apart(struct wheel *w, int level, int moves)
{
	struct wheel_item *list = &w->slot[level][(at(w->current, level) + 1) % WHEEL_SLOTS], *item;
	for (; moves > 0 && (item = list->next) != list; moves--) {
		__builtin_prefetch(item->next);
		wheel_remove(w, item);
		place(w, item, level - 1);
	}
	return moves;
}

static struct wheel_item *
take_out(struct wheel *w, struct wheel_item *item)
{
	w->current = key(item->due);
	wheel_remove(w, item);
	int moves = MOVES_AHEAD;
	for (unsigned left = w->levels & ~1U; left && moves; left &= left - 1)
		moves = take_apart(w, __builtin_ctz(left), moves);
	return item;
}

struct wheel_item *
wheel_pop(struct wheel *w, int64_t now)
{
	struct wheel_item *item = w->late.next;
	if (item != &w->late) {
		if (item->due > now)
			return NULL;
		wheel_remove(w, item);
		return item;
	}
	if (!w->levels && key(now) > w->current)
		w->current = key(now);
	struct first f;
	for (int moves = MOVES; moves > 0 && find_first(w, &f);) {
		if (is_sorted(w, &f))
			return f.list->next->due <= now ? take_out(w, f.list->next) : NULL;
		if ((f.level < WIDE ? f.start : f.behind ? 0 : slot_before(&f)) > key(now))
			return NULL;
		if (!f.behind)
			w->current = slot_before(&f);
		moves = take_apart(w, f.level, moves);
	}
	return NULL;
}

int64_t
wheel_next(const struct wheel *w)
{
	struct first f;
	if (w->late.next != &w->late)
		return w->late.next->due;
	if (!find_first(w, &f))
		return WHEEL_NEVER;
	if (is_sorted(w, &f))
		return f.list->next->due;
	return unkey(f.level < WIDE ? f.start : f.behind ? w->current : slot_before(&f));
}
