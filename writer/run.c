/* The verb run: what came in while the last batch was in flight makes the next one;
 * where nothing came, an update that arrives alone is committed at once. */
#include "loop.h"
#include "writer.h"

#include "time.h"
#include "ingest.h"
#include "batch_reader.h"
#include "log.h"
#include "sql.h"
#include "metrics.h"
#include "tell.h"

#include <malloc.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct run {
	const struct writer_options *o;
	struct batch_reader intake;
	struct ingest ingest;
	struct output out;
	struct display_style style;
	struct buf line;
	struct record record;
	struct pg_idle idle;
	struct batch *telling; /* committed, and told up to the item `told` */
	size_t told;
	bool catching_up; /* `caughtup` is still to be told */
	bool begun;	  /* the `begin` that is in hand was told, ahead of what is pending */
	uint64_t rejected;
	unsigned last_reads; /* since we were told to stop */
};

static void
say(struct run *r)
{
	display_record(&r->out.buf, r->style, slice_buf(&r->line));
}

/* Under --resume: all that a life before committed has been told again. */
static void
tell_caughtup(struct run *r)
{
	r->catching_up = false;
	r->line.len = 0;
	buf_text(&r->line, "{\"event\":\"caughtup\",\"source\":");
	buf_json(&r->line, slice_buf(&r->ingest.source.name));
	buf_char(&r->line, '}');
	say(r);
}

/* Keeps what `begin` says of the source, where that is still ours; else its token is -1. By hand it starts from where
 * the reader says. */
static enum pg_status
begin_keep(struct run *r, const struct batch *b)
{
	static const enum member members[] = {
	    M_SEED, M_ARRIVAL, M_DELAY_MS, M_SPEED, M_CLOCK, M_FINGERPRINT, M_STARTED_AT};
	struct source *s = &r->ingest.source;
	struct pg *db = r->ingest.lane[0];
	struct pg_param p[9] = {0};
	struct buf room = {0};
	uint64_t from = 0;
	pg_queue(db, "BEGIN", NULL, 0);
	source_lock(db, s, 0, s->lanes - 1, p);
	enum pg_status status = pg_run(db);
	if (status == PG_OK && pg_rows(db, 1) != (int)s->lanes) {
		s->token = -1;
		status = pg_exec(db, "ROLLBACK", NULL, 0);
	}
	if (status != PG_OK || s->token < 0)
		goto out;
	record_parse_line(item_line(b, &b->items[0]), &r->record);
	pg_set_text(&p[0], slice_buf(&s->name));
	for (int i = 0; i < 7; i++) {
		struct slice v = r->record.m[members[i]];
		if (v.n && v.p[0] == '"')
			v = record_text(&r->record, members[i], &room);
		if (v.n && !slice_is(v, "null"))
			pg_set_text(&p[i + 1], v);
		else
			pg_set_null(&p[i + 1]);
	}
	pg_set_text(&p[8], r->o->resume ? SLICE("true") : SLICE("false"));
	pg_queue(db, sql_source_begin, p, 9);
	if (!r->o->resume) {
		record_integer(&r->record, M_FROM, VERSION_MAX, &from);
		if (from)
			pg_set_i64(&p[1], (int64_t)from - 1);
		else
			pg_set_null(&p[1]);
		pg_queue(db, sql_source_restart, p, 2);
	}
	pg_queue(db, "COMMIT", NULL, 0);
	status = pg_run(db);
out:
	pg_params_free(p, 9);
	buf_free(&room);
	return status;
}

/* One attempt to take hold of the source: by the claim of that token, which is made where it is -1. A claim that was
 * made is not made again, or we would take back what somebody took over from us meanwhile. */
static enum pg_status
source_take(struct run *r, const struct batch *b, int64_t *token)
{
	struct ingest *g = &r->ingest;
	struct pg *db = g->lane[0];
	int64_t pid = 0;
	enum pg_status status = pg_connect(db);
	if (status == PG_OK && *token >= 0)
		status = source_join(db, &g->source, *token);
	else if (status == PG_OK)
		status = source_claim(db, &g->source, (unsigned)r->o->lanes, true, !r->o->resume, r->o->resume, &pid);
	if (status != PG_OK)
		return status;
	if (pid)
		die(EXIT_PERMANENT,
		    "another writer works on this source (database process %lld); wait for it, or name another with "
		    "reader --source",
		    (long long)pid);
	*token = g->source.token;
	if (g->source.token >= 0 && b->begins)
		status = begin_keep(r, b);
	if (g->source.token < 0)
		die(EXIT_PERMANENT, "another writer has taken the source over; this one stops");
	return status;
}

