/* A seeded hash of bytes for tables whose keys come from outside. */
#ifndef ACCTFLOW_HASH_H
#define ACCTFLOW_HASH_H

#include "buf.h"

/* SipHash-1-3 (Aumasson, Bernstein) under a key drawn once a process, so that nobody can choose colliding ids. */
uint64_t hash_bytes(struct slice s);

#endif
