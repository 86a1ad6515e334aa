/* See ingest.h. One attempt at a range of items takes two or three round trips:
 *   1. lock our lanes, upsert each account's highest version: this locks the accounts, decides who won and against
 * what;
 *   2. where something was not newer: the accounts' versions, and whether the old versions are known;
 *   3. history, rejects, counts and offset, COMMIT.
 * Accounts are locked in the order of their ids, so that several writers do not deadlock. */
#include "ingest.h"

#include "clock.h"
#include "io.h"
#include "log.h"
#include "sql.h"

#include <stdlib.h>
#include <string.h>

enum {
	COPY_FROM = 256,  /* items from which on their history is worth a COPY */
	SPLIT_FROM = 512, /* and the batch two connections */
};

/* One lane's share of an attempt. */
struct part {
	struct db *db;
	struct db_param *params;
	unsigned lane, lane_last; /* the lanes whose rows it advances */
	bool done;
	enum { STEP_GUARD, STEP_QUESTIONS, STEP_COPY, STEP_WRITES } step; /* what was started last */
	bool upserts;
	struct buf xid;
	const uint32_t *accounts; /* its accounts in the order of their ids */
	size_t accounts_n;
};

/* The one in the middle of everything: which batch, which items of it. */
struct attempt {
	struct ingest *g;
	struct batch *b;
	size_t from, to;
	struct part part[MOST_LANES];
	struct part *running[MOST_LANES]; /* those that are not done, as db_drive counts them */
	unsigned parts;
	bool sourced, fenced;
};

static bool
item_in(const struct attempt *t, const struct part *p, const struct item *it)
{
	if (it->settled)
		return false;
	unsigned lane = it->kind == ITEM_UPDATE ? t->b->accounts[it->account].lane : 0;
	return t->parts == 1 || lane == p->lane;
}

static bool
item_written(const struct item *it)
{
	return !it->replayed && it->kind == ITEM_UPDATE && (it->outcome == INDEXED || it->outcome == STALE);
}

static bool
item_kept_as_reject(const struct item *it)
{
	return !it->replayed && (it->kind == ITEM_REJECTED || (it->kind == ITEM_UPDATE && it->outcome == CONFLICT));
}

/* qsort has no context. */
static const struct account *sort_accounts;

static int
account_compare(const void *x, const void *y)
{
	const struct account *a = &sort_accounts[*(const uint32_t *)x], *b = &sort_accounts[*(const uint32_t *)y];
	if (a->lane != b->lane)
		return a->lane < b->lane ? -1 : 1;
	if (a->prefix != b->prefix)
		return a->prefix < b->prefix ? -1 : 1;
	size_t n = a->id.n < b->id.n ? a->id.n : b->id.n;
	int c = memcmp(a->id.p, b->id.p, n);
	return c ? c : a->id.n < b->id.n ? -1 : a->id.n > b->id.n;
}

/* Finds the accounts, orders them by id, and deals them out to the lanes. */
static void
accounts_order(struct attempt *t)
{
	struct ingest *g = t->g;
	struct batch *b = t->b;
	batch_prepare(b, t->from, t->to, t->parts);
	if (b->accounts_n > g->order_cap) {
		g->order_cap = b->accounts_n;
		g->order = mem_grow(g->order, g->order_cap * sizeof *g->order);
	}
	for (size_t i = 0; i < b->accounts_n; i++)
		g->order[i] = (uint32_t)i;
	sort_accounts = b->accounts;
	if (b->accounts_n)
		qsort(g->order, b->accounts_n, sizeof *g->order, account_compare);
	size_t at = 0;
	for (unsigned i = 0; i < t->parts; i++) {
		size_t start = at;
		while (at < b->accounts_n && b->accounts[g->order[at]].lane == i)
			at++;
		t->part[i].accounts = g->order + start;
		t->part[i].accounts_n = at - start;
	}
}

