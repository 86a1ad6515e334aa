/* Sixteen bytes at once, by the compiler's vector types. What these have no operator
 * for, which comparison is the first that holds, is one instruction of SSE2, elsewhere
 * a word or two. */
#ifndef ACCTFLOW_BLOCK_H
#define ACCTFLOW_BLOCK_H

#include <endian.h>
#include <stdint.h>
#include <string.h>
#ifdef __SSE2__
#include <emmintrin.h>
#endif

enum { BLOCK_BYTES = 16 };

typedef unsigned char block __attribute__((vector_size(BLOCK_BYTES)));

static inline block
block_load(const char *p)
{
	block b;
	memcpy(&b, p, sizeof b);
	return b;
}

/* How many bytes stand before the first one whose highest bit is set: BLOCK_BYTES where none is. */
static inline unsigned
block_first(block b)
{
#ifdef __SSE2__
	return (unsigned)__builtin_ctz((unsigned)_mm_movemask_epi8((__m128i)b) | 1U << BLOCK_BYTES);
#else
	uint64_t w[2];
	memcpy(w, &b, sizeof w);
	w[0] = le64toh(w[0]) & 0x8080808080808080u;
	w[1] = le64toh(w[1]) & 0x8080808080808080u;
	return w[0] ? (unsigned)__builtin_ctzll(w[0]) / 8 : w[1] ? 8 + (unsigned)__builtin_ctzll(w[1]) / 8 : 16;
#endif
}

#endif
