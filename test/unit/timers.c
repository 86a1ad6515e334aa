// with: timerd/timers.c
/* The timer structure against a model that can be seen to be right: a plain array
 * searched from end to end. */
#include "timerd/timers.h"

#include "common/buf.h"
#include "tap.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* SplitMix64 (Steele, Lea, Flood 2014). */
static uint64_t random_state;

static uint64_t
draw(void)
{
	uint64_t z = random_state += UINT64_C(0x9e3779b97f4a7c15);
	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return z ^ z >> 31;
}

static int64_t
below(int64_t n)
{
	return (int64_t)(draw() % (uint64_t)n);
}

enum { ACCOUNTS = 200 };

struct model {
	bool set;
	int64_t version, due;
	uint64_t order;
} model[ACCOUNTS];

static struct slice
name(char room[32], uint64_t n)
{
	int len = snprintf(room, 32, "\"account-%" PRIu64 "\"", n);
	return (struct slice){room, (size_t)len};
}

static bool
set(struct timers *t, uint64_t account, int64_t version, int64_t due, struct timer **old)
{
	char room[32], text[32];
	int n = snprintf(text, sizeof text, "%" PRIu64 ":%" PRId64, account, version);
	return timers_set(t, name(room, account), version, due, version % 2, (struct slice){text, (size_t)n}, old);
}

/* Whether the callback is that account's, with all that was set. */
static bool
is(const struct timer *r, uint64_t account, int64_t version, int64_t due)
{
	char room[32], text[32];
	snprintf(text, sizeof text, "%" PRIu64 ":%" PRId64, account, version);
	return r->version == version && r->item.due == due && r->recovered == (version % 2 != 0) &&
	       slice_same(timer_id(r), name(room, account)) && slice_is(timer_content(r), text);
}

/* Takes out the next callback, however many calls that needs. */
static struct timer *
pop(struct timers *t, int64_t now)
{
	struct timer *r = NULL;
	while (!r && timers_count(t) && timers_next(t) <= now)
		r = timers_pop(t, now);
	return r;
}

static size_t
model_first(void)
{
	size_t first = ACCOUNTS;
	for (size_t i = 0; i < ACCOUNTS; i++)
		if (model[i].set && (first == ACCOUNTS || model[i].due < model[first].due ||
					(model[i].due == model[first].due && model[i].order < model[first].order)))
			first = i;
	return first;
}

static uint64_t
model_count(void)
{
	uint64_t n = 0;
	for (size_t i = 0; i < ACCOUNTS; i++)
		n += model[i].set;
	return n;
}

/* Sets a random account. Returns whether the structure did what the model does. */
static bool
step_set(struct timers *t, int64_t now, int64_t span, uint64_t order)
{
	size_t account = (size_t)below(ACCOUNTS);
	struct model *m = &model[account], was = *m;
	int64_t version = m->version + below(4) - 1;
	int64_t due = now - span / 4 + below(span);
	struct timer *old;
	bool wanted = !was.set || version > was.version;
	if (set(t, account, version, due, &old) != wanted || (old != NULL) != (wanted && was.set))
		return false;
	if (wanted)
		*m = (struct model){true, version, due, order};
	if (!old)
		return true;
	bool same = is(old, account, was.version, was.due);
	free(old);
	return same;
}

/* Takes out all that is due, but for a few. */
static bool
step_fire(struct timers *t, int64_t now)
{
	for (int64_t most = below(ACCOUNTS);; most--) {
		size_t first = model_first();
		bool due = first < ACCOUNTS && model[first].due <= now;
		int64_t next = timers_next(t);
		if (first == ACCOUNTS ? next != WHEEL_NEVER : next > model[first].due)
			return false;
		if (most == 0)
			return true;
		struct timer *r = pop(t, now);
		if ((r != NULL) != due)
			return false;
		if (!r)
			return true;
		bool same = is(r, first, model[first].version, model[first].due);
		free(r);
		model[first].set = false;
		if (!same)
			return false;
	}
}

