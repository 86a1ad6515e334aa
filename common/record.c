/* See record.h. */
#include "record.h"

#include "hash.h"
#include "time.h"
#include "utf8.h"

#include <endian.h>
#include <stdlib.h>
#include <string.h>

/* clang-format off */
const char *const member_name[M_COUNT] = {
	"event", "source", "shard", "offset", "id", "version", "accountType", "tokens", "callbackTimeMs",
	"deleted", "data", "arriveMs", "trace", "ingestedAt", "dueAt", "currentVersion", "reason", "replayed",
	"supersededBy", "cancelledAt", "firedAt", "latenessUs", "recovered", "line", "raw", "rawBytes",
	"rawEncoding", "seed", "arrival", "delayMs", "speed", "clock", "from", "fingerprint", "startedAt",
	"read", "lastOffset", "complete", "broken", "attempts", "error", "readAt", "commitAt", "committedAt",
	"batch", "attemptsAt",
};
/* clang-format on */

static enum member
member_find(struct slice name)
{
	/* By length and first byte: the first such member, plus one. */
	static unsigned char first[64];
	static unsigned char length[M_COUNT];
	if (!length[0])
		for (int m = M_COUNT - 1; m >= 0; m--) {
			length[m] = (unsigned char)strlen(member_name[m]);
			first[(length[m] * 7 + member_name[m][0]) % 64] = (unsigned char)(m + 1);
		}
	int m = name.n ? first[(name.n * 7 + (unsigned char)name.p[0]) % 64] - 1 : -1;
	for (; m >= 0 && m < M_COUNT; m++)
		if (length[m] == name.n && memcmp(member_name[m], name.p, name.n) == 0)
			return (enum member)m;
	return M_COUNT;
}

static int
name_compare(const void *a, const void *b)
{
	const struct slice *x = a, *y = b;
	if (x->n != y->n)
		return x->n < y->n ? -1 : 1;
	return memcmp(x->p, y->p, x->n);
}

static void
given_twice(struct record *r, struct slice name, const char *at)
{
	if (r->fault.why)
		return;
	r->fault = (struct json_fault){"member name given twice", at};
	r->member = name;
}

/* Remembers a name that the contract does not have. Few are compared at once, many are sorted at the end: the time a
 * record takes must not grow with the square of its members. */
static void
other_add(struct record *r, struct slice name, const char *at)
{
	enum { FEW = 16 };
	for (size_t i = 0; r->other_len < FEW && i < r->other_len; i++)
		if (slice_same(r->other[i], name))
			given_twice(r, name, at);
	if (r->other_len == r->other_cap) {
		r->other_cap = r->other_cap ? r->other_cap * 2 : FEW;
		r->other = mem_grow(r->other, r->other_cap * sizeof *r->other);
	}
	r->other[r->other_len++] = name;
}

static void
others_check(struct record *r, const char *start)
{
	if (r->other_len <= 16)
		return;
	qsort(r->other, r->other_len, sizeof *r->other, name_compare);
	for (size_t i = 1; i < r->other_len; i++)
		if (slice_same(r->other[i - 1], r->other[i]))
			given_twice(r, r->other[i], start);
}

/* Puts one member in its place. The name's token has its quotes; m is which it is, where that is known already. */
static void
member_put(
    struct record *r, enum member m, struct slice token, bool escaped, struct slice value, const struct json_scan *s)
{
	struct slice name = {token.p + 1, token.n - 2};
	if (escaped) {
		/* Room for all names of the record was made before: the slices must not move. */
		size_t from = r->names.len;
		json_unescape(&r->names, token);
		name = (struct slice){r->names.p + from, r->names.len - from};
		m = member_find(name);
	}
	if (m == M_COUNT) {
		other_add(r, name, token.p);
	} else if (r->m[m].n) {
		given_twice(r, name, token.p);
	} else {
		r->m[m] = value;
		r->escaped |= (uint64_t)s->escaped << m;
		r->spaced[m] = s->spaced;
		/* It was not known for data while it was scanned. */
		if (escaped && m == M_DATA && s->spaced)
			json_compact(&r->compact, value);
	}
}

enum json_status
lead_parse(const char *p, const char *end, bool first, struct slice *token, struct json_scan *s)
{
	p = json_space(p, end, &s->spaced);
	*token = (struct slice){0};
	if (p == end)
		return JSON_MORE;
	if (*p == '}') {
		s->end = p + 1;
		return JSON_OK;
	}
	if (!first && *p != ',')
		return json_bad(s, p, "expected ',' or '}'");
	if (!first)
		p = json_space(p + 1, end, &s->spaced);
	return json_name(p, end, token, s);
}

