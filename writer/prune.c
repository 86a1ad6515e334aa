/* The verbs prune and forget. Versions leave in chunks, each in a transaction of its own with the counts: whenever this
 * is killed, what is there adds up, and the next prune goes on. A chunk locks its pipelines first, in one order, as
 * writer locks its own before anything else; so neither waits for the other in a circle. */
#include "prune.h"

#include "log.h"
#include "sql.h"
#include "time.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
	CHUNK = 2000, /* versions in a transaction, during which their pipelines wait */
	CHUNKS = 25,  /* that are looked for at once */
	TRIES = 10,
	PROGRESS_US = 5000000,
};

/* Versions that are to leave, and their pipelines, where they have one. */
struct chunk {
	struct pg_array ids, versions, pipelines;
	uint64_t bytes;
};

struct prune {
	struct pg *pg;
	struct chunk chunks[CHUNKS];
	uint64_t accounts, versions, bytes;
};

_Noreturn static void
prune_failed(const struct pg *pg, enum pg_status status)
{
	if (strcmp(pg_sqlstate(pg), "42501") == 0)
		die(EXIT_PERMANENT, "this is for the role that owns the schema: %s", pg_error(pg));
	die(status == PG_RETRY ? EXIT_TEMPORARY : EXIT_PERMANENT, "the database refused: %s", pg_error(pg));
}

static void
ask(struct pg *pg, const char *sql, const struct pg_param *params, size_t n)
{
	enum pg_status status = pg_exec(pg, sql, params, n);
	if (status != PG_OK)
		prune_failed(pg, status);
}

static void
run(struct pg *pg)
{
	enum pg_status status = pg_run(pg);
	if (status != PG_OK)
		prune_failed(pg, status);
}

/* Whether what failed so is to be tried again, on a connection that is ready. */
static bool
prune_again(struct pg *pg, enum pg_status status, int *tries)
{
	if (status == PG_OK)
		return false;
	if (status != PG_RETRY || ++*tries == TRIES || loop_stopping())
		prune_failed(pg, status);
	log_warn("trying again: %s", pg_error(pg));
	status = pg_connect(pg);
	if (status != PG_OK)
		prune_failed(pg, status);
	return true;
}

static void
chunk_start(struct chunk *c)
{
	pg_array(&c->ids, PG_TEXTS);
	pg_array(&c->versions, PG_BIGINTS);
	pg_array(&c->pipelines, PG_BIGINTS);
	c->bytes = 0;
}

/* Adds the version in that row of the last result: id, version, pipeline, bytes. */
static void
chunk_add(struct chunk *c, struct pg *pg, int row)
{
	pg_push_text(&c->ids, pg_text(pg, 0, row, 0));
	pg_push_i64(&c->versions, pg_i64(pg, 0, row, 1));
	if (!pg_null(pg, 0, row, 2))
		pg_push_i64(&c->pipelines, pg_i64(pg, 0, row, 2));
	c->bytes += (uint64_t)pg_i64(pg, 0, row, 3);
}

static void
chunk_free(struct chunk *c)
{
	buf_free(&c->ids.bytes);
	buf_free(&c->versions.bytes);
	buf_free(&c->pipelines.bytes);
}

/* Counts the versions of a chunk as pruned, and removes them. */
static void
chunk_queue(struct pg *pg, const struct chunk *c)
{
	const struct pg_param ids = pg_array_param(&c->ids), versions = pg_array_param(&c->versions);
	pg_queue(pg, sql_pipelines_prune, PG_PARAMS(ids, versions));
	pg_queue(pg, sql_outcomes_prune, PG_PARAMS(ids, versions));
	pg_queue(pg, sql_history_prune, PG_PARAMS(ids, versions));
}

/* A commit of which nobody knows needs no look: what is gone is not there to be counted again. */
static void
chunk_remove(struct prune *p, const struct chunk *c)
{
	enum pg_status status;
	int tries = 0;
	do {
		pg_queue(p->pg, PG_BEGIN, NULL, 0);
		pg_queue(p->pg, sql_pipelines_hold, PG_PARAMS(pg_array_param(&c->pipelines)));
		chunk_queue(p->pg, c);
		pg_queue(p->pg, "COMMIT", NULL, 0);
		status = pg_run(p->pg);
	} while (prune_again(p->pg, status, &tries));
	p->versions += (uint64_t)pg_rows(p->pg, 4);
	p->bytes += c->bytes;
}

