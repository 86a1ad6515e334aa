/* See export.h. The queue is a ring of entries in a mapping. Where it is one of a file, it outlives a killed process:
 * an entry leaves it only when the request that had it was answered. The only module here that includes libcurl. */
#include "export.h"

#include "log.h"
#include "loop.h"
#include "mapping.h"
#include "metrics.h"
#include "options.h"
#include "time.h"

#include <cjson/cJSON.h>
#include <curl/curl.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <strings.h>
#include <sys/mman.h>

enum {
	BATCH = 512,
	BATCH_BYTES = 4 << 20,
	SPAN_BYTES = 1024, /* room for each span in the queue; one may be longer */
	LEAST_BYTES = 64 << 10,
	SETS = 1 << 15,
	WAYS = 4,
	LAST_US = 1000000,    /* how long requests begin at the end, and how long the last one's answer is waited for */
	COMPANY_US = 1000000, /* a span waits so long for others */
	BACKOFF_US = 500000,  /* doubling up to the other */
	BACKOFF_MOST_US = 30000000,
	CONNECT_MS = 5000,
	TIMEOUT_MS = 10000,
	ANSWER_BYTES = 4096,
};

/* Lies within the ring in one piece, its text padded with blanks; one without spans fills the end. */
struct entry {
	uint64_t key;
	uint32_t bytes, spans;
	char text[];
};

/* Bytes are numbered from 0 for ever; `head` is the first one that is still wanted. The supervisor looks whether it is
 * the tail (spans_remove). */
static struct ring {
	char magic[8];
	uint64_t bytes;
	_Atomic uint64_t head, tail;
	uint64_t seen[SETS][WAYS]; /* the latest keys first */
	char data[];
} * ring;
static bool kept;
static uint64_t waiting, most; /* spans */

static struct {
	CURLM *multi;
	CURL *easy;
	bool busy;	       /* a request is in flight: */
	uint64_t spans, bytes; /* what it has of the ring */
	struct buf body, answer;
	int64_t since, retry; /* when the first span that waits came; no request before this */
	int64_t ends;	      /* at the end: no request behind this */
	unsigned tries;	      /* that failed one after another */
	char error[CURL_ERROR_SIZE];
} out;

/* --- the queue */

static struct entry *
ring_entry(uint64_t at)
{
	return (struct entry *)(void *)(ring->data + at % ring->bytes);
}

bool
export_seen(uint64_t key)
{
	for (int i = 0; i < WAYS; i++)
		if (ring->seen[key % SETS][i] == key)
			return true;
	return false;
}

static void
seen_add(uint64_t key)
{
	uint64_t *set = ring->seen[key % SETS];
	for (int i = WAYS - 1; i > 0; i--)
		set[i] = set[i - 1];
	set[0] = key;
}

/* Takes up what an earlier process left, and the last keys, which it may not have noted. Returns whether it is a ring.
 */
static bool
ring_take_up(uint64_t bytes)
{
	static const struct entry none;
	uint64_t at = ring->head, left = ring->tail - at;
	if (ring->bytes != bytes || at % sizeof none || left % sizeof none || left > bytes)
		return false;
	for (; left > 0; at += ring_entry(at)->bytes) {
		const struct entry *e = ring_entry(at);
		if (e->bytes < sizeof *e || e->bytes % sizeof *e || e->bytes > left || e->bytes > bytes - at % bytes)
			return false;
		left -= e->bytes;
		waiting += e->spans;
		if (e->spans && !export_seen(e->key))
			seen_add(e->key);
	}
	return true;
}

static void
ring_open(const struct export_options *o)
{
	static const char magic[8] = {'a', 'c', 'c', 't', 'f', 't', 'r', 1};
	uint64_t bytes = o->queue * SPAN_BYTES < LEAST_BYTES ? LEAST_BYTES : o->queue * SPAN_BYTES;
	size_t size = sizeof *ring + bytes;
	void *map = o->keep ? mapping_own(o->keep, 0600, size) : NULL;
	kept = map;
	if (o->keep && !kept)
		log_warn("could not map \"%s\", spans that wait are lost in a crash: %m", o->keep);
	if (!kept)
		map = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (map == MAP_FAILED)
		die(EXIT_TEMPORARY, "out of memory");
	ring = map;
	most = o->queue;
	out.since = clock_now();
	if (memcmp(ring->magic, magic, sizeof magic) == 0 && ring_take_up(bytes))
		return;
	memset(ring, 0, sizeof *ring);
	waiting = 0;
	ring->bytes = bytes;
	memcpy(ring->magic, magic, sizeof magic);
}

