/* The member `trace`: a W3C traceparent, as the JSON string that stands in a record. */
#ifndef ACCTFLOW_TRACE_H
#define ACCTFLOW_TRACE_H

#include "buf.h"

#include <stdint.h>

/* "00-", 32 digits of the trace's id, "-", 16 of the parent's, "-01", in quotes. */
enum { TRACE_ID = 32, TRACE_PARENT = 16, TRACE_TOKEN = 57 };

/* Whether it is a valid traceparent whose sampled flag is set. */
bool trace_sampled(struct slice token);

/* The trace's id, of one that is valid. */
static inline struct slice
trace_id(struct slice token)
{
	return (struct slice){token.p + 4, TRACE_ID};
}

/* A parent's id, or half of a trace's, of one that is valid: the number that its digits are. */
uint64_t trace_hex(const char *digits);

#endif
