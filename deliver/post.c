/* See post.h. libcurl's sockets are watched by one epoll, which the loop waits for (curl_multi_socket_action). */
#include "post.h"

#include "log.h"
#include "record.h"
#include "time.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <curl/curl.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdio.h>
#include <strings.h>
#include <sys/epoll.h>
#include <unistd.h>

enum { SECRET_BYTES = 4096, CONNECT_MS = 5000, TURNS = 16 };

static struct place {
	CURL *easy;
	struct curl_slist *headers;
	struct job *job; /* NULL: free */
	struct buf body; /* the beginning of the answer's */
	bool private;	 /* it was refused an address */
	char error[CURL_ERROR_SIZE];
} * places;
static unsigned places_n;
static CURLM *multi;
static int poller;
static int64_t deadline = -1;
static unsigned char secret[SECRET_BYTES];
static int secret_n = -1;

int
post_fd(void)
{
	return poller;
}

int64_t
post_deadline(void)
{
	return deadline;
}

static int
post_socket(CURL *easy, curl_socket_t fd, int what, void *context, void *known)
{
	struct epoll_event e = {
	    .data.fd = fd, .events = (what & CURL_POLL_IN ? EPOLLIN : 0u) | (what & CURL_POLL_OUT ? EPOLLOUT : 0u)};
	(void)easy;
	(void)context;
	if (what == CURL_POLL_REMOVE)
		epoll_ctl(poller, EPOLL_CTL_DEL, fd, NULL);
	else if (epoll_ctl(poller, known ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, fd, &e) != 0)
		return -1;
	else
		curl_multi_assign(multi, fd, places);
	return 0;
}

static int
post_timer(CURLM *m, long ms, void *context)
{
	(void)m;
	(void)context;
	deadline = ms < 0 ? -1 : clock_now() + ms * 1000;
	return 0;
}

static size_t
post_body(char *p, size_t one, size_t n, void *context)
{
	struct place *place = context;
	size_t room = ANSWER_BYTES - place->body.len;
	buf_add(&place->body, p, n < room ? n : room);
	return one * n;
}

/* Addresses that name nobody outside of this machine or its network (RFC 6890). */
static bool
address_private4(uint32_t a)
{
	static const struct {
		uint32_t net;
		int bits;
	} nets[] = {{0, 8}, {0x0a000000, 8}, {0x64400000, 10}, {0x7f000000, 8}, {0xa9fe0000, 16}, {0xac100000, 12},
	    {0xc0000000, 24}, {0xc0a80000, 16}, {0xc6120000, 15}, {0xe0000000, 3}};
	for (size_t i = 0; i < sizeof nets / sizeof *nets; i++)
		if ((a ^ nets[i].net) >> (32 - nets[i].bits) == 0)
			return true;
	return false;
}

static bool
address_private6(const struct in6_addr *a)
{
	uint32_t low;
	memcpy(&low, a->s6_addr + 12, sizeof low);
	/* Mapped, or translated by NAT64. */
	static const unsigned char nat64[12] = {0, 0x64, 0xff, 0x9b};
	if (IN6_IS_ADDR_V4MAPPED(a) || IN6_IS_ADDR_V4COMPAT(a) || memcmp(a->s6_addr, nat64, sizeof nat64) == 0)
		return address_private4(ntohl(low));
	return IN6_IS_ADDR_LOOPBACK(a) || IN6_IS_ADDR_UNSPECIFIED(a) || (a->s6_addr[0] & 0xfe) == 0xfc ||
	       IN6_IS_ADDR_LINKLOCAL(a) || IN6_IS_ADDR_SITELOCAL(a) || IN6_IS_ADDR_MULTICAST(a);
}

static curl_socket_t
post_connect(void *context, curlsocktype purpose, struct curl_sockaddr *to)
{
	struct place *p = context;
	bool private = true;
	(void)purpose;
	if (to->family == AF_INET)
	private = address_private4(ntohl(((struct sockaddr_in *)(void *)&to->addr)->sin_addr.s_addr));
	else if (to->family == AF_INET6) private =
	    address_private6(&((struct sockaddr_in6 *)(void *)&to->addr)->sin6_addr);
	p->private |= private;
	return private ? CURL_SOCKET_BAD : socket(to->family, to->socktype | SOCK_CLOEXEC, to->protocol);
}

/* Reads the key: the bytes that follow whsec_ in base64, or else those of the file, without its last newline. */
static void
secret_read(const char *path)
{
	static const char prefix[] = "whsec_";
	char text[SECRET_BYTES];
	FILE *f = fopen(path, "re");
	size_t n = f ? fread(text, 1, sizeof text, f) : 0;
	if (!f || ferror(f))
		die(EXIT_PERMANENT, "could not read the secret \"%s\": %m", path);
	fclose(f);
	if (n == sizeof text)
		die(EXIT_PERMANENT, "the secret \"%s\" is longer than %d bytes", path, SECRET_BYTES - 1);
	while (n > 0 && (text[n - 1] == '\n' || text[n - 1] == '\r'))
		n--;
	const size_t skip = sizeof prefix - 1;
	if (n > skip && memcmp(text, prefix, skip) == 0) {
		secret_n = EVP_DecodeBlock(secret, (unsigned char *)text + skip, (int)(n - skip));
		for (size_t end = n; secret_n > 0 && text[end - 1] == '='; end--)
			secret_n--;
	} else {
		memcpy(secret, text, n);
		secret_n = (int)n;
	}
	OPENSSL_cleanse(text, sizeof text);
	if (secret_n <= 0)
		die(EXIT_PERMANENT, "the secret \"%s\" is empty, or no base64 follows whsec_", path);
}

