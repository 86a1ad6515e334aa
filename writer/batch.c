/* See batch.h. The tables are open addressing with linear probing: at most twice as
 * large as the batch, touched once an item, and filled while the batch before is
 * being committed. */
#include "batch.h"

#include "hash.h"

#include <stdlib.h>
#include <string.h>

enum { TEXT_BYTES = 8 << 20 };

void
batch_committed(struct batch *b)
{
	free(b->accounts);
	free(b->account_slots);
	free(b->version_slots);
	b->accounts = NULL;
	b->account_slots = NULL;
	b->version_slots = NULL;
	b->accounts_n = b->slots = 0;
}

void
batch_clear(struct batch *b)
{
	batch_committed(b);
	b->n = 0;
	b->text.len = b->source.len = b->token.len = 0;
	b->begins = b->ends = b->partial = false;
	while (b->kept_n)
		free(b->kept[--b->kept_n]);
	/* Memory that one giant record took is given back. */
	if (b->text.cap > 2 * TEXT_BYTES)
		buf_free(&b->text);
}

void
batch_free(struct batch *b)
{
	batch_clear(b);
	buf_free(&b->text);
	buf_free(&b->source);
	buf_free(&b->token);
	free(b->kept);
	free(b->items);
	*b = (struct batch){0};
}

bool
batch_fits(struct batch *b, size_t bytes)
{
	if (b->n == 0)
		buf_reserve(&b->text, bytes > TEXT_BYTES ? bytes : TEXT_BYTES);
	return b->text.cap - b->text.len >= bytes;
}

const char *
batch_keep(struct batch *b, struct slice s)
{
	b->kept = mem_grow(b->kept, (b->kept_n + 1) * sizeof *b->kept);
	return b->kept[b->kept_n++] = mem_string(s);
}

void
batch_source(struct batch *b, struct slice source)
{
	b->source.len = b->token.len = 0;
	buf_slice(&b->source, source);
	if (source.n)
		buf_json(&b->token, source);
}

/* Where in account_slots the id is, or would be. */
static size_t
account_slot(const struct batch *b, struct slice id, uint64_t hash)
{
	size_t at = hash & (b->slots - 1);
	for (uint64_t v; (v = b->account_slots[at]) != 0; at = (at + 1) & (b->slots - 1))
		if (v >> 32 == hash >> 32 && slice_same(b->accounts[(uint32_t)v - 1].id, id))
			break;
	return at;
}

struct account *
batch_account(const struct batch *b, struct slice id)
{
	uint32_t i = b->slots ? (uint32_t)b->account_slots[account_slot(b, id, hash_bytes(id))] : 0;
	return i ? &b->accounts[i - 1] : NULL;
}

/* Where in version_slots the first item of this item's account and version is, or would be. */
static size_t
version_slot(const struct batch *b, const struct item *it)
{
	uint64_t mix = (b->accounts[it->account].hash ^ (uint64_t)it->version) * 0x9e3779b97f4a7c15u;
	size_t at = (mix ^ mix >> 32) & (b->slots - 1);
	for (uint32_t j; (j = b->version_slots[at]) != 0; at = (at + 1) & (b->slots - 1))
		if (b->items[j - 1].account == it->account && b->items[j - 1].version == it->version)
			break;
	return at;
}

/* The first item of this item's account and version, which is itself if there was none. An update that was refused left
 * nothing behind that another could repeat. */
static uint32_t
version_add(struct batch *b, uint32_t i)
{
	if (b->items[i].refused)
		return i;
	uint32_t *slot = &b->version_slots[version_slot(b, &b->items[i])];
	if (!*slot)
		*slot = i + 1;
	return *slot - 1;
}

/* Sees to it that the tables are twice as large as so many items; those before `upto` are in them. */
static void
tables_size(struct batch *b, size_t items, size_t upto)
{
	size_t slots = 64;
	while (slots < 2 * items)
		slots *= 2;
	if (slots <= b->slots)
		return;
	b->slots = slots;
	b->accounts = mem_grow(b->accounts, slots / 2 * sizeof *b->accounts);
	b->account_slots = mem_grow(b->account_slots, slots * sizeof *b->account_slots);
	b->version_slots = mem_grow(b->version_slots, slots * sizeof *b->version_slots);
	memset(b->account_slots, 0, slots * sizeof *b->account_slots);
	memset(b->version_slots, 0, slots * sizeof *b->version_slots);
	for (size_t i = 0; i < b->accounts_n; i++) {
		uint64_t hash = b->accounts[i].hash;
		size_t at = hash & (slots - 1);
		while (b->account_slots[at])
			at = (at + 1) & (slots - 1);
		b->account_slots[at] = hash >> 32 << 32 | (i + 1);
	}
	for (size_t i = 0; i < upto; i++)
		if (b->items[i].kind == ITEM_UPDATE && b->items[i].first == i &&
		    b->accounts[b->items[i].account].several)
			b->version_slots[version_slot(b, &b->items[i])] = (uint32_t)i + 1;
}

/* Finds an item's account, and the first item of its version. */
static void
look_up(struct batch *b, uint32_t i)
{
	struct item *it = &b->items[i];
	struct slice id = item_id(b, it);
	uint64_t hash = hash_bytes(id), *slot = &b->account_slots[account_slot(b, id, hash)];
	it->first = i;
	if (!*slot) {
		struct account *a = &b->accounts[b->accounts_n++];
		*a = (struct account){.id = id, .hash = hash, .last = i};
		for (size_t k = 0; k < 8; k++)
			a->prefix = a->prefix << 8 | (k < id.n ? (unsigned char)id.p[k] : 0);
		*slot = hash >> 32 << 32 | b->accounts_n;
		it->account = (uint32_t)b->accounts_n - 1;
		return;
	}
	it->account = (uint32_t)*slot - 1;
	struct account *a = &b->accounts[it->account];
	if (!a->several) {
		a->several = true;
		version_add(b, a->last);
	}
	it->first = version_add(b, i);
	a->last = i;
}

void
batch_index(struct batch *b, size_t from, size_t to)
{
	bool whole = to == b->n && !b->partial;
	for (size_t i = 0; i < from && whole; i++)
		whole = b->items[i].kind != ITEM_UPDATE;
	if (whole)
		return;
	batch_committed(b);
	b->partial = true;
	tables_size(b, to - from, 0);
	for (size_t i = from; i < to; i++)
		if (b->items[i].kind == ITEM_UPDATE)
			look_up(b, (uint32_t)i);
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
	it->version = u->version;
	it->deleted = u->deleted;
	it->has_tokens = u->has_tokens;
	it->tokens = u->tokens;
	it->callback_ms = u->callback_ms;
	/* Now, while the database works on the batch before. */
	tables_size(b, b->n, b->n - 1);
	look_up(b, (uint32_t)b->n - 1);
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
	    .offset = it->offset};
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
