/* Packed is: for each member its length in seven-bit groups, lowest first (LEB128),
 * then the members' JSON texts behind one another. Names are not kept: at ten million callbacks they would be half a
 * gigabyte. */
#include "callback.h"

#include "time.h"

#include <string.h>

static const enum member packed[] = {M_SOURCE, M_OFFSET, M_ACCOUNT_TYPE, M_TOKENS, M_DATA, M_TRACE};
enum { PACKED = sizeof packed / sizeof *packed };

static void
pack(struct buf *b, const struct slice part[PACKED])
{
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

static void
unpack(struct slice s, struct slice part[PACKED])
{
	const char *p = s.p;
	for (int i = 0; i < PACKED; i++) {
		size_t n = 0;
		for (int shift = 0;; shift += 7) {
			unsigned char c = (unsigned char)*p++;
			n |= (size_t)(c & 0x7f) << shift;
			if (c < 0x80)
				break;
		}
		part[i].n = n;
	}
	for (int i = 0; i < PACKED; i++) {
		part[i].p = p;
		p += part[i].n;
	}
}

static bool
is_string(const struct record *r, enum member m)
{
	return record_has(r, m) && r->m[m].p[0] == '"';
}

const char *
schedule_read(const struct record *r, struct schedule *s)
{
	uint64_t version, ignored;
	if (!is_string(r, M_ID))
		return member_name[M_ID];
	s->id = r->m[M_ID];
	if (r->escaped >> M_ID & 1) {
		struct slice text = record_text(r, M_ID, &s->room);
		s->id_room.len = 0;
		buf_json(&s->id_room, text);
		s->id = slice_buf(&s->id_room);
	}
	if (s->id.n > TIMER_ID_MAX)
		return member_name[M_ID];
	if (record_integer(r, M_VERSION, VERSION_MAX, &version) != 0)
		return member_name[M_VERSION];
	s->version = (int64_t)version;
	if (record_time(r, M_DUE_AT, &s->due) != 0)
		return member_name[M_DUE_AT];
	if (!is_string(r, M_ACCOUNT_TYPE))
		return member_name[M_ACCOUNT_TYPE];
	if (record_integer(r, M_TOKENS, UINT64_MAX, &ignored) != 0)
		return member_name[M_TOKENS];
	if (record_has(r, M_SOURCE) && !is_string(r, M_SOURCE))
		return member_name[M_SOURCE];
	if (record_has(r, M_OFFSET) && record_integer(r, M_OFFSET, VERSION_MAX, &ignored) != 0)
		return member_name[M_OFFSET];
	if (record_has(r, M_TRACE) && !is_string(r, M_TRACE))
		return member_name[M_TRACE];

	struct slice part[PACKED];
	for (int i = 0; i < PACKED; i++)
		part[i] = r->m[packed[i]];
	if (!record_has(r, M_DATA))
		part[4] = SLICE("null");
	else if (r->spaced[M_DATA])
		part[4] = slice_buf(&r->compact);
	pack(&s->content_room, part);
	s->content = slice_buf(&s->content_room);
	return NULL;
}

void
schedule_free(struct schedule *s)
{
	buf_free(&s->id_room);
	buf_free(&s->content_room);
	buf_free(&s->room);
}

static void
add(struct buf *b, const char *name, struct slice value)
{
	if (value.n) {
		buf_text(b, name);
		buf_slice(b, value);
	}
}

static void
add_time(struct buf *b, const char *name, int64_t t)
{
	buf_text(b, name);
	buf_char(b, '"');
	buf_time(b, t);
	buf_char(b, '"');
}

/* What both records begin with. */
static void
begin(struct buf *b, const char *event, const struct timer *r, struct slice part[PACKED])
{
	unpack(timer_content(r), part);
	buf_text(b, "{\"event\":\"");
	buf_text(b, event);
	buf_char(b, '"');
	add(b, ",\"source\":", part[0]);
	add(b, ",\"offset\":", part[1]);
	add(b, ",\"id\":", timer_id(r));
	buf_text(b, ",\"version\":");
	buf_i64(b, r->version);
}

void
callback_fired(struct buf *b, const struct timer *r, int64_t now)
{
	struct slice part[PACKED];
	begin(b, "fired", r, part);
	add(b, ",\"accountType\":", part[2]);
	add(b, ",\"tokens\":", part[3]);
	add(b, ",\"data\":", part[4]);
	add_time(b, ",\"dueAt\":", r->item.due);
	add_time(b, ",\"firedAt\":", now);
	buf_text(b, ",\"latenessUs\":");
	buf_i64(b, now - r->item.due);
	if (r->recovered)
		buf_text(b, ",\"recovered\":true");
	add(b, ",\"trace\":", part[5]);
	buf_char(b, '}');
}

void
callback_cancelled(struct buf *b, const struct timer *r, int64_t superseded_by, int64_t now)
{
	struct slice part[PACKED];
	begin(b, "cancelled", r, part);
	buf_text(b, ",\"supersededBy\":");
	buf_i64(b, superseded_by);
	add_time(b, ",\"dueAt\":", r->item.due);
	add_time(b, ",\"cancelledAt\":", now);
	add(b, ",\"trace\":", part[5]);
	buf_char(b, '}');
}
