/* The statements of a commit: each SQL file's parameters by name, filled from a
 * batch's items, and its answers read. In which order they are sent, and how often, is
 * commit's affair. */
#ifndef ACCTFLOW_STATEMENTS_H
#define ACCTFLOW_STATEMENTS_H

#include "source.h"
#include "verdict.h"

enum { MOST_ARRAYS = 12 };

/* Kept from one statement to the next, as the memory is used again. */
struct statements {
	struct pg_array arrays[MOST_ARRAYS];
	struct buf asked; /* the items whose versions were asked about, a uint32_t each */
	struct buf reason, text, scratch;
};

/* The items [from, to) of a batch, indexed. */
struct range {
	struct batch *b;
	const struct source *source; /* NULL: the records have none */
	size_t from, to;
};

/* Each account's highest version: locks the accounts, in the order of their ids. Returns whether there
 * is one, and anything was queued. */
bool statements_guard(struct statements *s, struct pg *pg, const struct range *r);
void statements_guarded(struct pg *pg, int result, const struct range *r);

/* Asks about whatever was not newer. Returns whether anything was queued. */
bool statements_ask(struct statements *s, struct pg *pg, const struct range *r);
void statements_answers(struct statements *s, struct pg *pg, const struct range *r, struct knowns *k);

/* History by COPY: the next piece of rows, from the item *at of the batch's order on (0 at first). The last piece ends
 * the rows; behind it the slice is empty. */
struct slice statements_copy(struct statements *s, const struct range *r, size_t *at);

/* Queues everything up to COMMIT; the history only if it was not copied. `xid` is the transaction's number. */
void statements_write(struct statements *s, struct pg *pg, const struct range *r, bool copied, struct slice xid);

/* What an item that is a reject, refused or in conflict, is kept and emitted as. Slices live in the batch or in `text`
 * and `scratch`. */
struct reject statements_reject(const struct batch *b, const struct item *it, struct buf *text, struct buf *scratch);

#endif
