/* See commit.h. A try takes two or three round trips:
 *   1. lock the pipeline's row, upsert each account's highest version: this locks the accounts, decides who won,
 * against what;
 *   2. where something was not newer: the accounts' versions, and whether the old versions are known;
 *   3. history, rejects, counts and offset, COMMIT.
 * Accounts are locked in the order of their ids, so that several writers do not deadlock. */
#include "commit.h"

#include "log.h"
#include "loop.h"
#include "metrics.h"
#include "pg_connect.h"
#include "replay.h"
#include "sql.h"
#include "time.h"

#include <stdlib.h>
#include <string.h>

enum {
	COPY_FROM = 256, /* items from which on their history is worth a COPY */
	LOOKUPS = 20,	 /* a transaction under way, looked up so often, is ended */
};

/* Gives the records their times: along a source these never go back, also behind what an earlier process committed. */
static void
times_set(struct commit *c)
{
	const struct source *s = c->range.source;
	int64_t now = clock_now();
	for (size_t i = 0; i < c->b->n; i++) {
		struct item *it = &c->b->items[i];
		if (!item_is_record(it))
			continue;
		it->replayed = s && c->resume && it->offset >= 0 && it->offset <= c->replay_to;
		c->replays |= it->replayed;
		if (!c->virtual_clock)
			it->ingested_at = it->replayed ? s->ingested_at : now;
		if (s && !it->replayed && s->ingested_at > c->last) {
			c->last = s->ingested_at;
			if (!c->virtual_clock && c->last > now)
				log_warn("the clock is %.1f s behind the last run's: until it has caught up, records "
					 "get that run's last time; callbacks are due by the clock",
				    (double)(c->last - now) / 1e6);
		}
		if (it->ingested_at < c->last) {
			if (!c->virtual_clock && it->callback_ms >= 0)
				it->due_at = it->ingested_at + it->callback_ms * 1000;
			it->ingested_at = c->last;
		}
		c->last = it->ingested_at;
	}
}

/* Starts on a range of items. Records that an earlier process committed are apart from new ones: what is committed at
 * once has one time. */
static void
range_start(struct commit *c, size_t from, size_t to)
{
	size_t middle = from;
	/* An event in between is of either kind. */
	for (size_t i = from; i < to && (c->b->items[i].replayed || c->b->items[i].kind == ITEM_PASS); i++)
		if (c->b->items[i].replayed)
			middle = i + 1;
	c->range.from = from;
	c->range.to = middle > from && middle < to ? middle : to;
	c->doubt = false;
	c->tries = c->lookups = 0;
	c->started = clock_now();
	c->state = COMMIT_READY;
	pg_ready(c->pg);
}

void
commit_start(struct commit *c, struct batch *b)
{
	size_t from = 0;
	c->b = b;
	c->replays = c->inserts = false;
	c->range.b = b;
	c->range.source = c->source->token >= 0 && b->source.len > 0 ? c->source : NULL;
	times_set(c);
	while (from < b->n && (b->items[from].kind == ITEM_BEGIN || b->items[from].kind == ITEM_PASS))
		from++;
	c->end = b->n;
	c->range.from = from;
	if (from < b->n)
		range_start(c, from, b->n);
}

static void
guard_start(struct commit *c)
{
	verdict_begin(c->b, &c->knowns, c->range.from, c->range.to);
	c->state = COMMIT_GUARD;
	c->began = clock_now();
	pg_queue(c->pg, PG_BEGIN, NULL, 0);
	pg_queue(c->pg, "SELECT pg_current_xact_id()::text", NULL, 0);
	if (c->range.source)
		source_lock(c->pg, c->range.source);
	c->guards = statements_guard(&c->statements, c->pg, &c->range);
	pg_start(c->pg);
}

static void
pause_start(struct commit *c, int64_t us)
{
	c->state = COMMIT_PAUSE;
	c->until = clock_now() + us;
}

static void
lookup_start(struct commit *c)
{
	const struct pg_param xid = pg_text_param(slice_buf(&c->xid));
	const struct source *s = c->range.source;
	c->state = COMMIT_LOOKUP;
	/* Its backend does not know yet that we are gone. */
	if (c->lookups >= LOOKUPS && s)
		pg_queue(c->pg, sql_pipelines_holders_end,
		    PG_PARAMS(pg_text_param(slice_buf(&s->name)), pg_i64_param(s->shard.index)));
	else if (c->lookups >= LOOKUPS)
		pg_queue(c->pg,
		    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE backend_xid = ($1::xid8)::xid",
		    PG_PARAMS(xid));
	if (s)
		pg_queue(c->pg, sql_pipelines_committed, PG_PARAMS(pg_i64_param(s->pipeline), xid));
	else
		pg_queue(c->pg, "SELECT pg_xact_status($1::xid8)", PG_PARAMS(xid));
	pg_start(c->pg);
}

