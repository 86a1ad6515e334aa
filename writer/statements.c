/* See statements.h. */
#include "statements.h"

#include "sql.h"
#include "time.h"

#include <string.h>

enum { COPY_BYTES = 128 << 10 }; /* of rows in a piece */

static bool
is_written(const struct item *it)
{
	return !it->replayed && it->kind == ITEM_UPDATE && (it->verdict == INDEXED || it->verdict == STALE);
}

static bool
is_kept_as_reject(const struct item *it)
{
	return !it->replayed && (it->kind == ITEM_REJECTED || (it->kind == ITEM_UPDATE && it->verdict == CONFLICT));
}

static void
push_optional(struct pg_param *p, int64_t v)
{
	if (v < 0)
		pg_push_null(p);
	else
		pg_push_i64(p, v);
}

static void
push_tokens(struct pg_param *p, const struct item *it)
{
	if (it->has_tokens)
		pg_push_u64(p, it->tokens);
	else
		pg_push_null(p);
}

static void
push_text(struct pg_param *p, struct slice s)
{
	if (s.n)
		pg_push_text(p, s);
	else
		pg_push_null(p);
}

static void
set_optional(struct pg_param *p, int64_t v)
{
	if (v < 0)
		pg_set_null(p);
	else
		pg_set_i64(p, v);
}

static void
set_pipeline(struct pg_param *p, const struct range *r)
{
	set_optional(p, r->source ? r->source->pipeline : -1);
}

/* Items and their text lie in the order in which they came, but are visited in that of their accounts: those behind the
 * place `at` in the order are fetched ahead. */
static void
look_ahead(const struct batch *b, size_t at)
{
	if (at + 16 < b->order_n)
		__builtin_prefetch(&b->items[b->order[at + 16]]);
	if (at + 8 < b->order_n)
		__builtin_prefetch(b->text.p + b->items[b->order[at + 8]].text);
}

void
statements_guard(struct statements *s, struct pg *pg, const struct range *r)
{
	enum { PIPELINE, ID, VERSION, CALLBACK, INGESTED, OFFSET, TOKENS, TYPE, DELETED, DATA, N };
	struct pg_param *p = s->latest;
	set_pipeline(&p[PIPELINE], r);
	pg_array_text(&p[ID]);
	pg_array_bigint(&p[VERSION]);
	pg_array_bigint(&p[CALLBACK]);
	pg_array_time(&p[INGESTED]);
	pg_array_bigint(&p[OFFSET]);
	pg_array_numeric(&p[TOKENS]);
	pg_array_text(&p[TYPE]);
	pg_array_bool(&p[DELETED]);
	pg_array_text(&p[DATA]);
	for (size_t i = 0; i < r->b->accounts_n; i++) {
		const struct account *a = &r->b->accounts[i];
		look_ahead(r->b, a->from);
		if (a->highest == NOTHING)
			continue;
		const struct item *it = &r->b->items[a->highest];
		pg_push_text(&p[ID], item_id(r->b, it));
		pg_push_i64(&p[VERSION], it->version);
		push_optional(&p[CALLBACK], it->callback_ms);
		pg_push_time(&p[INGESTED], it->ingested_at);
		push_optional(&p[OFFSET], it->offset);
		push_tokens(&p[TOKENS], it);
		push_text(&p[TYPE], item_type(r->b, it));
		pg_push_bool(&p[DELETED], it->deleted);
		pg_push_text(&p[DATA], item_data(r->b, it));
	}
	if (p[ID].count)
		pg_queue(pg, sql_latest_upsert, p, N);
}

void
statements_guarded(struct pg *pg, int result, const struct range *r)
{
	struct batch *b = r->b;
	size_t at = 0;
	for (int i = 0; i < pg_rows(pg, result); i++) {
		struct slice id = pg_text(pg, result, i, 0);
		/* They come in the order in which they were sent, though nothing promises that. */
		while (at < b->accounts_n && !slice_same(b->accounts[at].id, id))
			at++;
		struct account *a = at < b->accounts_n ? &b->accounts[at++] : batch_account(b, id);
		if (!a)
			continue;
		a->won = true;
		a->base = pg_i64(pg, result, i, 1);
	}
}

