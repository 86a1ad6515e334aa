// with: writer/batch.c
/* A batch's text stays where it is while it is filled, its members are what was put
 * in, and its tables find each account and version, whatever was added and in which
 * order. */
#include "batch.h"

#include "tap.h"

#include <stdlib.h>
#include <string.h>

static struct item *
add(struct batch *b, const char *id, int64_t version)
{
	struct update u = {.id = slice_of(id),
	    .account_type = SLICE("t"),
	    .data = SLICE("{}"),
	    .version = version,
	    .has_tokens = true,
	    .callback_ms = -1,
	    .arrive_ms = -1,
	    .offset = -1};
	batch_fits(b, 1000);
	return batch_add_update(b, &u);
}

static void
test_members(void)
{
	struct batch b = {0};
	struct update u = {.id = SLICE("a"),
	    .account_type = SLICE("type"),
	    .data = SLICE("[1]"),
	    .trace = SLICE("\"00\""),
	    .source = SLICE("s"),
	    .offset = 7,
	    .arrive_ms = 5,
	    .version = INT64_MAX,
	    .tokens = UINT64_MAX,
	    .has_tokens = true,
	    .callback_ms = (int64_t)CALLBACK_MAX};
	struct update gone = {
	    .id = SLICE("a"), .data = SLICE("null"), .deleted = true, .callback_ms = -1, .arrive_ms = -1};
	batch_fits(&b, 1000);
	batch_source(&b, SLICE("s \"1\""));
	batch_add_update(&b, &u);
	batch_add_update(&b, &gone);
	struct update v = batch_update(&b, &b.items[0]), w = batch_update(&b, &b.items[1]);
	tap_ok(slice_is(slice_buf(&b.token), "\"s \\\"1\\\"\"") && slice_is(v.source, "s \"1\""),
	    "the source, as text and as JSON");
	tap_ok(slice_same(v.id, u.id) && slice_same(v.account_type, u.account_type) && slice_same(v.data, u.data) &&
		   slice_same(v.trace, u.trace) && v.offset == 7 && v.arrive_ms == 5 && v.version == u.version &&
		   v.tokens == u.tokens && v.has_tokens && !v.deleted && v.callback_ms == u.callback_ms,
	    "an update comes out as it went in");
	tap_ok(w.deleted && !w.has_tokens && w.account_type.n == 0 && w.callback_ms == -1 && w.offset == -1 &&
		   w.trace.n == 0,
	    "so does a delete that names nothing, of no source");
	struct reject j = {
	    .reason = SLICE("why"), .raw = SLICE("eA=="), .base64 = true, .line = 3, .raw_bytes = 1 << 20};
	batch_add_reject(&b, &j, 9);
	struct reject k = batch_reject(&b, &b.items[2]);
	tap_ok(slice_same(k.reason, j.reason) && slice_same(k.raw, j.raw) && k.base64 && k.line == 3 &&
		   k.raw_bytes == 1 << 20 && b.items[2].offset == 9,
	    "and a reject");
	batch_add_event(&b, ITEM_END, SLICE("{\"event\":\"end\"}"));
	tap_ok(b.ends && !b.begins && slice_is(item_line(&b, &b.items[3]), "{\"event\":\"end\"}"),
	    "and an event, as its line");
	batch_free(&b);
}

static void
test_due(void)
{
	struct item it = {.ingested_at = 1000, .due_at = NO_TIME, .callback_ms = 2};
	tap_ok(item_due(&it) == 3000, "a callback is due behind the ingestion");
	it.due_at = 2500;
	tap_ok(item_due(&it) == 2500, "or at a time of its own");
	it.callback_ms = -1;
	tap_ok(item_due(&it) == NO_TIME, "without one nothing is due");
}