/* The transaction is still under way. */
static enum commit_status
lookup_again(struct commit *c)
{
	if (c->lookups++ == 0)
		log_warn("waiting for the transaction that was cut off");
	pause_start(c, 100000);
	return COMMIT_WAIT;
}

static void
replay_start(struct commit *c)
{
	c->state = COMMIT_REPLAY;
	replay_queue(c->pg, c->b, c->range.source);
	pg_start(c->pg);
}

/* The connection is ready. */
static void
range_go_on(struct commit *c)
{
	if (c->doubt)
		lookup_start(c);
	else if (c->replays)
		replay_start(c);
	else
		guard_start(c);
}

static enum commit_status
give_up(struct commit *c, enum pg_status status)
{
	if (status == PG_FATAL)
		log_error("the database refused: %s", pg_error(c->pg));
	else if (pg_unreachable(c->pg))
		log_error("the database cannot be reached: %s", pg_error(c->pg));
	else
		log_error("giving the batch up after %u tries: %s", c->tries, pg_error(c->pg));
	return status == PG_FATAL ? COMMIT_REFUSED : COMMIT_RETRIES_OVER;
}

/* The range is committed. */
static enum commit_status
range_done(struct commit *c)
{
	struct source *s = c->source;
	uint64_t end;
	for (size_t i = c->range.from; c->range.source && i < c->range.to; i++) {
		const struct item *it = &c->b->items[i];
		if (item_is_record(it) && !it->replayed && it->offset >= 0)
			s->committed = it->offset;
	}
	if (c->range.source && c->range.to == c->b->n && c->b->ends) {
		struct record r = {0};
		if (record_parse_line(item_line(c->b, &c->b->items[c->b->n - 1]), &r) == 0 &&
		    record_integer(&r, M_LAST_OFFSET, VERSION_MAX, &end) == 0 && (int64_t)end > s->committed)
			s->committed = (int64_t)end;
		record_free(&r);
	}
	size_t n = c->range.to - c->range.from;
	if (!c->virtual_clock)
		batch_note(c->b, c->range.to, c->began, clock_now());
	if (c->range.to == c->end) {
		batch_committed(c->b);
		return COMMIT_DONE;
	}
	/* Behind a range that was halved, a larger one is tried again. */
	size_t to = c->range.to + 2 * n;
	range_start(c, c->range.to, n == 0 || to > c->end ? c->end : to);
	return COMMIT_WAIT;
}

/* A row was refused: halve until it is alone, then it is a reject and its neighbours go on. */
static enum commit_status
range_halve(struct commit *c)
{
	size_t from = c->range.from, n = c->range.to - from;
	if (n > 1) {
		range_start(c, from, from + n / 2);
		return COMMIT_WAIT;
	}
	struct item *it = &c->b->items[from];
	if (it->kind != ITEM_UPDATE) {
		log_error("the database refused a record that is no update: %s", pg_error(c->pg));
		return COMMIT_REFUSED;
	}
	it->refused = mem_string(slice_of(pg_error(c->pg)));
	it->kind = ITEM_REJECTED;
	range_start(c, from, from + 1);
	return COMMIT_WAIT;
}

/* Decides what an error leads to. */
static enum commit_status
range_failed(struct commit *c, enum pg_status status)
{
	/* A statement that takes too long as a whole may not in parts. */
	const char *state = pg_sqlstate(c->pg);
	bool late = strcmp(state, "57014") == 0 || strcmp(state, "25P04") == 0;
	bool too_long = late && c->state != COMMIT_LOOKUP && c->range.to - c->range.from > 1;
	if (c->state == COMMIT_READY || status == PG_FATAL)
		return give_up(c, status);
	if (c->state == COMMIT_LOOKUP && strcmp(state, "55P03") == 0)
		return lookup_again(c);
	if (c->state == COMMIT_LOOKUP && status == PG_DATA) {
		/* A number that the server does not know: it crashed before it had written anything of it down. */
		c->doubt = false;
		c->state = COMMIT_READY;
		pg_ready(c->pg);
		return COMMIT_WAIT;
	}
	if (status == PG_DATA || too_long)
		return range_halve(c);
	/* Citus says XX000 of whatever a COPY to a shard met; an INSERT says what it was. */
	c->inserts |= c->copied && strcmp(state, "XX000") == 0;
	c->doubt = c->doubt || (c->state == COMMIT_WRITING && c->xid.len > 0);
	metrics_add(METRIC_RETRIES, 1);
	c->tries++;
	if (clock_now() - c->started > pg_deadline() || (loop_stopping() && c->tries > 3))
		return give_up(c, status);
	log_warn("trying the batch again: %s", pg_error(c->pg));
	pause_start(c, c->tries == 1 ? 0 : c->tries < 8 ? 10000 << c->tries : 5000000);
	return COMMIT_WAIT;
}

