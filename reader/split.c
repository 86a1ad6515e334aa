/* The usual case costs one pass: record_parse finds an element's end while it checks
 * it. Only where the buffer ends inside an element does a second, simpler scan (is
 * this a string, how deep) look for the end, and keeps its state from read to read,
 * so that a slow pipe costs no more than a fast one. The same scan skips what is too
 * long to hold or nested too deep to check. */
#include "split.h"

#include "block.h"
#include "log.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

static const char too_long[] = "longer than 16 MiB", too_deep[] = "nesting deeper than 512";

void
split_start(struct split *s, int fd, bool lines_only)
{
	struct split old = *s;
	old.in.buf.len = old.in.kept.len = old.reason.len = old.error.len = 0;
	*s = (struct split){.record = old.record,
	    .reason = old.reason,
	    .error = old.error,
	    .map = old.map,
	    .lines_only = lines_only,
	    .repeats = true,
	    .place.line = 1,
	    .in = {.fd = fd, .max = RECORD_BYTES, .buf = old.in.buf, .kept = old.in.kept}};
}

static uint64_t
newlines(const char *p, const char *end)
{
	uint64_t count = 0;
	while (end - p >= BLOCK_BYTES) {
		block sum = {0}; /* of each column, as long as that fits a byte */
		for (int i = 0; i < UINT8_MAX && end - p >= BLOCK_BYTES; i++, p += BLOCK_BYTES)
			sum -= (block)(block_load(p) == '\n');
		for (int i = 0; i < BLOCK_BYTES; i++)
			count += sum[i];
	}
	for (; p < end; p++)
		count += *p == '\n';
	return count;
}

/* Moves the place to the buffer's byte `to`. Lines are counted late and in long stretches, because few are asked for.
 */
static void
place_move(struct split *s, size_t to)
{
	if (to <= s->counted)
		return;
	const char *p = s->in.buf.p + s->counted, *end = s->in.buf.p + to;
	s->place.byte += to - s->counted;
	s->counted = to;
	s->place.line += newlines(p, end);
	const char *last = memrchr(p, '\n', (size_t)(end - p));
	if (last)
		s->place.line_start = s->place.byte - (uint64_t)(end - last) + 1;
}

ssize_t
split_read(struct split *s)
{
	if (s->mode != SPLIT_LINES) {
		place_move(s, s->in.at);
		s->counted = 0;
		if (s->in.looked < s->in.at)
			s->in.looked = s->in.at;
	}
	return lines_read(&s->in);
}

void
split_end(struct split *s, bool end)
{
	/* An array that was begun elsewhere may be cut off there before anything was read. */
	buf_reserve(&s->in.buf, 1);
	s->in.eof = end;
}

uint64_t
split_line(struct split *s)
{
	if (s->mode == SPLIT_LINES)
		return s->in.number;
	if (s->skip_line)
		return s->skip_line;
	place_move(s, s->start);
	return s->place.line;
}

void
split_start_at(struct split *s, int fd, bool array, const struct place *place)
{
	split_start(s, fd, false);
	s->mode = array ? SPLIT_ARRAY : SPLIT_LINES;
	s->repeats = false;
	s->want = WANT_COMMA;
	s->place = *place;
	s->in.number = place->line - 1;
}

bool
split_place(struct split *s, struct place *place)
{
	if (s->map && s->map->elements.n)
		return false;
	if (s->mode == SPLIT_ARRAY) {
		place_move(s, s->in.at);
		*place = s->place;
		return s->want == WANT_COMMA;
	}
	/* Bytes are not counted in lines. */
	*place = (struct place){.line = s->in.number + 1};
	return s->mode == SPLIT_LINES;
}

/* The input ends at p, which is in the buffer. */
static enum split_status
broken(struct split *s, const char *p, const char *why)
{
	enum { BEFORE = 20, BEHIND = 40 };
	const char *first = s->in.buf.p, *end = first + s->in.buf.len;
	place_move(s, (size_t)(p - first));
	const char *from = p - first < BEFORE ? first : p - BEFORE;
	const char *to = end - p < BEHIND ? end : p + BEHIND;
	while (from < p && ((unsigned char)*from & 0xc0) == 0x80)
		from++;
	s->error.len = 0;
	buf_printf(&s->error, "line %llu, column %llu, byte offset %llu: %s, near \"",
	    (unsigned long long)s->place.line, (unsigned long long)(s->place.byte - s->place.line_start + 1),
	    (unsigned long long)s->place.byte, why);
	buf_safe(&s->error, (struct slice){from, (size_t)(to - from)});
	buf_char(&s->error, '"');
	return SPLIT_BROKEN;
}

