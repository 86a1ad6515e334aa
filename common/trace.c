/* See trace.h. */
#include "trace.h"

/* Whether these are n lower-case hexadecimal digits; `any` is set where one of them is not 0. */
static bool
is_hex(const char *p, int n, bool *any)
{
	*any = false;
	for (int i = 0; i < n; i++) {
		if (!((p[i] >= '0' && p[i] <= '9') || (p[i] >= 'a' && p[i] <= 'f')))
			return false;
		*any |= p[i] != '0';
	}
	return true;
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
	char last = p[FLAGS + 1];
	return (last <= '9' ? last - '0' : last - 'a' + 10) & 1;
}