void
export_spans(uint64_t key, struct slice spans, unsigned n)
{
	const uint64_t unit = sizeof(struct entry), tail = ring->tail, need = (spans.n + 2 * unit - 1) / unit * unit;
	uint64_t end = ring->bytes - tail % ring->bytes, skip = end < need ? end : 0;
	if (waiting + n > most || tail - ring->head + skip + need > ring->bytes) {
		metrics_add(METRIC_SPANS_FULL, n);
		return;
	}
	if (skip)
		*ring_entry(tail) = (struct entry){.bytes = (uint32_t)skip};
	struct entry *e = ring_entry(tail + skip);
	*e = (struct entry){key, (uint32_t)need, n};
	memcpy(e->text, spans.p, spans.n);
	memset(e->text + spans.n, ' ', need - unit - spans.n);
	ring->tail = tail + skip + need; /* from here on it is there */
	seen_add(key);
	if (waiting == 0)
		out.since = clock_now();
	waiting += n;
}

/* --- requests */

static size_t
export_answer(char *p, size_t one, size_t n, void *context)
{
	size_t room = ANSWER_BYTES - out.answer.len;
	(void)context;
	buf_add(&out.answer, p, n < room ? n : room);
	return one * n;
}

static bool
export_url(const char *to)
{
	CURLU *url = curl_url();
	bool good = url && curl_url_set(url, CURLUPART_URL, to, 0) == CURLUE_OK &&
		    (strncasecmp(to, "http://", 7) == 0 || strncasecmp(to, "https://", 8) == 0);
	curl_url_cleanup(url);
	return good;
}

void
export_open(const struct export_options *o)
{
	struct buf url = {0};
	struct curl_slist *headers = curl_slist_append(NULL, "content-type: application/json");
	if (!export_url(o->to))
		die_usage("--to: expected an http:// or https:// URL, not \"%s\"", o->to);
	if (curl_global_init(CURL_GLOBAL_DEFAULT) != 0 || !(out.multi = curl_multi_init()) ||
	    !(out.easy = curl_easy_init()) || !headers || !curl_slist_append(headers, "expect:"))
		die(EXIT_TEMPORARY, "could not begin to use libcurl");
	buf_text(&url, o->to);
	while (url.p[url.len - 1] == '/')
		url.len--;
	buf_text(&url, "/v1/traces");
	CURL *e = out.easy;
	curl_easy_setopt(e, CURLOPT_URL, buf_cstr(&url));
	curl_easy_setopt(e, CURLOPT_PROTOCOLS_STR, strncasecmp(o->to, "https:", 6) == 0 ? "https" : "http");
	curl_easy_setopt(e, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(e, CURLOPT_TIMEOUT_MS, (long)TIMEOUT_MS);
	curl_easy_setopt(e, CURLOPT_CONNECTTIMEOUT_MS, (long)CONNECT_MS);
	curl_easy_setopt(e, CURLOPT_POST, 1L);
	curl_easy_setopt(e, CURLOPT_USERAGENT, "acctflow");
	curl_easy_setopt(e, CURLOPT_HTTPHEADER, headers);
	curl_easy_setopt(e, CURLOPT_WRITEFUNCTION, export_answer);
	curl_easy_setopt(e, CURLOPT_ERRORBUFFER, out.error);
	buf_free(&url);
	ring_open(o);
}

static void
export_begin(void)
{
	struct buf *b = &out.body;
	b->len = 0;
	buf_printf(b,
	    "{\"resourceSpans\":[{\"resource\":{\"attributes\":[{\"key\":\"service.name\",\"value\":{\"stringValue\":"
	    "\"acctflow\"}},{\"key\":\"service.version\",\"value\":{\"stringValue\":\"%s\"}}]},\"scopeSpans\":[{"
	    "\"scope\":"
	    "{\"name\":\"acctflow\"},\"spans\":[",
	    acctflow_version);
	out.spans = out.bytes = 0;
	while (out.spans < waiting && out.spans < BATCH && b->len < BATCH_BYTES) {
		const struct entry *e = ring_entry(ring->head + out.bytes);
		if (out.spans && e->spans)
			buf_char(b, ',');
		buf_add(b, e->text, e->spans ? e->bytes - sizeof *e : 0);
		out.spans += e->spans;
		out.bytes += e->bytes;
	}
	buf_text(b, "]}]}]}");
	out.answer.len = 0;
	out.error[0] = '\0';
	curl_easy_setopt(out.easy, CURLOPT_POSTFIELDS, b->p);
	curl_easy_setopt(out.easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)b->len);
	if (curl_multi_add_handle(out.multi, out.easy) != CURLM_OK)
		die(EXIT_TEMPORARY, "out of memory");
	out.busy = true;
}

