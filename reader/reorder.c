/* See reorder.h. */
#include "reorder.h"

#include <stdlib.h>

struct held *
reorder_add(struct reorder *o)
{
	if (o->len == o->cap) {
		o->cap = o->cap ? o->cap * 2 : 1024;
		o->held = mem_grow(o->held, o->cap * sizeof *o->held);
	}
	struct held *h = &o->held[o->len++];
	*h = (struct held){.order = o->len, .at = o->text.len};
	return h;
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
