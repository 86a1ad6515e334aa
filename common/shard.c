/* See shard.h. */
#include "shard.h"

#include "json.h"

int
shard_read(struct slice text, struct shard *shard)
{
	const char *slash = text.n ? memchr(text.p, '/', text.n) : NULL;
	uint64_t index, count;
	if (!slash || json_integer((struct slice){text.p, (size_t)(slash - text.p)}, SHARDS_MOST - 1, &index) != 0 ||
	    json_integer((struct slice){slash + 1, (size_t)(text.p + text.n - slash - 1)}, SHARDS_MOST, &count) != 0 ||
	    index >= count)
		return -1;
	*shard = (struct shard){(uint32_t)index, (uint32_t)count};
	return 0;
}

int
shard_set(const char *text, void *shard)
{
	return shard_read(slice_of(text), shard);
}

void
buf_shard(struct buf *b, struct shard shard)
{
	buf_u64(b, shard.index);
	buf_char(b, '/');
	buf_u64(b, shard.count);
}
