/* One line, one write(2): lines of several programs on one terminal or file never
 * mix. Text from outside is made safe here, so that no byte of the input can forge
 * a line or move a cursor. */
#include "log.h"

#include "buf.h"
#include "time.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *const names[] = {"error", "warn", "info", "debug", "trace"};

static const char *log_program;
static char *log_source_name;
static enum log_level log_limit = LOG_INFO;
static bool log_json, log_plain; /* plain: for die_usage() */

/* The lines' buffers. They are made large enough for any line at the start: the message may be that memory is out. */
enum { MESSAGE_BYTES = 1000, SOURCE_BYTES = 300, LINE_ROOM = 32 << 10 };
static struct buf log_buf, log_clean;

void
log_set(enum log_level level, bool json)
{
	log_limit = level;
	log_json = json;
}

bool
log_wants(enum log_level level)
{
	return level <= log_limit;
}

void
log_source(const char *source)
{
	free(log_source_name);
	log_source_name = source ? strdup(source) : NULL;
}

/* Repeated lines are limited by their place in the program, which the format string stands for: so many in a window,
 * the rest is counted. */
enum { SITES = 16, BURST = 20, WINDOW_US = 10000000 };
static struct site {
	const char *format;
	int64_t since;
	enum log_level level;
	unsigned count;
	char last[200];
} sites[SITES];
static bool holding;

static void __attribute__((format(printf, 2, 3))) log_more(enum log_level level, const char *format, ...);

static void
site_end(struct site *s)
{
	char held[16];
	if (s->count > BURST) {
		snprintf(held, sizeof held, "%u", s->count - BURST);
		log_clean.len = 0;
		buf_number(&log_clean, slice_of(held));
		log_more(s->level, "… and %s more, the last: %s", buf_cstr(&log_clean), s->last);
	}
	s->count = 0;
}

void
log_repeats(bool all)
{
	if (!holding)
		return;
	int64_t now = clock_now();
	holding = false;
	for (struct site *s = sites; s < sites + SITES; s++) {
		if (all || now - s->since >= WINDOW_US)
			site_end(s);
		holding |= s->count > BURST;
	}
}

static void
repeats_at_exit(void)
{
	log_repeats(true);
}

void
log_init(const char *program)
{
	log_program = program;
	buf_reserve(&log_buf, LINE_ROOM);
	buf_reserve(&log_clean, LINE_ROOM);
	atexit(repeats_at_exit);
}

/* Whether a line may be written now; else it is counted. */
static bool __attribute__((format(printf, 2, 0))) admit(enum log_level level, const char *format, va_list ap)
{
	int64_t now = clock_now();
	struct site *s = sites;
	for (struct site *i = sites; i < sites + SITES && s->format != format; i++)
		if (i->format == format || i->since < s->since)
			s = i;
	if (s->format != format || now - s->since >= WINDOW_US) {
		site_end(s);
		*s = (struct site){.format = format, .level = level, .since = now};
	}
	if (++s->count <= BURST)
		return true;
	holding = true;
	vsnprintf(s->last, sizeof s->last, format, ap);
	return false;
}

/* The beginning of text without what a terminal would act on: valid UTF-8 of at most `most` bytes, in log_clean. */
static struct slice
log_safe(const char *text, size_t most)
{
	log_clean.len = 0;
	buf_safe(&log_clean, (struct slice){text, strnlen(text, 4 * most)});
	size_t n = log_clean.len;
	if (n > most)
		for (n = most; n > 0 && ((unsigned char)log_clean.p[n] & 0xc0) == 0x80; n--)
			continue;
	return (struct slice){log_clean.p, n};
}

/* Appends text to the line, as its format wants it. */
static void
log_add(const char *text, size_t most)
{
	if (log_json)
		buf_json(&log_buf, log_safe(text, most));
	else
		buf_slice(&log_buf, log_safe(text, most));
}

static void __attribute__((format(printf, 2, 0))) log_line(enum log_level level, const char *format, va_list ap)
{
	int saved = errno;
	char text[4 * MESSAGE_BYTES], when[TIME_TEXT];
	vsnprintf(text, sizeof text, format, ap);
	time_format(clock_wall(), when);
	const char *program = log_program ? log_program : program_invocation_short_name;
	if (log_plain)
		buf_printf(&log_buf, "%s: ", program);
	else
		buf_printf(&log_buf,
		    log_json ? "{\"time\":\"%s\",\"level\":\"%s\",\"program\":\"%s\",\"pid\":%d,\"message\":"
			     : "%s %s %s[%d] ",
		    when, names[level], program, (int)getpid());
	log_add(text, MESSAGE_BYTES);
	if (log_source_name) {
		buf_text(&log_buf, log_json ? ",\"source\":" : " source=");
		log_add(log_source_name, SOURCE_BYTES);
	}
	buf_text(&log_buf, log_json ? "}\n" : "\n");
	ssize_t ignored = write(STDERR_FILENO, log_buf.p, log_buf.len);
	(void)ignored;
	log_buf.len = 0;
	errno = saved;
}

void
log_at(enum log_level level, const char *format, ...)
{
	if (!log_wants(level))
		return;
	int saved = errno;
	va_list ap, again;
	va_start(ap, format);
	va_copy(again, ap);
	/* Who wants to see everything does. */
	bool admitted = log_limit >= LOG_DEBUG || admit(level, format, again);
	errno = saved;
	if (admitted)
		log_line(level, format, ap);
	va_end(again);
	va_end(ap);
}

static void
log_more(enum log_level level, const char *format, ...)
{
	va_list ap;
	va_start(ap, format);
	log_line(level, format, ap);
	va_end(ap);
}

void
die(int code, const char *format, ...)
{
	va_list ap;
	va_start(ap, format);
	log_line(LOG_ERROR, format, ap);
	va_end(ap);
	exit(code);
}

void
die_usage(const char *format, ...)
{
	va_list ap;
	va_start(ap, format);
	log_plain = !log_json;
	log_line(LOG_ERROR, format, ap);
	va_end(ap);
	exit(EXIT_PERMANENT);
}
