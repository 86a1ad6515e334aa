// with: reader/map.c reader/map_load.c
/* Maps on any bytes. A map that takes each member from its own name makes of an update the
 * same update, whether it stands by itself, in another object, or as text in a string; and
 * what it takes that the contract would not, it hands on as the contract wants it. What is
 * no JSON is none for a map either, at the same place. */
#include "fuzz.h"

#include "event.h"
#include "log.h"
#include "reader/map_load.h"

#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static struct record r, mapped, again;
static struct update u, v;
static struct buf reason, line, second, inner, wrapped;

/* The map whose pointers begin so. */
static struct map *
map_under(const char *prefix)
{
	static const char *const members[] = {
	    "id", "accountType", "tokens", "version", "callbackTimeMs", "data", "deleted", "trace", "arriveMs"};
	char path[32];
	int fd = memfd_create("map", MFD_CLOEXEC);
	check(fd >= 0);
	for (size_t i = 0; i < sizeof members / sizeof *members; i++)
		dprintf(fd, "%s: %s/%s\n", members[i], prefix, members[i]);
	snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
	struct map *m = map_load(path);
	close(fd);
	return m;
}

/* Whether the map makes an update of it, which `second` gets. */
static bool
maps(struct map *m, struct slice text)
{
	const char *end = text.p + text.n;
	if (record_line(&mapped, map_parse(m, text.p, end, &mapped), end) != 0 ||
	    update_read(&mapped, &v, &reason) != 0)
		return false;
	fuzz_emit(&second, &v, &mapped);
	check(record_parse_line(slice_buf(&second), &again) == 0 && update_read(&again, &v, &reason) == 0);
	return true;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct map *flat, *nested;
	if (!flat) {
		flat = map_under("");
		nested = map_under("/p");
	}
	struct slice text = {(const char *)data, size};
	bool ignored;
	text.p = json_space(text.p, (const char *)data + size, &ignored);
	text.n = (size_t)((const char *)data + size - text.p);
	const char *end = text.p + text.n;
	enum json_status status = record_parse(text.p, end, &r);
	bool is_json = status == JSON_OK && r.end == end;
	check(map_parse(flat, text.p, end, &mapped) == status);
	check(status != JSON_BAD || mapped.fault.at == r.fault.at);
	bool right = record_parse_line(text, &r) == 0 && update_read(&r, &u, &reason) == 0;
	if (right)
		fuzz_emit(&line, &u, &r);
	bool flatly = maps(flat, text);
	check(!right || (flatly && slice_same(slice_buf(&line), slice_buf(&second))));
	if (!is_json || text.p[0] != '{')
		return 0;
	line.len = 0;
	buf_slice(&line, slice_buf(&second));
	wrapped.len = 0;
	buf_text(&wrapped, "{\"o\":1,\"p\":");
	buf_slice(&wrapped, text);
	buf_text(&wrapped, "}");
	check(maps(nested, slice_buf(&wrapped)) == flatly);
	check(!flatly || slice_same(slice_buf(&line), slice_buf(&second)));
	/* As text: what is no UTF-8, or has a NUL byte, cannot stand in a string. */
	inner.len = wrapped.len = 0;
	buf_json(&inner, text);
	if (!flatly || record_parse(inner.p, inner.p + inner.len, &again) != JSON_OK ||
	    strcmp(again.fault.why, "not an object") != 0)
		return 0;
	buf_text(&wrapped, "{ \"p\": ");
	buf_slice(&wrapped, slice_buf(&inner));
	buf_text(&wrapped, " }");
	check(maps(nested, slice_buf(&wrapped)));
	check(slice_same(slice_buf(&line), slice_buf(&second)));
	return 0;
}
