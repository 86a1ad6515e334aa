/* See spool.h. A pipe is moved by splice(2): its bytes leave it when they are in the
 * file, in one system call that a SIGKILL does not cut in two. sendfile(2) does that
 * for a file. A terminal or a socket can only be read, then written. Nothing is synced:
 * a file outlives its writer; what a power cut takes the producer is still to be asked. */
#include "spool.h"

#include "log.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

enum { MOVE_BYTES = 128 << 10, NAME_DIGITS = 20, HEAD_BYTES = 1024, HEAD_NUMBERS = 7 + SPLIT_STATE };
#define MAGIC "acctflow spool 1"
#define NONE UINT64_MAX

/* What went wrong with one of its files. */
static _Noreturn void
failed(const struct spool *s, const char *what, const char *name)
{
	die(EXIT_TEMPORARY, "could not %s \"%s/%s\": %m", what, s->path, name);
}

_Noreturn void
spool_damaged(const struct spool *s, const char *why)
{
	die(EXIT_PERMANENT, "the spool \"%s\" is damaged: %s; remove it to give up what it holds", s->path, why);
}

static void
name_format(char name[NAME_DIGITS + 1], uint64_t first)
{
	snprintf(name, NAME_DIGITS + 1, "%0*llu", NAME_DIGITS, (unsigned long long)first);
}

static bool
exists(const struct spool *s, const char *name)
{
	if (faccessat(s->folder, name, F_OK, 0) == 0)
		return true;
	if (errno != ENOENT)
		failed(s, "look at", name);
	return false;
}

