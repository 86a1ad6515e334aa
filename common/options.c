/* See options.h. The command line is taken apart first, since it names the configuration file and says how faults are
 * to be reported; its values count last. */
#include "options.h"

#include "config.h"
#include "json.h"
#include "log.h"
#include "paths.h"
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
/* clang-format off */
static const struct option_spec common[] = {
	{.name = "config", .letter = 'c', .type = OPTION_TEXT, .value = &config_path, .argument = "FILE",
	 .help = "configuration file, YAML (default: config.yaml here; installed, ~/.config/acctflow/config.yaml, or that "
		 "below /etc)"},
	{.name = "log-level", .letter = 'l', .type = OPTION_CHOICE, .value = &log_level, .key = "log-level",
	 .argument = "error|warn|info|debug|trace", .help = "how much is logged on standard error (default: info)"},
	{.name = "log-format", .letter = 'L', .type = OPTION_CHOICE, .value = &log_format, .key = "log-format",
	 .argument = "text|json", .help = "how it is logged (default: text)"},
	{.name = "no-sandbox", .type = OPTION_FLAG, .value = &no_sandbox, .key = "no-sandbox",
	 .help = "for debugging: keep the rights that are given up otherwise"},
	{.name = "print-config", .type = OPTION_ACTION, .value = &print_config,
	 .help = "print what the configuration file says as NAME=VALUE and SECTION.NAME=VALUE lines"},
	{.name = "help", .letter = 'h', .type = OPTION_ACTION, .value = &help_wanted, .help = "print this"},
	{.name = "version", .letter = 'V', .type = OPTION_ACTION, .value = &version_wanted, .help = "print the version"},
	{0},
};

/* The names that may stand at the top level of the configuration file, whichever programs use them. */
static const char *const shared_keys[] = {
	"database", "password-file", "home", "clock", "epoch", "format", "log-level", "log-format", "no-sandbox", NULL};
static const char *const sections[] = {"kafka-reader", "reader", "writer", "timerd", "deliver", "tracer", "statusd", "supervisor", NULL};
/* clang-format on */

struct reading {
	const struct program *program;
	struct option_spec *specs; /* the program's, then the common ones */
	bool early;		   /* the first walk over the command line, see option_given() */
	char **operands;
	int operands_n;
	struct buf fault;  /* the first one of the command line */
	struct buf config; /* for --print-config */
};

enum where { BY_OPTION, BY_TOP_LEVEL, BY_SECTION };

/* The name by which an option is set there; NULL: it cannot be. */
static const char *
spec_name(const struct option_spec *spec, enum where where)
{
	if (where == BY_TOP_LEVEL)
		return spec->key;
	if (where == BY_OPTION)
		return spec->help ? spec->name : NULL;
	return spec->type == OPTION_ACTION || spec->value == &config_path ? NULL : spec->name;
}

static const struct option_spec *
spec_find(const struct reading *r, struct slice name, enum where where)
{
	for (const struct option_spec *s = r->specs; s->name; s++)
		if (spec_name(s, where) && slice_is(name, spec_name(s, where)))
			return s;
	return NULL;
}

static bool
spec_is_flag(const struct option_spec *spec)
{
	return spec->type == OPTION_FLAG || spec->type == OPTION_ACTION;
}

static bool
listed(const char *const *names, const char *name)
{
	while (*names && strcmp(*names, name) != 0)
		names++;
	return *names;
}

/* The index of text in "one|two|three", or -1. */
static int
choice_find(const char *choices, const char *text)
{
	size_t n = strlen(text);
	for (int i = 0;; i++, choices++) {
		size_t len = strcspn(choices, "|");
		if (len == n && memcmp(choices, text, n) == 0)
			return i;
		choices += len;
		if (!*choices)
			return -1;
	}
}

/* Whether standard output goes to another program. */
static bool
is_piped(void)
{
	struct stat st;
	return fstat(STDOUT_FILENO, &st) == 0 && (S_ISFIFO(st.st_mode) || S_ISSOCK(st.st_mode));
}

static bool
text_is_one_of(const char *text, const char *a, const char *b, const char *c)
{
	return strcasecmp(text, a) == 0 || strcasecmp(text, b) == 0 || strcmp(text, c) == 0;
}

/* Sets one value from text, which must outlive it where it is a text. `where` says in the message who gave it; `here`:
 * the command line. */
