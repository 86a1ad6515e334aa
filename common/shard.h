/* A shard of a source: the accounts whose id's hash is `index` modulo `count`. The same
 * for ever, as what each shard committed is kept by it. */
#ifndef ACCTFLOW_SHARD_H
#define ACCTFLOW_SHARD_H

#include "hash.h"

enum { SHARDS_MOST = 1024 };

struct shard {
	uint32_t index, count;
};

/* The whole of a source. */
#define SHARD_WHOLE ((struct shard){0, 1})

/* Reads "I/N" with I < N <= SHARDS_MOST. Returns 0 or -1. shard_set is the same as an option's setter. */
int shard_read(struct slice text, struct shard *shard);
int shard_set(const char *text, void *shard);

/* Appends "I/N". */
void buf_shard(struct buf *b, struct shard shard);

/* The account whose decoded id this is belongs to the shard of that index. */
static inline uint32_t
shard_of(struct slice id, uint32_t count)
{
	return count == 1 ? 0 : (uint32_t)(hash_fnv1a(HASH_FNV1A, id) % count);
}

#endif
