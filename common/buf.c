/* Growable byte buffers. Capacity doubles, so that appending costs constant time
 * an octet; numbers are written without printf because every record has five. */
#include "buf.h"

#include "log.h"
#include "utf8.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void *
mem_grow(void *p, size_t n)
{
	void *q = realloc(p, n ? n : 1);
	if (!q)
		die(EXIT_TEMPORARY, "out of memory: %zu bytes more were refused", n);
	return q;
}

void *
mem_alloc(size_t n)
{
	return mem_grow(NULL, n);
}

char *
mem_string(struct slice s)
{
	char *q = mem_alloc(s.n + 1);
	if (s.n)
		memcpy(q, s.p, s.n);
	q[s.n] = '\0';
	return q;
}

void
buf_grow(struct buf *b, size_t more)
{
	size_t want = b->len + more;
	size_t cap = b->cap < 256 ? 256 : b->cap * 2;
	if (cap < want)
		cap = want;
	b->p = mem_grow(b->p, cap);
	b->cap = cap;
}

void
buf_u64(struct buf *b, uint64_t v)
{
	enum { MOST = 20 };
	size_t n = 1;
	for (uint64_t power = 10; n < MOST && v >= power; power *= 10)
		n++;
	buf_reserve(b, MOST);
	b->len += n;
	char *p = b->p + b->len;
	for (; v >= 10; v /= 100) {
		unsigned two = (unsigned)(v % 100);
		*--p = (char)('0' + two % 10);
		*--p = (char)('0' + two / 10);
	}
	if (n % 2)
		*--p = (char)('0' + v);
}

void
buf_i64(struct buf *b, int64_t v)
{
	if (v < 0)
		buf_char(b, '-');
	buf_u64(b, v < 0 ? -(uint64_t)v : (uint64_t)v);
}

void
buf_number(struct buf *b, struct slice digits)
{
	size_t sign = digits.n > 0 && digits.p[0] == '-';
	bool integer = digits.n > sign && strspn(digits.p + sign, "0123456789") >= digits.n - sign;
	for (size_t i = 0; i < digits.n; i++) {
		if (integer && i > sign && (digits.n - i) % 3 == 0)
			buf_char(b, ',');
		buf_char(b, digits.p[i]);
	}
}

void
buf_printf(struct buf *b, const char *format, ...)
{
	va_list ap, again;
	va_start(ap, format);
	va_copy(again, ap);
	int n = vsnprintf(NULL, 0, format, ap);
	va_end(ap);
	if (n > 0) {
		buf_reserve(b, (size_t)n + 1);
		vsnprintf(b->p + b->len, (size_t)n + 1, format, again);
		b->len += (size_t)n;
	}
	va_end(again);
}

void
buf_json(struct buf *b, struct slice s)
{
	static const char hex[] = "0123456789abcdef";
	buf_reserve(b, s.n * 6 + 2);
	char *q = b->p + b->len;
	*q++ = '"';
	for (size_t i = 0; i < s.n; i++) {
		unsigned char c = (unsigned char)s.p[i];
		if (c >= 0x20 && c != '"' && c != '\\') {
			*q++ = (char)c;
			continue;
		}
		const char *at = memchr("\"\"\\\\\bb\ff\nn\rr\tt", c, 14);
		*q++ = '\\';
		if (at) {
			*q++ = at[1];
		} else {
			*q++ = 'u';
			*q++ = '0';
			*q++ = '0';
			*q++ = hex[c >> 4];
			*q++ = hex[c & 15];
		}
	}
	*q++ = '"';
	b->len = (size_t)(q - b->p);
}

/* Whether a terminal would act on it, or reorder text by it (Unicode's Bidi_Control). */
static bool
is_control(uint32_t c)
{
	return c < 0x20 || (c >= 0x7f && c < 0xa0) || c == 0x61c || c == 0x200e || c == 0x200f ||
	       (c >= 0x2028 && c <= 0x202e) || (c >= 0x2066 && c <= 0x2069) || c == 0xfeff;
}

void
buf_safe(struct buf *b, struct slice s)
{
	if (s.n == 0)
		return;
	const char *p = s.p, *end = s.p + s.n;
	while (p < end) {
		uint32_t c;
		size_t n = utf8_decode(p, end, &c);
		if (n == 0) {
			buf_printf(b, "\\x%02x", (unsigned char)*p);
			p++;
			continue;
		}
		if (is_control(c))
			buf_printf(b, "\\u%04x", (unsigned)c);
		else
			buf_add(b, p, n);
		p += n;
	}
}

void
buf_base64(struct buf *b, struct slice s)
{
	static const char set[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	for (size_t i = 0; i < s.n; i += 3) {
		size_t left = s.n - i;
		unsigned v = (unsigned)(unsigned char)s.p[i] << 16;
		v |= left > 1 ? (unsigned)(unsigned char)s.p[i + 1] << 8 : 0;
		v |= left > 2 ? (unsigned char)s.p[i + 2] : 0;
		char four[4] = {
		    set[v >> 18], set[v >> 12 & 63], left > 1 ? set[v >> 6 & 63] : '=', left > 2 ? set[v & 63] : '='};
		buf_add(b, four, 4);
	}
}

void
buf_drop(struct buf *b, size_t n)
{
	if (n == 0)
		return;
	b->len -= n;
	memmove(b->p, b->p + n, b->len);
}

const char *
buf_cstr(struct buf *b)
{
	buf_reserve(b, 1);
	b->p[b->len] = '\0';
	return b->p;
}

void
buf_free(struct buf *b)
{
	free(b->p);
	*b = (struct buf){0};
}

bool
slice_is(struct slice s, const char *text)
{
	size_t n = strlen(text);
	return s.n == n && (n == 0 || memcmp(s.p, text, n) == 0);
}

bool
slice_same(struct slice a, struct slice b)
{
	return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}

struct slice
slice_of(const char *text)
{
	return (struct slice){text, strlen(text)};
}

struct slice
slice_buf(const struct buf *b)
{
	return (struct slice){b->p, b->len};
}
