/* For LD_PRELOAD: the three programs take their time before each write and send, so
 * that a strike often falls between two steps that are microseconds apart otherwise.
 * FAULTS_SLOW_US is the most, FAULTS_SLOW_ONLY (if set) the one program it is for. */
#include <dlfcn.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static unsigned most;
static unsigned state;

__attribute__((constructor)) static void
start(void)
{
	static const char *const names[] = {"reader", "writer", "timerd"};
	const char *text = getenv("FAULTS_SLOW_US"), *only = getenv("FAULTS_SLOW_ONLY");
	for (int i = 0; text && i < 3; i++)
		if (strcmp(program_invocation_short_name, names[i]) == 0 && (!only || strcmp(only, names[i]) == 0))
			most = (unsigned)strtoul(text, NULL, 10);
	state = (unsigned)getpid() * 2654435761u;
}

static void
dawdle(void)
{
	if (most == 0)
		return;
	state = state * 1103515245u + 12345u;
	usleep((state >> 8) % most);
}

ssize_t
write(int fd, const void *p, size_t n)
{
	static ssize_t (*next)(int, const void *, size_t);
	if (!next)
		*(void **)&next = dlsym(RTLD_NEXT, "write");
	dawdle();
	return next(fd, p, n);
}

ssize_t
send(int fd, const void *p, size_t n, int flags)
{
	static ssize_t (*next)(int, const void *, size_t, int);
	if (!next)
		*(void **)&next = dlsym(RTLD_NEXT, "send");
	dawdle();
	return next(fd, p, n, flags);
}
