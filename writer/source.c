/* See source.h; why it is so: doc/recovery.md. */
#include "source.h"

#include "log.h"
#include "sql.h"

#include <string.h>

static void
offsets_read(struct pg *db, int result, struct source *s)
{
	s->lanes = 0;
	s->committed_most = -1;
	for (int i = 0; i < pg_rows(db, result); i++) {
		int64_t lane = pg_i64(db, result, i, 0);
		if (lane < 0 || lane >= MOST_LANES)
			continue;
		s->lanes++;
		s->token = pg_i64(db, result, i, 1);
		s->committed[lane] = pg_i64(db, result, i, 2);
		if (s->committed[lane] > s->committed_most)
			s->committed_most = s->committed[lane];
		s->ingested[lane] = pg_null(db, result, i, 3) ? INT64_MIN : pg_i64(db, result, i, 3);
	}
}

/* Locks both sides of the source, ending after two seconds who holds them. */
static enum pg_status
take(struct pg *db, struct source *s, bool own, bool deliveries)
{
	struct pg_param p[2] = {0};
	enum pg_status status;
	pg_set_text(&p[0], slice_buf(&s->name));
	for (int attempt = 0;; attempt++) {
		pg_queue(db, "BEGIN", NULL, 0);
		pg_queue(db, "SET LOCAL lock_timeout = '2s'", NULL, 0);
		pg_set_text(&p[1], own ? SLICE("true") : SLICE("false"));
		pg_queue(db, sql_lanes_take, p, 2);
		status = pg_run(db);
		if (status == PG_OK) {
			offsets_read(db, 2, s);
			if (!deliveries)
				break;
			pg_set_i64(&p[1], s->token);
			status = pg_exec(db, sql_delivery_take, p, 2);
			if (status == PG_OK) {
				s->delivered = pg_rows(db, 0) ? pg_i64(db, 0, 0, 1) : -1;
				break;
			}
		}
		bool held = strcmp(pg_sqlstate(db), "55P03") == 0;
		pg_reset(db);
		if (!held || attempt == 5)
			goto out;
		log_warn("ending the transaction that still holds the source");
		status = pg_exec(db, sql_holders_end, p, 1);
		if (status != PG_OK)
			goto out;
	}
	status = pg_exec(db, "COMMIT", NULL, 0);
out:
	pg_params_free(p, 2);
	return status;
}

enum pg_status
source_claim(struct pg *db, struct source *s, unsigned lanes, bool own, bool polite, bool deliveries, int64_t *pid)
{
	struct pg_param p[2] = {0};
	*pid = 0;
	s->token = s->delivered = -1;
	pg_set_text(&p[0], slice_buf(&s->name));
	pg_set_i64(&p[1], lanes);
	pg_queue(db, sql_source_add, p, 2);
	pg_queue(db, sql_lanes_owner, p, 1);
	enum pg_status status = pg_run(db);
	if (status == PG_OK && polite && pg_rows(db, 1) > 0)
		*pid = pg_i64(db, 1, 0, 0);
	else if (status == PG_OK)
		status = take(db, s, own, deliveries);
	pg_params_free(p, 2);
	return status;
}

enum pg_status
source_join(struct pg *db, struct source *s, int64_t token)
{
	struct pg_param p[2] = {0};
	pg_set_text(&p[0], slice_buf(&s->name));
	pg_set_i64(&p[1], token);
	pg_queue(db, sql_lanes_join, p, 2);
	pg_queue(
	    db, "SELECT delivered_offset FROM acctflow.source_deliveries WHERE name = $1 AND token = $2::bigint", p, 2);
	enum pg_status status = pg_run(db);
	s->token = s->delivered = -1;
	if (status == PG_OK && pg_rows(db, 0) && pg_rows(db, 1)) {
		offsets_read(db, 0, s);
		s->delivered = pg_i64(db, 1, 0, 0);
	}
	pg_params_free(p, 2);
	return status;
}

void
source_lock(struct pg *db, const struct source *s, unsigned lane, unsigned lane_last, struct pg_param *p)
{
	pg_set_text(&p[0], slice_buf(&s->name));
	pg_set_i64(&p[1], lane);
	pg_set_i64(&p[2], lane_last);
	pg_set_i64(&p[3], s->token);
	pg_queue(db, sql_lanes_lock, p, 4);
}

enum pg_status
source_claim_delivery(struct pg *db, struct source *s)
{
	struct pg_param p[2] = {0};
	pg_set_text(&p[0], slice_buf(&s->name));
	pg_queue(db, "INSERT INTO acctflow.source_deliveries (name) VALUES ($1) ON CONFLICT DO NOTHING", p, 1);
	pg_queue(db, "UPDATE acctflow.source_deliveries SET token = token + 1 WHERE name = $1 RETURNING token", p, 1);
	enum pg_status status = pg_run(db);
	if (status == PG_OK)
		s->token = pg_i64(db, 1, 0, 0);
	pg_params_free(p, 2);
	return status;
}

void
source_release(struct pg *db, const struct source *s)
{
	struct pg_param p[2] = {0};
	if (s->token < 0)
		return;
	pg_set_text(&p[0], slice_buf(&s->name));
	pg_set_i64(&p[1], s->token);
	if (pg_exec(db, sql_lanes_release, p, 2) != PG_OK)
		log_debug("could not release the source: %s", pg_error(db));
	pg_params_free(p, 2);
}

void
source_free(struct source *s)
{
	buf_free(&s->name);
}
