/* A receiver of callbacks for the tests: an HTTP server that takes, refuses, fails or hangs, and writes down each
 * request as it begins, "MICROSECONDS begin ID", and as it is answered, "MICROSECONDS STATUS ID".
 *
 * usage: receiver PORT LOG [FAIL%] [HANG%] [STATUS]
 *
 * RECEIVER_BODIES names a file to which the bodies of those that it took are added, a line each; then it is a collector
 * of traces, and knows nothing but JSON for /v1/traces.
 * RECEIVER_ANSWER: what it says to those that it took.
 * RECEIVER_LATE_MS: up to so long after that it answers.
 * PORT 0: any. It prints the port that it listens on. STATUS: what it answers where it neither fails (503) nor hangs.
 */
#include <microhttpd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <unistd.h>

static FILE *logged, *bodies;
static unsigned fail, hang, status = 200, late;

static void
note(const char *what, const char *id)
{
	struct timeval t;
	gettimeofday(&t, NULL);
	fprintf(logged, "%lld%06lld %s %s\n", (long long)t.tv_sec, (long long)t.tv_usec, what, id ? id : "-");
}

/* What a request has sent so far. */
struct request {
	size_t n;
	char *body;
};

static void
request_end(void *context, struct MHD_Connection *c, void **state, enum MHD_RequestTerminationCode why)
{
	struct request *r = *state;
	(void)context, (void)c, (void)why;
	if (r)
		free(r->body);
	free(r);
}

static enum MHD_Result
handle(void *context, struct MHD_Connection *c, const char *url, const char *method, const char *version,
    const char *data, size_t *n, void **state)
{
	static char body[] = "taken\n", away[] = "try later\n";
	struct request *r = *state;
	const char *type = MHD_lookup_connection_value(c, MHD_HEADER_KIND, "content-type");
	char number[12];
	(void)context, (void)version;
	const char *id = MHD_lookup_connection_value(c, MHD_HEADER_KIND, "webhook-id");
	if (!r) {
		if (!(*state = calloc(1, sizeof *r)))
			return MHD_NO;
		note("begin", id);
		return MHD_YES;
	}
	if (*n) {
		r->body = realloc(r->body, r->n + *n);
		if (!r->body)
			abort();
		memcpy(r->body + r->n, data, *n);
		r->n += *n;
		*n = 0;
		return MHD_YES;
	}
	unsigned draw = (unsigned)(random() % 100), answer = draw < fail ? 503 : status;
	if (draw >= fail && draw < fail + hang) {
		MHD_suspend_connection(c);
		return MHD_YES;
	}
	if (bodies &&
	    (strcmp(method, "POST") || strcmp(url, "/v1/traces") || !type || strcmp(type, "application/json")))
		answer = 404;
	snprintf(number, sizeof number, "%u", answer);
	note(number, id);
	if (bodies && answer == 200)
		fprintf(bodies, "%.*s\n", (int)r->n, r->body), fflush(bodies);
	if (late)
		usleep(1000 * (unsigned)(random() % late));
	char *text = answer != 200 ? away : getenv("RECEIVER_ANSWER") ? getenv("RECEIVER_ANSWER") : body;
	struct MHD_Response *response = MHD_create_response_from_buffer(strlen(text), text, MHD_RESPMEM_PERSISTENT);
	if (answer == 429)
		MHD_add_response_header(response, "Retry-After", "1");
	if (answer == 302)
		MHD_add_response_header(response, "Location", "http://127.0.0.1:1/");
	enum MHD_Result result = MHD_queue_response(c, answer, response);
	MHD_destroy_response(response);
	return result;
}

/* A number up to `most`; anything else ends the program. */
static unsigned
number(const char *text, unsigned long most)
{
	char *end;
	unsigned long n = strtoul(text, &end, 10);
	if (end == text || *end || *text == '-' || n > most) {
		fprintf(stderr, "receiver: expected a number up to %lu, not \"%s\"\n", most, text);
		exit(100);
	}
	return (unsigned)n;
}

int
main(int argc, char **argv)
{
	if (argc < 3)
		return 100;
	fail = argc > 3 ? number(argv[3], 100) : 0;
	hang = argc > 4 ? number(argv[4], 100) : 0;
	status = argc > 5 ? number(argv[5], 599) : 200;
	late = getenv("RECEIVER_LATE_MS") ? number(getenv("RECEIVER_LATE_MS"), 10000) : 0;
	logged = fopen(argv[2], "a");
	if (getenv("RECEIVER_BODIES"))
		bodies = fopen(getenv("RECEIVER_BODIES"), "a");
	if (!logged || (!bodies && getenv("RECEIVER_BODIES")))
		return 111;
	setvbuf(logged, NULL, _IOLBF, 0);
	srandom((unsigned)getpid());
	struct MHD_Daemon *d =
	    MHD_start_daemon(MHD_USE_EPOLL_INTERNAL_THREAD | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ERROR_LOG,
		(uint16_t)number(argv[1], UINT16_MAX), NULL, NULL, handle, NULL, MHD_OPTION_LISTENING_ADDRESS_REUSE, 1U,
		MHD_OPTION_NOTIFY_COMPLETED, request_end, NULL, MHD_OPTION_END);
	if (!d)
		return 111;
	printf("%u\n", MHD_get_daemon_info(d, MHD_DAEMON_INFO_BIND_PORT)->port);
	fflush(stdout);
	pause();
}
