/* A source's claim: who may write for it, and how far its writer and its settle got. Taking a source over raises its
 * token; every later transaction checks it, so that whoever held it before can write no more. */
#ifndef ACCTFLOW_SOURCE_H
#define ACCTFLOW_SOURCE_H

#include "pg.h"

enum { MOST_LANES = 2 };

struct source {
	struct buf name;
	int64_t token; /* -1: not claimed */
	unsigned lanes;
	int64_t committed[MOST_LANES]; /* -1: none */
	int64_t committed_most;	       /* of all lanes; -1: none */
	int64_t delivered;	       /* -1: none */
	int64_t ingested[MOST_LANES];  /* ingested_at of each lane's last record; INT64_MIN: none */
};

/* Adds the source where it is new, and takes it over: waits for a transaction of the old holder, ends its backend after
 * two seconds, raises the token, and only then reads the offsets. With `own` this backend is noted as the holder; with
 * `polite` a holder that lives is left alone and *pid is its backend (else 0). `deliveries` takes settle's side too. */
enum pg_status source_claim(
    struct pg *db, struct source *s, unsigned lanes, bool own, bool polite, bool deliveries, int64_t *pid);

/* Reads the claim that somebody made for us under this token; PG_OK with s->token -1 where it is no longer ours. */
enum pg_status source_join(struct pg *db, struct source *s, int64_t token);

/* Queues the statement with which every transaction for the source begins: it locks the rows of those lanes, and finds
 * as many as there are where the source is still ours. `p` has room for 4. */
void source_lock(struct pg *db, const struct source *s, unsigned lane, unsigned lane_last, struct pg_param *p);

/* Takes settle's side of the source alone. */
enum pg_status source_claim_delivery(struct pg *db, struct source *s);

/* Says that no backend works for the source any more, where it is still ours: behind a proxy backends outlive us. Where
 * that fails nothing is lost. */
void source_release(struct pg *db, const struct source *s);

void source_free(struct source *s);

#endif