/* Looks for what may leave of these accounts, and removes it. Returns whether there may be more. */
static bool
accounts_prune(struct prune *p, const struct pg_array *ids, struct pg_param before, struct pg_param keep)
{
	enum pg_status status;
	int tries = 0;
	do
		status = pg_exec(p->pg, sql_history_prunable,
		    PG_PARAMS(pg_array_param(ids), before, keep, pg_i64_param(CHUNK * CHUNKS)));
	while (prune_again(p->pg, status, &tries));
	int rows = pg_rows(p->pg, 0), n = (rows + CHUNK - 1) / CHUNK;
	for (int row = 0; row < rows; row++) {
		struct chunk *c = &p->chunks[row / CHUNK];
		if (row % CHUNK == 0)
			chunk_start(c);
		chunk_add(c, p->pg, row);
	}
	for (int i = 0; i < n && !loop_stopping(); i++)
		chunk_remove(p, &p->chunks[i]);
	return rows == CHUNK * CHUNKS && !loop_stopping();
}

/* The next accounts behind `after`, which is set to the last of them. Returns how many. */
static int
accounts_next(struct prune *p, struct pg_array *ids, struct buf *after)
{
	enum pg_status status;
	int tries = 0;
	do
		status = pg_exec(p->pg, sql_latest_walk, PG_PARAMS(pg_text_param(slice_buf(after))));
	while (prune_again(p->pg, status, &tries));
	int n = pg_rows(p->pg, 0);
	pg_array(ids, PG_TEXTS);
	for (int row = 0; row < n; row++)
		pg_push_text(ids, pg_text(p->pg, 0, row, 0));
	if (n > 0) {
		after->len = 0;
		buf_slice(after, pg_text(p->pg, 0, n - 1, 0));
	}
	return n;
}

static void
accounts_walk(struct prune *p, struct pg_param before, struct pg_param keep)
{
	struct pg_array ids = {0};
	struct buf after = {0};
	int64_t next = clock_now() + PROGRESS_US;
	buf_text(&after, "");
	for (int n; !loop_stopping() && (n = accounts_next(p, &ids, &after)) > 0; p->accounts += (uint64_t)n) {
		while (accounts_prune(p, &ids, before, keep))
			;
		if (clock_now() >= next) {
			log_info("%llu versions removed so far, %llu accounts looked at",
			    (unsigned long long)p->versions, (unsigned long long)p->accounts + (unsigned long long)n);
			next = clock_now() + PROGRESS_US;
		}
	}
	buf_free(&ids.bytes);
	buf_free(&after);
}

/* Prints what was done. */
static void
print(const struct writer_options *o, const char *json, const char *people, uint64_t a, uint64_t b, uint64_t c)
{
	struct output out;
	output_open(&out, STDOUT_FILENO);
	bool for_people = display_style((enum format)o->format, STDOUT_FILENO).people;
	const char *format = for_people ? people : json;
	uint64_t numbers[] = {a, b, c};
	struct buf digits = {0};
	for (int i = 0; *format; format++) {
		if (*format != '#') {
			buf_char(&out.buf, *format);
			continue;
		}
		digits.len = 0;
		buf_u64(&digits, numbers[i++]);
		if (for_people)
			buf_number(&out.buf, slice_buf(&digits));
		else
			buf_slice(&out.buf, slice_buf(&digits));
	}
	if (output_flush(&out) != 0)
		output_failed();
	buf_free(&digits);
	buf_free(&out.buf);
}

int
prune_main(const struct writer_options *o)
{
	static struct prune p;
	char before[TIME_TEXT];
	if (!o->before_given)
		die_usage("prune wants --before TIME: the moment from which on every state must stay known");
	time_format(o->before, before);
	struct pg_param at = pg_text_param(slice_of(before)), keep = pg_i64_param((int64_t)o->keep);
	p.pg = writer_open(o, "acctflow prune", false);
	ask(p.pg, sql_retention_raise, PG_PARAMS(at));
	if (pg_rows(p.pg, 0) == 0)
		die_usage("--before %s: that is in the future, by the database's clock", before);
	accounts_walk(&p, at, keep);
	ask(p.pg, sql_tops_prune, PG_PARAMS(at));
	if (loop_stopping())
		log_info("asked to stop; the same command goes on");
	print(o, "{\"accounts\":#,\"pruned\":#,\"bytes\":#}\n", "# accounts looked at, # versions removed, # bytes\n",
	    p.accounts, p.versions, p.bytes);
	for (int i = 0; i < CHUNKS; i++)
		chunk_free(&p.chunks[i]);
	pg_free(p.pg);
	return EXIT_OK;
}

