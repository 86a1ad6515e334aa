/* A hand-written scanner instead of a library: it is what the product is about,
 * each record passes it three times, and of the C libraries at hand none is strict,
 * exact to 64 bits and free of allocation at once. No recursion: nesting is a bit a
 * level, so that hostile depth costs nothing. */
#include "json.h"

#include "block.h"
#include "utf8.h"

#include <string.h>

enum json_status
json_bad(struct json_scan *s, const char *at, const char *why)
{
	s->fault = (struct json_fault){why, at};
	return JSON_BAD;
}

static void
refuse(struct json_scan *s, const char *at, const char *why)
{
	if (!s->refuse.why)
		s->refuse = (struct json_fault){why, at};
}

/* The value of the four hexadecimal digits at p; -1 where they are none, -2 where the text ends among them. */
static int
hex4(const char *p, const char *end)
{
	int v = 0;
	for (int i = 0; i < 4; i++) {
		if (p + i >= end)
			return -2;
		char c = p[i];
		int digit = c >= '0' && c <= '9'   ? c - '0'
			    : c >= 'a' && c <= 'f' ? c - 'a' + 10
			    : c >= 'A' && c <= 'F' ? c - 'A' + 10
						   : -1;
		if (digit < 0)
			return -1;
		v = v * 16 + digit;
	}
	return v;
}

/* Scans the escape whose backslash is at *pp and moves past it. A pair of surrogates is one escape. */
static enum json_status
scan_escape(const char **pp, const char *end, struct json_scan *s)
{
	const char *p = *pp;
	if (p + 1 >= end)
		return JSON_MORE;
	if (p[1] != 'u') {
		if (!memchr("\"\\/bfnrt", p[1], 8))
			return json_bad(s, p, "unknown escape in a string");
		*pp = p + 2;
		return JSON_OK;
	}
	int v = hex4(p + 2, end);
	if (v == -2)
		return JSON_MORE;
	if (v < 0)
		return json_bad(s, p, "\\u without four hexadecimal digits");
	*pp = p + 6;
	if (v == 0)
		refuse(s, p, "\\u0000 in a string, which Postgres cannot store");
	if (v >= 0xdc00 && v <= 0xdfff)
		refuse(s, p, "lone surrogate in a string");
	if (v < 0xd800 || v > 0xdbff)
		return JSON_OK;

	/* A high surrogate wants a low one behind it; what follows instead is scanned by the next round. */
	if (end - *pp < 2 && (*pp == end || **pp == '\\'))
		return JSON_MORE;
	if ((*pp)[0] == '\\' && (*pp)[1] == 'u') {
		int low = hex4(*pp + 2, end);
		if (low == -2)
			return JSON_MORE;
		if (low >= 0xdc00 && low <= 0xdfff) {
			*pp += 6;
			return JSON_OK;
		}
	}
	refuse(s, p, "lone surrogate in a string");
	return JSON_OK;
}

const char *
json_blanks(const char *p, const char *end)
{
	for (; end - p >= BLOCK_BYTES; p += BLOCK_BYTES) {
		block b = block_load(p);
		unsigned n = block_first(~(block)((b == ' ') | (b == '\n') | (b == '\r') | (b == '\t')));
		if (n < BLOCK_BYTES)
			return p + n;
	}
	while (p < end && (*p == ' ' || *p == '\n' || *p == '\r' || *p == '\t'))
		p++;
	return p;
}

/* White space between a value's tokens. */
static const char *
gap(const char *p, const char *end, struct json_scan *s)
{
	const char *q = json_space(p, end, &s->spaced);
	if (q != p && s->compact) {
		buf_add(s->compact, s->rest, (size_t)(p - s->rest));
		s->rest = q;
	}
	return q;
}

/* What in a string needs a look: quote, backslash, control character or what is not ASCII. */
static inline block
special(block b)
{
	return (block)((b == '"') | (b == '\\') | (b < 0x20)) | b;
}

enum json_status
json_string(const char *p, const char *end, struct json_scan *s)
{
	p++;
	for (;;) {
		for (unsigned n = BLOCK_BYTES; n == BLOCK_BYTES && end - p >= BLOCK_BYTES; p += n)
			n = block_first(special(block_load(p)));
		if (p >= end)
			return JSON_MORE;
		unsigned char c = (unsigned char)*p;
		if (c == '"') {
			s->end = p + 1;
			return JSON_OK;
		}
		if (c == '\\') {
			s->escaped = true;
			enum json_status r = scan_escape(&p, end, s);
			if (r != JSON_OK)
				return r;
		} else if (c < 0x20) {
			return json_bad(s, p, c == '\n' ? "line end inside a string" : "control character in a string");
		} else if (c < 0x80) {
			p++;
		} else {
			size_t n = utf8_decode(p, end, NULL);
			if (n == 0) {
				refuse(s, p, "invalid UTF-8");
				n = 1;
			}
			p += n;
		}
	}
}

