/* A connection to a server that is far away: what comes in is passed on half a round trip later, either way, in order
 * and whole. Bandwidth is what the machine gives; as on a real connection no more is under way than a socket's buffer
 * holds.
 *
 *     delay ROUND_TRIP_US PORT TARGET_PORT
 *
 * Both are ports of 127.0.0.1; port 0 is any. Prints its port once it listens. Each connection has a process of its
 * own. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { PIECE = 64 << 10, UNDER_WAY = 4 << 20 }; /* the second is the largest send buffer that Linux gives by itself */

struct piece {
	struct piece *next;
	long long due;
	size_t n, at; /* n is 0: the end */
	char bytes[PIECE];
};

struct way {
	int from, to;
	struct piece *first, **last;
	size_t bytes;
	bool ended; /* nothing more comes */
};

static long long half; /* of a round trip, in nanoseconds */

static long long
now(void)
{
	struct timespec ts;
	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000000LL + ts.tv_nsec;
}

static void
fail(const char *what)
{
	perror(what);
	exit(1);
}

/* Takes what has come. */
static void
way_read(struct way *w)
{
	struct piece *p = malloc(sizeof *p);
	if (!p)
		fail("delay");
	ssize_t n = recv(w->from, p->bytes, PIECE, MSG_DONTWAIT);
	p->next = NULL;
	p->due = now() + half;
	p->n = n > 0 ? (size_t)n : 0;
	p->at = 0;
	w->ended = n <= 0;
	w->bytes += p->n;
	*w->last = p;
	w->last = &p->next;
}

/* Passes on what is due, as far as that goes. Returns false at the end. */
static bool
way_write(struct way *w)
{
	struct piece *p;
	while ((p = w->first) != NULL && p->due <= now()) {
		if (p->n == 0)
			return false;
		ssize_t n = send(w->to, p->bytes + p->at, p->n - p->at, MSG_DONTWAIT | MSG_NOSIGNAL);
		if (n < 0)
			return errno == EAGAIN;
		w->bytes -= (size_t)n;
		p->at += (size_t)n;
		if (p->at < p->n)
			return true;
		w->first = p->next;
		w->last = w->first ? w->last : &w->first;
		free(p);
	}
	return true;
}

/* Until either side ends: Postgres's protocol has nothing to say behind that. */
static void
relay(int near, int far)
{
	struct way ways[2] = {{.from = near, .to = far}, {.from = far, .to = near}};
	for (int i = 0; i < 2; i++)
		ways[i].last = &ways[i].first;
	for (;;) {
		struct pollfd fds[2] = {{.fd = near}, {.fd = far}};
		long long wait = 3600000000000LL;
		for (int i = 0; i < 2; i++) {
			struct way *w = &ways[i];
			if (!way_write(w))
				return;
			if (!w->ended && w->bytes < UNDER_WAY)
				fds[i].events |= POLLIN;
			long long left = w->first ? w->first->due - now() : wait;
			if (left <= 0)
				fds[!i].events |= POLLOUT; /* due, but the other side takes no more */
			else if (left < wait)
				wait = left;
		}
		struct timespec ts = {wait / 1000000000, wait % 1000000000};
		if (ppoll(fds, 2, &ts, NULL) < 0)
			fail("poll");
		for (int i = 0; i < 2; i++) {
			if (fds[i].revents & (POLLIN | POLLHUP | POLLERR) && !ways[i].ended)
				way_read(&ways[i]);
		}
	}
}

static int
door(const char *port, struct sockaddr_in *address)
{
	*address = (struct sockaddr_in){.sin_family = AF_INET,
	    .sin_port = htons((uint16_t)strtoul(port, NULL, 10)),
	    .sin_addr = {htonl(INADDR_LOOPBACK)}};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1;
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
	return fd;
}

int
main(int argc, char **argv)
{
	struct sockaddr_in address;
	socklen_t n = sizeof address;
	int on = 1;
	if (argc != 4) {
		fputs("usage: delay ROUND_TRIP_US PORT TARGET_PORT\n", stderr);
		return 100;
	}
	half = strtoll(argv[1], NULL, 10) * 500;
	prctl(PR_SET_TIMERSLACK, 1);
	signal(SIGCHLD, SIG_IGN);
	int listener = door(argv[2], &address);
	if (bind(listener, (struct sockaddr *)&address, n) != 0 || listen(listener, 64) != 0 ||
	    getsockname(listener, (struct sockaddr *)&address, &n) != 0)
		fail(argv[2]);
	printf("%d\n", ntohs(address.sin_port));
	fflush(stdout);
	for (;;) {
		int near = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
		if (near < 0)
			fail("accept");
		if (fork() == 0) {
			prctl(PR_SET_PDEATHSIG, SIGKILL);
			close(listener);
			setsockopt(near, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
			int far = door(argv[3], &address);
			if (connect(far, (struct sockaddr *)&address, sizeof address) != 0)
				fail(argv[3]);
			relay(near, far);
			_exit(0);
		}
		close(near);
	}
}
