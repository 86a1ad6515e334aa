/* Messages for people and for log collectors, on standard error: one write(2) a
 * line, `time level program[pid] message key=value`, or the same as JSON. Functions
 * in common/ return errors; the program that gives up logs them, once. */
#ifndef ACCTFLOW_LOG_H
#define ACCTFLOW_LOG_H

#include <stdbool.h>

/* What every program ends with (the contract's table of exit codes). */
enum {
	EXIT_OK = 0,
	EXIT_REJECTED = 1,
	EXIT_PERMANENT = 100,
	EXIT_TEMPORARY = 111,
};

enum log_level { LOG_ERROR, LOG_WARN, LOG_INFO, LOG_DEBUG, LOG_TRACE };

/* `program` is kept by pointer. Before this call messages name no program. */
void log_init(const char *program);
void log_set(enum log_level level, bool json);
bool log_wants(enum log_level level);

/* Sets the `source=` that all later lines carry; NULL for none. Copied. */
void log_source(const char *source);

/* Below level debug a line that repeats, by its format, is held back from the twenty-first in ten seconds on.
 * printf-like, %m included; no period and no newline at the end. */
void log_at(enum log_level level, const char *format, ...) __attribute__((format(printf, 2, 3)));
#define log_error(...) log_at(LOG_ERROR, __VA_ARGS__)
#define log_warn(...) log_at(LOG_WARN, __VA_ARGS__)
#define log_info(...) log_at(LOG_INFO, __VA_ARGS__)
#define log_debug(...) log_at(LOG_DEBUG, __VA_ARGS__)
#define log_trace(...) log_at(LOG_TRACE, __VA_ARGS__)

/* Emits how many lines were held back, once their ten seconds are over, or now; called by loop_wait and at exit. */
void log_repeats(bool all);

/* Logs an error and exits with `code`. */
_Noreturn void die(int code, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* A wrong command line, environment or configuration file: one plain line `program: message` for the person who just
 * typed it, a log line where the log is JSON. Exits 100. */
_Noreturn void die_usage(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
