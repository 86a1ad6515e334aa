/* Ingest: a batch becomes one transaction on each lane that it needs, with history,
 * latest state, rejects, counts and committed offset together; afterwards, and only
 * then, its items carry what is to be told. */
#ifndef ACCTFLOW_INGEST_H
#define ACCTFLOW_INGEST_H

#include "batch.h"
#include "source.h"

/* An account's place in the order: what it is compared by lies together. */
struct place {
	uint64_t prefix;
	uint32_t account;
	unsigned lane;
};

struct ingest {
	struct pg *lane[MOST_LANES];
	unsigned lanes;
	bool resume;	      /* under --resume: items that a life before committed are told again */
	struct source source; /* of the records now coming; token -1: none claimed */
	bool virtual_clock;   /* records bring their times; else a batch has the time at which its commit begins */
	int64_t last;	      /* ingested_at of the record before; INT64_MIN: none */
	/* Its own. */
	struct pg_param params[MOST_LANES][28];
	struct place *order; /* of the accounts */
	size_t order_cap;
};

enum ingest_status {
	INGEST_OK,
	INGEST_GONE,   /* the database stayed away past its deadline, or we were told to stop: exit 111 */
	INGEST_FATAL,  /* retrying cannot mend it: exit 100 */
	INGEST_FENCED, /* another writer has taken the source over: exit 100 */
};

/* Commits the items of b. Retries what passes; a row that the server refuses becomes ITEM_REJECTED with the server's
 * words. What went wrong has been logged. */
enum ingest_status ingest_batch(struct ingest *g, struct batch *b);

void ingest_free(struct ingest *g);

#endif
