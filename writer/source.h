/* A source's claim: who may write for one of its shards, and how far its writer and its ack got. Taking a pipeline over
 * raises its token; every later transaction checks it, so that whoever held it before can write no more. */
#ifndef ACCTFLOW_SOURCE_H
#define ACCTFLOW_SOURCE_H

#include "pg.h"
#include "record.h"
#include "shard.h"

struct source {
	struct buf name;
	struct shard shard;
	int64_t pipeline;    /* its number in the database */
	int64_t token;	     /* -1: not claimed */
	int64_t committed;   /* -1: none */
	int64_t delivered;   /* -1: none */
	int64_t ingested_at; /* of the last committed record; INT64_MIN: none */
};

enum source_claim {
	CLAIM_POLITE = 1,   /* a holder that lives is left alone */
	CLAIM_OWN = 2,	    /* this backend is noted as the writer */
	CLAIM_DELIVERY = 4, /* ack's side is taken over too */
};

/* Adds the source where it is new, and takes the shard over: waits for a transaction of the old holder, ends its
 * backend after two seconds, raises the token, and only then reads the offsets. Under CLAIM_POLITE *pid is the backend
 * of a holder that lives, else 0. *shards is the number that the source has: where it is another one nothing was
 * claimed. */
enum pg_status source_claim(struct pg *pg, struct source *s, unsigned how, int64_t *pid, int64_t *shards);

/* Ends the program: the source has that number of shards, and it is fixed. */
_Noreturn void source_shards_differ(const struct source *s, int64_t shards);

/* Reads the claim that was made for us under s->token, which is -1 afterwards where it is no longer ours. */
enum pg_status source_join(struct pg *pg, struct source *s);

/* Keeps what the event `begin` says, and where the source is read from if not resumed. s->token is -1 afterwards where
 * it is no longer ours. */
enum pg_status source_begin(struct pg *pg, struct source *s, const struct record *begin, bool resume);

/* Looks why the pipeline was found not to be ours under s->token, of ack's side where `delivery`: *taken where somebody
 * took it over; else the database has gone back, to before it was ours. *committed: its offset there, -1: none. */
enum pg_status source_look(struct pg *pg, struct source *s, bool delivery, bool *taken, int64_t *committed);

/* Logs that the database does not have what this program knows to be committed, up to `known`. */
void source_behind(int64_t committed, int64_t known);

/* Queues the statement with which every transaction for the source begins. Its result has one row where the pipeline is
 * still ours: its committed offset. */
void source_lock(struct pg *pg, const struct source *s);

/* Finds the number of the pipeline. */
enum pg_status source_find(struct pg *pg, struct source *s);

/* Ack's side, by hand: takes it over, adding the source where it is new; s->token is its own then. */
enum pg_status source_claim_delivery(struct pg *pg, struct source *s);

/* Says that no backend works for the source any more, where it is still ours: behind a proxy backends outlive us. Where
 * that fails nothing is lost. */
void source_release(struct pg *pg, const struct source *s, const char *sql);

#endif
