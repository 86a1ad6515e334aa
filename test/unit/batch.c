// with: writer/batch.c
/* The version guard against a model that can be seen to be right: one update after
 * the other against a plain list of all versions ever taken. Whatever is cut into
 * batches, and wherever, the verdicts are those of the model. */
#include "writer/batch.h"

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
	uint64_t tokens, callback_ms;
	int64_t offset; /* -1: of no source */
	bool replayed;
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
	       a->callback_ms == b->callback_ms;
}

struct verdict {
	enum outcome outcome;
	int64_t current, ingested_at;
};

/* The model: one update, as if it were alone in the world. */
static struct verdict
model_take(struct store *s, const struct update_in *u, int64_t now)
{
	int64_t current = store_version(s, u->id, u->replayed ? u->offset : INT64_MAX);
	const struct row *known = store_find(s, u->id, u->version);
	if (u->replayed && known && known->ours && known->u.offset == u->offset)
		return (struct verdict){known->applied ? INDEXED : STALE, current, known->ingested_at};
	if (known)
		return (struct verdict){same_content(u, &known->u) ? DUPLICATE : CONFLICT, current, now};
	if (u->replayed)
		return (struct verdict){STALE, current, now};
	store_add(s, u, u->version > current, now);
	if (u->version > current)
		return (struct verdict){INDEXED, u->version, now};
	return (struct verdict){STALE, current, now};
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
	    .source = SLICE("s"),
	    .offset = u->offset};
	batch_room(b, 1000);
	struct item *it = batch_add(b, ITEM_UPDATE);
	batch_set_update(b, it, &as, (struct slice){0});
	it->replayed = u->replayed;
	it->ingested_at = now;
	return it;
}

/* What ingest does around the guard, with a store in the database's place: the highest version of each account tries to
 * get in, whoever wins learns what it won against, and old versions are asked about. Returns false where the module
 * asked for nonsense. */
static bool
guard(struct batch *b, size_t from, size_t to, struct store *s, unsigned lanes)
{
	bool right = true;
	batch_prepare(b, from, to, lanes);
	for (size_t i = 0; i < b->accounts_n; i++) {
		struct account *a = &b->accounts[i];
		char *id = mem_string(a->id);
		a->base = store_version(s, id, INT64_MAX);
		if (a->replay != NOTHING)
			a->before = store_version(s, id, b->items[a->replay].offset);
		a->won = a->highest != NOTHING && b->items[a->highest].version > a->base;
		right = right && batch_account(b, a->id) == a && a->lane == batch_lane(a->id, lanes);
		right = right && (a->highest == NOTHING || (a->highest >= from && a->highest < to &&
							       slice_same(item_id(b, &b->items[a->highest]), a->id)));
		free(id);
	}
	for (size_t i = from; i < to; i++) {
		if (!batch_asks(b, i))
			continue;
		char *id = mem_string(item_id(b, &b->items[i]));
		const struct row *row = store_find(s, id, b->items[i].version);
		free(id);
		if (!row)
			continue;
		struct known k = {.applied = row->applied,
		    .ours = row->ours && row->u.offset == b->items[i].offset,
		    .ingested_at = row->ingested_at,
		    .account_type = slice_of(row->u.type),
		    .data = slice_of(row->u.data),
		    .tokens = row->u.tokens,
		    .callback_ms = row->u.callback_ms};
		batch_known(b, i, &k);
	}
	for (unsigned lane = 0; lane < lanes; lane++)
		batch_decide(b, from, to, lane);
	return right;
}

/* Puts what was decided into the store, as ingest writes it. */
static void
write_down(const struct batch *b, size_t from, size_t to, const struct update_in *in, struct store *s)
{
	for (size_t i = from; i < to; i++) {
		const struct item *it = &b->items[i];
		if (!it->replayed && !it->settled && (it->outcome == INDEXED || it->outcome == STALE))
			store_add(s, &in[i], it->outcome == INDEXED, it->ingested_at);
	}
}

static bool
agrees(const struct item *it, const struct verdict *v)
{
	return it->outcome == v->outcome && it->ingested_at == v->ingested_at &&
	       (it->outcome == INDEXED || it->current == v->current);
}