bool
statements_ask(struct statements *s, struct pg *pg, const struct range *r)
{
	struct batch *b = r->b;
	pg_array_text(&s->versions[0]);
	pg_array_text(&s->before[0]);
	pg_array_bigint(&s->before[1]);
	set_pipeline(&s->before[2], r);
	for (size_t i = 0; i < b->accounts_n; i++) {
		struct account *a = &b->accounts[i];
		if (a->replay != NOTHING) {
			pg_push_text(&s->before[0], a->id);
			pg_push_i64(&s->before[1], b->items[a->replay].offset);
		}
		if (a->won)
			continue;
		a->base = INT64_MAX; /* until its answer comes: every version of it is asked about */
		pg_push_text(&s->versions[0], a->id);
	}
	pg_array_text(&s->known[0]);
	pg_array_bigint(&s->known[1]);
	s->asked.len = 0;
	for (size_t i = r->from; i < r->to; i++)
		if (verdict_asks(b, i)) {
			pg_push_text(&s->known[0], item_id(b, &b->items[i]));
			pg_push_i64(&s->known[1], b->items[i].version);
			buf_add(&s->asked, &(uint32_t){(uint32_t)i}, sizeof(uint32_t));
		}
	if (s->versions[0].count)
		pg_queue(pg, sql_latest_versions, s->versions, 1);
	if (s->known[0].count)
		pg_queue(pg, sql_history_known, s->known, 2);
	if (s->before[0].count)
		pg_queue(pg, sql_history_before, s->before, 3);
	return s->versions[0].count || s->known[0].count || s->before[0].count;
}

static int64_t
time_or_none(struct pg *pg, int result, int row, int column)
{
	return pg_null(pg, result, row, column) ? NO_TIME : pg_i64(pg, result, row, column);
}

static void
read_known(struct statements *s, struct pg *pg, int result, const struct range *r, struct knowns *knowns)
{
	enum { N, TYPE, TOKENS, CALLBACK, DELETED, DATA, PIPELINE, OFFSET, APPLIED, INGESTED, DUE, SETTLED };
	for (int i = 0; i < pg_rows(pg, result); i++) {
		uint32_t item;
		memcpy(&item, s->asked.p + (size_t)(pg_i64(pg, result, i, N) - 1) * sizeof item, sizeof item);
		struct known k = {
		    .account_type = pg_text(pg, result, i, TYPE),
		    .has_tokens = !pg_null(pg, result, i, TOKENS),
		    .callback_ms = pg_i64(pg, result, i, CALLBACK),
		    .deleted = *pg_text(pg, result, i, DELETED).p == 't',
		    .data = pg_text(pg, result, i, DATA),
		    .by_this_record = r->source && pg_i64(pg, result, i, PIPELINE) == r->source->pipeline &&
				      pg_i64(pg, result, i, OFFSET) == r->b->items[item].offset,
		    .applied = *pg_text(pg, result, i, APPLIED).p == 't',
		    .ingested_at = pg_i64(pg, result, i, INGESTED),
		    .due_at = time_or_none(pg, result, i, DUE),
		    .settled_at = time_or_none(pg, result, i, SETTLED),
		};
		if (k.has_tokens)
			json_integer(pg_text(pg, result, i, TOKENS), UINT64_MAX, &k.tokens);
		verdict_known(r->b, knowns, item, &k);
	}
}

void
statements_answers(struct statements *s, struct pg *pg, const struct range *r, struct knowns *k)
{
	struct batch *b = r->b;
	int result = 0;
	if (s->versions[0].count) {
		for (size_t i = 0; i < b->accounts_n; i++)
			if (!b->accounts[i].won)
				b->accounts[i].base = -1;
		for (int i = 0; i < pg_rows(pg, result); i++) {
			struct account *a = batch_account(b, pg_text(pg, result, i, 0));
			if (a)
				a->base = pg_i64(pg, result, i, 1);
		}
		result++;
	}
	if (s->known[0].count)
		read_known(s, pg, result++, r, k);
	for (int i = 0; s->before[0].count && i < pg_rows(pg, result); i++) {
		struct account *a = batch_account(b, pg_text(pg, result, i, 0));
		if (a)
			a->before = pg_i64(pg, result, i, 1);
	}
}

/* The columns of history, without the pipeline. */
enum { HISTORY_COLUMNS = 12 };

/* Each column has its array, or all have the one buffer of a COPY. */
static void
push_history(struct pg_param *const *q, const struct batch *b, const struct item *it)
{
	pg_push_text(q[0], item_id(b, it));
	pg_push_i64(q[1], it->version);
	push_optional(q[2], it->callback_ms);
	pg_push_time(q[3], it->ingested_at);
	push_optional(q[4], it->offset);
	pg_push_bool(q[5], it->verdict == INDEXED);
	pg_push_bool(q[6], it->deleted);
	push_tokens(q[7], it);
	push_text(q[8], item_type(b, it));
	push_text(q[9], item_trace(b, it));
	pg_push_text(q[10], item_data(b, it));
	if (it->due_at == NO_TIME || it->callback_ms < 0)
		pg_push_null(q[11]);
	else
		pg_push_time(q[11], it->due_at);
}

