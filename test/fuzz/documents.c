/* Makes JSON documents and near misses, with our verdict on each as the `data` of an
 * update, for COPY: `CLASS <tab> bytea`. First the files that are named, as they are, then
 * N others: grown by the grammar, or one of the files or such a one changed. CLASS says why
 * it is refused: syntax, zero, surrogate, utf8, digits, deep; `taken` where it is not.
 * usage: documents N SEED [FILE...] */
#include "fuzz.h"

#include "record.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static uint64_t state;
static struct buf *files;
static int file_count;

_Noreturn void
check_failed(const char *what, const char *file, int line)
{
	fprintf(stderr, "%s:%d: does not hold: %s\n", file, line, what);
	abort();
}

static uint64_t
draw(uint64_t n)
{
	uint64_t z = state += UINT64_C(0x9e3779b97f4a7c15);
	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return (z ^ z >> 31) % n;
}

#define ONE_OF(list) (list)[draw(sizeof(list) / sizeof *(list))]

static void
put_space(struct buf *b)
{
	while (draw(8) == 0)
		buf_char(b, " \t\r\n"[draw(4)]);
}

static void
put_digits(struct buf *b)
{
	static const unsigned lengths[] = {1, 1, 1, 2, 3, 5, 17, 20, 40, 499, 500, 501, 999, 1000, 1001};
	unsigned n = draw(4) ? 1 + (unsigned)draw(4) : ONE_OF(lengths);
	buf_char(b, (char)('0' + (n == 1 ? draw(10) : 1 + draw(9))));
	while (--n)
		buf_char(b, (char)('0' + draw(10)));
}

static void
put_number(struct buf *b)
{
	static const char *const exponents[] = {"0", "1", "-1", "+2", "00", "308", "-324", "400", "498", "-499", "500",
	    "998", "-998", "999", "-999", "1000", "-1000", "+1001", "16383", "-16383", "131071", "131072", "-131072",
	    "1000000000", "2147483647", "-2147483648", "99999999999999999999"};
	if (draw(3) == 0)
		buf_char(b, '-');
	if (draw(4) == 0)
		buf_char(b, '0');
	else
		put_digits(b);
	if (draw(3) == 0) {
		buf_char(b, '.');
		put_digits(b);
	}
	if (draw(4) == 0) {
		buf_char(b, "eE"[draw(2)]);
		buf_text(b, ONE_OF(exponents));
	}
}

static void
put_string(struct buf *b)
{
	static const char *const parts[] = {"a", "key", " ", "\xc3\xa9", "\xe2\x82\xac", "\xf0\x9f\x98\x80",
	    "\xef\xbb\xbf", "\xef\xbf\xbf", "\xf4\x8f\xbf\xbf", "\x7f", "\xe2\x80\xa8", "\\\"", "\\\\", "\\/",
	    "\\b\\f\\n\\r\\t", "\\u0041", "\\u00e9", "\\u20AC", "\\uD83D\\uDe00", "\\uffff", "\\u0001", "\\u007f", "'",
	    "{", "]", ","};
	static const char *const rare[] = {"\\u0000", "\\ud800", "\\udc00", "\\udc00\\ud800", "\\ud800\\ud800\\udc00",
	    "\\ud800x", "\\ud800\\n", "\\ud83d\\u0041", "\xff", "\xc0\x80", "\xed\xa0\x80", "\xf4\x90\x80\x80",
	    "\xe2\x82", "\x1f", "\n", "\t", "\\x41", "\\u12", "\\u+123", "\\U0041", "\\"};
	buf_char(b, '"');
	for (uint64_t n = draw(5); n; n--)
		buf_text(b, draw(200) ? ONE_OF(parts) : ONE_OF(rare));
	buf_char(b, '"');
}

static void
put_value(struct buf *b, int depth)
{
	static const char *const words[] = {"null", "true", "false"};
	uint64_t kind = draw(depth > 6 ? 6 : 10);
	put_space(b);
	if (kind < 2) {
		put_number(b);
	} else if (kind < 4) {
		put_string(b);
	} else if (kind < 6) {
		buf_text(b, ONE_OF(words));
	} else {
		bool object = kind >= 8;
		buf_char(b, object ? '{' : '[');
		put_space(b);
		for (uint64_t n = draw(4); n; n--) {
			if (object) {
				put_space(b);
				put_string(b);
				put_space(b);
				buf_char(b, ':');
			}
			put_value(b, depth + 1);
			if (n > 1)
				buf_char(b, ',');
		}
		buf_char(b, object ? '}' : ']');
	}
	put_space(b);
}

static void
put_deep(struct buf *b)
{
	static const unsigned depths[] = {100, 509, 510, 511, 512, 513, 600, 1200};
	unsigned n = ONE_OF(depths);
	bool object = draw(2);
	for (unsigned i = 0; i < n; i++)
		buf_text(b, object ? "{\"a\":" : "[");
	buf_text(b, "1");
	for (unsigned i = 0; i < n; i++)
		buf_char(b, object ? '}' : ']');
}

static void
insert(struct buf *b, size_t at, const char *p, size_t n)
{
	buf_reserve(b, n);
	if (b->len > at)
		memmove(b->p + at + n, b->p + at, b->len - at);
	memcpy(b->p + at, p, n);
	b->len += n;
}