static CURL *
easy_new(struct place *p, const char *url, bool private, const struct receiver_options *o)
{
	CURL *e = curl_easy_init();
	if (!e)
		die(EXIT_TEMPORARY, "out of memory");
	curl_easy_setopt(e, CURLOPT_URL, url);
	curl_easy_setopt(e, CURLOPT_PROTOCOLS_STR, strncasecmp(url, "https:", 6) == 0 ? "https" : "http");
	curl_easy_setopt(e, CURLOPT_FOLLOWLOCATION, 0L);
	curl_easy_setopt(e, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(e, CURLOPT_TIMEOUT_MS, (long)(o->timeout_us / 1000));
	curl_easy_setopt(e, CURLOPT_CONNECTTIMEOUT_MS, (long)CONNECT_MS);
	curl_easy_setopt(e, CURLOPT_POST, 1L);
	curl_easy_setopt(e, CURLOPT_USERAGENT, "acctflow");
	curl_easy_setopt(e, CURLOPT_WRITEFUNCTION, post_body);
	curl_easy_setopt(e, CURLOPT_WRITEDATA, p);
	curl_easy_setopt(e, CURLOPT_PRIVATE, p);
	curl_easy_setopt(e, CURLOPT_ERRORBUFFER, p->error);
	if (!private) {
		curl_easy_setopt(e, CURLOPT_OPENSOCKETFUNCTION, post_connect);
		curl_easy_setopt(e, CURLOPT_OPENSOCKETDATA, p);
	}
	return e;
}

void
post_open(const char *url, const char *secret_file, bool private, const struct receiver_options *o)
{
	if (secret_file)
		secret_read(secret_file);
	if (curl_global_init(CURL_GLOBAL_DEFAULT) != 0 || !(multi = curl_multi_init()))
		die(EXIT_TEMPORARY, "could not begin to use libcurl");
	if (strncasecmp(url, "http://", 7) != 0 && strncasecmp(url, "https://", 8) != 0)
		die_usage("--post: expected an http:// or https:// URL");
	poller = epoll_create1(EPOLL_CLOEXEC);
	if (poller < 0)
		die(EXIT_TEMPORARY, "could not make an epoll: %m");
	curl_multi_setopt(multi, CURLMOPT_SOCKETFUNCTION, post_socket);
	curl_multi_setopt(multi, CURLMOPT_TIMERFUNCTION, post_timer);
	curl_multi_setopt(multi, CURLMOPT_MAXCONNECTS, (long)o->jobs);
	places_n = o->jobs;
	places = mem_alloc(places_n * sizeof *places);
	memset(places, 0, places_n * sizeof *places);
	for (struct place *p = places; p < places + places_n; p++)
		p->easy = easy_new(p, url, private, o);
}

static void
header_add(struct place *p, struct buf *header)
{
	struct curl_slist *more = curl_slist_append(p->headers, buf_cstr(header));
	if (!more)
		die(EXIT_TEMPORARY, "out of memory");
	p->headers = more;
	header->len = 0;
}

/* The id of the callback, the same for each attempt: ID:VERSION, the id's bytes percent-encoded but for letters,
 * digits,
 * - and _. */
static void
post_id(struct buf *b, const struct job *job)
{
	for (size_t i = 0; i < job->id.n; i++) {
		unsigned char c = (unsigned char)job->id.p[i];
		if ((c < 0x80 && isalnum(c)) || c == '-' || c == '_')
			buf_char(b, (char)c);
		else
			buf_printf(b, "%%%02X", c);
	}
	buf_printf(b, ":%lld", (long long)job->version);
}

/* Standard Webhooks: HMAC-SHA256 over "ID.TIMESTAMP.BODY", in base64. */
static void
post_sign(struct buf *header, struct slice id, long long at, struct slice body)
{
	static struct buf text;
	unsigned char mac[EVP_MAX_MD_SIZE];
	unsigned n = 0;
	text.len = 0;
	buf_slice(&text, id);
	buf_printf(&text, ".%lld.", at);
	buf_slice(&text, body);
	if (!HMAC(EVP_sha256(), secret, secret_n, (unsigned char *)text.p, text.len, mac, &n))
		die(EXIT_TEMPORARY, "could not sign: libcrypto failed");
	buf_text(header, "webhook-signature: v1,");
	buf_base64(header, (struct slice){(char *)mac, n});
}

static void
post_headers(struct place *p)
{
	static struct record r;
	static struct buf header, id, scratch;
	long long at = clock_wall() / 1000000;
	curl_slist_free_all(p->headers);
	p->headers = NULL;
	id.len = 0;
	post_id(&id, p->job);
	buf_text(&header, "content-type: application/json");
	header_add(p, &header);
	buf_text(&header, "expect:");
	header_add(p, &header);
	buf_text(&header, "webhook-id: ");
	buf_slice(&header, slice_buf(&id));
	header_add(p, &header);
	buf_printf(&header, "webhook-timestamp: %lld", at);
	header_add(p, &header);
	if (secret_n > 0) {
		post_sign(&header, slice_buf(&id), at, p->job->line);
		header_add(p, &header);
	}
	struct slice trace = {0};
	if (record_parse_line(p->job->line, &r) == 0)
		trace = record_text(&r, M_TRACE, &scratch);
	bool plain = trace.n > 0;
	for (size_t i = 0; i < trace.n; i++)
		plain &= isxdigit((unsigned char)trace.p[i]) || trace.p[i] == '-';
	if (plain) {
		buf_text(&header, "traceparent: ");
		buf_slice(&header, trace);
		header_add(p, &header);
	}
}

void
post_start(struct job *job)
{
	struct place *p = places;
	while (p->job)
		p++;
	p->job = job;
	p->body.len = 0;
	p->error[0] = '\0';
	p->private = false;
	post_headers(p);
	curl_easy_setopt(p->easy, CURLOPT_HTTPHEADER, p->headers);
	curl_easy_setopt(p->easy, CURLOPT_POSTFIELDS, job->line.p);
	curl_easy_setopt(p->easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)job->line.n);
	if (curl_multi_add_handle(multi, p->easy) != CURLM_OK)
		die(EXIT_TEMPORARY, "out of memory");
}

