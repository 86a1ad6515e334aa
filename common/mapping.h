/* Files that are memory: what a process keeps there outlives a kill. */
#ifndef ACCTFLOW_MAPPING_H
#define ACCTFLOW_MAPPING_H

#include <stddef.h>
#include <sys/types.h>

/* Maps the file, made with that mode where there is none, for as long as the process lives; no other process gets it
 * meanwhile. Returns NULL with errno. */
void *mapping_own(const char *path, mode_t mode, size_t size);

#endif
