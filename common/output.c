/* See output.h. */
#include "output.h"

#include "log.h"
#include "loop.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

void
output_open(struct output *o, int fd)
{
	struct stat st;
	*o = (struct output){.fd = fd};
	if (fstat(fd, &st) == 0 && S_ISFIFO(st.st_mode)) {
		char path[32];
		snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
		int own = open(path, O_WRONLY | O_NONBLOCK | O_CLOEXEC);
		if (own >= 0) {
			/* The given one is closed, or the reader at the other end would never see the end. */
			dup3(own, fd, O_CLOEXEC);
			close(own);
		}
	}
}

/* Writes until all is written, or until it would wait. *done: how much was. After an error nothing is left to do. */
static int
write_some(struct output *o, struct slice s, bool wait, size_t *done)
{
	*done = 0;
	while (*done < s.n) {
		ssize_t n = write(o->fd, s.p + *done, s.n - *done);
		if (n >= 0) {
			*done += (size_t)n;
		} else if (errno == EAGAIN) {
			if (!wait)
				break;
			struct pollfd p = {.fd = o->fd, .events = POLLOUT};
			loop_wait(&p, 1, -1);
		} else if (errno != EINTR) {
			*done = s.n;
			return -1;
		}
	}
	return 0;
}

static int
out_write(struct output *o, bool wait)
{
	size_t done;
	int result = write_some(o, slice_buf(&o->buf), wait, &done);
	buf_drop(&o->buf, done);
	return result;
}

int
output_flush(struct output *o)
{
	return out_write(o, true);
}

int
output_some(struct output *o)
{
	return out_write(o, false);
}

int
output_through(struct output *o, struct slice s)
{
	size_t done;
	return output_flush(o) == 0 ? write_some(o, s, true, &done) : -1;
}

void
output_failed(void)
{
	if (errno == EPIPE) {
		log_debug("nobody reads standard output any more");
		exit(EXIT_OK);
	}
	die(EXIT_TEMPORARY, "could not write standard output: %m");
}
