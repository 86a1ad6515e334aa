/* See ingest.h. One attempt at a range of items takes two or three round trips on each connection:
 *   1. lock our lanes, upsert each account's highest version: this locks the accounts, decides who won, against what;
 *   2. where something was not newer: the accounts' versions, and whether the old versions are known;
 *   3. history, rejects, counts and offset, COMMIT.
 * Accounts are locked in the order of their ids, and no connection waits for another, so that several writers do not
 * deadlock. */
#include "ingest.h"

#include "time.h"
#include "loop.h"
#include "log.h"
#include "part.h"
#include "recall.h"
#include "metrics.h"

#include <stdlib.h>
#include <string.h>

enum { SPLIT_FROM = 512 }; /* items from which on a batch is worth two connections */

/* qsort has no context. */
static const struct account *sort_accounts;

static int
place_compare(const void *x, const void *y)
{
	const struct place *a = x, *b = y;
	if (a->lane != b->lane)
		return a->lane < b->lane ? -1 : 1;
	if (a->prefix != b->prefix)
		return a->prefix < b->prefix ? -1 : 1;
	struct slice s = sort_accounts[a->account].id, t = sort_accounts[b->account].id;
	int c = memcmp(s.p, t.p, s.n < t.n ? s.n : t.n);
	return c ? c : s.n < t.n ? -1 : s.n > t.n;
}

/* Finds the accounts, orders them by id, and deals them out to the lanes. */
static void
accounts_order(struct attempt *t)
{
	struct ingest *g = t->g;
	struct batch *b = t->b;
	batch_prepare(b, t->from, t->to, t->parts);
	if (b->accounts_n >= g->order_cap) {
		g->order_cap = b->accounts_n + 1;
		g->order = mem_grow(g->order, g->order_cap * sizeof *g->order);
	}
	size_t n = 0, at = 0;
	for (size_t i = 0; i < b->accounts_n; i++) {
		const struct account *a = &b->accounts[i];
		/* Nothing is left of it where its only update was refused. */
		if (a->items != NOTHING)
			g->order[n++] = (struct place){a->prefix, (uint32_t)i, a->lane};
	}
	sort_accounts = b->accounts;
	if (n)
		qsort(g->order, n, sizeof *g->order, place_compare);
	for (unsigned i = 0; i < t->parts; i++) {
		size_t start = at;
		while (at < n && g->order[at].lane == i)
			at++;
		t->part[i].accounts = g->order + start;
		t->part[i].accounts_n = at - start;
	}
}

/* Goes on with a part where its last statements came through. Returns false when there is nothing left, or no sense in
 * it. */
static bool
part_next(void *context, int i)
{
	struct attempt *t = context;
	struct part *p = t->running[i];
	bool copies = t->to - t->from >= COPY_FROM;
	switch (p->step) {
	case STEP_GUARD:
		if (t->sourced && pg_rows(p->db, 2) != (int)(p->lane_last - p->lane + 1)) {
			t->fenced = true;
			return false;
		}
		part_guarded(p);
		p->step = STEP_QUESTIONS;
		if (part_questions(t, p) > 0) {
			pg_start(p->db);
			return true;
		}
		/* Nothing to ask. */
		batch_decide(t->b, t->from, t->to, p->lane);
		break;
	case STEP_QUESTIONS:
		part_answers(t, p);
		batch_decide(t->b, t->from, t->to, p->lane);
		break;
	case STEP_COPY:
		break;
	case STEP_WRITES:
		return false;
	}
	if (copies && p->step != STEP_COPY) {
		p->step = STEP_COPY;
		part_copy(p);
		return true;
	}
	p->step = STEP_WRITES;
	part_writes(t, p);
	pg_start(p->db);
	return true;
}

/* One attempt of all parts that are not done, each at its own pace. */
static enum pg_status
attempt_run(struct attempt *t)
{
	struct pg *dbs[MOST_LANES];
	int n = 0;
	accounts_order(t);
	for (unsigned i = 0; i < t->parts; i++) {
		struct part *p = &t->part[i];
		if (p->done)
			continue;
		p->step = STEP_GUARD;
		part_guard(p);
		t->running[n] = p;
		dbs[n++] = p->db;
	}
	return pg_drive(dbs, n, part_next, t);
}

static void
part_settle(struct attempt *t, struct part *p)
{
	p->done = true;
	for (size_t i = t->from; i < t->to; i++) {
		struct item *it = &t->b->items[i];
		if (part_has(t, p, it))
			it->settled = true;
	}
}

/* Whether the lane was advanced by that transaction. A server that crashed may give the same number again, to a
 * transaction of somebody else's. */
static enum pg_status
part_advanced(const struct attempt *t, struct part *p, bool *committed)
{
	struct pg_param q[3] = {0};
	pg_set_text(&q[0], slice_buf(&t->g->source.name));
	pg_set_i64(&q[1], p->lane);
	pg_set_text(&q[2], slice_buf(&p->xid));
	enum pg_status status = pg_exec(p->db,
	    "SELECT FROM acctflow.source_lanes WHERE name = $1 AND lane = $2::smallint AND xid = $3::xid8", q, 3);
	*committed = status == PG_OK && pg_rows(p->db, 0) == 1;
	pg_params_free(q, 3);
	return status;
}

