/* See batch.h. The tables are open addressing with linear probing, made anew for each
 * range that is decided: at most twice as large as the batch, touched once an item. */
#include "batch.h"

#include "hash.h"

#include <stdlib.h>
#include <string.h>

enum { TEXT_BYTES = 8 << 20 };

const char *const outcome_name[] = {"indexed", "stale", "duplicate", "conflict"};

void
batch_decided(struct batch *b)
{
	free(b->accounts);
	free(b->knowns);
	free(b->account_slots);
	free(b->version_slots);
	b->accounts = NULL;
	b->knowns = NULL;
	b->account_slots = NULL;
	b->version_slots = NULL;
	b->accounts_n = b->knowns_n = b->knowns_cap = b->slots = 0;
}

void
batch_clear(struct batch *b)
{
	batch_decided(b);
	b->n = 0;
	b->text.len = b->source.len = 0;
	b->begins = b->ends = b->apart = false;
	while (b->kept_n)
		free(b->kept[--b->kept_n]);
	/* What one giant record took is given back. */
	if (b->text.cap > 2 * TEXT_BYTES)
		buf_free(&b->text);
}

void
batch_free(struct batch *b)
{
	batch_clear(b);
	buf_free(&b->text);
	buf_free(&b->source);
	free(b->kept);
	free(b->items);
	*b = (struct batch){0};
}

bool
batch_room(struct batch *b, size_t bytes)
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

/* What an id is dealt out to the lanes by: FNV-1a, 32 bits. */
static uint32_t
deal_of(struct slice id)
{
	uint32_t h = 2166136261u;
	for (size_t i = 0; i < id.n; i++)
		h = (h ^ (unsigned char)id.p[i]) * 16777619u;
	return h >> 16 ^ h;
}

