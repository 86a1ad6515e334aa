// with: writer/batch.c writer/verdict.c
/* The version guard against a model that can be seen to be right: one update after
 * the other against a plain list of all versions ever taken. Whatever is cut into
 * batches, and wherever, the verdicts are those of the model. */
#include "writer/verdict.h"

#include "batch.h"
#include "tap.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* SplitMix64 (Steele, Lea, Flood 2014). */
static uint64_t random_state;

static uint64_t
draw(uint64_t below)
{
	uint64_t z = random_state += UINT64_C(0x9e3779b97f4a7c15);
	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return (z ^ z >> 31) % below;
}

/* An update as a test names it; content is the whole of what makes two of them the same. */
struct update_in {
	const char *id;
	int64_t version;
	const char *type, *data;
	uint64_t tokens;
	int64_t callback_ms; /* -1: none */
	int64_t offset;	     /* -1: of no source */
	bool replayed;
	bool deleted, bare; /* bare: a delete that names neither type nor tokens */
};

/* What the database would hold. */
struct row {
	struct update_in u;
	bool applied, ours;
	int64_t ingested_at;
};

struct store {
	struct row *rows;
	size_t n, cap;
};

static void
store_add(struct store *s, const struct update_in *u, bool applied, int64_t ingested_at)
{
	if (s->n == s->cap)
		s->rows = mem_grow(s->rows, (s->cap = s->cap ? 2 * s->cap : 16) * sizeof *s->rows);
	s->rows[s->n++] = (struct row){*u, applied, true, ingested_at};
}

static const struct row *
store_find(const struct store *s, const char *id, int64_t version)
{
	for (size_t i = 0; i < s->n; i++)
		if (strcmp(s->rows[i].u.id, id) == 0 && s->rows[i].u.version == version)
			return &s->rows[i];
	return NULL;
}

/* The highest version of an account; -1: none. Of its own source only what lies before `offset`. */
static int64_t
store_version(const struct store *s, const char *id, int64_t offset)
{
	int64_t v = -1;
	for (size_t i = 0; i < s->n; i++)
		if (strcmp(s->rows[i].u.id, id) == 0 && s->rows[i].u.version > v &&
		    !(s->rows[i].ours && s->rows[i].u.offset >= offset))
			v = s->rows[i].u.version;
	return v;
}

static bool
same_content(const struct update_in *a, const struct update_in *b)
{
	return strcmp(a->type, b->type) == 0 && strcmp(a->data, b->data) == 0 && a->tokens == b->tokens &&
	       a->callback_ms == b->callback_ms && a->deleted == b->deleted && a->bare == b->bare;
}

struct want {
	enum verdict verdict;
	int64_t current, ingested_at;
};

/* The model: one update, as if it were alone in the world. */
static struct want
model_take(struct store *s, const struct update_in *u, int64_t now)
{
	int64_t current = store_version(s, u->id, u->replayed ? u->offset : INT64_MAX);
	const struct row *known = store_find(s, u->id, u->version);
	if (u->replayed && known && known->ours && known->u.offset == u->offset)
		return (struct want){known->applied ? INDEXED : STALE, current, known->ingested_at};
	if (known)
		return (struct want){same_content(u, &known->u) ? DUPLICATE : CONFLICT, current, now};
	if (u->replayed)
		return (struct want){STALE, current, now};
	store_add(s, u, u->version > current, now);
	if (u->version > current)
		return (struct want){INDEXED, u->version, now};
	return (struct want){STALE, current, now};
}

static struct item *
add(struct batch *b, const struct update_in *u, int64_t now)
{
	struct update as = {.id = slice_of(u->id),
	    .account_type = slice_of(u->type),
	    .data = slice_of(u->data),
	    .tokens = u->tokens,
	    .callback_ms = u->callback_ms,
	    .version = u->version,
	    .deleted = u->deleted,
	    .has_tokens = !u->bare,
	    .arrive_ms = -1,
	    .source = SLICE("s"),
	    .offset = u->offset};
	batch_fits(b, 1000);
	struct item *it = batch_add_update(b, &as);
	it->replayed = u->replayed;
	it->ingested_at = now;
	return it;
}