/* Whether the transaction that may have been committed was: looked up, not guessed. */
static enum pg_status
part_look(const struct attempt *t, struct part *p, bool *committed)
{
	struct pg_param q[1] = {0};
	enum pg_status status;
	*committed = false;
	for (int i = 0;; i++) {
		pg_set_text(&q[0], slice_buf(&p->xid));
		status = pg_exec(p->db, "SELECT pg_xact_status($1::xid8)", q, 1);
		/* A number of the future: the server crashed before it had written anything of it down. */
		if (status == PG_DATA) {
			status = PG_OK;
			break;
		}
		if (status != PG_OK || pg_null(p->db, 0, 0, 0))
			break;
		*committed = slice_is(pg_text(p->db, 0, 0, 0), "committed");
		if (!slice_is(pg_text(p->db, 0, 0, 0), "in progress"))
			break;
		/* Its backend does not know yet that we are gone. */
		if (i == 0)
			log_warn("waiting for the transaction that was cut off");
		if (i >= 20)
			status = pg_exec(p->db,
			    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE backend_xid = "
			    "($1::xid8)::xid",
			    q, 1);
		if (status != PG_OK)
			break;
		struct pollfd none[1];
		loop_wait(none, 0, clock_now() + 100000);
	}
	pg_params_free(q, 1);
	return status == PG_OK && *committed && t->sourced ? part_advanced(t, p, committed) : status;
}

/* Makes sure of every part's connection, and looks up what became of those that were being committed. */
static enum pg_status
parts_recover(struct attempt *t)
{
	for (unsigned i = 0; i < t->parts; i++) {
		struct part *p = &t->part[i];
		if (p->done)
			continue;
		enum pg_status status;
		bool committed = false;
		int64_t start = clock_now();
		do {
			pg_reset(p->db);
			status = pg_connect(p->db);
			if (status == PG_OK && p->step == STEP_WRITES && p->xid.len)
				status = part_look(t, p, &committed);
		} while (status == PG_RETRY && clock_now() - start < pg_deadline() && !loop_stopping());
		if (status != PG_OK)
			return status;
		if (committed)
			part_settle(t, p);
		p->xid.len = 0;
	}
	return PG_OK;
}

static enum ingest_status
gone(const char *error, enum pg_status status)
{
	if (status == PG_FATAL)
		log_error("the database refused: %s", error);
	else
		log_error("the database cannot be reached: %s", error);
	return status == PG_FATAL ? INGEST_FATAL : INGEST_GONE;
}

/* The connections' error, of the part that failed. */
static const char *
parts_error(const struct attempt *t)
{
	const char *error = "unknown error";
	for (unsigned i = 0; i < t->parts; i++)
		if (!t->part[i].done && *pg_error(t->part[i].db))
			error = pg_error(t->part[i].db);
	return error;
}

static void
attempt_start(struct attempt *t)
{
	struct ingest *g = t->g;
	t->sourced = g->source.token >= 0 && t->b->source.len > 0;
	/* A source keeps the lanes that it was begun with. */
	unsigned lanes = t->sourced && g->source.lanes < g->lanes ? g->source.lanes : g->lanes;
	t->parts = t->to - t->from >= SPLIT_FROM ? lanes : 1;
	for (unsigned i = 0; i < t->parts; i++) {
		struct part *p = &t->part[i];
		p->attempt = t;
		p->db = g->lane[i];
		p->params = g->params[i];
		p->lane = i;
		p->lane_last = t->parts == 1 && t->sourced ? g->source.lanes - 1 : i;
		p->done = false;
		p->xid.len = 0;
	}
}

