/* See report.h. */
#include "report.h"

#include "time.h"
#include "log.h"
#include "json.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

enum { IN_MOST = 1 << 20, LONG_US = 60000000 /* after which a writer that ends is started again at once */ };

const char *const report_reasons[REASONS] = {
    "id", "accountType", "tokens", "callbackTimeMs", "version", "arriveMs", "json", "other"};

static _Noreturn void
writer_run(const char *writer, int out)
{
	sigset_t none;
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	signal(SIGPIPE, SIG_DFL);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
	dup2(null, STDIN_FILENO);
	dup2(out, STDOUT_FILENO);
	unsetenv("ACCTFLOW_METRICS");
	execl(writer, "writer", "status", "--interval", "1", (char *)NULL);
	_exit(127);
}

/* Waits until writer has ended; ends it, and us, where nobody reads any more. (Not by a signal at statusd's death: that
 * has given up signals to whom it started before.) */
static int
writer_wait(pid_t pid, int out)
{
	int status = 0;
	struct pollfd p[] = {{.fd = pidfd_open(pid, 0), .events = POLLIN}, {.fd = out}};
	while (poll(p, 2, -1) < 0 && errno == EINTR)
		continue;
	if (p[1].revents) {
		kill(pid, SIGKILL);
		_exit(0);
	}
	close(p[0].fd);
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		continue;
	return status;
}

/* Runs writer again and again, and says in its stead when it has ended. */
static _Noreturn void
launcher_run(const char *writer, int in, int out)
{
	close(in); /* or we would be one who reads */
	for (unsigned pause = 1;; pause = pause < 16 ? 2 * pause : 30) {
		int64_t start = clock_now();
		pid_t pid = fork();
		if (pid == 0)
			writer_run(writer, out);
		int status = pid > 0 ? writer_wait(pid, out) : 0;
		if (clock_now() - start > LONG_US)
			pause = 1;
		struct buf b = {0};
		if (pid < 0)
			buf_printf(&b, "\nerror=could not start writer status: %s\n", strerror(errno));
		else if (WIFEXITED(status))
			buf_printf(&b, "\nerror=writer status exited %d\n", WEXITSTATUS(status));
		else
			buf_printf(&b, "\nerror=writer status was killed by signal %d\n", WTERMSIG(status));
		buf_printf(&b, "next=%u\n\n", pause);
		if (write(out, b.p, b.len) < 0)
			_exit(0);
		buf_free(&b);
		sleep(pause);
	}
}

void
report_start(struct report *r, const char *writer)
{
	int ends[2];
	*r = (struct report){.fd = -1, .expected = clock_now() + 10 * INT64_C(1000000)};
	buf_text(&r->error, "not asked yet");
	if (!writer)
		return;
	if (pipe2(ends, O_CLOEXEC) != 0)
		die(EXIT_TEMPORARY, "could not make a pipe: %m");
	pid_t pid = fork();
	if (pid == 0)
		launcher_run(writer, ends[0], ends[1]);
	if (pid < 0)
		die(EXIT_TEMPORARY, "could not start a process: %m");
	close(ends[1]);
	fcntl(ends[0], F_SETFL, O_NONBLOCK);
	r->fd = ends[0];
}

void
report_tend(struct report *r)
{
	/* One that says nothing may wait for a server that does not either. */
	if (clock_now() > r->expected && r->error.len == 0)
		buf_text(&r->error, "no answer in time");
}

static void
keep(struct buf *b, struct slice s)
{
	b->len = 0;
	buf_slice(b, s);
}

/* Takes over what came of the callbacks. What is told but not yet recorded as fired looks cancelled for a moment, where
 * it was superseded meanwhile; only by what is not yet delivered, so that less that the count never goes back. */
static void
outcomes_take(struct report *r, uint64_t undelivered)
{
	uint64_t settled = r->outcomes_fired + r->outcomes_pending + undelivered;
	uint64_t cancelled = r->outcomes_indexed > settled ? r->outcomes_indexed - settled : 0;
	r->fired = r->outcomes_fired;
	r->pending = r->outcomes_pending;
	if (undelivered == 0 || cancelled > r->cancelled || !r->settled)
		r->cancelled = cancelled;
	r->settled = true;
}

