/* The verb run. What came in while the last batch was being committed makes the next
 * one; where nothing came, an update that arrives alone is committed at once. Three
 * batches take turns: one is filled, one is committed, one is emitted. */
#include "run.h"

#include "batch_reader.h"
#include "commit.h"
#include "log.h"
#include "metrics.h"
#include "pg_connect.h"
#include "replay.h"
#include "sql.h"
#include "time.h"
#include "trace.h"

#include <malloc.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct run {
	const struct writer_options *o;
	struct batch batches[3];
	struct batch_reader reader; /* fills reader.next */
	struct batch *committing, *emitting;
	size_t emitted; /* items of it */
	struct commit commit;
	int64_t commit_started;
	struct pg *pg;
	struct source source;
	int64_t claim; /* the token under which it was taken hold of, or is to be */
	struct output out;
	struct display_style style;
	struct buf line, text, scratch;
	struct record record;
	bool catching_up; /* `caughtup` is still to be emitted */
	bool begun;	  /* the `begin` that is in hand was emitted, ahead of what is pending */
	uint64_t rejected;
	unsigned last_reads; /* since we were asked to stop */
	bool stopped;	     /* nothing more is read */
};

/* Everything that an earlier process committed has been emitted again. */
static void
emit_caughtup(struct run *r)
{
	struct buf token = {0};
	r->catching_up = false;
	buf_json(&token, slice_buf(&r->source.name));
	r->line.len = 0;
	event_caughtup(&r->line, slice_buf(&token));
	display_record(&r->out.buf, r->style, slice_buf(&r->line));
	buf_free(&token);
}

static void
update_write(struct buf *out, const struct batch *b, const struct item *it)
{
	struct slice source = slice_buf(&b->token);
	struct update u = batch_update(b, it);
	struct event_times t, *times = NULL;
	/* When a record that is emitted again was committed is not known any more. */
	if (u.trace.n && !it->replayed && trace_sampled(u.trace)) {
		t = batch_times(b, it);
		times = &t;
	}
	if (it->verdict == INDEXED)
		event_indexed(
		    out, "indexed", source, &u, it->ingested_at, item_due(it), it->settled_at, it->replayed, times);
	else
		event_ignored(
		    out, source, &u, verdict_name[it->verdict], it->current, it->ingested_at, it->replayed, times);
}

static void
emit_item(struct run *r, const struct batch *b, const struct item *it)
{
	struct buf *out = &r->line;
	struct slice source = slice_buf(&b->token);
	out->len = 0;
	if (it->kind == ITEM_REJECTED) {
		struct reject j = statements_reject(b, it, &r->text, &r->scratch);
		event_rejected(out, source, it->offset, &j, it->arrive_ms, it->ingested_at, it->replayed);
		r->rejected++;
	} else if (it->kind == ITEM_SKIPPED) {
		event_skipped(out, source, it->offset, it->arrive_ms, it->replayed);
	} else if (it->kind != ITEM_UPDATE) {
		buf_slice(out, item_line(b, it));
	} else {
		update_write(out, b, it);
	}
	display_record(&r->out.buf, r->style, slice_buf(out));
}

/* Emits the batch that was committed until the output is full. Returns false when all of it is emitted. */
static bool
emit_some(struct run *r)
{
	const struct batch *b = r->emitting;
	for (; b && r->emitted < b->n; r->emitted++) {
		const struct item *it = &b->items[r->emitted];
		if (output_full(&r->out))
			return true;
		if (it->kind == ITEM_BEGIN && r->begun) {
			r->begun = false;
			continue;
		}
		bool counts = item_is_record(it);
		if (r->catching_up && (it->kind == ITEM_END || (counts && it->offset > r->commit.replay_to)))
			emit_caughtup(r);
		emit_item(r, b, it);
		if (r->catching_up && counts && it->offset >= r->commit.replay_to)
			emit_caughtup(r);
	}
	if (r->emitting)
		batch_clear(r->emitting);
	r->emitting = NULL;
	r->emitted = 0;
	return false;
}

/* Emits all that is left of it, however long that takes. */
static void
emit_rest(struct run *r)
{
	bool more;
	do {
		more = emit_some(r);
		if (output_flush(&r->out) != 0)
			output_failed();
	} while (more);
}

/* One try to take hold of the source: by the claim that was made for us, else by one of our own, which is made once
 * only, or we would take back what somebody took over from us meanwhile. */
