/* Walks libyaml's events instead of its document tree: two levels need no tree, and
 * every value keeps the line it stands in for the message. */
#include "config.h"

#include <errno.h>
#include <stdint.h>
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
	bool lists, in_list; /* are allowed; the values of a key are read */
	int result;	     /* what fn returned */
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
		w->have_key = w->in_list;
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
		if (w->depth == 2 || w->in_list || (w->depth == 1 && !w->have_key))
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
	case YAML_SEQUENCE_END_EVENT:
		w->in_list = w->have_key = false;
		return NULL;
	case YAML_SEQUENCE_START_EVENT:
		if (!w->lists || w->in_list || !w->have_key)
			return "expected a plain value";
		w->in_list = true;
		return NULL;
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

/* Reads f, which is closed. */
static int
file_walk(FILE *f, struct walk *w, char *error, unsigned error_size)
{
	yaml_parser_t parser;
	int result = -2;
	if (!yaml_parser_initialize(&parser)) {
		snprintf(error, error_size, "out of memory");
	} else {
		yaml_parser_set_input_file(&parser, f);
		result = walk_run(w, &parser, f, error, error_size);
		yaml_parser_delete(&parser);
	}
	fclose(f);
	return result;
}

int
config_read(const char *path, bool lists, config_fn *fn, void *context, char *error, unsigned error_size)
{
	struct stat st;
	FILE *f = fopen(path, "re");
	if (!f) {
		int e = errno;
		snprintf(error, error_size, "%m");
		return e == ENOMEM || e == ENFILE || e == EMFILE ? -2 : -1;
	}
	if (fstat(fileno(f), &st) == 0 && S_ISDIR(st.st_mode)) {
		snprintf(error, error_size, "it is a directory");
		fclose(f);
		return -1;
	}
	return file_walk(f, &(struct walk){.fn = fn, .context = context, .lists = lists}, error, error_size);
}

int
config_read_text(const char *text, bool lists, config_fn *fn, void *context, char *error, unsigned error_size)
{
	FILE *f = fmemopen((void *)(uintptr_t)text, strlen(text), "r");
	if (!f) {
		snprintf(error, error_size, "%m");
		return -2;
	}
	return file_walk(f, &(struct walk){.fn = fn, .context = context, .lists = lists}, error, error_size);
}
