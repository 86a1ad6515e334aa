/* What options.c prints for people: --help, and what a mistyped name may have meant. */
#ifndef ACCTFLOW_USAGE_H
#define ACCTFLOW_USAGE_H

#include "options.h"

/* Prints --help to standard output and exits 0. */
_Noreturn void usage_print(const struct program *program, const struct option_spec *specs);

/* Ends the program after what it had to print: exits 0, or 111 where that could not be written. */
_Noreturn void usage_end(void);

/* The name nearest to a wrong one, of those that were tried; NULL while none is near. */
struct usage_guess {
	const char *wrong, *best;
	size_t distance;
};
void usage_try(struct usage_guess *g, const char *name);

#endif