static enum pg_status
source_take(struct run *r, bool *claimed)
{
	struct source *s = &r->source;
	unsigned how = CLAIM_OWN | (r->o->resume ? CLAIM_DELIVERY : CLAIM_POLITE);
	enum pg_status status = pg_connect(r->pg);
	if (status == PG_OK)
		status = *claimed ? source_join(r->pg, s) : source_claim(r->pg, s, how);
	if (status != PG_OK)
		return status;
	*claimed = true;
	r->claim = s->token >= 0 ? s->token : r->claim;
	if (s->token >= 0 && r->reader.next->begins) {
		record_parse_line(item_line(r->reader.next, r->reader.next->items), &r->record);
		status = source_begin(r->pg, s, &r->record, r->o->resume);
	}
	if (status != PG_OK || s->token >= 0)
		return status;
	int code;
	s->token = r->claim;
	status = source_lost(r->pg, s, false, -1, &code);
	if (status == PG_OK)
		exit(code);
	return status;
}

/* The shard that `begin` names, or the one we were started for. */
static void
source_name(struct run *r, const struct batch *b)
{
	struct source *s = &r->source;
	s->name.len = 0;
	buf_slice(&s->name, slice_buf(&b->source));
	s->shard = r->o->shard;
	s->token = r->claim = r->o->resume && r->o->token_given ? (int64_t)r->o->token : -1;
	if (b->begins && record_parse_line(item_line(b, b->items), &r->record) == 0)
		shard_read(record_text(&r->record, M_SHARD, &r->scratch), &s->shard);
	log_source(buf_cstr(&s->name));
}

/* Emits `begin` and what is pending ahead of what is replayed. */
static enum pg_status
source_resume(struct run *r, const struct batch *b)
{
	enum pg_status status = PG_OK;
	if (b->begins && !r->begun) {
		r->begun = true;
		emit_item(r, b, b->items);
	}
	if (r->source.delivered >= 0)
		status = replay_pending(r->pg, &r->source, &r->out, r->style);
	return status;
}

/* Takes hold of the source whose records come now, leaving the one before. */
static void
source_enter(struct run *r, const struct batch *b)
{
	enum pg_status status;
	int64_t start = clock_now();
	if (b->begins || !slice_same(slice_buf(&b->source), slice_buf(&r->source.name)))
		source_release(r->pg, &r->source, sql_pipelines_release);
	source_name(r, b);
	bool claimed = r->source.token >= 0;
	while ((status = source_take(r, &claimed)) != PG_OK) {
		if (status != PG_RETRY)
			die(EXIT_PERMANENT, "the database refused: %s", pg_error(r->pg));
		if (clock_now() - start > pg_deadline() || loop_stopping())
			die(EXIT_TEMPORARY, "could not take hold of the source: %s", pg_error(r->pg));
		log_warn("trying again to take hold of the source: %s", pg_error(r->pg));
		metrics_add(METRIC_RETRIES, 1);
		struct pollfd none[1];
		loop_wait(none, 0, clock_now() + 50000);
	}
	r->commit.last = INT64_MIN;
	r->commit.replay_to = r->source.committed;
	if (!r->o->resume)
		return;
	status = source_resume(r, b);
	if (status != PG_OK)
		die(status == PG_RETRY ? EXIT_TEMPORARY : EXIT_PERMANENT, "could not read what is pending: %s",
		    pg_error(r->pg));
	r->catching_up = true;
	if (r->source.committed <= r->source.delivered)
		emit_caughtup(r);
}

/* Whether the batch's source is the one we hold. */
static bool
source_held(const struct run *r, const struct batch *b)
{
	return b->source.len == 0 ||
	       (!b->begins && r->source.token >= 0 && slice_same(slice_buf(&b->source), slice_buf(&r->source.name)));
}

/* Starts to commit the batch that was filled, and to fill another one. */
static void
commit_next(struct run *r)
{
	struct batch *b = r->reader.next;
	if (!source_held(r, b)) {
		emit_rest(r);
		source_enter(r, b);
	}
	r->committing = b;
	r->commit_started = clock_now();
	commit_start(&r->commit, b);
	for (int i = 0; i < 3; i++)
		if (&r->batches[i] != r->emitting && &r->batches[i] != r->committing)
			r->reader.next = &r->batches[i];
	batch_reader_take(&r->reader);
}

