/* See replay.h. */
#include "replay.h"

#include "sql.h"

#include <stdlib.h>

void
replay_queue(struct pg *pg, const struct batch *b, const struct source *s)
{
	int64_t least = INT64_MAX, most = -1;
	for (size_t i = 0; i < b->n; i++) {
		if (!b->items[i].replayed)
			continue;
		least = b->items[i].offset < least ? b->items[i].offset : least;
		most = b->items[i].offset > most ? b->items[i].offset : most;
	}
	/* One range of the index for the whole batch: rejects are few. */
	pg_queue(pg, sql_rejects_known, PG_PARAMS(pg_i64_param(s->pipeline), pg_i64_param(least), pg_i64_param(most)));
}

void
replay_read(struct pg *pg, struct batch *b)
{
	enum { OFFSET, KIND, REASON, REJECTED };
	size_t i = 0;
	/* Both are in the order of offsets. */
	for (int row = 0; row < pg_rows(pg, 0); row++) {
		int64_t offset = pg_i64(pg, 0, row, OFFSET);
		while (i < b->n && b->items[i].offset < offset)
			i++;
		struct item *it = &b->items[i];
		if (i == b->n || it->offset != offset || !it->replayed)
			continue;
		it->ingested_at = pg_i64(pg, 0, row, REJECTED);
		if (it->kind == ITEM_UPDATE && slice_is(pg_text(pg, 0, row, KIND), "refused")) {
			free(it->refused);
			it->refused = mem_string(pg_text(pg, 0, row, REASON));
		}
	}
}

void
replay_row(struct pg *pg, struct update *u, struct buf *source, int64_t *ingested_at, int64_t *due_at)
{
	enum { ID, VERSION, TYPE, TOKENS, CALLBACK, DATA, DELETED, SOURCE, OFFSET, TRACE, INGESTED, DUE };
	*u = (struct update){
	    .id = pg_text(pg, 0, 0, ID),
	    .version = pg_i64(pg, 0, 0, VERSION),
	    .account_type = pg_text(pg, 0, 0, TYPE),
	    .has_tokens = !pg_null(pg, 0, 0, TOKENS),
	    .callback_ms = pg_i64(pg, 0, 0, CALLBACK),
	    .data = pg_text(pg, 0, 0, DATA),
	    .deleted = *pg_text(pg, 0, 0, DELETED).p == 't',
	    .offset = pg_i64(pg, 0, 0, OFFSET),
	    .trace = pg_text(pg, 0, 0, TRACE),
	};
	if (u->has_tokens)
		json_integer(pg_text(pg, 0, 0, TOKENS), UINT64_MAX, &u->tokens);
	source->len = 0;
	if (!pg_null(pg, 0, 0, SOURCE))
		buf_json(source, pg_text(pg, 0, 0, SOURCE));
	*ingested_at = pg_i64(pg, 0, 0, INGESTED);
	*due_at = u->callback_ms < 0	   ? NO_TIME
		  : pg_null(pg, 0, 0, DUE) ? *ingested_at + u->callback_ms * 1000
					   : pg_i64(pg, 0, 0, DUE);
}

static void
row_emit(struct pg *pg, struct buf *line, struct buf *token)
{
	struct update u;
	int64_t ingested_at, due_at;
	replay_row(pg, &u, token, &ingested_at, &due_at);
	line->len = 0;
	event_indexed(line, "pending", slice_buf(token), &u, ingested_at, due_at, NO_TIME, false, NULL);
}

enum pg_status
replay_pending(struct pg *pg, const struct source *s, struct output *out, struct display_style style)
{
	struct buf line = {0}, token = {0};
	pg_each(pg, 0, sql_pending,
	    PG_PARAMS(s ? pg_i64_param(s->pipeline) : pg_null_param(), pg_offset_param(s ? s->delivered : -1)));
	while (pg_next(pg)) {
		row_emit(pg, &line, &token);
		display_record(&out->buf, style, slice_buf(&line));
		if (output_full(out) && output_flush(out) != 0)
			output_failed();
	}
	if (output_flush(out) != 0)
		output_failed();
	buf_free(&line);
	buf_free(&token);
	return pg_finish(pg);
}
