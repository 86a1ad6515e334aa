/* Test Anything Protocol, as much of it as the unit tests need: one line a check,
 * the plan at the end. Loops over thousands of cases count their
 * failures and report them as one check. */
#ifndef ACCTFLOW_TAP_H
#define ACCTFLOW_TAP_H

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>

static unsigned tap_count, tap_failures;

static inline bool __attribute__((format(printf, 2, 3))) tap_ok(bool ok, const char *format, ...)
{
	va_list ap;
	va_start(ap, format);
	printf("%sok %u - ", ok ? "" : "not ", ++tap_count);
	vprintf(format, ap);
	putchar('\n');
	va_end(ap);
	tap_failures += !ok;
	return ok;
}

/* What is there to know about a failure. */
static inline void __attribute__((format(printf, 1, 2))) tap_note(const char *format, ...)
{
	va_list ap;
	va_start(ap, format);
	fputs("# ", stdout);
	vprintf(format, ap);
	putchar('\n');
	va_end(ap);
}

static inline void
tap_skip(const char *what, const char *why)
{
	printf("ok %u - %s # SKIP %s\n", ++tap_count, what, why);
}

/* The plan; returns what main returns. */
static inline int
tap_done(void)
{
	printf("1..%u\n", tap_count);
	return tap_failures ? 1 : 0;
}

#endif