/* Step 1 of a part. */
static void
queue_guard(struct attempt *t, struct part *p)
{
	struct db_param *q = p->params;
	struct batch *b = t->b;
	db_queue(p->db, "BEGIN", NULL, 0);
	db_queue(p->db, "SELECT pg_current_xact_id()::text", NULL, 0);
	if (t->sourced) {
		db_set_text(&q[0], slice_buf(&t->g->source.name));
		db_set_i64(&q[1], p->lane);
		db_set_i64(&q[2], p->lane_last);
		db_set_i64(&q[3], t->g->source.token);
		db_queue(p->db, sql_lanes_lock, q, 4);
	}
	if (t->sourced)
		db_set_text(&q[0], slice_buf(&t->g->source.name));
	else
		db_set_null(&q[0]);
	db_array_text(&q[1]);
	db_array_bigint(&q[2]);
	db_array_bigint(&q[3]);
	db_array_time(&q[4]);
	db_array_bigint(&q[5]);
	db_array_numeric(&q[6]);
	db_array_text(&q[7]);
	db_array_text(&q[8]);
	for (size_t i = 0; i < p->accounts_n; i++) {
		const struct account *a = &b->accounts[p->accounts[i]];
		if (a->highest == NOTHING)
			continue;
		const struct item *it = &b->items[a->highest];
		db_push_text(&q[1], it->id);
		db_push_i64(&q[2], it->version);
		db_push_i64(&q[3], (int64_t)it->callback_ms);
		db_push_time(&q[4], it->ingested_at);
		if (it->offset < 0)
			db_push_null(&q[5]);
		else
			db_push_i64(&q[5], it->offset);
		db_push_u64(&q[6], it->tokens);
		db_push_text(&q[7], it->account_type);
		db_push_text(&q[8], it->data);
	}
	p->upserts = q[1].count > 0;
	if (p->upserts)
		db_queue(p->db, sql_accounts_upsert, q, 9);
}

static void
read_guard(struct attempt *t, struct part *p)
{
	int upsert = t->sourced ? 3 : 2;
	p->xid.len = 0;
	buf_slice(&p->xid, db_text(p->db, 1, 0, 0));
	for (int i = 0; p->upserts && i < db_rows(p->db, upsert); i++) {
		struct account *a = batch_account(t->b, db_text(p->db, upsert, i, 0));
		if (!a)
			continue;
		a->won = true;
		a->base = db_i64(p->db, upsert, i, 1);
	}
}

/* Step 2 of a part: what is asked about whatever was not newer. Returns the number of statements queued. */
static int
queue_questions(struct attempt *t, struct part *p)
{
	struct db_param *q = p->params;
	struct batch *b = t->b;
	int n = 0;
	db_array_text(&q[0]);
	for (size_t i = 0; i < p->accounts_n; i++) {
		struct account *a = &b->accounts[p->accounts[i]];
		if (a->won)
			continue;
		a->base = INT64_MAX; /* until its answer comes: every version of it is asked about */
		db_push_text(&q[0], a->id);
	}
	if (q[0].count) {
		db_queue(p->db, sql_accounts_current, q, 1);
		n++;
	}
	db_array_text(&q[1]);
	db_array_bigint(&q[2]);
	for (size_t i = t->from; i < t->to; i++)
		if (item_in(t, p, &b->items[i]) && batch_asks(b, i)) {
			db_push_text(&q[1], b->items[i].id);
			db_push_i64(&q[2], b->items[i].version);
		}
	if (q[1].count) {
		db_queue(p->db, sql_updates_known, &q[1], 2);
		n++;
	}
	db_array_text(&q[3]);
	db_array_bigint(&q[4]);
	for (size_t i = 0; i < p->accounts_n; i++) {
		const struct account *a = &b->accounts[p->accounts[i]];
		if (a->replay == NOTHING)
			continue;
		db_push_text(&q[3], a->id);
		db_push_i64(&q[4], b->items[a->replay].offset);
	}
	if (q[3].count) {
		db_set_text(&q[5], slice_buf(&t->g->source.name));
		db_queue(p->db, sql_accounts_before, &q[3], 3);
		n++;
	}
	return n;
}