void
spool_open(struct spool *s)
{
	s->in = s->out = -1;
	s->first = s->next = NONE;
	if (mkdir(s->path, 0700) != 0 && errno != EEXIST)
		die(EXIT_PERMANENT, "could not make folder \"%s\": %m", s->path);
	s->folder = open(s->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (s->folder < 0)
		die(EXIT_PERMANENT, "could not open folder \"%s\": %m", s->path);
	if (flock(s->folder, LOCK_EX | LOCK_NB) != 0)
		die(EXIT_TEMPORARY, "another reader uses the spool \"%s\"", s->path);
	s->cut = exists(s, "cut");
	s->ended = s->cut || exists(s, "end");
}

/* Settles first, the last segment up to `from`, and next, the one behind it. */
static void
look(struct spool *s, uint64_t from)
{
	int fd = openat(s->folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *all = fd < 0 ? NULL : fdopendir(fd);
	if (!all)
		failed(s, "read", ".");
	s->first = s->next = NONE;
	for (struct dirent *d; (d = readdir(all));) {
		if (strlen(d->d_name) != NAME_DIGITS || strspn(d->d_name, "0123456789") != NAME_DIGITS)
			continue;
		uint64_t n = strtoull(d->d_name, NULL, 10);
		if (n <= from && (s->first == NONE || n > s->first))
			s->first = n;
		else if (n > from && n < s->next)
			s->next = n;
	}
	closedir(all);
}

/* The numbers of a head, in the order they stand there. */
static void
head_numbers(struct spool_head *head, uint64_t *numbers[HEAD_NUMBERS])
{
	uint64_t *single[] = {&head->seed, &head->arrived, &head->file.device, &head->file.inode, &head->file.bytes,
	    &head->file.hash, &head->at};
	for (int i = 0; i < HEAD_NUMBERS; i++)
		numbers[i] = i < 7 ? single[i] : &head->split[i - 7];
}

/* Opens the segment `first` and reads its head. */
static void
segment_open(struct spool *s, struct spool_head *head)
{
	char name[NAME_DIGITS + 1], text[HEAD_BYTES], *p = text + sizeof MAGIC - 1;
	if (s->in >= 0)
		close(s->in);
	if (s->out >= 0)
		close(s->out);
	name_format(name, s->first);
	s->in = openat(s->folder, name, O_RDONLY | O_CLOEXEC);
	s->out = s->next != NONE ? -1 : openat(s->folder, name, O_WRONLY | O_CLOEXEC);
	if (s->in < 0 || (s->out < 0 && s->next == NONE))
		failed(s, "open", name);
	ssize_t n = pread(s->in, text, sizeof text - 1, 0);
	if (n < 0)
		failed(s, "read", name);
	text[n] = '\0';
	char *newline = strchr(text, '\n');
	if (!newline || strncmp(text, MAGIC, sizeof MAGIC - 1) != 0)
		spool_damaged(s, name);
	uint64_t *numbers[HEAD_NUMBERS];
	head_numbers(head, numbers);
	for (int i = 0; i < HEAD_NUMBERS; i++) {
		size_t digits = *p == ' ' ? strspn(++p, "0123456789") : 0;
		if (json_integer((struct slice){p, digits}, NONE, numbers[i]) != 0)
			spool_damaged(s, name);
		p += digits;
	}
	off_t end = lseek(s->out >= 0 ? s->out : s->in, 0, SEEK_END);
	if (p != newline || end < 0 || lseek(s->in, newline + 1 - text, SEEK_SET) < 0)
		spool_damaged(s, name);
	s->read = s->head = (uint64_t)(newline + 1 - text);
	s->size = (uint64_t)end;
}

bool
spool_find(struct spool *s, uint64_t from, struct spool_head *head)
{
	look(s, from);
	if (s->first == NONE && s->next != NONE)
		spool_damaged(s, "the segment that has the record to go on with is missing");
	if (s->first == NONE)
		return false;
	segment_open(s, head);
	return true;
}

static void
write_all(struct spool *s, int fd, const char *name, struct slice text)
{
	for (size_t at = 0; at < text.n;) {
		ssize_t n = write(fd, text.p + at, text.n - at);
		if (n < 0 && errno != EINTR)
			failed(s, "write", name);
		at += n > 0 ? (size_t)n : 0;
	}
}

void
spool_begin(struct spool *s, uint64_t first, const struct spool_head *head, struct slice rest)
{
	struct spool_head copy_of = *head;
	uint64_t *numbers[HEAD_NUMBERS];
	char name[NAME_DIGITS + 1];
	int fd = openat(s->folder, "new", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (fd < 0)
		failed(s, "open", "new");
	s->room.len = 0;
	head_numbers(&copy_of, numbers);
	buf_text(&s->room, MAGIC);
	for (int i = 0; i < HEAD_NUMBERS; i++) {
		buf_char(&s->room, ' ');
		buf_u64(&s->room, *numbers[i]);
	}
	buf_char(&s->room, '\n');
	write_all(s, fd, "new", slice_buf(&s->room));
	write_all(s, fd, "new", rest);
	name_format(name, first);
	if (close(fd) != 0 || renameat(s->folder, "new", s->folder, name) != 0)
		failed(s, "make", name);
	s->first = first;
	s->next = NONE;
	segment_open(s, &copy_of);
}

bool
spool_full(const struct spool *s, size_t rest)
{
	/* What is copied has to be the smaller part, or a long record would be copied over and over. */
	return s->size >= s->limit && rest < (s->size - s->head) / 2;
}

/* By hand. */
static ssize_t
copy(struct spool *s, int fd)
{
	s->room.len = 0;
	buf_reserve(&s->room, MOVE_BYTES);
	ssize_t n = read(fd, s->room.p, MOVE_BYTES);
	if (n > 0)
		write_all(s, s->out, "its last segment", (struct slice){s->room.p, (size_t)n});
	return n;
}

ssize_t
spool_move(struct spool *s, int fd)
{
	struct stat st;
	bool regular = fstat(fd, &st) == 0 && S_ISREG(st.st_mode);
	ssize_t n = regular ? sendfile(s->out, fd, NULL, MOVE_BYTES)
			    : splice(fd, NULL, s->out, NULL, MOVE_BYTES, SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
	if (n < 0 && errno == EINVAL)
		n = copy(s, fd);
	if (n > 0)
		s->size += (uint64_t)n;
	if (n < 0 && errno != EAGAIN && errno != EINTR)
		die(EXIT_TEMPORARY, "could not move the input to the spool \"%s\": %m", s->path);
	return n;
}

void
spool_end(struct spool *s)
{
	int fd = openat(s->folder, "end", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0)
		failed(s, "make", "end");
	close(fd);
	s->ended = true;
}

void
spool_count(struct spool *s, size_t n)
{
	s->read += n;
}

void
spool_close(struct spool *s)
{
	if (!s->path)
		return;
	close(s->in);
	if (s->out >= 0)
		close(s->out);
	close(s->folder);
	buf_free(&s->room);
}
