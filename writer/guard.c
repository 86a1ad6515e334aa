/* Step 1 of a part, see part.h: the upsert of each account's highest version, in statements of some accounts each.
 * While the server works on one the next is made, and what comes back is taken and not kept. */
#include "part.h"

#include "sql.h"

enum { GUARD_ROWS = 4096, GUARD_BYTES = 512 << 10 }; /* at most in a statement */

static void
fetch(const void *p, size_t n)
{
	for (size_t i = 0; i < n; i += 64)
		__builtin_prefetch((const char *)p + i);
}

void
part_look_ahead(const struct part *p, size_t at)
{
	const struct batch *b = p->attempt->b;
	if (at + 24 < p->accounts_n)
		fetch(part_account(p, at + 24), sizeof(struct account) + 63);
	if (at + 16 < p->accounts_n)
		fetch(&b->items[part_account(p, at + 16)->items], sizeof *b->items + 63);
	if (at + 8 < p->accounts_n)
		fetch(b->text.p + b->items[part_account(p, at + 8)->items].text, 128);
}

/* One statement of the guard: the next accounts, in the order of their ids. Returns whether there are more. */
static bool
guard_more(void *context)
{
	struct part *p = context;
	struct pg_param *q = p->params;
	const struct batch *b = p->attempt->b;
	if (p->attempt->sourced)
		pg_set_text(&q[0], slice_buf(&p->attempt->g->source.name));
	else
		pg_set_null(&q[0]);
	pg_array_text(&q[1]);
	pg_array_bigint(&q[2]);
	pg_array_bigint(&q[3]);
	pg_array_time(&q[4]);
	pg_array_bigint(&q[5]);
	pg_array_numeric(&q[6]);
	pg_array_text(&q[7]);
	pg_array_text(&q[8]);
	for (; p->sent < p->accounts_n && q[1].count < GUARD_ROWS && q[8].bytes.len < GUARD_BYTES; p->sent++) {
		part_look_ahead(p, p->sent);
		const struct account *a = part_account(p, p->sent);
		if (a->highest == NOTHING)
			continue;
		const struct item *it = &b->items[a->highest];
		pg_push_text(&q[1], item_id(b, it));
		pg_push_i64(&q[2], it->version);
		pg_push_i64(&q[3], (int64_t)it->callback_ms);
		pg_push_time(&q[4], it->ingested_at);
		if (it->offset < 0)
			pg_push_null(&q[5]);
		else
			pg_push_i64(&q[5], it->offset);
		pg_push_u64(&q[6], it->tokens);
		pg_push_text(&q[7], item_type(b, it));
		pg_push_text(&q[8], item_data(b, it));
	}
	if (q[1].count)
		pg_queue(p->db, sql_accounts_upsert, q, 9);
	return p->sent < p->accounts_n;
}

static void
guard_took(void *context, int result)
{
	struct part *p = context;
	const struct batch *b = p->attempt->b;
	for (int i = 0; i < pg_rows(p->db, result); i++) {
		struct slice id = pg_text(p->db, result, i, 0);
		/* They come in the order in which they were sent, though nothing promises that. */
		while (p->read < p->accounts_n && !slice_same(part_account(p, p->read)->id, id))
			p->read++;
		struct account *a = p->read < p->accounts_n ? part_account(p, p->read++) : batch_account(b, id);
		if (!a)
			continue;
		a->won = true;
		a->base = pg_i64(p->db, result, i, 1);
	}
}

/* Step 1 of a part. */
void
part_guard(struct part *p)
{
	p->sent = p->read = 0;
	pg_queue(p->db, "BEGIN", NULL, 0);
	/* A plan made for these very arrays would begin with copies of them. */
	pg_queue(p->db,
	    "SELECT pg_current_xact_id()::text, pg_catalog.set_config('plan_cache_mode', 'force_generic_plan', true)",
	    NULL, 0);
	if (p->attempt->sourced)
		source_lock(p->db, &p->attempt->g->source, p->lane, p->lane_last, p->params);
	pg_start_many(p->db, guard_more, guard_took, p);
}

void
part_guarded(struct part *p)
{
	p->xid.len = 0;
	buf_slice(&p->xid, pg_text(p->db, 1, 0, 0));
}
