// with:
/* The hash that deals accounts out to shards: fixed for ever, by the vectors of its authors, and what is read as a
 * shard. */
#include "tap.h"

#include "shard.h"

static void
test_hash(void)
{
	static const struct {
		const char *text;
		uint64_t hash;
	} vectors[] = {
	    {"", 0xcbf29ce484222325},
	    {"a", 0xaf63dc4c8601ec8c},
	    {"b", 0xaf63df4c8601f1a5},
	    {"foobar", 0x85944171f73967e8},
	    {"foo", 0xdcb27518fed9d577},
	    {"chongo was here!\n", 0x46810940eff5f915},
	};
	for (size_t i = 0; i < sizeof vectors / sizeof *vectors; i++) {
		struct slice id = slice_of(vectors[i].text);
		tap_ok(hash_fnv1a(HASH_FNV1A, id) == vectors[i].hash && shard_of(id, 7) == vectors[i].hash % 7 &&
			   shard_of(id, 1) == 0,
		    "vector %zu: \"%s\"", i, vectors[i].text[0] == 'c' ? "chongo…" : vectors[i].text);
	}
}

static void
test_text(void)
{
	static const char *const wrong[] = {
	    "", "/", "0", "0/", "/1", "0/0", "1/1", "2/1", "-1/2", "0/1025", "0/1/2", "0/1 ", "a/2"};
	struct shard s = {0};
	for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
		tap_ok(shard_read(slice_of(wrong[i]), &s) != 0, "no shard: \"%s\"", wrong[i]);
	tap_ok(shard_read(SLICE("1023/1024"), &s) == 0 && s.index == 1023 && s.count == 1024, "1023/1024");
}

int
main(void)
{
	test_hash();
	test_text();
	return tap_done();
}
