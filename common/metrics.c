/* See metrics.h. */
#include "metrics.h"

#include "log.h"
#include "mapping.h"
#include "time.h"
#include "trace.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define S 1000000
enum { RETRY_GAP_US = 15 * S /* retries that are further apart have nothing to do with each other */ };

/* clang-format off */
#define TIMES {100, 200, 500, 1000, 2000, 5000, S / 100, S / 50, S / 20, S / 10, S / 5, S / 2, S, 2 * S, 5 * S, 10 * S, \
	30 * S, 60 * S, 300 * S}
const uint64_t metrics_bounds[HISTOGRAM_COUNT][METRICS_BUCKETS - 1] = {
	{1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10000, 15000, 20000, 30000, 50000, 75000, 100000},
	TIMES, TIMES, TIMES, TIMES,
};
/* clang-format on */

static const char magic[8] = {'a', 'c', 'c', 't', 'f', 'l', 'w', 9};
static struct metrics unseen, *metrics = &unseen;

/* One process writes: an addition is a load and a store. */
static void
metrics_store_sum(_Atomic uint64_t *to, uint64_t n)
{
	atomic_store_explicit(to, atomic_load_explicit(to, memory_order_relaxed) + n, memory_order_relaxed);
}

static void
metrics_take_up(struct metrics *m)
{
	if (memcmp(m->magic, magic, sizeof magic) != 0)
		memset(m, 0, sizeof *m);
	m->marks = 0;
	for (int i = METRIC_GAUGES; i < METRIC_COUNT; i++)
		m->value[i] = 0;
	m->pid = (uint32_t)getpid();
	m->started = m->tick = clock_now();
	memcpy(m->magic, magic, sizeof magic);
}

void
metrics_open(const char *name)
{
	const char *folder = getenv("ACCTFLOW_METRICS");
	char path[4096];
	if (!folder || !*folder || snprintf(path, sizeof path, "%s/%s.metrics", folder, name) >= (int)sizeof path)
		return;
	struct metrics *map = mapping_own(path, 0644, sizeof *map);
	if (!map) {
		log_warn("could not map \"%s\", statusd will not see this program: %m", path);
		return;
	}
	metrics = map;
	metrics_take_up(metrics);
}

void
metrics_set(enum metrics_value which, uint64_t v)
{
	atomic_store_explicit(&metrics->value[which], v, memory_order_relaxed);
}

void
metrics_add(enum metrics_value which, uint64_t n)
{
	static int64_t last;
	metrics_store_sum(&metrics->value[which], n);
	/* METRIC_RETRYING is kept here, so that callers need only count. */
	if (which == METRIC_RETRIES) {
		int64_t now = clock_now();
		if (metrics->value[METRIC_RETRYING] == 0 || now - last > RETRY_GAP_US)
			metrics_set(METRIC_RETRYING, (uint64_t)now);
		last = now;
	} else if (which == METRIC_BATCHES) {
		metrics_set(METRIC_RETRYING, 0);
	}
}

static int
metrics_bucket(enum histogram which, uint64_t value)
{
	int i = 0;
	while (i < METRICS_BUCKETS - 1 && value > metrics_bounds[which][i])
		i++;
	return i;
}

void
metrics_observe(enum histogram which, uint64_t value, uint64_t n)
{
	struct metrics_histogram *h = &metrics->histogram[which];
	metrics_store_sum(&h->count[metrics_bucket(which, value)], n);
	metrics_store_sum(&h->sum, value * n);
}

static uint64_t
exemplar_mark(const struct metrics_exemplar *e)
{
	return ~(e->trace[0] ^ e->trace[1] << 1 ^ e->value << 2 ^ e->at << 3);
}

void
metrics_exemplify(enum histogram which, uint64_t value, struct slice trace)
{
	if (!trace_sampled(trace))
		return;
	struct metrics_exemplar *e = &metrics->histogram[which].exemplar[metrics_bucket(which, value)];
	for (size_t i = 0; i < 2; i++)
		e->trace[i] = trace_hex(trace_id(trace).p + i * TRACE_PARENT);
	e->value = value;
	e->at = (uint64_t)clock_now();
	e->mark = exemplar_mark(e);
}

bool
metrics_exemplified(const struct metrics_exemplar *e)
{
	return (e->trace[0] | e->trace[1]) && e->mark == exemplar_mark(e);
}

void
metrics_tick(void)
{
	if (metrics == &unseen)
		return;
	int64_t now = clock_now();
	uint32_t n = metrics->marks;
	atomic_store_explicit(&metrics->tick, now, memory_order_relaxed);
	if (n && now - metrics->mark[(n - 1) % METRICS_MARKS].at < S)
		return;
	metrics->mark[n % METRICS_MARKS] = (struct metrics_mark){now, metrics->value[METRIC_EMITTED]};
	metrics->marks = n + 1;
}

bool
metrics_shown(void)
{
	return metrics != &unseen;
}

int
metrics_read(const char *folder, const char *name, struct metrics *copy)
{
	char path[4096];
	if (snprintf(path, sizeof path, "%s/%s.metrics", folder, name) >= (int)sizeof path)
		return -1;
	int fd = open(path, O_RDONLY | O_CLOEXEC), result = -1;
	struct flock lock = {.l_type = F_RDLCK, .l_whence = SEEK_SET};
	if (fd < 0)
		return -1;
	if (pread(fd, copy, sizeof *copy, 0) == (ssize_t)sizeof *copy && memcmp(copy->magic, magic, sizeof magic) == 0)
		result = fcntl(fd, F_GETLK, &lock) == 0 && lock.l_type != F_UNLCK;
	close(fd);
	return result;
}
