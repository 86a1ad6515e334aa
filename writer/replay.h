/* What an earlier process left: the rejects that it recorded, and the callbacks that
 * are pending. The verdict on an update that is replayed follows from the history;
 * that the server refused it, and when a reject came, stands in its row of rejects
 * alone. */
#ifndef ACCTFLOW_REPLAY_H
#define ACCTFLOW_REPLAY_H

#include "batch.h"
#include "display.h"
#include "output.h"
#include "source.h"

/* Queues the question which of the batch's replayed items were recorded as rejects. */
void replay_queue(struct pg *pg, const struct batch *b, const struct source *s);

/* Reads the answer, result 0: gives the items the time of their reject, and `refused` the server's words. */
void replay_read(struct pg *pg, struct batch *b);

/* Reads a row of sql/pending.sql or sql/history_replay.sql: the update, which lives as long as the row, its source as a
 * JSON string (empty: none), and its times; due_at is NO_TIME without a callback. */
enum { REPLAY_COLUMNS = 12 };
void replay_row(struct pg *pg, struct update *u, struct buf *source, int64_t *ingested_at, int64_t *due_at);

/* Emits what is pending of a pipeline after its events up to s->delivered (NULL: of all, all) as `pending` events, row
 * by row, as there may be millions. Blocks. */
enum pg_status replay_pending(struct pg *pg, const struct source *s, struct output *out, struct display_style style);

#endif
