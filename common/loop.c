/* See loop.h. */
#include "loop.h"

#include "log.h"
#include "metrics.h"
#include "time.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <time.h>
#include <unistd.h>

enum { TICK_US = 1000000 };

static int signal_fd = -1;
static bool stopping;

void
loop_init(void)
{
	sigset_t set;
	/* Closed standard descriptors stay of no use, instead of being given to the next file that is opened. */
	for (int fd = 0; fd <= 2; fd++)
		if (fcntl(fd, F_GETFD) < 0)
			open("/dev/null", fd == 0 ? O_WRONLY : O_RDONLY);
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigprocmask(SIG_BLOCK, &set, NULL);
	signal(SIGPIPE, SIG_IGN);
	signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (signal_fd < 0)
		die(EXIT_TEMPORARY, "could not make a signalfd: %m");
	prctl(PR_SET_TIMERSLACK, 1UL);
}

bool
loop_stopping(void)
{
	return stopping;
}

static void
signals_read(void)
{
	struct signalfd_siginfo info;
	while (read(signal_fd, &info, sizeof info) == (ssize_t)sizeof info) {
		if (stopping)
			_exit(128 + (int)info.ssi_signo);
		stopping = true;
		log_at(LOG_DEBUG, "told to stop by signal %u", info.ssi_signo);
	}
}

int
loop_wait(struct pollfd *fds, int n, int64_t deadline)
{
	struct pollfd all[8];
	for (int i = 0; i < n; i++)
		all[i] = fds[i];
	all[n] = (struct pollfd){.fd = signal_fd, .events = POLLIN};
	int ready;
	bool again;
	do {
		struct timespec limit, *timeout = NULL;
		int64_t left = deadline < 0 ? INT64_MAX : deadline ? deadline - clock_now() : 0;
		left = left < 0 ? 0 : left;
		/* Who is watched shows that it is alive while it waits. */
		again = metrics_shown() && left > TICK_US;
		left = again ? TICK_US : left;
		if (left != INT64_MAX) {
			limit = (struct timespec){left / 1000000, left % 1000000 * 1000};
			timeout = &limit;
		}
		ready = ppoll(all, (nfds_t)n + 1, timeout, NULL);
		metrics_tick();
		log_repeats(false);
	} while (ready == 0 && again);
	if (ready < 0 && errno != EINTR)
		die(EXIT_TEMPORARY, "could not poll: %m");
	for (int i = 0; i < n; i++)
		fds[i].revents = ready > 0 ? all[i].revents : 0;
	if (ready > 0 && all[n].revents) {
		signals_read();
		ready--;
	}
	return ready < 0 ? 0 : ready;
}
