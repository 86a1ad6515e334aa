/* Standard input and output of a filter, and its one place to wait: a poll over its
 * descriptors and over SIGTERM and SIGINT, which are blocked and read from a
 * signalfd. Writing waits by poll too, so that a program whose consumer stands still
 * still hears the signal that ends it. */
#ifndef ACCTFLOW_IO_H
#define ACCTFLOW_IO_H

#include "buf.h"

#include <poll.h>
#include <sys/types.h>

/* Ignores SIGPIPE, routes SIGTERM and SIGINT to the signalfd. Call before anything else. */
void io_init(void);

/* Whether a stop signal has come. The second one ends the program at once, from within io_wait or out_flush. */
bool io_stopping(void);

/* Waits until one of fds is ready, a stop signal comes or clock_now() reaches `deadline` (-1: no limit; 0: only look).
 * At most six fds; those below 0 are skipped. Returns the number ready; revents are valid. */
int io_wait(struct pollfd *fds, int n, int64_t deadline);

/* Buffered output. */
struct out {
	int fd;
	struct buf buf;
};

enum { OUT_FULL = 64 << 10 }; /* flush when so much is there */

/* Takes over fd. A pipe is opened anew, where /proc allows it, so that not blocking stays our own affair. */
void out_open(struct out *o, int fd);

/* Writes all that is buffered, waiting as long as it takes. Returns 0, or -1 with errno (EPIPE: nobody reads). */
int out_flush(struct out *o);
/* Writes what can be written without waiting. The same result. */
int out_some(struct out *o);
/* Writes what is buffered and then s, which is not copied for it, as out_flush does. */
int out_through(struct out *o, struct slice s);
static inline bool
out_full(const struct out *o)
{
	return o->buf.len >= OUT_FULL;
}

/* What a program does about an output that fails: EPIPE is an ordinary end (exit 0), all else is logged (exit 111). */
_Noreturn void out_failed(void);

/* Input by lines. Memory is bounded by `max`, the longest line that is held. */
struct lines {
	int fd;
	size_t max;
	bool eof;
	uint64_t number; /* of the line last given, from 1, blank ones counted */
	uint64_t total;	 /* the length of the line last given, also where only its beginning was kept */
	bool cut;	 /* the input ended in a line that is not complete; it was dropped */
	/* The rest is its own. */
	struct buf buf;
	size_t at, looked;
	bool skipping;
};

enum line_status {
	LINE_NONE, /* no whole line is there: read more, or done at eof */
	LINE_OK,
	LINE_LONG, /* longer than max: *line is its first RAW_BYTES */
};

/* One read(2) into the buffer. Returns its result; 0 sets eof. Slices given before are no longer valid. */
ssize_t lines_read(struct lines *l);

/* The next line that is not blank, without its newline. At eof an unterminated last line is given if it is complete
 * JSON, else dropped with a warning. */
enum line_status lines_next(struct lines *l, struct slice *line);

#endif
