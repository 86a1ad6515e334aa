/* See options.h. */
#include "options.h"

#include "config.h"
#include "sandbox.h"
#include "log.h"
#include "json.h"

#include <ctype.h>
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

const char *const acctflow_version = ACCTFLOW_VERSION;

static const char *config_path;
static int log_level = LOG_INFO, log_format;
static bool no_sandbox;

/* What every program takes, behind its own options. */
static const struct option_spec common[] = {
    {.name = "config",
	.letter = 'c',
	.type = OPTION_TEXT,
	.value = &config_path,
	.argument = "FILE",
	.help = "configuration file, YAML (default: config.yaml here, if there is one)"},
    {.name = "log-level",
	.letter = 'l',
	.type = OPTION_CHOICE,
	.value = &log_level,
	.argument = "error|warn|info|debug|trace",
	.help = "how much is said on standard error (default: info)",
	.key = "log-level"},
    {.name = "log-format",
	.letter = 'L',
	.type = OPTION_CHOICE,
	.value = &log_format,
	.argument = "text|json",
	.help = "how it is said (default: text)",
	.key = "log-format"},
    {.name = "no-sandbox",
	.type = OPTION_FLAG,
	.value = &no_sandbox,
	.help = "for debugging: keep the rights that are given up otherwise",
	.key = "no-sandbox"},
    {0},
};

/* The names that may stand at the top level of the configuration file, whichever programs use them. */
static const char *const shared_keys[] = {
    "database", "password_file", "home", "clock", "epoch", "format", "log-level", "log-format", "no-sandbox", NULL};
static const char *const sections[] = {"reader", "writer", "timerd", "statusd", "supervisor", NULL};

struct reading {
	const struct program *program;
	const struct option_spec *own;
};

static const struct option_spec *
spec_find(const struct option_spec *specs, const char *name, bool top_level)
{
	for (; specs->name; specs++)
		if (top_level ? specs->key && strcmp(specs->key, name) == 0 : strcmp(specs->name, name) == 0)
			return specs;
	return NULL;
}

static bool
listed(const char *const *names, const char *name)
{
	for (; *names; names++)
		if (strcmp(*names, name) == 0)
			return true;
	return false;
}

/* The index of text in "one|two|three", or -1. */
static int
choice_find(const char *choices, const char *text)
{
	size_t n = strlen(text);
	for (int i = 0; choices; i++) {
		const char *bar = strchr(choices, '|');
		size_t len = bar ? (size_t)(bar - choices) : strlen(choices);
		if (len == n && memcmp(choices, text, n) == 0)
			return i;
		choices = bar ? bar + 1 : NULL;
	}
	return -1;
}

/* A copy for the program's life, also where a later setting replaces it. */
static const char *
text_keep(const char *text)
{
	static char **kept;
	static size_t n;
	kept = mem_grow(kept, (n + 1) * sizeof *kept);
	kept[n] = mem_string(slice_of(text));
	return kept[n++];
}

/* Sets one value from text. `where` says in the message who gave it. */
static void
spec_set(const struct option_spec *spec, const char *text, const char *where)
{
	switch (spec->type) {
	case OPTION_FLAG:
		if (!strcasecmp(text, "true") || !strcasecmp(text, "yes") || !strcmp(text, "1"))
			*(bool *)spec->value = true;
		else if (!strcasecmp(text, "false") || !strcasecmp(text, "no") || !strcmp(text, "0"))
			*(bool *)spec->value = false;
		else
			die(EXIT_PERMANENT, "%s: expected true or false, not \"%s\"", where, text);
		break;
	case OPTION_TEXT:
		*(const char **)spec->value = text_keep(text);
		break;
	case OPTION_COUNT: {
		uint64_t v;
		if (json_integer(slice_of(text), spec->max, &v) != 0 || v < spec->min)
			die(EXIT_PERMANENT, "%s: expected a whole number from %llu to %llu, not \"%s\"", where,
			    (unsigned long long)spec->min, (unsigned long long)spec->max, text);
		*(uint64_t *)spec->value = v;
		break;
	}
	case OPTION_CHOICE: {
		int i = choice_find(spec->argument, text);
		if (i < 0)
			die(EXIT_PERMANENT, "%s: expected one of %s, not \"%s\"", where, spec->argument, text);
		*(int *)spec->value = i;
		break;
	}
	case OPTION_CUSTOM:
		if (spec->set(text, spec->value) != 0)
			die(EXIT_PERMANENT, "%s: expected %s, not \"%s\"", where, spec->argument, text);
		break;
	}
	if (spec->given)
		*spec->given = true;
}

static int
config_set(void *context, const char *section, const char *key, const char *value, int line)
{
	const struct reading *r = context;
	bool top = !*section;
	char where[256];
	snprintf(where, sizeof where, "%s line %d: %s", config_path, line, key);
	if (!top && !listed(sections, section))
		die(EXIT_PERMANENT, "%s line %d: unknown section \"%s\"", config_path, line, section);
	if (!top && strcmp(section, r->program->name) != 0)
		return 0;
	const struct option_spec *spec = spec_find(r->own, key, top);
	if (!spec)
		spec = spec_find(common, key, top);
	if (spec && spec->value != &config_path)
		spec_set(spec, value, where);
	else if (!top || !listed(shared_keys, key))
		die(EXIT_PERMANENT, "%s line %d: unknown name \"%s\"", config_path, line, key);
	return 0;
}

static void
env_set(const struct option_spec *specs)
{
	for (; specs->name; specs++) {
		if (!specs->help)
			continue;
		char name[64] = "ACCTFLOW_";
		size_t n = strlen(name);
		for (const char *p = specs->name; *p && n < sizeof name - 1; p++)
			name[n++] = (char)(*p == '-' ? '_' : toupper((unsigned char)*p));
		name[n] = '\0';
		const char *value = getenv(name);
		if (value && *value)
			spec_set(specs, value, name);
	}
}