static void
read_known(struct attempt *t, struct part *p, int result, const uint32_t *asked)
{
	for (int i = 0; i < db_rows(p->db, result); i++) {
		uint32_t item = asked[db_i64(p->db, result, i, 0) - 1];
		const struct item *it = &t->b->items[item];
		struct known k = {
		    .account_type = db_text(p->db, result, i, 1),
		    .callback_ms = (uint64_t)db_i64(p->db, result, i, 3),
		    .data = db_text(p->db, result, i, 4),
		    .applied = *db_text(p->db, result, i, 7).p == 't',
		    .ingested_at = db_i64(p->db, result, i, 8),
		    .fired_at = db_null(p->db, result, i, 9) ? INT64_MIN : db_i64(p->db, result, i, 9),
		};
		scan_integer(db_text(p->db, result, i, 2), UINT64_MAX, &k.tokens);
		k.ours = t->sourced && slice_same(db_text(p->db, result, i, 5), slice_buf(&t->g->source.name)) &&
			 db_i64(p->db, result, i, 6) == it->offset;
		batch_known(t->b, item, &k);
	}
}

static void
read_answers(struct attempt *t, struct part *p)
{
	struct batch *b = t->b;
	int result = 0;
	/* Which items were asked about must be told before the accounts' versions are set: it depends on them. */
	uint32_t *asked = mem_alloc((p->params[1].count + 1) * sizeof *asked);
	size_t n = 0;
	for (size_t i = t->from; i < t->to && p->params[1].count; i++)
		if (item_in(t, p, &b->items[i]) && batch_asks(b, i))
			asked[n++] = (uint32_t)i;
	if (p->params[0].count) {
		for (size_t i = 0; i < p->accounts_n; i++)
			if (!b->accounts[p->accounts[i]].won)
				b->accounts[p->accounts[i]].base = -1;
		for (int i = 0; i < db_rows(p->db, result); i++) {
			struct account *a = batch_account(b, db_text(p->db, result, i, 0));
			if (a)
				a->base = db_i64(p->db, result, i, 1);
		}
		result++;
	}
	if (p->params[1].count)
		read_known(t, p, result++, asked);
	free(asked);
	for (int i = 0; p->params[3].count && i < db_rows(p->db, result); i++) {
		struct account *a = batch_account(b, db_text(p->db, result, i, 0));
		if (a)
			a->before = db_i64(p->db, result, i, 1);
	}
}

/* The history's columns, each with its array, or all with the one buffer of a COPY. */
enum { HISTORY_COLUMNS = 11 };

static void
push_history(struct db_param *const *q, const struct item *it, struct slice source)
{
	db_push_text(q[0], it->id);
	db_push_i64(q[1], it->version);
	db_push_i64(q[2], (int64_t)it->callback_ms);
	db_push_time(q[3], it->ingested_at);
	if (it->offset < 0)
		db_push_null(q[4]);
	else
		db_push_i64(q[4], it->offset);
	db_push_bool(q[5], it->outcome == INDEXED);
	db_push_u64(q[6], it->tokens);
	db_push_text(q[7], it->account_type);
	if (source.n)
		db_push_text(q[8], source);
	else
		db_push_null(q[8]);
	if (it->trace.n)
		db_push_text(q[9], it->trace);
	else
		db_push_null(q[9]);
	db_push_text(q[10], it->data);
}

/* Few rows go along with the other statements in one round trip; many by COPY. */
static void
queue_history(struct attempt *t, struct part *p)
{
	struct db_param *q = p->params + 9, *columns[HISTORY_COLUMNS];
	for (int i = 0; i < HISTORY_COLUMNS; i++)
		columns[i] = &q[i];
	db_array_text(&q[0]);
	db_array_bigint(&q[1]);
	db_array_bigint(&q[2]);
	db_array_time(&q[3]);
	db_array_bigint(&q[4]);
	db_array_bool(&q[5]);
	db_array_numeric(&q[6]);
	for (int i = 7; i < HISTORY_COLUMNS; i++)
		db_array_text(&q[i]);
	for (size_t i = t->from; i < t->to; i++)
		if (item_in(t, p, &t->b->items[i]) && item_written(&t->b->items[i]))
			push_history(columns, &t->b->items[i], slice_buf(&t->b->source));
	if (q[0].count)
		db_queue(p->db, sql_updates_insert, q, HISTORY_COLUMNS);
}