/* Texts stay where they are while the batch is filled. */
static void
test_text(void)
{
	enum { GIANT = 20 << 20 };
	struct batch b = {0};
	char *giant = mem_alloc(GIANT);
	memset(giant, 'x', GIANT);
	tap_ok(batch_fits(&b, 2 * (size_t)GIANT), "an empty batch takes a giant");
	struct update u = {.id = SLICE("a"), .account_type = SLICE("t"), .data = {giant, GIANT}};
	const char *start = b.text.p;
	struct item *it = batch_add_update(&b, &u);
	tap_ok(!batch_fits(&b, GIANT), "and nothing of that size behind it");
	tap_ok(b.text.p == start && slice_is(item_id(&b, it), "a") && slice_is(item_type(&b, it), "t") &&
		   slice_same(item_data(&b, it), u.data),
	    "its members lie where they were put");
	batch_clear(&b);
	tap_ok(b.text.cap == 0 && b.n == 0, "its memory is given back");

	size_t n = 0;
	while (batch_fits(&b, 1000)) {
		batch_add_event(&b, ITEM_PASS, (struct slice){giant, 1000});
		n++;
	}
	bool whole = n > 1000;
	for (size_t i = 0; i < b.n; i++)
		whole = whole && slice_same(item_line(&b, &b.items[i]), (struct slice){giant, 1000}) &&
			item_line(&b, &b.items[i]).p == b.text.p + 1000 * i;
	tap_ok(whole, "%zu texts fit, and none moves", n);
	b.items[0].refused = mem_string(SLICE("no"));
	size_t cap = b.text.cap;
	batch_clear(&b);
	tap_ok(b.text.cap == cap && batch_fits(&b, 1000), "ordinary memory is used again");
	batch_free(&b);
	free(giant);
}

/* Each item's account, and the first item of its version among [from, to). */
static bool
tables_right(const struct batch *b, size_t from, size_t to)
{
	size_t accounts = 0;
	for (size_t i = from; i < to; i++) {
		const struct item *it = &b->items[i];
		if (it->kind != ITEM_UPDATE)
			continue;
		size_t account = i, first = i;
		for (size_t j = i; j-- > from;) {
			const struct item *other = &b->items[j];
			if (other->kind != ITEM_UPDATE || !slice_same(item_id(b, it), item_id(b, other)))
				continue;
			account = j;
			first = other->version == it->version ? j : first;
		}
		accounts += account == i;
		if (it->first != first || !slice_same(b->accounts[it->account].id, item_id(b, it)) ||
		    batch_account(b, item_id(b, it)) != &b->accounts[it->account]) {
			tap_note("item %zu of %zu to %zu", i, from, to);
			return false;
		}
	}
	return accounts == b->accounts_n;
}

/* Filled while they grow, made anew for a part, used again after a larger one. */
static void
test_tables(void)
{
	struct batch b = {0};
	bool right = true, parts = true;
	uint64_t state = 1;
	for (size_t round = 0; round < 30; round++) {
		size_t n = round % 3 == 0 ? 700 : 1 + round * 7;
		batch_clear(&b);
		for (size_t i = 0; i < n; i++) {
			state = state * 6364136223846793005u + 1442695040888963407u;
			char id[300] = {0};
			int length =
			    snprintf(id, sizeof id, "%llu", (unsigned long long)(state >> 33) % (1 + round * 5));
			if (round % 4 == 1)
				memset(id + length, 'x', (size_t)(255 - length));
			batch_fits(&b, 1000);
			if (state >> 40 & 7)
				add(&b, id, (int64_t)(state >> 50 & 3));
			else
				batch_add_event(&b, ITEM_PASS, SLICE("{}"));
		}
		batch_index(&b, 0, n);
		right = right && tables_right(&b, 0, n);
		for (size_t from = 0; from < n; from += n / 3 + 1)
			for (size_t to = from; to <= n; to += n / 4 + 1) {
				batch_index(&b, from, to);
				parts = parts && tables_right(&b, from, to);
			}
		batch_index(&b, 0, n);
		parts = parts && tables_right(&b, 0, n);
	}
	tap_ok(right, "accounts and versions are found while a batch is filled");
	tap_ok(parts, "and of any part of it");
	batch_committed(&b);
	tap_ok(!batch_account(&b, SLICE("0")), "none are once it is committed");
	batch_free(&b);
}

int
main(void)
{
	test_members();
	test_due();
	test_text();
	test_tables();
	return tap_done();
}
