/* See lease_end.h. */
#include "lease_end.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <sys/mman.h>
#include <unistd.h>

_Atomic int64_t *
lease_end_map(const char *path, bool make)
{
	int fd = open(path, (make ? O_RDWR | O_CREAT : O_RDONLY) | O_CLOEXEC | O_NOFOLLOW, 0600);
	void *map = MAP_FAILED;
	/* The block is allocated now: a store to a hole on a full disk would be SIGBUS. */
	if (fd >= 0 && (!make || (errno = posix_fallocate(fd, 0, sizeof(int64_t))) == 0))
		map = mmap(NULL, sizeof(int64_t), make ? PROT_READ | PROT_WRITE : PROT_READ, MAP_SHARED, fd, 0);
	if (fd >= 0)
		close(fd);
	return map == MAP_FAILED ? NULL : map;
}
