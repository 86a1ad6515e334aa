/* What the database says, by way of `writer status --interval`: a child that is kept running, and the newest of what it
 * said. Only writer speaks to Postgres. */
#ifndef ACCTFLOW_REPORT_H
#define ACCTFLOW_REPORT_H

#include "buf.h"

enum { REASONS = 8 };
extern const char *const report_reasons[REASONS];

struct report {
	/* Times by clock_now(); 0: never. */
	int64_t answered, expected; /* when the database last answered; until when the next block is to come */
	struct buf error;	    /* of the last block; empty: none */
	int64_t schema, schema_wanted;
	bool counted, settled, reasoned; /* which of these are known */
	uint64_t read, indexed, stale, duplicate, conflict, rejected;
	uint64_t fired, cancelled, pending;
	uint64_t reason[REASONS];
	struct buf sources, pending_by_due, richest, rejects; /* JSON arrays */
	struct buf committed;				      /* NAME:OFFSET of each source, the names in hex */
	int64_t committed_at;				      /* when that was said */
	/* Its own. */
	int fd;
	bool failed; /* an error line came in this block */
	uint64_t outcomes_indexed, outcomes_fired, outcomes_pending;
	struct buf in;
};

/* `writer` is the program's path; NULL: nothing is asked. Forks a process that runs writer whenever it does not run:
 * what statusd gives up later, files and the network, that one needs. */
void report_start(struct report *r, const char *writer);

/* Notes where no answer comes. Call once a second. */
void report_tend(struct report *r);

/* Reads what is there at r->fd (-1: nothing to wait for). */
void report_read(struct report *r);

/* The offset that is committed of a source; -1: none, -2: unknown. */
int64_t report_committed(struct report *r, struct slice source);

void report_free(struct report *r);

#endif
