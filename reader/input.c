/* See input.h. Following is by inotify on the file, which says that it grew, and on
 * the directory of its path, which says that another file was put there. Events only
 * wake; what happened is then looked up, so that no order of events matters. */
#include "input.h"

#include "log.h"
#include "json.h"
#include "utf8.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

enum { HEAD_BYTES = 4096 };

static bool
is_stdin(const char *path)
{
	return strcmp(path, "-") == 0;
}

void
inputs_check(char *const *paths, int n, bool follow, bool away)
{
	for (int i = 0; i < n; i++) {
		struct stat st;
		if (is_stdin(paths[i])) {
			if (n > 1)
				die(EXIT_PERMANENT, "standard input cannot be one of several files");
			if (follow)
				die(EXIT_PERMANENT, "--follow wants a file, not standard input");
			if (fstat(0, &st) != 0)
				die(EXIT_PERMANENT, "could not read standard input: %m");
		} else if (away && access(paths[i], F_OK) != 0 && errno == ENOENT) {
			continue;
		} else if (stat(paths[i], &st) != 0 || access(paths[i], R_OK) != 0) {
			die(EXIT_PERMANENT, "could not open file \"%s\": %m", paths[i]);
		}
		if (S_ISDIR(st.st_mode))
			die(EXIT_PERMANENT, "could not read \"%s\": it is a directory", paths[i]);
		if (follow && !S_ISREG(st.st_mode))
			die(EXIT_PERMANENT, "could not follow \"%s\": it is not a regular file", paths[i]);
	}
}

static bool
is_utf8(struct slice s)
{
	for (size_t i = 0, n; i < s.n; i += n) {
		n = utf8_decode(s.p + i, s.p + s.n, NULL);
		if (n == 0)
			return false;
	}
	return true;
}

void
inputs_name(struct buf *name, char *const *paths, int n)
{
	for (int i = 0; i < n; i++) {
		char *real = is_stdin(paths[i]) ? NULL : realpath(paths[i], NULL);
		struct slice s = slice_of(real ? real : paths[i]);
		if (i > 0)
			buf_char(name, ':');
		if (is_utf8(s))
			buf_slice(name, s);
		else
			buf_safe(name, s);
		free(real);
	}
}

/* Hashes the first `most` bytes of a file by FNV-1a of 64 bits (Fowler, Noll, Vo). Returns how many there are. */
static size_t
head_read(int fd, const char *path, size_t most, uint64_t *hash)
{
	char head[HEAD_BYTES];
	size_t have = 0;
	ssize_t n = 0;
	while (have < most && (n = pread(fd, head + have, most - have, (off_t)have)) > 0)
		have += (size_t)n;
	if (n < 0)
		die(EXIT_TEMPORARY, "could not read \"%s\": %m", path);
	*hash = UINT64_C(0xcbf29ce484222325);
	for (size_t i = 0; i < have; i++)
		*hash = (*hash ^ (unsigned char)head[i]) * UINT64_C(0x100000001b3);
	return have;
}

/* That of a regular file as "BYTES:HASH". */
static void
head_hash(struct buf *b, const char *path, size_t most)
{
	uint64_t hash;
	struct stat st;
	int fd = is_stdin(path) || stat(path, &st) != 0 || !S_ISREG(st.st_mode) ? -1 : open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return;
	size_t have = head_read(fd, path, most, &hash);
	close(fd);
	buf_printf(b, "%zu:%016" PRIx64, have, hash);
}

void
fingerprint_make(struct buf *b, const char *path)
{
	head_hash(b, path, HEAD_BYTES);
}

