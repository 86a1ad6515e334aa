/* statusd: the state of the pipelines, over HTTP and on a terminal. It only looks: at the programs' mapped files, at
 * the state folder, and by way of writer at the database. One loop, one thread; nothing that its clients do reaches the
 * pipelines. */
#include "assets.h"
#include "database.h"
#include "health.h"
#include "http.h"
#include "log.h"
#include "loop.h"
#include "options.h"
#include "paths.h"
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
#define CLEAR_LINE "\r\033[K"

enum show { STATUS, WATCH, PROGRESS, LINES };

struct statusd {
	const char *listen, *home, *writer, *database, *trace_url;
	struct limits limits;
	bool check, alive, shows; /* --check; or --show, and what */
	int show;
	struct pipelines pipelines;
	struct database db;
	struct history history;
	int64_t asked; /* when /api/status was last asked for */
	bool told;     /* it was answered since we were asked to stop */
};

static bool
asset_find(const char *path, struct http_answer *a)
{
	if (strcmp(path, "/") == 0)
		path = "/page.html";
	for (size_t i = 0; assets[i].name; i++) {
		const char *dot = strrchr(assets[i].name, '.');
		if (*path != '/' || strcmp(path + 1, assets[i].name) != 0)
			continue;
		a->type = strcmp(dot, ".html") == 0  ? "text/html; charset=utf-8"
			  : strcmp(dot, ".js") == 0  ? "text/javascript; charset=utf-8"
			  : strcmp(dot, ".css") == 0 ? "text/css; charset=utf-8"
						     : "image/svg+xml";
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
		a->type = a->open_metrics ? "application/openmetrics-text; version=1.0.0; charset=utf-8"
					  : "text/plain; version=0.0.4; charset=utf-8";
		prometheus_write(&d->pipelines, &d->db, why.len == 0, a->open_metrics, &a->body);
	} else if (strcmp(path, "/api/status") == 0) {
		a->type = "application/json";
		status_json(&d->pipelines, &d->db, &d->history, &why, loop_stopping(), d->trace_url, &a->body);
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
	log_info("listening on %s", url);
	if (f) {
		fprintf(f, "%s\n", url);
		fclose(f);
	}
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
statusd_print(struct statusd *d)
{
	struct buf why = {0}, b = {0};
	struct progress g = pipelines_progress(&d->pipelines);
	health_ready(&d->pipelines, &d->db, &d->limits, &why);
	bool well = why.len == 0;
	if (d->show == LINES) {
		if (d->history.seconds % LINES_S == 0 && status_progress(&g, &b))
			buf_char(&b, '\n');
	} else if (d->show == PROGRESS) {
		buf_text(&b, CLEAR_LINE);
		status_progress(&g, &b);
	} else {
		buf_text(&b, d->show == WATCH && isatty(STDOUT_FILENO) ? "\033[H\033[2J" : "");
		status_text(&d->pipelines, &d->db, &why, !d->check, &b);
	}
	if (b.len && write(STDOUT_FILENO, b.p, b.len) < 0)
		die(EXIT_TEMPORARY, "could not write: %m");
	buf_free(&b);
	buf_free(&why);
	return well;
}

/* Whether what the database was asked is known: the callbacks come in the second block; no answer is one too. */
static bool
statusd_knows(const struct statusd *d)
{
	return d->db.number[DB_PENDING] >= 0 || d->db.answers > 1 || (d->db.answers && d->db.text[DB_ERROR].len);
}

/* Prints, once or each second until q or a signal. Returns whether all was well. */
static bool
statusd_show(struct statusd *d)
{
	struct termios saved, raw;
	int64_t next = clock_now(), until = next + ANSWER_US;
	bool once = d->check || d->show == STATUS, well = true, quit = false;
	bool keys = d->show == WATCH && tcgetattr(STDIN_FILENO, &saved) == 0;
	if (keys) {
		raw = saved;
		raw.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
		tcsetattr(STDIN_FILENO, TCSANOW, &raw);
	}
	while (!loop_stopping() && !quit) {
		char key = 0;
		if (clock_now() >= next) {
			statusd_second(d);
			next += SECOND_US;
			if (!once || statusd_knows(d) || clock_now() > until) {
				well = statusd_print(d);
				quit = once;
				continue;
			}
		}
		struct pollfd fds[] = {
		    {.fd = d->db.fd, .events = POLLIN}, {.fd = keys ? STDIN_FILENO : -1, .events = POLLIN}};
		loop_wait(fds, 2, next);
		if (fds[0].revents) {
			database_read(&d->db);
			next = once ? clock_now() : next;
		}
		quit = fds[1].revents && (read(STDIN_FILENO, &key, 1) < 1 || key == 'q');
	}
	if (keys)
		tcsetattr(STDIN_FILENO, TCSANOW, &saved);
	if (d->show == PROGRESS && write(STDOUT_FILENO, CLEAR_LINE, sizeof CLEAR_LINE - 1) < 0)
		log_debug("could not clear the line: %m");
	return well;
}

/* The writer beside this program, or --writer; it has the settings that we have. */
static const char *
writer_path(const struct statusd *d)
{
	static char path[PATH_MAX];
	ssize_t n = readlink("/proc/self/exe", path, sizeof path - sizeof "/writer");
	char *slash = n > 0 ? strrchr(path, '/') : NULL;
	if (slash)
		memcpy(slash, "/writer", sizeof "/writer");
	const char *writer = d->writer ? d->writer : path;
	if (access(writer, X_OK) != 0)
		die(EXIT_PERMANENT, "could not run \"%s\": %m; see --writer", writer);
	setenv("ACCTFLOW_HOME", d->home, 1);
	if (d->database)
		setenv("ACCTFLOW_DB", d->database, 1);
	return writer;
}

/* A page's link, so a web address, and what is put into it has to have a place. */
static int
trace_url_set(const char *text, void *value)
{
	bool web = strncmp(text, "http://", 7) == 0 || strncmp(text, "https://", 8) == 0;
	for (const char *p = text; *p; p++)
		web &= *p > ' ' && *p < 0x7f;
	if (!web || !strstr(text, "{traceId}"))
		return -1;
	*(const char **)value = mem_string(slice_of(text));
	return 0;
}

/* clang-format off */
static struct statusd d = {.listen = "127.0.0.1:9732", .home = "var", .limits = {60, 100}};
static const struct option_spec specs[] = {
	{.name = "listen", .type = OPTION_TEXT, .value = &d.listen, .argument = "ADDRESS:PORT|none",
		.help = "where to answer (default: 127.0.0.1:9732)"},
	{.name = "most-lag", .type = OPTION_COUNT, .value = &d.limits.most_lag, .argument = "SECONDS", .max = 31536000,
		.help = "not ready if the database is further behind the input (default: 60)"},
	{.name = "least-disk", .type = OPTION_COUNT, .value = &d.limits.least_disk, .argument = "MB", .max = 1000000000,
		.help = "not ready if less is free on the disk of the state folder (default: 100)"},
	{.name = "home", .type = OPTION_TEXT, .value = &d.home, .argument = "DIR", .key = "home",
		.help = "where the supervisor keeps its state (default: var; installed, ~/.local/state/acctflow)"},
	{.name = "db", .letter = 'd', .type = OPTION_TEXT, .value = &d.database, .argument = "CONNINFO",
		.help = "the database, as for writer"},
	{.name = "writer", .type = OPTION_TEXT, .value = &d.writer, .argument = "FILE",
		.help = "the program that asks the database (default: the one beside this one)"},
	{.name = "trace-url", .type = OPTION_CUSTOM, .value = &d.trace_url, .set = trace_url_set, .argument = "URL",
		.form = "an http:// or https:// URL with {traceId} in it",
		.help = "where the page finds a trace, with {traceId} in it (default: it links none)"},
	{.name = "check", .type = OPTION_ACTION, .value = &d.check,
		.help = "print the state of each program, exit 0 if all is ready and 1 if not"},
	{.name = "alive", .type = OPTION_ACTION, .value = &d.alive,
		.help = "exit 0 unless a program stands still: for watchdogs; the database is not asked"},
	{.name = "show", .type = OPTION_CHOICE, .value = &d.show, .given = &d.shows, .argument = "status|watch|progress|lines",
		.help = "print state, progress and totals, once or until q; or how far reading is, in one line or several"},
	{0},
};
/* clang-format on */
static const struct program program = {
    .name = "statusd",
    .usage = "[options]",
    .purpose =
	"Reports the state of the pipelines over HTTP: /metrics, /healthz, /readyz, /api/status, and a page at /.",
};

/* Another statusd may still be about to end. Returns NULL where we are asked to stop meanwhile. */
static struct http *
statusd_listen(void)
{
	struct buf error = {0};
	struct http *h = NULL;
	for (int i = 0; !h && !loop_stopping(); i++) {
		error.len = 0;
		h = http_start(d.listen, statusd_answer, &d, &error);
		if (!h && i == 20)
			die(EXIT_PERMANENT, "%s", buf_cstr(&error));
		if (!h)
			loop_wait(NULL, 0, clock_now() + SECOND_US / 10);
	}
	buf_free(&error);
	return h;
}

/* Whether no program stands still. Prints which does. */
static bool
statusd_alive(struct statusd *s)
{
	struct buf why = {0};
	s->pipelines.home = s->home;
	pipelines_look(&s->pipelines);
	health_alive(&s->pipelines, &why);
	bool well = why.len == 0;
	fputs(buf_cstr(&why), stdout);
	buf_free(&why);
	return well;
}

int
main(int argc, char **argv)
{
	struct sandbox s;
	loop_init();
	d.home = paths_home();
	int at = options_read(&program, specs, argc, argv);
	bool serves = !d.check && !d.shows;
	if (at < argc)
		die(EXIT_PERMANENT, "unexpected argument \"%s\"; see statusd --help", argv[at]);
	if (d.alive)
		return statusd_alive(&d) ? EXIT_OK : EXIT_REJECTED;
	if (serves && strcmp(d.listen, "none") == 0)
		return EXIT_OK;
	struct http *h = serves ? statusd_listen() : NULL;
	if (serves && !h)
		return EXIT_OK;
	d.pipelines.home = d.home;
	database_start(&d.db, d.show == PROGRESS || d.show == LINES ? NULL : writer_path(&d));
	if (h)
		url_write(&d, http_url(h));
	/* From here on it reads the state folder, and its socket is open. */
	sandbox_begin(&s, 0);
	sandbox_read(&s, d.home);
	sandbox_end(&s);
	if (!h)
		return statusd_show(&d) || !d.check ? EXIT_OK : EXIT_REJECTED;
	statusd_serve(&d, h);
	http_stop(h);
	return EXIT_OK;
}
