/* statusd: the state of the pipelines, over HTTP and on a terminal. It only looks: at the programs' mapped files, at the
 * state folder, and by way of writer at the database. One loop, one thread; nothing that its clients do reaches the
 * pipelines. */
#include "assets.h"
#include "database.h"
#include "health.h"
#include "http.h"
#include "log.h"
#include "loop.h"
#include "options.h"
#include "pipelines.h"
#include "prometheus.h"
#include "sandbox.h"
#include "status.h"
#include "time.h"

#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <termios.h>
#include <unistd.h>

enum {
	SECOND_US = 1000000,
	LINGER_US = 1200000, /* a page that is open asks once more */
	ANSWER_US = 15 * SECOND_US,
	LINES_S = 10,
};

struct statusd {
	const char *listen, *home, *writer, *database;
	struct limits limits;
	bool check, status, watch, progress, lines;
	struct pipelines pipelines;
	struct database db;
	struct history history;
	int64_t asked; /* when /api/status was last asked for */
	bool told;     /* it was answered since we were asked to stop */
};

static const char *
asset_type(const char *name)
{
	const char *dot = strrchr(name, '.');
	return strcmp(dot, ".html") == 0  ? "text/html; charset=utf-8"
	       : strcmp(dot, ".js") == 0  ? "text/javascript; charset=utf-8"
	       : strcmp(dot, ".css") == 0 ? "text/css; charset=utf-8"
					  : "image/svg+xml";
}

static bool
asset_find(const char *path, struct http_answer *a)
{
	if (strcmp(path, "/") == 0)
		path = "/page.html";
	for (size_t i = 0; assets[i].name; i++)
		if (*path == '/' && strcmp(path + 1, assets[i].name) == 0) {
			a->type = asset_type(assets[i].name);
			a->etag = assets[i].etag;
			a->fixed = (struct slice){(const char *)assets[i].bytes, assets[i].size};
			a->gzip = (struct slice){(const char *)assets[i].gzip, assets[i].gzip_size};
			return true;
		}
	return false;
}

/* The reasons in one line, or ok. */
static void
verdict_write(const struct buf *why, struct http_answer *a)
{
	a->status = why->len ? 503 : 200;
	for (size_t i = 0; i + 1 < why->len; i++)
		buf_char(&a->body, why->p[i] == '\n' ? ';' : why->p[i]);
	buf_text(&a->body, why->len ? "\n" : "ok\n");
}

static bool
statusd_answer(void *context, const char *path, struct http_answer *a)
{
	struct statusd *d = context;
	struct buf why = {0};
	bool found = true, alive = strcmp(path, "/healthz") == 0;
	pipelines_look(&d->pipelines);
	if (alive)
		health_alive(&d->pipelines, &why);
	else
		health_ready(&d->pipelines, &d->db, &d->limits, &why);
	if (alive || strcmp(path, "/readyz") == 0) {
		verdict_write(&why, a);
	} else if (strcmp(path, "/metrics") == 0) {
		a->type = "text/plain; version=0.0.4; charset=utf-8";
		prometheus_write(&d->pipelines, &d->db, why.len == 0, &a->body);
	} else if (strcmp(path, "/api/status") == 0) {
		a->type = "application/json";
		status_json(&d->pipelines, &d->db, &d->history, &why, loop_stopping(), &a->body);
		d->asked = clock_now();
		d->told = loop_stopping();
	} else {
		found = asset_find(path, a);
	}
	buf_free(&why);
	return found;
}

/* Leaves the URL where others find it. */
static void
url_write(const struct statusd *d, const char *url)
{
	char path[PATH_MAX];
	snprintf(path, sizeof path, "%s/run/statusd.url", d->home);
	FILE *f = fopen(path, "we");
	if (!f) {
		log_debug("could not write \"%s\": %m", path);
		return;
	}
	fprintf(f, "%s\n", url);
	fclose(f);
}

static void
statusd_second(struct statusd *d)
{
	database_tend(&d->db);
	pipelines_look(&d->pipelines);
	history_add(&d->history, &d->pipelines, &d->db);
}