/* Runs the updates in batches that end before each index in `cuts` (ascending, the last one is n), against the model
 * over the same store. Returns whether all verdicts agree. */
static bool
run_cut(const struct update_in *in, size_t n, const size_t *cuts, unsigned lanes, const struct store *start)
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
		right = guard(&b, 0, b.n, &ours, lanes) && right;
		write_down(&b, 0, b.n, in + from, &ours);
		for (size_t i = 0; i < b.n; i++) {
			struct verdict v = model_take(&model, &in[from + i], 1000 + (int64_t)(from + i));
			if (!agrees(&b.items[i], &v) && right) {
				tap_note("update %zu (%s v%" PRId64 ") of a batch from %zu to %zu: %s, current %" PRId64
					 "; the model: %s, current %" PRId64,
				    from + i, in[from + i].id, in[from + i].version, from, *cuts,
				    outcome_name[b.items[i].outcome], b.items[i].current, outcome_name[v.outcome],
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
		id, version, "t", "{}", tokens, 5, -1, false                                                           \
	}

static const struct store empty;

/* The contract's own case: v1, v3, v2 and v3 again of one account in one batch. */
static void
test_one_batch(void)
{
	static const struct update_in in[] = {U("a", 1, 7), U("a", 3, 7), U("a", 2, 7), U("a", 3, 7), U("a", 3, 8),
	    U("b", 0, 7), U("a", 1, 7), U("a", 1, 9), U("a", 4, 0), U("a", 2, 7)};
	static const enum outcome want[] = {
	    INDEXED, INDEXED, STALE, DUPLICATE, CONFLICT, INDEXED, DUPLICATE, CONFLICT, INDEXED, DUPLICATE};
	static const int64_t current[] = {0, 0, 3, 3, 3, 0, 3, 3, 0, 4}; /* where not indexed */
	size_t n = sizeof in / sizeof *in;
	struct batch b = {0};
	struct store s = {0};
	for (size_t i = 0; i < n; i++)
		add(&b, &in[i], 0);
	guard(&b, 0, n, &s, 1);
	bool outcomes = true, currents = true;
	for (size_t i = 0; i < n; i++) {
		outcomes = outcomes && b.items[i].outcome == want[i];
		currents = currents && (want[i] == INDEXED || b.items[i].current == current[i]);
	}
	tap_ok(outcomes, "v1, v3, v2, v3 again, of the same and of other content, in one batch");
	tap_ok(currents, "and each is told the version that was current then");
	tap_ok(b.accounts_n == 2 && b.items[batch_account(&b, SLICE("a"))->highest].version == 4,
	    "the highest version is the one to be written");
	tap_ok(!batch_asks(&b, 0) && !batch_asks(&b, 2), "nothing is asked about accounts that are new");
	bool cuts = true;
	for (size_t cut = 1; cut <= n; cut++)
		cuts = run_cut(in, n, (size_t[]){cut, n}, 1, &empty) && cuts;
	tap_ok(cuts, "cut anywhere, the verdicts are the same");
	batch_free(&b);
}

/* Each member is part of the content; data and type are compared to the byte. */
static void
test_content(void)
{
	static const struct update_in first = {"a", 5, "t", "{\"k\":1}", 7, 9, -1, false};
	static const struct {
		const char *what;
		struct update_in u;
		enum outcome want;
	} cases[] = {
	    {"the same", {"a", 5, "t", "{\"k\":1}", 7, 9, -1, false}, DUPLICATE},
	    {"other tokens", {"a", 5, "t", "{\"k\":1}", 8, 9, -1, false}, CONFLICT},
	    {"another callback", {"a", 5, "t", "{\"k\":1}", 7, 8, -1, false}, CONFLICT},
	    {"another type", {"a", 5, "T", "{\"k\":1}", 7, 9, -1, false}, CONFLICT},
	    {"a longer type", {"a", 5, "tt", "{\"k\":1}", 7, 9, -1, false}, CONFLICT},
	    {"other data", {"a", 5, "t", "{\"k\":2}", 7, 9, -1, false}, CONFLICT},
	    {"data of the same meaning in other text", {"a", 5, "t", "{\"k\":1.0}", 7, 9, -1, false}, CONFLICT},
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		/* Against the same batch, and against the database. */
		struct batch one = {0}, two = {0};
		struct store s = {0}, none = {0};
		add(&one, &first, 0);
		add(&one, &cases[i].u, 0);
		guard(&one, 0, 2, &none, 1);
		store_add(&s, &first, true, 0);
		add(&two, &cases[i].u, 0);
		guard(&two, 0, 1, &s, 1);
		tap_ok(one.items[1].outcome == cases[i].want && two.items[0].outcome == cases[i].want &&
			   one.items[1].current == 5 && two.items[0].current == 5,
		    "a known version with %s is a %s", cases[i].what, outcome_name[cases[i].want]);
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
	guard(&b, 0, 5, &s, 1);
	tap_ok(batch_asks(&b, 0) && batch_asks(&b, 1), "versions up to the account's are asked about");
	tap_ok(!batch_asks(&b, 2) && !batch_asks(&b, 3), "newer ones are not");
	tap_ok(!batch_asks(&b, 4), "and none twice");
	tap_ok(b.items[0].outcome == DUPLICATE && b.items[0].current == 5 && b.items[1].outcome == DUPLICATE &&
		   b.items[2].outcome == INDEXED && b.items[3].outcome == INDEXED && b.items[4].outcome == CONFLICT &&
		   b.items[4].current == 7,
	    "a base that is known");
	batch_clear(&b);
	free(s.rows);
	s = (struct store){0};
	store_add(&s, &(struct update_in)U("a", INT64_MAX, 1), true, 0);
	add(&b, &(struct update_in)U("a", INT64_MAX - 1, 1), 0);
	add(&b, &(struct update_in)U("a", INT64_MAX, 1), 0);
	guard(&b, 0, 2, &s, 1);
	tap_ok(b.items[0].outcome == STALE && b.items[0].current == INT64_MAX && b.items[1].outcome == DUPLICATE,
	    "the highest version there can be");
	batch_clear(&b);
	add(&b, &(struct update_in)U("z", 0, UINT64_MAX), 0);
	guard(&b, 0, 1, &s, 1);
	tap_ok(b.items[0].outcome == INDEXED, "the lowest one of an account that is new");
	batch_free(&b);
	free(s.rows);
}

/* Items of a life before are told as they were, and not written. */
static void
test_replayed(void)
{
	struct store s = {0};
	struct batch b = {0};
	store_add(&s, &(struct update_in){"a", 1, "t", "1", 1, 1, 0, false}, true, 70);
	store_add(&s, &(struct update_in){"a", 3, "t", "1", 1, 1, 1, false}, true, 71);
	store_add(&s, &(struct update_in){"a", 2, "t", "1", 1, 1, 2, false}, false, 72);
	store_add(&s, &(struct update_in){"a", 9, "t", "1", 1, 1, 4, false}, true, 99);
	s.rows[3].ours = false; /* another source's, at the same offset */
	static const struct update_in in[] = {{"a", 1, "t", "1", 1, 1, 0, true}, {"a", 3, "t", "1", 1, 1, 1, true},
	    {"a", 2, "t", "1", 1, 1, 2, true}, {"a", 3, "t", "1", 1, 1, 3, true}, {"a", 9, "t", "1", 1, 1, 4, true},
	    {"a", 9, "t", "2", 1, 1, 5, true}, {"a", 10, "t", "1", 1, 1, 6, false}};
	for (size_t i = 0; i < 7; i++)
		add(&b, &in[i], 200 + (int64_t)i);
	guard(&b, 0, 7, &s, 1);
	tap_ok(b.items[0].outcome == INDEXED && b.items[0].ingested_at == 70 && b.items[1].outcome == INDEXED &&
		   b.items[1].ingested_at == 71,
	    "what was applied is indexed again, at its first time");
	tap_ok(b.items[2].outcome == STALE && b.items[2].ingested_at == 72, "what was stale is stale again");
	tap_ok(b.items[2].current == 9 && b.items[6].outcome == INDEXED && b.items[6].fired_at == INT64_MIN,
	    "against what was current then");
	tap_ok(b.items[3].outcome == DUPLICATE && b.items[3].ingested_at == 203,
	    "what another record of the source wrote is a duplicate again");
	tap_ok(b.items[4].outcome == DUPLICATE, "what another source wrote is not taken for ours by its offset");
	tap_ok(b.items[5].outcome == CONFLICT, "with other content it is a conflict again");
	tap_ok(b.items[6].outcome == INDEXED && b.items[batch_account(&b, SLICE("a"))->highest].version == 10,
	    "what comes behind is new, and only that is to be written");
	batch_clear(&b);
	add(&b, &in[0], 0);
	guard(&b, 0, 1, &s, 1);
	tap_ok(batch_account(&b, SLICE("a"))->highest == NOTHING, "a batch of replayed items alone writes nothing");
	batch_free(&b);
	free(s.rows);
}

/* What an attempt has committed is not decided again; what is no update is left alone. */
static void
test_left_alone(void)
{
	struct store s = {0};
	struct batch b = {0};
	add(&b, &(struct update_in)U("a", 1, 1), 0);
	batch_add(&b, ITEM_PASS)->outcome = CONFLICT;
	batch_add(&b, ITEM_REJECTED)->outcome = CONFLICT;
	add(&b, &(struct update_in)U("a", 2, 1), 0);
	b.items[0].settled = true;
	b.items[0].outcome = STALE;
	b.items[0].current = 77;
	guard(&b, 0, 4, &s, 1);
	tap_ok(b.items[0].outcome == STALE && b.items[0].current == 77 && !batch_asks(&b, 0),
	    "a settled item keeps its verdict");
	tap_ok(
	    b.items[1].outcome == CONFLICT && b.items[2].outcome == CONFLICT && !batch_asks(&b, 1), "events have none");
	tap_ok(b.accounts_n == 1 && b.items[3].outcome == INDEXED, "the others get theirs");
	guard(&b, 3, 4, &s, 1);
	tap_ok(b.accounts_n == 1 && b.accounts[0].highest == 3, "a part of a batch can be decided alone");
	guard(&b, 4, 4, &s, 1);
	tap_ok(b.accounts_n == 0 && !batch_account(&b, SLICE("a")), "so can nothing at all");
	batch_free(&b);
	tap_ok(!batch_account(&b, SLICE("a")), "an empty batch has no accounts");
}

static void
test_lanes(void)
{
	/* These are kept with what each lane committed: another version of the program must find the same. */
	static const struct {
		const char *id;
		unsigned lane;
	} fixed[] = {{"", 1}, {"a", 0}, {"b", 1}, {"ID1", 1}, {"account-42", 0}, {"\xc3\xa9", 0}};
	bool stable = true;
	for (size_t i = 0; i < sizeof fixed / sizeof *fixed; i++) {
		unsigned lane = batch_lane(slice_of(fixed[i].id), 2);
		if (lane != fixed[i].lane)
			tap_note("\"%s\" is in lane %u, not %u", fixed[i].id, lane, fixed[i].lane);
		stable = stable && lane == fixed[i].lane && batch_lane(slice_of(fixed[i].id), 1) == 0;
	}
	tap_ok(stable, "an account's lane is for ever");
	unsigned count[2] = {0};
	for (unsigned i = 0; i < 10000; i++) {
		char id[20];
		int n = snprintf(id, sizeof id, "account-%u", i);
		count[batch_lane((struct slice){id, (size_t)n}, 2)]++;
	}
	tap_ok(count[0] > 4500 && count[1] > 4500, "accounts spread over the lanes: %u and %u", count[0], count[1]);
}

/* Texts stay where they are while the batch is filled. */
static void
test_text(void)
{
	enum { GIANT = 20 << 20 };
	struct batch b = {0};
	char *giant = mem_alloc(GIANT);
	memset(giant, 'x', GIANT);
	tap_ok(batch_room(&b, 2 * (size_t)GIANT), "an empty batch takes a giant");
	struct update u = {.id = SLICE("a"), .account_type = SLICE("t"), .data = {giant, GIANT}};
	struct item *it = batch_add(&b, ITEM_UPDATE);
	const char *start = b.text.p;
	batch_set_update(&b, it, &u, (struct slice){giant, GIANT - 2});
	tap_ok(!batch_room(&b, GIANT), "and nothing of that size behind it");
	tap_ok(b.text.p == start && item_line(&b, it).n == GIANT - 2 && slice_is(item_id(&b, it), "a") &&
		   slice_is(item_type(&b, it), "t") && slice_same(item_data(&b, it), u.data),
	    "its line and its members lie where they were put");
	batch_clear(&b);
	tap_ok(b.text.cap == 0 && b.n == 0, "its memory is given back");

	size_t n = 0;
	while (batch_room(&b, 1000)) {
		batch_set_line(&b, batch_add(&b, ITEM_PASS), (struct slice){giant, 1000});
		n++;
	}
	bool whole = n > 1000;
	for (size_t i = 0; i < b.n; i++)
		whole = whole && slice_same(item_line(&b, &b.items[i]), (struct slice){giant, 1000}) &&
			item_line(&b, &b.items[i]).p == b.text.p + 1000 * i;
	tap_ok(whole, "%zu texts fit, and none moves", n);
	const char *kept[100];
	for (int i = 0; i < 100; i++)
		kept[i] = batch_keep(&b, (struct slice){giant, (size_t)i * 100});
	bool same = true;
	for (int i = 0; i < 100; i++)
		same = same && slice_same(slice_of(kept[i]), (struct slice){giant, (size_t)i * 100});
	tap_ok(same, "what is kept beside them stays too");
	size_t cap = b.text.cap;
	batch_clear(&b);
	tap_ok(b.text.cap == cap && b.kept_n == 0 && batch_room(&b, 1000), "ordinary room is used again");
	batch_free(&b);
	free(giant);
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
		    datas[draw(draw(3) + 1)], draw(10) ? 1 : UINT64_MAX, draw(10) ? 5 : 0, (int64_t)i, false};
	/* A life before committed the first ones, and perhaps another source was here too. */
	size_t before = draw(2) ? draw(n + 1) : 0;
	for (size_t i = draw(3) ? 0 : draw(5); i > 0; i--) {
		struct update_in other = {
		    ids[draw(accounts)], (int64_t)draw(versions), "t", datas[draw(2)], 1, 5, (int64_t)draw(n), false};
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
	enum { SEEDS = 4000, MOST = 60 };
	struct update_in in[MOST];
	size_t cuts[MOST + 1];
	unsigned wrong = 0, everywhere = 0;
	for (uint64_t seed = 1; seed <= SEEDS && wrong < 5; seed++) {
		random_state = seed;
		struct store start = {0};
		size_t n = random_updates(in, MOST, &start);
		unsigned lanes = 1 + (unsigned)draw(2);
		bool right = run_cut(in, n, &n, lanes, &start);
		/* One by one, at each single boundary, and at random ones. */
		for (size_t i = 0; i < n; i++)
			cuts[i] = i + 1;
		right = run_cut(in, n, cuts, lanes, &start) && right;
		for (size_t cut = 1; cut < n; cut++)
			if (!run_cut(in, n, (size_t[]){cut, n}, lanes, &start))
				everywhere++;
		size_t c = 0;
		for (size_t at = draw(9) + 1; at < n; at += draw(9) + 1)
			cuts[c++] = at;
		cuts[c] = n;
		right = run_cut(in, n, cuts, lanes, &start) && right;
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
			    &(struct update_in){ids[i % (N / 4)], (int64_t)(i / (N / 4)), "t", "{}", 1, 5, -1, false},
			    0);
		}
		right = guard(&b, 0, n, &s, 2) && right;
		for (size_t i = 0; i < n; i++)
			right = right && b.items[i].outcome == INDEXED && b.items[i].first == i;
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
	test_lanes();
	test_text();
	test_random();
	test_large();
	return tap_done();
}