/* Takes hold of the source whose records come now, leaving the one before. */
static void
source_enter(struct run *r, const struct batch *b)
{
	struct ingest *g = &r->ingest;
	struct pg *db = g->lane[0];
	enum pg_status status;
	int64_t start = clock_now();
	if (!slice_same(slice_buf(&b->source), slice_buf(&g->source.name)))
		source_release(db, &g->source);
	g->source.name.len = 0;
	buf_slice(&g->source.name, slice_buf(&b->source));
	log_source(buf_cstr(&g->source.name));
	int64_t token = r->o->resume && r->o->token_given ? (int64_t)r->o->token : -1;
	while ((status = source_take(r, b, &token)) != PG_OK) {
		if (status != PG_RETRY)
			die(EXIT_PERMANENT, "the database refused: %s", pg_error(db));
		if (clock_now() - start > pg_deadline() || loop_stopping())
			die(EXIT_TEMPORARY, "the database cannot be reached: %s", pg_error(db));
		log_warn("trying again to take hold of the source: %s", pg_error(db));
		metrics_add(METRIC_RETRIES, 1);
		pg_reset(db);
		struct pollfd none[1];
		loop_wait(none, 0, clock_now() + 50000);
	}
	g->last = INT64_MIN;
	if (r->o->resume) {
		if (b->begins) {
			r->begun = true;
			r->line.len = 0;
			tell_item(&r->line, b, &b->items[0]);
			say(r);
		}
		struct slice name = slice_buf(&g->source.name);
		if (g->source.delivered >= 0)
			pending_tell(db, &r->out, r->style, &name, g->source.delivered);
		r->catching_up = true;
		if (g->source.committed_most <= g->source.delivered)
			tell_caughtup(r);
	}
}

/* Whether the batch's source is the one we hold. */
static bool
source_held(const struct run *r, const struct batch *b)
{
	return b->source.len == 0 || (!b->begins && r->ingest.source.token >= 0 &&
					 slice_same(slice_buf(&b->source), slice_buf(&r->ingest.source.name)));
}

/* Tells the batch that was committed until the output is full. Returns false when all of it is told. */
static bool
tell_some(struct run *r)
{
	const struct batch *b = r->telling;
	for (; b && r->told < b->n; r->told++) {
		const struct item *it = &b->items[r->told];
		if (output_full(&r->out))
			return true;
		if (it->kind == ITEM_BEGIN && r->begun) {
			r->begun = false;
			continue;
		}
		bool counts = it->kind == ITEM_UPDATE || it->kind == ITEM_REJECTED;
		if (r->catching_up &&
		    (it->kind == ITEM_END || (counts && it->offset > r->ingest.source.committed_most)))
			tell_caughtup(r);
		r->line.len = 0;
		tell_item(&r->line, b, it);
		say(r);
		r->rejected += it->kind == ITEM_REJECTED;
		if (r->catching_up && counts && it->offset >= r->ingest.source.committed_most)
			tell_caughtup(r);
	}
	return false;
}

/* Tells all that is left of it, however long that takes. */
static void
tell_rest(struct run *r)
{
	bool more;
	do {
		more = tell_some(r);
		if (output_flush(&r->out) != 0)
			output_failed();
	} while (more);
	if (r->telling)
		batch_clear(r->telling);
	r->telling = NULL;
	r->told = 0;
}

/* While the database works on a batch: reads the next one, tells the last one. */
static void
meanwhile(void *context, bool readable, bool writable)
{
	struct run *r = context;
	if (readable && (loop_stopping() || !batch_reader_read(&r->intake)))
		r->idle.in = -1;
	if (!writable)
		return;
	bool more = tell_some(r);
	if (output_some(&r->out) != 0)
		output_failed();
	if (!more && r->out.buf.len == 0)
		r->idle.out = -1;
}

