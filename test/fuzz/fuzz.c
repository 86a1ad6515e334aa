/* See fuzz.h. read and die are replaced by the linker's --wrap. */
#include "fuzz.h"

#include "utf8.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

ssize_t __real_read(int fd, void *p, size_t n);
ssize_t __wrap_read(int fd, void *p, size_t n);
_Noreturn void __wrap_die(int code, const char *format, ...) __attribute__((format(printf, 2, 3)));

jmp_buf fuzz_died;
bool fuzz_catches;

static struct slice feed;
static uint64_t feed_cuts;

_Noreturn void
check_failed(const char *what, const char *file, int line)
{
	fprintf(stderr, "%s:%d: does not hold: %s\n", file, line, what);
	abort();
}

uint64_t
fuzz_random(uint64_t *state)
{
	uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);
	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return z ^ z >> 31;
}

void
fuzz_emit(struct buf *b, const struct update *update, const struct record *record)
{
	b->len = 0;
	event_update_begin(b, SLICE("\"s\""), 7);
	event_update_body(b, update, record);
	event_update_tail(b, update->trace, update->arrive_ms);
	event_update_end(b, (struct slice){0}, NO_TIME);
}

void
feed_start(struct slice bytes, uint64_t cuts)
{
	feed = bytes;
	feed_cuts = cuts;
}

struct slice
feed_rest(void)
{
	return feed;
}

ssize_t
__wrap_read(int fd, void *p, size_t n)
{
	if (fd != FEED_FD)
		return __real_read(fd, p, n);
	if (n > feed.n)
		n = feed.n;
	if (feed_cuts && n) {
		/* Single bytes, a few, or many. */
		uint64_t draw = fuzz_random(&feed_cuts), most = (uint64_t[]){1, 4, 16, 256}[draw % 4];
		size_t piece = 1 + draw / 4 % most;
		n = piece < n ? piece : n;
	}
	if (n == 0)
		return 0;
	memcpy(p, feed.p, n);
	feed.p += n;
	feed.n -= n;
	return (ssize_t)n;
}

void
__wrap_die(int code, const char *format, ...)
{
	if (fuzz_catches)
		longjmp(fuzz_died, 1);
	va_list ap;
	va_start(ap, format);
	fprintf(stderr, "exit %d: ", code);
	vfprintf(stderr, format, ap);
	va_end(ap);
	abort();
}

bool
fuzz_is_safe(struct slice text)
{
	static const uint32_t never[] = {0x61c, 0x200e, 0x200f, 0x2028, 0x2029, 0x202a, 0x202b, 0x202c, 0x202d, 0x202e,
	    0x2066, 0x2067, 0x2068, 0x2069};
	for (size_t at = 0, n; at < text.n; at += n) {
		uint32_t c = 0;
		n = utf8_decode(text.p + at, text.p + text.n, &c);
		if (n == 0 || c < 0x20 || (c >= 0x7f && c < 0xa0))
			return false;
		for (size_t i = 0; i < sizeof never / sizeof *never; i++)
			if (c == never[i])
				return false;
	}
	return true;
}
