/* When a machine's leases end: past that nothing of it may be emitted that another machine may emit as well.
 * Microseconds of the boot clock, in a mapped file that `writer lease` moves on. */
#ifndef ACCTFLOW_LEASE_END_H
#define ACCTFLOW_LEASE_END_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/* Maps the file; `make`: to be written, and made where there is none. NULL with errno where that fails. */
_Atomic int64_t *lease_end_map(const char *path, bool make);

#endif