void
fingerprint_check(const char *path, const char *fingerprint)
{
	const char *colon = strchr(fingerprint, ':');
	uint64_t bytes;
	struct buf now = {0};
	if (!colon ||
	    json_integer((struct slice){fingerprint, (size_t)(colon - fingerprint)}, HEAD_BYTES, &bytes) != 0 ||
	    strspn(colon + 1, "0123456789abcdef") != 16 || colon[17])
		die(EXIT_PERMANENT, "--fingerprint: expected BYTES:HASH as `begin` has it, not \"%s\"", fingerprint);
	head_hash(&now, path, (size_t)bytes);
	if (!now.len)
		die(EXIT_PERMANENT, "--fingerprint: \"%s\" is not a regular file and has none", path);
	if (strcmp(buf_cstr(&now), fingerprint) != 0)
		die(EXIT_PERMANENT,
		    "\"%s\" does not begin as it did when it was first read (fingerprint was %s, is %s): it is another "
		    "input; "
		    "read it anew by `supervisor run --again`, or without --fingerprint if going on with it is meant",
		    path, fingerprint, buf_cstr(&now));
	buf_free(&now);
}

void
inputs_confine(struct sandbox *c, char *const *paths, int n, bool follow)
{
	for (int i = 0; i < n; i++) {
		if (is_stdin(paths[i]))
			continue;
		if (!follow) {
			sandbox_read(c, paths[i]);
			continue;
		}
		char *copy = mem_string(slice_of(paths[i])), *real = realpath(paths[i], NULL);
		sandbox_read(c, dirname(copy));
		if (real)
			sandbox_read(c, dirname(real));
		free(copy);
		free(real);
	}
}

static void
watch_file(struct input *in)
{
	char path[32];
	/* By descriptor: another file may be at the path by now. */
	snprintf(path, sizeof path, "/proc/self/fd/%d", in->fd);
	in->watch = inotify_add_watch(in->inotify, path, IN_MODIFY | IN_ATTRIB | IN_MOVE_SELF | IN_DELETE_SELF);
	if (in->watch < 0)
		die(EXIT_TEMPORARY, "could not watch file \"%s\": %m", in->path);
}

static void
watch_directory(struct input *in, const char *path)
{
	char *copy = mem_string(slice_of(path));
	if (inotify_add_watch(in->inotify, dirname(copy), IN_CREATE | IN_MOVED_TO | IN_MOVED_FROM) < 0)
		die(EXIT_TEMPORARY, "could not watch the directory of \"%s\": %m", path);
	free(copy);
}

int
input_open(struct input *in, const char *path, bool follow, bool away)
{
	*in = (struct input){.path = path, .next = -1, .inotify = -1, .watch = -1};
	/* Not blocking, so that a named pipe without a writer does not keep us from hearing a signal. */
	in->fd = is_stdin(path) ? 0 : open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	if (in->fd < 0 && !(away && errno == ENOENT))
		return -1;
	if (!follow) {
		posix_fadvise(in->fd, 0, 0, POSIX_FADV_SEQUENTIAL);
		return 0;
	}
	in->inotify = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
	if (in->inotify < 0)
		die(EXIT_TEMPORARY, "could not make an inotify descriptor: %m");
	watch_directory(in, path);
	char *real = realpath(path, NULL);
	if (real)
		watch_directory(in, real);
	free(real);
	if (in->fd >= 0)
		watch_file(in);
	return 0;
}

void
input_close(struct input *in)
{
	if (in->fd > 0)
		close(in->fd);
	if (in->next >= 0)
		close(in->next);
	if (in->inotify >= 0)
		close(in->inotify);
}

/* Takes what inotify has to say, of which only one thing is not looked up: how often a file was put at the path. */
static void
events_take(struct input *in)
{
	_Alignas(struct inotify_event) char events[4096];
	const char *slash = strrchr(in->path, '/'), *name = slash ? slash + 1 : in->path;
	ssize_t n;
	while ((n = read(in->inotify, events, sizeof events)) > 0)
		for (size_t at = 0; at < (size_t)n;) {
			struct inotify_event e;
			memcpy(&e, events + at, sizeof e);
			at += sizeof e;
			in->placed += (e.mask & (IN_CREATE | IN_MOVED_TO)) && e.len && strcmp(events + at, name) == 0;
			at += e.len;
		}
}

