/* See stats.h. */
#include "metrics.h"

#include "time.h"
#include "log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define MS 1000
#define S 1000000
#define TIME_BOUNDS                                                                                                    \
	{                                                                                                              \
		100, 200, 500, 1 * MS, 2 * MS, 5 * MS, 10 * MS, 20 * MS, 50 * MS, 100 * MS, 200 * MS, 500 * MS, 1 * S, \
		    2 * S, 5 * S, 10 * S, 30 * S, 60 * S, 300 * S                                                      \
	}

const uint64_t metrics_bounds[HISTOGRAM_COUNT][METRICS_BUCKETS - 1] = {
    [HISTOGRAM_BATCH] = {1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10000, 15000, 20000, 30000, 50000, 75000,
	100000},
    [HISTOGRAM_COMMIT] = TIME_BOUNDS,
    [HISTOGRAM_TOLD] = TIME_BOUNDS,
    [HISTOGRAM_LATENESS] = TIME_BOUNDS,
};

static const char magic[8] = {'a', 'c', 'c', 't', 'f', 'l', 'o', 'w'};
static struct metrics unseen, *stats = &unseen;

/* One process writes: an addition is a load and a store. */
static void
add(_Atomic uint64_t *to, uint64_t n)
{
	atomic_store_explicit(to, atomic_load_explicit(to, memory_order_relaxed) + n, memory_order_relaxed);
}

static bool
is_ours(const struct metrics *s)
{
	return memcmp(s->magic, magic, sizeof magic) == 0 && s->layout == METRICS_LAYOUT;
}

static void
take_up(struct metrics *s)
{
	if (!is_ours(s))
		memset(s, 0, sizeof *s);
	/* Left in the middle of a change by one that was killed. */
	if (s->writing & 1)
		s->source_n = s->events_n = 0;
	s->writing = 0;
	for (int i = METRIC_GAUGES; i < METRIC_COUNT; i++)
		s->value[i] = 0;
	s->pid = (uint32_t)getpid();
	s->started = s->tick = clock_now();
	s->layout = METRICS_LAYOUT;
	memcpy(s->magic, magic, sizeof magic);
}

void
metrics_open(const char *name)
{
	const char *dir = getenv("ACCTFLOW_METRICS");
	char path[4096];
	if (!dir || !*dir)
		return;
	if (snprintf(path, sizeof path, "%s/%s.stats", dir, name) >= (int)sizeof path)
		return;
	/* Stays open: the lock lives as long. */
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644);
	struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
	void *map = MAP_FAILED;
	if (fd >= 0 && fcntl(fd, F_SETLK, &lock) == 0 && posix_fallocate(fd, 0, sizeof *stats) == 0)
		map = mmap(NULL, sizeof *stats, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (map == MAP_FAILED) {
		log_warn("could not keep \"%s\", so that statusd will not see this program: %m", path);
		if (fd >= 0)
			close(fd);
		return;
	}
	stats = map;
	take_up(stats);
}

void
metrics_add(enum metrics_value which, uint64_t n)
{
	add(&stats->value[which], n);
}

void
metrics_set(enum metrics_value which, uint64_t v)
{
	atomic_store_explicit(&stats->value[which], v, memory_order_relaxed);
}

void
metrics_observe(enum histogram which, uint64_t value, uint64_t n)
{
	int i = 0;
	while (i < METRICS_BUCKETS - 1 && value > metrics_bounds[which][i])
		i++;
	add(&stats->histogram[which].count[i], n);
	add(&stats->histogram[which].sum, value * n);
}

void
metrics_tick(void)
{
	if (stats != &unseen)
		atomic_store_explicit(&stats->tick, clock_now(), memory_order_relaxed);
}

bool
metrics_shown(void)
{
	return stats != &unseen;
}

static void
text_begin(void)
{
	atomic_fetch_add(&stats->writing, 1);
}

static void
text_end(void)
{
	atomic_fetch_add(&stats->writing, 1);
}

void
metrics_source(struct slice source)
{
	text_begin();
	stats->source_n = (uint32_t)(source.n < METRICS_SOURCE_BYTES ? source.n : METRICS_SOURCE_BYTES);
	if (source.n)
		memcpy(stats->source, source.p, stats->source_n);
	text_end();
}

void
metrics_events(const struct slice *events, size_t n)
{
	if (n == 0)
		return;
	text_begin();
	for (size_t i = 0; i < n; i++) {
		uint32_t at = stats->events_n % METRICS_EVENTS;
		if (events[i].n > METRICS_EVENT_BYTES)
			continue;
		memcpy(stats->event[at].text, events[i].p, events[i].n);
		stats->event[at].n = (uint32_t)events[i].n;
		/* Never wraps to a multiple of its own: what matters is how many there are, and where the next goes. */
		stats->events_n = stats->events_n == 2 * METRICS_EVENTS - 1 ? METRICS_EVENTS : stats->events_n + 1;
	}
	text_end();
}

static int
copy_read(int fd, struct metrics *copy)
{
	/* The text may change while it is copied: then once more, a few times. */
	for (int i = 0; i < 5; i++) {
		uint32_t again;
		if (pread(fd, copy, sizeof *copy, 0) != (ssize_t)sizeof *copy || !is_ours(copy))
			return -1;
		if (pread(fd, &again, sizeof again, offsetof(struct metrics, writing)) == (ssize_t)sizeof again &&
		    again == copy->writing && !(again & 1))
			return 0;
	}
	copy->source_n = copy->events_n = 0;
	return 0;
}

int
metrics_read(const char *dir, const char *name, struct metrics *copy)
{
	char path[4096];
	if (snprintf(path, sizeof path, "%s/%s.stats", dir, name) >= (int)sizeof path)
		return -1;
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -1;
	int result = copy_read(fd, copy);
	struct flock lock = {.l_type = F_RDLCK, .l_whence = SEEK_SET};
	if (result == 0 && fcntl(fd, F_GETLK, &lock) == 0 && lock.l_type != F_UNLCK)
		result = 1;
	close(fd);
	if (copy->source_n > METRICS_SOURCE_BYTES)
		copy->source_n = 0;
	for (size_t i = 0; i < METRICS_EVENTS; i++)
		if (copy->event[i].n > METRICS_EVENT_BYTES)
			copy->event[i].n = 0;
	return result;
}
