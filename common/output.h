/* Buffered output to a pipe, a file or a terminal. */
#ifndef ACCTFLOW_OUTPUT_H
#define ACCTFLOW_OUTPUT_H

#include "buf.h"

struct output {
	int fd;
	struct buf buf;
};

enum { OUTPUT_FULL = 64 << 10 }; /* flush when so much is there */

/* Takes over fd. A pipe is opened anew, where /proc allows it, so that not blocking stays our own affair. */
void output_open(struct output *o, int fd);

/* Writes all that is buffered, waiting as long as it takes. Returns 0, or -1 with errno (EPIPE: nobody reads). */
int output_flush(struct output *o);
/* Writes what can be written without waiting. The same result. */
int output_some(struct output *o);
/* Writes what is buffered and then s, which is not copied for it, as output_flush does. */
int output_through(struct output *o, struct slice s);
static inline bool
output_full(const struct output *o)
{
	return o->buf.len >= OUTPUT_FULL;
}

/* What a program does about an output that fails: EPIPE is an ordinary end (exit 0), all else is logged (exit 111). */
_Noreturn void output_failed(void);

#endif
