/* Spans to a collector by OTLP/HTTP in JSON, one request at a time. Nothing here waits: spans that find no room in the
 * queue, or that the collector refuses, are dropped and counted. */
#ifndef ACCTFLOW_EXPORT_H
#define ACCTFLOW_EXPORT_H

#include "buf.h"

#include <poll.h>

struct export_options {
	const char *to, *keep; /* the URL; a file that keeps the queue through a crash, or NULL */
	uint64_t queue;	       /* the most spans in it */
};

/* A URL that is none ends the program. Takes up what an earlier process left in `keep`. */
void export_open(const struct export_options *o);

/* Whether spans of this key were handed over lately, by this process or one before it. */
bool export_seen(uint64_t key);

/* Adds n spans, JSON objects separated by commas, to the queue: all or none, also where the process is killed. */
void export_spans(uint64_t key, struct slice spans, unsigned n);

/* Begins a request if it is time, and goes on with it. */
void export_turn(void);

/* By when, and with which of *fd's events before, export_turn is wanted again; -1: not by itself. */
int64_t export_wait(struct pollfd *fd);

/* Exports what it still can, for two seconds at most. Counts what is left, unless it is kept. The answer of the last
 * request is waited for, since whoever comes next repeats one whose answer was not heard. */
void export_drain(void);

#endif