void
lead_keep(struct lead *lead, struct slice text, struct slice token, unsigned char member)
{
	if (text.n > sizeof lead->text)
		return;
	memcpy(lead->text, text.p, text.n);
	lead->n = (unsigned char)text.n;
	lead->name = (unsigned char)(token.p - text.p);
	lead->name_n = (unsigned char)token.n;
	lead->member = member;
}

/* Parses the members behind the opening brace up to the closing one. */
static enum json_status
members_parse(const char *p, const char *end, struct record *r, struct json_scan *s)
{
	for (struct lead *lead = r->lead;; lead += lead < r->lead + LEADS - 1) {
		struct slice token;
		enum member m;
		bool escaped = false;
		if (lead_is(lead, p, end)) {
			token = (struct slice){p + lead->name, lead->name_n};
			m = (enum member)lead->member;
			p += lead->n;
		} else {
			s->escaped = false;
			enum json_status status = lead_parse(p, end, lead == r->lead, &token, s);
			if (status != JSON_OK || token.n == 0)
				return status;
			escaped = s->escaped;
			m = escaped ? M_COUNT : member_find((struct slice){token.p + 1, token.n - 2});
			if (m < M_COUNT)
				lead_keep(lead, (struct slice){p, (size_t)(s->end - p)}, token, (unsigned char)m);
			if (escaped && r->names.len == 0)
				buf_reserve(&r->names, (size_t)(end - token.p));
			p = s->end;
		}
		bool refused = s->refuse.why;
		s->spaced = s->escaped = false;
		s->compact = m == M_DATA ? &r->compact : NULL;
		s->rest = p;
		enum json_status status = json_value(p, end, 1, s);
		if (status == JSON_BAD || (s->refuse.why && !refused))
			r->member = (struct slice){token.p + 1, token.n - 2};
		if (status != JSON_OK)
			return status;
		if (s->compact && s->spaced)
			buf_add(s->compact, s->rest, (size_t)(s->end - s->rest));
		s->compact = NULL;
		/* Once something is to be refused the members no longer matter, and a bad name has no text to compare.
		 */
		if (!s->refuse.why)
			member_put(r, m, token, escaped, (struct slice){p, (size_t)(s->end - p)}, s);
		p = s->end;
	}
}

void
record_clear(struct record *r)
{
	_Static_assert(M_COUNT <= 64, "a bit a member");
	memset(r->m, 0, sizeof r->m);
	r->escaped = 0;
	r->fault = (struct json_fault){0};
	r->member = (struct slice){0};
	r->other_len = r->names.len = r->compact.len = 0;
}

enum json_status
record_end(struct record *r, enum json_status status, const struct json_scan *s, const char *p)
{
	r->end = s->end;
	if (status != JSON_OK)
		r->fault = status == JSON_DEEP ? (struct json_fault){"nesting deeper than 512", p} : s->fault;
	return status;
}

enum json_status
record_parse(const char *p, const char *end, struct record *r)
{
	struct json_scan s = {0};
	record_clear(r);
	if (p == end)
		return JSON_MORE;

	bool object = *p == '{';
	enum json_status status = object ? members_parse(p + 1, end, r, &s) : json_value(p, end, 0, &s);
	if (record_end(r, status, &s, p) != JSON_OK)
		return status;
	if (s.refuse.why)
		r->fault = s.refuse;
	else if (!object)
		r->fault = (struct json_fault){"not an object", p};
	else
		others_check(r, p);
	return JSON_OK;
}

int
record_line(struct record *r, enum json_status status, const char *end)
{
	bool ignored;
	switch (status) {
	case JSON_MORE:
		r->fault = (struct json_fault){"not JSON: ends in the middle of a value", end};
		return -1;
	case JSON_BAD:
	case JSON_DEEP:
		return -1;
	case JSON_OK:
		break;
	}
	const char *p = json_space(r->end, end, &ignored);
	if (p != end) {
		r->fault = (struct json_fault){"more text behind the value", p};
		r->member = (struct slice){0};
	}
	return r->fault.why ? -1 : 0;
}

int
record_parse_line(struct slice line, struct record *r)
{
	bool ignored;
	const char *end = line.p + line.n;
	return record_line(r, record_parse(json_space(line.p, end, &ignored), end, r), end);
}

void
record_free(struct record *r)
{
	free(r->other);
	buf_free(&r->names);
	buf_free(&r->compact);
	*r = (struct record){0};
}

bool
record_is(const struct record *r, enum member m, const char *text)
{
	size_t n = strlen(text);
	return r->m[m].n == n + 2 && r->m[m].p[0] == '"' && memcmp(r->m[m].p + 1, text, n) == 0;
}