/* Who holds the pipeline, and where does it stand? */
static enum commit_status
lock_check(struct commit *c)
{
	if (!c->range.source)
		return COMMIT_WAIT;
	if (pg_rows(c->pg, 2) == 0) {
		int code;
		enum pg_status status = source_lost(c->pg, c->source, false, c->source->committed, &code);
		if (status != PG_OK)
			return range_failed(c, status);
		return code == EXIT_PERMANENT ? COMMIT_REFUSED : COMMIT_RETRIES_OVER;
	}
	int64_t committed = pg_i64(c->pg, 2, 0, 0);
	if (committed == c->source->committed)
		return COMMIT_WAIT;
	source_behind(committed, c->source->committed);
	return COMMIT_RETRIES_OVER;
}

static void
writes_start(struct commit *c)
{
	c->state = COMMIT_WRITING;
	statements_write(&c->statements, c->pg, &c->range, c->copied, slice_buf(&c->xid));
	pg_start(c->pg);
}

/* All answers are there. */
static void
range_decide(struct commit *c)
{
	verdict_decide(c->b, &c->knowns, c->range.from, c->range.to);
	c->copied = !c->inserts && c->range.to - c->range.from >= COPY_FROM;
	if (!c->copied) {
		writes_start(c);
		return;
	}
	c->state = COMMIT_COPYING;
	c->copy_at = 0;
	pg_copy_start(c->pg, sql_history_copy);
}

static enum commit_status
guard_done(struct commit *c)
{
	enum commit_status status = lock_check(c);
	if (status != COMMIT_WAIT)
		return status;
	c->xid.len = 0;
	buf_slice(&c->xid, pg_text(c->pg, 1, 0, 0));
	if (c->guards)
		statements_guarded(c->pg, c->range.source ? 3 : 2, &c->range);
	if (statements_ask(&c->statements, c->pg, &c->range)) {
		c->state = COMMIT_ASK;
		pg_start(c->pg);
	} else {
		range_decide(c);
	}
	return COMMIT_WAIT;
}

static void
copy_go_on(struct commit *c)
{
	struct slice piece = statements_copy(&c->statements, &c->range, &c->copy_at);
	if (!piece.n)
		c->state = COMMIT_COPIED;
	pg_copy(c->pg, piece);
}

static enum commit_status
lookup_done(struct commit *c)
{
	int last = c->lookups >= LOOKUPS;
	bool answer = pg_rows(c->pg, last) > 0 && !pg_null(c->pg, last, 0, 0);
	struct slice status = answer ? pg_text(c->pg, last, 0, 0) : SLICE("");
	if (slice_is(status, "in progress"))
		return lookup_again(c);
	c->doubt = false;
	if (slice_is(status, "t") || slice_is(status, "committed"))
		return range_done(c);
	range_go_on(c);
	return COMMIT_WAIT;
}

/* The statements that were started are over without an error. */
static enum commit_status
state_done(struct commit *c)
{
	switch (c->state) {
	case COMMIT_READY:
		range_go_on(c);
		return COMMIT_WAIT;
	case COMMIT_REPLAY:
		replay_read(c->pg, c->b);
		c->replays = false;
		range_go_on(c);
		return COMMIT_WAIT;
	case COMMIT_LOOKUP:
		return lookup_done(c);
	case COMMIT_GUARD:
		return guard_done(c);
	case COMMIT_ASK:
		statements_answers(&c->statements, c->pg, &c->range, &c->knowns);
		range_decide(c);
		return COMMIT_WAIT;
	case COMMIT_COPYING:
		copy_go_on(c);
		return COMMIT_WAIT;
	case COMMIT_COPIED:
		writes_start(c);
		return COMMIT_WAIT;
	case COMMIT_WRITING:
		return range_done(c);
	case COMMIT_PAUSE:
		c->state = COMMIT_READY;
		pg_ready(c->pg);
		return COMMIT_WAIT;
	}
	abort();
}

enum commit_status
commit_step(struct commit *c, struct pg_wait *wait)
{
	enum commit_status status = c->range.from == c->end ? COMMIT_DONE : COMMIT_WAIT;
	while (status == COMMIT_WAIT) {
		/* Asked to stop we no longer wait for what may not come, but for the end of a transaction. */
		if (c->state == COMMIT_PAUSE && clock_now() < c->until && (c->doubt || !loop_stopping())) {
			*wait = (struct pg_wait){.fd = -1, .until = c->until};
			return COMMIT_WAIT;
		}
		enum pg_status done = c->state == COMMIT_PAUSE ? PG_OK : pg_step(c->pg, wait);
		if (done == PG_WAIT)
			return COMMIT_WAIT;
		status = done == PG_OK ? state_done(c) : range_failed(c, done);
	}
	return status;
}