/* Answers until it is asked to stop; then an open page still hears how it ended. */
static void
statusd_serve(struct statusd *d, struct http *h)
{
	int64_t next = clock_now(), until = INT64_MAX;
	while (clock_now() < until && !d->told) {
		if (loop_stopping() && until == INT64_MAX) {
			until = clock_now() - d->asked < 2 * SECOND_US ? clock_now() + LINGER_US : 0;
			continue;
		}
		if (clock_now() >= next) {
			statusd_second(d);
			next = clock_now() + SECOND_US - clock_now() % SECOND_US;
		}
		struct pollfd fds[] = {{.fd = http_fd(h), .events = POLLIN}, {.fd = d->db.fd, .events = POLLIN}};
		int64_t deadline = http_deadline(h);
		loop_wait(fds, 2, deadline >= 0 && deadline < next ? deadline : next < until ? next : until);
		if (fds[1].revents)
			database_read(&d->db);
		http_run(h);
	}
	/* What was answered last is still sent. */
	for (int i = 0; i < 20 && d->told; i++) {
		http_run(h);
		loop_wait(NULL, 0, clock_now() + 5000);
	}
}

/* Prints what is wanted each second. Returns whether all is well. */
static bool
statusd_print(struct statusd *d, struct buf *b)
{
	struct buf why = {0};
	bool tty = isatty(STDOUT_FILENO) == 1;
	struct progress g = pipelines_progress(&d->pipelines);
	b->len = 0;
	health_ready(&d->pipelines, &d->db, &d->limits, &why);
	if (d->lines) {
		if (d->history.seconds % LINES_S == 0 && status_progress(&g, b))
			buf_char(b, '\n');
	} else if (d->progress) {
		buf_text(b, "\r\033[K");
		status_progress(&g, b);
	} else {
		buf_text(b, d->watch && tty ? "\033[H\033[2J" : "");
		status_text(&d->pipelines, &d->db, &why, !d->check, b);
	}
	bool well = why.len == 0;
	buf_free(&why);
	return well;
}

/* Prints, once or each second until q or a signal. Returns the exit code. */
static int
statusd_show(struct statusd *d)
{
	struct buf b = {0};
	struct termios saved, raw;
	int64_t start = clock_now(), next = start;
	bool again = d->watch || d->progress, well = true;
	bool keys = d->watch && tcgetattr(STDIN_FILENO, &saved) == 0;
	if (keys) {
		raw = saved;
		raw.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
		tcsetattr(STDIN_FILENO, TCSANOW, &raw);
	}
	while (!loop_stopping()) {
		char key = 0;
		if (clock_now() >= next) {
			statusd_second(d);
			next += SECOND_US;
			/* The callbacks come in the second block; a database that does not answer is an answer too. */
			bool answered = d->db.number[DB_PENDING] >= 0 || d->db.answers > 1 || (d->db.answers && d->db.text[DB_ERROR].len);
			if (again || answered || clock_now() - start > ANSWER_US) {
				well = statusd_print(d, &b);
				if ((b.len && write(STDOUT_FILENO, b.p, b.len) < 0) || !again)
					break;
			}
		}
		struct pollfd fds[] = {{.fd = d->db.fd, .events = POLLIN}, {.fd = keys ? STDIN_FILENO : -1, .events = POLLIN}};
		loop_wait(fds, 2, next);
		if (fds[0].revents) {
			database_read(&d->db);
			next = again ? next : clock_now();
		}
		if (fds[1].revents && (read(STDIN_FILENO, &key, 1) < 1 || key == 'q'))
			break;
	}
	if (keys)
		tcsetattr(STDIN_FILENO, TCSANOW, &saved);
	if (d->progress && !d->lines && write(STDOUT_FILENO, "\r\033[K", 4) < 0)
		log_debug("could not clear the line: %m");
	buf_free(&b);
	return d->check && !well ? EXIT_REJECTED : EXIT_OK;
}

