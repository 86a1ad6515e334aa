/* The verb replay: the history in the order in which it came, as the events that writer emitted, for timerd, or as
 * updates, for another pipeline. One statement, one snapshot, row by row: memory does not grow with it. */
#include "playback.h"

#include "log.h"
#include "replay.h"
#include "sql.h"
#include "time.h"

#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

enum { PATIENCE_S = 3600 }; /* rows come once all are sorted */

_Noreturn static void
playback_failed(struct pg *pg, enum pg_status status)
{
	die(status == PG_RETRY ? EXIT_TEMPORARY : EXIT_PERMANENT, "the database refused: %s", pg_error(pg));
}

/* When reading began, of the source or of the first one; NO_TIME where nobody knows. */
static int64_t
started_at(struct pg *pg, const char *source)
{
	enum pg_status status =
	    pg_exec(pg, sql_inputs_started, PG_PARAMS(source ? pg_text_param(slice_of(source)) : pg_null_param()));
	if (status != PG_OK)
		playback_failed(pg, status);
	return pg_null(pg, 0, 0, 0) ? NO_TIME : pg_i64(pg, 0, 0, 0);
}

/* A moment as the caller gave it, a time or +MS from the start, as a parameter; `text` gets it. */
static struct pg_param
moment(const char *name, const char *given, int64_t start, char text[TIME_TEXT])
{
	int64_t t;
	uint64_t ms;
	if (!given)
		return pg_null_param();
	if (*given == '+' && json_integer(slice_of(given + 1), ARRIVE_MAX, &ms) == 0) {
		if (start == NO_TIME)
			die(EXIT_REJECTED, "--%s %s: no source is known from whose start that could be", name, given);
		t = start + (int64_t)ms * 1000;
	} else if (time_parse(slice_of(given), &t) != 0) {
		die_usage(
		    "--%s: expected a time such as 2000-01-01T00:00:00Z, or +MS from a source's start, not \"%s\"",
		    name, given);
	}
	time_format(t, text);
	return pg_text_param(slice_of(text));
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
		playback_failed(pg, status);
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
	char from[TIME_TEXT], to[TIME_TEXT];
	sigset_t none;
	struct pg *pg = writer_open(o, "acctflow replay", false);
	int64_t start = started_at(pg, o->source);
	pg_array(&ids, PG_TEXTS);
	for (char **id = o->operands; *id; id++)
		pg_push_text(&ids, slice_of(*id));
	/* There is nothing to be finished: ^C ends it as it ends any other program. */
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	pg_each(pg, PATIENCE_S, sql_history_replay,
	    PG_PARAMS(o->source ? pg_text_param(slice_of(o->source)) : pg_null_param(),
		moment("from", o->from, start, from), moment("to", o->to, start, to),
		*o->operands ? pg_array_param(&ids) : pg_null_param(), pg_bool_param(o->updates)));
	uint64_t n = rows_emit(pg, o, start);
	pg_free(pg);
	if (n == 0)
		die(EXIT_REJECTED, "there is nothing to replay: no version of that kind in this database");
	return EXIT_OK;
}