static enum split_status
cut_off(struct split *s)
{
	s->cut_off = true;
	return broken(s, s->in.buf.p + s->in.buf.len, "the input ends inside the array");
}

static enum json_status
parse(struct split *s, const char *p, const char *end)
{
	return s->map ? map_parse(s->map, p, end, &s->record) : record_parse(p, end, &s->record);
}

/* Goes on looking for the end of the element at in.at. Returns whether it was found: in.looked is one past it. */
static bool
walk(struct split *s)
{
	const char *p = s->in.buf.p + s->in.looked, *end = s->in.buf.p + s->in.buf.len;
	bool found = false;
	for (; p < end && !found; p++) {
		if (s->walk.escape) {
			s->walk.escape = false;
		} else if (s->walk.string) {
			s->walk.escape = *p == '\\';
			s->walk.string = *p != '"';
			found = *p == '"' && s->walk.depth == 0;
		} else if (*p == '"') {
			s->walk.string = true;
		} else if (*p == '{' || *p == '[') {
			s->walk.depth++;
		} else if (s->walk.depth == 0) {
			/* A number or a word ends before what cannot be part of it. */
			if (memchr(" \t\r\n,]}", *p, 7)) {
				found = true;
				break;
			}
		} else if (*p == '}' || *p == ']') {
			found = --s->walk.depth == 0;
		}
	}
	s->in.looked = (size_t)(p - s->in.buf.p);
	s->walk.on = !found;
	return found;
}

static void
walk_start(struct split *s)
{
	memset(&s->walk, 0, sizeof s->walk);
	s->walk.on = true;
	s->in.looked = s->in.at;
}

static void
skip_start(struct split *s, const char *reason)
{
	walk_start(s);
	s->start = s->in.at;
	s->skip_line = split_line(s);
	s->skip_reason = reason;
	s->in.kept.len = 0;
	s->total = 0;
}

/* Drops what there is of the element, but for the beginning that is shown. */
static enum split_status
skip(struct split *s)
{
	bool found = walk(s);
	size_t n = s->in.looked - s->in.at, room = RAW_BYTES - s->in.kept.len;
	buf_add(&s->in.kept, s->in.buf.p + s->in.at, n < room ? n : room);
	s->total += n;
	s->in.at = s->in.looked;
	if (!found)
		return s->in.eof ? cut_off(s) : SPLIT_MORE;
	s->raw = slice_buf(&s->in.kept);
	buf_text(&s->reason, s->skip_reason);
	s->skip_reason = NULL;
	s->want = WANT_COMMA;
	return SPLIT_RECORD;
}

/* The element that starts at in.at. */
static enum split_status
element(struct split *s)
{
	size_t have = s->in.buf.len - s->in.at;
	if (s->walk.on && !walk(s) && !s->in.eof && have <= RECORD_BYTES)
		return SPLIT_MORE;

	/* Never more than a record may have, or the verdict would depend on how much happens to be there. */
	bool limited = have > RECORD_BYTES;
	const char *p = s->in.buf.p + s->in.at, *end = p + (limited ? RECORD_BYTES : have);
	enum json_status status = parse(s, p, end);
	bool digits = *p == '-' || (*p >= '0' && *p <= '9');
	if (status == JSON_OK && digits && s->record.end == end && (limited || !s->in.eof))
		status = JSON_MORE;

	switch (status) {
	case JSON_OK:
		s->start = s->in.at;
		s->raw = (struct slice){p, (size_t)(s->record.end - p)};
		s->total = s->raw.n;
		s->in.at += s->raw.n;
		s->want = WANT_COMMA;
		if (s->record.fault.why)
			record_reason(&s->reason, &s->record, p);
		return SPLIT_RECORD;
	case JSON_BAD:
		record_reason(&s->reason, &s->record, NULL);
		return broken(s, s->record.fault.at, buf_cstr(&s->reason));
	case JSON_DEEP:
		skip_start(s, too_deep);
		return skip(s);
	case JSON_MORE:
		break;
	}
	if (limited) {
		skip_start(s, too_long);
		return skip(s);
	}
	if (s->in.eof)
		return cut_off(s);
	walk_start(s);
	walk(s);
	return SPLIT_MORE;
}

static enum split_status
array_next(struct split *s)
{
	/* Loaded, and nothing was read yet. */
	if (!s->in.buf.p)
		return SPLIT_MORE;
	if (s->skip_reason)
		return skip(s);
	s->skip_line = 0;
	for (;;) {
		bool ignored;
		const char *end = s->in.buf.p + s->in.buf.len;
		const char *p = json_space(s->in.buf.p + s->in.at, end, &ignored);
		s->in.at = (size_t)(p - s->in.buf.p);
		if (p == end && s->in.eof)
			return s->want == WANT_NOTHING ? SPLIT_END : cut_off(s);
		if (p == end)
			return SPLIT_MORE;
		if (s->want == WANT_NOTHING)
			return broken(s, p, "more text behind the array");
		if (s->want == WANT_VALUE || (s->want == WANT_FIRST && *p != ']'))
			return element(s);
		if (*p != ',' && *p != ']')
			return broken(s, p, "expected ',' or ']' behind an element");
		s->want = *p == ',' ? WANT_VALUE : WANT_NOTHING;
		s->in.at++;
	}
}