/* How many of a request's spans the collector says it did not take (OTLP's partial success). */
static uint64_t
export_refused(void)
{
	cJSON *answer = cJSON_ParseWithLength(out.answer.p, out.answer.len);
	const cJSON *item = cJSON_GetObjectItem(cJSON_GetObjectItem(answer, "partialSuccess"), "rejectedSpans");
	uint64_t n = 0;
	if (cJSON_IsString(item))
		n = strtoull(item->valuestring, NULL, 10);
	else if (item && item->valueint > 0)
		n = (uint64_t)item->valueint;
	cJSON_Delete(answer);
	return n < out.spans ? n : out.spans;
}

/* The request's spans leave the queue, so many of them refused. */
static void
export_taken(uint64_t refused)
{
	ring->head += out.bytes;
	waiting -= out.spans;
	out.since = clock_now();
	metrics_add(METRIC_SPANS_EXPORTED, out.spans - refused);
	metrics_add(METRIC_SPANS_REFUSED, refused);
}

static void
export_again(int64_t wait)
{
	int64_t backoff = BACKOFF_US << (out.tries < 6 ? out.tries : 6);
	if (backoff > BACKOFF_MOST_US)
		backoff = BACKOFF_MOST_US;
	backoff -= (int64_t)arc4random_uniform((uint32_t)backoff / 2);
	out.tries++;
	out.retry = clock_now() + (wait > backoff ? wait : backoff);
}

/* The one request has ended. What is tried again, and what is not, is OTLP's. */
static void
export_done(CURLcode code)
{
	long status = 0;
	curl_off_t seconds = 0;
	curl_easy_getinfo(out.easy, CURLINFO_RESPONSE_CODE, &status);
	curl_easy_getinfo(out.easy, CURLINFO_RETRY_AFTER, &seconds);
	curl_multi_remove_handle(out.multi, out.easy);
	out.busy = false;
	bool answered = code == CURLE_OK, taken = answered && status >= 200 && status < 300;
	bool again = !answered || status == 429 || (status >= 502 && status <= 504);
	if (taken && out.tries)
		log_info("the collector takes spans again");
	else if (!taken && out.tries == 0 && answered)
		log_warn(
		    "the collector answers with status %ld: %s", status, again ? "trying again" : "spans are dropped");
	else if (!taken && out.tries == 0)
		log_warn("the collector cannot be reached: %s; trying again",
		    out.error[0] ? out.error : curl_easy_strerror(code));
	if (again) {
		export_again(answered && seconds > 0 && seconds < 3600 ? seconds * 1000000 : 0);
		return;
	}
	out.tries = !taken;
	out.retry = 0;
	export_taken(taken ? export_refused() : out.spans);
}

/* When the next request may begin; -1: there is none to come. */
static int64_t
export_due(void)
{
	if (waiting == 0 || (out.ends && clock_now() >= out.ends))
		return -1;
	int64_t at = out.ends || waiting >= BATCH ? 1 : out.since + COMPANY_US;
	return at > out.retry ? at : out.retry;
}

void
export_turn(void)
{
	int running, left;
	int64_t due = export_due();
	if (!out.busy && due >= 0 && due <= clock_now())
		export_begin();
	if (!out.busy)
		return;
	curl_multi_perform(out.multi, &running);
	const CURLMsg *m = curl_multi_info_read(out.multi, &left);
	if (m && m->msg == CURLMSG_DONE)
		export_done(m->data.result);
}

int64_t
export_wait(struct pollfd *fd)
{
	fd_set set[3];
	int last = -1;
	long ms = -1;
	*fd = (struct pollfd){.fd = -1};
	if (!out.busy)
		return export_due();
	for (int i = 0; i < 3; i++)
		FD_ZERO(&set[i]);
	curl_multi_fdset(out.multi, &set[0], &set[1], &set[2], &last);
	for (int i = 0; i <= last; i++) {
		int events = (FD_ISSET(i, &set[0]) ? POLLIN : 0) | (FD_ISSET(i, &set[1]) ? POLLOUT : 0);
		if (events)
			*fd = (struct pollfd){.fd = i, .events = (short)events};
	}
	curl_multi_timeout(out.multi, &ms);
	/* A wait for something that is no descriptor has no time either. */
	if (ms < 0 && fd->fd < 0)
		ms = 100;
	return ms < 0 ? -1 : clock_now() + ms * 1000;
}

void
export_drain(void)
{
	out.ends = clock_now() + LAST_US;
	const int64_t until = out.ends + LAST_US;
	for (export_turn(); (out.busy || export_due() >= 0) && clock_now() < until; export_turn()) {
		struct pollfd fd;
		int64_t next = export_wait(&fd), last = out.busy ? until : out.ends;
		loop_wait(&fd, 1, next < 0 || next > last ? last : next);
	}
	if (waiting == 0)
		return;
	log_info("%llu spans were not exported%s", (unsigned long long)waiting, kept ? "; the next process does" : "");
	if (!kept)
		metrics_add(METRIC_SPANS_LEFT, waiting);
}