/* Commits [from, to), whatever it takes. */
static enum ingest_status
range_commit(struct ingest *g, struct batch *b, size_t from, size_t to)
{
	struct attempt t = {.g = g, .b = b, .from = from, .to = to};
	enum ingest_status result = INGEST_OK;
	enum pg_status status = PG_OK;
	int64_t start = clock_now();
	unsigned tries = 0;
	attempt_start(&t);
	for (;;) {
		status = PG_OK;
		for (unsigned i = 0; i < t.parts && status == PG_OK; i++)
			if (!t.part[i].done && (status = pg_connect(t.part[i].db)) != PG_OK) {
				result = gone(pg_error(t.part[i].db), status);
				goto out;
			}
		status = attempt_run(&t);
		if (t.fenced) {
			log_error("another writer has taken the source over; this one stops");
			result = INGEST_FENCED;
			goto out;
		}
		if (status == PG_OK)
			break;
		struct buf error = {0};
		buf_text(&error, parts_error(&t));
		/* A part that came through is committed, whatever became of the other. */
		for (unsigned i = 0; i < t.parts; i++)
			if (!t.part[i].done && t.part[i].step == STEP_WRITES && pg_committed(t.part[i].db))
				part_settle(&t, &t.part[i]);
		enum pg_status recovered = status == PG_FATAL ? PG_FATAL : parts_recover(&t);
		if (recovered != PG_OK)
			result = gone(recovered == status ? buf_cstr(&error) : parts_error(&t), recovered);
		else if (status == PG_RETRY)
			log_warn("trying the batch again: %s", buf_cstr(&error));
		else if (to - from == 1)
			b->items[from].reason = batch_keep(b, slice_buf(&error));
		buf_free(&error);
		if (result != INGEST_OK)
			goto out;
		if (status == PG_DATA)
			break;
		/* What passes may take its time; a batch that never gets through must end somewhere all the same. */
		metrics_add(METRIC_RETRIES, 1);
		if (tries++ > 0) {
			struct pollfd none[1];
			loop_wait(none, 0, clock_now() + (tries < 8 ? 20000 << tries : 5000000));
		}
		if (clock_now() - start > pg_deadline() || (loop_stopping() && tries > 3)) {
			log_error("giving the batch up after %u tries", tries);
			result = INGEST_GONE;
			goto out;
		}
	}
	if (status == PG_OK) {
		for (unsigned i = 0; i < t.parts; i++)
			part_settle(&t, &t.part[i]);
	}
out:
	for (unsigned i = 0; i < MOST_LANES; i++) {
		buf_free(&t.part[i].xid);
		buf_free(&t.part[i].asked);
	}
	if (result != INGEST_OK || status == PG_OK)
		return result;
	/* A value was refused: halve until it is alone, then it is a reject and its neighbours go on. */
	if (to - from == 1) {
		if (b->items[from].kind != ITEM_UPDATE) {
			log_error("the database refused a record that is no update: %s", b->items[from].reason);
			return INGEST_FATAL;
		}
		b->items[from].kind = ITEM_REJECTED;
		b->items[from].total = 0;
		return range_commit(g, b, from, to);
	}
	size_t middle = from + (to - from) / 2;
	result = range_commit(g, b, from, middle);
	return result == INGEST_OK ? range_commit(g, b, middle, to) : result;
}

/* Says which records are told again, and gives them all their times: along a source these never go back, also behind
 * what a life before committed. */
static void
times_settle(struct ingest *g, struct batch *b)
{
	const struct source *s = &g->source;
	bool sourced = b->source.len > 0 && s->token >= 0;
	int64_t now = clock_now();
	for (size_t i = 0; i < b->n; i++) {
		struct item *it = &b->items[i];
		if (it->kind != ITEM_UPDATE && it->kind != ITEM_REJECTED)
			continue;
		bool resumed = sourced && g->resume && it->offset >= 0;
		unsigned own = resumed && it->kind == ITEM_UPDATE ? batch_lane(item_id(b, it), s->lanes) : 0;
		it->replayed = resumed && it->offset <= s->committed[own];
		if (!g->virtual_clock)
			it->ingested_at = now;
		/* The lanes may differ. Each knows the time of what it committed before this record, and on the real
		 * clock, where a batch has one time, that of the batch that the record was in. */
		for (unsigned lane = 0; sourced && lane < s->lanes; lane++) {
			bool before = !(resumed && it->offset <= s->committed[lane]);
			if (before && s->ingested[lane] > g->last)
				g->last = s->ingested[lane];
			if (!before && !g->virtual_clock)
				it->ingested_at = s->ingested[lane];
		}
		if (it->ingested_at < g->last)
			it->ingested_at = g->last;
		g->last = it->ingested_at;
	}
}

/* See recall.h; tried again like a batch. */
static enum ingest_status
rejects_recall(struct ingest *g, struct batch *b)
{
	struct pg *db = g->lane[0];
	int64_t start = clock_now();
	for (;;) {
		enum pg_status status = pg_connect(db);
		if (status == PG_OK)
			status = recall_rejects(db, b);
		if (status == PG_OK)
			return INGEST_OK;
		if (status != PG_RETRY || clock_now() - start > pg_deadline() || loop_stopping())
			return gone(pg_error(db), status);
		pg_reset(db);
		struct pollfd none[1];
		loop_wait(none, 0, clock_now() + 50000);
	}
}

enum ingest_status
ingest_batch(struct ingest *g, struct batch *b)
{
	size_t from = 0, middle;
	times_settle(g, b);
	while (from < b->n && (b->items[from].kind == ITEM_BEGIN || b->items[from].kind == ITEM_PASS))
		from++;
	if (from == b->n)
		return INGEST_OK;
	enum ingest_status status = rejects_recall(g, b);
	/* What a life before had in hand is committed apart from what is new: one time for what is committed at once.
	 */
	for (middle = from; g->resume && middle < b->n && b->items[middle].offset <= g->source.committed_most;)
		middle++;
	if (status == INGEST_OK && middle > from && middle < b->n) {
		status = range_commit(g, b, from, middle);
		from = middle;
	}
	return status == INGEST_OK ? range_commit(g, b, from, b->n) : status;
}

void
ingest_free(struct ingest *g)
{
	for (unsigned i = 0; i < MOST_LANES; i++) {
		pg_params_free(g->params[i], (int)(sizeof g->params[i] / sizeof *g->params[i]));
		pg_free(g->lane[i]);
	}
	source_free(&g->source);
	free(g->order);
}
