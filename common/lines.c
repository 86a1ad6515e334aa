/* See lines.h. */
#include "lines.h"

#include "log.h"
#include "record.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#ifndef FUZZING_BUILD_MODE_UNSAFE_FOR_PRODUCTION
enum { READ_BYTES = 128 << 10 };
#else /* libFuzzer's builds: a buffer of that size anew each time would be most of the work */
enum { READ_BYTES = 1 << 10 };
#endif

ssize_t
lines_read(struct lines *l)
{
	buf_drop(&l->buf, l->at);
	l->looked -= l->at;
	l->at = 0;
	buf_reserve(&l->buf, READ_BYTES);
	ssize_t n;
	do
		n = read(l->fd, l->buf.p + l->buf.len, l->most && l->most < READ_BYTES ? l->most : READ_BYTES);
	while (n < 0 && errno == EINTR);
	if (n > 0)
		l->buf.len += (size_t)n;
	l->eof = n == 0;
	return n;
}

static bool
is_blank(struct slice s)
{
	bool ignored;
	return json_space(s.p, s.p + s.n, &ignored) == s.p + s.n;
}

/* Whether the unterminated last line is a whole JSON value. */
static bool
is_complete(struct slice s)
{
	struct json_scan scan = {0};
	bool ignored;
	const char *end = s.p + s.n;
	return json_value(json_space(s.p, end, &ignored), end, 0, &scan) == JSON_OK &&
	       json_space(scan.end, end, &ignored) == end;
}

enum line_status
lines_next(struct lines *l, struct slice *line)
{
	if (!l->buf.p)
		return LINE_NONE;
	for (;;) {
		const char *from = l->buf.p + l->looked;
		const char *newline = l->looked < l->buf.len ? memchr(from, '\n', l->buf.len - l->looked) : NULL;
		size_t end = newline ? (size_t)(newline - l->buf.p) : l->buf.len;

		/* A line too long to hold: keep its beginning, count the rest. */
		if (l->skipping || end - l->at > l->max) {
			if (!l->skipping)
				l->total = l->kept.len = 0;
			size_t n = end - l->at, room = RAW_BYTES - l->kept.len;
			buf_add(&l->kept, l->buf.p + l->at, n < room ? n : room);
			l->total += n;
			l->at = l->looked = newline ? end + 1 : end;
			l->skipping = !newline && !l->eof;
			if (l->skipping)
				return LINE_NONE;
			*line = slice_buf(&l->kept);
			l->number++;
			return LINE_LONG;
		}
		l->looked = end;
		if (!newline && !(l->eof && end > l->at))
			return LINE_NONE;
		*line = (struct slice){l->buf.p + l->at, end - l->at};
		l->total = line->n;
		l->at = l->looked = newline ? end + 1 : end;
		l->number++;
		if (is_blank(*line))
			continue;
		if (!newline && !is_complete(*line)) {
			l->cut = true;
			log_warn(
			    "dropped the last line, %zu bytes: it has no newline and is not complete JSON", line->n);
			return LINE_NONE;
		}
		return LINE_OK;
	}
}

void
lines_free(struct lines *l)
{
	buf_free(&l->buf);
	buf_free(&l->kept);
}
