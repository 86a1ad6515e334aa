/* Commits one batch, whatever it takes: history, latest state, rejects, counts and
 * committed offset in one transaction; tried again where that may help, looked up
 * where its outcome was lost, halved where a row was refused. Nothing here waits:
 * commit_step goes on and says what it waits for. Afterwards, and only then, the
 * batch's items carry what is to be emitted. */
#ifndef ACCTFLOW_COMMIT_H
#define ACCTFLOW_COMMIT_H

#include "statements.h"

enum commit_status {
	COMMIT_DONE,
	COMMIT_WAIT,
	COMMIT_RETRIES_OVER, /* temporary: logged */
	COMMIT_REFUSED,	     /* permanent: logged */
};

struct commit {
	struct pg *pg;
	struct source *source;
	bool resume, virtual_clock;
	int64_t replay_to; /* up to this offset an earlier process committed; -1: none */
	int64_t last;	   /* when the last record was ingested; INT64_MIN: none yet */
	/* The rest is its own. */
	enum commit_state {
		COMMIT_READY,	/* the connection is made ready */
		COMMIT_REPLAY,	/* rejects that an earlier process recorded */
		COMMIT_LOOKUP,	/* the outcome of a lost COMMIT */
		COMMIT_GUARD,	/* lock, and upsert of each account's highest version */
		COMMIT_ASK,	/* about whatever was not newer */
		COMMIT_COPYING, /* history, piece by piece */
		COMMIT_COPIED,
		COMMIT_WRITING, /* everything else, COMMIT */
		COMMIT_PAUSE,
	} state;
	struct batch *b;
	struct range range;
	size_t end;	     /* of the items that are committed after one another from range.from on */
	bool replays, doubt; /* COMMIT_REPLAY is to be done; COMMIT_LOOKUP is */
	bool guards, copied; /* an account has a version to be written; history is there */
	bool inserts;	     /* rather than to be copied it is inserted */
	int64_t started, until;
	int64_t began; /* the transaction */
	unsigned tries, lookups;
	struct buf xid;
	struct statements statements;
	struct knowns knowns;
	size_t copy_at;
};

/* Begins with a batch that has items. */
void commit_start(struct commit *c, struct batch *b);

/* Goes on with it. COMMIT_WAIT: *wait says for what. */
enum commit_status commit_step(struct commit *c, struct pg_wait *wait);

#endif
