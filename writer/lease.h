/* Leases, by which several machines share their pipelines, and the verb `lease`, by which a machine keeps its own. A
 * machine's leases end all at once. When, stands in the database by its clock, and in a file by the boot clock, a
 * little earlier: past that nothing of the machine may be passed on that another one may pass on as well. */
#ifndef ACCTFLOW_LEASE_H
#define ACCTFLOW_LEASE_H

#include "writer.h"

#include <stdatomic.h>

/* When leases end: microseconds of the boot clock, in a mapped file that the verb `lease` moves on. */
typedef const _Atomic int64_t lease_end;

/* Maps the file. NULL with errno where that fails. */
lease_end *lease_map(const char *path);

int lease_main(const struct writer_options *o);

#endif