/* What commit does around the verdict, with a store in the database's place: the highest version of each account tries
 * to get in, whoever wins learns what it won against, and old versions are asked about. Returns false where the module
 * asked for nonsense. */
static bool
guard(struct batch *b, size_t from, size_t to, struct store *s)
{
	bool right = true;
	struct knowns knowns = {0};
	verdict_begin(b, &knowns, from, to);
	for (size_t i = 0; i < b->accounts_n; i++) {
		struct account *a = &b->accounts[i];
		char *id = mem_string(a->id);
		a->base = store_version(s, id, INT64_MAX);
		if (a->replay != NOTHING)
			a->before = store_version(s, id, b->items[a->replay].offset);
		a->won = a->highest != NOTHING && b->items[a->highest].version > a->base;
		right = right && batch_account(b, a->id) == a;
		right = right && (a->highest == NOTHING || (a->highest >= from && a->highest < to &&
							       slice_same(item_id(b, &b->items[a->highest]), a->id)));
		free(id);
	}
	for (size_t i = from; i < to; i++) {
		if (!verdict_asks(b, i))
			continue;
		char *id = mem_string(item_id(b, &b->items[i]));
		const struct row *row = store_find(s, id, b->items[i].version);
		free(id);
		if (!row)
			continue;
		struct known k = {.applied = row->applied,
		    .by_this_record = row->ours && row->u.offset == b->items[i].offset,
		    .ingested_at = row->ingested_at,
		    .account_type = slice_of(row->u.type),
		    .data = slice_of(row->u.data),
		    .tokens = row->u.tokens,
		    .has_tokens = !row->u.bare,
		    .deleted = row->u.deleted,
		    .due_at = NO_TIME,
		    .settled_at = NO_TIME,
		    .callback_ms = row->u.callback_ms};
		verdict_known(b, &knowns, i, &k);
	}
	verdict_decide(b, &knowns, from, to);
	free(knowns.known);
	return right;
}

/* Puts what was decided into the store, as ingest writes it. */
static void
write_down(const struct batch *b, size_t from, size_t to, const struct update_in *in, struct store *s)
{
	for (size_t i = from; i < to; i++) {
		const struct item *it = &b->items[i];
		if (!it->replayed && (it->verdict == INDEXED || it->verdict == STALE))
			store_add(s, &in[i], it->verdict == INDEXED, it->ingested_at);
	}
}

static bool
agrees(const struct item *it, const struct want *v)
{
	return it->verdict == v->verdict && it->ingested_at == v->ingested_at &&
	       (it->verdict == INDEXED || it->current == v->current);
}

/* Runs the updates in batches that end before each index in `cuts` (ascending, the last one is n), against the model
 * over the same store. Returns whether all verdicts agree. */
static bool
run_cut(const struct update_in *in, size_t n, const size_t *cuts, const struct store *start)
{
	struct store ours = {0}, model = {0};
	struct batch b = {0};
	bool right = true;
	for (size_t i = 0; i < start->n; i++) {
		store_add(&ours, &start->rows[i].u, start->rows[i].applied, start->rows[i].ingested_at);
		store_add(&model, &start->rows[i].u, start->rows[i].applied, start->rows[i].ingested_at);
		ours.rows[i].ours = model.rows[i].ours = start->rows[i].ours;
	}
	for (size_t from = 0; from < n; from = *cuts++) {
		batch_clear(&b);
		for (size_t i = from; i < *cuts; i++)
			add(&b, &in[i], 1000 + (int64_t)i);
		right = guard(&b, 0, b.n, &ours) && right;
		write_down(&b, 0, b.n, in + from, &ours);
		for (size_t i = 0; i < b.n; i++) {
			struct want v = model_take(&model, &in[from + i], 1000 + (int64_t)(from + i));
			if (!agrees(&b.items[i], &v) && right) {
				tap_note("update %zu (%s v%" PRId64 ") of a batch from %zu to %zu: %s, current %" PRId64
					 "; the model: %s, current %" PRId64,
				    from + i, in[from + i].id, in[from + i].version, from, *cuts,
				    verdict_name[b.items[i].verdict], b.items[i].current, verdict_name[v.verdict],
				    v.current);
				right = false;
			}
		}
	}
	right = right && ours.n == model.n;
	batch_free(&b);
	free(ours.rows);
	free(model.rows);
	return right;
}

