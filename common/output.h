/* Buffered output to a pipe, a file or a terminal. */
#ifndef ACCTFLOW_OUTPUT_H
#define ACCTFLOW_OUTPUT_H

#include "buf.h"

struct output {
	int fd;
	struct buf buf;
	/* Where others write to the same place: */
	bool shared, held, torn; /* we have the lock; the last line there needs its newline */
	int lock;
};

enum { OUTPUT_FULL = 64 << 10 }; /* flush when so much is there */

/* Takes over fd. A pipe is opened anew, where /proc allows it, so that not blocking stays our own affair. */
void output_open(struct output *o, int fd);

/* From now on lines are written under a lock on the file at `path` that all who write to the same place share: each
 * line whole, whoever else writes, or is killed while it writes. Returns 0, or -1 with errno. */
int output_share(struct output *o, const char *path);

/* Writes all that is buffered, waiting as long as it takes. Returns 0, or -1 with errno (EPIPE: nobody reads). A shared
 * output writes whole lines only: the beginning of one stays in the buffer. */
int output_flush(struct output *o);

/* Waits until a write of a few lines would not wait: for the lock of a shared output, which is then ours, and for room.
 * output_release lets go of the lock again where nothing was written. The same results. */
int output_ready(struct output *o);
int output_release(struct output *o);

/* Writes what can be written without waiting. The same result. A shared output may write nothing because another has
 * the lock; it keeps its own lock while a line is half written: then wait for fd to be writable, and call again soon.
 */
int output_some(struct output *o);

static inline bool
output_full(const struct output *o)
{
	return o->buf.len >= OUTPUT_FULL;
}

/* What a program does about an output that fails: EPIPE is an ordinary end (exit 0), all else is logged (exit 111). */
_Noreturn void output_failed(void);

#endif