/* Commits a batch. On the way the one before may still be told; when what it has to wait for is the source, it was. */
static void
batch_run(struct run *r, struct batch *b)
{
	if (!source_held(r, b)) {
		tell_rest(r);
		source_enter(r, b);
	}
	int64_t start = clock_now();
	r->idle.out = r->telling || r->out.buf.len ? r->out.fd : -1;
	pg_idle(&r->idle);
	enum ingest_status status = ingest_batch(&r->ingest, b);
	pg_idle(NULL);
	batch_decided(b);
	size_t records = b->n - b->begins - b->ends;
	if (status == INGEST_OK && records) {
		metrics_add(METRIC_BATCHES, 1);
		for (size_t i = b->n; i-- > 0;)
			if (b->items[i].offset >= 0) {
				metrics_set(METRIC_COMMITTED, (uint64_t)b->items[i].offset + 1);
				break;
			}
		metrics_observe(HISTOGRAM_BATCH, records, 1);
		metrics_observe(HISTOGRAM_COMMIT, (uint64_t)(clock_now() - start), 1);
		log_trace("committed a batch records=%zu us=%lld", records, (long long)(clock_now() - start));
	}
	/* What was committed is told even where the next could not be. */
	tell_rest(r);
	if (status != INGEST_OK)
		exit(status == INGEST_GONE ? EXIT_TEMPORARY : EXIT_PERMANENT);
	r->telling = b;
}

/* Reads until there is something to commit. Returns false at the end. */
static bool
wait_for_input(struct run *r)
{
	struct batch_reader *t = &r->intake;
	while (t->next->n == 0) {
		if (batch_reader_over(t))
			return false;
		struct pollfd p = {.fd = STDIN_FILENO, .events = POLLIN};
		/* Told to stop: what is waiting is still read, but no more than a pipe holds. */
		loop_wait(&p, 1, loop_stopping() ? 0 : -1);
		if (loop_stopping() && (!p.revents || r->last_reads++ >= STOP_READS))
			return false;
		if (p.revents)
			batch_reader_read(t);
	}
	return true;
}

int
run_main(const struct writer_options *o)
{
	struct run r = {.o = o, .style = display_style((enum format)o->format, STDOUT_FILENO)};
	struct batch batches[3] = {0}; /* one is filled, one is in flight, one is told */
	r.ingest = (struct ingest){.lanes = (unsigned)o->lanes,
	    .resume = o->resume,
	    .virtual_clock = o->clock == 1,
	    .last = INT64_MIN,
	    .source = {.token = -1}};
	/* What deciding on a large batch takes goes back to the system, not to a heap that others hold pieces of. */
	mallopt(M_MMAP_THRESHOLD, 256 << 10);
	metrics_open("writer"); /* before the rest of the files is given up */
	r.ingest.lane[0] = writer_connect(o, "acctflow writer");
	for (unsigned i = 1; i < r.ingest.lanes; i++)
		r.ingest.lane[i] = pg_new("acctflow writer");
	output_open(&r.out, STDOUT_FILENO);
	r.intake = (struct batch_reader){.in = {.fd = STDIN_FILENO, .max = 2 * RECORD_BYTES},
	    .most = o->batch,
	    .virtual_clock = o->clock == 1,
	    .epoch = o->epoch};
	r.idle = (struct pg_idle){.fn = meanwhile, .context = &r};
	for (int current = 0;; current = (current + 1) % 3) {
		r.intake.next = &batches[current];
		batch_reader_take(&r.intake);
		/* Where nothing has come yet nothing is held back. */
		if (r.intake.next->n == 0)
			tell_rest(&r);
		if (!wait_for_input(&r))
			break;
		r.intake.next = &batches[(current + 1) % 3];
		r.idle.in = batch_reader_take(&r.intake) && !r.intake.in.eof ? STDIN_FILENO : -1;
		batch_run(&r, &batches[current]);
	}
	bool cut_off = o->resume && !r.intake.ended && !loop_stopping();
	if (cut_off)
		log_error("the input ended without `end`: whoever fed it is gone");
	source_release(r.ingest.lane[0], &r.ingest.source);
	ingest_free(&r.ingest);
	batch_reader_free(&r.intake);
	record_free(&r.record);
	buf_free(&r.line);
	buf_free(&r.out.buf);
	for (int i = 0; i < 3; i++)
		batch_free(&batches[i]);
	log_source(NULL);
	return cut_off ? EXIT_TEMPORARY : o->strict && r.rejected ? EXIT_REJECTED : EXIT_OK;
}
