/* What a program can be told, by one table for all ways to tell it: command line
 * over environment over configuration file over default. An option `delay-ms` is
 * `--delay-ms`, ACCTFLOW_DELAY_MS and, in the configuration file, `delay-ms:` in the
 * program's section. --help is made from the same table. */
#ifndef ACCTFLOW_OPTIONS_H
#define ACCTFLOW_OPTIONS_H

#include "buf.h"

enum option_type {
	OPTION_FLAG,   /* bool *value; in file and environment true, false, yes, no, 1, 0 */
	OPTION_TEXT,   /* const char **value, kept for the program's life */
	OPTION_COUNT,  /* uint64_t *value, min..max; *given tells 0 from absent where it matters */
	OPTION_CHOICE, /* int *value, the index in argument "one|two|three" */
	OPTION_CUSTOM, /* set(text, value): 0, or -1 where the text is wrong */
};

struct option_spec {
	const char *name;
	char letter; /* 0: none */
	enum option_type type;
	void *value;
	const char *argument; /* in --help, and the choices */
	const char *help;     /* NULL: only in the configuration file */
	uint64_t min, max;
	bool *given; /* may be NULL */
	int (*set)(const char *text, void *value);
	const char *key; /* in the configuration file's top level, where all programs share it; NULL: in the section */
};

struct program {
	const char *name;    /* also its section in the configuration file */
	const char *usage;   /* "[options] [FILE... | -]" */
	const char *purpose; /* one sentence */
	const char *more;    /* printed behind the options; may be NULL */
};

/* What all programs take: filled by options_read. */
enum format { FORMAT_AUTO, FORMAT_JSON, FORMAT_TEXT };
extern const char *const acctflow_version;

/* Reads configuration file, environment and command line into the values of `specs` (ended by a spec without name).
 * --help and --version print and exit 0; whatever is wrong is logged with where it stands, and exits 100. Sets the log
 * level and format. Returns the index in argv of the first operand; options may stand behind operands too. */
int options_read(const struct program *program, const struct option_spec *specs, int argc, char **argv);

/* Whether --format stood on the command line: only that turns a pipe's records into lines for people. */
bool options_format_named(void);

#endif