/* The text of a string member, in `scratch` only where it has escapes. */
static struct slice
member_text(const struct record *r, enum member m, struct buf *scratch)
{
	struct slice token = r->m[m];
	if (token.n < 2 || token.p[0] != '"')
		return (struct slice){0};
	if (!(r->escaped >> m & 1))
		return (struct slice){token.p + 1, token.n - 2};
	size_t from = scratch->len;
	json_unescape(scratch, token);
	return (struct slice){scratch->p + from, scratch->len - from};
}

struct slice
record_text(const struct record *r, enum member m, struct buf *scratch)
{
	scratch->len = 0;
	return member_text(r, m, scratch);
}

int
record_integer(const struct record *r, enum member m, uint64_t max, uint64_t *value)
{
	return json_integer(r->m[m], max, value) == 0 ? 0 : -1;
}

int
record_time(const struct record *r, enum member m, int64_t *t)
{
	struct slice s = r->m[m];
	return s.n < 2 || s.p[0] != '"' ? -1 : time_parse((struct slice){s.p + 1, s.n - 2}, t);
}

static int
wrong(struct buf *reason, enum member m, const char *why)
{
	reason->len = 0;
	buf_printf(reason, "%s: %s", member_name[m], why);
	return -1;
}

static int
need_text(const struct record *r, enum member m, struct update *u, struct slice *text, struct buf *reason)
{
	if (!record_has(r, m))
		return wrong(reason, m, "missing");
	if (r->m[m].p[0] != '"')
		return wrong(reason, m, "not a string");
	*text = member_text(r, m, &u->scratch);
	if (text->n < 1 || text->n > NAME_BYTES)
		return wrong(reason, m, "not of 1 to 255 bytes");
	return 0;
}

static int
need_integer(const struct record *r, enum member m, uint64_t max, uint64_t *value, struct buf *reason)
{
	if (!record_has(r, m))
		return wrong(reason, m, "missing");
	int e = json_integer(r->m[m], max, value);
	if (e == 0)
		return 0;
	reason->len = 0;
	buf_printf(reason, "%s: %s 0 to %llu", member_name[m],
	    e == -1 ? "not an integer of digits only," : "out of range", (unsigned long long)max);
	return -1;
}

static bool
is_null(const struct record *r, enum member m)
{
	return !record_has(r, m) || slice_is(r->m[m], "null");
}

static int
need_bool(const struct record *r, enum member m, bool *value, struct buf *reason)
{
	*value = slice_is(r->m[m], "true");
	return *value || !record_has(r, m) || slice_is(r->m[m], "false") ? 0 : wrong(reason, m, "not true or false");
}

/* Type, tokens and callback: a delete may lack them, and never has a callback. */
static int
content_read(const struct record *r, struct update *u, struct buf *reason)
{
	uint64_t v = 0;
	u->account_type = (struct slice){0};
	u->tokens = 0;
	u->callback_ms = -1;
	u->has_tokens = !u->deleted || !is_null(r, M_TOKENS);
	if (!(u->deleted && is_null(r, M_ACCOUNT_TYPE)) &&
	    need_text(r, M_ACCOUNT_TYPE, u, &u->account_type, reason) != 0)
		return -1;
	if (u->has_tokens && need_integer(r, M_TOKENS, UINT64_MAX, &u->tokens, reason) != 0)
		return -1;
	if (u->deleted ? is_null(r, M_CALLBACK_TIME_MS) : slice_is(r->m[M_CALLBACK_TIME_MS], "null"))
		return 0;
	if (need_integer(r, M_CALLBACK_TIME_MS, CALLBACK_MAX, &v, reason) != 0)
		return -1;
	u->callback_ms = u->deleted ? -1 : (int64_t)v;
	return 0;
}