static void
test_random(void)
{
	static const int64_t spans[] = {8, 100, 5000, 300000, INT64_C(1) << 40, INT64_C(31536000000000)};
	int wrong = 0;
	for (uint64_t seed = 1; seed <= 600 && wrong < 5; seed++) {
		random_state = seed;
		memset(model, 0, sizeof model);
		struct timers *t = timers_new();
		int64_t span = spans[seed % 6], now = (below(3) - 1) * INT64_C(1766000000000000);
		bool good = true;
		uint64_t n = 0;
		for (; n < 1500 && good; n++) {
			good = step_set(t, now, span, n);
			if (good && below(8) == 0) {
				now += below(span) / 8;
				good = step_fire(t, now);
			}
			good = good && timers_count(t) == model_count();
		}
		if (!good) {
			tap_note("seed %" PRIu64 ", step %" PRIu64 ", span %" PRId64, seed, n, span);
			wrong++;
		}
		timers_free(t);
	}
	tap_ok(wrong == 0, "600 random histories are as the model has them");
}

/* Equal due times come out in the order they were set, whatever happens to the levels in between. */
static void
test_equal(void)
{
	enum { N = 60000 }; /* more than is moved in one call */
	struct timers *t = timers_new();
	struct timer *old, *r;
	const int64_t due = INT64_C(1766000000000000);
	uint64_t next = 0, taken = 0, wrong = 0;
	for (uint64_t i = 0; i < N / 2; i++)
		set(t, next++, 1, due, &old);
	/* Ones that fire before, at all distances, and each time more of the equal ones. */
	for (int64_t before = due; before > 0; before /= 3)
		set(t, N + (uint64_t)before, 1, due - before, &old);
	for (int64_t before = due; before > 0; before /= 3) {
		r = pop(t, due - before);
		wrong += r == NULL;
		free(r);
		for (int i = 0; i < 500; i++)
			set(t, next++, 1, due, &old);
	}
	/* And some between the calls that take the slot apart. */
	while (timers_count(t)) {
		wrong += timers_next(t) > due;
		r = timers_pop(t, due);
		if (!r && next < N)
			set(t, next++, 1, due, &old);
		wrong += r && !is(r, taken++, 1, due);
		free(r);
	}
	tap_ok(wrong == 0 && taken == next, "equal due times come out in the order they were set (%" PRIu64 ")", taken);
	timers_free(t);
}

/* A crowd that is due at one moment comes out piece by piece: no call does much, and few do nothing. */
static void
test_crowd(void)
{
	enum { N = 1000000 };
	struct timers *t = timers_new();
	struct timer *old, *r;
	const int64_t now = INT64_C(1766000000000000);
	uint64_t empty = 0, wrong = 0;
	free(timers_pop(t, now));
	for (uint64_t i = 0; i < N; i++)
		set(t, i, 1, now + 1000000, &old);
	for (uint64_t i = 0; timers_count(t);) {
		wrong += timers_next(t) > now + 1000000;
		r = timers_pop(t, now + 1000000);
		empty += !r;
		wrong += r && !is(r, i++, 1, now + 1000000);
		free(r);
	}
	tap_ok(wrong == 0 && empty > 0 && empty <= 3 * N / WHEEL_MOVES + 3,
	    "a crowd of %d comes out with %" PRIu64 " empty calls", N, empty);
	timers_free(t);
}

static void
test_take(void)
{
	struct timers *t = timers_new();
	struct timer *old, *r;
	for (uint64_t i = 0; i < 100; i++)
		set(t, i, 5, (int64_t)i * 100, &old);
	tap_ok(!timers_take(t, SLICE("\"account-7\""), 4) && timers_count(t) == 100, "a newer one is not taken");
	r = timers_take(t, SLICE("\"account-7\""), 5);
	tap_ok(r && is(r, 7, 5, 700) && timers_count(t) == 99, "an older one is");
	free(r);
	tap_ok(!timers_take(t, SLICE("\"account-7\""), 9), "once");
	bool good = true;
	for (uint64_t i = 0; i < 100; i++) {
		if (i == 7)
			continue;
		r = pop(t, 10000);
		good = good && r && is(r, i, 5, (int64_t)i * 100);
		free(r);
	}
	tap_ok(good && timers_count(t) == 0, "the others come out as before");
	timers_free(t);
}

