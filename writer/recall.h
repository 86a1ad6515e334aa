/* What a life before recorded of a batch's rejects. The verdict on an update that is told again follows from the
 * history; that the server refused it, and when a reject came, stands in its row of rejected_updates alone. */
#ifndef ACCTFLOW_RECALL_H
#define ACCTFLOW_RECALL_H

#include "batch.h"
#include "pg.h"

/* Gives the replayed items of b the time of their reject, and `refused` the server's words. Asks nothing where none is
 * replayed. */
enum pg_status recall_rejects(struct pg *db, struct batch *b);

#endif