static void
change(struct buf *b)
{
	static const char *const bits[] = {"{", "}", "[", "]", ",", ":", "\"", "\\", "0", "1", "-", ".", "e", "E", "+",
	    " ", "\n", "\t", "\r", "\f", "\v", "\x01", "\x7f", "\xff", "\xc3", "\x80", "\xa0", "null", "tru", "/", "'",
	    "\\u", "\\u0000", "\\ud800", "00", ".5", "2.", "e5", "\xef\xbb\xbf", "\xe2\x80\xa8", "a", "N", ";", "#"};
	size_t at = draw(b->len + 1), n = b->len - at;
	switch (draw(6)) {
	case 0:
		if (n)
			b->p[at] = (char)(b->p[at] ^ 1 << draw(8));
		break;
	case 1:
		n = n ? 1 + draw(n < 4 ? n : 4) : 0;
		if (n)
			memmove(b->p + at, b->p + at + n, b->len - at - n);
		b->len -= n;
		break;
	case 2:
		if (draw(4) == 0)
			b->len = at;
		break;
	case 3: {
		/* A piece of itself, elsewhere. */
		char piece[16];
		n = n < sizeof piece ? n : sizeof piece;
		if (n)
			memcpy(piece, b->p + at, n);
		insert(b, draw(b->len + 1), piece, n);
		break;
	}
	case 4:
		if (draw(8) == 0)
			insert(b, at, "", 1);
		break;
	default: {
		const char *bit = ONE_OF(bits);
		insert(b, at, bit, strlen(bit));
	}
	}
}

static void
make(struct buf *b)
{
	b->len = 0;
	uint64_t how = draw(100);
	if (how == 0)
		put_deep(b);
	else if (how < 30 && file_count)
		buf_slice(b, slice_buf(&files[draw((uint64_t)file_count)]));
	else
		put_value(b, 0);
	if (how < 70)
		for (uint64_t n = 1 + draw(3); n; n--)
			change(b);
}

static const char *
verdict(struct slice doc)
{
	struct json_scan s = {0};
	bool ignored;
	const char *end = doc.p + doc.n, *p = doc.n ? json_space(doc.p, end, &ignored) : end;
	/* The record around it is the first level. */
	switch (json_value(p, end, 1, &s)) {
	case JSON_DEEP:
		return "deep";
	case JSON_OK:
		break;
	default:
		return "syntax";
	}
	if (json_space(s.end, end, &ignored) != end)
		return "syntax";
	return !s.refuse.why			   ? "taken"
	       : strstr(s.refuse.why, "digits")	   ? "digits"
	       : strstr(s.refuse.why, "surrogate") ? "surrogate"
	       : strstr(s.refuse.why, "UTF-8")	   ? "utf8"
						   : "zero";
}

/* An update with it is taken if it is, and only then; but for what is no JSON by itself and makes some with its
 * surroundings. */
static void
check_embedded(struct slice doc, const char *class)
{
	static struct record r;
	static struct update u;
	static struct buf line, reason, compact;
	line.len = compact.len = 0;
	buf_text(
	    &line, "{\"id\":\"a\",\"accountType\":\"t\",\"tokens\":1,\"callbackTimeMs\":2,\"version\":3,\"data\":");
	buf_slice(&line, doc);
	buf_char(&line, '}');
	bool taken = record_parse_line(slice_buf(&line), &r) == 0 && update_read(&r, &u, &reason) == 0;
	check(strcmp(class, "syntax") == 0 || taken == (strcmp(class, "taken") == 0));
	if (strcmp(class, "taken") == 0) {
		json_compact(&compact, doc);
		check(slice_same(u.data, slice_buf(&compact)));
	}
}

static void
put_line(struct slice doc)
{
	static const char hex[] = "0123456789abcdef";
	static struct buf line;
	const char *class = verdict(doc);
	check_embedded(doc, class);
	line.len = 0;
	buf_text(&line, class);
	buf_text(&line, "\t\\\\x");
	for (size_t i = 0; i < doc.n; i++) {
		buf_char(&line, hex[(unsigned char)doc.p[i] >> 4]);
		buf_char(&line, hex[doc.p[i] & 15]);
	}
	buf_char(&line, '\n');
	fwrite(line.p, 1, line.len, stdout);
}

static bool
file_read(const char *path, struct buf *b)
{
	FILE *f = fopen(path, "re");
	if (!f)
		return false;
	for (size_t n = 1; n; b->len += n) {
		buf_reserve(b, 65536);
		n = fread(b->p + b->len, 1, 65536, f);
	}
	fclose(f);
	return true;
}

int
main(int argc, char **argv)
{
	uint64_t n;
	struct buf doc = {0};
	if (argc < 3 || json_integer(slice_of(argv[1]), UINT64_MAX, &n) != 0 ||
	    json_integer(slice_of(argv[2]), UINT64_MAX, &state) != 0) {
		fputs("usage: documents N SEED [FILE...]\n", stderr);
		return 100;
	}
	files = mem_alloc((size_t)argc * sizeof *files);
	for (int i = 3; i < argc; i++) {
		files[file_count] = (struct buf){0};
		if (!file_read(argv[i], &files[file_count])) {
			perror(argv[i]);
			return 100;
		}
		put_line(slice_buf(&files[file_count]));
		/* Long ones are few; changed they would be most of the bytes. */
		if (files[file_count].len <= 4096)
			file_count++;
		else
			buf_free(&files[file_count]);
	}
	for (; n; n--) {
		make(&doc);
		put_line(slice_buf(&doc));
	}
	buf_free(&doc);
	while (file_count)
		buf_free(&files[--file_count]);
	free(files);
	return fflush(stdout) == 0 ? 0 : 111;
}
