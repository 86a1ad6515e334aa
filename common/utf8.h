/* UTF-8 as RFC 3629 has it: no overlong forms, no surrogates, nothing past U+10FFFF. */
#ifndef ACCTFLOW_UTF8_H
#define ACCTFLOW_UTF8_H

#include <stddef.h>
#include <stdint.h>

/* Decodes one character of [p, end) into *c (c may be NULL). Returns its length in bytes, or 0 where it is invalid or
 * cut short. p < end. */
static inline size_t
utf8_decode(const char *p, const char *end, uint32_t *c)
{
	const unsigned char *s = (const unsigned char *)p;
	size_t left = (size_t)(end - p);
	uint32_t v;
	size_t n;
	if (s[0] < 0x80) {
		v = s[0];
		n = 1;
	} else if (s[0] >= 0xc2 && s[0] <= 0xdf && left >= 2 && (s[1] & 0xc0) == 0x80) {
		v = (uint32_t)(s[0] & 0x1f) << 6 | (s[1] & 0x3f);
		n = 2;
	} else if ((s[0] & 0xf0) == 0xe0 && left >= 3 && (s[1] & 0xc0) == 0x80 && (s[2] & 0xc0) == 0x80) {
		v = (uint32_t)(s[0] & 0x0f) << 12 | (uint32_t)(s[1] & 0x3f) << 6 | (s[2] & 0x3f);
		n = v < 0x800 || (v >= 0xd800 && v <= 0xdfff) ? 0 : 3;
	} else if (s[0] >= 0xf0 && s[0] <= 0xf4 && left >= 4 && (s[1] & 0xc0) == 0x80 && (s[2] & 0xc0) == 0x80 &&
		   (s[3] & 0xc0) == 0x80) {
		v = (uint32_t)(s[0] & 0x07) << 18 | (uint32_t)(s[1] & 0x3f) << 12 | (uint32_t)(s[2] & 0x3f) << 6 |
		    (s[3] & 0x3f);
		n = v < 0x10000 || v > 0x10ffff ? 0 : 4;
	} else {
		return 0;
	}
	if (n && c)
		*c = v;
	return n;
}

#endif
