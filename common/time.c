/* The calendar is computed here (days from civil, Howard Hinnant's algorithm,
 * "chrono-Compatible Low-Level Date Algorithms") because every event prints two
 * times and strftime is forty times slower. */
#include "time.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static int64_t
clock_read(clockid_t id)
{
	struct timespec ts;
	clock_gettime(id, &ts);
	return (int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

/* The distance from the boot clock to the wall clock: of several tries the one least disturbed in between. */
static int64_t
anchor_measure(void)
{
	int64_t best = 0, spread = INT64_MAX;
	for (int i = 0; i < 5; i++) {
		int64_t a = clock_read(CLOCK_BOOTTIME);
		int64_t wall = clock_read(CLOCK_REALTIME);
		int64_t b = clock_read(CLOCK_BOOTTIME);
		if (b - a < spread) {
			spread = b - a;
			best = wall - a - (b - a) / 2;
		}
	}
	return best;
}

int64_t
clock_anchor(void)
{
	static int64_t anchor;
	static bool known;
	if (!known) {
		const char *given = getenv("ACCTFLOW_ANCHOR");
		char *end;
		errno = 0;
		anchor = given ? strtoll(given, &end, 10) : 0;
		if (!given || end == given || *end || errno)
			anchor = anchor_measure();
		known = true;
	}
	return anchor;
}

int64_t
clock_now(void)
{
	return clock_read(CLOCK_BOOTTIME) + clock_anchor();
}

int64_t
clock_boot(void)
{
	return clock_read(CLOCK_BOOTTIME);
}

int64_t
clock_wall(void)
{
	return clock_read(CLOCK_REALTIME);
}

static char *
digits(char *p, unsigned v, int n)
{
	for (int i = n - 1; i >= 0; i--) {
		p[i] = (char)('0' + v % 10);
		v /= 10;
	}
	return p + n;
}

void
time_format(int64_t t, char out[TIME_TEXT])
{
	const int64_t lowest = -62135596800 * INT64_C(1000000), highest = 253402300799 * INT64_C(1000000) + 999999;
	t = t < lowest ? lowest : t > highest ? highest : t;

	int64_t sec = t / 1000000, us = t % 1000000;
	if (us < 0) {
		us += 1000000;
		sec--;
	}
	int64_t day = sec / 86400, rest = sec % 86400;
	if (rest < 0) {
		rest += 86400;
		day--;
	}
	/* The same second is printed again and again: keep its text. */
	static int64_t last_sec = INT64_MIN;
	static char last[20];
	if (sec != last_sec) {
		day += 719468;
		unsigned era = (unsigned)(day / 146097);
		unsigned doe = (unsigned)(day - (int64_t)era * 146097);
		unsigned yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
		unsigned doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
		unsigned mp = (5 * doy + 2) / 153;
		unsigned month = mp < 10 ? mp + 3 : mp - 9;
		unsigned part[] = {yoe + era * 400 + (month <= 2), month, doy - (153 * mp + 2) / 5 + 1,
		    (unsigned)(rest / 3600), (unsigned)(rest / 60 % 60), (unsigned)(rest % 60)};
		char *p = last;
		for (int i = 0; i < 6; i++) {
			p = digits(p, part[i], i == 0 ? 4 : 2);
			*p++ = "--T::."[i];
		}
		last_sec = sec;
	}
	memcpy(out, last, 20);
	memcpy(digits(out + 20, (unsigned)us, 6), "Z", 2);
}

void
buf_time(struct buf *b, int64_t t)
{
	buf_reserve(b, TIME_TEXT);
	time_format(t, b->p + b->len);
	b->len += TIME_TEXT - 1;
}

/* Reads n digits at *p and moves on; -1 where they are none. */
static int
number(const char **p, const char *end, int n)
{
	int v = 0;
	if (end - *p < n)
		return -1;
	for (int i = 0; i < n; i++, (*p)++) {
		if (**p < '0' || **p > '9')
			return -1;
		v = v * 10 + (**p - '0');
	}
	return v;
}

static int64_t
days_from_civil(int y, int m, int d)
{
	y -= m <= 2;
	int era = y / 400, yoe = y - era * 400;
	int doy = (153 * (m > 2 ? m - 3 : m + 9) + 2) / 5 + d - 1;
	return (int64_t)era * 146097 + yoe * 365 + yoe / 4 - yoe / 100 + doy - 719468;
}

int
time_parse(struct slice s, int64_t *t)
{
	static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
	const char *p = s.p, *end = s.p + s.n;
	int part[6];
	for (int i = 0; i < 6; i++) {
		part[i] = number(&p, end, i == 0 ? 4 : 2);
		if (part[i] < 0)
			return -1;
		if (i < 5 && (p == end || *p++ != "--T::"[i]))
			return -1;
	}
	int year = part[0], month = part[1], day = part[2];
	bool leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
	if (year < 1 || month < 1 || month > 12 || day < 1 || day > days[month - 1] + (month == 2 && leap) ||
	    part[3] > 23 || part[4] > 59 || part[5] > 59)
		return -1;

	int64_t us = 0;
	if (p < end && *p == '.') {
		int n = 0;
		for (p++; p < end && *p >= '0' && *p <= '9'; p++, n++)
			if (n < 6)
				us = us * 10 + (*p - '0');
		if (n == 0 || n > 9)
			return -1;
		for (; n < 6; n++)
			us *= 10;
	}
	int64_t zone = 0;
	if (p < end && *p == 'Z') {
		p++;
	} else if (p < end && (*p == '+' || *p == '-')) {
		int sign = *p++ == '-' ? -1 : 1;
		int h = number(&p, end, 2);
		if (h < 0 || h > 23 || p == end || *p++ != ':')
			return -1;
		int m = number(&p, end, 2);
		if (m < 0 || m > 59)
			return -1;
		zone = sign * (h * 60 + m);
	} else {
		return -1;
	}
	if (p != end)
		return -1;
	int64_t sec = days_from_civil(year, month, day) * 86400 + part[3] * 3600 + part[4] * 60 + part[5];
	*t = (sec - zone * 60) * 1000000 + us;
	return 0;
}
