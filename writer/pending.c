/* What is pending, told as events: to a restarted timerd, and to whoever asks. Row by
 * row, as there may be millions; not through a cursor, which no two processes of the
 * server would work for. */
#include "writer.h"

#include "clock.h"
#include "log.h"
#include "sql.h"
#include "tell.h"

#include <unistd.h>

struct telling {
	struct db *db;
	struct out *out;
	struct text_style style;
	struct buf line;
};

static void
row_tell(void *context)
{
	struct telling *t = context;
	struct db *db = t->db;
	struct update u = {
	    .id = db_text(db, 0, 0, 0),
	    .version = db_i64(db, 0, 0, 1),
	    .account_type = db_text(db, 0, 0, 2),
	    .callback_ms = (uint64_t)db_i64(db, 0, 0, 4),
	    .data = db_text(db, 0, 0, 5),
	    .source = db_text(db, 0, 0, 6),
	    .offset = db_i64(db, 0, 0, 7),
	    .trace = db_text(db, 0, 0, 8),
	};
	scan_integer(db_text(db, 0, 0, 3), UINT64_MAX, &u.tokens);
	t->line.len = 0;
	buf_text(&t->line, "{\"event\":\"pending\"");
	tell_update(&t->line, &u, db_i64(db, 0, 0, 9));
	buf_char(&t->line, '}');
	text_record(&t->out->buf, t->style, slice_buf(&t->line));
	if (out_full(t->out) && out_flush(t->out) != 0)
		out_failed();
}

void
pending_tell(struct db *db, struct out *out, struct text_style style, const struct slice *source, int64_t delivered)
{
	struct telling t = {.db = db, .out = out, .style = style};
	struct db_param p[2] = {0};
	if (source)
		db_set_text(&p[0], *source);
	else
		db_set_null(&p[0]);
	if (delivered >= 0)
		db_set_i64(&p[1], delivered);
	else
		db_set_null(&p[1]);
	enum db_status status = db_each(db, sql_pending, p, 2, row_tell, &t);
	if (status != DB_OK)
		die(status == DB_RETRY ? EXIT_TEMPORARY : EXIT_PERMANENT, "could not read what is pending: %s",
		    db_error(db));
	if (out_flush(out) != 0)
		out_failed();
	db_params_free(p, 2);
	buf_free(&t.line);
}

int
pending_main(const struct writer_options *o)
{
	struct db *db = writer_connect(o, "acctflow pending");
	struct out out;
	out_open(&out, STDOUT_FILENO);
	struct slice source = o->source ? slice_of(o->source) : (struct slice){0};
	pending_tell(db, &out, text_style((enum format)o->format, STDOUT_FILENO), o->source ? &source : NULL, -1);
	buf_free(&out.buf);
	db_free(db);
	return EXIT_OK;
}
