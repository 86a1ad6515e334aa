/* The verb replay: the history in the order in which it came, as the events that writer emitted, for timerd, or as
 * updates, for another pipeline. One statement, one snapshot, row by row: memory does not grow with it. */
#include "playback.h"

#include "log.h"
#include "moment.h"
#include "query.h"
#include "replay.h"
#include "rows.h"
#include "sql.h"

#include <unistd.h>

/* When reading began, of the source or of the first one; NO_TIME where nobody knows. */
static int64_t
started_at(struct pg *pg, const char *source)
{
	enum pg_status status = pg_exec(pg, sql_inputs_started, PG_PARAMS(pg_string_param(source)));
	if (status != PG_OK)
		rows_failed(pg, status);
	return pg_null(pg, 0, 0, 0) ? NO_TIME : pg_i64(pg, 0, 0, 0);
}

/* Appends the row's record to `line`. *start is where arriveMs counts from, NO_TIME: the first row's time. */
static void
row_emit(struct pg *pg, const struct writer_options *o, struct buf *line, struct buf *source, int64_t *start)
{
	enum { CAME = REPLAY_COLUMNS };
	struct update u;
	int64_t ingested_at, due_at, came_at = pg_i64(pg, 0, 0, CAME);
	replay_row(pg, &u, source, &ingested_at, &due_at);
	if (o->callback_given && u.callback_ms >= 0) {
		u.callback_ms = (int64_t)o->callback_ms;
		due_at = ingested_at + u.callback_ms * 1000;
	}
	if (*start == NO_TIME)
		*start = came_at;
	u.arrive_ms = came_at < *start ? 0 : (came_at - *start) / 1000;
	line->len = 0;
	if (o->updates)
		event_update(line, (struct slice){0}, &u);
	else
		event_indexed(line, "indexed", slice_buf(source), &u, ingested_at, due_at, NO_TIME, false, NULL);
}

static uint64_t
rows_emit(struct pg *pg, const struct writer_options *o, int64_t start)
{
	uint64_t n = 0;
	struct output out;
	struct buf line = {0}, source = {0};
	output_open(&out, STDOUT_FILENO);
	struct display_style style = display_style((enum format)o->format, STDOUT_FILENO);
	for (; pg_next(pg); n++) {
		row_emit(pg, o, &line, &source, &start);
		display_record(&out.buf, style, slice_buf(&line));
		if (output_full(&out) && output_flush(&out) != 0)
			output_failed();
	}
	enum pg_status status = pg_finish(pg);
	if (status != PG_OK)
		rows_failed(pg, status);
	if (output_flush(&out) != 0)
		output_failed();
	buf_free(&line);
	buf_free(&source);
	buf_free(&out.buf);
	return n;
}

int
playback_main(const struct writer_options *o)
{
	static struct pg_array ids;
	struct pg *pg = query_open(o);
	int64_t start = started_at(pg, o->source);
	const char *from = moment_find(pg, o->from, o->source), *to = moment_find(pg, o->to, o->source);
	pg_array(&ids, PG_TEXTS);
	for (char **id = o->operands; *id; id++)
		pg_push_text(&ids, slice_of(*id));
	pg_each(pg, QUERY_PATIENCE_S, sql_history_replay,
	    PG_PARAMS(pg_string_param(o->source), pg_string_param(from), pg_string_param(to),
		*o->operands ? pg_array_param(&ids) : pg_null_param(), pg_bool_param(o->updates)));
	uint64_t n = rows_emit(pg, o, start);
	pg_free(pg);
	if (n == 0)
		die(EXIT_REJECTED, "there is nothing to replay: no version of that kind in this database");
	return EXIT_OK;
}