unsigned
batch_lane(struct slice id, unsigned lanes)
{
	return deal_of(id) % lanes;
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

/* The first item of this item's account and version, which is itself if there was none. What was refused left nothing
 * behind that another could repeat. */
static uint32_t
version_add(struct batch *b, uint32_t i)
{
	if (b->items[i].reason)
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
		*a = (struct account){.id = id, .hash = hash, .deal = deal_of(id), .last = i};
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
}

void
batch_set_line(struct batch *b, struct item *it, struct slice line)
{
	it->text = (uint32_t)b->text.len;
	it->line_n = (uint32_t)line.n;
	buf_slice(&b->text, line);
}

void
batch_set_update(struct batch *b, struct item *it, const struct update *u, struct slice line)
{
	batch_set_line(b, it, line);
	it->id_n = (unsigned char)u->id.n;
	it->type_n = (unsigned char)u->account_type.n;
	it->data_n = (uint32_t)u->data.n;
	it->trace_n = (uint32_t)u->trace.n;
	buf_slice(&b->text, u->id);
	buf_slice(&b->text, u->account_type);
	buf_slice(&b->text, u->data);
	buf_slice(&b->text, u->trace);
	it->offset = u->source.n ? u->offset : -1;
	it->arrive_ms = u->arrive_ms;
	it->version = u->version;
	it->tokens = u->tokens;
	it->callback_ms = u->callback_ms;
	/* Now, while the database works on the batch before. */
	tables_size(b, b->n, b->n - 1);
	look_up(b, (uint32_t)b->n - 1);
}

struct update
batch_update(const struct batch *b, const struct item *it)
{
	return (struct update){.id = item_id(b, it),
	    .account_type = item_type(b, it),
	    .tokens = it->tokens,
	    .callback_ms = it->callback_ms,
	    .version = it->version,
	    .data = item_data(b, it),
	    .arrive_ms = it->arrive_ms,
	    .trace = item_trace(b, it),
	    .source = slice_buf(&b->source),
	    .offset = it->offset};
}

struct slice
batch_line(const struct batch *b, const struct item *it, struct buf *room)
{
	if (it->line_n)
		return item_line(b, it);
	/* In reader's order. Nothing in the strings needs an escape. */
	struct update u = batch_update(b, it);
	room->len = 0;
	if (u.source.n)
		buf_printf(room, "{\"source\":\"%s\",", buf_cstr((struct buf *)(uintptr_t)&b->source));
	else
		buf_char(room, '{');
	if (u.offset >= 0)
		buf_printf(room, "\"offset\":%lld,", (long long)u.offset);
	buf_printf(room,
	    "\"id\":\"%.*s\",\"accountType\":\"%.*s\",\"tokens\":%llu,\"callbackTimeMs\":%llu,\"version\":%lld",
	    (int)u.id.n, u.id.p, (int)u.account_type.n, u.account_type.p, (unsigned long long)u.tokens,
	    (unsigned long long)u.callback_ms, (long long)u.version);
	buf_text(room, ",\"data\":");
	buf_slice(room, u.data);
	if (u.arrive_ms >= 0)
		buf_printf(room, ",\"arriveMs\":%lld", (long long)u.arrive_ms);
	if (u.trace.n) {
		buf_text(room, ",\"trace\":");
		buf_slice(room, u.trace);
	}
	buf_char(room, '}');
	return slice_buf(room);
}

void
batch_conflict(struct buf *reason, int64_t version)
{
	buf_printf(reason, "conflict: version %lld is known with other content", (long long)version);
}

void
batch_prepare(struct batch *b, size_t from, size_t to, unsigned lanes)
{
	bool whole = to == b->n && !b->apart;
	for (size_t i = 0; i < from && whole; i++)
		whole = b->items[i].kind != ITEM_UPDATE;
	if (!whole) {
		batch_decided(b);
		b->apart = true;
		tables_size(b, to - from, 0);
	}
	for (size_t i = from; i < to && !whole; i++)
		if (b->items[i].kind == ITEM_UPDATE && !b->items[i].settled)
			look_up(b, (uint32_t)i);
	for (size_t i = 0; i < b->accounts_n; i++) {
		struct account *a = &b->accounts[i];
		a->items = a->highest = a->replay = NOTHING;
		a->base = a->before = -1;
		a->won = false;
		a->lane = (unsigned char)(a->deal % lanes);
	}
	b->knowns_n = 0;
	for (size_t i = from; i < to; i++) {
		struct item *it = &b->items[i];
		if (it->kind != ITEM_UPDATE || it->settled)
			continue;
		struct account *a = &b->accounts[it->account];
		it->known = it->next = NOTHING;
		it->lane = a->lane;
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
same_as_known(const struct batch *b, const struct item *it, const struct known *k)
{
	/* Whoever has a known version has an array of them. NOLINTNEXTLINE(clang-analyzer-core.NullDereference) */
	return it->tokens == k->tokens && it->callback_ms == k->callback_ms &&
	       slice_same(item_type(b, it), k->account_type) && slice_same(item_data(b, it), k->data);
}

static bool
same_as_item(const struct batch *b, const struct item *x, const struct item *y)
{
	return x->tokens == y->tokens && x->callback_ms == y->callback_ms &&
	       slice_same(item_type(b, x), item_type(b, y)) && slice_same(item_data(b, x), item_data(b, y));
}

/* The verdict on a version that is not newer than its account's. */
static enum outcome
not_newer(const struct batch *b, const struct item *it, uint32_t i)
{
	const struct item *first = &b->items[it->first];
	if (first->known != NOTHING)
		return same_as_known(b, it, &b->knowns[first->known]) ? DUPLICATE : CONFLICT;
	if (it->first != i)
		return same_as_item(b, it, first) ? DUPLICATE : CONFLICT;
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
		if (it->kind != ITEM_UPDATE || it->settled || it->lane != lane)
			continue;
		struct account *a = &b->accounts[it->account];
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
		} else if (it->reason) {
			it->kind = ITEM_REJECTED;
			it->total = 0;
		} else if (!it->replayed && it->version > a->current) {
			it->outcome = INDEXED;
			a->current = it->version;
		} else {
			it->outcome = (unsigned char)not_newer(b, it, (uint32_t)i);
		}
		if (it->outcome != INDEXED)
			it->current = a->current;
	}
}
