/* See process.h. A command of one callback reads its event from a file in memory, so that nothing has to be written
 * to it bit by bit; a worker reads from a pipe that never blocks us. Each is the first of a process group of its own,
 * which is killed when its time is over, and dies with us. */
#include "process.h"

#include "log.h"
#include "record.h"
#include "time.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

enum { VARIABLE_BYTES = 100000 /* the kernel takes no longer one */, CLOSE_MS = 2000 };

/* What an event of epoll is about. */
enum about { IN, OUT, END };

static struct place {
	pid_t pid; /* 0: none runs */
	int pidfd, in, out;
	struct job *job; /* NULL: free */
	size_t written;	 /* of its line, and the newline behind it */
	int64_t deadline;
	struct buf said; /* what it printed: the last of it; a worker's not yet ended line */
} * places;
static const char *command;
static bool worker;
static struct receiver_options options;
static int poller;

void
process_open(const char *text, bool lives, const struct receiver_options *o)
{
	command = text;
	worker = lives;
	options = *o;
	places = mem_alloc(o->jobs * sizeof *places);
	memset(places, 0, o->jobs * sizeof *places);
	poller = epoll_create1(EPOLL_CLOEXEC);
	if (poller < 0)
		die(EXIT_TEMPORARY, "could not make an epoll: %m");
}

int
process_fd(void)
{
	return poller;
}

static void
process_watch(struct place *p, int fd, enum about about, uint32_t events)
{
	struct epoll_event e = {.events = events, .data.u64 = (uint64_t)(p - places) << 2 | about};
	if (fd < 0 || epoll_ctl(poller, EPOLL_CTL_ADD, fd, &e) != 0)
		die(EXIT_TEMPORARY, "could not watch a command: %m");
}

/* Taken out of the epoll first: a child that is just being made may have it open still. */
static void
process_unwatch(int fd)
{
	if (fd < 0)
		return;
	epoll_ctl(poller, EPOLL_CTL_DEL, fd, NULL);
	close(fd);
}

/* The event's members as variables: ACCTFLOW_ACCOUNT_TYPE is accountType. */
static void
process_variables(const struct job *job)
{
	struct record r = {0};
	struct buf name = {0}, scratch = {0}, value = {0};
	if (record_parse_line(job->line, &r) != 0)
		return;
	for (enum member m = 0; m < M_COUNT; m++) {
		if (!record_has(&r, m) || r.m[m].n > VARIABLE_BYTES)
			continue;
		name.len = value.len = 0;
		buf_text(&name, "ACCTFLOW_");
		for (const char *c = member_name[m]; *c; c++) {
			if (isupper((unsigned char)*c))
				buf_char(&name, '_');
			buf_char(&name, (char)toupper((unsigned char)*c));
		}
		/* Data stays JSON, a string too. */
		buf_slice(&value, m != M_DATA && r.m[m].p[0] == '"' ? record_text(&r, m, &scratch) : r.m[m]);
		setenv(buf_cstr(&name), buf_cstr(&value), 1);
	}
	value.len = 0;
	buf_u64(&value, job->attempts);
	setenv("ACCTFLOW_ATTEMPT", buf_cstr(&value), 1);
}

/* In the child: becomes the command. */
_Noreturn static void
process_become(const struct job *job, pid_t parent, int in, int out)
{
	sigset_t none;
	sigemptyset(&none);
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0 || getppid() != parent || setpgid(0, 0) != 0 ||
	    dup2(in, STDIN_FILENO) < 0 || dup2(out, STDOUT_FILENO) < 0)
		_exit(EXIT_TEMPORARY);
	if (!worker)
		process_variables(job);
	signal(SIGPIPE, SIG_DFL);
	sigprocmask(SIG_SETMASK, &none, NULL);
	execl("/bin/sh", "sh", "-c", command, (char *)NULL);
	_exit(127);
}

