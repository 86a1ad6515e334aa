/* See hold.h. All text is in one piece of memory, which realloc moves by remapping. */
#include "reorder.h"

#include <stdlib.h>

static struct held *
add(struct reorder *hold, uint64_t time, bool rejected)
{
	if (hold->len == hold->cap) {
		hold->cap = hold->cap ? hold->cap * 2 : 1024;
		hold->held = mem_grow(hold->held, hold->cap * sizeof *hold->held);
	}
	struct held *h = &hold->held[hold->len++];
	*h = (struct held){.time = time, .stamp = -1, .at = hold->text.len, .rejected = rejected};
	return h;
}

void
reorder_update(struct reorder *hold, uint64_t time, int64_t stamp, const struct update *u, const struct record *r)
{
	struct held *h = add(hold, time, false);
	h->stamp = stamp;
	tell_body(&hold->text, u, r);
	h->body = (uint32_t)(hold->text.len - h->at);
	tell_tail(&hold->text, u);
	h->tail = (uint32_t)(hold->text.len - h->at - h->body);
}

void
reorder_rejected(struct reorder *hold, uint64_t time, struct slice reason, uint64_t line, struct slice raw, uint64_t total)
{
	struct held *h = add(hold, time, true);
	tell_rejected(&hold->text, reason, line, raw, total);
	h->body = (uint32_t)(hold->text.len - h->at);
}

static int
compare(const void *a, const void *b)
{
	const struct held *x = a, *y = b;
	if (x->time != y->time)
		return x->time < y->time ? -1 : 1;
	/* Texts lie in order of reading. */
	return (x->at > y->at) - (x->at < y->at);
}

void
reorder_sort(struct reorder *hold)
{
	if (hold->len)
		qsort(hold->held, hold->len, sizeof *hold->held, compare);
}

void
reorder_tell(const struct reorder *hold, const struct held *h, struct teller *t, uint64_t offset)
{
	struct buf *b = h->rejected ? tell_open_rejected(t, offset) : tell_open_update(t, offset);
	buf_add(b, hold->text.p + h->at, h->body);
	tell_stamp(b, h->stamp);
	buf_add(b, hold->text.p + h->at + h->body, h->tail);
	tell_close(t);
}

void
reorder_free(struct reorder *hold)
{
	free(hold->held);
	buf_free(&hold->text);
}
