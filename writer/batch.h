/* A batch: the records that are committed together, and the version guard's verdict
 * on each. A pure module: it knows nothing of the database but what it is told, the
 * version each account had before (batch_base) and which versions were known
 * (batch_known), and decides from there in input order. */
#ifndef ACCTFLOW_BATCH_H
#define ACCTFLOW_BATCH_H

#include "record.h"

enum item_kind {
	ITEM_UPDATE,
	ITEM_REJECTED, /* by reader, by us, or by the server */
	ITEM_BEGIN,
	ITEM_END,
	ITEM_PASS, /* any other event: passed on as it is */
};

enum outcome { INDEXED, STALE, DUPLICATE, CONFLICT };
extern const char *const outcome_name[];

/* A version known from the database. */
struct known {
	bool applied, ours; /* ours: this very record wrote it, in a life before */
	int64_t ingested_at;
	int64_t fired_at; /* of its callback; INT64_MIN: not recorded */
	struct slice account_type, data;
	uint64_t tokens, callback_ms;
};

struct item {
	unsigned char kind;    /* enum item_kind */
	unsigned char outcome; /* enum outcome */
	bool replayed;	       /* committed in a life before: to be told again, not written */
	bool settled;	       /* committed already, in an attempt that failed elsewhere: left as it is */
	/* Its text in the batch's: the line as it came, then id, type, data and trace. The line of an update that is
	 * just as reader makes one is left out, as it follows from the rest. */
	unsigned char id_n, type_n;
	unsigned char lane; /* ITEM_UPDATE: its account's */
	uint32_t text, line_n, data_n, trace_n;
	/* ITEM_UPDATE */
	uint32_t account; /* index into accounts */
	uint32_t first;	  /* the first item of this account and version in what is decided together */
	uint32_t known;	  /* index into knowns, NOTHING: not known from the database */
	uint32_t next;	  /* the account's next item, NOTHING: none */
	int64_t offset;	  /* -1: none */
	int64_t ingested_at;
	int64_t arrive_ms; /* -1: none */
	int64_t version;
	union {
		int64_t current;  /* not INDEXED: the account's version */
		int64_t fired_at; /* INDEXED: when its callback fired, in a life before; INT64_MIN: it did not */
		uint64_t total;	  /* ITEM_REJECTED: length of the whole record; 0: of the line */
	};
	uint64_t tokens, callback_ms;
	/* ITEM_REJECTED by us or the server: why; NULL: the line is reader's own event. ITEM_UPDATE that is replayed:
	 * the words in which the server refused it then; NULL: it did not. */
	const char *reason;
};

struct account {
	struct slice id;
	uint64_t hash;
	uint64_t prefix;      /* the id's first eight bytes as a number, to sort by */
	uint32_t deal;	      /* to lanes, by its remainder */
	uint32_t items, last; /* its first item and its last */
	uint32_t highest;     /* the item of its highest version to be written; NOTHING: none */
	uint32_t replay;      /* its first item that is replayed; NOTHING: none */
	unsigned char lane;
	bool several;	 /* it has more than one item */
	bool won;	 /* the guard let that version in */
	int64_t base;	 /* its version before; -1: none */
	int64_t before;	 /* its version before that first replayed item came, in a life before; -1: none */
	int64_t current; /* while deciding */
};

enum { NOTHING = UINT32_MAX };

struct batch {
	struct item *items;
	size_t n, cap;
	struct buf source; /* of all its records; empty: none */
	bool begins, ends; /* it starts with ITEM_BEGIN, it closes with ITEM_END */
	/* Its own: the text of all lines, in one block that does not move while there are items. */
	struct buf text;
	char **kept;
	size_t kept_n;
	struct account *accounts;
	size_t accounts_n;
	struct known *knowns;
	size_t knowns_n, knowns_cap;
	uint64_t *account_slots; /* index + 1, and above it the upper half of the hash */
	uint32_t *version_slots; /* item + 1, by account and version; where an account has several */
	size_t slots;
	bool apart; /* they are of a part of the items only, or what they were made by has changed */
};

void batch_clear(struct batch *b); /* empties it; memory is kept */
void batch_free(struct batch *b);

/* Whether `bytes` more of text still fit. An empty batch takes any. Makes the room. */
bool batch_room(struct batch *b, size_t bytes);

/* Copies `s` for as long as the batch keeps its items; for the rare text that room was not made for. */
const char *batch_keep(struct batch *b, struct slice s);

/* Appends an item, zeroed but for its kind. */
struct item *batch_add(struct batch *b, enum item_kind kind);

/* Gives the last item its line; an update its members, `line` empty where it need not be kept. batch_room was asked for
 * twice the line. */
void batch_set_line(struct batch *b, struct item *it, struct slice line);
void batch_set_update(struct batch *b, struct item *it, const struct update *u, struct slice line);

/* An update's members, as they were set. */
struct update batch_update(const struct batch *b, const struct item *it);

/* The line as it came; `room` is for one that was not kept. */
struct slice batch_line(const struct batch *b, const struct item *it, struct buf *room);

static inline struct slice
item_line(const struct batch *b, const struct item *it)
{
	return (struct slice){b->text.p + it->text, it->line_n};
}

static inline struct slice
item_id(const struct batch *b, const struct item *it)
{
	return (struct slice){b->text.p + it->text + it->line_n, it->id_n};
}

static inline struct slice
item_type(const struct batch *b, const struct item *it)
{
	return (struct slice){item_id(b, it).p + it->id_n, it->type_n};
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

/* Appends what a conflict is recorded as. */
void batch_conflict(struct buf *reason, int64_t version);

/* Before the guard: of the accounts of the updates in [from, to) each one's lane, its items, and its highest version to
 * be written; of the items the first one of each version. */
void batch_prepare(struct batch *b, size_t from, size_t to, unsigned lanes);

/* The lane of an account, the same in every process: what each lane has committed is kept by it. */
unsigned batch_lane(struct slice id, unsigned lanes);

/* The account of that id; NULL if there is none. */
struct account *batch_account(const struct batch *b, struct slice id);

/* Whether the database must be asked if this version is known. */
bool batch_asks(const struct batch *b, size_t item);

/* Notes a known version; k is copied, its slices must live until batch_decide has been called. */
void batch_known(struct batch *b, size_t item, const struct known *k);

/* Gives the verdict on each update of that lane in [from, to), in input order. What the server refused before becomes
 * ITEM_REJECTED. */
void batch_decide(struct batch *b, size_t from, size_t to, unsigned lane);

/* All is decided and committed: gives back what only that took. */
void batch_decided(struct batch *b);

#endif
