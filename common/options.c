/* See options.h. */
#include "options.h"

#include "config.h"
#include "json.h"
#include "log.h"
#include "sandbox.h"
#include "time.h"
#include "usage.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

const char *const acctflow_version = ACCTFLOW_VERSION;

static const char *config_path;
static int log_level = LOG_INFO, log_format;
static bool no_sandbox, help_wanted, version_wanted, print_config;

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
	.help = "how much is logged on standard error (default: info)",
	.key = "log-level"},
    {.name = "log-format",
	.letter = 'L',
	.type = OPTION_CHOICE,
	.value = &log_format,
	.argument = "text|json",
	.help = "how it is logged (default: text)",
	.key = "log-format"},
    {.name = "no-sandbox",
	.type = OPTION_FLAG,
	.value = &no_sandbox,
	.help = "for debugging: keep the rights that are given up otherwise",
	.key = "no-sandbox"},
    {.name = "print-config",
	.type = OPTION_ACTION,
	.value = &print_config,
	.help = "print what the configuration file says as NAME=VALUE and SECTION.NAME=VALUE lines"},
    {.name = "help", .letter = 'h', .type = OPTION_ACTION, .value = &help_wanted, .help = "print this"},
    {.name = "version", .letter = 'V', .type = OPTION_ACTION, .value = &version_wanted, .help = "print the version"},
    {0},
};

/* The names that may stand at the top level of the configuration file, whichever programs use them. */
static const char *const shared_keys[] = {
    "database", "password-file", "home", "clock", "epoch", "format", "log-level", "log-format", "no-sandbox", NULL};
static const char *const sections[] = {"reader", "writer", "timerd", "statusd", "supervisor", NULL};

struct reading {
	const struct program *program;
	const struct option_spec *own;
	const struct option_spec **given; /* on the command line */
	size_t given_n;
	char **operands;
	int operands_n;
	struct buf config; /* for --print-config */
};

/* Whether two names are equal but for '-' and '_'. */
static bool
name_same(const char *a, const char *b, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (a[i] != b[i] && !((a[i] == '-' && b[i] == '_') || (a[i] == '_' && b[i] == '-')))
			return false;
	return b[n] == '\0';
}

/* The other name of an option or key that has two. */
static const char *
name_alias(const char *name, size_t n)
{
	return name_same(name, "db", n) ? "database" : name_same(name, "database", n) ? "db" : NULL;
}

enum where { BY_OPTION, BY_TOP_LEVEL, BY_SECTION };

static const struct option_spec *
spec_in(const struct option_spec *specs, const char *name, size_t n, enum where where)
{
	for (; specs->name; specs++) {
		if (where == BY_TOP_LEVEL ? specs->key && name_same(name, specs->key, n)
		    : where == BY_OPTION  ? specs->help && name_same(name, specs->name, n)
					  : specs->type != OPTION_ACTION && name_same(name, specs->name, n))
			return specs;
	}
	return NULL;
}

static const struct option_spec *
spec_find(const struct reading *r, const char *name, size_t n, enum where where)
{
	const struct option_spec *spec = spec_in(r->own, name, n, where);
	if (!spec)
		spec = spec_in(common, name, n, where);
	const char *other = spec ? NULL : name_alias(name, n);
	return other ? spec_in(r->own, other, strlen(other), where) : spec;
}

static const struct option_spec *
spec_letter(const struct reading *r, char letter)
{
	const struct option_spec *tables[] = {r->own, common};
	for (size_t i = 0; i < 2; i++)
		for (const struct option_spec *s = tables[i]; s->name; s++)
			if (s->letter && s->letter == letter)
				return s;
	return NULL;
}

static bool
spec_is_flag(const struct option_spec *spec)
{
	return spec->type == OPTION_FLAG || spec->type == OPTION_ACTION;
}

