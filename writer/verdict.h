/* The version guard's verdict on each update of a batch. A pure module: it knows nothing of the database but what it is
 * given, the version each account had before (account.base) and which versions were known (verdict_known), and decides
 * from there in input order. */
#ifndef ACCTFLOW_VERDICT_H
#define ACCTFLOW_VERDICT_H

#include "batch.h"

/* A version that the database knows. */
struct known {
	bool applied;
	bool by_this_record; /* an earlier process wrote it from this very record */
	bool deleted, has_tokens;
	int64_t ingested_at, due_at; /* due_at NO_TIME: as ingested_at says */
	int64_t settled_at;	     /* of its callback's recorded outcome; NO_TIME: none */
	struct slice account_type, data;
	uint64_t tokens;
	int64_t callback_ms; /* -1: none */
};

struct knowns {
	struct known *known;
	size_t n, cap;
};

/* Begins anew with the items [from, to): finds each account's items and its highest version to be written. */
void verdict_begin(struct batch *b, struct knowns *k, size_t from, size_t to);

/* Whether the database must be asked if this version is known. */
bool verdict_asks(const struct batch *b, size_t item);

/* Notes a known version. It is copied; its slices must live until verdict_decide was called. */
void verdict_known(struct batch *b, struct knowns *k, size_t item, const struct known *known);

/* Gives the verdict on each update in [from, to). An update that the server refused before becomes ITEM_REJECTED. */
void verdict_decide(struct batch *b, const struct knowns *k, size_t from, size_t to);

#endif