/* What a status says: 2xx taken, 4xx refused but for those that mean "later", all else again. */
static enum answer_kind
post_judge(long status)
{
	if (status >= 200 && status < 300)
		return ANSWER_TAKEN;
	if (status >= 400 && status < 500 && status != 408 && status != 409 && status != 425 && status != 429)
		return ANSWER_REFUSED;
	return ANSWER_AGAIN;
}

static void
post_done(struct place *p, CURLcode code, struct answer *a)
{
	long status = 0;
	curl_off_t seconds = 0;
	a->text.len = 0;
	curl_easy_getinfo(p->easy, CURLINFO_RESPONSE_CODE, &status);
	curl_easy_getinfo(p->easy, CURLINFO_RETRY_AFTER, &seconds);
	a->kind = code == CURLE_OK ? post_judge(status) : ANSWER_AGAIN;
	a->wait_us = code == CURLE_OK && seconds > 0 && seconds < 31536000 ? seconds * 1000000 : 0;
	if (code == CURLE_OK)
		snprintf(a->outcome, sizeof a->outcome, "%ld", status);
	else
		snprintf(a->outcome, sizeof a->outcome, "%s",
		    p->private			       ? "private address"
		    : code == CURLE_OPERATION_TIMEDOUT ? "timeout"
						       : curl_easy_strerror(code));
	if (p->private)
		buf_text(&a->text, "it has a private address; see --allow-private");
	else if (code != CURLE_OK)
		buf_text(&a->text, p->error[0] ? p->error : curl_easy_strerror(code));
	else
		buf_printf(&a->text, "status %ld%s", status, p->body.len ? ": " : "");
	if (code == CURLE_OK)
		buf_slice(&a->text, slice_buf(&p->body));
	a->job = p->job;
	p->job = NULL;
	curl_multi_remove_handle(multi, p->easy);
}

bool
post_answer(struct answer *a)
{
	struct epoll_event e[64];
	int n = 1, left, running;
	/* Not for ever: an answer without end must not keep the others waiting. */
	for (int turn = 0; turn < TURNS && n > 0; turn++) {
		const CURLMsg *m;
		while ((m = curl_multi_info_read(multi, &left)))
			if (m->msg == CURLMSG_DONE) {
				struct place *p = NULL;
				CURLcode code = m->data.result;
				curl_easy_getinfo(m->easy_handle, CURLINFO_PRIVATE, (char **)&p);
				post_done(p, code, a);
				return true;
			}
		n = epoll_wait(poller, e, 64, 0);
		for (int i = 0; i < n; i++)
			curl_multi_socket_action(multi, e[i].data.fd,
			    (e[i].events & EPOLLIN ? CURL_CSELECT_IN : 0) |
				(e[i].events & EPOLLOUT ? CURL_CSELECT_OUT : 0) |
				(e[i].events & (EPOLLERR | EPOLLHUP) ? CURL_CSELECT_ERR : 0),
			    &running);
		if (n == 0 && deadline >= 0 && deadline <= clock_now()) {
			deadline = -1;
			curl_multi_socket_action(multi, CURL_SOCKET_TIMEOUT, 0, &running);
			n = 1;
		}
	}
	return false;
}
