/* What is pending, told as events: to a restarted timerd, and to whoever asks. Read
 * through a cursor: there may be millions. */
#include "writer.h"

#include "clock.h"
#include "log.h"
#include "sql.h"
#include "tell.h"

#include <unistd.h>

static void
check(struct db *db, enum db_status status)
{
	if (status != DB_OK)
		die(status == DB_RETRY ? EXIT_TEMPORARY : EXIT_PERMANENT, "could not read what is pending: %s",
		    db_error(db));
}

static void
row_tell(struct db *db, int row, struct buf *line)
{
	struct item it = {
	    .id = db_text(db, 0, row, 0),
	    .version = db_i64(db, 0, row, 1),
	    .account_type = db_text(db, 0, row, 2),
	    .callback_ms = (uint64_t)db_i64(db, 0, row, 4),
	    .data = db_text(db, 0, row, 5),
	    .offset = db_i64(db, 0, row, 7),
	    .trace = db_text(db, 0, row, 8),
	    .ingested_at = db_i64(db, 0, row, 9),
	};
	scan_integer(db_text(db, 0, row, 3), UINT64_MAX, &it.tokens);
	line->len = 0;
	buf_text(line, "{\"event\":\"pending\"");
	tell_update(line, &it, db_text(db, 0, row, 6));
	buf_char(line, '}');
}

void
pending_tell(struct db *db, struct out *out, struct text_style style, const struct slice *source, int64_t delivered)
{
	struct db_param p[2] = {0};
	struct buf sql = {0}, line = {0};
	buf_text(&sql, "DECLARE acctflow_pending NO SCROLL CURSOR FOR ");
	buf_text(&sql, sql_pending);
	if (source)
		db_set_text(&p[0], *source);
	else
		db_set_null(&p[0]);
	if (delivered >= 0)
		db_set_i64(&p[1], delivered);
	else
		db_set_null(&p[1]);
	db_queue(db, "BEGIN READ ONLY", NULL, 0);
	db_queue(db, buf_cstr(&sql), p, 2);
	check(db, db_run(db));
	for (int rows = 1; rows > 0;) {
		check(db, db_exec(db, "FETCH 2000 FROM acctflow_pending", NULL, 0));
		rows = db_rows(db, 0);
		for (int i = 0; i < rows; i++) {
			row_tell(db, i, &line);
			text_record(&out->buf, style, slice_buf(&line));
		}
		if (out_flush(out) != 0)
			out_failed();
	}
	check(db, db_exec(db, "COMMIT", NULL, 0));
	db_params_free(p, 2);
	buf_free(&sql);
	buf_free(&line);
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
