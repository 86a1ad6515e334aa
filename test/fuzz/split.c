// with: reader/split.c reader/map.c
/* The input splitter. What comes out of a stream is the same however read(2) cuts it,
 * and where another splitter goes on behind any record, as the spool's readers do. It is also what
 * the stream holds by a plain second reading: lines between newlines, or elements between
 * brackets and commas, each where the one before it ended. */
#include "fuzz.h"

#include "log.h"
#include "reader/split.h"

#include <stdlib.h>
#include <string.h>

static const char ended[] = "end\n", empty[] = "empty\n";

static void
splitter_free(struct split *s)
{
	record_free(&s->record);
	buf_free(&s->reason);
	buf_free(&s->error);
	lines_free(&s->in);
}

/* Writes down all that comes out. `reload`: goes on in a new splitter behind every so many records; 0 for never. */
static void
transcribe(struct buf *out, struct slice stream, bool lines_only, uint64_t cuts, unsigned reload)
{
	struct split s = {0}, other = {0};
	struct place place;
	enum split_status status;
	unsigned records = 0;
	out->len = 0;
	feed_start(stream, cuts);
	split_start(&s, FEED_FD, lines_only);
	while ((status = split_next(&s)) == SPLIT_RECORD || status == SPLIT_MORE) {
		if (status == SPLIT_RECORD) {
			buf_printf(out, "%llu %llu %zu ", (unsigned long long)split_line(&s),
			    (unsigned long long)s.total, s.raw.n);
			check(s.raw.n == s.total || (s.raw.n < s.total && s.raw.n <= RAW_BYTES && s.reason.len));
			if (!s.reason.len && record_has(&s.record, M_ID))
				buf_slice(out, s.record.m[M_ID]);
			buf_slice(out, slice_buf(&s.reason));
			buf_text(out, "\n=");
			buf_slice(out, s.raw);
			buf_char(out, '\n');
			if (reload && ++records % reload == 0 && split_place(&s, &place)) {
				/* As one does that begins at an entry of a spool's index. */
				size_t at = stream.n - feed_rest().n - split_left(&s);
				bool array = split_is_array(&s);
				feed_start((struct slice){stream.p + at, stream.n - at}, cuts += 1 + records);
				split_start_at(&other, FEED_FD, array, &place);
				struct split old = s;
				s = other;
				other = old;
			}
			continue;
		}
		check(split_read(&s) >= 0);
	}
	if (status == SPLIT_BROKEN) {
		const char *near = strstr(buf_cstr(&s.error), ", near \"");
		check(near && s.error.len < 1000 && fuzz_is_safe(slice_buf(&s.error)));
		buf_text(out, s.cut_off ? "cut off: " : "broken: ");
		buf_add(out, s.error.p, (size_t)(near - s.error.p));
		buf_char(out, '\n');
	} else {
		buf_text(out, status == SPLIT_END ? ended : empty);
	}
	check(split_next(&s) == status);
	splitter_free(&s);
	splitter_free(&other);
}

/* Takes "LINE TOTAL SHOWN …\n=RAW\n" off the front of what was written down. Returns false where there is no more
 * record. */
static bool
entry(struct slice *written, uint64_t *number, uint64_t *total, struct slice *raw)
{
	if (written->n == 0 || *written->p < '0' || *written->p > '9')
		return false;
	char *p;
	*number = strtoull(written->p, &p, 10);
	*total = strtoull(p, &p, 10);
	size_t n = strtoull(p, &p, 10);
	/* A name may not hold a newline, so that this is the record's. */
	p = memchr(p, '\n', written->n - (size_t)(p - written->p));
	check(p && p[1] == '=' && n < written->n);
	*raw = (struct slice){p + 2, n};
	check(raw->p + n < written->p + written->n && raw->p[n] == '\n');
	written->n -= (size_t)(raw->p + n + 1 - written->p);
	written->p = raw->p + n + 1;
	return true;
}