#define U(id, version, tokens)                                                                                         \
	{                                                                                                              \
		id, version, "t", "{}", tokens, 5, -1, false, false, false                                             \
	}

static const struct store empty;

/* The contract's own case: v1, v3, v2 and v3 again of one account in one batch. */
static void
test_one_batch(void)
{
	static const struct update_in in[] = {U("a", 1, 7), U("a", 3, 7), U("a", 2, 7), U("a", 3, 7), U("a", 3, 8),
	    U("b", 0, 7), U("a", 1, 7), U("a", 1, 9), U("a", 4, 0), U("a", 2, 7)};
	static const enum verdict want[] = {
	    INDEXED, INDEXED, STALE, DUPLICATE, CONFLICT, INDEXED, DUPLICATE, CONFLICT, INDEXED, DUPLICATE};
	static const int64_t current[] = {0, 0, 3, 3, 3, 0, 3, 3, 0, 4}; /* where not indexed */
	size_t n = sizeof in / sizeof *in;
	struct batch b = {0};
	struct store s = {0};
	for (size_t i = 0; i < n; i++)
		add(&b, &in[i], 0);
	guard(&b, 0, n, &s);
	bool outcomes = true, currents = true;
	for (size_t i = 0; i < n; i++) {
		outcomes = outcomes && b.items[i].verdict == want[i];
		currents = currents && (want[i] == INDEXED || b.items[i].current == current[i]);
	}
	tap_ok(outcomes, "v1, v3, v2, v3 again, of the same and of other content, in one batch");
	tap_ok(currents, "and each is told the version that was current then");
	tap_ok(b.accounts_n == 2 && b.items[batch_account(&b, SLICE("a"))->highest].version == 4,
	    "the highest version is the one to be written");
	tap_ok(!verdict_asks(&b, 0) && !verdict_asks(&b, 2), "nothing is asked about accounts that are new");
	bool cuts = true;
	for (size_t cut = 1; cut <= n; cut++)
		cuts = run_cut(in, n, (size_t[]){cut, n}, &empty) && cuts;
	tap_ok(cuts, "cut anywhere, the verdicts are the same");
	batch_free(&b);
}

/* Each member is part of the content; data and type are compared to the byte. */
static void
test_content(void)
{
	static const struct update_in first = {"a", 5, "t", "{\"k\":1}", 7, 9, -1, false, false, false};
	static const struct {
		const char *what;
		struct update_in u;
		enum verdict want;
	} cases[] = {
	    {"the same", {"a", 5, "t", "{\"k\":1}", 7, 9, -1, false, false, false}, DUPLICATE},
	    {"other tokens", {"a", 5, "t", "{\"k\":1}", 8, 9, -1, false, false, false}, CONFLICT},
	    {"another callback", {"a", 5, "t", "{\"k\":1}", 7, 8, -1, false, false, false}, CONFLICT},
	    {"another type", {"a", 5, "T", "{\"k\":1}", 7, 9, -1, false, false, false}, CONFLICT},
	    {"a longer type", {"a", 5, "tt", "{\"k\":1}", 7, 9, -1, false, false, false}, CONFLICT},
	    {"other data", {"a", 5, "t", "{\"k\":2}", 7, 9, -1, false, false, false}, CONFLICT},
	    {"no callback", {"a", 5, "t", "{\"k\":1}", 7, -1, -1, false, false, false}, CONFLICT},
	    {"its deletion", {"a", 5, "t", "{\"k\":1}", 7, 9, -1, false, true, false}, CONFLICT},
	    {"no tokens", {"a", 5, "t", "{\"k\":1}", 7, 9, -1, false, false, true}, CONFLICT},
	    {"data of the same meaning in other text", {"a", 5, "t", "{\"k\":1.0}", 7, 9, -1, false, false, false},
		CONFLICT},
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		/* Against the same batch, and against the database. */
		struct batch one = {0}, two = {0};
		struct store s = {0}, none = {0};
		add(&one, &first, 0);
		add(&one, &cases[i].u, 0);
		guard(&one, 0, 2, &none);
		store_add(&s, &first, true, 0);
		add(&two, &cases[i].u, 0);
		guard(&two, 0, 1, &s);
		tap_ok(one.items[1].verdict == cases[i].want && two.items[0].verdict == cases[i].want &&
			   one.items[1].current == 5 && two.items[0].current == 5,
		    "a known version with %s is a %s", cases[i].what, verdict_name[cases[i].want]);
		batch_free(&one);
		batch_free(&two);
		free(s.rows);
	}
}

