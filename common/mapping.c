/* See mapping.h. */
#include "mapping.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

void *
mapping_own(const char *path, mode_t mode, size_t size)
{
	/* Stays open: the lock lives as long. */
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, mode);
	struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
	void *map = MAP_FAILED;
	/* Blocks are allocated now: a store to a hole on a full disk would be SIGBUS. */
	if (fd >= 0 && fcntl(fd, F_SETLK, &lock) == 0 && (errno = posix_fallocate(fd, 0, (off_t)size)) == 0)
		map = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (map != MAP_FAILED)
		return map;
	int why = errno;
	if (fd >= 0)
		close(fd);
	errno = why;
	return NULL;
}
