/* See source.h; why it is so: doc/recovery.md. */
#include "source.h"

#include "log.h"
#include "sql.h"

#include <string.h>

/* The name and the shard, which most statements begin with. */
static void
key_set(struct pg_param *p, const struct source *s)
{
	pg_set_text(&p[0], slice_buf(&s->name));
	pg_set_i64(&p[1], s->shard.index);
}

/* Reads what taking and joining return. */
static void
claim_read(struct pg *pg, int result, struct source *s)
{
	s->pipeline = pg_i64(pg, result, 0, 0);
	s->token = pg_i64(pg, result, 0, 1);
	s->committed = pg_i64(pg, result, 0, 2);
	s->ingested_at = pg_null(pg, result, 0, 3) ? INT64_MIN : pg_i64(pg, result, 0, 3);
	s->delivered = pg_i64(pg, result, 0, 4);
	if (s->delivered > s->committed) {
		source_behind(s->committed, s->delivered);
		s->delivered = s->committed;
	}
}

/* Locks both sides of the pipeline, ending after two seconds who holds them, and takes it over. */
static enum pg_status
claim_take(struct pg *pg, struct source *s, unsigned how)
{
	struct pg_param p[4] = {0};
	enum pg_status status;
	for (int attempt = 0;; attempt++) {
		key_set(p, s);
		pg_set_text(&p[2], how & CLAIM_OWN ? SLICE("true") : SLICE("false"));
		pg_set_i64(&p[3], s->shard.count);
		pg_queue(pg, PG_BEGIN, NULL, 0);
		pg_queue(pg, "SET LOCAL lock_timeout = '2s'", NULL, 0);
		pg_queue(pg, sql_deliveries_lock, p, 2);
		pg_queue(pg, sql_pipelines_take, p, 4);
		status = pg_run(pg);
		if (status != PG_RETRY || strcmp(pg_sqlstate(pg), "55P03") != 0 || attempt == 3)
			break;
		log_warn("ending the backend that holds the source");
		status = pg_connect(pg);
		if (status == PG_OK)
			status = pg_exec(pg, sql_pipelines_holders_end, p, 2);
		if (status != PG_OK)
			break;
	}
	if (status == PG_OK && pg_rows(pg, 3) > 0) {
		claim_read(pg, 3, s);
		if (how & CLAIM_DELIVERY) {
			pg_set_i64(&p[0], s->pipeline);
			pg_set_i64(&p[1], s->token);
			pg_queue(pg, sql_deliveries_take, p, 2);
		}
	}
	if (status == PG_OK) {
		pg_queue(pg, "COMMIT", NULL, 0);
		status = pg_run(pg);
	}
	pg_params_free(p, 4);
	return status;
}

enum pg_status
source_claim(struct pg *pg, struct source *s, unsigned how, int64_t *pid, int64_t *shards)
{
	struct pg_param p[3] = {0};
	*pid = 0;
	s->token = s->delivered = s->committed = -1;
	key_set(p, s);
	pg_set_i64(&p[2], s->shard.count);
	pg_queue(pg, sql_pipelines_add, p, 3);
	pg_queue(pg, sql_inputs_shards, p, 1);
	pg_queue(pg, sql_pipelines_owner, p, 2);
	enum pg_status status = pg_run(pg);
	*shards = status == PG_OK && pg_rows(pg, 1) ? pg_i64(pg, 1, 0, 0) : s->shard.count;
	if (status == PG_OK && how & CLAIM_POLITE && pg_rows(pg, 2) > 0)
		*pid = pg_i64(pg, 2, 0, 0);
	else if (status == PG_OK && *shards == s->shard.count)
		status = claim_take(pg, s, how);
	pg_params_free(p, 3);
	return status;
}

void
source_shards_differ(const struct source *s, int64_t shards)
{
	die(EXIT_PERMANENT,
	    "source \"%.*s\" has %lld shard%s, not %u: their number is fixed; supervisor run --again reads it anew "
	    "with "
	    "another",
	    (int)s->name.len, s->name.p, (long long)shards, shards == 1 ? "" : "s", (unsigned)s->shard.count);
}

enum pg_status
source_join(struct pg *pg, struct source *s)
{
	struct pg_param p[3] = {0};
	key_set(p, s);
	pg_set_i64(&p[2], s->token);
	enum pg_status status = pg_exec(pg, sql_pipelines_join, p, 3);
	if (status == PG_OK && pg_rows(pg, 0))
		claim_read(pg, 0, s);
	else if (status == PG_OK)
		s->token = -1;
	pg_params_free(p, 3);
	return status;
}

void
source_lock(struct pg *pg, const struct source *s, struct pg_param *p)
{
	pg_set_i64(&p[0], s->pipeline);
	pg_set_i64(&p[1], s->token);
	pg_queue(pg, sql_pipelines_lock, p, 2);
}

