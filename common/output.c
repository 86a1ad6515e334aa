/* See output.h. The shared lock is flock(2) on a file that each program opened itself, so
 * that it ends with its holder. Its first byte is 1 while a line may be half written: if
 * the holder is killed then, the next one finds it and ends the torn line first. */
#include "output.h"

#include "log.h"
#include "loop.h"
#include "time.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
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

int
output_share(struct output *o, const char *path)
{
	o->lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	o->shared = o->lock >= 0;
	return o->shared ? 0 : -1;
}

static int
lock_mark(struct output *o, char mark)
{
	return pwrite(o->lock, &mark, 1, 0) == 1 ? 0 : -1;
}

/* Takes the lock. Returns 1, 0 where another has it and `wait` is false, -1 with errno. The kernel's own waiting would
 * be deaf to signals, so it asks again and again; each holder lets go while it makes its next lines. */
static int
lock_take(struct output *o, bool wait)
{
	char mark = 0;
	for (int64_t pause = 100; flock(o->lock, LOCK_EX | LOCK_NB) != 0; pause = pause < 5000 ? pause * 2 : pause) {
		if (errno != EWOULDBLOCK && errno != EINTR)
			return -1;
		if (!wait)
			return 0;
		loop_wait(NULL, 0, clock_now() + pause);
	}
	o->held = true;
	if (pread(o->lock, &mark, 1, 0) < 0 || lock_mark(o, 1) != 0)
		return -1;
	o->torn = mark == 1;
	return 1;
}

static int
lock_release(struct output *o)
{
	o->held = false;
	return lock_mark(o, o->torn) == 0 && flock(o->lock, LOCK_UN) == 0 ? 0 : -1;
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

/* Of a shared output whole lines are written, under its lock, which is let go of only where a line has ended. */
static int
output_write(struct output *o, bool wait)
{
	struct slice s = slice_buf(&o->buf);
	const char *end = o->shared && s.n ? memrchr(s.p, '\n', s.n) : NULL;
	bool fresh = o->shared && !o->held;
	size_t newline = 1, done = 0;
	if (o->shared)
		s.n = end ? (size_t)(end + 1 - s.p) : 0;
	if (s.n == 0)
		return 0;
	int have = fresh ? lock_take(o, wait) : 1;
	if (have == 0)
		return 0;
	if (have < 0 || (o->torn && write_some(o, SLICE("\n"), wait, &newline) != 0)) {
		buf_drop(&o->buf, s.n);
		return -1;
	}
	o->torn = newline == 0;
	int result = o->torn ? 0 : write_some(o, s, wait, &done);
	bool whole = done > 0 ? s.p[done - 1] == '\n' : fresh;
	buf_drop(&o->buf, done);
	return result == 0 && o->shared && whole ? lock_release(o) : result;
}

int
output_flush(struct output *o)
{
	return output_write(o, true);
}

int
output_ready(struct output *o)
{
	struct pollfd p = {.fd = o->fd, .events = POLLOUT};
	if (o->shared && !o->held && lock_take(o, true) < 0)
		return -1;
	loop_wait(&p, 1, 0);
	while (!p.revents)
		loop_wait(&p, 1, -1);
	return 0;
}

int
output_release(struct output *o)
{
	return o->held ? lock_release(o) : 0;
}

int
output_some(struct output *o)
{
	return output_write(o, false);
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
