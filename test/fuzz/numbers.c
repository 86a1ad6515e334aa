// with: reader/arrival.c
/* Numbers, times and characters, each against a second way to get them: strtoull and the
 * C library's calendar instead of ours, characters encoded again. */
#include "fuzz.h"

#include "json.h"
#include "reader/arrival.h"
#include "time.h"
#include "utf8.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

__extension__ typedef unsigned __int128 u128;

static void
check_integer(struct slice s, const char *text)
{
	static const uint64_t most[] = {0, 9, 10, 4095, INT64_MAX, UINT64_MAX - 1, UINT64_MAX};
	bool plain = s.n && strlen(text) == s.n && strspn(text, "0123456789") == s.n && (s.n == 1 || text[0] != '0');
	errno = 0;
	unsigned long long wanted = plain ? strtoull(text, NULL, 10) : 0;
	bool over = errno == ERANGE;
	for (size_t i = 0; i < sizeof most / sizeof *most; i++) {
		uint64_t v = 77;
		int result = json_integer(s, most[i], &v);
		check(result == (!plain ? -1 : over || wanted > most[i] ? -2 : 0));
		check(v == (result == 0 ? wanted : 77));
	}
}

/* RFC 3339 by sscanf's cousins: fixed places, then what is behind them. */
static bool
time_wanted(const char *text, int64_t *t)
{
	struct tm tm = {0}, back;
	int zone = 0;
	const char shape[] = "0000-00-00T00:00:00";
	for (size_t i = 0; shape[i]; i++)
		if (shape[i] == '0' ? text[i] < '0' || text[i] > '9' : text[i] != shape[i])
			return false;
	tm.tm_year = (int)strtol(text, NULL, 10) - 1900;
	tm.tm_mon = (int)strtol(text + 5, NULL, 10) - 1;
	tm.tm_mday = (int)strtol(text + 8, NULL, 10);
	tm.tm_hour = (int)strtol(text + 11, NULL, 10);
	tm.tm_min = (int)strtol(text + 14, NULL, 10);
	tm.tm_sec = (int)strtol(text + 17, NULL, 10);
	struct tm given = tm;
	time_t seconds = timegm(&tm);
	gmtime_r(&seconds, &back);
	/* What the calendar had to put right was no date. */
	if (given.tm_year < 1 - 1900 || back.tm_year != given.tm_year || back.tm_mon != given.tm_mon ||
	    back.tm_mday != given.tm_mday || back.tm_hour != given.tm_hour || back.tm_min != given.tm_min ||
	    back.tm_sec != given.tm_sec)
		return false;
	const char *p = text + 19;
	char fraction[] = "000000";
	if (*p == '.') {
		size_t n = strspn(++p, "0123456789");
		if (n < 1 || n > 9)
			return false;
		memcpy(fraction, p, n < 6 ? n : 6);
		p += n;
	}
	if (strcmp(p, "Z") != 0) {
		if (strlen(p) != 6 || !strchr("+-", p[0]) || p[3] != ':' || strspn(p + 1, "0123456789") != 2 ||
		    strspn(p + 4, "0123456789") != 2)
			return false;
		int hours = (int)strtol(p + 1, NULL, 10), minutes = (int)strtol(p + 4, NULL, 10);
		if (hours > 23 || minutes > 59)
			return false;
		zone = (hours * 60 + minutes) * (p[0] == '-' ? -60 : 60);
	}
	*t = ((int64_t)seconds - zone) * 1000000 + strtol(fraction, NULL, 10);
	return true;
}

static void
check_time(struct slice s, const char *text)
{
	int64_t t = 0, wanted = 0, again;
	bool right = strlen(text) == s.n && time_wanted(text, &wanted);
	check((time_parse(s, &t) == 0) == right && t == wanted);
	if (!right)
		memcpy(&t, text, s.n < sizeof t ? s.n : sizeof t);
	char out[TIME_TEXT];
	time_format(t, out);
	check(strlen(out) == TIME_TEXT - 1 && time_parse(slice_of(out), &again) == 0);
	/* Years 1 to 9999. */
	if (t >= INT64_C(-62135596800000000) && t <= INT64_C(253402300799999999)) {
		check(again == t && time_wanted(out, &wanted) && wanted == t);
	}
}

