/* The figures that a running program shows: a small mapped file, NAME.metrics in the folder ACCTFLOW_METRICS, that
 * statusd reads at any moment. One process writes it with relaxed stores and no system call. It outlives a crash, and
 * the program's next process takes it up: counters and histograms go on, gauges begin anew. A write lock on the file
 * says that its writer lives. Without ACCTFLOW_METRICS all of this goes to memory that nobody reads. */
#ifndef ACCTFLOW_METRICS_H
#define ACCTFLOW_METRICS_H

#include "buf.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/* One table for all programs; each fills what it has. First counters, from METRIC_GAUGES on gauges. */
enum metrics_value {
	METRIC_BATCHES,	  /* writer: batches committed; ack: times it recorded */
	METRIC_RETRIES,	  /* writer, ack: database work that was tried again */
	METRIC_FIRED,	  /* timerd: emitted as fired, repeats after a crash included */
	METRIC_COMMITTED, /* writer: offset behind the last one committed, set after each commit */
	METRIC_HELD,	  /* ack: callbacks that waited for the lease to be renewed */
	METRIC_ATTEMPTS,  /* deliver: that were begun */
	/* tracer: spans that the collector took; those dropped as the queue was full, as it refused them, at the end */
	METRIC_SPANS_EXPORTED,
	METRIC_SPANS_FULL,
	METRIC_SPANS_REFUSED,
	METRIC_SPANS_LEFT,
	METRIC_GAUGES,
	METRIC_EMITTED = METRIC_GAUGES, /* reader, kafka-reader: offset behind the last one emitted, or to begin at */
	METRIC_BYTES,			/* reader: bytes read of its input */
	METRIC_SIZE,			/* reader: bytes that there are; 0 if unknown, as for a pipe */
	METRIC_NEXT_DUE,		/* timerd: when the first is due, in microseconds since 1970; 0: none */
	METRIC_RETRYING,		/* writer, ack: since when retries go on without a batch; 0: none, kept here.
					 * kafka-reader: since when no broker answers; 0: one does */
	METRIC_BEGUN,			/* kafka-reader, reader: offset that it began at */
	METRIC_BEHIND,			/* kafka-reader: messages that the partition has behind the last one emitted */
	METRIC_STAMP,			/* kafka-reader: that one's time, in microseconds since 1970; 0: it had none */
	METRIC_OWN,			/* reader: offset behind the last one of its own shard */
	METRIC_WAITING,			/* deliver: callbacks that it holds */
	METRIC_COUNT
};

enum histogram {
	HISTOGRAM_BATCH,    /* writer: updates in a batch */
	HISTOGRAM_COMMIT,   /* writer: microseconds from handing a batch to the database to its commit */
	HISTOGRAM_EMITTED,  /* ack: microseconds from an update's ingestion to its event being emitted */
	HISTOGRAM_LATENESS, /* timerd: microseconds from due to fired */
	HISTOGRAM_DELIVERY, /* deliver: microseconds from a callback's coming to its being taken */
	HISTOGRAM_COUNT
};

enum { METRICS_BUCKETS = 20 /* the last has no upper bound */, METRICS_MARKS = 600 };

/* Upper bounds, included. */
extern const uint64_t metrics_bounds[HISTOGRAM_COUNT][METRICS_BUCKETS - 1];

/* What was seen last in a bucket of an update that is sampled: its trace's id, all 0 where there was none. The mark is
 * the others, mixed, by which a reader knows one that is just being changed. */
struct metrics_exemplar {
	_Atomic uint64_t trace[2], value, at, mark;
};

struct metrics_histogram {
	_Atomic uint64_t count[METRICS_BUCKETS]; /* not cumulative */
	_Atomic uint64_t sum;
	struct metrics_exemplar exemplar[METRICS_BUCKETS];
};

/* The file. The marks say what METRIC_EMITTED was, about once a second, so that whoever looks only once knows rate and
 * age too. */
struct metrics {
	char magic[8];		       /* with the layout's number */
	_Atomic uint32_t pid, marks;   /* marks of this process; the newest is at (marks - 1) % METRICS_MARKS */
	_Atomic int64_t started, tick; /* clock_now() at the start, and at the last turn of the loop */
	_Atomic uint64_t value[METRIC_COUNT];
	struct metrics_histogram histogram[HISTOGRAM_COUNT];
	struct metrics_mark {
		int64_t at;
		uint64_t emitted;
	} mark[METRICS_MARKS];
};

/* Takes up NAME.metrics. If that fails it is logged, and the program runs on without. */
void metrics_open(const char *name);

void metrics_add(enum metrics_value which, uint64_t n);
void metrics_set(enum metrics_value which, uint64_t v);

/* Notes a value that was seen n times. */
void metrics_observe(enum histogram which, uint64_t value, uint64_t n);

/* Notes that the value was seen, of an update with this trace, if that is sampled. */
void metrics_exemplify(enum histogram which, uint64_t value, struct slice trace);

/* Whether a bucket of a copy has an exemplar that can be believed. */
bool metrics_exemplified(const struct metrics_exemplar *e);

/* The loop turns: called by loop_wait. */
void metrics_tick(void);

/* Whether somebody may be looking. */
bool metrics_shown(void);

/* The reading side: copies NAME.metrics out of `folder`. Returns 1 if its writer lives, 0 if not, -1 if there is none
 * (or one of another layout). */
int metrics_read(const char *folder, const char *name, struct metrics *copy);

#endif