static void
spec_set(const struct option_spec *spec, const char *text, const char *where, bool here)
{
	uint64_t v;
	int i;
	switch (spec->type) {
	case OPTION_FLAG:
	case OPTION_ACTION:
		*(bool *)spec->value = text_is_one_of(text, "true", "yes", "1");
		if (!*(bool *)spec->value && !text_is_one_of(text, "false", "no", "0"))
			die_usage("%s: expected true or false, not \"%s\"", where, text);
		break;
	case OPTION_TEXT:
		*(const char **)spec->value = text;
		break;
	case OPTION_COUNT:
		if (json_integer(slice_of(text), spec->max, &v) != 0 || v < spec->min)
			die_usage("%s: expected a whole number from %llu to %llu, not \"%s\"", where,
			    (unsigned long long)spec->min, (unsigned long long)spec->max, text);
		*(uint64_t *)spec->value = v;
		break;
	case OPTION_CHOICE:
	case OPTION_OUTPUT:
		i = choice_find(spec->argument, text);
		if (i < 0)
			die_usage("%s: expected one of %s, not \"%s\"", where, spec->argument, text);
		if (spec->type == OPTION_OUTPUT && !here && is_piped())
			return;
		*(int *)spec->value = i;
		break;
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

/* Tries all names of a list or, where that is NULL, of the options. */
static void
guess(struct usage_guess *g, const struct reading *r, const char *const *names, enum where where)
{
	for (; names && *names; names++)
		usage_try(g, *names);
	for (const struct option_spec *s = r->specs; !names && s->name; s++)
		if (spec_name(s, where))
			usage_try(g, spec_name(s, where));
}

/* Ends the program for a name in the configuration file that nobody knows. */
static _Noreturn void
config_unknown(const struct reading *r, const char *what, bool top, const char *key, const char *name, int line)
{
	struct usage_guess g = {.wrong = name};
	if (top) {
		guess(&g, r, shared_keys, BY_TOP_LEVEL);
		guess(&g, r, sections, BY_TOP_LEVEL);
	} else {
		guess(&g, r, NULL, BY_SECTION);
	}
	die_usage("%s line %d: unknown %s \"%s\"%s%s%s", config_path, line, what, key, g.best ? "; did you mean " : "",
	    g.best ? g.best : "", g.best ? "?" : "");
}

static int
config_set(void *context, const char *section, const char *key, const char *value, int line)
{
	struct reading *r = context;
	bool top = !*section;
	char where[256], name[64];
	snprintf(where, sizeof where, "%s line %d: %s", config_path, line, key);
	snprintf(name, sizeof name, "%s", key);
	for (char *p = name; (p = strchr(p, '_'));)
		*p = '-';
	if (!top && !listed(sections, section))
		config_unknown(r, "section", true, section, section, line);
	if (print_config) {
		if (strpbrk(value, "\r\n"))
			die_usage("%s: a value of several lines", where);
		for (const char *p = name; *p; p++)
			if (!isalnum((unsigned char)*p) && *p != '-')
				config_unknown(r, "name", top, key, name, line);
		buf_printf(&r->config, "%s%s%s=%s\n", section, top ? "" : ".", name, value);
	}
	if (!top && strcmp(section, r->program->name) != 0)
		return 0;
	const struct option_spec *spec = spec_find(r, slice_of(name), top ? BY_TOP_LEVEL : BY_SECTION);
	if (spec)
		spec_set(spec, spec->type == OPTION_TEXT ? mem_string(slice_of(value)) : value, where, false);
	else if (top && spec_find(r, slice_of(name), BY_SECTION) && !listed(shared_keys, name))
		die_usage("%s line %d: \"%s\" belongs in the section \"%s\"", config_path, line, key, r->program->name);
	else if (!top || !listed(shared_keys, name))
		config_unknown(r, "name", top, key, name, line);
	return 0;
}

static void
config_load(struct reading *r)
{
	char error[256];
	bool named = config_path != NULL;
	if (!named)
		config_path = paths_config();
	if (!named && access(config_path, F_OK) != 0)
		return;
	int status = config_read(config_path, false, config_set, r, error, sizeof error);
	if (status == -2)
		die(EXIT_TEMPORARY, "could not read configuration file \"%s\": %s", config_path, error);
	if (status != 0)
		die_usage("could not read configuration file \"%s\": %s", config_path, error);
}

static void
env_set(const struct option_spec *specs)
{
	for (; specs->name; specs++) {
		char name[64];
		snprintf(name, sizeof name, "ACCTFLOW_%s", specs->name);
		for (char *p = name; *p; p++)
			*p = (char)(*p == '-' ? '_' : toupper((unsigned char)*p));
		const char *value = specs->help && specs->type != OPTION_ACTION ? getenv(name) : NULL;
		if (value && *value)
			spec_set(specs, value, name, false);
	}
}

/* The first fault counts; the rest of the command line is still looked at for --help and the like. */
#define arguments_fault(r, ...) ((r)->fault.len ? (void)0 : buf_printf(&(r)->fault, __VA_ARGS__))

static void
option_unknown(struct reading *r, struct slice name)
{
	char *wrong = mem_string(name);
	struct usage_guess g = {.wrong = wrong};
	guess(&g, r, NULL, BY_OPTION);
	if (g.best)
		arguments_fault(r, "unknown option \"--%s\"; did you mean --%s?", wrong, g.best);
	else
		arguments_fault(r, "unknown option \"--%s\"; see %s --help", wrong, r->program->name);
	free(wrong);
}

/* The command line is walked over twice: early for what decides how the rest is read, or how its faults are reported;
 * then, once the configuration file and the environment count, for all values, "true" for a flag. */
static void
option_given(struct reading *r, const struct option_spec *spec, const char *value)
{
	char where[64];
	if (!value) {
		arguments_fault(r, "option \"--%s\" wants a value; see %s --help", spec->name, r->program->name);
		return;
	}
	snprintf(where, sizeof where, "--%s", spec->name);
	if (r->early && spec->value == &log_format)
		log_format = strcmp(value, "json") == 0;
	else if (!r->early || spec->type == OPTION_ACTION || spec->value == &config_path)
		spec_set(spec, value, where, true);
	const struct option_verb *verb = r->program->verbs;
	if (!r->early && spec->verbs && verb && !(spec->verbs >> *r->program->verb & 1))
		die_usage(
		    "%s takes no option %s; see %s --help", verb[*r->program->verb].name, where, r->program->name);
}

/* Reads argv[i], which is "--name", "--name=value" or "--name value". Returns the index of the last word it took. */
static int
option_long(struct reading *r, char **argv, int i)
{
	struct slice name = {argv[i] + 2, strcspn(argv[i] + 2, "=")};
	const char *equals = name.p[name.n] ? name.p + name.n + 1 : NULL;
	const struct option_spec *spec = spec_find(r, name, BY_OPTION);
	if (!spec)
		option_unknown(r, name);
	else if (spec_is_flag(spec) && equals)
		arguments_fault(r, "option \"%s\" takes no value; see %s --help", argv[i], r->program->name);
	else
		option_given(r, spec, equals ? equals : spec_is_flag(spec) ? "true" : argv[++i]);
	return i;
}

/* The same for letters: "-n", "-nr", "-s5", "-s 5". */
static int
option_letters(struct reading *r, char **argv, int i)
{
	for (const char *p = argv[i] + 1; *p; p++) {
		const struct option_spec *spec = r->specs;
		while (spec->name && spec->letter != *p)
			spec++;
		if (!spec->name) {
			arguments_fault(r, "unknown option \"-%c\"; see %s --help", *p, r->program->name);
			return i;
		}
		if (!spec_is_flag(spec)) {
			option_given(r, spec, p[1] ? p + 1 : argv[++i]);
			return i;
		}
		option_given(r, spec, "true");
	}
	return i;
}

static void
arguments_walk(struct reading *r, int argc, char **argv)
{
	bool options = true;
	r->operands_n = 0;
	for (int i = 1; i < argc; i++)
		if (!options || argv[i][0] != '-' || !argv[i][1])
			r->operands[r->operands_n++] = argv[i];
		else if (strcmp(argv[i], "--") == 0)
			options = false;
		else
			i = argv[i][1] == '-' ? option_long(r, argv, i) : option_letters(r, argv, i);
}

/* Finds the verb and checks that it takes the operands. Returns how many words it is. */
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
	bool any = v->operand && v->operand[0] == '[';
	int wanted = v->operand ? 1 + (strchr(v->operand, ' ') != NULL) : 0;
	if (rest < wanted && !any)
		die_usage("%s wants %s: %s %s %s", name, wanted > 1 ? "two operands" : "an operand", p->name, name,
		    v->operand);
	if (rest > wanted && !any)
		die_usage("unexpected operand \"%s\"; see %s --help", r->operands[words + wanted], p->name);
	*p->verb = i;
	return words;
}

/* The program's specs and the common ones, as one table. */
static struct option_spec *
specs_join(const struct option_spec *own)
{
	size_t n = 0;
	while (own[n].name)
		n++;
	struct option_spec *all = mem_alloc(n * sizeof *own + sizeof common);
	memcpy(all, own, n * sizeof *own);
	memcpy(all + n, common, sizeof common);
	return all;
}

int
options_read(const struct program *program, const struct option_spec *specs, int argc, char **argv)
{
	struct reading r = {
	    .program = program, .early = true, .operands = mem_alloc((size_t)argc * sizeof *r.operands)};
	r.specs = specs_join(specs);
	log_init(program->name);
	config_path = getenv("ACCTFLOW_CONFIG");
	const char *format = getenv("ACCTFLOW_LOG_FORMAT");
	log_format = format && strcmp(format, "json") == 0;
	arguments_walk(&r, argc, argv);
	if (config_path)
		setenv("ACCTFLOW_CONFIG", config_path, 1); /* for programs that this one starts */
	bool json = log_format == 1;
	log_set((enum log_level)log_level, json);
	if (help_wanted)
		usage_print(program, r.specs);
	if (version_wanted) {
		printf("%s (acctflow) %s\n", program->name, acctflow_version);
		usage_end();
	}
	config_load(&r);
	log_set((enum log_level)log_level, json || log_format == 1);
	env_set(r.specs);
	if (r.fault.len)
		die_usage("%s", buf_cstr(&r.fault));
	int words = program->verbs ? verb_find(&r) : 0;
	r.early = false;
	arguments_walk(&r, argc, argv);
	log_set((enum log_level)log_level, log_format == 1);
	if (no_sandbox)
		sandbox_never();
	if (print_config) {
		printf("%s", buf_cstr(&r.config));
		usage_end();
	}
	for (int i = 0; i < r.operands_n; i++)
		argv[argc - r.operands_n + i] = r.operands[i];
	int first = argc - r.operands_n + words;
	free(r.operands);
	free(r.specs);
	buf_free(&r.config);
	return first;
}
