/* See follow.h. inotify only wakes: what happened is then looked up by stat(2), so that
 * no order of events matters; and as mapped writes, network file systems and links that
 * are turned wake nobody, it is looked up at least once a second. */
#include "follow.h"

#include "buf.h"
#include "hash.h"
#include "log.h"
#include "time.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

enum { HEAD_BYTES = 4096, LINKS = 40 };
/* How long the old file must not have grown before its successor is gone on with: a producer that notices the
 * rotation late goes on writing to it. And how long a successor may be impossible to open. */
enum { LOOK_US = 1000000, REST_US = 1000000, DEADLINE_US = 30000000 };

static int
follow_file_open(const char *path)
{
	return open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
}

/* Hashes the first `most` bytes. Returns how many there are. */
static uint64_t
head_read(int fd, uint64_t most, uint64_t *hash)
{
	char head[HEAD_BYTES];
	size_t have = 0;
	ssize_t n;
	while (have < most && (n = pread(fd, head + have, (size_t)most - have, (off_t)have)) > 0)
		have += (size_t)n;
	*hash = hash_fnv1a(HASH_FNV1A, (struct slice){head, have});
	return have;
}

static bool
head_is(int fd, const struct file_mark *mark)
{
	uint64_t hash;
	return head_read(fd, mark->bytes, &hash) == mark->bytes && hash == mark->hash;
}

void
follow_count(struct follow *f, size_t n)
{
	f->got += n;
	if (f->mark.bytes < HEAD_BYTES && f->mark.bytes < f->got)
		f->mark.bytes = head_read(f->fd, f->got < HEAD_BYTES ? f->got : HEAD_BYTES, &f->mark.hash);
}

static void
look_at(const struct follow *f, int fd, struct stat *st)
{
	if (fstat(fd, st) != 0)
		die(EXIT_TEMPORARY, "could not look at \"%s\": %m", f->path);
}

static void
watch(struct follow *f)
{
	char own[32], *copy = mem_string(slice_of(f->path)), *real = realpath(f->path, NULL);
	/* By descriptor: another file may be at the path by now. */
	snprintf(own, sizeof own, "/proc/self/fd/%d", f->fd);
	inotify_add_watch(f->inotify, own, IN_MODIFY | IN_ATTRIB | IN_MOVE_SELF | IN_DELETE_SELF);
	inotify_add_watch(f->inotify, dirname(copy), IN_CREATE | IN_MOVED_TO | IN_MOVED_FROM);
	if (real)
		inotify_add_watch(f->inotify, dirname(real), IN_CREATE | IN_MOVED_TO | IN_MOVED_FROM);
	free(copy);
	free(real);
}

/* Makes fd the file that is read, from its byte `got` on. */
static void
take(struct follow *f, int fd, uint64_t got)
{
	struct stat st;
	look_at(f, fd, &st);
	f->fd = fd;
	f->got = got;
	f->mark.device = st.st_dev;
	f->mark.inode = st.st_ino;
	if (!got) {
		f->mark.bytes = 0;
		f->mark.hash = HASH_FNV1A;
	}
	if (lseek(fd, (off_t)got, SEEK_SET) < 0)
		die(EXIT_TEMPORARY, "could not go on in \"%s\": %m", f->path);
	watch(f);
}

/* Looks in a folder for the file that was marked and holds `got` bytes at least. Opens it, or else, as *copy, another
 * one that begins so and holds them. */