/* Its standard input: the event, or the reading end of a pipe. Returns it, or -1. */
static int
process_input(struct place *p)
{
	int ends[2];
	p->in = -1;
	if (worker) {
		if (pipe2(ends, O_CLOEXEC) != 0)
			return -1;
		p->in = ends[1];
		fcntl(p->in, F_SETFL, O_NONBLOCK);
		return ends[0];
	}
	int fd = memfd_create("event", MFD_CLOEXEC);
	struct slice line = p->job->line;
	/* A file in memory takes all at once, or there is no memory. */
	if (fd >= 0 &&
	    (write(fd, line.p, line.n) != (ssize_t)line.n || write(fd, "\n", 1) != 1 || lseek(fd, 0, SEEK_SET) != 0)) {
		close(fd);
		fd = -1;
	}
	return fd;
}

/* Starts the command. Returns 0, or -1 where the machine has too little for one more. */
static int
process_spawn(struct place *p)
{
	pid_t parent = getpid();
	int in = process_input(p), out[2] = {-1, -1};
	p->said.len = 0;
	if (in < 0 || pipe2(out, O_CLOEXEC) != 0 || (p->pid = fork()) < 0) {
		log_warn("could not start the receiver: %m");
		const int ends[] = {in, p->in, out[0], out[1]};
		for (int i = 0; i < 4; i++)
			if (ends[i] >= 0)
				close(ends[i]);
		p->pid = 0;
		return -1;
	}
	if (p->pid == 0)
		process_become(p->job, parent, in, out[1]);
	close(in);
	close(out[1]);
	p->out = out[0];
	fcntl(p->out, F_SETFL, O_NONBLOCK);
	p->pidfd = pidfd_open(p->pid, 0);
	process_watch(p, p->pidfd, END, EPOLLIN);
	process_watch(p, p->out, OUT, EPOLLIN);
	if (worker)
		process_watch(p, p->in, IN, EPOLLOUT | EPOLLET);
	return 0;
}

/* Writes what a worker takes at once of its line; epoll says when it takes more. */
static void
process_write(struct place *p)
{
	struct slice line = p->job ? p->job->line : (struct slice){0};
	while (p->job && p->written <= line.n) {
		bool end = p->written == line.n;
		ssize_t n = write(p->in, end ? "\n" : line.p + p->written, end ? 1 : line.n - p->written);
		if (n < 0)
			return; /* full; or gone, which its end says */
		p->written += (size_t)n;
	}
}

void
process_start(struct job *job)
{
	struct place *p = places;
	while (p->job)
		p++;
	p->job = job;
	p->written = 0;
	p->deadline = clock_now() + options.timeout_us;
	if (p->pid == 0 && process_spawn(p) != 0)
		p->deadline = 0;
	else if (worker)
		process_write(p);
}

int64_t
process_deadline(void)
{
	int64_t first = -1;
	for (struct place *p = places; p < places + options.jobs; p++)
		if (p->job && (first < 0 || p->deadline < first))
			first = p->deadline;
	return first;
}

/* Reads what it printed, and keeps the last of it. */
static void
process_read(struct place *p)
{
	char bytes[4096];
	ssize_t n;
	while ((n = read(p->out, bytes, sizeof bytes)) > 0) {
		buf_add(&p->said, bytes, (size_t)n);
		if (!worker && p->said.len > ANSWER_BYTES)
			buf_drop(&p->said, p->said.len - ANSWER_BYTES);
		if (worker && p->said.len > 2 * ANSWER_BYTES)
			break;
	}
	if (n == 0)
		epoll_ctl(poller, EPOLL_CTL_DEL, p->out, NULL);
}

static bool
answer_give(struct place *p, struct answer *a, enum answer_kind kind, const char *outcome, struct slice text)
{
	snprintf(a->outcome, sizeof a->outcome, "%s", outcome);
	a->job = p->job;
	a->kind = kind;
	a->wait_us = 0;
	a->text.len = 0;
	buf_slice(&a->text, text);
	p->job = NULL;
	return true;
}

/* The command has ended, or is made to. Returns how. */
static int
process_end(struct place *p, bool kills)
{
	int status = 0;
	if (kills)
		kill(-p->pid, SIGKILL);
	while (waitpid(p->pid, &status, 0) < 0 && errno == EINTR)
		continue;
	process_read(p);
	process_unwatch(p->pidfd);
	process_unwatch(p->out);
	process_unwatch(p->in);
	p->pid = 0;
	return status;
}