static void
copy_history(struct attempt *t, struct part *p)
{
	struct db_param *q = p->params + 9, *columns[HISTORY_COLUMNS];
	for (int i = 0; i < HISTORY_COLUMNS; i++)
		columns[i] = q;
	db_rows_start(q);
	/* By account, in the order of ids: a third less work for the index. */
	for (size_t i = 0; i < p->accounts_n; i++) {
		uint32_t at = t->b->accounts[p->accounts[i]].items;
		for (; at != NOTHING; at = t->b->items[at].next)
			if (item_written(&t->b->items[at])) {
				db_rows_add(q, HISTORY_COLUMNS);
				push_history(columns, &t->b->items[at], slice_buf(&t->b->source));
			}
	}
	db_start_copy(p->db, sql_updates_copy, db_rows_end(q));
}

/* Takes raw, encoding and length of a rejected record: out of reader's event, or from the text itself. */
static void
push_raw(struct db_param *q, const struct item *it, struct record *r, struct buf *room)
{
	room->len = 0;
	struct slice line = it->line;
	uint64_t bytes = it->kind == ITEM_UPDATE ? it->line.n : it->total;
	if (it->reason.n || it->kind == ITEM_UPDATE) {
		buf_char(room, '{');
		record_raw(room, it->line, bytes);
		buf_char(room, '}');
		line = slice_buf(room);
	}
	struct buf text = {0};
	bool ok = record_parse_line(line, r) == 0;
	struct slice raw = ok ? record_text(r, M_RAW, &text) : (struct slice){0};
	record_integer(r, M_RAW_BYTES, UINT64_MAX, &bytes);
	db_push_text(&q[0], raw.n ? raw : SLICE(""));
	db_push_text(&q[1], record_is(r, M_RAW_ENCODING, "base64") ? SLICE("base64") : SLICE("utf8"));
	db_push_i64(&q[2], (int64_t)(bytes > INT64_MAX ? INT64_MAX : bytes));
	buf_free(&text);
}

static void
queue_rejects(struct attempt *t, struct part *p)
{
	struct db_param *q = p->params + 20;
	struct record r = {0};
	struct buf room = {0}, reason = {0};
	if (t->sourced)
		db_set_text(&q[0], slice_buf(&t->g->source.name));
	else
		db_set_null(&q[0]);
	db_array_bigint(&q[1]);
	db_array_text(&q[2]);
	db_array_text(&q[3]);
	db_array_text(&q[4]);
	db_array_bigint(&q[5]);
	db_array_time(&q[6]);
	for (size_t i = t->from; i < t->to; i++) {
		const struct item *it = &t->b->items[i];
		if (!item_in(t, p, it) || !item_kept_as_reject(it))
			continue;
		reason.len = 0;
		if (it->kind == ITEM_UPDATE)
			buf_printf(
			    &reason, "conflict: version %lld is known with other content", (long long)it->version);
		else if (it->reason.n)
			buf_slice(&reason, it->reason);
		else if (record_parse_line(it->line, &r) == 0)
			buf_slice(&reason, record_text(&r, M_REASON, &room));
		if (it->offset < 0)
			db_push_null(&q[1]);
		else
			db_push_i64(&q[1], it->offset);
		db_push_text(&q[2], slice_buf(&reason));
		push_raw(&q[3], it, &r, &room);
		db_push_time(&q[6], it->ingested_at);
	}
	if (q[1].count)
		db_queue(p->db, sql_rejected_insert, q, 7);
	record_free(&r);
	buf_free(&room);
	buf_free(&reason);
}

/* The counts of a part, by outcome; the last is of rejects. */
static void
count_items(const struct attempt *t, const struct part *p, int64_t count[5])
{
	for (size_t i = t->from; i < t->to; i++) {
		const struct item *it = &t->b->items[i];
		if (!item_in(t, p, it) || it->replayed)
			continue;
		if (it->kind == ITEM_UPDATE)
			count[it->outcome]++;
		else if (it->kind == ITEM_REJECTED)
			count[4]++;
	}
}

