/* What a running program shows of itself: a small mapped file, var/run/NAME.stats, that statusd reads at any moment.
 * One process writes it, by plain relaxed stores, with no system call; it outlives a crash, and whoever starts again
 * takes it up: counters and histograms go on, gauges begin anew. A write lock on the file says that its writer lives.
 * Without ACCTFLOW_METRICS=DIR all of this goes to memory that nobody reads. */
#ifndef ACCTFLOW_STATS_H
#define ACCTFLOW_STATS_H

#include "buf.h"

#include <stdatomic.h>

/* One table for all programs; each fills what it has. Up to METRIC_GAUGES counters, from there on gauges. */
enum metrics_value {
	METRIC_BATCHES,	/* writer: batches committed */
	METRIC_RETRIES,	/* writer, settle: database work that was tried again */
	METRIC_FIRED,	/* timerd: told as fired, repeats after a crash counted */
	METRIC_CANCELLED, /* timerd: told as cancelled, likewise */
	METRIC_GAUGES,
	METRIC_TOLD = METRIC_GAUGES, /* reader: the offset of the next record */
	METRIC_BYTES,		 /* reader: bytes read of its input */
	METRIC_SIZE,		 /* reader: how many it has; 0 where unknown, as of a pipe */
	METRIC_PENDING,		 /* timerd: callbacks */
	METRIC_NEXT_DUE,		 /* timerd: when the first of them is due, in microseconds since 1970; 0: none */
	METRIC_COUNT
};

enum histogram {
	HISTOGRAM_BATCH,    /* writer: updates in a batch */
	HISTOGRAM_COMMIT,   /* writer: microseconds from handing a batch to the database to its commit */
	HISTOGRAM_TOLD,	    /* settle: microseconds from an update's ingestion to its event having passed */
	HISTOGRAM_LATENESS, /* timerd: microseconds from due to fired */
	HISTOGRAM_COUNT
};

enum {
	METRICS_LAYOUT = 1,
	METRICS_BUCKETS = 20, /* the last has no upper bound */
	METRICS_EVENTS = 20,
	METRICS_EVENT_BYTES = 4096,
	METRICS_SOURCE_BYTES = 1024,
};

/* Upper bounds, included: 1, 2, 5, 10 … of updates; 100, 200, 500 … of microseconds. */
extern const uint64_t metrics_bounds[HISTOGRAM_COUNT][METRICS_BUCKETS - 1];

struct metrics_histogram {
	_Atomic uint64_t count[METRICS_BUCKETS]; /* not cumulative */
	_Atomic uint64_t sum;
};

/* The file. What is text in it is guarded by `writing`: it is odd while that changes. */
struct metrics {
	char magic[8]; /* "acctflow" */
	_Atomic uint32_t layout, pid;
	_Atomic int64_t started, tick; /* clock_now() at the start, and at the last turn of the loop */
	_Atomic uint64_t value[METRIC_COUNT];
	struct metrics_histogram histogram[HISTOGRAM_COUNT];
	_Atomic uint32_t writing;
	uint32_t source_n, events_n; /* events_n: how many there ever were; the newest is events_n - 1 */
	char source[METRICS_SOURCE_BYTES];
	struct {
		uint32_t n;
		char text[METRICS_EVENT_BYTES]; /* a JSON object */
	} event[METRICS_EVENTS];
};

/* Takes up NAME.stats in the folder that ACCTFLOW_METRICS names. Where that fails it is logged, and the program runs on
 * without. */
void metrics_open(const char *name);

void metrics_add(enum metrics_value which, uint64_t n);
void metrics_set(enum metrics_value which, uint64_t v);

/* Notes a value that was seen n times. */
void metrics_observe(enum histogram which, uint64_t value, uint64_t n);

/* The loop turns: called by loop_wait. */
void metrics_tick(void);

/* Whether somebody may be looking. */
bool metrics_shown(void);

void metrics_source(struct slice source);

/* Adds the newest events, each a JSON object; those that are too long are left out. */
void metrics_events(const struct slice *events, size_t n);

/* The reading side: copies NAME.stats out of `dir`. Returns 0, 1 where its writer lives, -1 where there is none (or one
 * of another layout). */
int metrics_read(const char *dir, const char *name, struct metrics *copy);

#endif
