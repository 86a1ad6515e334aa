/* The verbs claim and pending: a pipeline is taken over, and shown; what is pending of one is emitted. */
#include "claim.h"

#include "log.h"
#include "replay.h"
#include "sql.h"
#include "time.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

_Noreturn static void
failed(const struct pg *pg, enum pg_status status, const char *what)
{
	die(status == PG_RETRY ? EXIT_TEMPORARY : EXIT_PERMANENT, "could not %s: %s", what, pg_error(pg));
}

/* Prints the rows of a result as name=value lines, an empty line between rows. */
static void
rows_print(struct pg *pg)
{
	struct output out;
	output_open(&out, STDOUT_FILENO);
	for (int row = 0; row < pg_rows(pg, 0); row++) {
		if (row)
			buf_char(&out.buf, '\n');
		for (int c = 0; c < pg_columns(pg, 0); c++) {
			buf_printf(&out.buf, "%s=", pg_column(pg, 0, c));
			buf_safe(&out.buf, pg_text(pg, 0, row, c));
			buf_char(&out.buf, '\n');
		}
	}
	if (output_flush(&out) != 0)
		output_failed();
	buf_free(&out.buf);
}

/* Prints the distance from the boot clock to the database's, by the quickest of some questions, where the caller has
 * none yet. All programs of a run live by it, so that machines agree. */
static void
anchor_print(struct pg *pg)
{
	if (getenv("ACCTFLOW_ANCHOR"))
		return;
	int64_t best = 0, spread = INT64_MAX;
	for (int i = 0; i < 4; i++) {
		int64_t before = clock_boot();
		enum pg_status status =
		    pg_exec(pg, "SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint", NULL, 0);
		int64_t after = clock_boot();
		if (status != PG_OK)
			failed(pg, status, "read the database's clock");
		if (after - before < spread) {
			spread = after - before;
			best = pg_i64(pg, 0, 0, 0) - before - spread / 2;
		}
	}
	printf("anchor=%lld\n", (long long)best);
	if (fflush(stdout) != 0)
		output_failed();
}

int
claim_main(const struct writer_options *o)
{
	enum { COMMITTED = 5, DELIVERED, COMPLETE };
	struct source s = {.shard = o->shard, .machine = o->machine};
	if (!o->source)
		die(EXIT_PERMANENT, "claim wants --source NAME");
	struct pg *pg = writer_open(o, "acctflow claim", true);
	buf_text(&s.name, o->source);
	enum pg_status status = source_claim(pg, &s, CLAIM_DELIVERY);
	if (status != PG_OK)
		failed(pg, status, "claim the source");
	const struct pg_param pipeline = pg_i64_param(s.pipeline);
	status = pg_exec(pg, sql_pipelines_show, PG_PARAMS(pipeline, pg_null_param()));
	if (status == PG_OK && slice_is(pg_text(pg, 0, 0, COMPLETE), "true") &&
	    slice_same(pg_text(pg, 0, 0, COMMITTED), pg_text(pg, 0, 0, DELIVERED))) {
		/* Only here it matters how many callbacks are pending, for which all accounts are looked at. */
		status = pg_exec(pg, sql_pipelines_open, PG_PARAMS(pipeline));
		if (status == PG_OK)
			status =
			    pg_exec(pg, sql_pipelines_show, PG_PARAMS(pipeline, pg_i64_param(pg_i64(pg, 0, 0, 0))));
	}
	if (status != PG_OK)
		failed(pg, status, "read where the source stands");
	rows_print(pg);
	anchor_print(pg);
	buf_free(&s.name);
	pg_free(pg);
	return EXIT_OK;
}

int
pending_main(const struct writer_options *o)
{
	struct source s = {.shard = o->shard, .token = o->token_given ? (int64_t)o->token : -1, .delivered = -1};
	enum pg_status status = PG_OK;
	struct output out;
	/* The supervisor asks for pipelines before it claims any; the database may be empty yet. */
	struct pg *pg = writer_open(o, "acctflow pending", o->pipelines);
	if (o->pipelines) {
		status = pg_exec(pg, sql_pipelines_pending, NULL, 0);
		if (status != PG_OK)
			failed(pg, status, "list the pipelines");
		rows_print(pg);
	} else {
		output_open(&out, STDOUT_FILENO);
		buf_text(&s.name, o->source ? o->source : "");
		if (o->source && o->token_given)
			status = source_join(pg, &s);
		else if (o->source)
			status = source_find(pg, &s);
		if (status == PG_OK && o->source && (s.pipeline < 0 || (o->token_given && s.token < 0)))
			die(EXIT_PERMANENT, "source \"%s\" is unknown, or another pipeline has taken it over",
			    o->source);
		s.delivered = -1;
		if (status == PG_OK)
			status = replay_pending(
			    pg, o->source ? &s : NULL, &out, display_style((enum format)o->format, STDOUT_FILENO));
		if (status != PG_OK)
			failed(pg, status, "read what is pending");
		buf_free(&out.buf);
	}
	buf_free(&s.name);
	pg_free(pg);
	return EXIT_OK;
}