/* The end of a block. */
static void
block_take(struct report *r, uint64_t next)
{
	int64_t now = clock_now();
	if (!r->failed) {
		r->error.len = 0;
		r->answered = now;
	}
	r->failed = false;
	r->expected = now + (int64_t)next * 1000000 + 4 * INT64_C(1000000);
}

static void
line_take(struct report *r, struct slice line)
{
	const struct {
		const char *name;
		uint64_t *value;
		struct buf *text;
	} known[] = {
	    {"read", &r->read, NULL},
	    {"indexed", &r->indexed, NULL},
	    {"stale", &r->stale, NULL},
	    {"duplicate", &r->duplicate, NULL},
	    {"conflict", &r->conflict, NULL},
	    {"rejected", &r->rejected, NULL},
	    {"outcomes.indexed", &r->outcomes_indexed, NULL},
	    {"fired", &r->outcomes_fired, NULL},
	    {"pending", &r->outcomes_pending, NULL},
	    {"sources", NULL, &r->sources},
	    {"committed", NULL, &r->committed},
	    {"pendingByDue", NULL, &r->pending_by_due},
	    {"richest", NULL, &r->richest},
	    {"rejects", NULL, &r->rejects},
	};
	const char *equals = memchr(line.p, '=', line.n);
	if (!equals)
		return;
	char name[32] = "";
	size_t n = (size_t)(equals - line.p);
	struct slice value = {equals + 1, line.n - n - 1};
	uint64_t number = 0;
	if (n >= sizeof name)
		return;
	memcpy(name, line.p, n);
	bool is_number = json_integer(value, INT64_MAX, &number) == 0;
	for (size_t i = 0; i < sizeof known / sizeof *known; i++)
		if (strcmp(name, known[i].name) == 0 && known[i].text)
			keep(known[i].text, value);
		else if (strcmp(name, known[i].name) == 0 && is_number)
			*known[i].value = number;
	for (size_t i = 0; i < REASONS && strncmp(name, "rejected.", 9) == 0; i++)
		if (strcmp(name + 9, report_reasons[i]) == 0 && is_number) {
			r->reason[i] = number;
			r->reasoned = true;
		}
	if (strcmp(name, "error") == 0) {
		keep(&r->error, value);
		r->failed = true;
	}
	r->schema = strcmp(name, "schema") == 0 ? (int64_t)number : r->schema;
	r->schema_wanted = strcmp(name, "schema.wanted") == 0 ? (int64_t)number : r->schema_wanted;
	r->committed_at = strcmp(name, "committed") == 0 ? clock_now() : r->committed_at;
	r->counted |= strcmp(name, "rejected") == 0;
	if (strcmp(name, "outcomes.undelivered") == 0)
		outcomes_take(r, number);
	if (strcmp(name, "next") == 0)
		block_take(r, number);
}

void
report_read(struct report *r)
{
	buf_reserve(&r->in, 64 << 10);
	ssize_t n = read(r->fd, r->in.p + r->in.len, 64 << 10);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0 || r->in.len > IN_MOST)
		die(EXIT_TEMPORARY, "nobody asks the database any more");
	r->in.len += (size_t)n;
	size_t at = 0;
	const char *newline;
	while ((newline = memchr(r->in.p + at, '\n', r->in.len - at)) != NULL) {
		size_t end = (size_t)(newline - r->in.p);
		line_take(r, (struct slice){r->in.p + at, end - at});
		at = end + 1;
	}
	buf_drop(&r->in, at);
}

int64_t
report_committed(struct report *r, struct slice source)
{
	struct buf key = {0};
	int64_t result = -2;
	buf_char(&key, ' ');
	for (size_t i = 0; i < source.n; i++)
		buf_printf(&key, "%02x", (unsigned char)source.p[i]);
	buf_char(&key, ':');
	struct buf all = {0};
	buf_char(&all, ' ');
	buf_slice(&all, slice_buf(&r->committed));
	const char *found = strstr(buf_cstr(&all), buf_cstr(&key));
	if (found)
		result = strtoll(found + key.len, NULL, 10);
	buf_free(&key);
	buf_free(&all);
	return result;
}

void
report_free(struct report *r)
{
	struct buf *const all[] = {
	    &r->error, &r->sources, &r->pending_by_due, &r->richest, &r->rejects, &r->committed, &r->in};
	for (size_t i = 0; i < sizeof all / sizeof *all; i++)
		buf_free(all[i]);
}
