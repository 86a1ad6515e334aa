/* See verdict.h. */
#include "verdict.h"

const char *const verdict_name[VERDICTS] = {"indexed", "stale", "duplicate", "conflict"};

void
verdict_begin(struct batch *b, struct knowns *k, size_t from, size_t to)
{
	batch_index(b, from, to);
	k->n = 0;
	for (size_t i = 0; i < b->accounts_n; i++) {
		struct account *a = &b->accounts[i];
		a->highest = a->replay = NOTHING;
		a->base = a->before = -1;
		a->won = false;
		for (uint32_t j = a->from; j < a->from + a->n; j++) {
			struct item *it = &b->items[b->order[j]];
			it->known = NOTHING;
			if (it->replayed)
				a->replay = b->order[j] < a->replay ? b->order[j] : a->replay;
			else if (a->highest == NOTHING || it->version > b->items[a->highest].version)
				a->highest = b->order[j];
		}
	}
}

bool
verdict_asks(const struct batch *b, size_t item)
{
	const struct item *it = &b->items[item];
	return it->kind == ITEM_UPDATE && it->first == item &&
	       (it->replayed || it->version <= b->accounts[it->account].base);
}

void
verdict_known(struct batch *b, struct knowns *k, size_t item, const struct known *known)
{
	if (k->n == k->cap) {
		k->cap = k->cap ? k->cap * 2 : 64;
		k->known = mem_grow(k->known, k->cap * sizeof *k->known);
	}
	k->known[k->n] = *known;
	b->items[item].known = (uint32_t)k->n++;
}

static bool
same_as_known(const struct batch *b, const struct item *it, const struct known *k)
{
	return it->tokens == k->tokens && it->has_tokens == k->has_tokens && it->callback_ms == k->callback_ms &&
	       it->deleted == k->deleted && slice_same(item_type(b, it), k->account_type) &&
	       slice_same(item_data(b, it), k->data);
}

static bool
same_as_item(const struct batch *b, const struct item *x, const struct item *y)
{
	return x->tokens == y->tokens && x->has_tokens == y->has_tokens && x->callback_ms == y->callback_ms &&
	       x->deleted == y->deleted && slice_same(item_type(b, x), item_type(b, y)) &&
	       slice_same(item_data(b, x), item_data(b, y));
}

/* The verdict on a version that is not newer than its account's. */
static enum verdict
not_newer(const struct batch *b, const struct knowns *k, const struct item *it, uint32_t i)
{
	const struct item *first = &b->items[it->first];
	if (first->known != NOTHING)
		return same_as_known(b, it, &k->known[first->known]) ? DUPLICATE : CONFLICT;
	if (it->first != i)
		return same_as_item(b, it, first) ? DUPLICATE : CONFLICT;
	return STALE;
}

static void
decide(struct batch *b, const struct knowns *knowns, uint32_t i)
{
	struct item *it = &b->items[i];
	struct account *a = &b->accounts[it->account];
	const uint32_t known = it->known;
	const struct known *k = known == NOTHING ? NULL : &knowns->known[known];
	it->settled_at = NO_TIME;
	/* Behind what is replayed the account stands where the database has it. */
	if (!it->replayed && a->current < a->base)
		a->current = a->base;
	if (it->replayed && known != NOTHING && k->by_this_record) {
		it->verdict = k->applied ? INDEXED : STALE;
		it->ingested_at = k->ingested_at;
		it->due_at = k->due_at;
		it->settled_at = k->settled_at;
		if (k->applied && it->version > a->current)
			a->current = it->version;
	} else if (it->refused) {
		it->kind = ITEM_REJECTED;
	} else if (!it->replayed && it->version > a->current) {
		it->verdict = INDEXED;
		a->current = it->version;
	} else {
		it->verdict = (unsigned char)not_newer(b, knowns, it, i);
	}
	if (it->verdict != INDEXED)
		it->current = a->current;
}

void
verdict_decide(struct batch *b, const struct knowns *k, size_t from, size_t to)
{
	for (size_t i = 0; i < b->accounts_n; i++) {
		struct account *a = &b->accounts[i];
		a->current = a->replay == NOTHING ? a->base : a->before;
	}
	for (size_t i = from; i < to; i++)
		if (b->items[i].kind == ITEM_UPDATE)
			decide(b, k, (uint32_t)i);
}
