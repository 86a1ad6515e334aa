/* See reorder.h. All text is in one piece of memory, which realloc moves by remapping. */
#include "reorder.h"

#include <stdlib.h>

static struct held *
reorder_add(struct reorder *o, uint64_t time, enum held_kind kind)
{
	if (o->len == o->cap) {
		o->cap = o->cap ? o->cap * 2 : 1024;
		o->held = mem_grow(o->held, o->cap * sizeof *o->held);
	}
	struct held *h = &o->held[o->len++];
	*h = (struct held){.time = time, .order = o->len, .stamp = -1, .at = o->text.len, .kind = kind};
	return h;
}

void
reorder_update(struct reorder *o, uint64_t time, int64_t stamp, const struct update *u, const struct record *r)
{
	struct held *h = reorder_add(o, time, HELD_UPDATE);
	h->stamp = stamp;
	h->hash = update_hash(u);
	event_update_body(&o->text, u, r);
	h->body = (uint32_t)(o->text.len - h->at);
	buf_slice(&o->text, u->trace);
	h->trace = (uint32_t)u->trace.n;
}

void
reorder_rejected(struct reorder *o, uint64_t time, int64_t stamp, const struct reject *j)
{
	struct held *h = reorder_add(o, time, HELD_REJECTED);
	h->stamp = stamp;
	event_rejected_body(&o->text, j);
	h->body = (uint32_t)(o->text.len - h->at);
}

void
reorder_foreign(struct reorder *o, uint64_t time)
{
	reorder_add(o, time, HELD_FOREIGN);
}

static int
reorder_compare(const void *a, const void *b)
{
	const struct held *x = a, *y = b;
	if (x->time != y->time)
		return x->time < y->time ? -1 : 1;
	return (x->order > y->order) - (x->order < y->order);
}

void
reorder_sort(struct reorder *o)
{
	if (o->len)
		qsort(o->held, o->len, sizeof *o->held, reorder_compare);
}

void
reorder_emit(const struct reorder *o, const struct held *h, struct buf *b, struct slice source, uint64_t offset)
{
	struct slice body = {o->text.p + h->at, h->body}, trace = {o->text.p + h->at + h->body, h->trace};
	if (h->kind == HELD_UPDATE)
		event_update_begin(b, source, (int64_t)offset);
	else
		event_rejected_begin(b, source, (int64_t)offset, NO_TIME);
	buf_slice(b, body);
	if (h->kind == HELD_UPDATE)
		event_update_end(b, trace, h->stamp);
	else
		event_rejected_end(b, h->stamp, false);
}