static enum split_status
line_next(struct split *s)
{
	struct slice line = {0};
	bool ignored;
	switch (lines_next(&s->in, &line)) {
	case LINE_NONE:
		return s->in.eof ? SPLIT_END : SPLIT_MORE;
	case LINE_LONG:
		buf_text(&s->reason, too_long);
		break;
	case LINE_OK:;
		const char *end = line.p + line.n, *p = json_space(line.p, end, &ignored);
		if (record_line(&s->record, parse(s, p, end), end) != 0) {
			record_reason(&s->reason, &s->record, line.p);
			if (s->map)
				s->map->elements = (struct slice){0};
		}
		break;
	}
	s->raw = line;
	s->total = s->in.total;
	return SPLIT_RECORD;
}

/* Skips a byte order mark. Returns false where more has to be read to know. */
static bool
skip_mark(struct split *s)
{
	static const char mark[] = "\xef\xbb\xbf";
	size_t n = s->in.buf.len < 3 ? s->in.buf.len : 3;
	if (s->marked || s->place.byte || s->in.at || memcmp(s->in.buf.p, mark, n) != 0)
		return true;
	if (n < 3)
		return s->in.eof;
	s->marked = true;
	s->in.at = s->in.looked = 3;
	return true;
}

/* Array or lines, by the first byte that is not white space. */
static enum split_status
decide(struct split *s)
{
	bool ignored;
	if (s->in.buf.len && !skip_mark(s))
		return SPLIT_MORE;
	const char *p = s->in.buf.p, *end = p;
	if (s->in.buf.len) {
		end += s->in.buf.len;
		p = json_space(p + s->in.at, end, &ignored);
	}
	size_t at = (size_t)(p - s->in.buf.p);
	if (p == end) {
		s->in.at = s->in.looked = s->in.buf.len;
		return s->in.eof ? SPLIT_EMPTY : SPLIT_MORE;
	}
	if (*p == '[' && s->lines_only)
		return broken(s, p, "an array cannot be followed, only one record a line");
	place_move(s, at);
	s->in.at = s->in.looked = at + (*p == '[');
	s->in.number = s->place.line - 1;
	s->mode = *p == '[' ? SPLIT_ARRAY : SPLIT_LINES;
	return SPLIT_MORE;
}

/* The next element of the record that the map unwraps. */
static bool
element_next(struct split *s)
{
	if (!s->map || !map_next(s->map, &s->raw, &s->record))
		return false;
	s->total = s->raw.n;
	if (s->record.fault.why)
		record_reason(&s->reason, &s->record, s->raw.p);
	return true;
}

enum split_status
split_next(struct split *s)
{
	enum split_status status;
	bool whole; /* a record, not an element of one */
	s->reason.len = 0;
	do {
		whole = !element_next(s);
		status = SPLIT_RECORD;
		if (whole && s->mode == SPLIT_UNDECIDED)
			status = decide(s);
		if (whole && s->mode != SPLIT_UNDECIDED)
			status = s->mode == SPLIT_ARRAY ? array_next(s) : line_next(s);
	} while (whole && status == SPLIT_RECORD && !s->reason.len && s->map && s->map->unwrap);
	s->skipped = status == SPLIT_RECORD && !s->reason.len && s->map && s->map->skipped;
	return status;
}

int
split_ordinal(struct split *s, uint64_t *ordinal)
{
	uint64_t given;
	if (!s->map || !s->map->has_offset)
		return 1;
	if (s->reason.len || record_integer(&s->record, M_OFFSET, VERSION_MAX - 1, &given) != 0) {
		if (!s->reason.len)
			buf_text(&s->reason, "offset: missing, or no integer of digits only");
		s->skipped = s->repeats = false;
		return 1;
	}
	if (given < *ordinal && s->repeats)
		return 0;
	if (given < *ordinal) {
		s->error.len = 0;
		buf_printf(&s->error,
		    "line %llu: offset %llu does not rise, %llu was the last: records are not in the order of "
		    "the stream, or of several streams",
		    (unsigned long long)split_line(s), (unsigned long long)given, (unsigned long long)*ordinal - 1);
		return -1;
	}
	s->repeats = false;
	*ordinal = given;
	return 1;
}