static void
queue_advance(struct attempt *t, struct part *p)
{
	struct db_param *q = p->params;
	int64_t count[5] = {0}, offset = -1, last = INT64_MIN;
	count_items(t, p, count);
	for (size_t i = t->from; i < t->to; i++) {
		const struct item *it = &t->b->items[i];
		if (it->replayed || (it->kind != ITEM_UPDATE && it->kind != ITEM_REJECTED))
			continue;
		offset = it->offset >= 0 ? it->offset : offset;
		last = it->ingested_at;
	}
	db_set_text(&q[0], slice_buf(&t->g->source.name));
	db_set_i64(&q[1], p->lane);
	db_set_i64(&q[2], p->lane_last);
	if (offset < 0)
		db_set_null(&q[3]);
	else
		db_set_i64(&q[3], offset);
	char when[TIME_TEXT];
	if (last == INT64_MIN) {
		db_set_null(&q[4]);
	} else {
		time_format(last, when);
		db_set_text(&q[4], slice_of(when));
	}
	for (int i = 0; i < 5; i++)
		db_set_i64(&q[5 + i], count[i]);
	db_queue(p->db, sql_lanes_advance, q, 10);
}

/* Step 3 of a part. */
static void
queue_writes(struct attempt *t, struct part *p)
{
	if (t->to - t->from < COPY_FROM)
		queue_history(t, p);
	queue_rejects(t, p);
	if (t->sourced)
		queue_advance(t, p);
	if (t->sourced && p == t->part && t->to == t->b->n && t->b->ends) {
		struct record r = {0};
		bool complete =
		    record_parse_line(t->b->items[t->b->n - 1].line, &r) == 0 && slice_is(r.m[M_COMPLETE], "true");
		db_set_text(&p->params[0], slice_buf(&t->g->source.name));
		db_set_text(&p->params[1], complete ? SLICE("true") : SLICE("false"));
		db_queue(
		    p->db, "UPDATE acctflow.source_inputs SET complete = $2::boolean WHERE name = $1", p->params, 2);
		record_free(&r);
	}
	db_queue(p->db, "COMMIT", NULL, 0);
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
		if (t->sourced && db_rows(p->db, 2) != (int)(p->lane_last - p->lane + 1)) {
			t->fenced = true;
			return false;
		}
		read_guard(t, p);
		p->step = STEP_QUESTIONS;
		if (queue_questions(t, p) > 0) {
			db_start(p->db);
			return true;
		}
		/* Nothing to ask. */
		batch_decide(t->b, t->from, t->to, p->lane);
		break;
	case STEP_QUESTIONS:
		read_answers(t, p);
		batch_decide(t->b, t->from, t->to, p->lane);
		break;
	case STEP_COPY:
		break;
	case STEP_WRITES:
		return false;
	}
	if (copies && p->step != STEP_COPY) {
		p->step = STEP_COPY;
		copy_history(t, p);
		return true;
	}
	p->step = STEP_WRITES;
	queue_writes(t, p);
	db_start(p->db);
	return true;
}

/* One attempt of all parts that are not done, each at its own pace. */
static enum db_status
attempt_run(struct attempt *t)
{
	struct db *dbs[MOST_LANES];
	int n = 0;
	accounts_order(t);
	for (unsigned i = 0; i < t->parts; i++) {
		struct part *p = &t->part[i];
		if (p->done)
			continue;
		p->step = STEP_GUARD;
		queue_guard(t, p);
		db_start(p->db);
		t->running[n] = p;
		dbs[n++] = p->db;
	}
	return db_drive(dbs, n, part_next, t);
}

static void
part_settle(struct attempt *t, struct part *p)
{
	p->done = true;
	for (size_t i = t->from; i < t->to; i++) {
		struct item *it = &t->b->items[i];
		if (item_in(t, p, it))
			it->settled = true;
	}
}