/* What a command that has ended says of its callback. */
static bool
answer_ended(struct place *p, struct answer *a, int status)
{
	struct buf text = {0};
	bool exited = WIFEXITED(status);
	enum answer_kind kind =
	    worker || !exited || WEXITSTATUS(status) != EXIT_PERMANENT ? ANSWER_AGAIN : ANSWER_REFUSED;
	if (!p->job)
		return false;
	if (!worker && exited && WEXITSTATUS(status) == 0)
		return answer_give(p, a, ANSWER_TAKEN, "exit 0", (struct slice){0});
	char outcome[32];
	snprintf(
	    outcome, sizeof outcome, exited ? "exit %d" : "signal %d", exited ? WEXITSTATUS(status) : WTERMSIG(status));
	if (p->said.len && !worker)
		buf_slice(&text, slice_buf(&p->said));
	else if (exited)
		buf_printf(&text, "the command exited %d", WEXITSTATUS(status));
	else
		buf_printf(&text, "the command was killed by signal %d", WTERMSIG(status));
	answer_give(p, a, kind, outcome, slice_buf(&text));
	buf_free(&text);
	return true;
}

/* A worker's line: ok, retry or refuse, and perhaps a text. Lines that nobody asked for are passed over. */
static bool
answer_line(struct place *p, struct answer *a)
{
	const char *end = p->said.len ? memchr(p->said.p, '\n', p->said.len) : NULL;
	if (!end && p->said.len <= ANSWER_BYTES)
		return false;
	size_t n = end ? (size_t)(end - p->said.p) : p->said.len;
	struct slice line = {p->said.p, n}, text = line;
	const char *space = memchr(line.p, ' ', line.n);
	struct slice word = {line.p, space ? (size_t)(space - line.p) : line.n};
	if (space)
		text = (struct slice){space + 1, line.n - word.n - 1};
	enum answer_kind kind = slice_is(word, "ok")	   ? ANSWER_TAKEN
				: slice_is(word, "refuse") ? ANSWER_REFUSED
							   : ANSWER_AGAIN;
	if (kind == ANSWER_AGAIN && !slice_is(word, "retry"))
		log_warn("a worker answered something else than ok, retry or refuse; trying again");
	bool asked = p->job != NULL;
	if (asked)
		answer_give(p, a, kind,
		    kind == ANSWER_TAKEN     ? "ok"
		    : kind == ANSWER_REFUSED ? "refuse"
					     : "retry",
		    text);
	p->said.len = 0;
	return asked;
}

/* One whose time is over. */
static bool
answer_late(struct answer *a)
{
	struct buf text = {0};
	int64_t now = clock_now();
	for (struct place *p = places; p < places + options.jobs; p++) {
		if (!p->job || p->deadline > now)
			continue;
		bool started = p->pid != 0;
		if (!started) {
			buf_text(&text, "the command could not be started");
		} else {
			process_end(p, true);
			buf_printf(&text, "no answer within %lld ms", (long long)options.timeout_us / 1000);
		}
		answer_give(p, a, ANSWER_AGAIN, started ? "timeout" : "not started", slice_buf(&text));
		buf_free(&text);
		return true;
	}
	return false;
}

bool
process_answer(struct answer *a)
{
	struct epoll_event e;
	while (epoll_wait(poller, &e, 1, 0) > 0) {
		struct place *p = &places[e.data.u64 >> 2];
		switch ((enum about)(e.data.u64 & 3)) {
		case IN:
			process_write(p);
			break;
		case OUT:
			process_read(p);
			if (worker && answer_line(p, a))
				return true;
			break;
		case END:
			/* What it said before it ended counts. */
			process_read(p);
			if (worker && answer_line(p, a))
				return true;
			if (answer_ended(p, a, process_end(p, false)))
				return true;
			break;
		}
	}
	return answer_late(a);
}

void
process_close(void)
{
	for (struct place *p = places; p < places + options.jobs; p++)
		if (p->pid)
			process_unwatch(p->in);
	for (int i = 0; i < CLOSE_MS / 10; i++) {
		while (waitpid(-1, NULL, WNOHANG) > 0)
			continue;
		if (errno == ECHILD)
			return;
		usleep(10000);
	}
}