/* What the database says of an account decides what is asked, and what is told. */
static void
test_base(void)
{
	static const struct update_in in[] = {U("a", 4, 1), U("a", 5, 1), U("a", 6, 1), U("a", 7, 1), U("a", 4, 2)};
	struct store s = {0};
	struct batch b = {0};
	store_add(&s, &(struct update_in)U("a", 5, 1), true, 0);
	store_add(&s, &(struct update_in)U("a", 4, 1), false, 0);
	for (size_t i = 0; i < 5; i++)
		add(&b, &in[i], 0);
	guard(&b, 0, 5, &s);
	tap_ok(verdict_asks(&b, 0) && verdict_asks(&b, 1), "versions up to the account's are asked about");
	tap_ok(!verdict_asks(&b, 2) && !verdict_asks(&b, 3), "newer ones are not");
	tap_ok(!verdict_asks(&b, 4), "and none twice");
	tap_ok(b.items[0].verdict == DUPLICATE && b.items[0].current == 5 && b.items[1].verdict == DUPLICATE &&
		   b.items[2].verdict == INDEXED && b.items[3].verdict == INDEXED && b.items[4].verdict == CONFLICT &&
		   b.items[4].current == 7,
	    "a base that is known");
	batch_clear(&b);
	free(s.rows);
	s = (struct store){0};
	store_add(&s, &(struct update_in)U("a", INT64_MAX, 1), true, 0);
	add(&b, &(struct update_in)U("a", INT64_MAX - 1, 1), 0);
	add(&b, &(struct update_in)U("a", INT64_MAX, 1), 0);
	guard(&b, 0, 2, &s);
	tap_ok(b.items[0].verdict == STALE && b.items[0].current == INT64_MAX && b.items[1].verdict == DUPLICATE,
	    "the highest version there can be");
	batch_clear(&b);
	add(&b, &(struct update_in)U("z", 0, UINT64_MAX), 0);
	guard(&b, 0, 1, &s);
	tap_ok(b.items[0].verdict == INDEXED, "the lowest one of an account that is new");
	batch_free(&b);
	free(s.rows);
}

