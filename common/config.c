/* Walks libyaml's events instead of its document tree: two levels need no tree, and
 * every value keeps the line it stands in for the message. */
#include "config.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <yaml.h>

/* Where the walk is. */
struct walk {
	config_fn *fn;
	void *context;
	char section[64], key[64];
	int depth;
	bool have_key;
	int result; /* what fn returned */
};

/* A scalar: a name, or the value of the one before. Returns what is wrong, or NULL. */
static const char *
walk_scalar(struct walk *w, const char *text, size_t n, int line)
{
	/* An empty document is one empty scalar. */
	if (w->depth == 0)
		return n ? "expected a mapping of names to values" : NULL;
	if (strlen(text) != n)
		return "a NUL byte";
	if (w->have_key) {
		w->have_key = false;
		w->result = w->fn(w->context, w->section, w->key, text, line);
		return NULL;
	}
	if (n >= sizeof w->key)
		return "name too long";
	snprintf(w->key, sizeof w->key, "%s", text);
	w->have_key = true;
	return NULL;
}

static const char *
walk_event(struct walk *w, const yaml_event_t *e, int line)
{
	switch (e->type) {
	case YAML_SCALAR_EVENT:
		return walk_scalar(w, (const char *)e->data.scalar.value, e->data.scalar.length, line);
	case YAML_MAPPING_START_EVENT:
		if (w->depth == 2 || (w->depth == 1 && !w->have_key))
			return "nested too deep: sections hold plain values";
		if (w->depth == 1)
			snprintf(w->section, sizeof w->section, "%s", w->key);
		w->have_key = false;
		w->depth++;
		return NULL;
	case YAML_MAPPING_END_EVENT:
		w->depth--;
		w->section[0] = '\0';
		return NULL;
	case YAML_SEQUENCE_START_EVENT:
	case YAML_ALIAS_EVENT:
		return "expected a plain value";
	default:
		return NULL;
	}
}

/* What the parser could not read, in words. */
static int
walk_fault(const yaml_parser_t *parser, FILE *f, char *error, unsigned error_size)
{
	if (parser->error == YAML_MEMORY_ERROR) {
		snprintf(error, error_size, "out of memory");
		return -2;
	}
	snprintf(error, error_size, "line %zu: %s", parser->problem_mark.line + 1,
	    parser->problem ? parser->problem : "not YAML");
	return ferror(f) ? -2 : -1;
}

static int
walk_run(struct walk *w, yaml_parser_t *parser, FILE *f, char *error, unsigned error_size)
{
	for (bool done = false; !done && w->result == 0;) {
		yaml_event_t e;
		if (!yaml_parser_parse(parser, &e))
			return walk_fault(parser, f, error, error_size);
		int line = (int)e.start_mark.line + 1;
		const char *wrong = walk_event(w, &e, line);
		done = e.type == YAML_STREAM_END_EVENT;
		yaml_event_delete(&e);
		if (wrong) {
			snprintf(error, error_size, "line %d: %s", line, wrong);
			return -1;
		}
	}
	return w->result;
}

int
config_read(const char *path, config_fn *fn, void *context, char *error, unsigned error_size)
{
	struct walk w = {.fn = fn, .context = context};
	struct stat st;
	yaml_parser_t parser;
	int result = -1;
	FILE *f = fopen(path, "re");
	if (!f) {
		result = errno == ENOMEM || errno == ENFILE || errno == EMFILE ? -2 : -1;
		snprintf(error, error_size, "%m");
	} else if (fstat(fileno(f), &st) == 0 && S_ISDIR(st.st_mode)) {
		snprintf(error, error_size, "it is a directory");
	} else if (!yaml_parser_initialize(&parser)) {
		result = -2;
		snprintf(error, error_size, "out of memory");
	} else {
		yaml_parser_set_input_file(&parser, f);
		result = walk_run(&w, &parser, f, error, error_size);
		yaml_parser_delete(&parser);
	}
	if (f)
		fclose(f);
	return result;
}
