/* What options.c prints for people: --help, and what a mistyped name may have meant. */
#ifndef ACCTFLOW_USAGE_H
#define ACCTFLOW_USAGE_H

#include "options.h"

/* Prints --help to standard output and exits 0. `common`: the options of all programs. */
_Noreturn void usage_print(
    const struct program *program, const struct option_spec *own, const struct option_spec *common);

/* The name nearest to a wrong one, of those that were tried; NULL while none is near. */
struct usage_guess {
	const char *wrong, *best;
	unsigned distance;
};
void usage_try(struct usage_guess *g, const char *name);

#endif
