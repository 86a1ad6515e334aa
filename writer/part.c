/* See part.h. */
#include "part.h"

#include "time.h"
#include "sql.h"

#include <string.h>

enum { COPY_BYTES = 128 << 10 }; /* of rows, while the server works on those before */

bool
part_has(const struct attempt *t, const struct part *p, const struct item *it)
{
	if (it->settled)
		return false;
	return t->parts == 1 || (it->kind == ITEM_UPDATE ? it->lane : 0) == p->lane;
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

/* Step 2 of a part: what is asked about whatever was not newer. Returns the number of statements queued. */
int
part_questions(struct attempt *t, struct part *p)
{
	struct pg_param *q = p->params;
	struct batch *b = t->b;
	int n = 0;
	pg_array_text(&q[0]);
	for (size_t i = 0; i < p->accounts_n; i++) {
		struct account *a = part_account(p, i);
		if (a->won)
			continue;
		a->base = INT64_MAX; /* until its answer comes: every version of it is asked about */
		pg_push_text(&q[0], a->id);
	}
	if (q[0].count) {
		pg_queue(p->db, sql_accounts_current, q, 1);
		n++;
	}
	pg_array_text(&q[1]);
	pg_array_bigint(&q[2]);
	p->asked.len = 0;
	for (size_t i = t->from; i < t->to; i++)
		if (part_has(t, p, &b->items[i]) && batch_asks(b, i)) {
			pg_push_text(&q[1], item_id(b, &b->items[i]));
			pg_push_i64(&q[2], b->items[i].version);
			buf_add(&p->asked, &(uint32_t){(uint32_t)i}, sizeof(uint32_t));
		}
	if (q[1].count) {
		pg_queue(p->db, sql_updates_known, &q[1], 2);
		n++;
	}
	pg_array_text(&q[3]);
	pg_array_bigint(&q[4]);
	for (size_t i = 0; i < p->accounts_n; i++) {
		const struct account *a = part_account(p, i);
		if (a->replay == NOTHING)
			continue;
		pg_push_text(&q[3], a->id);
		pg_push_i64(&q[4], b->items[a->replay].offset);
	}
	if (q[3].count) {
		pg_set_text(&q[5], slice_buf(&t->g->source.name));
		pg_queue(p->db, sql_accounts_before, &q[3], 3);
		n++;
	}
	return n;
}

static void
read_known(struct attempt *t, struct part *p, int result)
{
	for (int i = 0; i < pg_rows(p->db, result); i++) {
		uint32_t item;
		memcpy(&item, p->asked.p + (size_t)(pg_i64(p->db, result, i, 0) - 1) * sizeof item, sizeof item);
		const struct item *it = &t->b->items[item];
		struct known k = {
		    .account_type = pg_text(p->db, result, i, 1),
		    .callback_ms = (uint64_t)pg_i64(p->db, result, i, 3),
		    .data = pg_text(p->db, result, i, 4),
		    .applied = *pg_text(p->db, result, i, 7).p == 't',
		    .ingested_at = pg_i64(p->db, result, i, 8),
		    .fired_at = pg_null(p->db, result, i, 9) ? INT64_MIN : pg_i64(p->db, result, i, 9),
		};
		json_integer(pg_text(p->db, result, i, 2), UINT64_MAX, &k.tokens);
		k.ours = t->sourced && slice_same(pg_text(p->db, result, i, 5), slice_buf(&t->g->source.name)) &&
			 pg_i64(p->db, result, i, 6) == it->offset;
		batch_known(t->b, item, &k);
	}
}

void
part_answers(struct attempt *t, struct part *p)
{
	struct batch *b = t->b;
	int result = 0;
	if (p->params[0].count) {
		for (size_t i = 0; i < p->accounts_n; i++)
			if (!part_account(p, i)->won)
				part_account(p, i)->base = -1;
		for (int i = 0; i < pg_rows(p->db, result); i++) {
			struct account *a = batch_account(b, pg_text(p->db, result, i, 0));
			if (a)
				a->base = pg_i64(p->db, result, i, 1);
		}
		result++;
	}
	if (p->params[1].count)
		read_known(t, p, result++);
	for (int i = 0; p->params[3].count && i < pg_rows(p->db, result); i++) {
		struct account *a = batch_account(b, pg_text(p->db, result, i, 0));
		if (a)
			a->before = pg_i64(p->db, result, i, 1);
	}
}

/* The history's columns, each with its array, or all with the one buffer of a COPY. */
enum { HISTORY_COLUMNS = 11 };

static void
push_history(struct pg_param *const *q, const struct batch *b, const struct item *it)
{
	pg_push_text(q[0], item_id(b, it));
	pg_push_i64(q[1], it->version);
	pg_push_i64(q[2], (int64_t)it->callback_ms);
	pg_push_time(q[3], it->ingested_at);
	if (it->offset < 0)
		pg_push_null(q[4]);
	else
		pg_push_i64(q[4], it->offset);
	pg_push_bool(q[5], it->outcome == INDEXED);
	pg_push_u64(q[6], it->tokens);
	pg_push_text(q[7], item_type(b, it));
	if (b->source.len)
		pg_push_text(q[8], slice_buf(&b->source));
	else
		pg_push_null(q[8]);
	if (it->trace_n)
		pg_push_text(q[9], item_trace(b, it));
	else
		pg_push_null(q[9]);
	pg_push_text(q[10], item_data(b, it));
}

/* Few rows go along with the other statements in one round trip; many by COPY. */
static void
queue_history(struct attempt *t, struct part *p)
{
	struct pg_param *q = p->params + 9, *columns[HISTORY_COLUMNS];
	for (int i = 0; i < HISTORY_COLUMNS; i++)
		columns[i] = &q[i];
	pg_array_text(&q[0]);
	pg_array_bigint(&q[1]);
	pg_array_bigint(&q[2]);
	pg_array_time(&q[3]);
	pg_array_bigint(&q[4]);
	pg_array_bool(&q[5]);
	pg_array_numeric(&q[6]);
	for (int i = 7; i < HISTORY_COLUMNS; i++)
		pg_array_text(&q[i]);
	for (size_t i = t->from; i < t->to; i++)
		if (part_has(t, p, &t->b->items[i]) && item_written(&t->b->items[i]))
			push_history(columns, t->b, &t->b->items[i]);
	if (q[0].count)
		pg_queue(p->db, sql_updates_insert, q, HISTORY_COLUMNS);
}

/* By account, in the order of ids: a third less work for the index. */
static struct slice
copy_more(void *context)
{
	struct part *p = context;
	struct batch *b = p->attempt->b;
	struct pg_param *q = p->params + 9, *columns[HISTORY_COLUMNS];
	for (int i = 0; i < HISTORY_COLUMNS; i++)
		columns[i] = q;
	if (p->sent)
		q->bytes.len = 0;
	if (p->sent > p->accounts_n)
		return slice_buf(&q->bytes);
	while (q->bytes.len < COPY_BYTES) {
		for (; p->row == NOTHING && p->sent < p->accounts_n; p->sent++) {
			part_look_ahead(p, p->sent);
			p->row = part_account(p, p->sent)->items;
		}
		if (p->row == NOTHING) {
			pg_rows_end(q);
			p->sent++;
			break;
		}
		const struct item *it = &b->items[p->row];
		if (item_written(it)) {
			pg_rows_add(q, HISTORY_COLUMNS);
			push_history(columns, b, it);
		}
		p->row = it->next;
	}
	return slice_buf(&q->bytes);
}

void
part_copy(struct part *p)
{
	p->sent = 0;
	p->row = NOTHING;
	pg_rows_start(p->params + 9);
	pg_start_copy(p->db, sql_updates_copy, copy_more, p);
}

/* Takes raw, encoding and length of a rejected record: out of reader's event, or from the text itself. */
static void
push_raw(struct pg_param *q, const struct batch *b, const struct item *it, struct record *r, struct buf *room)
{
	struct buf text = {0};
	struct slice line = batch_line(b, it, &text);
	uint64_t bytes = it->kind == ITEM_REJECTED && it->total ? it->total : line.n;
	if (it->reason || it->kind == ITEM_UPDATE) {
		room->len = 0;
		buf_char(room, '{');
		record_raw(room, line, bytes);
		buf_char(room, '}');
		line = slice_buf(room);
	}
	bool ok = record_parse_line(line, r) == 0;
	struct slice raw = ok ? record_text(r, M_RAW, &text) : (struct slice){0};
	record_integer(r, M_RAW_BYTES, UINT64_MAX, &bytes);
	pg_push_text(&q[0], raw.n ? raw : SLICE(""));
	pg_push_text(&q[1], record_is(r, M_RAW_ENCODING, "base64") ? SLICE("base64") : SLICE("utf8"));
	pg_push_i64(&q[2], (int64_t)(bytes > INT64_MAX ? INT64_MAX : bytes));
	buf_free(&text);
}

static void
queue_rejects(struct attempt *t, struct part *p)
{
	struct pg_param *q = p->params + 20;
	struct record r = {0};
	struct buf room = {0}, reason = {0};
	if (t->sourced)
		pg_set_text(&q[0], slice_buf(&t->g->source.name));
	else
		pg_set_null(&q[0]);
	pg_array_bigint(&q[1]);
	pg_array_text(&q[2]);
	pg_array_text(&q[3]);
	pg_array_text(&q[4]);
	pg_array_bigint(&q[5]);
	pg_array_time(&q[6]);
	for (size_t i = t->from; i < t->to; i++) {
		const struct item *it = &t->b->items[i];
		if (!part_has(t, p, it) || !item_kept_as_reject(it))
			continue;
		reason.len = 0;
		if (it->kind == ITEM_UPDATE)
			batch_conflict(&reason, it->version);
		else if (it->reason)
			buf_text(&reason, it->reason);
		else if (record_parse_line(item_line(t->b, it), &r) == 0)
			buf_slice(&reason, record_text(&r, M_REASON, &room));
		if (it->offset < 0)
			pg_push_null(&q[1]);
		else
			pg_push_i64(&q[1], it->offset);
		pg_push_text(&q[2], slice_buf(&reason));
		push_raw(&q[3], t->b, it, &r, &room);
		pg_push_time(&q[6], it->ingested_at);
	}
	if (q[1].count)
		pg_queue(p->db, sql_rejected_insert, q, 7);
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
		if (!part_has(t, p, it) || it->replayed)
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
	struct pg_param *q = p->params;
	int64_t count[5] = {0}, offset = -1, last = INT64_MIN;
	count_items(t, p, count);
	for (size_t i = t->to; i-- > t->from && (offset < 0 || last == INT64_MIN);) {
		const struct item *it = &t->b->items[i];
		if (it->kind != ITEM_UPDATE && it->kind != ITEM_REJECTED)
			continue;
		/* What is only told again counts too: the other lane may have committed it, and this one has nothing of
		 * it. */
		offset = offset < 0 ? it->offset : offset;
		if (!it->replayed && last == INT64_MIN)
			last = it->ingested_at;
	}
	pg_set_text(&q[0], slice_buf(&t->g->source.name));
	pg_set_i64(&q[1], p->lane);
	pg_set_i64(&q[2], p->lane_last);
	if (offset < 0)
		pg_set_null(&q[3]);
	else
		pg_set_i64(&q[3], offset);
	char when[TIME_TEXT];
	if (last == INT64_MIN) {
		pg_set_null(&q[4]);
	} else {
		time_format(last, when);
		pg_set_text(&q[4], slice_of(when));
	}
	for (int i = 0; i < 5; i++)
		pg_set_i64(&q[5 + i], count[i]);
	pg_set_text(&q[10], slice_buf(&p->xid));
	pg_queue(p->db, sql_lanes_advance, q, 11);
}

/* Step 3 of a part. */
void
part_writes(struct attempt *t, struct part *p)
{
	if (t->to - t->from < COPY_FROM)
		queue_history(t, p);
	queue_rejects(t, p);
	if (t->sourced)
		queue_advance(t, p);
	if (t->sourced && p == t->part && t->to == t->b->n && t->b->ends) {
		struct record r = {0};
		bool complete = record_parse_line(item_line(t->b, &t->b->items[t->b->n - 1]), &r) == 0 &&
				slice_is(r.m[M_COMPLETE], "true");
		pg_set_text(&p->params[0], slice_buf(&t->g->source.name));
		pg_set_text(&p->params[1], complete ? SLICE("true") : SLICE("false"));
		pg_queue(
		    p->db, "UPDATE acctflow.source_inputs SET complete = $2::boolean WHERE name = $1", p->params, 2);
		record_free(&r);
	}
	pg_queue(p->db, "COMMIT", NULL, 0);
}