static const char *
listed(const char *const *names, const char *name)
{
	for (; *names; names++)
		if (name_same(name, *names, strlen(name)))
			return *names;
	return NULL;
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

/* Whether standard output goes to another program. */
static bool
is_piped(void)
{
	struct stat st;
	return fstat(STDOUT_FILENO, &st) == 0 && (S_ISFIFO(st.st_mode) || S_ISSOCK(st.st_mode));
}

/* Sets one value from text. `where` says in the message who gave it; `here`: the command line. */
static void
spec_set(const struct option_spec *spec, const char *text, const char *where, bool here)
{
	switch (spec->type) {
	case OPTION_FLAG:
	case OPTION_ACTION:
		if (!strcasecmp(text, "true") || !strcasecmp(text, "yes") || !strcmp(text, "1"))
			*(bool *)spec->value = true;
		else if (!strcasecmp(text, "false") || !strcasecmp(text, "no") || !strcmp(text, "0"))
			*(bool *)spec->value = false;
		else
			die_usage("%s: expected true or false, not \"%s\"", where, text);
		break;
	case OPTION_TEXT:
		*(const char **)spec->value = text_keep(text);
		break;
	case OPTION_COUNT: {
		uint64_t v;
		if (json_integer(slice_of(text), spec->max, &v) != 0 || v < spec->min)
			die_usage("%s: expected a whole number from %llu to %llu, not \"%s\"", where,
			    (unsigned long long)spec->min, (unsigned long long)spec->max, text);
		*(uint64_t *)spec->value = v;
		break;
	}
	case OPTION_CHOICE:
	case OPTION_OUTPUT: {
		int i = choice_find(spec->argument, text);
		if (i < 0)
			die_usage("%s: expected one of %s, not \"%s\"", where, spec->argument, text);
		if (spec->type == OPTION_OUTPUT && !here && is_piped())
			return;
		*(int *)spec->value = i;
		break;
	}
	case OPTION_CUSTOM:
		if (spec->set(text, spec->value) != 0)
			die_usage("%s: expected %s, not \"%s\"", where, spec->form ? spec->form : spec->argument, text);
		break;
	}
	if (spec->given)
		*spec->given = true;
}

int
option_time(const char *text, void *value)
{
	return time_parse(slice_of(text), value);
}

/* The end of a message about an unknown name. */
static void
guess_add(struct usage_guess *g, const struct option_spec *specs, enum where where)
{
	for (; specs->name; specs++)
		if (where == BY_OPTION ? specs->help != NULL : specs->type != OPTION_ACTION)
			usage_try(g, specs->name);
}

static _Noreturn void
config_unknown(const struct reading *r, bool top, const char *key, int line)
{
	struct usage_guess g = {.wrong = key};
	if (top && spec_find(r, key, strlen(key), BY_SECTION))
		die_usage("%s line %d: \"%s\" belongs in the section \"%s\"", config_path, line, key, r->program->name);
	for (const char *const *name = shared_keys; top && *name; name++)
		usage_try(&g, *name);
	for (const char *const *name = sections; top && *name; name++)
		usage_try(&g, *name);
	if (!top) {
		guess_add(&g, r->own, BY_SECTION);
		guess_add(&g, common, BY_SECTION);
	}
	die_usage("%s line %d: unknown name \"%s\"%s%s%s", config_path, line, key, g.best ? "; did you mean " : "",
	    g.best ? g.best : "", g.best ? "?" : "");
}

/* Notes a setting for --print-config, under the one spelling that others may rely on. */
static void
config_note(struct reading *r, const char *section, const char *key, const char *value, int line)
{
	struct slice name = slice_of(key);
	const char *other = name_same(key, "db", name.n) ? name_alias(key, name.n) : NULL;
	if (other)
		name = slice_of(other);
	if (strpbrk(value, "\r\n"))
		die_usage("%s line %d: %s: a value of several lines", config_path, line, key);
	if (strspn(key, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_") != strlen(key))
		die_usage("%s line %d: unknown name \"%s\"", config_path, line, key);
	buf_printf(&r->config, "%s%s", section, *section ? "." : "");
	for (size_t i = 0; i < name.n; i++)
		buf_char(&r->config, name.p[i] == '_' ? '-' : name.p[i]);
	buf_printf(&r->config, "=%s\n", value);
}

static int
config_set(void *context, const char *section, const char *key, const char *value, int line)
{
	struct reading *r = context;
	bool top = !*section;
	char where[256];
	snprintf(where, sizeof where, "%s line %d: %s", config_path, line, key);
	if (!top && !listed(sections, section)) {
		struct usage_guess g = {.wrong = section};
		for (const char *const *name = sections; *name; name++)
			usage_try(&g, *name);
		die_usage("%s line %d: unknown section \"%s\"%s%s%s", config_path, line, section,
		    g.best ? "; did you mean " : "", g.best ? g.best : "", g.best ? "?" : "");
	}
	if (print_config)
		config_note(r, section, key, value, line);
	if (!top && strcmp(section, r->program->name) != 0)
		return 0;
	const struct option_spec *spec = spec_find(r, key, strlen(key), top ? BY_TOP_LEVEL : BY_SECTION);
	if (spec && spec->value != &config_path)
		spec_set(spec, value, where, false);
	else if (!top || !(listed(shared_keys, key) || name_same(key, "db", strlen(key))))
		config_unknown(r, top, key, line);
	return 0;
}

static void
config_load(struct reading *r)
{
	bool named = config_path != NULL;
	if (!named)
		config_path = "config.yaml";
	if (!named && access(config_path, F_OK) != 0)
		return;
	char error[256];
	int status = config_read(config_path, config_set, r, error, sizeof error);
	if (status == -2)
		die(EXIT_TEMPORARY, "could not read configuration file \"%s\": %s", config_path, error);
	if (status != 0)
		die_usage("could not read configuration file \"%s\": %s", config_path, error);
}

static void
env_set(const struct option_spec *specs)
{
	for (; specs->name; specs++) {
		if (!specs->help || specs->type == OPTION_ACTION)
			continue;
		char name[64] = "ACCTFLOW_";
		size_t n = strlen(name);
		for (const char *p = specs->name; *p && n < sizeof name - 1; p++)
			name[n++] = (char)(*p == '-' ? '_' : toupper((unsigned char)*p));
		name[n] = '\0';
		const char *value = getenv(name);
		if (value && *value)
			spec_set(specs, value, name, false);
	}
}

static _Noreturn void
option_unknown(const struct reading *r, const char *name)
{
	struct usage_guess g = {.wrong = name + 2};
	if (name[0] == '-' && name[1] == '-') {
		guess_add(&g, r->own, BY_OPTION);
		guess_add(&g, common, BY_OPTION);
	}
	if (g.best)
		die_usage("unknown option \"%s\"; did you mean --%s?", name, g.best);
	die_usage("unknown option \"%s\"; see %s --help", name, r->program->name);
}

/* What is given early: it decides how the rest is read, or how its faults are reported. */
static bool
option_is_early(const struct option_spec *spec)
{
	return spec->type == OPTION_ACTION || spec->value == &config_path || spec->value == &log_format;
}

/* One option of the command line, with its value (NULL: none was there). */
static void
option_given(struct reading *r, const struct option_spec *spec, const char *value, bool early)
{
	char where[64];
	snprintf(where, sizeof where, "--%s", spec->name);
	if (early && !(option_is_early(spec) && (value || spec_is_flag(spec))))
		return;
	if (early && spec->value == &log_format && choice_find(spec->argument, value) < 0)
		return;
	if (!spec_is_flag(spec) && !value)
		die_usage("option \"%s\" wants a value; see %s --help", where, r->program->name);
	spec_set(spec, value ? value : "true", where, true);
	if (early)
		return;
	r->given = mem_grow(r->given, (r->given_n + 1) * sizeof *r->given);
	r->given[r->given_n++] = spec;
}

/* Reads argv[i], which is "--name", "--name=value" or "--name value". Returns the index of the last word it took. */
static int
option_long(struct reading *r, char **argv, int i, bool early)
{
	const char *name = argv[i] + 2, *equals = strchr(name, '=');
	size_t n = equals ? (size_t)(equals - name) : strlen(name);
	const struct option_spec *spec = spec_find(r, name, n, BY_OPTION);
	if (!spec && early)
		return i;
	if (!spec) {
		char *word = mem_string((struct slice){argv[i], n + 2});
		option_unknown(r, word);
	}
	if (spec_is_flag(spec) && equals && !early)
		die_usage("option \"%s\" takes no value; see %s --help", argv[i], r->program->name);
	const char *value = equals ? equals + 1 : spec_is_flag(spec) ? NULL : argv[++i];
	option_given(r, spec, value, early);
	return i;
}

/* The same for letters: "-n", "-nr", "-s5", "-s 5". */
static int
option_letters(struct reading *r, char **argv, int i, bool early)
{
	for (const char *p = argv[i] + 1; *p; p++) {
		const struct option_spec *spec = spec_letter(r, *p);
		if (!spec && early)
			return i;
		if (!spec)
			option_unknown(r, (char[]){'-', *p, '\0'});
		if (spec_is_flag(spec)) {
			option_given(r, spec, NULL, early);
			continue;
		}
		option_given(r, spec, p[1] ? p + 1 : argv[++i], early);
		break;
	}
	return i;
}

/* Goes over the command line: first only for what is early, without a word about faults; then for all. */
static void
arguments_walk(struct reading *r, int argc, char **argv, bool early)
{
	bool options = true;
	r->operands_n = 0;
	for (int i = 1; i < argc; i++)
		if (!options || argv[i][0] != '-' || !argv[i][1])
			r->operands[r->operands_n++] = argv[i];
		else if (strcmp(argv[i], "--") == 0)
			options = false;
		else
			i = argv[i][1] == '-' ? option_long(r, argv, i, early) : option_letters(r, argv, i, early);
}

/* Finds the verb and checks that it takes what was given. Returns how many words it is. */
static int
verb_find(const struct reading *r)
{
	const struct program *p = r->program;
	const char *name = r->operands_n ? r->operands[0] : p->verbs[0].name;
	struct usage_guess g = {.wrong = name};
	int i = 0, words = r->operands_n > 0, rest = r->operands_n - words;
	for (; p->verbs[i].name && strcmp(p->verbs[i].name, name) != 0; i++)
		usage_try(&g, p->verbs[i].name);
	const struct option_verb *v = &p->verbs[i];
	if (!v->name && g.best)
		die_usage("unknown verb \"%s\"; did you mean %s?", name, g.best);
	if (!v->name)
		die_usage("unknown verb \"%s\"; see %s --help", name, p->name);
	for (size_t k = 0; k < r->given_n; k++)
		if (r->given[k]->verbs && !(r->given[k]->verbs >> i & 1))
			die_usage("%s takes no option --%s; see %s --help", name, r->given[k]->name, p->name);
	if (v->operand && rest == 0)
		die_usage("%s wants an operand: %s %s %s", name, p->name, name, v->operand);
	if (rest > (v->operand != NULL))
		die_usage(
		    "unexpected operand \"%s\"; see %s --help", r->operands[words + (v->operand != NULL)], p->name);
	*p->verb = i;
	return words;
}

static _Noreturn void
print_end(void)
{
	if (fflush(stdout) != 0)
		die(EXIT_TEMPORARY, "could not write standard output: %m");
	exit(EXIT_OK);
}

int
options_read(const struct program *program, const struct option_spec *specs, int argc, char **argv)
{
	struct reading r = {.program = program, .own = specs, .operands = mem_alloc((size_t)argc * sizeof *r.operands)};
	log_init(program->name);
	config_path = getenv("ACCTFLOW_CONFIG");
	const char *format = getenv("ACCTFLOW_LOG_FORMAT");
	log_format = format && strcmp(format, "json") == 0;
	arguments_walk(&r, argc, argv, true);
	if (config_path)
		setenv("ACCTFLOW_CONFIG", config_path, 1); /* for programs that this one starts */
	bool json = log_format == 1;
	log_set((enum log_level)log_level, json);
	if (help_wanted)
		usage_print(program, specs, common);
	if (version_wanted) {
		printf("%s (acctflow) %s\n", program->name, acctflow_version);
		print_end();
	}
	config_load(&r);
	log_set((enum log_level)log_level, json || log_format == 1);
	env_set(specs);
	env_set(common);
	arguments_walk(&r, argc, argv, false);
	log_set((enum log_level)log_level, log_format == 1);
	if (no_sandbox)
		sandbox_never();
	int words = program->verbs ? verb_find(&r) : 0;
	if (print_config) {
		printf("%s", buf_cstr(&r.config));
		print_end();
	}
	for (int i = 0; i < r.operands_n; i++)
		argv[argc - r.operands_n + i] = r.operands[i];
	int first = argc - r.operands_n + words;
	free(r.given);
	free(r.operands);
	buf_free(&r.config);
	return first;
}
