/* Walks libyaml's events instead of its document tree: two levels need no tree, and
 * every value keeps the line it stands in for the message. */
#include "config.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <yaml.h>

static int
events_walk(yaml_parser_t *parser, FILE *f, config_fn *fn, void *context, char *error, unsigned error_size)
{
	char section[64] = "", key[64] = "";
	int depth = 0, result = 0;
	bool have_key = false, done = false;
	while (!done && result == 0) {
		yaml_event_t e;
		if (!yaml_parser_parse(parser, &e)) {
			if (parser->error == YAML_MEMORY_ERROR) {
				snprintf(error, error_size, "out of memory");
				return -2;
			}
			snprintf(error, error_size, "line %zu: %s", parser->problem_mark.line + 1,
			    parser->problem ? parser->problem : "not YAML");
			return ferror(f) && errno != EISDIR ? -2 : -1;
		}
		int line = (int)e.start_mark.line + 1;
		const char *wrong = NULL;
		switch (e.type) {
		case YAML_SCALAR_EVENT: {
			const char *text = (const char *)e.data.scalar.value;
			if (depth == 0) {
				/* An empty document is one empty scalar. */
				wrong = *text ? "expected a mapping of names to values" : NULL;
			} else if (have_key) {
				result = fn(context, section, key, text, line);
				have_key = false;
			} else if (strlen(text) != e.data.scalar.length || strlen(text) >= sizeof key) {
				wrong = "name too long";
			} else {
				snprintf(key, sizeof key, "%s", text);
				have_key = true;
			}
			break;
		}
		case YAML_MAPPING_START_EVENT:
			if (depth == 2 || (depth == 1 && !have_key))
				wrong = "nested too deep: sections hold plain values";
			if (depth == 1)
				snprintf(section, sizeof section, "%s", key);
			have_key = false;
			depth++;
			break;
		case YAML_MAPPING_END_EVENT:
			depth--;
			section[0] = '\0';
			break;
		case YAML_SEQUENCE_START_EVENT:
		case YAML_ALIAS_EVENT:
			wrong = "expected a plain value";
			break;
		case YAML_STREAM_END_EVENT:
			done = true;
			break;
		default:
			break;
		}
		yaml_event_delete(&e);
		if (wrong) {
			snprintf(error, error_size, "line %d: %s", line, wrong);
			return -1;
		}
	}
	return result;
}

int
config_read(const char *path, config_fn *fn, void *context, char *error, unsigned error_size)
{
	yaml_parser_t parser;
	FILE *f = fopen(path, "re");
	if (!f) {
		int e = errno;
		snprintf(error, error_size, "%s", strerror(e));
		return e == ENOMEM || e == ENFILE || e == EMFILE ? -2 : -1;
	}
	struct stat st;
	if (fstat(fileno(f), &st) == 0 && S_ISDIR(st.st_mode)) {
		fclose(f);
		snprintf(error, error_size, "it is a directory");
		return -1;
	}
	if (!yaml_parser_initialize(&parser)) {
		fclose(f);
		snprintf(error, error_size, "out of memory");
		return -2;
	}
	yaml_parser_set_input_file(&parser, f);
	int result = events_walk(&parser, f, fn, context, error, error_size);
	yaml_parser_delete(&parser);
	fclose(f);
	return result;
}
