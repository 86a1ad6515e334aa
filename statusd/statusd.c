/* statusd: what the pipeline does, over HTTP: /metrics for Prometheus, /healthz and /readyz for whoever starts and
 * stops things, /api/status and the page for people. It only looks: at the programs' mapped files, at the state folder,
 * and by way of writer at the database. One loop, one thread; whatever its clients do, the pipeline does not notice. */
#include "assets.h"
#include "time.h"
#include "sandbox.h"
#include "http.h"
#include "loop.h"
#include "log.h"
#include "options.h"
#include "pipeline.h"
#include "show.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct statusd {
	const char *listen, *home, *writer;
	uint64_t most_lag;
	int show;
	struct pipeline pipeline;
};

static bool
is_named(const char *path, const char *name)
{
	return path[0] == '/' && strcmp(path + 1, name) == 0;
}

static const char *
type_of(const char *name)
{
	const char *dot = strrchr(name, '.');
	return !dot			   ? "application/octet-stream"
	       : strcmp(dot, ".html") == 0 ? "text/html; charset=utf-8"
	       : strcmp(dot, ".js") == 0   ? "text/javascript; charset=utf-8"
	       : strcmp(dot, ".css") == 0  ? "text/css; charset=utf-8"
	       : strcmp(dot, ".svg") == 0  ? "image/svg+xml"
					   : "application/octet-stream";
}

static bool
asset_find(const char *path, struct http_answer *a)
{
	if (strcmp(path, "/") == 0)
		path = "/page.html";
	for (size_t i = 0; assets[i].name; i++)
		if (is_named(path, assets[i].name)) {
			a->type = type_of(assets[i].name);
			a->keep = true;
			a->fixed = (struct slice){(const char *)assets[i].bytes, assets[i].size};
			return true;
		}
	return false;
}

/* One word where all is well, else the reasons. */
static void
verdict(struct http_answer *a, struct buf *why)
{
	if (why->len) {
		a->status = 503;
		for (size_t i = 0; i + 1 < why->len; i++)
			if (why->p[i] == '\n')
				why->p[i] = ';';
		buf_slice(&a->body, slice_buf(why));
	} else {
		buf_text(&a->body, "ok\n");
	}
}

static bool
answer(void *context, const char *path, struct http_answer *a)
{
	struct statusd *d = context;
	struct pipeline *p = &d->pipeline;
	struct buf why = {0};
	bool found = true;
	pipeline_look(p);
	if (strcmp(path, "/healthz") == 0) {
		pipeline_healthy(p, &why);
		verdict(a, &why);
	} else if (strcmp(path, "/readyz") == 0) {
		pipeline_ready(p, d->most_lag, &why);
		verdict(a, &why);
	} else if (strcmp(path, "/metrics") == 0) {
		pipeline_ready(p, d->most_lag, &why);
		a->type = "text/plain; version=0.0.4; charset=utf-8";
		metrics_write(p, why.len == 0, &a->body);
	} else if (strcmp(path, "/api/status") == 0) {
		pipeline_ready(p, d->most_lag, &why);
		a->type = "application/json";
		api_write(p, &why, &a->body);
	} else {
		found = asset_find(path, a);
	}
	buf_free(&why);
	return found;
}

/* writer stands beside this program. */
static const char *
writer_find(void)
{
	static char path[PATH_MAX];
	ssize_t n = readlink("/proc/self/exe", path, sizeof path - sizeof "/writer");
	if (n <= 0)
		die(EXIT_TEMPORARY, "could not find this program's own place: %m");
	path[n] = '\0';
	char *slash = strrchr(path, '/');
	memcpy(slash, "/writer", sizeof "/writer");
	if (access(path, X_OK) != 0)
		die(EXIT_PERMANENT, "could not find writer at \"%s\": %m; see --writer", path);
	return path;
}

/* Leaves the URL where others find it. */
static void
url_keep(const struct statusd *d, const char *url)
{
	char path[PATH_MAX + 16];
	snprintf(path, sizeof path, "%s/statusd.url", d->pipeline.run);
	FILE *f = fopen(path, "we");
	if (!f) {
		log_debug("could not write \"%s\": %m", path);
		return;
	}
	fprintf(f, "%s\n", url);
	fclose(f);
}

/* For --show: what a turn of the loop prints, each second. Returns false at the end. */
enum { SHOW_NOTHING, SHOW_STATUS, SHOW_WATCH, SHOW_PROGRESS, SHOW_LINES };

