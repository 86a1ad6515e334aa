// with:
/* A shared output: several processes write to one pipe under its lock. Lines come out
 * whole, also while one of them is killed in the middle of a line, and who waits for the
 * lock hears a signal. */
#include "output.h"

#include "loop.h"
#include "tap.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/wait.h>
#include <unistd.h>

enum { WRITERS = 4, LINES = 400, LONG_LINE = 4 << 20, READ = 100000 };

static char lock_path[64];

/* Appends a line that can be checked: name, number, and a filling whose length is said. */
static void
line_add(struct buf *b, int name, int number, int filling)
{
	buf_printf(b, "%c %d %d ", 'a' + name, number, filling);
	buf_reserve(b, (size_t)filling + 1);
	for (int i = 0; i < filling; i++)
		buf_char(b, (char)('a' + name));
	buf_char(b, '\n');
}

/* Whether the line is one of those, whole. Sets its name and number. */
static bool
line_whole(struct slice line, int *name, int *number)
{
	char letter;
	int filling, at = 0;
	char head[64];
	size_t n = line.n < sizeof head - 1 ? line.n : sizeof head - 1;
	memcpy(head, line.p, n);
	head[n] = '\0';
	if (sscanf(head, "%c %d %d %n", &letter, number, &filling, &at) != 3 || line.n != (size_t)at + (size_t)filling)
		return false;
	for (size_t i = (size_t)at; i < line.n; i++)
		if (line.p[i] != letter)
			return false;
	*name = letter - 'a';
	return true;
}

static void
open_shared(struct output *o, int fd)
{
	loop_init();
	output_open(o, fd);
	if (output_share(o, lock_path) != 0)
		_exit(1);
}

/* A process that writes LINES lines, or one very long one. */
static pid_t
writer_start(int fd, int name, bool one)
{
	pid_t pid = fork();
	if (pid != 0)
		return pid;
	struct output o;
	open_shared(&o, fd);
	for (int i = 0; i < LINES; i++) {
		line_add(&o.buf, name, i, one ? LONG_LINE : (i * 7919 + name) % 3000);
		/* By turns in all the ways there are. */
		int result = i % 3 ? output_flush(&o) : output_some(&o);
		if (result != 0)
			_exit(1);
	}
	while (o.buf.len)
		if (output_flush(&o) != 0)
			_exit(1);
	_exit(0);
}

static bool
exited(pid_t pid, int code)
{
	int status;
	return waitpid(pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status) == code;
}

static void
read_some(int fd, struct buf *b, size_t most)
{
	for (ssize_t n = 1; n > 0 && b->len < most;) {
		buf_reserve(b, 65536);
		n = read(fd, b->p + b->len, 65536);
		b->len += n > 0 ? (size_t)n : 0;
	}
}

/* Counts the lines that are not whole or not in their writer's order, blank ones left out. */
static int
lines_check(const struct buf *b, int next[WRITERS + 1])
{
	int bad = 0, name, number;
	for (const char *p = b->p, *end = b->p + b->len, *newline; p < end; p = newline + 1) {
		newline = memchr(p, '\n', (size_t)(end - p));
		if (!newline)
			return bad + 1;
		if (newline == p)
			continue;
		if (line_whole((struct slice){p, (size_t)(newline - p)}, &name, &number) && name <= WRITERS &&
		    next[name] == number)
			next[name]++;
		else
			bad++;
	}
	return bad;
}

static bool
all_came(const int next[WRITERS + 1])
{
	for (int i = 0; i < WRITERS; i++)
		if (next[i] != LINES)
			return false;
	return true;
}

static void
test_together(void)
{
	int fds[2], next[WRITERS + 1] = {0};
	pid_t pid[WRITERS];
	struct buf b = {0};
	if (pipe2(fds, O_CLOEXEC) != 0)
		exit(1);
	for (int i = 0; i < WRITERS; i++)
		pid[i] = writer_start(fds[1], i, false);
	close(fds[1]);
	read_some(fds[0], &b, SIZE_MAX);
	bool good = true;
	for (int i = 0; i < WRITERS; i++)
		good = exited(pid[i], 0) && good;
	tap_ok(lines_check(&b, next) == 0 && good && all_came(next), "lines of %d processes are whole and all there",
	    WRITERS);
	close(fds[0]);
	buf_free(&b);
}

