/* See http.h. A connection that is open for too long is cut off, and if there are too many the oldest goes, so that
 * idle clients cannot lock others out. */
#include "http.h"

#include "log.h"
#include "time.h"

#include <errno.h>
#include <microhttpd.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
	MOST = 400,	       /* open connections, from which on the oldest is cut off */
	LIMIT = MOST + 100,    /* and never more */
	FILES = 1024,	       /* descriptors are below this */
	LIFE_US = 10000000,    /* a connection's */
	REQUEST_BYTES = 16384, /* all memory of a connection, the answer's body not counted */
	BACKLOG = 512,
};

struct http {
	struct MHD_Daemon *daemon;
	http_fn *fn;
	void *context;
	int64_t since[FILES]; /* by descriptor, when its connection came; 0: none, or it is cut off already */
	unsigned open;
	char url[300];
};

static void
http_cut(struct http *h, int fd)
{
	shutdown(fd, SHUT_RDWR);
	h->since[fd] = 0;
}

static void
on_connection(void *context, struct MHD_Connection *connection, void **own, enum MHD_ConnectionNotificationCode code)
{
	struct http *h = context;
	const union MHD_ConnectionInfo *info = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
	bool starts = code == MHD_CONNECTION_NOTIFY_STARTED;
	int fd = info ? info->connect_fd : FILES, oldest = -1;
	(void)own;
	if (fd < FILES)
		h->since[fd] = starts ? clock_now() : 0;
	h->open += starts ? 1U : -1U;
	if (!starts || h->open <= MOST)
		return;
	for (int i = 0; i < FILES; i++)
		if (h->since[i] && (oldest < 0 || h->since[i] < h->since[oldest]))
			oldest = i;
	if (oldest >= 0)
		http_cut(h, oldest);
}

/* Whether a header of the request has that text. */
static bool
header_has(struct MHD_Connection *connection, const char *name, const char *text)
{
	const char *value = MHD_lookup_connection_value(connection, MHD_HEADER_KIND, name);
	return value && strstr(value, text);
}

static void
headers_add(struct MHD_Response *r, const struct http_answer *a)
{
	MHD_add_response_header(r, "Connection", "close");
	MHD_add_response_header(r, "Content-Security-Policy",
	    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
	    "img-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'");
	MHD_add_response_header(r, "X-Content-Type-Options", "nosniff");
	MHD_add_response_header(r, "Referrer-Policy", "no-referrer");
	MHD_add_response_header(r, "Content-Type", a->type);
	MHD_add_response_header(r, "Cache-Control", a->etag ? "no-cache" : "no-store");
	if (a->etag) {
		MHD_add_response_header(r, "ETag", a->etag);
		MHD_add_response_header(r, "Vary", "Accept-Encoding");
	}
	if (a->status == MHD_HTTP_METHOD_NOT_ALLOWED)
		MHD_add_response_header(r, "Allow", "GET, HEAD");
}

static enum MHD_Result
on_request(void *context, struct MHD_Connection *connection, const char *url, const char *method, const char *version,
    const char *upload, size_t *upload_size, void **request)
{
	struct http *h = context;
	struct http_answer a = {.status = MHD_HTTP_OK, .type = "text/plain; charset=utf-8"};
	a.open_metrics = header_has(connection, "Accept", "application/openmetrics-text");
	(void)version, (void)upload, (void)upload_size, (void)request;
	if (strcmp(method, "GET") != 0 && strcmp(method, "HEAD") != 0) {
		a.status = MHD_HTTP_METHOD_NOT_ALLOWED;
		buf_text(&a.body, "only GET and HEAD\n");
	} else if (!h->fn(h->context, url, &a)) {
		a.status = MHD_HTTP_NOT_FOUND;
		buf_text(&a.body, "there is no such page\n");
	}
	bool gzip = a.gzip.p && header_has(connection, "Accept-Encoding", "gzip");
	struct slice body = gzip ? a.gzip : a.fixed.p ? a.fixed : slice_buf(&a.body);
	if (a.etag && header_has(connection, "If-None-Match", a.etag)) {
		a.status = MHD_HTTP_NOT_MODIFIED;
		body.n = 0;
		gzip = false;
	}
	struct MHD_Response *r = MHD_create_response_from_buffer(
	    body.n, (void *)(uintptr_t)body.p, a.fixed.p ? MHD_RESPMEM_PERSISTENT : MHD_RESPMEM_MUST_COPY);
	enum MHD_Result result = MHD_NO;
	if (r) {
		headers_add(r, &a);
		if (gzip)
			MHD_add_response_header(r, "Content-Encoding", "gzip");
		result = MHD_queue_response(connection, a.status, r);
		MHD_destroy_response(r);
	}
	buf_free(&a.body);
	return result;
}