/* Whether the row that the transaction advanced last is its work. A server that crashed may give the same number again,
 * to a transaction of somebody else's. */
static enum db_status
part_advanced(const struct attempt *t, struct part *p, bool *committed)
{
	struct db_param q[3] = {0};
	db_set_text(&q[0], slice_buf(&t->g->source.name));
	db_set_i64(&q[1], p->lane);
	db_set_text(&q[2], slice_buf(&p->xid));
	enum db_status status = db_exec(p->db,
	    "SELECT FROM acctflow.source_lanes WHERE name = $1 AND lane = $2::smallint AND xmin = ($3::xid8)::xid", q,
	    3);
	*committed = status == DB_OK && db_rows(p->db, 0) == 1;
	db_params_free(q, 3);
	return status;
}

/* Whether the transaction that may have been committed was: looked up, not guessed. */
static enum db_status
part_look(const struct attempt *t, struct part *p, bool *committed)
{
	struct db_param q[1] = {0};
	enum db_status status;
	*committed = false;
	for (int i = 0;; i++) {
		db_set_text(&q[0], slice_buf(&p->xid));
		status = db_exec(p->db, "SELECT pg_xact_status($1::xid8)", q, 1);
		/* A number of the future: the server crashed before it had written anything of it down. */
		if (status == DB_DATA) {
			status = DB_OK;
			break;
		}
		if (status != DB_OK || db_null(p->db, 0, 0, 0))
			break;
		*committed = slice_is(db_text(p->db, 0, 0, 0), "committed");
		if (!slice_is(db_text(p->db, 0, 0, 0), "in progress"))
			break;
		/* Its backend does not know yet that we are gone. */
		if (i == 0)
			log_warn("waiting for the transaction that was cut off");
		if (i >= 20)
			status = db_exec(p->db,
			    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE backend_xid = "
			    "($1::xid8)::xid",
			    q, 1);
		if (status != DB_OK)
			break;
		struct pollfd none[1];
		io_wait(none, 0, clock_now() + 100000);
	}
	db_params_free(q, 1);
	return status == DB_OK && *committed && t->sourced ? part_advanced(t, p, committed) : status;
}

/* Makes sure of every part's connection, and looks up what became of those that were being committed. */
static enum db_status
parts_recover(struct attempt *t)
{
	for (unsigned i = 0; i < t->parts; i++) {
		struct part *p = &t->part[i];
		if (p->done)
			continue;
		enum db_status status;
		bool committed = false;
		int64_t start = clock_now();
		do {
			db_reset(p->db);
			status = db_connect(p->db);
			if (status == DB_OK && p->step == STEP_WRITES && p->xid.len)
				status = part_look(t, p, &committed);
		} while (status == DB_RETRY && clock_now() - start < db_deadline() && !io_stopping());
		if (status != DB_OK)
			return status;
		if (committed)
			part_settle(t, p);
		p->xid.len = 0;
	}
	return DB_OK;
}

static enum ingest_status
gone(const char *error, enum db_status status)
{
	if (status == DB_FATAL)
		log_error("the database refused: %s", error);
	else
		log_error("the database cannot be reached: %s", error);
	return status == DB_FATAL ? INGEST_FATAL : INGEST_GONE;
}

