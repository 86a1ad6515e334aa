/* A small HTTP server on one address: GET and HEAD only, one request a connection, bounded in memory, in number and in
 * time of connections. The only module that includes libmicrohttpd. */
#ifndef ACCTFLOW_HTTP_H
#define ACCTFLOW_HTTP_H

#include "buf.h"

struct http;

struct http_answer {
	bool open_metrics; /* the client takes application/openmetrics-text: set before it is asked for */
	unsigned status;   /* 200 by default */
	const char *type;  /* of the body; kept by pointer */
	/* Where the body is constant: it, the same compressed by gzip, and its ETag. Else it is in `body`. */
	struct slice fixed, gzip;
	const char *etag;
	struct buf body;
};

/* Fills the answer for a path. Returns false where there is none (404). */
typedef bool http_fn(void *context, const char *path, struct http_answer *a);

/* Listens on ADDRESS:PORT, [ADDRESS]:PORT or PORT; port 0 is any. Returns NULL with the message in `error`. */
struct http *http_start(const char *listen, http_fn *fn, void *context, struct buf *error);

/* Where it listens, as a URL. */
const char *http_url(const struct http *h);

/* The descriptor to poll for POLLIN, and when to call http_run without it being ready (clock_now(); -1: no need). */
int http_fd(const struct http *h);
int64_t http_deadline(const struct http *h);
void http_run(struct http *h);
void http_stop(struct http *h);

#endif
