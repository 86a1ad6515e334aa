/* See glance.h. The order of members is that of writer/tell.c and timerd/callback.c. */
#include "glance.h"

#include "time.h"

#define STARTS(s, literal) ((s).n >= sizeof(literal) - 1 && memcmp((s).p, literal, sizeof(literal) - 1) == 0)

void
glance_place(struct buf *place, struct slice source)
{
	place->len = 0;
	buf_text(place, ",\"source\":");
	buf_slice(place, source);
	buf_text(place, ",\"offset\":");
}

/* Reads the offset at p; -1 where it is none. */
static int64_t
offset_read(const char *p, const char *end)
{
	const char *start = p;
	int64_t v = 0;
	while (p < end && p - start < 18 && *p >= '0' && *p <= '9')
		v = v * 10 + (*p++ - '0');
	bool whole = p > start && p < end && *p == ',' && (*start != '0' || p - start == 1);
	return whole ? v : -1;
}

enum glance
glance_at(struct slice line, struct slice place, int64_t *offset)
{
	static const struct {
		struct slice start;
		enum glance is;
	} placed[] = {{SLICE("{\"event\":\"indexed\""), GLANCE_INDEXED},
	    {SLICE("{\"event\":\"ignored\""), GLANCE_OTHER}, {SLICE("{\"event\":\"rejected\""), GLANCE_OTHER}};
	if (STARTS(line, "{\"event\":\"cancelled\","))
		return GLANCE_CANCELLED;
	if (STARTS(line, "{\"event\":\"fired\","))
		return GLANCE_FIRED;
	for (size_t i = 0; i < sizeof placed / sizeof *placed; i++) {
		size_t n = placed[i].start.n;
		if (line.n <= n + place.n || memcmp(line.p, placed[i].start.p, n) != 0)
			continue;
		if (place.n == 0 || memcmp(line.p + n, place.p, place.n) != 0)
			return GLANCE_UNKNOWN;
		*offset = offset_read(line.p + n + place.n, line.p + line.n);
		return *offset < 0 ? GLANCE_UNKNOWN : placed[i].is;
	}
	return GLANCE_UNKNOWN;
}

struct slice
glance_ingested_at(struct slice line)
{
	static const char before[] = ",\"ingestedAt\":\"", between[] = "\",\"dueAt\":\"";
	enum { BEFORE = sizeof before - 1, BETWEEN = sizeof between - 1, TIME = TIME_TEXT - 1, END = 2 };
	if (line.n < BEFORE + TIME + BETWEEN + TIME + END)
		return (struct slice){0};
	const char *p = line.p + line.n - END - TIME - BETWEEN;
	bool found = memcmp(p, between, BETWEEN) == 0 && memcmp(p - TIME - BEFORE, before, BEFORE) == 0;
	return found ? (struct slice){p - TIME, TIME} : (struct slice){0};
}
