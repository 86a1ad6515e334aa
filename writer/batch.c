/* See batch.h. The tables are open addressing with linear probing, made anew for each
 * range that is decided: at most twice as large as the batch, touched once an item. */
#include "batch.h"

#include "hash.h"

#include <stdlib.h>
#include <string.h>

enum { TEXT_BYTES = 12 << 20, SMALL = 4096 /* items */, SMALL_BYTES = 1 << 20 };

const char *const outcome_name[] = {"indexed", "stale", "duplicate", "conflict"};

void
batch_decided(struct batch *b)
{
	if (b->slots_cap > 2 * SMALL) {
		free(b->accounts);
		free(b->knowns);
		free(b->account_slots);
		free(b->version_slots);
		b->accounts = NULL;
		b->knowns = NULL;
		b->account_slots = b->version_slots = NULL;
		b->accounts_cap = b->knowns_cap = b->slots = b->slots_cap = 0;
	}
	b->accounts_n = b->knowns_n = 0;
}

void
batch_clear(struct batch *b)
{
	batch_decided(b);
	if (b->text.len > SMALL_BYTES)
		buf_free(&b->text);
	if (b->cap > SMALL) {
		free(b->items);
		b->items = NULL;
		b->cap = 0;
	}
	b->n = 0;
	b->text.len = b->source.len = 0;
	b->begins = b->ends = false;
	while (b->kept_n)
		free(b->kept[--b->kept_n]);
}

void
batch_free(struct batch *b)
{
	batch_clear(b);
	buf_free(&b->text);
	buf_free(&b->source);
	free(b->kept);
	free(b->items);
	free(b->accounts);
	free(b->knowns);
	free(b->account_slots);
	free(b->version_slots);
	*b = (struct batch){0};
}

bool
batch_room(struct batch *b, size_t bytes)
{
	if (b->n == 0)
		buf_reserve(&b->text, bytes > TEXT_BYTES ? bytes : TEXT_BYTES);
	return b->text.cap - b->text.len >= bytes;
}

struct slice
batch_text(struct batch *b, struct slice s)
{
	size_t from = b->text.len;
	buf_slice(&b->text, s);
	return (struct slice){b->text.p + from, s.n};
}

struct slice
batch_keep(struct batch *b, struct slice s)
{
	b->kept = mem_grow(b->kept, (b->kept_n + 1) * sizeof *b->kept);
	b->kept[b->kept_n] = mem_string(s);
	return (struct slice){b->kept[b->kept_n++], s.n};
}

void
batch_line_start(struct buf *b, struct slice source)
{
	buf_text(b, "{\"source\":");
	buf_json(b, source);
	buf_text(b, ",\"offset\":");
}

struct slice
batch_line(const struct batch *b, const struct item *it, struct buf *room)
{
	if (!it->cut)
		return it->line;
	room->len = 0;
	batch_line_start(room, slice_buf(&b->source));
	buf_i64(room, it->offset);
	buf_slice(room, it->line);
	return slice_buf(room);
}

struct item *
batch_add(struct batch *b, enum item_kind kind)
{
	if (b->n == b->cap) {
		b->cap = b->cap ? b->cap * 2 : 64;
		b->items = mem_grow(b->items, b->cap * sizeof *b->items);
	}
	struct item *it = &b->items[b->n++];
	*it = (struct item){.kind = (unsigned char)kind, .offset = -1, .fired_at = INT64_MIN};
	return it;
}

void
batch_conflict(struct buf *reason, int64_t version)
{
	buf_printf(reason, "conflict: version %lld is known with other content", (long long)version);
}

unsigned
batch_lane(struct slice id, unsigned lanes)
{
	/* FNV-1a, 32 bits. */
	uint32_t h = 2166136261u;
	for (size_t i = 0; lanes > 1 && i < id.n; i++)
		h = (h ^ (unsigned char)id.p[i]) * 16777619u;
	return lanes > 1 ? (h >> 16 ^ h) % lanes : 0;
}

/* Where in account_slots the id is, or would be. */
static size_t
account_slot(const struct batch *b, struct slice id, uint64_t hash)
{
	size_t at = hash & (b->slots - 1);
	for (uint32_t i; (i = b->account_slots[at]) != 0; at = (at + 1) & (b->slots - 1))
		if (b->accounts[i - 1].hash == hash && slice_same(b->accounts[i - 1].id, id))
			break;
	return at;
}

struct account *
batch_account(const struct batch *b, struct slice id)
{
	uint32_t i = b->slots ? b->account_slots[account_slot(b, id, hash_bytes(id))] : 0;
	return i ? &b->accounts[i - 1] : NULL;
}

static uint32_t
account_find_or_add(struct batch *b, struct slice id, unsigned lanes)
{
	uint64_t hash = hash_bytes(id);
	size_t at = account_slot(b, id, hash);
	if (b->account_slots[at])
		return b->account_slots[at] - 1;
	if (b->accounts_n == b->accounts_cap) {
		b->accounts_cap = b->accounts_cap ? b->accounts_cap * 2 : 64;
		b->accounts = mem_grow(b->accounts, b->accounts_cap * sizeof *b->accounts);
	}
	uint64_t prefix = 0;
	for (size_t i = 0; i < 8; i++)
		prefix = prefix << 8 | (i < id.n ? (unsigned char)id.p[i] : 0);
	b->accounts[b->accounts_n] = (struct account){.id = id,
	    .prefix = prefix,
	    .items = NOTHING,
	    .hash = hash,
	    .lane = batch_lane(id, lanes),
	    .highest = NOTHING,
	    .replay = NOTHING,
	    .base = -1,
	    .before = -1};
	b->account_slots[at] = (uint32_t)++b->accounts_n;
	return (uint32_t)b->accounts_n - 1;
}

