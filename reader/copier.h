/* The one copier of a spool (spool.h): moves standard input, or a file that is followed,
 * to its folder, and writes the index. It may be killed at any moment and started again. */
#ifndef ACCTFLOW_COPIER_H
#define ACCTFLOW_COPIER_H

#include "map.h"

#include <stdint.h>

struct copier_options {
	const char *folder;
	struct map *map;    /* NULL: none */
	const char *follow; /* the file that is followed; NULL: standard input is moved */
	uint64_t from;	    /* the ordinal of the first record of an empty spool */
	uint64_t ahead;	    /* how many bytes the copier may be ahead of the slowest reader; 0: any number */
};

/* Runs until the input's end or a signal. Returns the exit code. */
int copier_run(const struct copier_options *options);

#endif