static void
help_specs(const struct option_spec *specs)
{
	for (; specs->name; specs++) {
		if (!specs->help)
			continue;
		char left[80];
		snprintf(left, sizeof left, "%c%c%c --%s%s%s", specs->letter ? '-' : ' ',
		    specs->letter ? specs->letter : ' ', specs->letter ? ',' : ' ', specs->name,
		    specs->type == OPTION_FLAG ? "" : " ", specs->type == OPTION_FLAG ? "" : specs->argument);
		if (strlen(left) > 30)
			printf("  %s\n  %-30s  %s\n", left, "", specs->help);
		else
			printf("  %-30s  %s\n", left, specs->help);
	}
}

static void
help_print(const struct program *program, const struct option_spec *own)
{
	printf("usage: %s %s\n%s\n\n", program->name, program->usage, program->purpose);
	help_specs(own);
	help_specs(common);
	printf("  -h, --help                      print this\n"
	       "  -V, --version                   print the version\n");
	if (program->more)
		printf("\n%s", program->more);
	if (fflush(stdout) != 0)
		die(EXIT_TEMPORARY, "could not write standard output: %m");
	exit(EXIT_OK);
}

/* The tables as getopt_long wants them: a long option's value is its index + 256, own ones first. */
struct getopt_tables {
	struct option *long_options;
	struct buf letters;
	const struct option_spec **specs;
	int n;
};

static void
tables_add(struct getopt_tables *t, const struct option_spec *specs)
{
	for (; specs->name; specs++) {
		if (!specs->help)
			continue;
		size_t n = (size_t)t->n++;
		t->long_options = mem_grow(t->long_options, (n + 4) * sizeof *t->long_options);
		t->specs = mem_grow(t->specs, (n + 1) * sizeof *t->specs);
		bool argument = specs->type != OPTION_FLAG;
		t->long_options[n] =
		    (struct option){specs->name, argument ? required_argument : no_argument, NULL, 256 + (int)n};
		t->specs[n] = specs;
		if (specs->letter) {
			buf_char(&t->letters, specs->letter);
			if (argument)
				buf_char(&t->letters, ':');
		}
	}
}

static const struct option_spec *
tables_find(const struct getopt_tables *t, int c)
{
	if (c >= 256)
		return t->specs[c - 256];
	for (int i = 0; i < t->n; i++)
		if (t->specs[i]->letter == c)
			return t->specs[i];
	return NULL;
}

/* Goes over the command line; first only for what comes before all else, then to set values. */
static void
arguments_walk(struct getopt_tables *t, const struct reading *r, int argc, char **argv, bool set)
{
	int c;
	optind = 0;
	opterr = 0;
	while ((c = getopt_long(argc, argv, buf_cstr(&t->letters), t->long_options, NULL)) != -1) {
		const char *last = argv[optind - 1];
		if (c == 'h')
			help_print(r->program, r->own);
		if (c == 'V') {
			printf("%s (acctflow) %s\n", r->program->name, acctflow_version);
			exit(fflush(stdout) == 0 ? EXIT_OK : EXIT_TEMPORARY);
		}
		bool wrong = c == '?' || c == ':';
		const struct option_spec *spec = !wrong ? tables_find(t, c) : optopt ? tables_find(t, optopt) : NULL;
		if (wrong && spec)
			die(EXIT_PERMANENT, "option \"%s\" %s; see %s --help", last,
			    optopt >= 256 && spec->type == OPTION_FLAG ? "takes no value" : "wants a value",
			    r->program->name);
		if (!spec) {
			char letter[3] = {'-', (char)optopt, '\0'};
			die(EXIT_PERMANENT, "unknown option \"%s\"; see %s --help", optopt ? letter : last,
			    r->program->name);
		}
		char where[64];
		snprintf(where, sizeof where, "--%s", spec->name);
		if (set || spec->value == &config_path)
			spec_set(spec, optarg ? optarg : "true", where);
	}
}

int
options_read(const struct program *program, const struct option_spec *specs, int argc, char **argv)
{
	struct reading r = {program, specs};
	struct getopt_tables t = {0};
	log_init(program->name);
	tables_add(&t, specs);
	tables_add(&t, common);
	/* The common table is not empty. NOLINTNEXTLINE(clang-analyzer-core.NullDereference) */
	t.long_options[t.n] = (struct option){"help", no_argument, NULL, 'h'};
	t.long_options[t.n + 1] = (struct option){"version", no_argument, NULL, 'V'};
	t.long_options[t.n + 2] = (struct option){0};
	buf_text(&t.letters, "hV");

	config_path = getenv("ACCTFLOW_CONFIG");
	arguments_walk(&t, &r, argc, argv, false);
	bool named = config_path != NULL;
	if (named)
		setenv("ACCTFLOW_CONFIG", config_path, 1); /* for programs that this one starts */
	if (!named)
		config_path = "config.yaml";
	if (named || access(config_path, F_OK) == 0) {
		char error[256];
		int status = config_read(config_path, config_set, &r, error, sizeof error);
		if (status != 0)
			die(status == -2 ? EXIT_TEMPORARY : EXIT_PERMANENT,
			    "could not read configuration file \"%s\": %s", config_path, error);
	}
	env_set(specs);
	env_set(common);
	arguments_walk(&t, &r, argc, argv, true);
	log_set((enum log_level)log_level, log_format == 1);
	if (no_sandbox)
		sandbox_never();
	free(t.long_options);
	free(t.specs);
	buf_free(&t.letters);
	return optind;
}