static int
find_in(const char *folder, const struct file_mark *mark, uint64_t got, int *copy)
{
	struct stat st;
	DIR *all = opendir(folder);
	int found = -1;
	for (struct dirent *d; all && found < 0 && (d = readdir(all));) {
		/* Not to open, and close again, a pipe that somebody waits to write to. */
		if (d->d_type != DT_REG && d->d_type != DT_UNKNOWN)
			continue;
		int fd = openat(dirfd(all), d->d_name, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
		bool fits = fd >= 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && (uint64_t)st.st_size >= got &&
			    head_is(fd, mark);
		if (fits && st.st_dev == mark->device && st.st_ino == mark->inode)
			found = fd;
		else if (fits && *copy < 0 && mark->bytes) /* empty files are all alike */
			*copy = fd;
		else if (fd >= 0)
			close(fd);
	}
	if (all)
		closedir(all);
	return found;
}

/* The same in the folder of `path`, and where it is a link in that of the file. -1 where there is none. */
static int
find(const char *path, const struct file_mark *mark, uint64_t got)
{
	char *paths[] = {mem_string(slice_of(path)), realpath(path, NULL)};
	int found = -1, copy = -1;
	for (int i = 0; i < 2; i++) {
		if (paths[i] && found < 0)
			found = find_in(dirname(paths[i]), mark, got, &copy);
		free(paths[i]);
	}
	if (found < 0)
		return copy;
	if (copy >= 0)
		close(copy);
	return found;
}

/* The last part of the path. */
static const char *
own_name(const struct follow *f)
{
	const char *slash = strrchr(f->path, '/');
	return slash ? slash + 1 : f->path;
}

static bool
is_later(struct timespec a, struct timespec b)
{
	return a.tv_sec != b.tv_sec ? a.tv_sec > b.tv_sec : a.tv_nsec > b.tv_nsec;
}

/* Says which files were put at the path and taken away again while nobody followed it, as far as their names begin with
 * its name and they lie beside it: those that were written after the one that is gone on with. */
static void
missed_look(const struct follow *f)
{
	struct stat own, there, st;
	char *copy = mem_string(slice_of(f->path)), *folder = dirname(copy);
	const char *name = own_name(f);
	DIR *all = opendir(folder);
	look_at(f, f->fd, &own);
	if (all && stat(f->path, &there) == 0 && there.st_ino != own.st_ino)
		for (struct dirent *d; (d = readdir(all));)
			if (strncmp(d->d_name, name, strlen(name)) == 0 &&
			    fstatat(dirfd(all), d->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(st.st_mode) &&
			    st.st_ino != own.st_ino && st.st_ino != there.st_ino && is_later(st.st_mtim, own.st_mtim))
				log_warn("\"%s/%s\" was at \"%s\" while nobody followed it: it is not read; a run of "
					 "its own reads it",
				    folder, d->d_name, f->path);
	if (all)
		closedir(all);
	free(copy);
}

void
follow_open(struct follow *f, const char *path, const struct file_mark *mark, uint64_t got)
{
	*f = (struct follow){.path = path, .next = -1, .old = -1};
	f->inotify = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
	int fd = mark ? find(path, mark, got) : follow_file_open(path);
	/* Cut off, or written anew in its place: follow_more says so. */
	struct stat st;
	if (fd < 0 && mark && stat(path, &st) == 0 && st.st_ino == mark->inode && st.st_dev == mark->device)
		fd = follow_file_open(path);
	if (fd < 0 && !mark)
		die(EXIT_PERMANENT, "could not open file \"%s\": %m", path);
	if (fd < 0)
		die(EXIT_PERMANENT,
		    "the file that was followed at \"%s\" is gone from there and from its folder: what it held behind "
		    "its first %llu bytes is not known; `acctflow run --again` reads what is there now",
		    path, (unsigned long long)got);
	if (mark)
		f->mark = *mark;
	take(f, fd, got);
	if (mark)
		missed_look(f);
}

/* Takes what inotify has to say, of which only one thing is not looked up: how often a file was put at the path. */
static void
events_take(struct follow *f)
{
	_Alignas(struct inotify_event) char events[4096];
	const char *name = own_name(f);
	ssize_t n;
	while ((n = read(f->inotify, events, sizeof events)) > 0)
		for (size_t at = 0; at < (size_t)n;) {
			struct inotify_event e;
			memcpy(&e, events + at, sizeof e);
			at += sizeof e;
			f->placed += (e.mask & (IN_CREATE | IN_MOVED_TO)) && e.len && strcmp(events + at, name) == 0;
			at += e.len;
		}
}

/* Whether the file was cut off or written anew: it is shorter than what was read, or does not begin as it did. Goes on
 * with the copy that was made of it, if there is one, else with its own first byte, as `next`. */
static bool
was_cut(struct follow *f, uint64_t size)
{
	if (size >= f->got && head_is(f->fd, &f->mark))
		return false;
	int copy = find(f->path, &f->mark, f->got);
	if (copy >= 0) {
		log_info("\"%s\" was cut off behind a copy: going on in that", f->path);
		close(f->fd);
		take(f, copy, f->got);
		return true;
	}
	log_warn(
	    "\"%s\" was cut off or written anew, and no copy of it is in its folder: what was written behind the %llu "
	    "bytes that were read, if anything, is lost; going on with its first line",
	    f->path, (unsigned long long)f->got);
	if (f->next >= 0)
		close(f->next);
	f->next = fcntl(f->fd, F_DUPFD_CLOEXEC, 3);
	f->rested = 1;
	return true;
}

/* Opens what is at the path now, which is another file. It may not be readable yet. */
static void
next_open(struct follow *f)
{
	f->next = follow_file_open(f->path);
	if (f->next >= 0) {
		if (f->placed > 1)
			log_warn("%u files were at \"%s\" since the one that was read to its end; what stood in those "
				 "before the last one is not read: it was renamed faster than it was followed",
			    f->placed, f->path);
		if (f->failing)
			log_info("\"%s\" can be opened now", f->path);
		f->placed = 0;
		f->failing = f->rested = 0;
		return;
	}
	if (errno == ENOENT)
		return;
	if (!f->failing) {
		f->failing = clock_now();
		log_warn("another file is at \"%s\" now, which cannot be opened: %m; trying again, reading the old one "
			 "meanwhile",
		    f->path);
	} else if (clock_now() - f->failing > DEADLINE_US) {
		die(EXIT_TEMPORARY,
		    "could not open file \"%s\", which took the place of the one that was followed, for %d s: %m; is "
		    "it readable? one in a folder that was not known at the start can only be opened by a new start",
		    f->path, DEADLINE_US / 1000000);
	}
}

static void
old_look(struct follow *f)
{
	struct stat st;
	if (f->old < 0 || fstat(f->old, &st) != 0 || (uint64_t)st.st_size <= f->old_size)
		return;
	log_warn(
	    "%llu bytes were written to the file that was at \"%s\" before, after it was left for its successor: they "
	    "are not read",
	    (unsigned long long)((uint64_t)st.st_size - f->old_size), f->path);
	f->old_size = (uint64_t)st.st_size;
}

int
follow_more(struct follow *f)
{
	struct stat own, there, next;
	events_take(f);
	old_look(f);
	/* The path first: all that was written before the file was moved away is then seen behind it. */
	bool moved = stat(f->path, &there) == 0 && S_ISREG(there.st_mode);
	look_at(f, f->fd, &own);
	moved = moved && (there.st_dev != own.st_dev || there.st_ino != own.st_ino);
	if (was_cut(f, (uint64_t)own.st_size))
		return f->next >= 0 && f->rested == 1 ? 0 : 1;
	if ((uint64_t)own.st_size > f->got) {
		f->rested = 0;
		return 1;
	}
	if (f->next < 0 && moved)
		next_open(f);
	if (f->next < 0)
		return -1;
	look_at(f, f->next, &next);
	if (next.st_ino == own.st_ino && next.st_dev == own.st_dev) { /* a link that was turned back */
		close(f->next);
		f->next = -1;
	} else if (next.st_size == 0) {
		f->rested = 0;
	} else if (!f->rested) {
		f->rested = clock_now();
	} else if (clock_now() - f->rested >= REST_US) {
		return 0;
	}
	return -1;
}

int64_t
follow_until(const struct follow *f)
{
	return f->rested ? f->rested + REST_US : clock_now() + LOOK_US;
}

void
follow_next(struct follow *f)
{
	if (f->old >= 0)
		close(f->old);
	f->old = f->fd;
	f->old_size = f->got;
	int fd = f->next;
	f->next = -1;
	f->rested = 0;
	take(f, fd, 0);
	/* One that was cut off is its own successor. */
	struct stat st;
	look_at(f, f->old, &st);
	if (st.st_ino == f->mark.inode && st.st_dev == f->mark.device) {
		close(f->old);
		f->old = -1;
	} else {
		log_info("\"%s\" is another file now: going on with its first line", f->path);
	}
}

void
follow_end(struct follow *f)
{
	old_look(f);
}

void
follow_sandbox(struct sandbox *c, const char *path, int depth)
{
	char target[PATH_MAX];
	for (const char *p = path; *p; p = p + strcspn(p, "/")) {
		p += strspn(p, "/");
		char *prefix = mem_string((struct slice){path, (size_t)(p - path) + strcspn(p, "/")});
		ssize_t n = *p && depth < LINKS ? readlink(prefix, target, sizeof target) : -1;
		if (n > 0) {
			struct buf on = {0};
			const char *folder = dirname(prefix);
			sandbox_read(c, folder);
			if (*target != '/')
				buf_printf(&on, "%s/", folder);
			buf_add(&on, target, (size_t)n);
			buf_text(&on, p + strcspn(p, "/"));
			follow_sandbox(c, buf_cstr(&on), depth + 1);
			buf_free(&on);
			free(prefix);
			return;
		}
		free(prefix);
	}
	char *folder = mem_string(slice_of(path));
	sandbox_read(c, dirname(folder));
	free(folder);
}