enum input_state
input_look(struct input *in)
{
	struct stat own, there;
	events_take(in);
	/* The path first: all that was written before the file was moved away is then seen behind it. */
	bool moved = stat(in->path, &there) == 0 && S_ISREG(there.st_mode);
	if (fstat(in->fd, &own) != 0)
		die(EXIT_TEMPORARY, "could not look at \"%s\": %m", in->path);
	moved = moved && (there.st_dev != own.st_dev || there.st_ino != own.st_ino);
	if ((uint64_t)own.st_size > in->got)
		return INPUT_GREW;
	if ((uint64_t)own.st_size < in->got)
		return INPUT_CUT;
	if (moved)
		in->next = open(in->path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	return in->next >= 0 ? INPUT_MOVED : INPUT_WAIT;
}

void
input_next(struct input *in)
{
	if (in->placed > 1)
		log_warn("%u files were at \"%s\" since the one that was read to its end; what stood in those before "
			 "the last "
			 "one is not read: it was renamed faster than it was followed",
		    in->placed, in->path);
	inotify_rm_watch(in->inotify, in->watch);
	close(in->fd);
	in->fd = in->next;
	in->next = -1;
	in->got = 0;
	in->placed = 0;
	watch_file(in);
}

void
input_mark(const struct input *in, struct input_mark *mark)
{
	struct stat st;
	if (fstat(in->fd, &st) != 0)
		die(EXIT_TEMPORARY, "could not look at \"%s\": %m", in->path);
	*mark = (struct input_mark){.device = st.st_dev, .inode = st.st_ino};
	mark->bytes = head_read(in->fd, in->path, HEAD_BYTES, &mark->hash);
}

static bool
is_marked(int fd, const struct input_mark *mark)
{
	struct stat st;
	return fd >= 0 && fstat(fd, &st) == 0 && st.st_dev == mark->device && st.st_ino == mark->inode;
}

static bool
begins_so(int fd, const char *path, const struct input_mark *mark)
{
	uint64_t hash;
	return head_read(fd, path, (size_t)mark->bytes, &hash) == mark->bytes && hash == mark->hash;
}

/* Opens the file of that inode, which another file may have by now, in the folder of path; -1 where there is none. */
static int
find(const char *path, const struct input_mark *mark)
{
	char *copy = mem_string(slice_of(path));
	DIR *all = opendir(dirname(copy));
	int fd = -1;
	for (struct dirent *d; all && fd < 0 && (d = readdir(all));) {
		if (d->d_ino != mark->inode)
			continue;
		fd = openat(dirfd(all), d->d_name, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
		if (fd >= 0 && !(is_marked(fd, mark) && begins_so(fd, d->d_name, mark))) {
			close(fd);
			fd = -1;
		}
	}
	if (all)
		closedir(all);
	free(copy);
	return fd;
}

void
input_return(struct input *in, const struct input_mark *mark)
{
	struct stat st;
	if (!is_marked(in->fd, mark)) {
		char *real = realpath(in->path, NULL);
		int fd = find(in->path, mark);
		if (fd < 0 && real)
			fd = find(real, mark);
		free(real);
		if (fd < 0)
			die(EXIT_PERMANENT,
			    "the file that was followed at \"%s\" is gone from there and from its folder: what it held "
			    "behind its first %llu bytes is not known; if that is meant, read the new one by "
			    "`supervisor run --again`",
			    in->path, (unsigned long long)in->got);
		if (in->fd >= 0) {
			inotify_rm_watch(in->inotify, in->watch);
			close(in->fd);
		}
		in->fd = fd;
		watch_file(in);
	}
	if (lseek(in->fd, (off_t)in->got, SEEK_SET) < 0 || fstat(in->fd, &st) != 0)
		die(EXIT_TEMPORARY, "could not go on in \"%s\": %m", in->path);
	/* If it was cut off, input_look says so. */
	if ((uint64_t)st.st_size < in->got)
		return;
	if (!begins_so(in->fd, in->path, mark))
		die(EXIT_PERMANENT,
		    "\"%s\" does not begin as it did when it was first read: it was written anew; if that is meant, "
		    "read it by `supervisor run --again`",
		    in->path);
}
