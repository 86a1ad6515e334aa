/* See trace.h. */
#include "trace.h"

static int
digit(char c)
{
	return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Whether these are n lower-case hexadecimal digits; `any` is set where one of them is not 0. */
static bool
is_hex(const char *p, int n, bool *any)
{
	int all = 0;
	for (int i = 0; i < n; i++)
		all |= digit(p[i]);
	*any = all > 0;
	return all >= 0;
}

uint64_t
trace_hex(const char *digits)
{
	uint64_t id = 0;
	for (int i = 0; i < TRACE_PARENT; i++)
		id = id << 4 |
		     (uint64_t)((digits[i] & 15) + (digits[i] >> 6) * 9); /* of a letter bit 6 is set, and a is 1 */
	return id;
}

bool
trace_sampled(struct slice token)
{
	enum { VERSION = 1, ID = VERSION + 3, PARENT = ID + TRACE_ID + 1, FLAGS = PARENT + TRACE_PARENT + 1 };
	const char *p = token.p;
	bool id, parent, any;
	if (token.n != TRACE_TOKEN || *p != '"' || p[ID - 1] != '-' || p[PARENT - 1] != '-' || p[FLAGS - 1] != '-' ||
	    !is_hex(p + VERSION, 2, &any) || memcmp(p + VERSION, "ff", 2) == 0 || !is_hex(p + ID, TRACE_ID, &id) ||
	    !is_hex(p + PARENT, TRACE_PARENT, &parent) || !is_hex(p + FLAGS, 2, &any) || !id || !parent)
		return false;
	return digit(p[FLAGS + 1]) & 1;
}
