/* What a running program shows of itself: a small mapped file, var/run/NAME.stats, that statusd reads at any moment.
 * One process writes it, by plain relaxed stores, with no system call; it outlives a crash, and whoever starts again
 * takes it up: counters and histograms go on, gauges begin anew. A write lock on the file says that its writer lives.
 * Without ACCTFLOW_STATS=DIR all of this goes to memory that nobody reads. */
#ifndef ACCTFLOW_STATS_H
#define ACCTFLOW_STATS_H

#include "buf.h"

#include <stdatomic.h>

/* One table for all programs; each fills what it has. Up to STAT_GAUGES counters, from there on gauges. */
enum stats_value {
	STAT_BATCHES,	/* writer: batches committed */
	STAT_RETRIES,	/* writer, settle: database work that was tried again */
	STAT_FIRED,	/* timerd: told as fired, repeats after a crash counted */
	STAT_CANCELLED, /* timerd: told as cancelled, likewise */
	STAT_GAUGES,
	STAT_TOLD = STAT_GAUGES, /* reader: the offset of the next record */
	STAT_BYTES,		 /* reader: bytes read of its input */
	STAT_SIZE,		 /* reader: how many it has; 0 where unknown, as of a pipe */
	STAT_PENDING,		 /* timerd: callbacks */
	STAT_NEXT_DUE,		 /* timerd: when the first of them is due, in microseconds since 1970; 0: none */
	STAT_COUNT
};

enum histogram {
	HISTOGRAM_BATCH,    /* writer: updates in a batch */
	HISTOGRAM_COMMIT,   /* writer: microseconds from handing a batch to the database to its commit */
	HISTOGRAM_TOLD,	    /* settle: microseconds from an update's ingestion to its event having passed */
	HISTOGRAM_LATENESS, /* timerd: microseconds from due to fired */
	HISTOGRAM_COUNT
};

enum {
	STATS_LAYOUT = 1,
	STATS_BUCKETS = 20, /* the last has no upper bound */
	STATS_EVENTS = 20,
	STATS_EVENT_BYTES = 4096,
	STATS_SOURCE_BYTES = 1024,
};

/* Upper bounds, included: 1, 2, 5, 10 … of updates; 100, 200, 500 … of microseconds. */
extern const uint64_t stats_bounds[HISTOGRAM_COUNT][STATS_BUCKETS - 1];

struct stats_histogram {
	_Atomic uint64_t count[STATS_BUCKETS]; /* not cumulative */
	_Atomic uint64_t sum;
};

/* The file. What is text in it is guarded by `writing`: it is odd while that changes. */
struct stats {
	char magic[8]; /* "acctflow" */
	_Atomic uint32_t layout, pid;
	_Atomic int64_t started, tick; /* clock_now() at the start, and at the last turn of the loop */
	_Atomic uint64_t value[STAT_COUNT];
	struct stats_histogram histogram[HISTOGRAM_COUNT];
	_Atomic uint32_t writing;
	uint32_t source_n, events_n; /* events_n: how many there ever were; the newest is events_n - 1 */
	char source[STATS_SOURCE_BYTES];
	struct {
		uint32_t n;
		char text[STATS_EVENT_BYTES]; /* a JSON object */
	} event[STATS_EVENTS];
};

/* Takes up NAME.stats in the folder that ACCTFLOW_STATS names. Where that fails it is logged, and the program runs on
 * without. */
void stats_open(const char *name);

void stats_add(enum stats_value which, uint64_t n);
void stats_set(enum stats_value which, uint64_t v);

/* Notes a value that was seen n times. */
void stats_observe(enum histogram which, uint64_t value, uint64_t n);

/* The loop turns: called by io_wait. */
void stats_tick(void);

/* Whether somebody may be looking. */
bool stats_shown(void);

void stats_source(struct slice source);

/* Adds the newest events, each a JSON object; those that are too long are left out. */
void stats_events(const struct slice *events, size_t n);

/* The reading side: copies NAME.stats out of `dir`. Returns 0, 1 where its writer lives, -1 where there is none (or one
 * of another layout). */
int stats_read(const char *dir, const char *name, struct stats *copy);

#endif
