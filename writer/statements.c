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
push_optional(struct pg_array *p, int64_t v)
{
	if (v < 0)
		pg_push_null(p);
	else
		pg_push_i64(p, v);
}

static void
push_tokens(struct pg_array *p, const struct item *it)
{
	if (it->has_tokens)
		pg_push_u64(p, it->tokens);
	else
		pg_push_null(p);
}

static void
push_text(struct pg_array *p, struct slice s)
{
	if (s.n)
		pg_push_text(p, s);
	else
		pg_push_null(p);
}

static struct pg_param
pipeline_param(const struct range *r)
{
	return pg_offset_param(r->source ? r->source->pipeline : -1);
}

/* Empties the arrays, of these types. */
static struct pg_array *
arrays_start(struct statements *s, const enum pg_type *types, int n)
{
	for (int i = 0; i < n; i++)
		pg_array(&s->arrays[i], types[i]);
	return s->arrays;
}

/* Queues a statement of the pipeline and the n arrays. Returns false, and queues nothing, where these are empty. */
static bool
arrays_queue(struct statements *s, struct pg *pg, const char *sql, const struct range *r, int n)
{
	struct pg_param p[MOST_ARRAYS + 1] = {pipeline_param(r)};
	if (s->arrays[0].count == 0)
		return false;
	for (int i = 0; i < n; i++)
		p[i + 1] = pg_array_param(&s->arrays[i]);
	pg_queue(pg, sql, p, (size_t)n + 1);
	return true;
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

bool
statements_guard(struct statements *s, struct pg *pg, const struct range *r)
{
	enum { ID, VERSION, CALLBACK, INGESTED, OFFSET, TOKENS, TYPE, DELETED, DATA, N };
	static const enum pg_type types[N] = {
	    PG_TEXTS, PG_BIGINTS, PG_BIGINTS, PG_TIMES, PG_BIGINTS, PG_NUMERICS, PG_TEXTS, PG_BOOLS, PG_TEXTS};
	struct pg_array *p = arrays_start(s, types, N);
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
	return arrays_queue(s, pg, sql_latest_upsert, r, N);
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

/* The arrays of what is asked: current versions; known versions; versions before what is replayed. */
enum { CURRENT, KNOWN, KNOWN_VERSION, BEFORE, BEFORE_OFFSET, ASKED };

bool
statements_ask(struct statements *s, struct pg *pg, const struct range *r)
{
	static const enum pg_type types[ASKED] = {PG_TEXTS, PG_TEXTS, PG_BIGINTS, PG_TEXTS, PG_BIGINTS};
	struct batch *b = r->b;
	struct pg_array *p = arrays_start(s, types, ASKED);
	for (size_t i = 0; i < b->accounts_n; i++) {
		struct account *a = &b->accounts[i];
		if (a->replay != NOTHING) {
			pg_push_text(&p[BEFORE], a->id);
			pg_push_i64(&p[BEFORE_OFFSET], b->items[a->replay].offset);
		}
		if (a->won)
			continue;
		a->base = INT64_MAX; /* until its answer comes: every version of it is asked about */
		pg_push_text(&p[CURRENT], a->id);
	}
	s->asked.len = 0;
	for (size_t i = r->from; i < r->to; i++)
		if (verdict_asks(b, i)) {
			pg_push_text(&p[KNOWN], item_id(b, &b->items[i]));
			pg_push_i64(&p[KNOWN_VERSION], b->items[i].version);
			buf_add(&s->asked, &(uint32_t){(uint32_t)i}, sizeof(uint32_t));
		}
	if (p[CURRENT].count)
		pg_queue(pg, sql_latest_versions, PG_PARAMS(pg_array_param(&p[CURRENT])));
	if (p[KNOWN].count)
		pg_queue(
		    pg, sql_history_known, PG_PARAMS(pg_array_param(&p[KNOWN]), pg_array_param(&p[KNOWN_VERSION])));
	if (p[BEFORE].count)
		pg_queue(pg, sql_history_before,
		    PG_PARAMS(pg_array_param(&p[BEFORE]), pg_array_param(&p[BEFORE_OFFSET]), pipeline_param(r)));
	return p[CURRENT].count || p[KNOWN].count || p[BEFORE].count;
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
	if (s->arrays[CURRENT].count) {
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
	if (s->arrays[KNOWN].count)
		read_known(s, pg, result++, r, k);
	for (int i = 0; s->arrays[BEFORE].count && i < pg_rows(pg, result); i++) {
		struct account *a = batch_account(b, pg_text(pg, result, i, 0));
		if (a)
			a->before = pg_i64(pg, result, i, 1);
	}
}

/* The columns of history, without the pipeline. */
enum { HISTORY_COLUMNS = 12 };

/* Each column has its array, or all have the one buffer of a COPY. */
static void
push_history(struct pg_array *const *q, const struct batch *b, const struct item *it)
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
	struct pg_array *q = s->arrays, *columns[HISTORY_COLUMNS];
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
		pg_rows_add(q, -1);
		++*at;
	}
	return slice_buf(&q->bytes);
}

/* Few rows go along with the other statements in one round trip. */
static void
queue_history(struct statements *s, struct pg *pg, const struct range *r)
{
	static const enum pg_type types[HISTORY_COLUMNS] = {PG_TEXTS, PG_BIGINTS, PG_BIGINTS, PG_TIMES, PG_BIGINTS,
	    PG_BOOLS, PG_BOOLS, PG_NUMERICS, PG_TEXTS, PG_TEXTS, PG_TEXTS, PG_TIMES};
	struct pg_array *q = arrays_start(s, types, HISTORY_COLUMNS), *columns[HISTORY_COLUMNS];
	for (int i = 0; i < HISTORY_COLUMNS; i++)
		columns[i] = &q[i];
	for (size_t i = r->from; i < r->to; i++)
		if (is_written(&r->b->items[i]))
			push_history(columns, r->b, &r->b->items[i]);
	arrays_queue(s, pg, sql_history_insert, r, HISTORY_COLUMNS);
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
	enum { OFFSET, KIND, REASON, RAW, ENCODING, BYTES, REJECTED, N };
	static const enum pg_type types[N] = {PG_BIGINTS, PG_TEXTS, PG_TEXTS, PG_TEXTS, PG_TEXTS, PG_BIGINTS, PG_TIMES};
	struct pg_array *p = arrays_start(s, types, N);
	for (size_t i = r->from; i < r->to; i++) {
		const struct item *it = &r->b->items[i];
		if (!is_kept_as_reject(it))
			continue;
		struct reject j = statements_reject(r->b, it, &s->text, &s->scratch);
		if (it->kind == ITEM_UPDATE) {
			s->reason.len = 0;
			buf_printf(&s->reason, "version %lld is known with other content", (long long)it->version);
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
	arrays_queue(s, pg, sql_rejects_insert, r, N);
}

/* The pipeline's row: offset, time and counts. */
static void
queue_advance(struct pg *pg, const struct range *r, struct slice xid)
{
	int64_t count[VERDICTS] = {0}, skipped = 0, rejected = 0, without = 0, committed = -1, ingested = NO_TIME;
	struct pg_param when = pg_null_param(), hash = pg_null_param();
	char text[TIME_TEXT];
	const struct item *last = NULL;
	for (size_t i = r->from; i < r->to; i++) {
		const struct item *it = &r->b->items[i];
		if (it->replayed || !item_is_record(it))
			continue;
		committed = it->offset >= 0 ? it->offset : committed;
		ingested = it->ingested_at;
		skipped += it->kind == ITEM_SKIPPED;
		rejected += it->kind == ITEM_REJECTED;
		if (it->kind != ITEM_UPDATE)
			continue;
		count[it->verdict]++;
		without += it->verdict == INDEXED && it->callback_ms < 0;
		last = it->offset >= 0 ? it : last;
	}
	if (ingested != NO_TIME) {
		time_format(ingested, text);
		when = pg_text_param(slice_of(text));
	}
	if (last) {
		struct update u = batch_update(r->b, last);
		hash = pg_i64_param((int64_t)update_hash(&u));
	}
	pg_queue(pg, sql_pipelines_advance,
	    PG_PARAMS(pipeline_param(r), pg_offset_param(committed), when, pg_i64_param(count[INDEXED]),
		pg_i64_param(count[STALE]), pg_i64_param(count[DUPLICATE]), pg_i64_param(count[CONFLICT]),
		pg_i64_param(skipped), pg_i64_param(rejected), pg_i64_param(without),
		pg_offset_param(last ? last->offset : -1), hash, pg_text_param(xid)));
}

static void
queue_end(struct statements *s, struct pg *pg, const struct range *r)
{
	struct record end = {0};
	uint64_t offset;
	if (record_parse_line(item_line(r->b, &r->b->items[r->b->n - 1]), &end) == 0) {
		struct slice fingerprint = record_text(&end, M_FINGERPRINT, &s->scratch);
		bool placed = record_integer(&end, M_LAST_OFFSET, VERSION_MAX, &offset) == 0;
		pg_queue(pg, sql_pipelines_end,
		    PG_PARAMS(pipeline_param(r), pg_bool_param(slice_is(end.m[M_COMPLETE], "true")),
			pg_bool_param(slice_is(end.m[M_BROKEN], "true")),
			fingerprint.n ? pg_text_param(fingerprint) : pg_null_param(),
			pg_offset_param(placed ? (int64_t)offset : -1)));
	}
	record_free(&end);
}

void
statements_write(struct statements *s, struct pg *pg, const struct range *r, bool copied, struct slice xid)
{
	if (!copied)
		queue_history(s, pg, r);
	queue_rejects(s, pg, r);
	if (r->source)
		queue_advance(pg, r, xid);
	if (r->source && r->to == r->b->n && r->b->ends)
		queue_end(s, pg, r);
	pg_queue(pg, "COMMIT", NULL, 0);
}
