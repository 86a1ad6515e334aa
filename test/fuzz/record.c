/* The record scanner on any bytes. Both its entries say the same. A prefix of JSON is
 * unfinished, never bad. What it takes without reserve cJSON takes too, and reads the same
 * with white space and without. An update that is emitted reads back as itself, what is
 * rejected is emitted as a record, with the beginning of its text exact, and nothing of
 * either can act on a terminal. */
#include "fuzz.h"

#include "display.h"
#include "event.h"
#include "log.h"
#include "utf8.h"

#include <cjson/cJSON.h>
#include <stdlib.h>
#include <string.h>

static struct record r, again;
static struct update u, v;
static struct buf reason, line, second, room;

/* cJSON cuts numbers of 64 characters and more. */
static bool
beyond_cjson(struct slice s)
{
	size_t in_row = 0;
	for (size_t i = 0; i < s.n; i++) {
		in_row = s.p[i] && strchr("0123456789+-.eE", s.p[i]) ? in_row + 1 : 0;
		if (in_row > 62)
			return true;
	}
	return false;
}

static char *
cjson_print(struct slice s)
{
	cJSON *tree = cJSON_ParseWithLength(s.p, s.n);
	char *text = tree ? cJSON_PrintUnformatted(tree) : NULL;
	cJSON_Delete(tree);
	return text;
}

static void
check_value(struct slice value, const struct json_scan *s)
{
	struct json_scan other = {0};
	bool number = value.p[0] == '-' || (value.p[0] >= '0' && value.p[0] <= '9');
	for (size_t n = 0, step = 1 + value.n / 32; n < value.n; n += step) {
		enum json_status status = json_value(value.p, value.p + n, 0, &(struct json_scan){0});
		check(status == JSON_MORE || (number && n && status == JSON_OK));
	}
	room.len = 0;
	json_compact(&room, value);
	struct slice compact = slice_buf(&room);
	check(json_value(compact.p, compact.p + compact.n, 0, &other) == JSON_OK);
	check(other.end == compact.p + compact.n && !other.spaced && other.refuse.why == s->refuse.why);
	check(s->spaced == (compact.n != value.n));
	if (s->refuse.why || beyond_cjson(value))
		return;
	char *a = cjson_print(value), *b = cjson_print(compact);
	check(a && b && strcmp(a, b) == 0);
	free(a);
	free(b);
}

static void
check_emitted(struct slice emitted)
{
	check(!memchr(emitted.p, '\n', emitted.n) && record_parse_line(emitted, &again) == 0);
	second.len = 0;
	display_record(&second, (struct display_style){.people = true}, emitted);
	check(second.len && second.p[second.len - 1] == '\n');
	check(fuzz_is_safe((struct slice){second.p, second.len - 1}));
}

static void
check_update(void)
{
	fuzz_emit(&line, &u, &r);
	check_emitted(slice_buf(&line));
	check(update_read(&again, &v, &reason) == 0);
	check(slice_same(u.id, v.id) && slice_same(u.account_type, v.account_type) && slice_same(u.data, v.data));
	check(slice_same(u.trace, v.trace) && u.tokens == v.tokens && u.callback_ms == v.callback_ms);
	check(u.version == v.version && u.arrive_ms == v.arrive_ms && v.offset == 7);
	check(!again.spaced[M_DATA]);
	fuzz_emit(&second, &v, &again);
	check(slice_same(slice_buf(&line), slice_buf(&second)));
}

/* The value of a base64 digit. */
static unsigned
digit(char c)
{
	static const char set[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	const char *at = c ? strchr(set, c) : NULL;
	return at ? (unsigned)(at - set) : 0;
}

static void
check_rejected(struct slice text)
{
	uint64_t total = 0;
	line.len = 0;
	struct reject j = {.reason = slice_buf(&reason), .line = 3};
	reject_raw(&j, text, text.n, &room);
	event_rejected(&line, SLICE("\"s\""), 7, &j, -1, NO_TIME, false);
	check_emitted(slice_buf(&line));
	check(record_integer(&again, M_RAW_BYTES, UINT64_MAX, &total) == 0 && total == text.n);
	struct slice raw = record_text(&again, M_RAW, &room);
	if (record_is(&again, M_RAW_ENCODING, "utf8")) {
		check(raw.n <= text.n && raw.n + 3 >= (text.n < RAW_BYTES ? text.n : RAW_BYTES));
		check(raw.n == 0 || memcmp(raw.p, text.p, raw.n) == 0);
		return;
	}
	check(raw.n % 4 == 0);
	for (size_t i = 0, at = 0; i < raw.n; i += 4) {
		unsigned three =
		    digit(raw.p[i]) << 18 | digit(raw.p[i + 1]) << 12 | digit(raw.p[i + 2]) << 6 | digit(raw.p[i + 3]);
		for (int k = 0; k < 3 && !(k && raw.p[i + 1 + (size_t)k] == '='); k++, at++)
			check(at < text.n && (unsigned char)text.p[at] == (three >> (16 - 8 * k) & 0xff));
	}
}

/* A record that is read behind another one is what it is alone: nothing shows of what was remembered. */
static void
check_behind(struct slice before, struct slice text)
{
	struct record behind = {0}, alone = {0};
	record_parse_line(before, &behind);
	int result = record_parse_line(text, &behind);
	check(result == record_parse_line(text, &alone));
	check(behind.fault.why == alone.fault.why && behind.fault.at == alone.fault.at);
	check(slice_same(behind.member, alone.member));
	check(behind.escaped == alone.escaped);
	for (int m = 0; m < M_COUNT; m++) {
		check(behind.m[m].p == alone.m[m].p && behind.m[m].n == alone.m[m].n);
		check(!alone.m[m].n || behind.spaced[m] == alone.spaced[m]);
	}
	record_free(&behind);
	record_free(&alone);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice text = {(const char *)data, size};
	const char *end = text.p + size;
	bool ignored;
	log_set(LOG_ERROR, false);
	const char *p = size ? json_space(text.p, end, &ignored) : end;
	if (p < end) {
		struct json_scan s = {0};
		enum json_status status = json_value(p, end, 0, &s);
		check(record_parse(p, end, &r) == status);
		if (status == JSON_OK) {
			check(r.end == s.end &&
			      (!s.refuse.why || (r.fault.why == s.refuse.why && r.fault.at == s.refuse.at)));
			check_value((struct slice){p, (size_t)(s.end - p)}, &s);
		} else if (status == JSON_BAD) {
			check(strcmp(r.fault.why, s.fault.why) == 0 && r.fault.at == s.fault.at && s.fault.at >= p &&
			      s.fault.at <= end);
		}
	}
	const char *newline = size ? memchr(text.p, '\n', size) : NULL;
	struct slice rest = newline ? (struct slice){newline + 1, (size_t)(end - newline) - 1} : text;
	check_behind((struct slice){text.p, newline ? (size_t)(newline - text.p) : size}, rest);
	check_behind(text, text);
	if (record_parse_line(text, &r) != 0) {
		check(r.fault.why && r.fault.at >= text.p && r.fault.at <= end);
		record_reason(&reason, &r, text.p);
		check_rejected(text);
	} else if (update_read(&r, &u, &reason) != 0) {
		check_rejected(text);
	} else {
		check_update();
	}
	return 0;
}
