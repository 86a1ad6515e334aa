/* The filter of system calls, for programs that do nothing but read and write. filter/rules.c makes it while building,
 * and is the only user of libseccomp. */
#ifndef ACCTFLOW_FILTER_H
#define ACCTFLOW_FILTER_H

#include <linux/filter.h>
#include <stdbool.h>
#include <stdint.h>

/* Stands in the filters for the process's own number, more than any process has. */
#define FILTER_SELF UINT32_C(0x7ffffacc)

/* Lets this process make no other calls from here on than those that reading and writing what is open needs; with
 * `reads` those that find, open, list and watch files too, with `writes` those that make and rename them. Returns 0 or
 * an errno. */
int filter_load(bool reads, bool writes);

#endif