/* "12.5" in millionths; moves on. */
static bool
decimal_wanted(const char **p, u128 *v)
{
	size_t whole = strspn(*p, "0123456789"), behind = (*p)[whole] == '.' ? strspn(*p + whole + 1, "0123456789") : 0;
	bool point = (*p)[whole] == '.';
	if (whole == 0 || (point && (behind == 0 || behind > 6)) || whole + behind > 24)
		return false;
	*v = 0;
	for (size_t i = 0; i < whole; i++)
		*v = *v * 10 + (unsigned)((*p)[i] - '0');
	for (size_t i = 0; i < 6; i++)
		*v = *v * 10 + (i < behind ? (unsigned)((*p)[whole + 1 + i] - '0') : 0);
	*p += whole + (point ? 1 + behind : 0);
	return true;
}

static void
check_settings(const char *text)
{
	struct delay d = {0};
	struct speed x = {0};
	u128 min = 0, max = 0, times = 0;
	const char *p = text;
	bool right = decimal_wanted(&p, &min) && *p++ == ':' && decimal_wanted(&p, &max) && !*p && min <= max &&
		     max <= (u128)31536000000 * 1000000;
	check((delay_set(text, &d) == 0) == right);
	if (right) {
		check(d.min == min && d.max == max && strcmp(d.text, text) == 0);
		free((void *)(uintptr_t)d.text);
	}
	p = text;
	right = decimal_wanted(&p, &times) && !*p && times > 0 && times <= (u128)1000000000000000;
	check((speed_set(text, &x) == 0) == right);
	if (right) {
		check(x.millionths == times);
		free((void *)(uintptr_t)x.text);
	}
}

/* How a character is spelt. */
static size_t
encode(uint32_t c, unsigned char out[4])
{
	size_t n = c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
	for (size_t i = n; i-- > 1; c >>= 6)
		out[i] = (unsigned char)(0x80 | (c & 0x3f));
	out[0] = (unsigned char)(n == 1 ? c : (0xf00u >> n & 0xff) | c);
	return n;
}

static void
check_characters(struct slice s)
{
	struct buf b = {0}, back = {0};
	bool valid = true;
	for (size_t at = 0; at < s.n;) {
		uint32_t c = 0;
		unsigned char spelt[4];
		size_t n = utf8_decode(s.p + at, s.p + s.n, &c);
		if (n) {
			check(c <= 0x10ffff && !(c >= 0xd800 && c <= 0xdfff));
			check(encode(c, spelt) == n && memcmp(spelt, s.p + at, n) == 0);
		} else {
			/* No character's spelling begins here. */
			unsigned char lead = (unsigned char)s.p[at];
			size_t want = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : lead >= 0xc0 ? 2 : 0;
			uint32_t v = lead & (0x7fu >> want);
			check(lead >= 0x80);
			for (size_t i = 1; i < want && at + i < s.n; i++)
				v = v << 6 | ((unsigned char)s.p[at + i] & 0x3f);
			if (want && at + want <= s.n && v <= 0x10ffff && !(v >= 0xd800 && v <= 0xdfff))
				check(encode(v, spelt) != want || memcmp(spelt, s.p + at, want) != 0);
		}
		valid = valid && n;
		at += n ? n : 1;
	}
	buf_safe(&b, s);
	check(fuzz_is_safe(slice_buf(&b)));
	b.len = 0;
	if (valid) {
		buf_json(&b, s);
		json_unescape(&back, slice_buf(&b));
		check(slice_same(slice_buf(&back), s));
	}
	buf_free(&b);
	buf_free(&back);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice s = {(const char *)data, size};
	char *text = mem_string(s);
	check_integer(s, text);
	check_time(s, text);
	check_settings(text);
	check_characters(s);
	free(text);
	return 0;
}
