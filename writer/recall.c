/* See recall.h. One range of the index for the whole batch: rejects are few. */
#include "recall.h"

#include "sql.h"

/* Takes a row for the item that it is of. */
static void
row_take(const struct pg *db, int row, struct batch *b, struct item *it, struct buf *conflict)
{
	struct slice reason = pg_text(db, 0, row, 1);
	it->ingested_at = pg_i64(db, 0, row, 2);
	if (it->kind != ITEM_UPDATE)
		return;
	conflict->len = 0;
	batch_conflict(conflict, it->version);
	if (!slice_same(reason, slice_buf(conflict))) {
		it->reason = batch_keep(b, reason);
		b->apart = true;
	}
}

enum pg_status
recall_rejects(struct pg *db, struct batch *b)
{
	struct pg_param p[3] = {0};
	struct buf conflict = {0};
	int64_t least = -1, most = -1;
	for (size_t i = 0; i < b->n; i++) {
		if (!b->items[i].replayed)
			continue;
		least = least < 0 || b->items[i].offset < least ? b->items[i].offset : least;
		most = b->items[i].offset > most ? b->items[i].offset : most;
	}
	if (least < 0)
		return PG_OK;
	pg_set_text(&p[0], slice_buf(&b->source));
	pg_set_i64(&p[1], least);
	pg_set_i64(&p[2], most);
	enum pg_status status = pg_exec(db, sql_rejects_recall, p, 3);
	int rows = status == PG_OK ? pg_rows(db, 0) : 0;
	/* Both are in the order of offsets. */
	for (size_t i = 0, row = 0; row < (size_t)rows; row++) {
		int64_t offset = pg_i64(db, 0, (int)row, 0);
		while (i < b->n && b->items[i].offset < offset)
			i++;
		bool last = row + 1 == (size_t)rows || pg_i64(db, 0, (int)row + 1, 0) != offset;
		if (last && i < b->n && b->items[i].offset == offset && b->items[i].replayed)
			row_take(db, (int)row, b, &b->items[i], &conflict);
	}
	pg_params_free(p, 3);
	buf_free(&conflict);
	return status;
}
