/* Packed is: for each member its length in seven-bit groups, lowest first (LEB128),
 * then the members' JSON texts behind one another. Names are not kept: at ten million
 * callbacks they would be half a gigabyte. */
#include "callback.h"

#include "trace.h"

static const enum member packed[] = {M_SOURCE, M_OFFSET, M_ACCOUNT_TYPE, M_TOKENS, M_DATA, M_TRACE, M_INGESTED_AT};
enum { PACKED = sizeof packed / sizeof *packed };

static void
callback_pack(struct buf *b, const struct record *r)
{
	struct slice part[PACKED];
	for (int i = 0; i < PACKED; i++) {
		part[i] = r->m[packed[i]];
		if (packed[i] == M_DATA && !record_has(r, M_DATA))
			part[i] = SLICE("null");
		else if (packed[i] == M_DATA && r->spaced[M_DATA])
			part[i] = slice_buf(&r->compact);
		else if (packed[i] == M_INGESTED_AT && !trace_sampled(r->m[M_TRACE]))
			part[i] = (struct slice){0};
	}
	b->len = 0;
	for (int i = 0; i < PACKED; i++) {
		size_t n = part[i].n;
		for (; n >= 0x80; n >>= 7)
			buf_char(b, (char)(n | 0x80));
		buf_char(b, (char)n);
	}
	for (int i = 0; i < PACKED; i++)
		buf_slice(b, part[i]);
}

struct event_callback
callback_unpack(const struct timer *r)
{
	struct event_callback c = {.id = timer_id(r), .version = r->version, .due_at = r->item.due};
	struct slice *part[PACKED] = {
	    &c.source, &c.offset, &c.account_type, &c.tokens, &c.data, &c.trace, &c.ingested_at};
	const char *p = timer_content(r).p;
	for (int i = 0; i < PACKED; i++) {
		unsigned char byte = 0x80;
		for (int shift = 0; byte & 0x80; shift += 7) {
			byte = (unsigned char)*p++;
			part[i]->n |= (size_t)(byte & 0x7f) << shift;
		}
	}
	for (int i = 0; i < PACKED; p += part[i++]->n)
		part[i]->p = p;
	return c;
}

static bool
is_string(const struct record *r, enum member m)
{
	return record_has(r, m) && r->m[m].p[0] == '"';
}

/* The id, so written that equal ids are equal bytes. */
static struct slice
schedule_id(const struct record *r, struct schedule *s)
{
	if (!(r->escaped >> M_ID & 1))
		return r->m[M_ID];
	struct slice text = record_text(r, M_ID, &s->text);
	s->id_scratch.len = 0;
	buf_json(&s->id_scratch, text);
	return slice_buf(&s->id_scratch);
}

/* Whether an optional member is a string, if it is there. */
static bool
may_be_string(const struct record *r, enum member m)
{
	return !record_has(r, m) || is_string(r, m);
}

const char *
schedule_read(const struct record *r, struct schedule *s)
{
	uint64_t version, ignored;
	s->content = (struct slice){0};
	s->due = NO_TIME;
	s->id = is_string(r, M_ID) ? schedule_id(r, s) : (struct slice){0};
	if (!s->id.n || s->id.n > TIMER_ID_MAX)
		return member_name[M_ID];
	if (record_integer(r, M_VERSION, VERSION_MAX, &version) != 0)
		return member_name[M_VERSION];
	s->version = (int64_t)version;
	if (slice_is(r->m[M_DUE_AT], "null") || slice_is(r->m[M_DELETED], "true"))
		return NULL;
	if (record_time(r, M_DUE_AT, &s->due) != 0)
		return member_name[M_DUE_AT];
	if (!is_string(r, M_ACCOUNT_TYPE))
		return member_name[M_ACCOUNT_TYPE];
	if (record_integer(r, M_TOKENS, UINT64_MAX, &ignored) != 0)
		return member_name[M_TOKENS];
	if (record_has(r, M_OFFSET) && record_integer(r, M_OFFSET, VERSION_MAX, &ignored) != 0)
		return member_name[M_OFFSET];
	if (!may_be_string(r, M_SOURCE) || !may_be_string(r, M_TRACE))
		return member_name[may_be_string(r, M_SOURCE) ? M_TRACE : M_SOURCE];
	callback_pack(&s->content_scratch, r);
	s->content = slice_buf(&s->content_scratch);
	return NULL;
}
