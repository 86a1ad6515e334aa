/* See source.h; why it is so: doc/recovery.md. */
#include "source.h"

#include "log.h"
#include "sql.h"

#include <string.h>

static void
offsets_read(struct db *db, int result, struct source *s)
{
	s->lanes = 0;
	s->committed_most = -1;
	for (int i = 0; i < db_rows(db, result); i++) {
		int64_t lane = db_i64(db, result, i, 0);
		if (lane < 0 || lane >= MOST_LANES)
			continue;
		s->lanes++;
		s->token = db_i64(db, result, i, 1);
		s->committed[lane] = db_i64(db, result, i, 2);
		if (s->committed[lane] > s->committed_most)
			s->committed_most = s->committed[lane];
		s->ingested[lane] = db_null(db, result, i, 3) ? INT64_MIN : db_i64(db, result, i, 3);
	}
}

/* Locks both sides of the source, ending after two seconds who holds them. */
static enum db_status
take(struct db *db, struct source *s, bool own, bool deliveries)
{
	struct db_param p[2] = {0};
	enum db_status status;
	db_set_text(&p[0], slice_buf(&s->name));
	for (int attempt = 0;; attempt++) {
		db_queue(db, "BEGIN", NULL, 0);
		db_queue(db, "SET LOCAL lock_timeout = '2s'", NULL, 0);
		db_set_text(&p[1], own ? SLICE("true") : SLICE("false"));
		db_queue(db, sql_lanes_take, p, 2);
		status = db_run(db);
		if (status == DB_OK) {
			offsets_read(db, 2, s);
			if (!deliveries)
				break;
			db_set_i64(&p[1], s->token);
			status = db_exec(db, sql_delivery_take, p, 2);
			if (status == DB_OK) {
				s->delivered = db_rows(db, 0) ? db_i64(db, 0, 0, 1) : -1;
				break;
			}
		}
		bool held = strcmp(db_sqlstate(db), "55P03") == 0;
		db_reset(db);
		if (!held || attempt == 5)
			goto out;
		log_warn("ending the transaction that still holds the source");
		status = db_exec(db, sql_holders_end, p, 1);
		if (status != DB_OK)
			goto out;
	}
	status = db_exec(db, "COMMIT", NULL, 0);
out:
	db_params_free(p, 2);
	return status;
}

enum db_status
source_claim(struct db *db, struct source *s, unsigned lanes, bool own, bool polite, bool deliveries, int64_t *pid)
{
	struct db_param p[2] = {0};
	*pid = 0;
	s->token = s->delivered = -1;
	db_set_text(&p[0], slice_buf(&s->name));
	db_set_i64(&p[1], lanes);
	db_queue(db, sql_source_add, p, 2);
	db_queue(db, sql_lanes_owner, p, 1);
	enum db_status status = db_run(db);
	if (status == DB_OK && polite && db_rows(db, 1) > 0)
		*pid = db_i64(db, 1, 0, 0);
	else if (status == DB_OK)
		status = take(db, s, own, deliveries);
	db_params_free(p, 2);
	return status;
}

enum db_status
source_join(struct db *db, struct source *s, int64_t token)
{
	struct db_param p[2] = {0};
	db_set_text(&p[0], slice_buf(&s->name));
	db_set_i64(&p[1], token);
	db_queue(db, sql_lanes_join, p, 2);
	db_queue(
	    db, "SELECT delivered_offset FROM acctflow.source_deliveries WHERE name = $1 AND token = $2::bigint", p, 2);
	enum db_status status = db_run(db);
	s->token = s->delivered = -1;
	if (status == DB_OK && db_rows(db, 0) && db_rows(db, 1)) {
		offsets_read(db, 0, s);
		s->delivered = db_i64(db, 1, 0, 0);
	}
	db_params_free(p, 2);
	return status;
}

void
source_lock(struct db *db, const struct source *s, unsigned lane, unsigned lane_last, struct db_param *p)
{
	db_set_text(&p[0], slice_buf(&s->name));
	db_set_i64(&p[1], lane);
	db_set_i64(&p[2], lane_last);
	db_set_i64(&p[3], s->token);
	db_queue(db, sql_lanes_lock, p, 4);
}

enum db_status
source_claim_delivery(struct db *db, struct source *s)
{
	struct db_param p[2] = {0};
	db_set_text(&p[0], slice_buf(&s->name));
	db_queue(db, "INSERT INTO acctflow.source_deliveries (name) VALUES ($1) ON CONFLICT DO NOTHING", p, 1);
	db_queue(db, "UPDATE acctflow.source_deliveries SET token = token + 1 WHERE name = $1 RETURNING token", p, 1);
	enum db_status status = db_run(db);
	if (status == DB_OK)
		s->token = db_i64(db, 1, 0, 0);
	db_params_free(p, 2);
	return status;
}

void
source_release(struct db *db, const struct source *s)
{
	struct db_param p[2] = {0};
	if (s->token < 0)
		return;
	db_set_text(&p[0], slice_buf(&s->name));
	db_set_i64(&p[1], s->token);
	if (db_exec(db, sql_lanes_release, p, 2) != DB_OK)
		log_debug("could not release the source: %s", db_error(db));
	db_params_free(p, 2);
}

void
source_free(struct source *s)
{
	buf_free(&s->name);
}
