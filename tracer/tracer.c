/* tracer: events in, the same events out, and spans of sampled updates to a collector. A line never waits for the
 * collector: its spans are in a bounded queue before it passes, and what the queue cannot hold is dropped. Before
 * `writer ack` nothing is lost by a kill: a line that did not pass comes again, and makes the same spans. */
#include "display.h"
#include "export.h"
#include "lines.h"
#include "log.h"
#include "loop.h"
#include "metrics.h"
#include "options.h"
#include "output.h"
#include "sandbox.h"
#include "spans.h"
#include "time.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

static struct {
	struct export_options export;
	bool ids;
	int format;
} options = {.export = {.queue = 10000}};

enum { PIPE_BYTES = 1 << 20 };

struct tracer {
	struct lines in;
	struct output out;
	struct display_style style;
	struct record record;
	bool closed; /* nobody reads the output any more */
};

static void
lines_handle(struct tracer *t)
{
	struct slice line;
	enum line_status status;
	while ((status = lines_next(&t->in, &line)) != LINE_NONE) {
		if (status == LINE_LONG) {
			log_warn(
			    "dropped a line of %llu bytes: longer than any event", (unsigned long long)t->in.total);
			continue;
		}
		/* Most lines have no trace, and are not parsed. */
		if (memmem(line.p, line.n, "\"trace\":", 8) && record_parse_line(line, &t->record) == 0)
			spans_event(&t->record, options.ids);
		display_record(&t->out.buf, t->style, line);
	}
}

static void
flush(struct tracer *t, int (*write)(struct output *))
{
	if (t->closed || write(&t->out) == 0)
		return;
	if (errno != EPIPE)
		output_failed();
	t->closed = true;
}

static void
run(struct tracer *t)
{
	while (!t->closed && !t->in.eof && !loop_stopping()) {
		struct pollfd fds[] = {
		    {.fd = output_full(&t->out) ? -1 : t->in.fd, .events = POLLIN},
		    {.fd = t->out.fd, .events = t->out.buf.len ? POLLOUT : 0},
		    {.fd = -1},
		};
		int64_t deadline = export_wait(&fds[2]);
		loop_wait(fds, 3, deadline);
		t->closed = fds[1].revents & (POLLERR | POLLHUP);
		if (fds[0].revents && lines_read(&t->in) < 0 && errno != EAGAIN)
			die(EXIT_TEMPORARY, "could not read standard input: %m");
		lines_handle(t);
		flush(t, output_some);
		export_turn();
	}
}

/* clang-format off */
static const struct option_spec specs[] = {
	{.name = "to", .letter = 'O', .type = OPTION_TEXT, .value = &options.export.to, .argument = "URL",
	 .help = "the collector's OTLP/HTTP address, such as http://127.0.0.1:4318"},
	{.name = "queue", .type = OPTION_COUNT, .value = &options.export.queue, .argument = "N", .min = 1, .max = 1000000,
	 .help = "most spans that wait for the collector; more are dropped (default: 10000)"},
	{.name = "keep", .type = OPTION_TEXT, .value = &options.export.keep, .argument = "FILE",
	 .help = "where they wait, so that a process that is killed leaves them to the next"},
	{.name = "ids", .type = OPTION_FLAG, .value = &options.ids,
	 .help = "name accounts in spans (default: a trace names source, offset and version)"},
	OPTION_SPEC_FORMAT(&options.format, 0),
	{0},
};
/* clang-format on */

static struct tracer tracer = {.in = {.fd = STDIN_FILENO, .max = 4 * RECORD_BYTES}};

int
main(int argc, char **argv)
{
	static const struct program program = {
	    .name = "tracer",
	    .usage = "[options] --to URL",
	    .purpose = "Passes events on, and exports spans of those whose update is sampled.",
	};
	struct tracer *t = &tracer;
	int first = options_read(&program, specs, argc, argv);
	if (first < argc)
		die_usage("unexpected operand \"%s\": events are read from standard input", argv[first]);
	if (!options.export.to)
		die_usage("--to is wanted: the address of a collector");

	loop_init();
	metrics_open("tracer");
	t->style = display_style((enum format)options.format, STDOUT_FILENO);
	output_open(&t->out, STDOUT_FILENO);
	sandbox_privileges();
	/* Fewer and larger reads under load; refused it stays as it is. */
	fcntl(STDIN_FILENO, F_SETPIPE_SZ, PIPE_BYTES);
	export_open(&options.export);
	run(t);
	/* Its neighbours do not wait for what comes now. */
	flush(t, output_flush);
	close(t->in.fd);
	close(t->out.fd);
	export_drain();
	return EXIT_OK;
}