/* The first item of this item's account and version: itself, if there was none before. */
static uint32_t
version_first(struct batch *b, uint32_t i)
{
	const struct item *it = &b->items[i];
	uint64_t mix = (b->accounts[it->account].hash ^ (uint64_t)it->version) * 0x9e3779b97f4a7c15u;
	size_t at = (mix ^ mix >> 32) & (b->slots - 1);
	for (uint32_t j; (j = b->version_slots[at]) != 0; at = (at + 1) & (b->slots - 1))
		if (b->items[j - 1].account == it->account && b->items[j - 1].version == it->version)
			return j - 1;
	b->version_slots[at] = i + 1;
	return i;
}

void
batch_prepare(struct batch *b, size_t from, size_t to, unsigned lanes)
{
	size_t slots = 64;
	while (slots < 2 * (to - from))
		slots *= 2;
	if (slots > b->slots_cap) {
		b->account_slots = mem_grow(b->account_slots, slots * sizeof *b->account_slots);
		b->version_slots = mem_grow(b->version_slots, slots * sizeof *b->version_slots);
		b->slots_cap = slots;
	}
	b->slots = slots;
	memset(b->account_slots, 0, b->slots * sizeof *b->account_slots);
	memset(b->version_slots, 0, b->slots * sizeof *b->version_slots);
	b->accounts_n = b->knowns_n = 0;

	for (size_t i = from; i < to; i++) {
		struct item *it = &b->items[i];
		if (it->kind != ITEM_UPDATE || it->settled)
			continue;
		it->known = NOTHING;
		it->account = account_find_or_add(b, it->id, lanes);
		/* What was refused left nothing behind that another could repeat. */
		it->first = it->reason.n ? (uint32_t)i : version_first(b, (uint32_t)i);
		struct account *a = &b->accounts[it->account];
		it->next = NOTHING;
		if (a->items == NOTHING)
			a->items = (uint32_t)i;
		else
			b->items[a->last].next = (uint32_t)i;
		a->last = (uint32_t)i;
		if (it->replayed && a->replay == NOTHING)
			a->replay = (uint32_t)i;
		if (!it->replayed && (a->highest == NOTHING || it->version > b->items[a->highest].version))
			a->highest = (uint32_t)i;
	}
}

bool
batch_asks(const struct batch *b, size_t item)
{
	const struct item *it = &b->items[item];
	return it->kind == ITEM_UPDATE && !it->settled && it->first == item &&
	       (it->replayed || it->version <= b->accounts[it->account].base);
}

void
batch_known(struct batch *b, size_t item, const struct known *k)
{
	if (b->knowns_n == b->knowns_cap) {
		b->knowns_cap = b->knowns_cap ? b->knowns_cap * 2 : 64;
		b->knowns = mem_grow(b->knowns, b->knowns_cap * sizeof *b->knowns);
	}
	b->knowns[b->knowns_n] = *k;
	b->items[item].known = (uint32_t)b->knowns_n++;
}

static bool
same_as_known(const struct item *it, const struct known *k)
{
	/* Whoever has a known version has an array of them. NOLINTNEXTLINE(clang-analyzer-core.NullDereference) */
	return it->tokens == k->tokens && it->callback_ms == k->callback_ms &&
	       slice_same(it->account_type, k->account_type) && slice_same(it->data, k->data);
}

static bool
same_as_item(const struct item *a, const struct item *b)
{
	return a->tokens == b->tokens && a->callback_ms == b->callback_ms &&
	       slice_same(a->account_type, b->account_type) && slice_same(a->data, b->data);
}

/* The verdict on a version that is not newer than its account's. */
static enum outcome
not_newer(const struct batch *b, const struct item *it, uint32_t i)
{
	const struct item *first = &b->items[it->first];
	if (first->known != NOTHING)
		return same_as_known(it, &b->knowns[first->known]) ? DUPLICATE : CONFLICT;
	if (it->first != i)
		return same_as_item(it, first) ? DUPLICATE : CONFLICT;
	return STALE;
}

void
batch_decide(struct batch *b, size_t from, size_t to, unsigned lane)
{
	for (size_t i = 0; i < b->accounts_n; i++) {
		struct account *a = &b->accounts[i];
		a->current = a->replay == NOTHING ? a->base : a->before;
	}
	for (size_t i = from; i < to; i++) {
		struct item *it = &b->items[i];
		if (it->kind != ITEM_UPDATE || it->settled)
			continue;
		struct account *a = &b->accounts[it->account];
		if (a->lane != lane)
			continue;
		const struct known *k = it->known == NOTHING ? NULL : &b->knowns[it->known];
		it->fired_at = INT64_MIN;
		/* Behind what is replayed the account stands where the database has it. */
		if (!it->replayed && a->current < a->base)
			a->current = a->base;
		if (it->replayed && k && k->ours) {
			it->outcome = k->applied ? INDEXED : STALE;
			it->ingested_at = k->ingested_at;
			it->fired_at = k->fired_at;
			if (k->applied && it->version > a->current)
				a->current = it->version;
		} else if (it->reason.n) {
			it->kind = ITEM_REJECTED;
			it->total = 0;
		} else if (!it->replayed && it->version > a->current) {
			it->outcome = INDEXED;
			a->current = it->version;
		} else {
			it->outcome = not_newer(b, it, (uint32_t)i);
		}
		if (it->outcome != INDEXED)
			it->current = a->current;
	}
}
