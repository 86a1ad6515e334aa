/* See sample.h. */
#include "sample.h"

#include "json.h"

#include <endian.h>
#include <inttypes.h>
#include <stdio.h>
#include <xxhash.h>

int
sample_set(const char *text, void *sample)
{
	uint64_t every;
	if (strncmp(text, "1/", 2) != 0 || json_integer(slice_of(text + 2), UINT64_MAX, &every) != 0 || every == 0)
		return -1;
	((struct sample *)sample)->every = every;
	return 0;
}

void
sample_source(struct sample *s, uint64_t seed, struct slice source)
{
	s->key = XXH3_64bits_withSeed(source.p, source.n, seed);
}

struct slice
sample_trace(struct sample *s, uint64_t offset)
{
	uint64_t bytes = htole64(offset);
	if (XXH3_64bits_withSeed(&bytes, sizeof bytes, s->key) % s->every)
		return (struct slice){0};
	XXH128_hash_t id = XXH3_128bits_withSeed(&bytes, sizeof bytes, ~s->key);
	/* No id may be 0. Both have these digits, by which tracer knows that nothing stands above what reader read. */
	uint64_t low = id.low64 ? id.low64 : 1;
	snprintf(
	    s->token, sizeof s->token, "\"00-%016" PRIx64 "%016" PRIx64 "-%016" PRIx64 "-01\"", id.high64, low, low);
	return (struct slice){s->token, TRACE_TOKEN};
}