static void
test_late(void)
{
	struct timers *t = timers_new();
	struct timer *old, *r;
	set(t, 1, 1, 1000, &old);
	r = pop(t, 5000);
	tap_ok(r && is(r, 1, 1, 1000), "what is due comes out");
	free(r);
	static const int64_t dues[] = {900, 5000, 700, 1000, 900, INT64_MIN, 4999};
	static const uint64_t order[] = {6, 3, 1, 5, 4, 7, 2};
	bool good = true;
	for (uint64_t i = 0; i < 7; i++)
		set(t, i + 1, 1, dues[i], &old);
	for (uint64_t i = 0; i < 7; i++) {
		r = pop(t, 5000);
		good = good && r && is(r, order[i], 1, dues[order[i] - 1]);
		free(r);
	}
	tap_ok(good, "what is set overdue comes out in order of due time");
	set(t, 1, 1, 6000, &old);
	tap_ok(!pop(t, 5999) && timers_next(t) == 6000, "nothing comes out early");
	tap_ok(!set(t, 1, 1, 5, &old) && !set(t, 1, 0, 5, &old) && !old, "a version that is not newer changes nothing");
	timers_free(t);
}

static void
test_far(void)
{
	struct timers *t = timers_new();
	struct timer *old, *r;
	const int64_t now = INT64_C(1766000000000000), year = INT64_C(31536000000000);
	tap_ok(timers_next(t) == WHEEL_NEVER && !timers_pop(t, INT64_MAX), "the empty one has no next");
	set(t, 1, 1, now + year, &old);
	tap_ok(timers_next(t) == now + year, "one alone is slept for exactly, a year too");
	for (uint64_t i = 2; i < 2000; i++)
		set(t, i, 1, now + year + (int64_t)i * 1000, &old);
	/* What sleeps until timers_next() must not wake often for nothing. */
	int wakes = 0;
	uint64_t fired = 0;
	bool good = true;
	for (int64_t at = now; timers_count(t); at = timers_next(t), wakes++)
		while ((r = timers_pop(t, at))) {
			fired++;
			good = good && r->item.due == at;
			free(r);
		}
	tap_ok(good && fired == 1999, "each comes out at its very time");
	tap_ok(wakes < 2 * 1999, "sleeping takes %d wake-ups for 1999 callbacks", wakes);
	set(t, 1, 1, INT64_MAX, &old);
	set(t, 2, 1, INT64_MIN, &old);
	set(t, 3, 1, 0, &old);
	static const int64_t ends[] = {INT64_MIN, 0, INT64_MAX};
	for (int i = 0; i < 3; i++) {
		r = timers_pop(t, INT64_MAX);
		good = good && r && r->item.due == ends[i];
		free(r);
	}
	tap_ok(good, "the ends of time are in order");
	timers_free(t);
}

static void
test_many(void)
{
	enum { N = 1000000 };
	struct timers *t = timers_new();
	struct timer *old, *r;
	uint64_t wrong = 0, n = 0;
	random_state = 1;
	for (uint64_t i = 0; i < N; i++)
		wrong += !set(t, i, 1, below(100000000), &old);
	for (uint64_t i = 0; i < N; i += 2) {
		wrong += !set(t, i, 2, below(100000000), &old) || !old;
		free(old);
	}
	tap_ok(wrong == 0 && timers_count(t) == N, "a million are set, half of them again");
	for (int64_t last = INT64_MIN; (r = pop(t, INT64_MAX)); last = r->item.due, free(r), n++)
		wrong += r->item.due < last;
	tap_ok(wrong == 0 && n == N && timers_count(t) == 0, "and come out in order");
	timers_free(t);
}

int
main(void)
{
	test_random();
	test_equal();
	test_crowd();
	test_take();
	test_late();
	test_far();
	test_many();
	return tap_done();
}