/* Items of a life before are told as they were, and not written. */
static void
test_replayed(void)
{
	struct store s = {0};
	struct batch b = {0};
	store_add(&s, &(struct update_in){"a", 1, "t", "1", 1, 1, 0, false, false, false}, true, 70);
	store_add(&s, &(struct update_in){"a", 3, "t", "1", 1, 1, 1, false, false, false}, true, 71);
	store_add(&s, &(struct update_in){"a", 2, "t", "1", 1, 1, 2, false, false, false}, false, 72);
	store_add(&s, &(struct update_in){"a", 9, "t", "1", 1, 1, 4, false, false, false}, true, 99);
	s.rows[3].ours = false; /* another source's, at the same offset */
	static const struct update_in in[] = {{"a", 1, "t", "1", 1, 1, 0, true, false, false},
	    {"a", 3, "t", "1", 1, 1, 1, true, false, false}, {"a", 2, "t", "1", 1, 1, 2, true, false, false},
	    {"a", 3, "t", "1", 1, 1, 3, true, false, false}, {"a", 9, "t", "1", 1, 1, 4, true, false, false},
	    {"a", 9, "t", "2", 1, 1, 5, true, false, false}, {"a", 10, "t", "1", 1, 1, 6, false, false, false}};
	for (size_t i = 0; i < 7; i++)
		add(&b, &in[i], 200 + (int64_t)i);
	guard(&b, 0, 7, &s);
	tap_ok(b.items[0].verdict == INDEXED && b.items[0].ingested_at == 70 && b.items[1].verdict == INDEXED &&
		   b.items[1].ingested_at == 71,
	    "what was applied is indexed again, at its first time");
	tap_ok(b.items[2].verdict == STALE && b.items[2].ingested_at == 72, "what was stale is stale again");
	tap_ok(b.items[2].current == 9 && b.items[6].verdict == INDEXED && b.items[6].settled_at == NO_TIME,
	    "against what was current then");
	tap_ok(b.items[3].verdict == DUPLICATE && b.items[3].ingested_at == 203,
	    "what another record of the source wrote is a duplicate again");
	tap_ok(b.items[4].verdict == DUPLICATE, "what another source wrote is not taken for ours by its offset");
	tap_ok(b.items[5].verdict == CONFLICT, "with other content it is a conflict again");
	tap_ok(b.items[6].verdict == INDEXED && b.items[batch_account(&b, SLICE("a"))->highest].version == 10,
	    "what comes behind is new, and only that is to be written");
	batch_clear(&b);
	add(&b, &in[0], 0);
	guard(&b, 0, 1, &s);
	tap_ok(batch_account(&b, SLICE("a"))->highest == NOTHING, "a batch of replayed items alone writes nothing");
	batch_free(&b);
	free(s.rows);
}

/* What is no update is left alone, and what was refused leaves nothing behind. */
static void
test_left_alone(void)
{
	struct store s = {0};
	struct batch b = {0};
	add(&b, &(struct update_in)U("a", 1, 1), 0);
	batch_add_event(&b, ITEM_PASS, SLICE("{}"))->verdict = CONFLICT;
	batch_add_reject(&b, &(struct reject){.reason = SLICE("r"), .raw = SLICE("x")}, -1)->verdict = CONFLICT;
	batch_add_skipped(&b, 2)->verdict = CONFLICT;
	add(&b, &(struct update_in)U("a", 2, 1), 0);
	guard(&b, 0, 5, &s);
	tap_ok(b.items[1].verdict == CONFLICT && b.items[2].verdict == CONFLICT && b.items[3].verdict == CONFLICT &&
		   !verdict_asks(&b, 1) && !verdict_asks(&b, 3),
	    "events, rejects and what was skipped have no verdict");
	tap_ok(b.accounts_n == 1 && b.items[4].verdict == INDEXED, "the others get theirs");
	guard(&b, 4, 5, &s);
	tap_ok(b.accounts_n == 1 && b.accounts[0].highest == 4, "a part of a batch can be decided alone");
	guard(&b, 4, 4, &s);
	tap_ok(b.accounts_n == 0 && !batch_account(&b, SLICE("a")), "so can nothing at all");
	batch_clear(&b);
	for (int i = 0; i < 4; i++)
		add(&b, &(struct update_in)U("a", 5, i < 3 ? 1 : 2), 0);
	b.items[0].refused = mem_string(SLICE("no"));
	b.items[0].kind = ITEM_REJECTED;
	guard(&b, 0, 4, &s);
	tap_ok(b.items[1].verdict == INDEXED && b.items[2].verdict == DUPLICATE && b.items[3].verdict == CONFLICT,
	    "the first one that was not refused is the version");
	batch_free(&b);
	tap_ok(!batch_account(&b, SLICE("a")), "an empty batch has no accounts");
}

