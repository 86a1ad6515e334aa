/* See io.h. */
#include "io.h"

#include "clock.h"
#include "log.h"
#include "record.h"
#include "stats.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { TICK_US = 1000000 };
#ifndef FUZZING_BUILD_MODE_UNSAFE_FOR_PRODUCTION
enum { READ_BYTES = 128 << 10 };
#else /* libFuzzer's builds: a buffer of that size anew each time would be most of the work */
enum { READ_BYTES = 1 << 10 };
#endif

static int signal_fd = -1;
static bool stopping;

void
io_init(void)
{
	sigset_t set;
	/* Closed standard descriptors stay of no use, instead of being given to the next file that is opened. */
	for (int fd = 0; fd <= 2; fd++)
		if (fcntl(fd, F_GETFD) < 0)
			open("/dev/null", fd == 0 ? O_WRONLY : O_RDONLY);
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigprocmask(SIG_BLOCK, &set, NULL);
	signal(SIGPIPE, SIG_IGN);
	signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (signal_fd < 0)
		die(EXIT_TEMPORARY, "could not make a signalfd: %m");
	prctl(PR_SET_TIMERSLACK, 1UL);
}

bool
io_stopping(void)
{
	return stopping;
}

static void
signals_read(void)
{
	struct signalfd_siginfo info;
	while (read(signal_fd, &info, sizeof info) == (ssize_t)sizeof info) {
		if (stopping)
			_exit(128 + (int)info.ssi_signo);
		stopping = true;
		log_at(LOG_DEBUG, "told to stop by signal %u", info.ssi_signo);
	}
}

int
io_wait(struct pollfd *fds, int n, int64_t deadline)
{
	struct pollfd all[8];
	for (int i = 0; i < n; i++)
		all[i] = fds[i];
	all[n] = (struct pollfd){.fd = signal_fd, .events = POLLIN};
	int ready;
	bool again;
	do {
		struct timespec limit, *timeout = NULL;
		int64_t left = deadline < 0 ? INT64_MAX : deadline ? deadline - clock_now() : 0;
		left = left < 0 ? 0 : left;
		/* Who is watched shows that it is alive while it waits. */
		again = stats_shown() && left > TICK_US;
		left = again ? TICK_US : left;
		if (left != INT64_MAX) {
			limit = (struct timespec){left / 1000000, left % 1000000 * 1000};
			timeout = &limit;
		}
		ready = ppoll(all, (nfds_t)n + 1, timeout, NULL);
		stats_tick();
		log_settle(false);
	} while (ready == 0 && again);
	if (ready < 0 && errno != EINTR)
		die(EXIT_TEMPORARY, "could not poll: %m");
	for (int i = 0; i < n; i++)
		fds[i].revents = ready > 0 ? all[i].revents : 0;
	if (ready > 0 && all[n].revents) {
		signals_read();
		ready--;
	}
	return ready < 0 ? 0 : ready;
}

void
out_open(struct out *o, int fd)
{
	struct stat st;
	*o = (struct out){.fd = fd};
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
write_some(struct out *o, struct slice s, bool wait, size_t *done)
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
			io_wait(&p, 1, -1);
		} else if (errno != EINTR) {
			*done = s.n;
			return -1;
		}
	}
	return 0;
}

static int
out_write(struct out *o, bool wait)
{
	size_t done;
	int result = write_some(o, slice_buf(&o->buf), wait, &done);
	buf_drop(&o->buf, done);
	return result;
}

int
out_flush(struct out *o)
{
	return out_write(o, true);
}

int
out_some(struct out *o)
{
	return out_write(o, false);
}

int
out_through(struct out *o, struct slice s)
{
	size_t done;
	return out_flush(o) == 0 ? write_some(o, s, true, &done) : -1;
}

void
out_failed(void)
{
	if (errno == EPIPE) {
		log_debug("nobody reads standard output any more");
		exit(EXIT_OK);
	}
	die(EXIT_TEMPORARY, "could not write standard output: %m");
}

ssize_t
lines_read(struct lines *l)
{
	buf_drop(&l->buf, l->at);
	l->looked -= l->at;
	l->at = 0;
	buf_reserve(&l->buf, READ_BYTES);
	ssize_t n;
	do
		n = read(l->fd, l->buf.p + l->buf.len, READ_BYTES);
	while (n < 0 && errno == EINTR);
	if (n > 0)
		l->buf.len += (size_t)n;
	l->eof = n == 0;
	return n;
}

static bool
is_blank(struct slice s)
{
	bool ignored;
	return scan_space(s.p, s.p + s.n, &ignored) == s.p + s.n;
}

/* Whether the unterminated last line is a whole JSON value. */
static bool
is_complete(struct slice s)
{
	struct scan scan = {0};
	bool ignored;
	const char *end = s.p + s.n;
	return scan_value(scan_space(s.p, end, &ignored), end, 0, &scan) == SCAN_OK &&
	       scan_space(scan.end, end, &ignored) == end;
}

enum line_status
lines_next(struct lines *l, struct slice *line)
{
	if (!l->buf.p)
		return LINE_NONE;
	for (;;) {
		const char *from = l->buf.p + l->looked;
		const char *newline = l->looked < l->buf.len ? memchr(from, '\n', l->buf.len - l->looked) : NULL;
		size_t end = newline ? (size_t)(newline - l->buf.p) : l->buf.len;

		/* A line too long to hold: keep its beginning, count the rest. */
		if (l->skipping || end - l->at > l->max) {
			size_t kept = end - l->at < RAW_BYTES ? end - l->at : RAW_BYTES;
			l->total = l->skipping ? l->total + (end - l->looked) : end - l->at;
			l->skipping = true;
			*line = (struct slice){l->buf.p + l->at, kept};
			if (newline || l->eof) {
				l->skipping = false;
				l->at = l->looked = newline ? end + 1 : end;
				l->number++;
				return LINE_LONG;
			}
			l->buf.len = l->looked = l->at + kept;
			return LINE_NONE;
		}
		l->looked = end;
		if (!newline && !(l->eof && end > l->at))
			return LINE_NONE;
		*line = (struct slice){l->buf.p + l->at, end - l->at};
		l->total = line->n;
		l->at = l->looked = newline ? end + 1 : end;
		l->number++;
		if (is_blank(*line))
			continue;
		if (!newline && !is_complete(*line)) {
			l->cut = true;
			log_warn(
			    "dropped the last line, %zu bytes: it has no newline and is not complete JSON", line->n);
			return LINE_NONE;
		}
		return LINE_OK;
	}
}
