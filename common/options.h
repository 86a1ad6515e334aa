/* What a program is started with, by one table for all ways to say it: command line
 * over environment over configuration file over default. An option `delay-ms` is
 * `--delay-ms`, ACCTFLOW_DELAY_MS and, in the configuration file, `delay-ms:` (or
 * `delay_ms:`) in the program's section. --help is made from the same table.
 *
 * Letters mean the same in all programs:
 *   -a arrival    -b batch      -c config   -d db          -D delay-ms  -e exec     -f format   -F follow
 *   -g group      -h help       -j jobs     -l log-level   -L log-format -m map     -n count    -N no-wait
 *   -o from       -O to         -p properties -P post      -r resume    -s seed     -S source   -t type
 *   -V version    -w worker     -x speed */
#ifndef ACCTFLOW_OPTIONS_H
#define ACCTFLOW_OPTIONS_H

#include "buf.h"

enum option_type {
	OPTION_FLAG,   /* bool *value; in file and environment true, false, yes, no, 1, 0 */
	OPTION_ACTION, /* the same, on the command line only */
	OPTION_TEXT,   /* const char **value, kept for the program's life */
	OPTION_COUNT,  /* uint64_t *value, min..max; *given: whether it was set, where that matters */
	OPTION_CHOICE, /* int *value, the index in argument "one|two|three" */
	OPTION_OUTPUT, /* the same; file and environment do not hold where standard output is a pipe: the middle of a
			* pipeline hands on records */
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
	const char *key;  /* in the configuration file's top level, where all programs share it; NULL: in the section */
	const char *form; /* OPTION_CUSTOM: what is allowed, for the message; NULL: argument */
	unsigned verbs;	  /* the verbs that take it: 1 << index in program.verbs; 0: all */
};

struct option_verb {
	const char *name;
	const char *operand; /* the names of those that it needs; "[NAME...]": any number; NULL: it takes none */
	const char *help;
};

struct program {
	const char *name;		 /* also its section in the configuration file */
	const char *usage;		 /* "[options] [FILE... | -]" */
	const char *purpose;		 /* one sentence */
	const char *more;		 /* printed behind the options; may be NULL */
	const struct option_verb *verbs; /* ended by one without name, the first is the default; may be NULL */
	int *verb;			 /* set to the index of the one that was given */
};

/* Specs that several programs share; `mask`: their verbs. */
enum clock_kind { CLOCK_REAL, CLOCK_VIRTUAL };
enum format { FORMAT_AUTO, FORMAT_JSON, FORMAT_TEXT, FORMAT_CSV };
#define OPTION_EPOCH_DEFAULT INT64_C(946684800000000)

/* clang-format off */
#define OPTION_SPEC_CLOCK(int_p, mask) \
	{.name = "clock", .type = OPTION_CHOICE, .value = (int_p), .argument = "real|virtual", .key = "clock", \
	 .verbs = (mask), .help = "virtual: nobody waits, time is simulated (default: real)"}
#define OPTION_SPEC_EPOCH(int64_p, mask) \
	{.name = "epoch", .type = OPTION_CUSTOM, .value = (int64_p), .set = option_time, .argument = "TIME", \
	 .key = "epoch", .form = "a time such as 2000-01-01T00:00:00Z", .verbs = (mask), \
	 .help = "where the virtual clock starts (default: 2000-01-01T00:00:00Z)"}
#define OPTION_SPEC_FORMAT(int_p, mask) \
	{.name = "format", .letter = 'f', .type = OPTION_OUTPUT, .value = (int_p), .argument = "auto|json|text", \
	 .key = "format", .verbs = (mask), \
	 .help = "records, or lines for people (default: auto, by whether output is a terminal)"}
#define OPTION_SPEC_SOURCE(text_p, about, mask) \
	{.name = "source", .letter = 'S', .type = OPTION_TEXT, .value = (text_p), .argument = "NAME", \
	 .verbs = (mask), .help = (about)}
/* clang-format on */

/* A setter for RFC 3339 times; value is an int64_t. */
int option_time(const char *text, void *value);

extern const char *const acctflow_version;

/* Reads configuration file, environment and command line into the values of `specs` (ended by a spec without name).
 * --help, --version and --print-config print and exit 0; whatever is wrong is said with where it stands, and exits 100.
 * Sets the log level and format. Options may stand behind operands, which are moved to the end of argv; behind `--` all
 * is operands. Returns the index of the first one; where the program has verbs, of the verb's operand, after checking
 * that it has none too many or too few, and that the verb takes each option of the command line. */
int options_read(const struct program *program, const struct option_spec *specs, int argc, char **argv);

#endif
