/* See source.h; why it is so: doc/recovery.md. */
#include "source.h"

#include "log.h"
#include "loop.h"
#include "pg_connect.h"
#include "sql.h"
#include "time.h"

#include <string.h>

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
	const struct pg_param name = pg_text_param(slice_buf(&s->name)), shard = pg_i64_param(s->shard.index);
	enum pg_status status;
	for (int attempt = 0;; attempt++) {
		pg_queue(pg, PG_BEGIN, NULL, 0);
		pg_queue(pg, "SET LOCAL lock_timeout = '2s'", NULL, 0);
		pg_queue(pg, sql_deliveries_lock, PG_PARAMS(name, shard));
		pg_queue(pg, sql_pipelines_take,
		    PG_PARAMS(name, shard, pg_bool_param(how & CLAIM_OWN), pg_i64_param(s->shard.count)));
		/* Behind the locks: whoever had the lease before us and claimed is seen. */
		if (s->machine)
			pg_queue(pg, sql_leases_held, PG_PARAMS(name, shard, pg_text_param(slice_of(s->machine))));
		status = pg_run(pg);
		if (status != PG_RETRY || strcmp(pg_sqlstate(pg), "55P03") != 0 || attempt == 3)
			break;
		log_warn("ending the backend that holds the source");
		status = pg_connect(pg);
		if (status == PG_OK)
			status = pg_exec(pg, sql_pipelines_holders_end, PG_PARAMS(name, shard));
		if (status != PG_OK)
			break;
	}
	if (status == PG_OK && s->machine && pg_rows(pg, 4) == 0)
		die(EXIT_TEMPORARY, "another machine has the lease of this source by now");
	if (status != PG_OK)
		return status;
	if (pg_rows(pg, 3) > 0) {
		claim_read(pg, 3, s);
		if (how & CLAIM_DELIVERY)
			pg_queue(pg, sql_deliveries_take, PG_PARAMS(pg_i64_param(s->pipeline), pg_i64_param(s->token)));
	}
	return pg_exec(pg, "COMMIT", NULL, 0);
}

/* Citus: on a node that died between preparing a transaction and its end, what was committed is invisible until Citus
 * has looked for such. Waits until what is prepared now is over on all nodes. */
static enum pg_status
claim_settled(struct pg *pg)
{
	static const char sql[] =
	    "SELECT bool_and(success), string_agg(nullif(result, ''), ' ')"
	    " FROM run_command_on_all_nodes(format($$SELECT coalesce(string_agg(gid, ' '), '') FROM pg_prepared_xacts"
	    " WHERE database = current_database() AND (%1$L::text IS NULL OR gid = ANY (string_to_array(%1$L, ' ')))$$,"
	    " $1::text))";
	struct buf gids = {0};
	int64_t limit = clock_now() + pg_deadline();
	enum pg_status status;
	for (;;) {
		status = pg_exec(pg, sql, PG_PARAMS(gids.len ? pg_text_param(slice_buf(&gids)) : pg_null_param()));
		bool all = status == PG_OK && *pg_text(pg, 0, 0, 0).p == 't';
		if (status != PG_OK || (all && pg_null(pg, 0, 0, 1)) || loop_stopping())
			break;
		if (clock_now() > limit)
			die(EXIT_TEMPORARY, "%s for %lld s; see citus.recover_2pc_interval",
			    all ? "transactions have been in doubt" : "not all nodes of Citus have answered",
			    (long long)(pg_deadline() / 1000000));
		if (all && !gids.len) {
			buf_slice(&gids, pg_text(pg, 0, 0, 1));
			log_info("waiting for transactions that are prepared: %s", buf_cstr(&gids));
		}
		loop_wait(NULL, 0, clock_now() + 100000);
	}
	buf_free(&gids);
	return status;
}

enum pg_status
source_claim(struct pg *pg, struct source *s, unsigned how)
{
	const struct pg_param name = pg_text_param(slice_buf(&s->name)), shard = pg_i64_param(s->shard.index);
	s->token = s->delivered = s->committed = -1;
	pg_queue(pg, sql_pipelines_add, PG_PARAMS(name, shard, pg_i64_param(s->shard.count)));
	pg_queue(pg, sql_inputs_shards, PG_PARAMS(name));
	pg_queue(pg, sql_pipelines_owner, PG_PARAMS(name, shard));
	pg_queue(pg, "SELECT to_regproc('pg_catalog.run_command_on_all_nodes')", NULL, 0);
	enum pg_status status = pg_run(pg);
	if (status != PG_OK)
		return status;
	bool citus = !pg_null(pg, 3, 0, 0);
	if (how & CLAIM_POLITE && pg_rows(pg, 2) > 0)
		die(EXIT_PERMANENT,
		    "another writer works on this source (database process %lld); wait for it, or name another with "
		    "reader --source",
		    (long long)pg_i64(pg, 2, 0, 0));
	int64_t shards = pg_rows(pg, 1) ? pg_i64(pg, 1, 0, 0) : s->shard.count;
	if (shards != s->shard.count)
		die(EXIT_PERMANENT,
		    "source \"%.*s\" has %lld shard%s, not %u: their number is fixed; acctflow run --again reads it "
		    "anew with another",
		    (int)s->name.len, s->name.p, (long long)shards, shards == 1 ? "" : "s", (unsigned)s->shard.count);
	status = claim_take(pg, s, how);
	return status == PG_OK && citus ? claim_settled(pg) : status;
}