/* An earlier process's refusal is told by its reject: the update is rejected again, its version another record's. */
static void
test_refused(void)
{
	struct store s = {0};
	struct batch b = {0};
	store_add(&s, &(struct update_in){"a", 2, "t", "1", 1, 1, 1, false, false, false}, true, 70);
	for (int i = 0; i < 3; i++)
		add(&b, &(struct update_in){"a", 2, "t", "1", 1, 1, i, true, false, false}, 200);
	b.items[0].refused = mem_string(SLICE("no"));
	guard(&b, 0, 3, &s);
	tap_ok(b.items[0].kind == ITEM_REJECTED && b.items[1].kind == ITEM_UPDATE && b.items[1].verdict == INDEXED &&
		   b.items[1].ingested_at == 70 && b.items[2].verdict == DUPLICATE,
	    "what the server refused an earlier process is a reject again, its neighbours are not");
	batch_free(&b);
	free(s.rows);
}

/* A deleted account guards its version like any other. */
static void
test_deleted(void)
{
	static const struct update_in in[] = {{"a", 1, "t", "1", 1, 5, 0, false, false, false},
	    {"a", 3, "", "null", 0, -1, 1, false, true, true}, {"a", 2, "t", "1", 1, 5, 2, false, false, false},
	    {"a", 3, "", "null", 0, -1, 3, false, true, true}, {"a", 3, "", "null", 0, -1, 4, false, true, false},
	    {"a", 4, "t", "1", 1, -1, 5, false, false, false}, {"a", 4, "t", "1", 1, 0, 6, false, false, false}};
	static const enum verdict want[] = {INDEXED, INDEXED, STALE, DUPLICATE, CONFLICT, INDEXED, CONFLICT};
	enum { N = sizeof in / sizeof *in };
	bool cuts = true;
	struct store s = {0};
	struct batch b = {0};
	for (size_t i = 0; i < N; i++)
		add(&b, &in[i], 0);
	guard(&b, 0, N, &s);
	for (size_t i = 0; i < N; i++)
		cuts = cuts && b.items[i].verdict == want[i];
	tap_ok(cuts, "a delete guards its version, a newer one brings the account back");
	tap_ok(item_due(&b.items[0]) == 5000 && item_due(&b.items[1]) == NO_TIME && item_due(&b.items[6]) == 0,
	    "no callback is not a callback at once");
	for (size_t cut = 1; cut <= N; cut++)
		cuts = run_cut(in, N, (size_t[]){cut, N}, &empty) && cuts;
	tap_ok(cuts, "wherever it is cut");
	batch_free(&b);
}

/* A replayed record's time of its callback and of its outcome come from the history. */
static void
test_times(void)
{
	struct batch b = {0};
	struct knowns k = {0};
	add(&b, &(struct update_in){"a", 1, "t", "1", 1, 5, 0, true, false, false}, 200);
	verdict_begin(&b, &k, 0, 1);
	b.accounts[0].base = 1;
	verdict_known(&b, &k, 0,
	    &(struct known){
		.applied = true, .by_this_record = true, .ingested_at = 70, .due_at = 60, .settled_at = 65});
	verdict_decide(&b, &k, 0, 1);
	tap_ok(b.items[0].verdict == INDEXED && b.items[0].ingested_at == 70 && item_due(&b.items[0]) == 60 &&
		   b.items[0].settled_at == 65,
	    "what is replayed has the times that were recorded");
	free(k.known);
	batch_free(&b);
}