int
update_read(const struct record *r, struct update *u, struct buf *reason)
{
	uint64_t v = 0;
	u->scratch.len = 0;
	/* Enough for all that may be copied, so that no slice moves. */
	size_t most = r->m[M_ID].n + r->m[M_ACCOUNT_TYPE].n + r->m[M_SOURCE].n + r->m[M_DATA].n;
	if (most > u->scratch.cap)
		buf_reserve(&u->scratch, most);

	if (need_text(r, M_ID, u, &u->id, reason) || need_bool(r, M_DELETED, &u->deleted, reason) ||
	    content_read(r, u, reason) || need_integer(r, M_VERSION, VERSION_MAX, &v, reason))
		return -1;
	u->version = (int64_t)v;

	u->arrive_ms = u->offset = -1;
	if (record_has(r, M_ARRIVE_MS)) {
		if (need_integer(r, M_ARRIVE_MS, ARRIVE_MAX, &v, reason))
			return -1;
		u->arrive_ms = (int64_t)v;
	}
	u->trace = r->m[M_TRACE];
	if (u->trace.n && u->trace.p[0] != '"')
		return wrong(reason, M_TRACE, "not a string");
	u->read_at = NO_TIME;
	if (record_has(r, M_READ_AT) && record_time(r, M_READ_AT, &u->read_at) != 0)
		u->read_at = NO_TIME;
	if (record_has(r, M_SOURCE) && r->m[M_SOURCE].p[0] != '"')
		return wrong(reason, M_SOURCE, "not a string");
	u->source = member_text(r, M_SOURCE, &u->scratch);
	if (record_has(r, M_OFFSET)) {
		if (need_integer(r, M_OFFSET, VERSION_MAX, &v, reason))
			return -1;
		u->offset = (int64_t)v;
	}

	u->data = r->m[M_DATA].n ? r->m[M_DATA] : SLICE("null");
	if (r->m[M_DATA].n && r->spaced[M_DATA]) {
		size_t from = u->scratch.len;
		buf_slice(&u->scratch, slice_buf(&r->compact));
		u->data = (struct slice){u->scratch.p + from, u->scratch.len - from};
	}
	return 0;
}

uint64_t
update_hash(const struct update *u)
{
	const uint64_t number[] = {
	    u->tokens, (uint64_t)u->callback_ms, (uint64_t)u->version, (uint64_t)(u->deleted | u->has_tokens << 1)};
	uint64_t h = hash_fnv1a(HASH_FNV1A, u->id);
	for (size_t i = 0; i < sizeof number; i++) {
		const char byte = (char)(number[i / 8] >> i % 8 * 8);
		h = hash_fnv1a(h, (struct slice){&byte, 1});
	}
	h = hash_fnv1a(h, u->account_type);
	return hash_fnv1a(h, u->data);
}

void
update_free(struct update *u)
{
	buf_free(&u->scratch);
}

void
record_reason(struct buf *reason, const struct record *r, const char *start)
{
	enum { SHOWN = 64 };
	reason->len = 0;
	buf_safe(reason, (struct slice){r->member.p, r->member.n < SHOWN ? r->member.n : SHOWN});
	buf_text(reason, r->member.n > SHOWN ? "…: " : r->member.n ? ": " : "");
	buf_text(reason, r->fault.why);
	if (start)
		buf_printf(reason, ", at byte %zu", (size_t)(r->fault.at - start) + 1);
}

/* Whether [p, end) is the beginning of a character whose rest was cut off. */
static bool
is_cut(const char *p, const char *end)
{
	unsigned char c = (unsigned char)*p;
	size_t left = (size_t)(end - p);
	if (left >= (c >= 0xf0 ? 4u : c >= 0xe0 ? 3u : 2u) || c < 0xc2 || c > 0xf4)
		return false;
	while (++p < end && ((unsigned char)*p & 0xc0) == 0x80)
		continue;
	return p == end;
}

void
reject_raw(struct reject *j, struct slice bytes, uint64_t total, struct buf *scratch)
{
	const char *p = bytes.p, *end = bytes.p + bytes.n;
	const char *limit = bytes.p + (bytes.n < RAW_BYTES ? bytes.n : RAW_BYTES);
	bool text = true;
	/* Whole characters only: what is cut off in the middle of one is not invalid. */
	while (p < limit && text) {
		size_t n = *p ? utf8_decode(p, end, NULL) : 0;
		if (n == 0 && total > bytes.n && is_cut(p, end))
			break;
		text = n != 0;
		if (p + n > limit)
			break;
		p += n;
	}
	j->raw = (struct slice){bytes.p, (size_t)((text ? p : limit) - bytes.p)};
	j->base64 = !text;
	j->raw_bytes = total;
	scratch->len = 0;
	if (!text) {
		buf_base64(scratch, j->raw);
		j->raw = slice_buf(scratch);
	}
}

void
reject_read(const struct record *r, struct reject *j, struct buf *scratch)
{
	*j = (struct reject){.base64 = record_is(r, M_RAW_ENCODING, "base64")};
	scratch->len = 0;
	if (r->m[M_REASON].n + r->m[M_RAW].n > scratch->cap)
		buf_reserve(scratch, r->m[M_REASON].n + r->m[M_RAW].n);
	j->reason = member_text(r, M_REASON, scratch);
	j->raw = member_text(r, M_RAW, scratch);
	record_integer(r, M_LINE, UINT64_MAX, &j->line);
	record_integer(r, M_RAW_BYTES, UINT64_MAX, &j->raw_bytes);
}