static const char *
scan_digits(const char *p, const char *end)
{
	while (p < end && *p >= '0' && *p <= '9')
		p++;
	return p;
}

static enum json_status
scan_number(const char *p, const char *end, struct json_scan *s)
{
	const char *start = p;
	if (*p == '-')
		p++;
	const char *whole = p;
	if (p == end)
		return JSON_MORE;
	p = scan_digits(p, end);
	if (p == whole)
		return json_bad(s, p, "'-' without a digit behind it");
	if (*whole == '0' && p - whole > 1)
		return json_bad(s, whole, "number with a leading zero");
	int64_t before = p - whole, behind = 0, exponent = 0;
	if (before <= JSON_DIGITS && p < end && *p != '.' && *p != 'e' && *p != 'E') {
		s->end = p;
		return JSON_OK;
	}
	if (p < end && *p == '.') {
		const char *fraction = ++p;
		p = scan_digits(p, end);
		behind = p - fraction;
		if (behind == 0)
			return p == end ? JSON_MORE : json_bad(s, p, "number with '.' but no digit behind it");
	}
	if (p < end && (*p == 'e' || *p == 'E')) {
		p++;
		bool minus = p < end && *p == '-';
		if (p < end && (*p == '-' || *p == '+'))
			p++;
		const char *e = p;
		p = scan_digits(p, end);
		if (p == e)
			return p == end ? JSON_MORE : json_bad(s, p, "number with an exponent of no digits");
		for (; e < p; e++)
			if (exponent < 1000000000)
				exponent = exponent * 10 + (*e - '0');
		if (minus)
			exponent = -exponent;
	}
	int64_t left = before + exponent > 1 ? before + exponent : 1;
	int64_t right = behind - exponent > 0 ? behind - exponent : 0;
	if (left + right > JSON_DIGITS)
		refuse(s, start, "number of more than 1,000 digits written out");
	s->end = p;
	return JSON_OK;
}

static enum json_status
scan_word(const char *p, const char *end, struct json_scan *s)
{
	const char *word = *p == 't' ? "true" : *p == 'f' ? "false" : *p == 'n' ? "null" : NULL;
	if (!word)
		return json_bad(s, p,
		    *p == '\0'			? "NUL byte"
		    : (unsigned char)*p >= 0x80 ? "byte outside a string that is not ASCII"
						: "unexpected character");
	size_t n = strlen(word), left = (size_t)(end - p);
	if (memcmp(p, word, left < n ? left : n) != 0)
		return json_bad(s, p, "unknown word");
	if (left < n)
		return JSON_MORE;
	s->end = p + n;
	return JSON_OK;
}

static enum json_status
scan_scalar(const char *p, const char *end, struct json_scan *s)
{
	if (*p == '"')
		return json_string(p, end, s);
	if (*p == '-' || (*p >= '0' && *p <= '9'))
		return scan_number(p, end, s);
	return scan_word(p, end, s);
}

enum json_status
json_name(const char *p, const char *end, struct slice *token, struct json_scan *s)
{
	if (p == end)
		return JSON_MORE;
	if (*p != '"')
		return json_bad(s, p, "expected a member name in quotes");
	enum json_status r = json_string(p, end, s);
	if (r != JSON_OK)
		return r;
	*token = (struct slice){p, (size_t)(s->end - p)};
	p = gap(s->end, end, s);
	if (p == end)
		return JSON_MORE;
	if (*p != ':')
		return json_bad(s, p, "expected ':' behind a member name");
	s->end = gap(p + 1, end, s);
	return s->end == end ? JSON_MORE : JSON_OK;
}

