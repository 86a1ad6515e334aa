/* See loop.h. */
#include "loop.h"

#include "log.h"
#include "metrics.h"
#include "time.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

enum { TICK_MS = 1000 };

static int signal_fd = -1, timer_fd = -1;
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
	timer_fd = timerfd_create(CLOCK_BOOTTIME, TFD_CLOEXEC | TFD_NONBLOCK);
	if (timer_fd < 0)
		die(EXIT_TEMPORARY, "could not make a timerfd: %m");
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
		log_at(LOG_DEBUG, "stopping: signal %u", info.ssi_signo);
	}
}

/* Sets the timer, which counts the time while the machine is suspended too, unlike poll's own. It is level-triggered:
 * set anew, what it said before is gone. */
static void
timer_set(int64_t left)
{
	struct itimerspec at = {.it_value = {left / 1000000, left % 1000000 * 1000}};
	if (timerfd_settime(timer_fd, 0, &at, NULL) != 0)
		die(EXIT_TEMPORARY, "could not set a timer: %m");
}

int
loop_wait(struct pollfd *fds, int n, int64_t deadline)
{
	struct pollfd all[8];
	for (int i = 0; i < n; i++)
		all[i] = fds[i];
	all[n] = (struct pollfd){.fd = signal_fd, .events = POLLIN};
	all[n + 1] = (struct pollfd){.fd = -1, .events = POLLIN};
	int64_t left = deadline > 0 ? deadline - clock_now() : 0;
	if (left > 0) {
		timer_set(left);
		all[n + 1].fd = timer_fd;
	}
	bool wait = left > 0 || deadline < 0;
	int ready;
	do {
		/* A program that is watched shows that it is alive while it waits. */
		ready = poll(all, (nfds_t)n + 2, !wait ? 0 : metrics_shown() ? TICK_MS : -1);
		metrics_tick();
		log_repeats(false);
	} while (ready == 0 && wait);
	if (ready < 0 && errno != EINTR)
		die(EXIT_TEMPORARY, "could not poll: %m");
	for (int i = 0; i < n; i++)
		fds[i].revents = ready > 0 ? all[i].revents : 0;
	if (ready <= 0)
		return 0;
	if (all[n].revents)
		signals_read();
	return ready - (all[n].revents != 0) - (all[n + 1].revents != 0);
}
