/* Every record of the contract, written: the order of its members stands here and
 * nowhere else. Each function appends one JSON object without a newline. `source` is a
 * JSON string with its quotes, empty where a record has none; a time that is NO_TIME
 * is left out, or null where the contract wants the member. */
#ifndef ACCTFLOW_EVENT_H
#define ACCTFLOW_EVENT_H

#include "record.h"
#include "shard.h"

/* An update; for reader in steps, since it may only know the first and the last members later. `r` is what u was read
 * from: its tokens are copied where they are canonical. The last step adds a trace where u had none; empty: none. */
void event_update(struct buf *b, struct slice source, const struct update *u);
void event_update_begin(struct buf *b, struct slice source, int64_t offset);
void event_update_body(struct buf *b, const struct update *u, const struct record *r);
void event_update_tail(struct buf *b, struct slice trace, int64_t arrive_ms);
void event_update_end(struct buf *b, struct slice trace, int64_t read_at);

struct event_begin {
	struct slice source;
	struct shard shard;
	uint64_t seed;
	const char *arrival, *delay_ms, *speed, *clock;
	struct slice fingerprint; /* empty: null */
	uint64_t from;		  /* 0: left out */
	int64_t started_at;
};
void event_begin(struct buf *b, const struct event_begin *e);

struct event_end {
	struct slice source;
	struct shard shard;
	uint64_t read;
	int64_t last_offset; /* -1: null */
	bool complete;
	bool broken;		  /* an array broke off: then it is not complete */
	struct slice fingerprint; /* empty: null */
};
void event_end(struct buf *b, const struct event_end *e);

/* The last line of an input that reader has from another program of ours, and whether a line is that. */
void event_input_end(struct buf *b, bool complete);
bool event_is_input_end(struct slice line, bool *complete);

/* offset -1: none. arrive_ms -1: none. Also in steps, like an update. */
void event_rejected_begin(struct buf *b, struct slice source, int64_t offset, int64_t ingested_at);
void event_rejected_body(struct buf *b, const struct reject *j);
void event_rejected_end(struct buf *b, int64_t arrive_ms, bool replayed);
void event_rejected(struct buf *b, struct slice source, int64_t offset, const struct reject *j, int64_t arrive_ms,
    int64_t ingested_at, bool replayed);

/* When an update that is sampled was read; when the transaction that it was committed in began, and when its commit was
 * known; the offset of the first record of that. NO_TIME and -1: left out. */
struct event_times {
	int64_t read_at, commit_at, committed_at, batch;
};

/* `times`: NULL where the update is not sampled. `name` is "indexed" or "pending". `due_at` NO_TIME: the version has no
 * callback. `fired_at`: when it was recorded as fired, else NO_TIME. */
void event_indexed(struct buf *b, const char *name, struct slice source, const struct update *u, int64_t ingested_at,
    int64_t due_at, int64_t fired_at, bool replayed, const struct event_times *times);

void event_ignored(struct buf *b, struct slice source, const struct update *u, const char *reason,
    int64_t current_version, int64_t ingested_at, bool replayed, const struct event_times *times);

/* A record that a map has nothing for. Also in steps, like an update: what a record says has no place in it. */
void event_skipped_begin(struct buf *b, struct slice source, int64_t offset);
void event_skipped_end(struct buf *b, int64_t arrive_ms, bool replayed);
void event_skipped(struct buf *b, struct slice source, int64_t offset, int64_t arrive_ms, bool replayed);

void event_caughtup(struct buf *b, struct slice source);

/* A callback. Slices are JSON tokens. */
struct event_callback {
	/* source, offset and trace may be empty, and so is ingested_at where the update is not sampled */
	struct slice source, offset, id, account_type, tokens, data, trace, ingested_at;
	int64_t version, due_at;
};
void event_fired(struct buf *b, const struct event_callback *c, int64_t fired_at, bool recovered);
/* An attempt to deliver a callback that is sampled. */
struct event_attempt {
	int64_t began_at, ended_at;
	char outcome[32];
};

/* The `fired` that is one JSON object, with the number of its attempts and the last n of them. */
void event_attempted(struct buf *b, struct slice fired, unsigned attempts, const struct event_attempt *a, size_t n);
/* What the `fired` in r has, as `failed`, with n attempts. `error` is valid UTF-8. */
void event_failed(struct buf *b, const struct record *r, unsigned attempts, struct slice error,
    const struct event_attempt *a, size_t n);
void event_cancelled(
    struct buf *b, const struct event_callback *c, int64_t superseded_by, int64_t cancelled_at, bool replayed);

struct event_summary {
	struct slice source; /* empty: left out, with the shard */
	struct shard shard;
	uint64_t indexed, stale, duplicate, conflict, skipped, rejected, restored, fired, cancelled, pending;
};
void event_summary(struct buf *b, const struct event_summary *e);

#endif
