/* Which updates begin a trace, and which one: a function of the seed, the source and the offset alone, so that a stream
 * that is read again begins the same ones. */
#ifndef ACCTFLOW_SAMPLE_H
#define ACCTFLOW_SAMPLE_H

#include "buf.h"
#include "trace.h"

struct sample {
	uint64_t every; /* one of so many; 0: none */
	uint64_t key;	/* of seed and source */
	char token[TRACE_TOKEN + 1];
};

/* The option's setter: "1/N". 0, or -1. */
int sample_set(const char *text, void *sample);

void sample_source(struct sample *s, uint64_t seed, struct slice source);

/* The traceparent of the update with that offset, as a JSON string that is valid until the next one; empty where it is
 * not one of those. */
struct slice sample_trace(struct sample *s, uint64_t offset);

#endif
