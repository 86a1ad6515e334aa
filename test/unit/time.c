/* The calendar against the C library's, every day of 9,999 years, and what is no time. */
#include "common/time.h"

#include "tap.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define LOWEST (-62135596800 * INT64_C(1000000))
#define HIGHEST (253402300799 * INT64_C(1000000) + 999999)

static bool
round_trip(int64_t t)
{
	char ours[TIME_TEXT], theirs[64];
	int64_t us = (t % 1000000 + 1000000) % 1000000, back;
	time_t sec = (t - us) / 1000000;
	struct tm tm;
	gmtime_r(&sec, &tm);
	snprintf(theirs, sizeof theirs, "%04d-%02d-%02dT%02d:%02d:%02d.%06dZ", tm.tm_year + 1900, tm.tm_mon + 1,
	    tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec, (int)us);
	time_format(t, ours);
	bool right =
	    strcmp(ours, theirs) == 0 && time_parse(slice_of(ours), &back) == 0 && back == t && timegm(&tm) == sec;
	if (!right)
		tap_note("%lld: %s, but %s", (long long)t, ours, theirs);
	return right;
}

static void
test_calendar(void)
{
	unsigned wrong = 0, days = 0;
	for (int64_t day = -719162; day <= 2932896 && wrong < 10; day++, days++)
		wrong += !round_trip((day * 86400 + days * 7919 % 86400) * 1000000 + days * 104729 % 1000000);
	tap_ok(!wrong, "each of %u days there and back", days);
	static const int64_t edges[] = {0, -1, 1, 999999, 1000000, -1000000, -1000001, LOWEST, LOWEST + 1, HIGHEST,
	    HIGHEST - 999999, INT64_C(951782399999999), INT64_C(951782400000000), INT64_C(951868800000000),
	    INT64_C(4107542400000000)};
	wrong = 0;
	for (size_t i = 0; i < sizeof edges / sizeof *edges; i++)
		wrong += !round_trip(edges[i]);
	/* The text of a second is kept: to and fro between two of them. */
	for (int64_t t = 999990; t < 1000010; t++)
		wrong += !round_trip(t) || !round_trip(-t);
	tap_ok(!wrong, "edges");

	char text[TIME_TEXT];
	time_format(INT64_MIN, text);
	bool right = strcmp(text, "0001-01-01T00:00:00.000000Z") == 0;
	time_format(INT64_MAX, text);
	tap_ok(right && strcmp(text, "9999-12-31T23:59:59.999999Z") == 0, "years past 1 and 9999 are clamped");
	struct buf b = {0};
	buf_time(&b, INT64_C(946684800000000));
	buf_time(&b, INT64_C(946684800000001));
	tap_ok(slice_is(slice_buf(&b), "2000-01-01T00:00:00.000000Z2000-01-01T00:00:00.000001Z"), "buf_time");
	buf_free(&b);
}

static void
test_parse(void)
{
	static const struct {
		const char *text;
		int64_t t; /* from 2000-01-01T00:00:00Z */
	} good[] = {{"2000-01-01T00:00:00Z", 0}, {"2000-01-01T00:00:00.1Z", 100000},
	    {"2000-01-01T00:00:00.123456Z", 123456}, {"2000-01-01T00:00:00.123456789Z", 123456},
	    {"2000-01-01T00:00:00.999999999Z", 999999}, {"2000-01-01T00:00:00+00:00", 0},
	    {"2000-01-01T00:00:00-00:00", 0}, {"2000-01-01T02:30:00+02:30", 0}, {"1999-12-31T18:30:00-05:30", 0},
	    {"2000-01-01T23:59:00.5+23:59", 500000}, {"1999-12-31T23:59:59.999999Z", -1},
	    {"2000-02-29T00:00:00Z", INT64_C(59) * 86400 * 1000000}};
	static const char *const bad[] = {"", "2000", "2000-01-01", "2000-01-01T00:00Z", "2000-01-01T00:00:00",
	    "2000-01-01 00:00:00Z", "2000-01-01t00:00:00Z", "2000-01-01T00:00:00z", "2000-01-01T00:00:00Z ",
	    " 2000-01-01T00:00:00Z", "2000-01-01T00:00:00ZZ", "2000-00-01T00:00:00Z", "2000-13-01T00:00:00Z",
	    "2000-01-00T00:00:00Z", "2000-01-32T00:00:00Z", "2000-04-31T00:00:00Z", "2000-02-30T00:00:00Z",
	    "1900-02-29T00:00:00Z", "2001-02-29T00:00:00Z", "0000-01-01T00:00:00Z", "2000-01-01T24:00:00Z",
	    "2000-01-01T00:60:00Z", "2000-01-01T00:00:60Z", "2000-01-01T00:00:00.Z", "2000-01-01T00:00:00,5Z",
	    "2000-01-01T00:00:00.1234567890Z", "2000-01-01T00:00:00+0000", "2000-01-01T00:00:00+00",
	    "2000-01-01T00:00:00+24:00", "2000-01-01T00:00:00+00:60", "2000-01-01T00:00:00+", "+2000-01-01T00:00:00Z",
	    "-200-01-01T00:00:00Z", "20000-01-01T00:00:00Z", "2000-1-01T00:00:00Z", "2000-01-01T0a:00:00Z", "now",
	    "1970-01-01T00:00:00.000000"};
	unsigned wrong = 0;
	for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
		int64_t t = -1;
		if ((time_parse(slice_of(good[i].text), &t) != 0 || t != INT64_C(946684800000000) + good[i].t) &&
		    ++wrong)
			tap_note("%s", good[i].text);
	}
	tap_ok(!wrong, "spellings of RFC 3339");
	wrong = 0;
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		int64_t t;
		if (time_parse(slice_of(bad[i]), &t) == 0 && ++wrong)
			tap_note("%s", bad[i]);
	}
	/* Every beginning of a good one, as bytes that end there. */
	const char *whole = "2000-01-01T00:00:00.123456+01:00";
	for (size_t n = 0; n < strlen(whole); n++) {
		int64_t t;
		char *copy = mem_alloc(n);
		memcpy(copy, whole, n);
		wrong += time_parse((struct slice){copy, n}, &t) == 0;
		free(copy);
	}
	tap_ok(!wrong, "what is no time");
}

static void
test_anchor(void)
{
	setenv("ACCTFLOW_ANCHOR", "1000000000000000", 1);
	struct timespec ts;
	int64_t now = clock_now();
	clock_gettime(CLOCK_BOOTTIME, &ts);
	int64_t boot = (int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000, wall = clock_wall();
	tap_ok(now - 1000000000000000 <= boot && now - 1000000000000000 > boot - 5000000,
	    "the anchor is taken from the environment");
	tap_ok(llabs(wall - (int64_t)time(NULL) * 1000000) < 5000000, "the wall clock");
	bool right = true;
	for (int i = 0; i < 100000; i++) {
		int64_t next = clock_now();
		right = right && next >= now;
		now = next;
	}
	tap_ok(right, "now never goes back");
}

int
main(void)
{
	test_calendar();
	test_parse();
	test_anchor();
	return tap_done();
}