/* By account, in the order of ids: a third less work for the index. */
struct slice
statements_copy(struct statements *s, const struct range *r, size_t *at)
{
	struct pg_param *q = s->history, *columns[HISTORY_COLUMNS];
	for (int i = 0; i < HISTORY_COLUMNS; i++)
		columns[i] = q;
	if (*at == 0)
		pg_rows_start(q);
	else
		q->bytes.len = 0;
	for (; *at < r->b->order_n && q->bytes.len < COPY_BYTES; ++*at) {
		const struct item *it = &r->b->items[r->b->order[*at]];
		look_ahead(r->b, *at);
		if (!is_written(it))
			continue;
		pg_rows_add(q, HISTORY_COLUMNS + 1);
		push_history(columns, r->b, it);
		if (r->source)
			pg_push_i32(q, (int32_t)r->source->pipeline);
		else
			pg_push_null(q);
	}
	/* One step beyond the last item stands for the end. */
	if (*at == r->b->order_n && q->bytes.len < COPY_BYTES) {
		pg_rows_end(q);
		++*at;
	}
	return slice_buf(&q->bytes);
}

/* Few rows go along with the other statements in one round trip. */
static void
queue_history(struct statements *s, struct pg *pg, const struct range *r)
{
	struct pg_param *q = s->history + 1, *columns[HISTORY_COLUMNS];
	for (int i = 0; i < HISTORY_COLUMNS; i++)
		columns[i] = &q[i];
	set_pipeline(&s->history[0], r);
	pg_array_text(&q[0]);
	pg_array_bigint(&q[1]);
	pg_array_bigint(&q[2]);
	pg_array_time(&q[3]);
	pg_array_bigint(&q[4]);
	pg_array_bool(&q[5]);
	pg_array_bool(&q[6]);
	pg_array_numeric(&q[7]);
	for (int i = 8; i < 11; i++)
		pg_array_text(&q[i]);
	pg_array_time(&q[11]);
	for (size_t i = r->from; i < r->to; i++)
		if (is_written(&r->b->items[i]))
			push_history(columns, r->b, &r->b->items[i]);
	if (q[0].count)
		pg_queue(pg, sql_history_insert, s->history, HISTORY_COLUMNS + 1);
}

struct reject
statements_reject(const struct batch *b, const struct item *it, struct buf *text, struct buf *scratch)
{
	if (it->kind == ITEM_REJECTED && !it->refused)
		return batch_reject(b, it);
	struct update u = batch_update(b, it);
	struct reject j = {.reason = slice_of(it->refused ? it->refused : "")};
	text->len = 0;
	event_update(text, slice_buf(&b->token), &u);
	reject_raw(&j, slice_buf(text), text->len, scratch);
	return j;
}

static void
queue_rejects(struct statements *s, struct pg *pg, const struct range *r)
{
	enum { PIPELINE, OFFSET, KIND, REASON, RAW, ENCODING, BYTES, REJECTED, N };
	struct pg_param *p = s->rejects;
	set_pipeline(&p[PIPELINE], r);
	pg_array_bigint(&p[OFFSET]);
	for (int i = KIND; i <= ENCODING; i++)
		pg_array_text(&p[i]);
	pg_array_bigint(&p[BYTES]);
	pg_array_time(&p[REJECTED]);
	for (size_t i = r->from; i < r->to; i++) {
		const struct item *it = &r->b->items[i];
		if (!is_kept_as_reject(it))
			continue;
		struct reject j = statements_reject(r->b, it, &s->text, &s->scratch);
		if (it->kind == ITEM_UPDATE) {
			s->reason.len = 0;
			verdict_conflict(&s->reason, it->version);
			j.reason = slice_buf(&s->reason);
		}
		push_optional(&p[OFFSET], it->offset);
		pg_push_text(&p[KIND], it->kind == ITEM_UPDATE ? SLICE("conflict")
				       : it->refused	       ? SLICE("refused")
							       : SLICE("record"));
		pg_push_text(&p[REASON], j.reason);
		pg_push_text(&p[RAW], j.raw);
		pg_push_text(&p[ENCODING], j.base64 ? SLICE("base64") : SLICE("utf8"));
		pg_push_i64(&p[BYTES], (int64_t)(j.raw_bytes > INT64_MAX ? INT64_MAX : j.raw_bytes));
		pg_push_time(&p[REJECTED], it->ingested_at);
	}
	if (p[KIND].count)
		pg_queue(pg, sql_rejects_insert, p, N);
}