/* Goes on with the commit. */
static void
commit_turn(struct run *r, struct pg_wait *wait)
{
	enum commit_status status = commit_step(&r->commit, wait);
	if (status == COMMIT_WAIT)
		return;
	struct batch *b = r->committing;
	size_t records = b->n - b->begins - b->ends;
	if (status == COMMIT_DONE && records) {
		uint64_t us = (uint64_t)(clock_now() - r->commit_started);
		metrics_add(METRIC_BATCHES, 1);
		metrics_set(METRIC_COMMITTED, (uint64_t)(r->source.committed + 1));
		metrics_observe(HISTOGRAM_BATCH, records, 1);
		metrics_observe(HISTOGRAM_COMMIT, us, 1);
		log_trace("committed a batch records=%zu us=%llu", records, (unsigned long long)us);
	}
	/* The batch before is emitted even where this one could not be committed. */
	emit_rest(r);
	if (status != COMMIT_DONE)
		exit(status == COMMIT_RETRIES_OVER ? EXIT_TEMPORARY : EXIT_PERMANENT);
	r->committing = NULL;
	r->emitting = b;
}

/* Waits for input, for the database, or for the output to take more. */
static void
wait_turn(struct run *r, const struct pg_wait *wait)
{
	bool reads = !r->reader.in.eof && !r->stopped && !r->reader.holds;
	struct pollfd fds[] = {
	    {.fd = reads ? STDIN_FILENO : -1, .events = POLLIN},
	    {.fd = r->emitting || r->out.buf.len ? r->out.fd : -1, .events = POLLOUT},
	    {.fd = r->committing ? wait->fd : -1, .events = wait->events},
	};
	loop_wait(fds, 3, reads && loop_stopping() ? 0 : r->committing ? wait->until : -1);
	/* Asked to stop: what is waiting is still read, but no more than a pipe holds. */
	if (reads && loop_stopping() && (!fds[0].revents || r->last_reads++ >= STOP_READS))
		r->stopped = true;
	else if (fds[0].revents)
		batch_reader_read(&r->reader);
	if (fds[1].revents && output_some(&r->out) != 0)
		output_failed();
}

/* Turns until all that was read is committed and emitted. */
static void
run_loop(struct run *r)
{
	struct pg_wait wait = {.fd = -1, .until = -1};
	for (;;) {
		if (r->committing)
			commit_turn(r, &wait);
		if (!r->committing && r->reader.next->n > 0) {
			commit_next(r);
			continue;
		}
		if (r->emitting && !output_full(&r->out))
			emit_some(r);
		if (r->out.buf.len && output_some(&r->out) != 0)
			output_failed();
		bool over = (batch_reader_over(&r->reader) || r->stopped) && !r->reader.holds && r->reader.next->n == 0;
		if (over && !r->committing && !r->emitting && r->out.buf.len == 0)
			return;
		wait_turn(r, &wait);
	}
}

int
run_main(const struct writer_options *o)
{
	static struct run r;
	r.o = o;
	r.style = display_style((enum format)o->format, STDOUT_FILENO);
	r.source.token = -1;
	/* Memory that a large batch takes goes back to the system, not to a heap that others hold pieces of. */
	mallopt(M_MMAP_THRESHOLD, 256 << 10);
	metrics_open("writer");
	r.pg = writer_open(o, "acctflow writer", true);
	output_open(&r.out, STDOUT_FILENO);
	r.reader = (struct batch_reader){
	    .in = {.fd = STDIN_FILENO, .max = 2 * RECORD_BYTES}, .most = o->batch, .epoch = o->epoch};
	r.reader.next = &r.batches[0];
	r.commit = (struct commit){.pg = r.pg,
	    .source = &r.source,
	    .resume = o->resume,
	    .virtual_clock = o->clock == 1,
	    .replay_to = -1,
	    .last = INT64_MIN};
	run_loop(&r);
	bool cut_off = o->resume && !r.reader.ended && !loop_stopping();
	if (cut_off)
		log_error("the program feeding this one died (its input stopped without an `end` event)");
	source_release(r.pg, &r.source, sql_pipelines_release);
	int code = cut_off ? EXIT_TEMPORARY : o->strict && r.rejected ? EXIT_REJECTED : EXIT_OK;
	pg_free(r.pg);
	log_source(NULL);
	return code;
}