enum pg_status
source_join(struct pg *pg, struct source *s)
{
	enum pg_status status = pg_exec(pg, sql_pipelines_join,
	    PG_PARAMS(pg_text_param(slice_buf(&s->name)), pg_i64_param(s->shard.index), pg_i64_param(s->token)));
	if (status == PG_OK && pg_rows(pg, 0))
		claim_read(pg, 0, s);
	else if (status == PG_OK)
		s->token = -1;
	return status;
}

void
source_lock(struct pg *pg, const struct source *s)
{
	pg_queue(pg, sql_pipelines_lock, PG_PARAMS(pg_i64_param(s->pipeline), pg_i64_param(s->token)));
}

/* A member of `begin` as a parameter. */
static struct pg_param
member_param(const struct record *r, enum member m, struct buf *scratch)
{
	struct slice v = r->m[m];
	if (v.n && v.p[0] == '"')
		v = record_text(r, m, scratch);
	return v.n && !slice_is(v, "null") ? pg_text_param(v) : pg_null_param();
}

enum pg_status
source_begin(struct pg *pg, struct source *s, const struct record *begin, bool resume)
{
	static const enum member members[] = {M_SEED, M_ARRIVAL, M_DELAY_MS, M_SPEED, M_CLOCK, M_STARTED_AT};
	enum { MEMBERS = sizeof members / sizeof *members };
	struct pg_param p[MEMBERS + 2] = {pg_text_param(slice_buf(&s->name))};
	struct buf scratch[MEMBERS + 1] = {0};
	uint64_t from = 0;
	record_integer(begin, M_FROM, VERSION_MAX, &from);
	pg_queue(pg, PG_BEGIN, NULL, 0);
	source_lock(pg, s);
	enum pg_status status = pg_run(pg);
	if (status == PG_OK && pg_rows(pg, 1) == 0) {
		s->token = -1;
		status = pg_exec(pg, "ROLLBACK", NULL, 0);
	}
	if (status != PG_OK || s->token < 0)
		return status;
	for (int i = 0; i < MEMBERS; i++)
		p[i + 1] = member_param(begin, members[i], &scratch[i]);
	p[MEMBERS + 1] = pg_bool_param(resume);
	pg_queue(pg, sql_inputs_begin, p, MEMBERS + 2);
	pg_queue(pg, sql_pipelines_begin,
	    PG_PARAMS(pg_i64_param(s->pipeline), pg_offset_param((int64_t)from - 1), pg_bool_param(resume),
		member_param(begin, M_FINGERPRINT, &scratch[MEMBERS])));
	if (!resume)
		pg_queue(pg, sql_deliveries_restart, PG_PARAMS(pg_i64_param(s->pipeline)));
	status = pg_exec(pg, "COMMIT", NULL, 0);
	if (status == PG_OK && !resume) {
		s->committed = (int64_t)from - 1;
		s->delivered = -1;
	}
	for (int i = 0; i <= MEMBERS; i++)
		buf_free(&scratch[i]);
	return status;
}

enum pg_status
source_find(struct pg *pg, struct source *s)
{
	enum pg_status status = pg_exec(
	    pg, sql_pipelines_find, PG_PARAMS(pg_text_param(slice_buf(&s->name)), pg_i64_param(s->shard.index)));
	s->pipeline = status == PG_OK && pg_rows(pg, 0) > 0 ? pg_i64(pg, 0, 0, 0) : -1;
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
source_lost(struct pg *pg, struct source *s, bool delivery, int64_t known, int *code)
{
	enum pg_status status = source_find(pg, s);
	if (status == PG_OK)
		status = pg_exec(pg, sql_deliveries_token, PG_PARAMS(pg_i64_param(s->pipeline)));
	if (status != PG_OK)
		return status;
	bool there = pg_rows(pg, 0) > 0;
	*code = there && pg_i64(pg, 0, 0, delivery) > s->token ? EXIT_PERMANENT : EXIT_TEMPORARY;
	if (*code == EXIT_PERMANENT)
		log_error("another %s has taken the source over; this one stops", delivery ? "pipeline" : "writer");
	else if (delivery && there && pg_i64(pg, 0, 0, 1) == s->token && known <= pg_i64(pg, 0, 0, 2))
		log_error("the database lost what was recorded of emitted events (a failover, or a restored backup?); "
			  "they are emitted again");
	else if (known < 0)
		log_error("the database has lost the claim of this source (a failover, or a restored backup?)");
	else
		source_behind(there ? pg_i64(pg, 0, 0, 2) : -1, known);
	return PG_OK;
}

enum pg_status
source_claim_delivery(struct pg *pg, struct source *s)
{
	enum pg_status status = pg_exec(pg, sql_pipelines_add,
	    PG_PARAMS(pg_text_param(slice_buf(&s->name)), pg_i64_param(s->shard.index), pg_i64_param(s->shard.count)));
	if (status == PG_OK)
		status = source_find(pg, s);
	if (status != PG_OK || s->pipeline < 0)
		return status;
	status = pg_exec(pg, sql_deliveries_take, PG_PARAMS(pg_i64_param(s->pipeline), pg_null_param()));
	if (status == PG_OK)
		s->token = pg_i64(pg, 0, 0, 0);
	return status;
}

void
source_release(struct pg *pg, const struct source *s, const char *sql)
{
	if (s->token >= 0 && pg_exec(pg, sql, PG_PARAMS(pg_i64_param(s->pipeline), pg_i64_param(s->token))) != PG_OK)
		log_debug("could not release the source: %s", pg_error(pg));
}