/* Begins a transaction that holds the pipelines of an account's versions, then its latest row, in writer's order. */
static void
account_lock(struct prune *p, struct pg_param id, const char *name)
{
	struct chunk *c = &p->chunks[0];
	ask(p->pg, sql_history_versions, PG_PARAMS(id));
	chunk_start(c);
	for (int row = 0; row < pg_rows(p->pg, 0); row++)
		chunk_add(c, p->pg, row);
	pg_queue(p->pg, PG_BEGIN, NULL, 0);
	pg_queue(p->pg, sql_pipelines_hold, PG_PARAMS(pg_array_param(&c->pipelines)));
	pg_queue(p->pg, sql_latest_lock, PG_PARAMS(id));
	run(p->pg);
	if (pg_rows(p->pg, 2) == 0)
		die(EXIT_REJECTED, "no account \"%s\" in this database", name);
}

/* Ends the program where something of the account is still to come: its callback, or events that nobody acknowledged.
 */
static void
account_judge(struct prune *p, struct pg_param id, const char *name)
{
	ask(p->pg, sql_latest_pending, PG_PARAMS(id));
	if (slice_is(pg_text(p->pg, 0, 0, 0), "t"))
		die(EXIT_PERMANENT,
		    "the callback of account \"%s\" is pending: send a delete of the account first, or let it fire",
		    name);
	ask(p->pg, sql_history_versions, PG_PARAMS(id));
	for (int row = 0; row < pg_rows(p->pg, 0); row++)
		if (slice_is(pg_text(p->pg, 0, row, 4), "f"))
			die(EXIT_PERMANENT,
			    "version %lld of account \"%s\" is not acknowledged yet: let its pipeline come to its end "
			    "first",
			    (long long)pg_i64(p->pg, 0, row, 1), name);
}

/* Removes all of the account's versions, whose rows are the last result, but the latest, which is emptied. */
static void
account_empty(struct prune *p, struct pg_param id)
{
	struct chunk *c = &p->chunks[0], *last = &p->chunks[1];
	int n = pg_rows(p->pg, 0) - 1;
	struct pg_param version = pg_i64_param(pg_i64(p->pg, 0, n, 1));
	chunk_start(c);
	chunk_start(last);
	for (int row = 0; row <= n; row++)
		chunk_add(row < n ? c : last, p->pg, row);
	chunk_queue(p->pg, c);
	pg_queue(p->pg, sql_pipelines_forget, PG_PARAMS(id, version));
	pg_queue(p->pg, sql_outcomes_prune, PG_PARAMS(pg_array_param(&last->ids), pg_array_param(&last->versions)));
	pg_queue(p->pg, sql_history_forget, PG_PARAMS(id, version));
	pg_queue(p->pg, sql_latest_forget, PG_PARAMS(id));
	pg_queue(p->pg, sql_tops_lock, NULL, 0);
	pg_queue(p->pg, sql_tops_forget, PG_PARAMS(id));
	pg_queue(p->pg, sql_rejects_forget, PG_PARAMS(id));
	pg_queue(p->pg, "COMMIT", NULL, 0);
	run(p->pg);
	p->versions = (uint64_t)pg_rows(p->pg, 2);
	p->bytes = c->bytes;
}

int
forget_main(const struct writer_options *o)
{
	enum { REJECTS = 9 }; /* the statement of account_empty that says of each reject that it was emptied */
	static struct prune p;
	struct buf safe = {0};
	struct pg_param id = pg_text_param(slice_of(*o->operands));
	buf_safe(&safe, slice_of(*o->operands));
	p.pg = writer_open(o, "acctflow forget", false);
	account_lock(&p, id, buf_cstr(&safe));
	account_judge(&p, id, buf_cstr(&safe));
	account_empty(&p, id);
	print(o, "{\"pruned\":#,\"bytes\":#,\"rejects\":#}\n", "# versions removed, # bytes; # rejects emptied\n",
	    p.versions, p.bytes, (uint64_t)pg_rows(p.pg, REJECTS));
	chunk_free(&p.chunks[0]);
	chunk_free(&p.chunks[1]);
	buf_free(&safe);
	pg_free(p.pg);
	return EXIT_OK;
}