/* Starts writer, which stands beside this program, with the settings that we have. */
static void
writer_start(struct statusd *d)
{
	static char path[PATH_MAX];
	ssize_t n = readlink("/proc/self/exe", path, sizeof path - sizeof "/writer");
	char *slash = n > 0 ? strrchr(path, '/') : NULL;
	if (slash)
		memcpy(slash, "/writer", sizeof "/writer");
	d->writer = d->writer ? d->writer : path;
	if (access(d->writer, X_OK) != 0)
		die(EXIT_PERMANENT, "could not run \"%s\": %m; see --writer", d->writer);
	setenv("ACCTFLOW_HOME", d->home, 1);
	if (d->database)
		setenv("ACCTFLOW_DB", d->database, 1);
	database_start(&d->db, d->writer);
}

/* From here on it reads the state folder, and its socket is open. */
static void
statusd_sandbox(const char *home)
{
	struct sandbox s;
	sandbox_begin(&s, 0);
	sandbox_read(&s, home);
	sandbox_end(&s);
}

static struct statusd d = {.listen = "127.0.0.1:9732", .home = "var", .limits = {60, 100}};
static const struct option_spec specs[] = {
    {.name = "listen", .type = OPTION_TEXT, .value = &d.listen, .argument = "ADDRESS:PORT|none",
	.help = "where to answer (default: 127.0.0.1:9732)"},
    {.name = "most-lag", .type = OPTION_COUNT, .value = &d.limits.most_lag, .argument = "SECONDS", .max = 31536000,
	.help = "not ready if the database is further behind the input (default: 60)"},
    {.name = "least-disk", .type = OPTION_COUNT, .value = &d.limits.least_disk, .argument = "MB", .max = 1000000000,
	.help = "not ready if less is free on the disk of the state folder (default: 100)"},
    {.name = "home", .type = OPTION_TEXT, .value = &d.home, .argument = "DIR", .key = "home",
	.help = "where the supervisor keeps its state (default: var)"},
    {.name = "db", .letter = 'd', .type = OPTION_TEXT, .value = &d.database, .argument = "CONNINFO",
	.help = "the database, as for writer"},
    {.name = "writer", .type = OPTION_TEXT, .value = &d.writer, .argument = "FILE",
	.help = "the program that asks the database (default: the one beside this one)"},
    {.name = "check", .type = OPTION_FLAG, .value = &d.check,
	.help = "print the state of each program, exit 0 if all is ready and 1 if not"},
    {.name = "status", .type = OPTION_FLAG, .value = &d.status, .help = "print state, progress and totals"},
    {.name = "watch", .letter = 'w', .type = OPTION_FLAG, .value = &d.watch,
	.help = "the same again each second, until q or ^C"},
    {.name = "progress", .type = OPTION_FLAG, .value = &d.progress, .help = "print how far reading is, in one line"},
    {.name = "lines", .type = OPTION_FLAG, .value = &d.lines, .help = "with --progress: a new line every ten seconds"},
    {0},
};
static const struct program program = {
    .name = "statusd",
    .usage = "[options]",
    .purpose = "Reports the state of the pipelines over HTTP: /metrics, /healthz, /readyz, /api/status, and a page at /.",
};

int
main(int argc, char **argv)
{
	struct buf error = {0};
	struct http *h = NULL;
	loop_init();
	int at = options_read(&program, specs, argc, argv);
	bool shows = d.check || d.status || d.watch || d.progress;
	if (at < argc)
		die(EXIT_PERMANENT, "unexpected argument \"%s\"; see statusd --help", argv[at]);
	if (!shows && strcmp(d.listen, "none") == 0)
		return EXIT_OK;
	/* Another statusd may still be about to end. */
	for (int i = 0; !shows && !h && !loop_stopping(); i++) {
		error.len = 0;
		h = http_start(d.listen, statusd_answer, &d, &error);
		if (!h && i == 20)
			die(EXIT_PERMANENT, "%s", buf_cstr(&error));
		if (!h)
			loop_wait(NULL, 0, clock_now() + SECOND_US / 10);
	}
	d.pipelines.home = d.home;
	database_start(&d.db, NULL);
	if (!d.progress)
		writer_start(&d);
	if (h) {
		log_info("listening on %s", http_url(h));
		url_write(&d, http_url(h));
	}
	statusd_sandbox(d.home);
	int result = EXIT_OK;
	if (h) {
		statusd_serve(&d, h);
		http_stop(h);
	} else {
		result = statusd_show(&d);
	}
	buf_free(&error);
	return result;
}