/* The connections' error, of the part that failed. */
static const char *
parts_error(const struct attempt *t)
{
	const char *error = "unknown error";
	for (unsigned i = 0; i < t->parts; i++)
		if (!t->part[i].done && *db_error(t->part[i].db))
			error = db_error(t->part[i].db);
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
	enum db_status status = DB_OK;
	int64_t start = clock_now();
	unsigned tries = 0;
	attempt_start(&t);
	for (;;) {
		status = DB_OK;
		for (unsigned i = 0; i < t.parts && status == DB_OK; i++)
			if (!t.part[i].done && (status = db_connect(t.part[i].db)) != DB_OK) {
				result = gone(db_error(t.part[i].db), status);
				goto out;
			}
		status = attempt_run(&t);
		if (t.fenced) {
			log_error("another writer has taken the source over; this one stops");
			result = INGEST_FENCED;
			goto out;
		}
		if (status == DB_OK)
			break;
		struct buf error = {0};
		buf_text(&error, parts_error(&t));
		/* A part that came through is committed, whatever became of the other. */
		for (unsigned i = 0; i < t.parts; i++)
			if (!t.part[i].done && t.part[i].step == STEP_WRITES && db_committed(t.part[i].db))
				part_settle(&t, &t.part[i]);
		enum db_status recovered = status == DB_FATAL ? DB_FATAL : parts_recover(&t);
		if (recovered != DB_OK)
			result = gone(recovered == status ? buf_cstr(&error) : parts_error(&t), recovered);
		else if (status == DB_RETRY)
			log_warn("trying the batch again: %s", buf_cstr(&error));
		else if (to - from == 1)
			b->items[from].reason = batch_keep(b, slice_buf(&error));
		buf_free(&error);
		if (result != INGEST_OK)
			goto out;
		if (status == DB_DATA)
			break;
		/* What passes may take its time; a batch that never gets through must end somewhere all the same. */
		if (tries++ > 0) {
			struct pollfd none[1];
			io_wait(none, 0, clock_now() + (tries < 8 ? 20000 << tries : 5000000));
		}
		if (clock_now() - start > db_deadline() || (io_stopping() && tries > 3)) {
			log_error("giving the batch up after %u tries", tries);
			result = INGEST_GONE;
			goto out;
		}
	}
	if (status == DB_OK) {
		for (unsigned i = 0; i < t.parts; i++)
			part_settle(&t, &t.part[i]);
	}
out:
	for (unsigned i = 0; i < MOST_LANES; i++)
		buf_free(&t.part[i].xid);
	if (result != INGEST_OK || status == DB_OK)
		return result;
	/* A value was refused: halve until it is alone, then it is a reject and its neighbours go on. */
	if (to - from == 1) {
		if (b->items[from].kind != ITEM_UPDATE) {
			log_error("the database refused a record that is no update: %.*s", (int)b->items[from].reason.n,
			    b->items[from].reason.p);
			return INGEST_FATAL;
		}
		b->items[from].kind = ITEM_REJECTED;
		b->items[from].total = b->items[from].line.n;
		return range_commit(g, b, from, to);
	}
	size_t middle = from + (to - from) / 2;
	result = range_commit(g, b, from, middle);
	return result == INGEST_OK ? range_commit(g, b, middle, to) : result;
}

/* Along a source recorded times never go back; records that are told again have a line of their own. */
static void
times_settle(struct ingest *g, struct batch *b)
{
	bool sourced = b->source.len > 0;
	for (size_t i = 0; i < b->n; i++) {
		struct item *it = &b->items[i];
		if (it->kind != ITEM_UPDATE && it->kind != ITEM_REJECTED)
			continue;
		int64_t *last = it->replayed ? &g->replay_last : &g->source.last;
		if (sourced && g->resume && g->source.token >= 0 && it->offset >= 0) {
			unsigned lane = it->kind == ITEM_UPDATE ? batch_lane(it->id, g->source.lanes) : 0;
			it->replayed = it->offset <= g->source.committed[lane];
			last = it->replayed ? &g->replay_last : &g->source.last;
		}
		if (it->ingested_at < *last)
			it->ingested_at = *last;
		*last = it->ingested_at;
	}
}

enum ingest_status
ingest_batch(struct ingest *g, struct batch *b)
{
	size_t from = 0, to = b->n;
	times_settle(g, b);
	while (from < to && (b->items[from].kind == ITEM_BEGIN || b->items[from].kind == ITEM_PASS))
		from++;
	if (from == to)
		return INGEST_OK;
	return range_commit(g, b, from, to);
}

void
ingest_free(struct ingest *g)
{
	for (unsigned i = 0; i < MOST_LANES; i++) {
		db_params_free(g->params[i], (int)(sizeof g->params[i] / sizeof *g->params[i]));
		db_free(g->lane[i]);
	}
	source_free(&g->source);
	free(g->order);
}