/* A member of `begin` as the text of a parameter. */
static void
member_set(struct pg_param *p, const struct record *r, enum member m, struct buf *scratch)
{
	struct slice v = r->m[m];
	if (v.n && v.p[0] == '"')
		v = record_text(r, m, scratch);
	if (v.n && !slice_is(v, "null"))
		pg_set_text(p, v);
	else
		pg_set_null(p);
}

enum pg_status
source_begin(struct pg *pg, struct source *s, const struct record *begin, bool resume)
{
	static const enum member members[] = {M_SEED, M_ARRIVAL, M_DELAY_MS, M_SPEED, M_CLOCK, M_STARTED_AT};
	struct pg_param p[8] = {0}, q[4] = {0};
	struct buf scratch = {0};
	uint64_t from = 0;
	record_integer(begin, M_FROM, VERSION_MAX, &from);
	pg_queue(pg, PG_BEGIN, NULL, 0);
	source_lock(pg, s, p);
	enum pg_status status = pg_run(pg);
	if (status == PG_OK && pg_rows(pg, 1) == 0) {
		s->token = -1;
		status = pg_exec(pg, "ROLLBACK", NULL, 0);
	}
	if (status != PG_OK || s->token < 0)
		goto out;
	pg_set_text(&p[0], slice_buf(&s->name));
	for (int i = 0; i < 6; i++)
		member_set(&p[i + 1], begin, members[i], &scratch);
	pg_set_text(&p[7], resume ? SLICE("true") : SLICE("false"));
	pg_queue(pg, sql_inputs_begin, p, 8);
	pg_set_i64(&q[0], s->pipeline);
	pg_set_i64(&q[1], (int64_t)from - 1);
	q[1].null = from == 0;
	pg_set_text(&q[2], resume ? SLICE("true") : SLICE("false"));
	member_set(&q[3], begin, M_FINGERPRINT, &scratch);
	pg_queue(pg, sql_pipelines_begin, q, 4);
	if (!resume)
		pg_queue(pg, sql_deliveries_restart, q, 1);
	pg_queue(pg, "COMMIT", NULL, 0);
	status = pg_run(pg);
	if (status == PG_OK && !resume) {
		s->committed = (int64_t)from - 1;
		s->delivered = -1;
	}
out:
	pg_params_free(p, 8);
	pg_params_free(q, 4);
	buf_free(&scratch);
	return status;
}

enum pg_status
source_find(struct pg *pg, struct source *s)
{
	struct pg_param p[2] = {0};
	key_set(p, s);
	enum pg_status status = pg_exec(pg, sql_pipelines_find, p, 2);
	s->pipeline = status == PG_OK && pg_rows(pg, 0) > 0 ? pg_i64(pg, 0, 0, 0) : -1;
	pg_params_free(p, 2);
	return status;
}

enum pg_status
source_look(struct pg *pg, struct source *s, bool delivery, bool *taken, int64_t *committed)
{
	struct pg_param p[1] = {0};
	enum pg_status status = source_find(pg, s);
	if (status == PG_OK) {
		pg_set_i64(&p[0], s->pipeline);
		status = pg_exec(pg, sql_deliveries_token, p, 1);
	}
	bool known = status == PG_OK && pg_rows(pg, 0) > 0;
	*taken = known && pg_i64(pg, 0, 0, delivery) > s->token;
	*committed = known ? pg_i64(pg, 0, 0, 2) : -1;
	pg_params_free(p, 1);
	return status;
}

void
source_behind(int64_t committed, int64_t known)
{
	struct buf last = {0};
	if (committed >= 0)
		buf_printf(&last, "of offset %lld", (long long)committed);
	else
		buf_text(&last, "none of this source");
	log_error("the database lost commits: its last one is %s, but offset %lld had been committed (a failover, or a "
		  "restored backup?); what the input still has is read again",
	    buf_cstr(&last), (long long)known);
	buf_free(&last);
}

enum pg_status
source_claim_delivery(struct pg *pg, struct source *s)
{
	struct pg_param p[3] = {0};
	key_set(p, s);
	pg_set_i64(&p[2], s->shard.count);
	enum pg_status status = pg_exec(pg, sql_pipelines_add, p, 3);
	if (status == PG_OK)
		status = source_find(pg, s);
	if (status == PG_OK && s->pipeline >= 0) {
		pg_set_i64(&p[0], s->pipeline);
		pg_set_null(&p[1]);
		status = pg_exec(pg, sql_deliveries_take, p, 2);
		if (status == PG_OK)
			s->token = pg_i64(pg, 0, 0, 0);
	}
	pg_params_free(p, 3);
	return status;
}

void
source_release(struct pg *pg, const struct source *s, const char *sql)
{
	struct pg_param p[2] = {0};
	if (s->token < 0)
		return;
	pg_set_i64(&p[0], s->pipeline);
	pg_set_i64(&p[1], s->token);
	if (pg_exec(pg, sql, p, 2) != PG_OK)
		log_debug("could not release the source: %s", pg_error(pg));
	pg_params_free(p, 2);
}

void
source_free(struct source *s)
{
	buf_free(&s->name);
}
