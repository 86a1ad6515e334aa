/* Leases, by which several machines share their pipelines, and the verb `lease`, by which a machine keeps its own. A
 * machine's leases end all at once. When, stands in the database by its clock, and in a file by the boot clock, a
 * little earlier: past that nothing of the machine may be passed on that another one may pass on as well. */
#ifndef ACCTFLOW_LEASE_H
#define ACCTFLOW_LEASE_H

#include "writer.h"

int lease_main(const struct writer_options *o);

#endif
