/* For LD_PRELOAD: does what a hostile input would like a program to do, once, where the program reads its input for the
 * first time, and says on standard error what came of it. PLANT is what, PLANT_AT the path or port it is done to. */
#include <arpa/inet.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static const char *what, *where;

static int
opened(int flags)
{
	int fd = open(where, flags | O_CLOEXEC, 0600);
	return fd < 0 ? -1 : close(fd);
}

static int
connected(void)
{
	struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)strtoul(where, NULL, 10))};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	int result = connect(fd, (const struct sockaddr *)&to, sizeof to), e = errno;
	close(fd);
	errno = e;
	return result;
}

static int
listened(void)
{
	struct sockaddr_in at = {.sin_family = AF_INET};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int result = bind(fd, (const struct sockaddr *)&at, sizeof at), e = errno;
	close(fd);
	errno = e;
	return result;
}

static int
executed(void)
{
	char *const none[] = {NULL};
	return execve(where, none, none);
}

static int
executable_made(void)
{
	void *p = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	return p == MAP_FAILED ? -1 : mprotect(p, 4096, PROT_READ | PROT_EXEC);
}

static int
forked(void)
{
	int pid = fork();
	if (pid == 0)
		_exit(0);
	return pid < 0 ? -1 : waitpid(pid, NULL, 0);
}

static int
act(void)
{
	return !strcmp(what, "read")	  ? opened(O_RDONLY)
	       : !strcmp(what, "list")	  ? opened(O_RDONLY | O_DIRECTORY)
	       : !strcmp(what, "write")	  ? opened(O_WRONLY | O_CREAT)
	       : !strcmp(what, "delete")  ? unlink(where)
	       : !strcmp(what, "connect") ? connected()
	       : !strcmp(what, "listen")  ? listened()
	       : !strcmp(what, "execute") ? executed()
	       : !strcmp(what, "code")	  ? executable_made()
	       : !strcmp(what, "fork")	  ? forked()
	       : !strcmp(what, "ptrace")  ? (int)ptrace(PTRACE_SEIZE, getppid(), NULL, NULL)
	       : !strcmp(what, "signal")  ? kill(getppid(), SIGCONT)
	       : !strcmp(what, "strange") ? (int)syscall(SYS_personality, 0xffffffffUL)
					  : 0;
}

__attribute__((constructor)) static void
start(void)
{
	what = getenv("PLANT");
	where = getenv("PLANT_AT");
	if (what && strcmp(what, "version") == 0)
		printf("%ld\n", syscall(SYS_landlock_create_ruleset, NULL, (size_t)0, 1));
}

ssize_t
read(int fd, void *p, size_t n)
{
	if (what) {
		char text[128];
		int result = act();
		int length =
		    snprintf(text, sizeof text, "planted %s: %s\n", what, result < 0 ? strerror(errno) : "done");
		what = NULL;
		if (write(STDERR_FILENO, text, (size_t)length) != length)
			abort();
	}
	return syscall(SYS_read, fd, p, n);
}

ssize_t
__read_chk(int fd, void *p, size_t n, size_t room)
{
	(void)room;
	return read(fd, p, n);
}
