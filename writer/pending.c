/* What is pending, told as events: to a restarted timerd, and to whoever asks. Row by
 * row, as there may be millions; not through a cursor, which no two processes of the
 * server would work for. */
#include "writer.h"

#include "time.h"
#include "log.h"
#include "sql.h"
#include "tell.h"

#include <unistd.h>

struct telling {
	struct pg *db;
	struct output *out;
	struct display_style style;
	struct buf line;
};

static void
row_tell(void *context)
{
	struct telling *t = context;
	struct pg *db = t->db;
	struct update u = {
	    .id = pg_text(db, 0, 0, 0),
	    .version = pg_i64(db, 0, 0, 1),
	    .account_type = pg_text(db, 0, 0, 2),
	    .callback_ms = (uint64_t)pg_i64(db, 0, 0, 4),
	    .data = pg_text(db, 0, 0, 5),
	    .source = pg_text(db, 0, 0, 6),
	    .offset = pg_i64(db, 0, 0, 7),
	    .trace = pg_text(db, 0, 0, 8),
	};
	json_integer(pg_text(db, 0, 0, 3), UINT64_MAX, &u.tokens);
	t->line.len = 0;
	buf_text(&t->line, "{\"event\":\"pending\"");
	tell_update(&t->line, &u, pg_i64(db, 0, 0, 9));
	buf_char(&t->line, '}');
	display_record(&t->out->buf, t->style, slice_buf(&t->line));
	if (output_full(t->out) && output_flush(t->out) != 0)
		output_failed();
}

void
pending_tell(struct pg *db, struct output *out, struct display_style style, const struct slice *source, int64_t delivered)
{
	struct telling t = {.db = db, .out = out, .style = style};
	struct pg_param p[2] = {0};
	if (source)
		pg_set_text(&p[0], *source);
	else
		pg_set_null(&p[0]);
	if (delivered >= 0)
		pg_set_i64(&p[1], delivered);
	else
		pg_set_null(&p[1]);
	enum pg_status status = pg_each(db, sql_pending, p, 2, row_tell, &t);
	if (status != PG_OK)
		die(status == PG_RETRY ? EXIT_TEMPORARY : EXIT_PERMANENT, "could not read what is pending: %s",
		    pg_error(db));
	if (output_flush(out) != 0)
		output_failed();
	pg_params_free(p, 2);
	buf_free(&t.line);
}

int
pending_main(const struct writer_options *o)
{
	struct pg *db = writer_connect(o, "acctflow pending");
	struct output out;
	output_open(&out, STDOUT_FILENO);
	struct slice source = o->source ? slice_of(o->source) : (struct slice){0};
	pending_tell(db, &out, display_style((enum format)o->format, STDOUT_FILENO), o->source ? &source : NULL, -1);
	buf_free(&out.buf);
	pg_free(db);
	return EXIT_OK;
}
