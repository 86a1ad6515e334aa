// with:
/* The metrics file: what a program's next process takes up, and whether its writer lives. With a NAME it is no test,
 * but a program to be watched: it keeps NAME.metrics in ACCTFLOW_METRICS, sets what lines `VALUE NUMBER` of its input
 * say (NUMBER `now` is the time, `now-N` that of N seconds ago), and ends with its input. */
#include "metrics.h"
#include "lines.h"
#include "loop.h"
#include "tap.h"
#include "time.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

static const char *const names[METRIC_COUNT] = {[METRIC_COMMITTED] = "committed",
    [METRIC_EMITTED] = "emitted",
    [METRIC_RETRYING] = "retrying",
    [METRIC_BEGUN] = "begun",
    [METRIC_BEHIND] = "behind",
    [METRIC_STAMP] = "stamp"};

static void
set(const char *line)
{
	char name[32], number[32];
	if (sscanf(line, "%31s %31s", name, number) != 2)
		exit(1);
	bool past = strncmp(number, "now", 3) == 0;
	long long n = strtoll(past ? number + 3 : number, NULL, 10);
	for (int i = 0; i < METRIC_COUNT; i++)
		if (names[i] && strcmp(names[i], name) == 0)
			metrics_set((enum metrics_value)i, (uint64_t)(past ? clock_now() + n * 1000000 : n));
}

static int
be_watched(const char *name)
{
	struct lines in = {.fd = STDIN_FILENO, .max = 100};
	struct slice line;
	loop_init();
	metrics_open(name);
	while (!in.eof && !loop_stopping()) {
		struct pollfd fd = {.fd = STDIN_FILENO, .events = POLLIN};
		if (loop_wait(&fd, 1, -1) < 1)
			continue;
		lines_read(&in);
		while (lines_next(&in, &line) == LINE_OK) {
			char text[101];
			snprintf(text, sizeof text, "%.*s", (int)line.n, line.p);
			set(text);
		}
	}
	return 0;
}

/* A process that adds to both a counter and a gauge. Returns when it has. */
static pid_t
process(void)
{
	int said[2];
	char byte;
	if (pipe(said) != 0)
		exit(1);
	pid_t pid = fork();
	if (pid == 0) {
		metrics_open("p");
		metrics_add(METRIC_BATCHES, 2);
		metrics_add(METRIC_BEHIND, 3);
		if (write(said[1], "x", 1) == 1)
			pause();
		_exit(1);
	}
	close(said[1]);
	if (read(said[0], &byte, 1) != 1)
		exit(1);
	close(said[0]);
	return pid;
}

int
main(int argc, char **argv)
{
	static struct metrics m;
	char folder[] = "/tmp/acctflow-metrics.XXXXXX", path[64];
	if (argc > 1)
		return be_watched(argv[1]);
	if (!mkdtemp(folder))
		return 1;
	setenv("ACCTFLOW_METRICS", folder, 1);
	tap_ok(metrics_read(folder, "p", &m) == -1, "no file");
	for (uint64_t i = 1; i <= 2; i++) {
		pid_t pid = process();
		tap_ok(metrics_read(folder, "p", &m) == 1 && m.pid == (uint32_t)pid, "its writer lives");
		tap_ok(m.value[METRIC_BATCHES] == 2 * i && m.value[METRIC_BEHIND] == 3,
		    "counters go on, gauges begin anew: %llu, %llu", (unsigned long long)m.value[METRIC_BATCHES],
		    (unsigned long long)m.value[METRIC_BEHIND]);
		kill(pid, SIGKILL);
		waitpid(pid, NULL, 0);
		tap_ok(metrics_read(folder, "p", &m) == 0 && m.value[METRIC_BEHIND] == 3, "its writer died");
	}
	snprintf(path, sizeof path, "%s/p.metrics", folder);
	tap_ok(truncate(path, sizeof m - 1) == 0 && metrics_read(folder, "p", &m) == -1, "another layout");
	unlink(path);
	rmdir(folder);
	return tap_done();
}