/* Random updates of few accounts, versions and contents, so that everything happens; part of them replayed. */
static size_t
random_updates(struct update_in *in, size_t most, struct store *start)
{
	static const char *const ids[] = {"a", "b", "c", "account-1", "account-2", "\xc3\xa9"};
	static const char *const datas[] = {"null", "{}", "{\"a\":1}"};
	size_t accounts = 1 + draw(6), versions = 1 + draw(12), n = 1 + draw(most);
	for (size_t i = 0; i < n; i++)
		in[i] = (struct update_in){ids[draw(accounts)], (int64_t)draw(versions), draw(9) ? "t" : "u",
		    datas[draw(draw(3) + 1)], draw(10) ? 1 : UINT64_MAX, draw(10) ? 5 : (int64_t)draw(2) - 1,
		    (int64_t)i, false, draw(6) == 0, false};
	for (size_t i = 0; i < n; i++)
		if (in[i].deleted) {
			in[i].callback_ms = -1;
			if (draw(2)) {
				in[i].type = "";
				in[i].tokens = 0;
				in[i].bare = true;
			}
		}
	/* A life before committed the first ones, and perhaps another source was here too. */
	size_t before = draw(2) ? draw(n + 1) : 0;
	for (size_t i = draw(3) ? 0 : draw(5); i > 0; i--) {
		struct update_in other = {ids[draw(accounts)], (int64_t)draw(versions), "t", datas[draw(2)], 1, 5,
		    (int64_t)draw(n), false, false, false};
		size_t rows = start->n;
		model_take(start, &other, 10);
		if (start->n > rows)
			start->rows[rows].ours = false;
	}
	for (size_t i = 0; i < before; i++) {
		model_take(start, &in[i], 100 + (int64_t)i);
		in[i].replayed = true;
	}
	return n;
}

static void
test_random(void)
{
	enum { MOST = 60 };
#ifdef __SANITIZE_ADDRESS__ /* which takes its time over each batch's memory */
	enum { SEEDS = 100 };
#else
	enum { SEEDS = 4000 };
#endif
	struct update_in in[MOST];
	size_t cuts[MOST + 1];
	unsigned wrong = 0, everywhere = 0;
	for (uint64_t seed = 1; seed <= SEEDS && wrong < 5; seed++) {
		random_state = seed;
		struct store start = {0};
		size_t n = random_updates(in, MOST, &start);
		bool right = run_cut(in, n, &n, &start);
		/* One by one, at each single boundary, and at random ones. */
		for (size_t i = 0; i < n; i++)
			cuts[i] = i + 1;
		right = run_cut(in, n, cuts, &start) && right;
		for (size_t cut = 1; cut < n; cut++)
			if (!run_cut(in, n, (size_t[]){cut, n}, &start))
				everywhere++;
		size_t c = 0;
		for (size_t at = draw(9) + 1; at < n; at += draw(9) + 1)
			cuts[c++] = at;
		cuts[c] = n;
		right = run_cut(in, n, cuts, &start) && right;
		if (!right) {
			tap_note("seed %" PRIu64, seed);
			wrong++;
		}
		free(start.rows);
	}
	tap_ok(!wrong, "%d random streams as the model has them, in one batch, one by one, and cut at random", SEEDS);
	tap_ok(!everywhere, "and cut at every boundary");
}

/* Many accounts and versions in one batch: the tables grow and are used again. */
static void
test_large(void)
{
	enum { N = 20000 };
	struct batch b = {0};
	struct store s = {0};
	static char ids[N / 4][16];
	bool right = true;
	for (int round = 0; round < 3; round++) {
		size_t n = round == 1 ? 10 : N;
		batch_clear(&b);
		for (size_t i = 0; i < n; i++) {
			snprintf(ids[i % (N / 4)], sizeof ids[0], "%zu", i % (N / 4));
			add(&b,
			    &(struct update_in){
				ids[i % (N / 4)], (int64_t)(i / (N / 4)), "t", "{}", 1, 5, -1, false, false, false},
			    0);
		}
		right = guard(&b, 0, n, &s) && right;
		for (size_t i = 0; i < n; i++)
			right = right && b.items[i].verdict == INDEXED && b.items[i].first == i;
		right = right && b.accounts_n == (n < N / 4 ? n : N / 4);
	}
	tap_ok(right, "%d updates of %d accounts in one batch", N, N / 4);
	batch_free(&b);
}

int
main(void)
{
	test_one_batch();
	test_content();
	test_base();
	test_replayed();
	test_left_alone();
	test_refused();
	test_deleted();
	test_times();
	test_random();
	test_large();
	return tap_done();
}
