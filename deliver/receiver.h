/* What a receiver said of a callback. Receivers are commands (process.h) and a URL (post.h). Both are handed a callback
 * while they have a place free, and are then asked for answers whenever their descriptor is ready or their time has
 * come. */
#ifndef ACCTFLOW_RECEIVER_H
#define ACCTFLOW_RECEIVER_H

#include "queue.h"

enum answer_kind { ANSWER_TAKEN, ANSWER_AGAIN, ANSWER_REFUSED };

enum { ANSWER_BYTES = 4096 /* of an answer's text that are kept */ };

struct answer {
	struct job *job;
	enum answer_kind kind;
	int64_t wait_us;  /* it wants no other attempt before; 0: it did not say */
	char outcome[32]; /* in short, as the status of a URL or of a command */
	struct buf text;  /* as it came; for a receiver that gave none what happened */
};

/* For both: the most callbacks at a time, and for how long one may take. */
struct receiver_options {
	unsigned jobs;
	int64_t timeout_us;
};

#endif
