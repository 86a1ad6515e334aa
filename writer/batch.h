/* A batch: the records that are committed together, their text, and the accounts that
 * they are of. It knows nothing of the database; what becomes of each record is
 * verdict's business. */
#ifndef ACCTFLOW_BATCH_H
#define ACCTFLOW_BATCH_H

#include "event.h"

enum item_kind {
	ITEM_UPDATE,
	ITEM_REJECTED, /* by reader, by us, or by the server */
	ITEM_SKIPPED,  /* a map has nothing for it: it only counts */
	ITEM_BEGIN,
	ITEM_END,
	ITEM_PASS, /* any other event: passed on as it is */
};

enum verdict { INDEXED, STALE, DUPLICATE, CONFLICT, VERDICTS };
extern const char *const verdict_name[VERDICTS];

enum { NOTHING = UINT32_MAX };

/* An item's text stands in the batch's, in pieces: an update's id, type, data and trace; a reject's reason and raw; the
 * whole line of another event. */
struct item {
	unsigned char kind;    /* enum item_kind */
	unsigned char verdict; /* ITEM_UPDATE: enum verdict */
	bool replayed;	       /* committed by an earlier process: to be emitted again, not written */
	bool deleted, has_tokens, base64;
	unsigned char id_n, type_n;
	uint32_t text, data_n, trace_n; /* reject: data_n is raw's length, trace_n the reason's; other events: data_n */
	/* ITEM_UPDATE */
	uint32_t account; /* index into accounts */
	uint32_t first;	  /* the first item of this account and version among those that are decided together */
	uint32_t known;	  /* index into the verdict's knowns; NOTHING: not known from the database */
	int64_t offset;	  /* -1: none */
	int64_t ingested_at;
	int64_t due_at;	   /* NO_TIME: as ingested_at says */
	int64_t arrive_ms; /* -1: none */
	int64_t read_at;   /* NO_TIME: not known */
	union {
		int64_t version;
		uint64_t line; /* reject: in the input */
	};
	union {
		int64_t current; /* not INDEXED: the account's version */
		int64_t
		    settled_at; /* INDEXED: when its outcome was recorded by an earlier process; NO_TIME: it was not */
		uint64_t raw_bytes; /* reject */
	};
	uint64_t tokens;
	int64_t callback_ms; /* -1: none */
	char *refused; /* allocated: the server's words about an update that it refused, now or to an earlier process */
};

struct account {
	struct slice id;
	uint32_t from, n; /* its items in the batch's order */
	uint32_t highest; /* the item of its highest version to be written; NOTHING: none */
	uint32_t replay;  /* its first item that is replayed; NOTHING: none */
	bool won;	  /* the guard let that version in */
	int64_t base;	  /* its version before; -1: none */
	int64_t before;	  /* its version before that first replayed item came to an earlier process; -1: none */
	int64_t current;  /* while deciding */
};

/* A transaction that some of a batch was committed in. */
struct committed {
	size_t to;			 /* the item behind its last one */
	int64_t commit_at, committed_at; /* when it began, when its commit was known */
	int64_t first;			 /* offset of its first record; -1: none */
};

struct batch {
	struct item *items;
	size_t n, cap;
	struct buf source; /* of all its records, as text; empty: none */
	struct buf token;  /* the same as a JSON string */
	bool begins, ends; /* it is one ITEM_BEGIN; it closes with ITEM_END */
	struct buf text;   /* one block that does not move while there are items */
	/* Of the items that were indexed: their accounts by id, and they themselves by account, version and place. */
	struct account *accounts;
	uint32_t *order;
	size_t accounts_n, order_n;
	struct committed *committed; /* in order; not under the virtual clock */
	size_t committed_n;
};

void batch_clear(struct batch *b); /* empties it; memory is kept */

/* Whether `bytes` more of text still fit; makes the space in an empty batch, which takes any. */
bool batch_fits(struct batch *b, size_t bytes);

/* Sets the source of all records; text that is valid UTF-8. */
void batch_source(struct batch *b, struct slice source);

/* Appends an item. batch_fits was asked for twice the line's length. */
struct item *batch_add_event(struct batch *b, enum item_kind kind, struct slice line);
struct item *batch_add_reject(struct batch *b, const struct reject *j, int64_t offset);
struct item *batch_add_skipped(struct batch *b, int64_t offset);
struct item *batch_add_update(struct batch *b, const struct update *u);

/* What was added. Slices live as long as the batch keeps its items. */
struct update batch_update(const struct batch *b, const struct item *it);
struct reject batch_reject(const struct batch *b, const struct item *it);

/* Whether it stands for a record of the stream, and is not an event about the stream. */
static inline bool
item_is_record(const struct item *it)
{
	return it->kind == ITEM_UPDATE || it->kind == ITEM_REJECTED || it->kind == ITEM_SKIPPED;
}

static inline struct slice
item_line(const struct batch *b, const struct item *it)
{
	return (struct slice){b->text.p + it->text, it->data_n};
}

static inline struct slice
item_id(const struct batch *b, const struct item *it)
{
	return (struct slice){b->text.p + it->text, it->id_n};
}

static inline struct slice
item_type(const struct batch *b, const struct item *it)
{
	return (struct slice){b->text.p + it->text + it->id_n, it->type_n};
}

static inline struct slice
item_data(const struct batch *b, const struct item *it)
{
	return (struct slice){item_type(b, it).p + it->type_n, it->data_n};
}

static inline struct slice
item_trace(const struct batch *b, const struct item *it)
{
	return (struct slice){item_data(b, it).p + it->data_n, it->trace_n};
}

/* When its callback is due; NO_TIME: it has none. */
static inline int64_t
item_due(const struct item *it)
{
	return it->callback_ms < 0     ? NO_TIME
	       : it->due_at != NO_TIME ? it->due_at
				       : it->ingested_at + it->callback_ms * 1000;
}

/* Sorts the updates among the items [from, to). */
void batch_index(struct batch *b, size_t from, size_t to);

/* The account of that id among those; NULL if there is none. */
struct account *batch_account(const struct batch *b, struct slice id);

/* Notes a transaction for what follows the one that was noted last; the items up to `to` were committed in it. */
void batch_note(struct batch *b, size_t to, int64_t commit_at, int64_t committed_at);

/* When an item of a batch that is committed was read and committed. */
struct event_times batch_times(const struct batch *b, const struct item *it);

/* Gives back what only a commit needs. */
void batch_committed(struct batch *b);

#endif
