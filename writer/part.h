/* One attempt at committing some items of a batch, and each lane's part in it: the statements that a part sends, with
 * their rows, and what is read from their answers. When and how often they are sent is ingest's affair. */
#ifndef ACCTFLOW_PART_H
#define ACCTFLOW_PART_H

#include "ingest.h"

enum { COPY_FROM = 256 }; /* items from which on their history is worth a COPY */

/* One lane's share of an attempt. */
struct part {
	struct pg *db;
	struct pg_param *params;
	unsigned lane, lane_last; /* the lanes whose rows it advances */
	bool done;
	enum { STEP_GUARD, STEP_QUESTIONS, STEP_COPY, STEP_WRITES } step; /* what was started last */
	struct buf xid;
	struct buf asked;	      /* the items whose versions were asked about, a uint32_t each */
	const struct place *accounts; /* in the order of their ids */
	size_t accounts_n;
	struct attempt *attempt;
	size_t sent, read; /* how far into its accounts what is being sent has come, and its answers */
	uint32_t row;	   /* the item whose history comes next */
};

/* The one in the middle of everything: which batch, which items of it. */
struct attempt {
	struct ingest *g;
	struct batch *b;
	size_t from, to;
	struct part part[MOST_LANES];
	struct part *running[MOST_LANES]; /* those that are not done, as pg_drive counts them */
	unsigned parts;
	bool sourced, fenced;
};

/* Whether the item is the part's, and still to be settled. */
bool part_has(const struct attempt *t, const struct part *p, const struct item *it);

static inline struct account *
part_account(const struct part *p, size_t i)
{
	return &p->attempt->b->accounts[p->accounts[i].account];
}

/* Accounts, their items and these' text lie in the order in which they came: those behind the account `at` are fetched
 * ahead. */
void part_look_ahead(const struct part *p, size_t at);

/* Step 1: starts the guard, and finds out who won and against what. When it is over: notes the transaction's number. */
void part_guard(struct part *p);
void part_guarded(struct part *p);

/* Step 2: queues what is asked about whatever was not newer; returns how many statements that takes. Reads the answers;
 * they must be decided on before anything else is queued. */
int part_questions(struct attempt *t, struct part *p);
void part_answers(struct attempt *t, struct part *p);

/* Step 3: starts the COPY of a large history; queues all else up to COMMIT. */
void part_copy(struct part *p);
void part_writes(struct attempt *t, struct part *p);

#endif
