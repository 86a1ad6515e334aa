/* The pipelines of a run, as their files in the state folder show them: run/pipelines/K for each, with the metrics
 * files of its programs and its `name`; run/restarts; and the disk. Folders may come and go. */
#ifndef ACCTFLOW_PIPELINES_H
#define ACCTFLOW_PIPELINES_H

#include "buf.h"
#include "metrics.h"

enum program_index { KAFKA_READER, READER, WRITER, TIMERD, DELIVER, TRACER, ACK, PROGRAMS };
enum program_state { STOPPED, STALLED, RUNNING };
extern const char *const program_names[PROGRAMS], *const program_states[];

struct watched {
	bool known; /* there is a metrics file */
	enum program_state state;
	struct metrics metrics;
};

/* How far reader is. What it skipped when it resumed does not count as work done. */
struct progress {
	bool known;
	uint64_t emitted, bytes, size; /* size 0: unknown */
	double rate, left;	       /* records per second; seconds; -1: unknown */
};

struct pipeline {
	char source[1025], shard[24];
	struct watched program[PROGRAMS];
	int first; /* its first program: KAFKA_READER where there was one, else READER */
	struct progress progress;
	int64_t lag_records; /* emitted by reader, or in the Kafka partition, and not committed; -1: unknown */
	double lag_seconds;  /* how long the oldest of them has been waiting */
	double overdue;	     /* seconds by which the oldest callback is overdue; 0: none is */
};

struct restart {
	int64_t at; /* by the run's clock, as all times here */
	char program[32], cause[32];
	size_t same; /* how many restarts are like this one, which is the first of them; else 0 */
};

struct pipelines {
	const char *home;
	int64_t now, disk_at; /* when all this was looked at */
	int64_t shift;	      /* what the run's clock, which goes by the database's, is ahead of ours */
	int64_t leases;	      /* that this machine of a fleet has; -1: there is none */
	struct pipeline *all;
	struct restart *restart; /* of this run, the oldest first */
	size_t n, restarts;
	uint64_t spool_bytes, disk_free;
};

/* Looks again, unless that was less than a tenth of a second ago. */
void pipelines_look(struct pipelines *ps);

/* Whether the program is one of this pipeline: kafka-reader, deliver and tracer need not be. */
bool pipeline_has(const struct pipeline *p, int program);

/* Whether any program runs. */
bool pipelines_running(const struct pipelines *ps);

uint64_t pipelines_sum(const struct pipelines *ps, enum program_index program, enum metrics_value which);

/* All pipelines as one: records of the shards of a source count once. */
struct progress pipelines_progress(const struct pipelines *ps);

/* Appends "SOURCE I/N: " if there is more than one pipeline. */
void pipelines_label(const struct pipelines *ps, const struct pipeline *p, struct buf *b);

/* Appends text from outside in quotes, made safe to print, as JSON and Prometheus both have it. */
void pipelines_quote(const char *text, struct buf *b);

#endif
