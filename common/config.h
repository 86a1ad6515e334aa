/* YAML that people write: a mapping of scalars with one level of sections, as the configuration
 * file is; in a map also lists of scalars. The only module that includes libyaml. */
#ifndef ACCTFLOW_CONFIG_H
#define ACCTFLOW_CONFIG_H

#include <stdbool.h>

/* Called for each scalar, of a list too: section is "" at the top level; line counts from 1. Returns 0 to go on. */
typedef int config_fn(void *context, const char *section, const char *key, const char *value, int line);

/* Reads the file, or the text, and calls fn in order. Returns 0, or what fn returned, or -1 with the message in
 * `error`, or -2 likewise where it may pass (memory, descriptors, a read that failed). */
int config_read(const char *path, bool lists, config_fn *fn, void *context, char *error, unsigned error_size);
int config_read_text(const char *text, bool lists, config_fn *fn, void *context, char *error, unsigned error_size);

#endif
