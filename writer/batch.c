/* See batch.h. */
#include "batch.h"

#include <stdlib.h>
#include <string.h>

enum { TEXT_BYTES = 8 << 20 };

void
batch_committed(struct batch *b)
{
	free(b->accounts);
	free(b->order);
	b->accounts = NULL;
	b->order = NULL;
	b->accounts_n = b->order_n = 0;
}

void
batch_clear(struct batch *b)
{
	batch_committed(b);
	free(b->committed);
	b->committed = NULL;
	b->committed_n = 0;
	while (b->n)
		free(b->items[--b->n].refused);
	b->text.len = b->source.len = b->token.len = 0;
	b->begins = b->ends = false;
	/* Memory that one giant record took is given back. */
	if (b->text.cap > 2 * TEXT_BYTES)
		buf_free(&b->text);
}

bool
batch_fits(struct batch *b, size_t bytes)
{
	if (b->n == 0)
		buf_reserve(&b->text, bytes > TEXT_BYTES ? bytes : TEXT_BYTES);
	return b->text.cap - b->text.len >= bytes;
}

void
batch_source(struct batch *b, struct slice source)
{
	b->source.len = b->token.len = 0;
	buf_slice(&b->source, source);
	if (source.n)
		buf_json(&b->token, source);
}

struct sorted {
	uint64_t prefix; /* the id's first eight bytes as a number */
	uint32_t item;
};

static int
id_compare(struct slice s, struct slice t)
{
	int c = memcmp(s.p, t.p, s.n < t.n ? s.n : t.n);
	return c ? c : (s.n > t.n) - (s.n < t.n);
}

static int
sorted_compare(const void *x, const void *y, void *batch)
{
	const struct sorted *a = x, *b = y;
	const struct batch *in = batch;
	if (a->prefix != b->prefix)
		return a->prefix < b->prefix ? -1 : 1;
	const struct item *i = &in->items[a->item], *j = &in->items[b->item];
	int c = id_compare(item_id(in, i), item_id(in, j));
	if (c || i->version != j->version)
		return c ? c : i->version < j->version ? -1 : 1;
	return (a->item > b->item) - (a->item < b->item);
}

static uint64_t
id_prefix(struct slice id)
{
	uint64_t prefix = 0;
	for (size_t k = 0; k < 8; k++)
		prefix = prefix << 8 | (k < id.n ? (unsigned char)id.p[k] : 0);
	return prefix;
}

/* Puts the next item in order into its account, and finds the first one of its version. An update that was refused left
 * nothing behind that another could repeat. */
static void
index_add(struct batch *b, uint32_t i, uint32_t *first)
{
	struct item *it = &b->items[i];
	if (b->accounts_n == 0 || !slice_same(b->accounts[b->accounts_n - 1].id, item_id(b, it))) {
		b->accounts[b->accounts_n++] = (struct account){.id = item_id(b, it), .from = (uint32_t)b->order_n};
		*first = NOTHING;
	}
	struct account *a = &b->accounts[b->accounts_n - 1];
	if (*first != NOTHING && b->items[*first].version != it->version)
		*first = NOTHING;
	if (*first == NOTHING && !it->refused)
		*first = i;
	it->first = it->refused ? i : *first;
	it->account = (uint32_t)b->accounts_n - 1;
	b->order[b->order_n++] = i;
	a->n++;
}

void
batch_index(struct batch *b, size_t from, size_t to)
{
	size_t n = 0;
	uint32_t first = NOTHING;
	batch_committed(b);
	struct sorted *sorted = mem_alloc((to - from) * sizeof *sorted);
	for (size_t i = from; i < to; i++)
		if (b->items[i].kind == ITEM_UPDATE)
			sorted[n++] = (struct sorted){id_prefix(item_id(b, &b->items[i])), (uint32_t)i};
	qsort_r(sorted, n, sizeof *sorted, sorted_compare, b);
	b->accounts = mem_alloc(n * sizeof *b->accounts);
	b->order = mem_alloc(n * sizeof *b->order);
	for (size_t i = 0; i < n; i++)
		index_add(b, sorted[i].item, &first);
	free(sorted);
}

static int
account_compare(const void *id, const void *account)
{
	return id_compare(*(const struct slice *)id, ((const struct account *)account)->id);
}

struct account *
batch_account(const struct batch *b, struct slice id)
{
	return b->accounts_n ? bsearch(&id, b->accounts, b->accounts_n, sizeof *b->accounts, account_compare) : NULL;
}

