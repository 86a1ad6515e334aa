/* For LD_PRELOAD: the FAULTS_MALLOC_AT-th allocation of a program fails, and with
 * FAULTS_MALLOC_ON=1 all after it. Where FAULTS_MALLOC_COUNT names a file, how many
 * there were is written to it at the end instead. */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static unsigned long at, seen;
static int on, ready, count_fd = -1;

static void *(*next_malloc)(size_t);
static void *(*next_calloc)(size_t, size_t);
static void *(*next_realloc)(void *, size_t);
static void (*next_free)(void *);

/* dlsym itself may allocate: from here, never freed. */
static char early[16384];
static size_t early_used;

static void *
early_take(size_t n)
{
	n = (n + 15) & ~(size_t)15;
	if (early_used + n > sizeof early)
		abort();
	early_used += n;
	return early + early_used - n;
}

static int
is_early(const void *p)
{
	return (const char *)p >= early && (const char *)p < early + sizeof early;
}

static int
find(void)
{
	static int finding;
	if (next_free)
		return 1;
	if (finding)
		return 0;
	finding = 1;
	*(void **)&next_malloc = dlsym(RTLD_NEXT, "malloc");
	*(void **)&next_calloc = dlsym(RTLD_NEXT, "calloc");
	*(void **)&next_realloc = dlsym(RTLD_NEXT, "realloc");
	*(void **)&next_free = dlsym(RTLD_NEXT, "free");
	return 1;
}

static int
fails(void)
{
	if (!ready)
		return 0;
	seen++;
	if (at == 0 || (on ? seen < at : seen != at))
		return 0;
	errno = ENOMEM;
	return 1;
}

__attribute__((constructor)) static void
start(void)
{
	const char *text = getenv("FAULTS_MALLOC_AT");
	find();
	at = text ? strtoul(text, NULL, 10) : 0;
	/* Now: later the program may open nothing any more. */
	const char *path = getenv("FAULTS_MALLOC_COUNT");
	count_fd = path ? open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644) : -1;
	on = getenv("FAULTS_MALLOC_ON") != NULL;
	unsetenv("LD_PRELOAD");
	ready = 1;
}

__attribute__((destructor)) static void
stop(void)
{
	char text[32];
	ready = 0;
	int n = snprintf(text, sizeof text, "%lu\n", seen);
	if (count_fd >= 0 && write(count_fd, text, (size_t)n) == n)
		close(count_fd);
}

void *
malloc(size_t n)
{
	return !find() ? early_take(n) : fails() ? NULL : next_malloc(n);
}

void *
calloc(size_t n, size_t size)
{
	return !find() ? early_take(n * size) : fails() ? NULL : next_calloc(n, size);
}

void *
realloc(void *p, size_t n)
{
	if (!find() || is_early(p)) {
		void *q = early_take(n);
		if (p)
			memcpy(q, p, n);
		return q;
	}
	return fails() ? NULL : next_realloc(p, n);
}

void
free(void *p)
{
	if (p && !is_early(p) && find())
		next_free(p);
}
