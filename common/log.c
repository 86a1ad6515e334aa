/* One line, one write(2): lines of several programs on one terminal or file never
 * mix. Text from outside is made safe here, so that no byte of the input can forge
 * a line or move a cursor. */
#include "log.h"

#include "buf.h"
#include "clock.h"

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
static bool log_json;

void
log_init(const char *program)
{
	log_program = program;
}

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

static void __attribute__((format(printf, 2, 0))) log_line(enum log_level level, const char *format, va_list ap)
{
	/* Fixed rooms, large enough for every byte escaped: the message may be that memory is out. */
	static char room[8192], clean_room[6400];
	int saved = errno;
	char text[1024];
	vsnprintf(text, sizeof text, format, ap);

	struct buf b = {.p = room, .cap = sizeof room};
	struct slice source = {log_source_name, log_source_name ? strnlen(log_source_name, 300) : 0};
	const char *program = log_program ? log_program : "acctflow";
	char when[TIME_TEXT];
	time_format(clock_wall(), when);
	if (log_json) {
		struct buf clean = {.p = clean_room, .cap = sizeof clean_room};
		buf_safe(&clean, slice_of(text));
		buf_printf(&b, "{\"time\":\"%s\",\"level\":\"%s\",\"program\":\"%s\",\"pid\":%d,\"message\":", when,
		    names[level], program, (int)getpid());
		buf_json(&b, (struct slice){clean.p, clean.len < 1000 ? clean.len : 1000});
		if (source.n) {
			buf_text(&b, ",\"source\":");
			buf_json(&b, source);
		}
		buf_text(&b, "}\n");
	} else {
		buf_printf(&b, "%s %s %s[%d] ", when, names[level], program, (int)getpid());
		buf_safe(&b, slice_of(text));
		if (source.n) {
			buf_text(&b, " source=");
			buf_safe(&b, source);
		}
		buf_char(&b, '\n');
	}
	ssize_t ignored = write(STDERR_FILENO, b.p, b.len);
	(void)ignored;
	errno = saved;
}

void
log_at(enum log_level level, const char *format, ...)
{
	if (!log_wants(level))
		return;
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
