/* The filter of system calls, for programs that do nothing but read and write. The only module that includes
 * libseccomp. */
#ifndef ACCTFLOW_FILTER_H
#define ACCTFLOW_FILTER_H

#include <stdbool.h>

/* Lets this process make no other calls from here on than those that reading and writing what is open needs; with
 * `reads` those that find, open, list and watch files too, with `writes` those that make and rename them. Returns 0 or
 * an errno, ENOMEM only where memory is out. */
int filter_load(bool reads, bool writes);

#endif