static bool
print(struct statusd *d)
{
	static struct buf b;
	static unsigned turn;
	struct pipeline *p = &d->pipeline;
	bool goes_on = true, tty = isatty(STDOUT_FILENO) == 1;
	struct buf why = {0};
	b.len = 0;
	turn++;
	switch (d->show) {
	case SHOW_STATUS:
	case SHOW_WATCH:
		/* Once: when the database has answered, or is known not to. */
		if (d->show == SHOW_STATUS && turn < 5 && !p->report.settled)
			break;
		pipeline_ready(p, d->most_lag, &why);
		buf_text(&b, d->show == SHOW_WATCH && tty ? "\033[H\033[2J" : "");
		show_status(p, &why, d->show == SHOW_WATCH, &b);
		goes_on = d->show == SHOW_WATCH;
		break;
	case SHOW_PROGRESS:
		buf_text(&b, "\r\033[K");
		if (turn > 2)
			show_progress(p, &b);
		buf_char(&b, '\r');
		break;
	case SHOW_LINES:
		if (turn % 10 == 0 && show_progress(p, &b))
			buf_char(&b, '\n');
		break;
	default:
		break;
	}
	buf_free(&why);
	return (b.len == 0 || write(STDOUT_FILENO, b.p, b.len) >= 0) && goes_on;
}

/* h is NULL for --show; what shows only progress does not ask the database. */
static void
run(struct statusd *d, struct http *h)
{
	struct report *r = &d->pipeline.report;
	int64_t next = clock_now();
	while (!loop_stopping()) {
		if (clock_now() >= next) {
			report_tend(r);
			pipeline_second(&d->pipeline);
			if (!h && !print(d))
				break;
			next += d->show == SHOW_STATUS ? 200000 : 1000000;
			if (next < clock_now())
				next = clock_now() + 1000000;
		}
		struct pollfd fds[] = {{.fd = h ? http_fd(h) : -1, .events = POLLIN}, {.fd = r->fd, .events = POLLIN}};
		int64_t deadline = h ? http_deadline(h) : -1;
		loop_wait(fds, 2, deadline >= 0 && deadline < next ? deadline : next);
		int64_t committed = r->committed_at;
		if (fds[1].revents)
			report_read(r);
		if (r->committed_at != committed)
			pipeline_answered(&d->pipeline);
		if (h)
			http_run(h);
	}
	if (d->show == SHOW_PROGRESS && write(STDOUT_FILENO, "\r\033[K", 4) < 0)
		log_debug("could not clear the line: %m");
}

/* All that is still wanted of files is to read the state folder; the socket is open. */
static void
confine(const char *home)
{
	struct sandbox c;
	sandbox_begin(&c, 0);
	sandbox_read(&c, home);
	sandbox_end(&c);
}

int
main(int argc, char **argv)
{
	static struct statusd d = {.listen = "127.0.0.1:9732", .home = "var", .most_lag = 60};
	static const struct option_spec specs[] = {
	    {.name = "listen",
		.type = OPTION_TEXT,
		.value = &d.listen,
		.argument = "ADDRESS:PORT|none",
		.help = "where to answer (default: 127.0.0.1:9732)"},
	    {.name = "most-lag",
		.type = OPTION_COUNT,
		.value = &d.most_lag,
		.argument = "SECONDS",
		.max = 31536000,
		.help = "not ready when the database is further behind the input (default: 60)"},
	    {.name = "home",
		.type = OPTION_TEXT,
		.value = &d.home,
		.argument = "DIR",
		.key = "home",
		.help = "where the supervisor keeps its state (default: var)"},
	    {.name = "writer",
		.type = OPTION_TEXT,
		.value = &d.writer,
		.argument = "FILE",
		.help = "the program that asks the database (default: the one beside this)"},
	    {.name = "show",
		.type = OPTION_CHOICE,
		.value = &d.show,
		.argument = "none|status|watch|progress|lines",
		.help = "print it instead: once, each second, only how far reader is in one line or in some"},
	    {0},
	};
	static const struct program program = {
	    .name = "statusd",
	    .usage = "[options]",
	    .purpose =
		"Answers over HTTP how the pipeline is: /metrics, /healthz, /readyz, /api/status, and a page at /.",
	};
	struct buf error = {0};
	loop_init();
	int at = options_read(&program, specs, argc, argv);
	if (at < argc)
		die(EXIT_PERMANENT, "unexpected argument \"%s\"; see statusd --help", argv[at]);
	if (!d.show && strcmp(d.listen, "none") == 0)
		return EXIT_OK;
	const char *writer = d.show >= SHOW_PROGRESS ? NULL : d.writer ? d.writer : writer_find();
	pipeline_init(&d.pipeline, d.home, writer);
	struct http *h = d.show ? NULL : http_start(d.listen, answer, &d, &error);
	if (!h && !d.show)
		die(EXIT_PERMANENT, "%s", buf_cstr(&error));
	if (h) {
		log_info("listening on %s", http_url(h));
		url_keep(&d, http_url(h));
	}
	confine(d.home);
	run(&d, h);
	if (h)
		http_stop(h);
	report_free(&d.pipeline.report);
	buf_free(&error);
	return EXIT_OK;
}