static enum json_status
scan_nested(const char *p, const char *end, int depth, struct json_scan *s)
{
	uint64_t objects[JSON_DEPTH / 64 + 1] = {0}; /* a bit a level: is it an object */
	int level = depth;
	enum json_status r;

	for (;;) {
		if (p == end)
			return JSON_MORE;
		bool opened = *p == '{' || *p == '[';
		if (opened) {
			if (level == JSON_DEPTH)
				return JSON_DEEP;
			uint64_t bit = UINT64_C(1) << level % 64;
			objects[level / 64] = *p == '{' ? objects[level / 64] | bit : objects[level / 64] & ~bit;
			level++;
			p = gap(p + 1, end, s);
		} else {
			r = scan_scalar(p, end, s);
			if (r != JSON_OK)
				return r;
			p = s->end;
		}

		/* Behind a value, or behind an opening bracket: close what closes here, or go on to the next value. */
		for (;; opened = false) {
			if (level == depth) {
				s->end = p;
				return JSON_OK;
			}
			p = opened ? p : gap(p, end, s);
			if (p == end)
				return JSON_MORE;
			bool object = objects[(level - 1) / 64] >> (level - 1) % 64 & 1;
			if (*p == (object ? '}' : ']')) {
				level--;
				p++;
				continue;
			}
			if (!opened) {
				if (*p != ',')
					return json_bad(s, p, object ? "expected ',' or '}'" : "expected ',' or ']'");
				p = gap(p + 1, end, s);
			}
			if (object) {
				struct slice name;
				r = json_name(p, end, &name, s);
				if (r != JSON_OK)
					return r;
				p = s->end;
			}
			break;
		}
	}
}

enum json_status
json_value(const char *p, const char *end, int depth, struct json_scan *s)
{
	if (p == end)
		return JSON_MORE;
	return *p == '{' || *p == '[' ? scan_nested(p, end, depth, s) : scan_scalar(p, end, s);
}

void
json_compact(struct buf *b, struct slice value)
{
	bool ignored;
	const char *end = value.p + value.n, *p = json_space(value.p, end, &ignored);
	struct json_scan s = {.compact = b, .rest = p};
	if (json_value(p, end, 0, &s) == JSON_OK)
		buf_add(b, s.rest, (size_t)(s.end - s.rest));
}

static void
buf_utf8(struct buf *b, unsigned c)
{
	if (c < 0x80) {
		buf_char(b, (char)c);
		return;
	}
	if (c < 0x800) {
		buf_char(b, (char)(0xc0 | c >> 6));
	} else {
		if (c < 0x10000) {
			buf_char(b, (char)(0xe0 | c >> 12));
		} else {
			buf_char(b, (char)(0xf0 | c >> 18));
			buf_char(b, (char)(0x80 | (c >> 12 & 0x3f)));
		}
		buf_char(b, (char)(0x80 | (c >> 6 & 0x3f)));
	}
	buf_char(b, (char)(0x80 | (c & 0x3f)));
}

void
json_unescape(struct buf *b, struct slice token)
{
	const char *p = token.p + 1, *end = token.p + token.n - 1;
	while (p < end) {
		const char *slash = memchr(p, '\\', (size_t)(end - p));
		buf_add(b, p, (size_t)((slash ? slash : end) - p));
		if (!slash)
			return;
		p = slash + 2;
		if (slash[1] != 'u') {
			const char *at = memchr("b\bf\fn\nr\rt\t", slash[1], 10);
			buf_char(b, at ? at[1] : slash[1]);
			continue;
		}
		unsigned c = (unsigned)hex4(p, end);
		p += 4;
		if (c >= 0xd800 && c <= 0xdbff && end - p >= 6 && p[0] == '\\' && p[1] == 'u') {
			unsigned low = (unsigned)hex4(p + 2, end);
			if (low >= 0xdc00 && low <= 0xdfff) {
				c = 0x10000 + ((c - 0xd800) << 10) + (low - 0xdc00);
				p += 6;
			}
		}
		buf_utf8(b, c);
	}
}

int
json_integer(struct slice token, uint64_t max, uint64_t *value)
{
	enum { FIT = 19 }; /* so many digits always do */
	uint64_t v = 0;
	if (token.n == 0 || (token.n > 1 && token.p[0] == '0'))
		return -1;
	bool over = false;
	const char *p = token.p, *end = p + token.n, *few = token.n > FIT ? p + FIT : end;
	for (unsigned digit; p < few; p++) {
		if ((digit = (unsigned)(*p - '0')) > 9)
			return -1;
		v = v * 10 + digit;
	}
	for (unsigned digit; p < end; p++) {
		if ((digit = (unsigned)(*p - '0')) > 9)
			return -1;
		over |= v > UINT64_MAX / 10 || v * 10 > UINT64_MAX - digit;
		v = v * 10 + digit;
	}
	if (over || v > max)
		return -2;
	*value = v;
	return 0;
}
