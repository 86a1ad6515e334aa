/* The callbacks that are held until a receiver has taken them. Those of one account are handed over one at a time, in
 * the order they came; each is due when its next attempt may begin. Knows nothing of receivers and of records. */
#ifndef ACCTFLOW_QUEUE_H
#define ACCTFLOW_QUEUE_H

#include "buf.h"
#include "wheel.h"

struct job {
	struct slice id;	/* text; must stay the first member, by which jobs are found */
	struct slice line;	/* the event */
	int64_t version, since; /* since: when it was added */
	int64_t superseded_by;	/* a newer version that came while it was in flight; -1: none */
	unsigned attempts;	/* that have begun */
	bool in_flight;
	bool noted;			 /* its attempts are: it is sampled */
	int64_t began;			 /* the last attempt */
	struct event_attempt *attempted; /* those that have ended, if they are noted: deliver.c's */
	size_t attempted_n;
	struct wheel_item item; /* in the wheel while it is the account's first and not in flight */
	struct job *next;	/* of the same account */
};

/* Starts zeroed but for queue_init. */
struct queue {
	struct wheel wheel;
	void *accounts;	     /* the first job of each, by id */
	size_t count, bytes; /* bytes: of their lines */
};

void queue_init(struct queue *q);

/* Adds a callback as the last of its account, and returns it. Both texts are copied. */
struct job *queue_add(struct queue *q, struct slice id, int64_t version, struct slice line, int64_t now);

/* The next one whose attempt may begin; it is in flight from then on. NULL: none, see queue_due. */
struct job *queue_next(struct queue *q, int64_t now);

/* When the next one may be due, WHEEL_NEVER where none is waiting. It may be early, as wheel_next is. */
int64_t queue_due(struct queue *q);

/* An attempt has ended, and another one may begin at `due`. */
void queue_again(struct queue *q, struct job *job, int64_t due);

/* It is no longer held: takes it out, and frees it unless the caller keeps it. */
void queue_remove(struct queue *q, struct job *job);
void queue_end(struct queue *q, struct job *job);
void job_free(struct job *job);

/* The account has a newer version: takes out its older ones that are not in flight, for the caller to free, linked by
 * `next`, oldest first; notes it in the one that is. */
struct job *queue_supersede(struct queue *q, struct slice id, int64_t version);

#endif
