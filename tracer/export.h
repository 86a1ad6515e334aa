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

/* Begins a request if it is time, and goes on with it. `all`: it begins with as few spans as there are. */
void export_turn(bool all);

/* Goes on with the request in flight, if there is one. */
void export_step(void);
bool export_busy(void);

/* By when, and with which of *fd's events before, export_turn is wanted again; -1: not by itself. */
int64_t export_wait(struct pollfd *fd, bool all);

/* Whether all were exported or dropped. */
bool export_idle(void);

/* Counts what is left, unless it is kept. */
void export_close(void);

#endif