static void
set_time(struct pg_param *p, int64_t t)
{
	char when[TIME_TEXT];
	if (t == NO_TIME) {
		pg_set_null(p);
	} else {
		time_format(t, when);
		pg_set_text(p, slice_of(when));
	}
}

/* The pipeline's row: offset, time and counts. */
static void
queue_advance(struct statements *s, struct pg *pg, const struct range *r, struct slice xid)
{
	enum { PIPELINE, COMMITTED, INGESTED, COUNTS, REJECTED = COUNTS + VERDICTS, WITHOUT, OFFSET, HASH, XID, N };
	struct pg_param *p = s->advance;
	int64_t count[VERDICTS] = {0}, rejected = 0, without = 0, committed = -1, ingested = NO_TIME;
	const struct item *last = NULL;
	for (size_t i = r->from; i < r->to; i++) {
		const struct item *it = &r->b->items[i];
		if (it->replayed || (it->kind != ITEM_UPDATE && it->kind != ITEM_REJECTED))
			continue;
		committed = it->offset >= 0 ? it->offset : committed;
		ingested = it->ingested_at;
		if (it->kind == ITEM_REJECTED) {
			rejected++;
			continue;
		}
		count[it->verdict]++;
		without += it->verdict == INDEXED && it->callback_ms < 0;
		last = it->offset >= 0 ? it : last;
	}
	set_pipeline(&p[PIPELINE], r);
	set_optional(&p[COMMITTED], committed);
	set_time(&p[INGESTED], ingested);
	for (int i = 0; i < VERDICTS; i++)
		pg_set_i64(&p[COUNTS + i], count[i]);
	pg_set_i64(&p[REJECTED], rejected);
	pg_set_i64(&p[WITHOUT], without);
	set_optional(&p[OFFSET], last ? last->offset : -1);
	pg_set_null(&p[HASH]);
	if (last) {
		struct update u = batch_update(r->b, last);
		pg_set_i64(&p[HASH], (int64_t)update_hash(&u));
	}
	pg_set_text(&p[XID], xid);
	pg_queue(pg, sql_pipelines_advance, p, N);
}

static void
queue_end(struct statements *s, struct pg *pg, const struct range *r)
{
	struct record end = {0};
	uint64_t offset;
	struct buf *fingerprint = &s->scratch;
	if (record_parse_line(item_line(r->b, &r->b->items[r->b->n - 1]), &end) != 0)
		goto out;
	set_pipeline(&s->end[0], r);
	pg_set_text(&s->end[1], slice_is(end.m[M_COMPLETE], "true") ? SLICE("true") : SLICE("false"));
	pg_set_text(&s->end[2], slice_is(end.m[M_BROKEN], "true") ? SLICE("true") : SLICE("false"));
	pg_set_text(&s->end[3], record_text(&end, M_FINGERPRINT, fingerprint));
	s->end[3].null = s->end[3].bytes.len == 0;
	set_optional(&s->end[4], record_integer(&end, M_LAST_OFFSET, VERSION_MAX, &offset) == 0 ? (int64_t)offset : -1);
	pg_queue(pg, sql_pipelines_end, s->end, 5);
out:
	record_free(&end);
}

void
statements_write(struct statements *s, struct pg *pg, const struct range *r, bool copied, struct slice xid)
{
	if (!copied)
		queue_history(s, pg, r);
	queue_rejects(s, pg, r);
	if (r->source)
		queue_advance(s, pg, r, xid);
	if (r->source && r->to == r->b->n && r->b->ends)
		queue_end(s, pg, r);
	pg_queue(pg, "COMMIT", NULL, 0);
}

void
statements_free(struct statements *s)
{
	pg_params_free(s->latest, 10);
	pg_params_free(s->versions, 1);
	pg_params_free(s->known, 2);
	pg_params_free(s->before, 3);
	pg_params_free(s->history, 13);
	pg_params_free(s->rejects, 8);
	pg_params_free(s->advance, 12);
	pg_params_free(s->end, 5);
	pg_params_free(s->lock, 2);
	buf_free(&s->asked);
	buf_free(&s->reason);
	buf_free(&s->text);
	buf_free(&s->scratch);
}
