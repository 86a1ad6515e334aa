/* The configuration file: YAML, a mapping of scalars with one level of sections.
 * The only module that includes libyaml. */
#ifndef ACCTFLOW_CONFIG_H
#define ACCTFLOW_CONFIG_H

/* Called for each scalar: section is "" at the top level; line counts from 1. Returns 0 to go on. */
typedef int config_fn(void *context, const char *section, const char *key, const char *value, int line);

/* Reads the file and calls fn in order. Returns 0, or what fn returned, or -1 with the message in `error`,
 * or -2 likewise where it may pass (memory, descriptors, a read that failed). */
int config_read(const char *path, config_fn *fn, void *context, char *error, unsigned error_size);

#endif