/* Opens the socket. Returns it, or -1 with the message. */
static int
listen_open(const char *where, struct buf *error)
{
	struct addrinfo want = {.ai_flags = AI_PASSIVE | AI_NUMERICSERV, .ai_socktype = SOCK_STREAM}, *found = NULL;
	char host[256] = "127.0.0.1";
	const char *colon = strrchr(where, ':'), *port = colon ? colon + 1 : where;
	if (colon) {
		bool bracketed = *where == '[' && colon > where + 1 && colon[-1] == ']';
		snprintf(host, sizeof host, "%.*s", (int)(colon - where) - 2 * bracketed, where + bracketed);
	}
	/* The resolver takes 99999 for 34463. */
	if (!*port || port[strspn(port, "0123456789")] || strlen(port) > 5 || strtoul(port, NULL, 10) > UINT16_MAX) {
		buf_printf(error, "not a port to listen on, \"%s\": expected 0 to 65535", port);
		return -1;
	}
	int e = getaddrinfo(*host ? host : NULL, port, &want, &found);
	if (e != 0) {
		buf_printf(error, "not an address to listen on, \"%s\": %s", where, gai_strerror(e));
		return -1;
	}
	int on = 1, fd = socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd >= 0)
		setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
	if (fd < 0 || bind(fd, found->ai_addr, found->ai_addrlen) != 0 || listen(fd, BACKLOG) != 0) {
		buf_printf(error, "could not listen on %s: %s", where, strerror(errno));
		if (fd >= 0)
			close(fd);
		fd = -1;
	}
	freeaddrinfo(found);
	return fd;
}

static void
url_make(struct http *h, int fd)
{
	struct sockaddr_storage address;
	socklen_t n = sizeof address;
	char host[128] = "", port[16] = "";
	if (getsockname(fd, (struct sockaddr *)&address, &n) == 0)
		getnameinfo((struct sockaddr *)&address, n, host, sizeof host, port, sizeof port,
		    NI_NUMERICHOST | NI_NUMERICSERV);
	snprintf(h->url, sizeof h->url, strchr(host, ':') ? "http://[%s]:%s/" : "http://%s:%s/", host, port);
}

struct http *
http_start(const char *where, http_fn *fn, void *context, struct buf *error)
{
	struct rlimit files;
	int fd = listen_open(where, error);
	if (fd < 0)
		return NULL;
	if (getrlimit(RLIMIT_NOFILE, &files) == 0 && files.rlim_cur < LIMIT + 50) {
		files.rlim_cur = files.rlim_max < LIMIT + 50 ? files.rlim_max : LIMIT + 50;
		setrlimit(RLIMIT_NOFILE, &files);
	}
	struct http *h = mem_alloc(sizeof *h);
	*h = (struct http){.fn = fn, .context = context};
	url_make(h, fd);
	h->daemon = MHD_start_daemon(MHD_USE_EPOLL, 0, NULL, NULL, on_request, h, MHD_OPTION_LISTEN_SOCKET, fd,
	    MHD_OPTION_CONNECTION_LIMIT, (unsigned)LIMIT, MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)(LIFE_US / 1000000),
	    MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)REQUEST_BYTES, MHD_OPTION_NOTIFY_CONNECTION, on_connection, h,
	    MHD_OPTION_END);
	if (!h->daemon) {
		buf_text(error, "could not start the HTTP server");
		close(fd);
		free(h);
		return NULL;
	}
	return h;
}

const char *
http_url(const struct http *h)
{
	return h->url;
}

int
http_fd(const struct http *h)
{
	const union MHD_DaemonInfo *info = MHD_get_daemon_info(h->daemon, MHD_DAEMON_INFO_EPOLL_FD);
	return info ? info->epoll_fd : -1;
}

int64_t
http_deadline(const struct http *h)
{
	MHD_UNSIGNED_LONG_LONG ms;
	return MHD_get_timeout(h->daemon, &ms) == MHD_YES ? clock_now() + (int64_t)ms * 1000 : -1;
}

void
http_run(struct http *h)
{
	int64_t now = clock_now();
	for (int i = 0; i < FILES && h->open; i++)
		if (h->since[i] && now - h->since[i] > LIFE_US)
			http_cut(h, i);
	MHD_run(h->daemon);
}

void
http_stop(struct http *h)
{
	MHD_stop_daemon(h->daemon);
	free(h);
}
