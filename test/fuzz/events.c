// with: timerd/callback.c timerd/timers.c
/* timerd's reader of events, on the virtual clock: the program itself but for its main.
 * The same comes out however the input is cut into reads. All that comes in is passed on,
 * byte for byte and in order, but for what is between writer and timerd; what is emitted in
 * between are records of `fired`, at their due time, and of `cancelled`, at times that
 * never go back, no more than there were versions; and in the end nothing is pending. */
int timerd_main(int, char **);
#define main timerd_main
#include "../../timerd/timerd.c"
#undef main

#include "fuzz.h"

#include <string.h>

enum { OUTPUT_BYTES = 48 << 10 }; /* less than what would be written */

static struct record r;

static void
run_events(struct buf *out, struct slice stream, uint64_t cuts)
{
	struct timerd t = {
	    .in = {.fd = FEED_FD, .max = RECORD_BYTES}, .now = INT64_C(946684800000000), .virtual_clock = true};
	t.timers = timers_new();
	t.out.fd = -1;
	feed_start(stream, cuts);
	do {
		check(lines_read(&t.in) >= 0);
		handle_lines(&t);
	} while (!t.in.eof && t.out.buf.len < OUTPUT_BYTES);
	fire(&t, INT64_MAX, SIZE_MAX);
	check(timers_count(t.timers) == 0);
	check(t.n.fired + t.n.cancelled <= t.n.indexed + t.n.restored);
	out->len = 0;
	buf_slice(out, slice_buf(&t.out.buf));
	timers_free(t.timers);
	record_free(&t.record);
	buf_free(&t.schedule.id_scratch);
	buf_free(&t.schedule.content_scratch);
	buf_free(&t.schedule.text);
	buf_free(&t.source);
	buf_free(&t.line);
	lines_free(&t.in);
	buf_free(&t.out.buf);
}

static bool
is_passed_on(struct slice line)
{
	return record_parse_line(line, &r) != 0 ||
	       !(record_is(&r, M_EVENT, "pending") || record_is(&r, M_EVENT, "caughtup"));
}

/* Takes a line off the front. */
static bool
line_take(struct slice *text, struct slice *line)
{
	const char *newline = text->n ? memchr(text->p, '\n', text->n) : NULL;
	size_t n = newline ? (size_t)(newline - text->p) : text->n;
	if (text->n == 0)
		return false;
	*line = (struct slice){text->p, n};
	text->p += n + (newline != NULL);
	text->n -= n + (newline != NULL);
	return true;
}

/* The next line of the input that must come out, as another reading of the lines gives them. */
static bool
wanted_next(struct lines *in, struct slice *line)
{
	enum line_status status;
	while ((status = lines_next(in, line)) != LINE_NONE)
		if (status == LINE_OK && is_passed_on(*line))
			return true;
	return false;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct buf whole, cut;
	if (size < 1 || size > OUTPUT_BYTES / 8)
		return 0;
	struct slice stream = {(const char *)data + 1, size - 1}, line, want;
	log_set(LOG_ERROR, false);
	run_events(&whole, stream, 0);
	run_events(&cut, stream, data[0] | 0x100);
	check(slice_same(slice_buf(&whole), slice_buf(&cut)));

	struct lines in = {.fd = FEED_FD, .max = RECORD_BYTES};
	feed_start(stream, 0);
	while (lines_read(&in) > 0)
		continue;
	bool left = wanted_next(&in, &want);
	struct slice out = slice_buf(&whole);
	int64_t last = INT64_MIN, at;
	while (line_take(&out, &line)) {
		if (left && slice_same(line, want)) {
			left = wanted_next(&in, &want);
			continue;
		}
		check(record_parse_line(line, &r) == 0);
		bool fired = record_is(&r, M_EVENT, "fired");
		check(record_time(&r, fired ? M_FIRED_AT : M_CANCELLED_AT, &at) == 0);
		check(fired ? slice_same(r.m[M_FIRED_AT], r.m[M_DUE_AT]) && slice_is(r.m[M_LATENESS_US], "0")
			    : record_is(&r, M_EVENT, "cancelled") && at >= last);
		check(record_has(&r, M_ID) && record_has(&r, M_VERSION) && record_has(&r, M_DUE_AT));
		last = fired ? last : at;
	}
	check(!left);
	lines_free(&in);
	return 0;
}
