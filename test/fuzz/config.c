// with:
/* The configuration reader on any bytes: it ends, and says what is wrong in one line that
 * names a line of the file, or hands on names that are not empty-handed: each with its
 * line, in order, of a length that its users rely on. */
#include "fuzz.h"

#include "config.h"

#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

struct seen {
	int last, most;
	unsigned n;
};

static int
see(void *context, const char *section, const char *key, const char *value, int line)
{
	struct seen *s = context;
	check(section && key && value && strlen(section) < 64 && strlen(key) < 64);
	check(line >= s->last && line <= s->most);
	s->last = line;
	s->n++;
	return 0;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static int fd = -1;
	static char path[32];
	if (fd < 0) {
		fd = memfd_create("config", MFD_CLOEXEC);
		check(fd >= 0);
		snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
	}
	struct seen s = {.last = 1, .most = 1};
	/* YAML has more line ends than one: CR, NEL, LS, PS; as many lines as bytes, then. */
	s.most += (int)size;
	check(ftruncate(fd, 0) == 0 && pwrite(fd, data, size, 0) == (ssize_t)size);
	char error[256] = "";
	int result = config_read(path, size & 1, see, &s, error, sizeof error);
	check(result == 0 || result == -1);
	check((result != 0) == (error[0] != '\0'));
	if (result == -1)
		check(strncmp(error, "line ", 5) == 0 && !strchr(error, '\n'));
	return 0;
}