static bool
is_space(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static uint64_t
lines_before(const char *p, const char *at)
{
	uint64_t n = 1;
	for (; p < at; p++)
		n += *p == '\n';
	return n;
}

static size_t
mark_length(struct slice stream)
{
	return stream.n >= 3 && memcmp(stream.p, "\xef\xbb\xbf", 3) == 0 ? 3 : 0;
}

static void
check_lines(struct slice stream, struct slice written)
{
	uint64_t number, total;
	struct slice raw;
	const char *end = stream.p + stream.n, *p = stream.p;
	/* A byte order mark and white space before the first record are none of it. */
	p += mark_length(stream);
	while (is_space(*p))
		p++;
	while (p < end) {
		const char *newline = memchr(p, '\n', (size_t)(end - p)), *stop = newline ? newline : end, *text = p;
		while (text < stop && is_space(*text))
			text++;
		struct slice left = written;
		/* Blank ones are no records, unless they are too long to be looked at. The last one, if it is not
		 * whole, is none. */
		if (text < stop || stop - p > RECORD_BYTES) {
			bool there = entry(&left, &number, &total, &raw);
			check(there || (!newline && stop - p <= RECORD_BYTES));
			if (there) {
				check(number == lines_before(stream.p, p) && total == (uint64_t)(stop - p));
				check(raw.n <= total && memcmp(raw.p, p, raw.n) == 0);
				written = left;
			}
		}
		p = stop + 1;
	}
	check(slice_is(written, ended));
}

static void
check_array(struct slice stream, struct slice written, const char *p)
{
	uint64_t number, total;
	struct slice raw;
	const char *end = stream.p + stream.n;
	for (bool first = true; entry(&written, &number, &total, &raw); first = false) {
		while (p < end && is_space(*p))
			p++;
		if (!first) {
			check(p < end && *p++ == ',');
			while (p < end && is_space(*p))
				p++;
		}
		check(number == lines_before(stream.p, p) && total > 0 && total <= (uint64_t)(end - p));
		check(memcmp(raw.p, p, raw.n) == 0);
		p += total;
	}
	if (!slice_is(written, ended)) {
		const char *offset = strstr(written.p, "byte offset ");
		check(offset && (size_t)(offset - written.p) < written.n);
		uint64_t at = strtoull(offset + 12, NULL, 10);
		check(at >= (uint64_t)(p - stream.p) && at <= stream.n);
		number = lines_before(stream.p, stream.p + at);
		check(strtoull(strstr(written.p, "line ") + 5, NULL, 10) == number);
		return;
	}
	while (p < end && is_space(*p))
		p++;
	check(p < end && *p++ == ']');
	while (p < end && is_space(*p))
		p++;
	check(p == end);
}

static void
check_same(const struct buf *a, const struct buf *b)
{
	check(slice_same(slice_buf(a), slice_buf(b)));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct buf whole, cut;
	if (size < 2)
		return 0;
	bool lines_only = data[0] & 1;
	uint64_t cuts = data[1] | 0x100;
	struct slice stream = {(const char *)data + 2, size - 2};
	log_set(LOG_ERROR, false);

	transcribe(&whole, stream, lines_only, 0, 0);
	transcribe(&cut, stream, lines_only, cuts, 0);
	check_same(&whole, &cut);
	transcribe(&cut, stream, lines_only, cuts + 1, 1 + (data[0] >> 1) % 8);
	check_same(&whole, &cut);

	const char *p = stream.p + mark_length(stream), *end = stream.p + stream.n;
	while (p < end && is_space(*p))
		p++;
	buf_cstr(&whole);
	if (p == end)
		check(slice_is(slice_buf(&whole), empty));
	else if (*p == '[' && lines_only)
		check(strncmp(whole.p, "broken: ", 8) == 0);
	else if (*p == '[')
		check_array(stream, slice_buf(&whole), p + 1);
	else
		check_lines(stream, slice_buf(&whole));
	return 0;
}