/* One is killed while it stands in the middle of a line, with the lock. */
static void
test_killed(void)
{
	int fds[2], next[WRITERS + 1] = {0};
	pid_t pid[WRITERS];
	struct buf b = {0};
	if (pipe2(fds, O_CLOEXEC) != 0)
		exit(1);
	pid_t victim = writer_start(fds[1], WRITERS, true);
	read_some(fds[0], &b, READ);
	for (int i = 0; i < WRITERS; i++)
		pid[i] = writer_start(fds[1], i, false);
	close(fds[1]);
	kill(victim, SIGKILL);
	waitpid(victim, NULL, 0);
	read_some(fds[0], &b, SIZE_MAX);
	bool good = true;
	for (int i = 0; i < WRITERS; i++)
		good = exited(pid[i], 0) && good;
	int bad = lines_check(&b, next);
	tap_ok(bad == 1 && good && all_came(next), "one that is killed tears one line, its own (%d)", bad);
	close(fds[0]);
	buf_free(&b);
}

/* Whoever waits for the lock is not deaf: the second signal ends it. */
static void
test_signal(void)
{
	int fds[2], lock = open(lock_path, O_RDWR | O_CLOEXEC), status = 0;
	sigset_t stop;
	sigemptyset(&stop);
	sigaddset(&stop, SIGTERM);
	sigprocmask(SIG_BLOCK, &stop, NULL);
	if (pipe2(fds, O_CLOEXEC) != 0 || flock(lock, LOCK_EX) != 0)
		exit(1);
	pid_t pid = writer_start(fds[1], 0, true), ended = 0;
	for (int i = 0; i < 60000 && (ended = waitpid(pid, &status, WNOHANG)) == 0; i++) {
		kill(pid, SIGTERM);
		usleep(1000);
	}
	tap_ok(ended == pid && WIFEXITED(status) && WEXITSTATUS(status) == 128 + SIGTERM,
	    "who waits for the lock hears a signal");
	if (!ended)
		kill(pid, SIGKILL);
	close(fds[0]);
	close(fds[1]);
	close(lock);
}

/* Without waiting: nothing is written while another has the lock, and a half written line keeps it. */
static void
test_some(void)
{
	int fds[2], lock = open(lock_path, O_RDWR | O_CLOEXEC), next[WRITERS + 1] = {0};
	struct buf b = {0};
	struct output o;
	if (pipe2(fds, O_CLOEXEC) != 0 || flock(lock, LOCK_EX) != 0)
		exit(1);
	open_shared(&o, fds[1]);
	line_add(&o.buf, 0, 0, LONG_LINE);
	size_t whole = o.buf.len;
	buf_text(&o.buf, "a 1 ");
	bool good = output_some(&o) == 0 && o.buf.len == whole + 4;
	flock(lock, LOCK_UN);
	good = good && output_some(&o) == 0 && o.buf.len < whole + 4 && o.held;
	good = good && flock(lock, LOCK_EX | LOCK_NB) != 0;
	tap_ok(good, "a half written line keeps the lock");
	while (o.held && output_some(&o) == 0)
		read_some(fds[0], &b, b.len + 1);
	tap_ok(o.buf.len == 4 && flock(lock, LOCK_EX | LOCK_NB) == 0, "a whole one gives it back, the next stays here");
	close(fds[1]);
	read_some(fds[0], &b, SIZE_MAX);
	tap_ok(lines_check(&b, next) == 0 && next[0] == 1, "and all of it came");
	close(fds[0]);
	close(lock);
	buf_free(&b);
	buf_free(&o.buf);
}

int
main(void)
{
	snprintf(lock_path, sizeof lock_path, "/tmp/output-lock-XXXXXX");
	int fd = mkstemp(lock_path);
	if (fd < 0)
		return 1;
	close(fd);
	test_together();
	test_killed();
	test_signal();
	test_some();
	unlink(lock_path);
	return tap_done();
}