static struct item *
item_add(struct batch *b, enum item_kind kind, int64_t offset)
{
	if (b->n == b->cap) {
		b->cap = b->cap ? b->cap * 2 : 64;
		b->items = mem_grow(b->items, b->cap * sizeof *b->items);
	}
	struct item *it = &b->items[b->n++];
	*it = (struct item){.kind = (unsigned char)kind,
	    .text = (uint32_t)b->text.len,
	    .offset = offset,
	    .due_at = NO_TIME,
	    .arrive_ms = -1,
	    .read_at = NO_TIME,
	    .callback_ms = -1};
	return it;
}

struct item *
batch_add_event(struct batch *b, enum item_kind kind, struct slice line)
{
	struct item *it = item_add(b, kind, -1);
	it->data_n = (uint32_t)line.n;
	buf_slice(&b->text, line);
	b->begins |= kind == ITEM_BEGIN;
	b->ends |= kind == ITEM_END;
	return it;
}

struct item *
batch_add_reject(struct batch *b, const struct reject *j, int64_t offset)
{
	struct item *it = item_add(b, ITEM_REJECTED, offset);
	it->data_n = (uint32_t)j->raw.n;
	it->trace_n = (uint32_t)j->reason.n;
	it->base64 = j->base64;
	it->line = j->line;
	it->raw_bytes = j->raw_bytes;
	buf_slice(&b->text, j->raw);
	buf_slice(&b->text, j->reason);
	return it;
}

struct item *
batch_add_skipped(struct batch *b, int64_t offset)
{
	return item_add(b, ITEM_SKIPPED, offset);
}

struct item *
batch_add_update(struct batch *b, const struct update *u)
{
	struct item *it = item_add(b, ITEM_UPDATE, u->source.n ? u->offset : -1);
	it->id_n = (unsigned char)u->id.n;
	it->type_n = (unsigned char)u->account_type.n;
	it->data_n = (uint32_t)u->data.n;
	it->trace_n = (uint32_t)u->trace.n;
	buf_slice(&b->text, u->id);
	buf_slice(&b->text, u->account_type);
	buf_slice(&b->text, u->data);
	buf_slice(&b->text, u->trace);
	it->arrive_ms = u->arrive_ms;
	it->read_at = u->read_at;
	it->version = u->version;
	it->deleted = u->deleted;
	it->has_tokens = u->has_tokens;
	it->tokens = u->tokens;
	it->callback_ms = u->callback_ms;
	return it;
}

struct update
batch_update(const struct batch *b, const struct item *it)
{
	return (struct update){.id = item_id(b, it),
	    .account_type = item_type(b, it),
	    .deleted = it->deleted,
	    .has_tokens = it->has_tokens,
	    .tokens = it->tokens,
	    .callback_ms = it->callback_ms,
	    .version = it->version,
	    .data = item_data(b, it),
	    .arrive_ms = it->arrive_ms,
	    .trace = item_trace(b, it),
	    .source = slice_buf(&b->source),
	    .offset = it->offset,
	    .read_at = it->read_at};
}

struct reject
batch_reject(const struct batch *b, const struct item *it)
{
	const char *raw = b->text.p + it->text;
	return (struct reject){.raw = {raw, it->data_n},
	    .reason = {raw + it->data_n, it->trace_n},
	    .base64 = it->base64,
	    .line = it->line,
	    .raw_bytes = it->raw_bytes};
}

void
batch_note(struct batch *b, size_t to, int64_t commit_at, int64_t committed_at)
{
	size_t i = b->committed_n ? b->committed[b->committed_n - 1].to : 0;
	while (i < to && b->items[i].offset < 0)
		i++;
	b->committed = mem_grow(b->committed, (b->committed_n + 1) * sizeof *b->committed);
	b->committed[b->committed_n++] =
	    (struct committed){to, commit_at, committed_at, i < to ? b->items[i].offset : -1};
}

struct event_times
batch_times(const struct batch *b, const struct item *it)
{
	struct event_times t = {it->read_at, NO_TIME, NO_TIME, -1};
	size_t place = (size_t)(it - b->items);
	for (const struct committed *c = b->committed; c < b->committed + b->committed_n; c++)
		if (place < c->to) {
			t.commit_at = c->commit_at;
			t.committed_at = c->committed_at;
			t.batch = c->first;
			break;
		}
	return t;
}
