/* The one place where a program waits: a poll over its descriptors and over SIGTERM
 * and SIGINT, which are blocked and read from a signalfd. Writing waits by it too, so
 * that a program whose consumer stands still hears the signal that ends it. */
#ifndef ACCTFLOW_LOOP_H
#define ACCTFLOW_LOOP_H

#include <poll.h>
#include <stdbool.h>
#include <stdint.h>

/* Ignores SIGPIPE, routes SIGTERM and SIGINT to the signalfd. Call before anything else. */
void loop_init(void);

/* Whether a stop signal has come. The second one ends the program at once, from within loop_wait or output_flush. */
bool loop_stopping(void);

/* Waits until one of fds is ready, a stop signal comes or clock_now() reaches `deadline` (-1: no limit; 0: only look).
 * At most six fds; those below 0 are skipped. Returns the number ready; revents are valid. */
int loop_wait(struct pollfd *fds, int n, int64_t deadline);

#endif
