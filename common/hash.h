/* Two hashes of bytes: a keyed one for tables whose keys come from outside, and one that is the same everywhere and for
 * ever, for what is kept. */
#ifndef ACCTFLOW_HASH_H
#define ACCTFLOW_HASH_H

#include "buf.h"

/* SipHash-1-3 (Aumasson, Bernstein) under a key drawn once a process, so that nobody can choose colliding ids. */
uint64_t hash_bytes(struct slice s);

/* FNV-1a with 64 bits (Fowler, Noll, Vo), going on from h; HASH_FNV1A to begin with. */
#define HASH_FNV1A UINT64_C(14695981039346656037)

static inline uint64_t
hash_fnv1a(uint64_t h, struct slice s)
{
	for (size_t i = 0; i < s.n; i++)
		h = (h ^ (unsigned char)s.p[i]) * UINT64_C(1099511628211);
	return h;
}

#endif
