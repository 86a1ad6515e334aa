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
	const char *machine; /* of a fleet, which must have the lease; else NULL */
};

enum source_claim {
	CLAIM_POLITE = 1,   /* a holder that lives is left alone */
	CLAIM_OWN = 2,	    /* this backend is noted as the writer */
	CLAIM_DELIVERY = 4, /* ack's side is taken over too */
};

/* Adds the source where it is new, and takes the shard over: waits for a transaction of the old holder, ends its
 * backend after two seconds, raises the token, and only then reads the offsets. Exits 100 where the source has another
 * number of shards, or, under CLAIM_POLITE, a holder that lives; 111 where s->machine does not have the lease. */
enum pg_status source_claim(struct pg *pg, struct source *s, unsigned how);

/* Reads the claim that was made for us under s->token, which is -1 afterwards where it is no longer ours. */
enum pg_status source_join(struct pg *pg, struct source *s);

/* Keeps what the event `begin` says, and where the source is read from if not resumed. s->token is -1 afterwards where
 * it is no longer ours. */
enum pg_status source_begin(struct pg *pg, struct source *s, const struct record *begin, bool resume);

/* Looks why the pipeline was found not to be ours under s->token, of ack's side where `delivery`, and logs it. *code is
 * what to exit with: 100 where somebody took it over; else 111, as the database has gone back behind `known` (-1: to
 * before it was ours), or behind what this ack recorded. */
enum pg_status source_lost(struct pg *pg, struct source *s, bool delivery, int64_t known, int *code);

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
