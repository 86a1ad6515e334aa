/* The timer structure against libev's timers (a 4-ary heap), on one simulated clock: N callbacks pending, due within
 * ten seconds; each millisecond some are replaced, those due fire, and each account that fired is set anew.
 *
 *     cc -O2 -I. -Icommon test/bench/timers.c timerd/timers.c common/….c -lev
 *     timers [PENDING [ROUNDS]]
 *
 * `wheel` and `libev` are like for like: items in an array, no accounts to be found. `timers` is what timerd uses:
 * accounts found by their ids, ids and contents copied. Prints one JSON object a contender: the median of the rounds,
 * in which the contenders take turns. */
#include "timerd/timers.h"
#include "common/buf.h"

#include <ev.h>
#include <inttypes.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum { SPAN = 10000000, STEP = 1000, STEPS = 3000 };

static size_t pending;
static int64_t now;
static uint64_t random_state, fired;

/* libev asks this one, in place of the C library's: the clock is simulated. */
int
clock_gettime(clockid_t id, struct timespec *ts)
{
	(void)id;
	*ts = (struct timespec){now / 1000000 + 1000, now % 1000000 * 1000};
	return 0;
}

static double
seconds(void)
{
	struct timespec ts;
	syscall(SYS_clock_gettime, CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

/* SplitMix64. */
static uint64_t
draw(uint64_t n)
{
	uint64_t z = random_state += UINT64_C(0x9e3779b97f4a7c15);
	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return (z ^ z >> 31) % n;
}

static struct ev_loop *loop;
static ev_timer *watchers;

static void
ev_fired(struct ev_loop *l, ev_timer *w, int events)
{
	(void)events;
	fired++;
	ev_timer_set(w, (double)draw(SPAN) / 1e6, 0.);
	ev_timer_start(l, w);
}

static void
ev_begin(void)
{
	loop = ev_loop_new(EVFLAG_AUTO);
	watchers = mem_alloc(pending * sizeof *watchers);
	for (size_t i = 0; i < pending; i++) {
		ev_timer_init(&watchers[i], ev_fired, (double)draw(SPAN) / 1e6, 0.);
		ev_timer_start(loop, &watchers[i]);
	}
}

static void
ev_replace(size_t i)
{
	ev_timer_stop(loop, &watchers[i]);
	ev_timer_set(&watchers[i], (double)draw(SPAN) / 1e6, 0.);
	ev_timer_start(loop, &watchers[i]);
}

static void
ev_fire(void)
{
	ev_run(loop, EVRUN_NOWAIT);
}

static void
ev_end(void)
{
	ev_loop_destroy(loop);
	free(watchers);
}

static struct wheel wheel;
static struct wheel_item *items;

static void
wheel_begin(void)
{
	wheel_init(&wheel);
	wheel_pop(&wheel, now);
	items = mem_alloc(pending * sizeof *items);
	for (size_t i = 0; i < pending; i++) {
		items[i].due = now + (int64_t)draw(SPAN);
		wheel_add(&wheel, &items[i]);
	}
}

static void
wheel_replace(size_t i)
{
	wheel_remove(&wheel, &items[i]);
	items[i].due = now + (int64_t)draw(SPAN);
	wheel_add(&wheel, &items[i]);
}

static void
wheel_fire(void)
{
	struct wheel_item *item;
	while ((item = wheel_pop(&wheel, now)) != NULL || wheel_next(&wheel) <= now) {
		if (!item)
			continue;
		fired++;
		item->due = now + (int64_t)draw(SPAN);
		wheel_add(&wheel, item);
	}
}

static void
wheel_end(void)
{
	wheel_free(&wheel);
	free(items);
}

static struct timers *timers;
static int64_t version;

static void
timers_replace(size_t i)
{
	static const char content[] = "\"/data/challenge-input.json\",123456,\"escrow\",880,{\"subtype\":1}";
	char id[64];
	struct timer *old;
	int n = snprintf(id, sizeof id, "\"A72KnHfa%036zu\"", i);
	timers_set(timers, (struct slice){id, (size_t)n}, ++version, now + (int64_t)draw(SPAN), false,
	    (struct slice){content, sizeof content - 1}, &old);
	free(old);
}

static void
timers_begin(void)
{
	timers = timers_new();
	timers_pop(timers, now);
	for (size_t i = 0; i < pending; i++)
		timers_replace(i);
}

static void
timers_fire(void)
{
	while (timers_next(timers) <= now) {
		struct timer *r = timers_pop(timers, now);
		if (!r)
			continue;
		fired++;
		timers_replace(strtoul(r->text + 9, NULL, 10));
		free(r);
	}
}

static void
timers_end(void)
{
	timers_free(timers);
}

static const struct contender {
	const char *name;
	void (*begin)(void);
	void (*replace)(size_t);
	void (*fire)(void);
	void (*end)(void);
} contenders[] = {
    {"libev", ev_begin, ev_replace, ev_fire, ev_end},
    {"wheel", wheel_begin, wheel_replace, wheel_fire, wheel_end},
    {"timers", timers_begin, timers_replace, timers_fire, timers_end},
};
enum { CONTENDERS = sizeof contenders / sizeof *contenders, ROUNDS_MAX = 99 };

struct result {
	double set_ns, mix_ns, worst_ms, bytes;
};

static struct result
measure(const struct contender *c)
{
	struct result r = {0};
	uint64_t replaced = 0;
	now = 0;
	random_state = 1;
	fired = 0;
	struct mallinfo2 before = mallinfo2();
	double start = seconds(), last;
	c->begin();
	r.set_ns = (seconds() - start) * 1e9 / (double)pending;
	struct mallinfo2 after = mallinfo2();
	r.bytes = (double)(after.uordblks + after.hblkhd - before.uordblks - before.hblkhd) / (double)pending;
	start = last = seconds();
	for (int step = 0; step < STEPS; step++) {
		now += STEP;
		for (size_t i = 0; i < pending / 5000; i++, replaced++)
			c->replace((size_t)draw(pending));
		c->fire();
		double t = seconds();
		r.worst_ms = (t - last) * 1e3 > r.worst_ms ? (t - last) * 1e3 : r.worst_ms;
		last = t;
	}
	/* A replacement is a cancel and a schedule, a firing is followed by a schedule. */
	r.mix_ns = (last - start) * 1e9 / (double)(2 * replaced + 2 * fired);
	c->end();
	return r;
}

static int
compare(const void *a, const void *b)
{
	const struct result *x = a, *y = b;
	return (x->mix_ns > y->mix_ns) - (x->mix_ns < y->mix_ns);
}

int
main(int argc, char **argv)
{
	pending = argc > 1 ? strtoul(argv[1], NULL, 10) : 1000000;
	size_t rounds = argc > 2 ? strtoul(argv[2], NULL, 10) : 5;
	static struct result results[CONTENDERS][ROUNDS_MAX];
	if (pending < 5000 || rounds < 1 || rounds > ROUNDS_MAX) {
		fputs("usage: timers [PENDING (from 5000) [ROUNDS (1 to 99)]]\n", stderr);
		return 100;
	}
	for (size_t round = 0; round < rounds; round++)
		for (size_t i = 0; i < CONTENDERS; i++)
			results[i][round] = measure(&contenders[i]);
	for (size_t i = 0; i < CONTENDERS; i++) {
		qsort(results[i], rounds, sizeof results[i][0], compare);
		const struct result *r = &results[i][rounds / 2];
		printf("{\"bench\":\"timers\",\"contender\":\"%s\",\"pending\":%zu,\"rounds\":%zu,\"scheduleNs\":%.1f,"
		       "\"mixNs\":%.1f,\"worstStepMs\":%.2f,\"bytes\":%.1f}\n",
		    contenders[i].name, pending, rounds, r->set_ns, r->mix_ns, r->worst_ms, r->bytes);
	}
	return 0;
}
