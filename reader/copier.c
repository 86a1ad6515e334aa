/* See copier.h. A pipe is moved by splice(2), a file by sendfile(2): its bytes leave it
 * when they are in the file, in one system call that a SIGKILL does not cut in two. A
 * terminal or a socket can only be read, then written: what was read is held until it is.
 *
 * The index is written from what is in the data already, so that the data are all that a new copier has to know: it
 * counts on from the last entry. Of a followed file DIR/from says which it is, `DEVICE INODE HEAD_BYTES HEAD_HASH
 * SPOOL_BYTE FILE_BYTE`: the data's byte SPOOL_BYTE is its byte FILE_BYTE. It is replaced whole, before anything of the
 * file is moved. */
#include "copier.h"

#include "follow.h"
#include "log.h"
#include "loop.h"
#include "sandbox.h"
#include "split.h"
#include "spool.h"
#include "time.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/inotify.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

enum { MOVE_BYTES = 128 << 10, ENTRY_BYTES = 1 << 20, FULL_US = 200000, LOOK_US = 1000000, FROM_NUMBERS = 6 };

struct copier {
	const struct copier_options *options;
	struct spool spool; /* `at` is how far its records were counted, `index_at` the end of the index */
	int out, in;
	struct split split;
	struct update update;
	struct buf text;
	uint64_t ordinal, arrived; /* of the next record; the greatest arriveMs before it */
	struct spool_entry last;
	bool done;	  /* nothing more of the input is needed */
	bool full;	  /* was said */
	uint64_t slowest; /* how far the readers are that live */
	struct follow follow;
	struct file_mark mark; /* as DIR/from has it */
};

/* After a write that failed. Returns where the disk is full: then it is tried again in a while. */
static void
disk_wait(struct copier *c, const char *name)
{
	if (errno != ENOSPC && errno != EDQUOT)
		die(EXIT_TEMPORARY, "could not write \"%s/%s\": %m", c->options->folder, name);
	if (loop_stopping() && strcmp(name, "data") != 0)
		die(EXIT_TEMPORARY, "could not write \"%s/%s\" before the end: %m", c->options->folder, name);
	if (!c->full)
		log_error("could not write \"%s/%s\": %m; waiting for room, nothing is lost", c->options->folder, name);
	c->full = true;
	loop_wait(NULL, 0, clock_now() + FULL_US);
}

static void
disk_ok(struct copier *c)
{
	if (c->full)
		log_info("there is room again in \"%s\"", c->options->folder);
	c->full = false;
}

/* Writes all of it at `at`, waiting for room. */
static void
write_at(struct copier *c, int fd, const char *name, struct slice text, uint64_t at)
{
	for (size_t done = 0; done < text.n;) {
		ssize_t n = pwrite(fd, text.p + done, text.n - done, (off_t)(at + done));
		if (n < 0)
			disk_wait(c, name);
		else
			done += (size_t)n;
	}
	disk_ok(c);
}

/* Makes a small file with that text, at once. */
static void
file_make(struct copier *c, const char *name)
{
	int fd;
	while ((fd = openat(c->spool.folder, "new", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600)) < 0)
		disk_wait(c, "new");
	write_at(c, fd, "new", slice_buf(&c->text), 0);
	close(fd);
	while (renameat(c->spool.folder, "new", c->spool.folder, name) != 0)
		disk_wait(c, name);
}

static void
entry_write(struct copier *c, uint64_t byte, enum spool_kind kind, const struct place *place)
{
	c->last = (struct spool_entry){c->ordinal, byte, place->line, place->line_start, c->arrived, kind};
	c->text.len = 0;
	spool_entry_print(&c->text, &c->last);
	write_at(c, c->spool.index, "index", slice_buf(&c->text), c->spool.index_at);
	c->spool.index_at += c->text.len;
}

/* Counts a record, and notes where the next one starts if that was not noted for long. */
static void
record_count(struct copier *c)
{
	struct split *s = &c->split;
	struct place place;
	uint64_t byte = c->spool.at - split_left(s);
	int order = split_ordinal(s, &c->ordinal);
	if (order == 0)
		return;
	if (order < 0)
		die(EXIT_PERMANENT, "the spool \"%s\" %s", c->options->folder, buf_cstr(&s->error));
	if (!s->reason.len && !s->skipped && !record_has(&s->record, M_EVENT) &&
	    update_read(&s->record, &c->update, &s->reason) == 0 && c->update.arrive_ms > (int64_t)c->arrived)
		c->arrived = (uint64_t)c->update.arrive_ms;
	c->ordinal++;
	if (byte - c->last.byte >= ENTRY_BYTES && split_place(s, &place))
		entry_write(c, byte, split_is_array(s) ? SPOOL_ARRAY : SPOOL_LINES, &place);
}

/* Counts the records of what is in the data. `all`: it is the whole input. */
static void
count(struct copier *c, bool all)
{
	for (;;) {
		switch (split_next(&c->split)) {
		case SPLIT_RECORD:
			record_count(c);
			break;
		case SPLIT_MORE:
			if (c->spool.at == c->spool.size && !all)
				return;
			ssize_t n = split_read(&c->split);
			if (n < 0)
				die(EXIT_TEMPORARY, "could not read \"%s/data\": %m", c->options->folder);
			c->spool.at += (uint64_t)n;
			break;
		case SPLIT_BROKEN:
			if (c->options->follow)
				die(EXIT_PERMANENT, "\"%s\" %s", c->options->follow, buf_cstr(&c->split.error));
			c->done = true;
			return;
		case SPLIT_END:
		case SPLIT_EMPTY:
			return;
		}
	}
}

/* Whether what is there was copied to its end, or is to be taken for all of it. */
static bool
is_ended(const struct copier *c)
{
	return faccessat(c->spool.folder, "end", F_OK, 0) == 0 || faccessat(c->spool.folder, "before", F_OK, 0) == 0;
}

/* From now on the readers wait for more. */
static void
end_remove(struct copier *c)
{
	const char *const names[] = {"end", "before"};
	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		if (renameat(c->spool.folder, names[i], c->spool.folder, "new") != 0 && errno != ENOENT)
			die(EXIT_TEMPORARY, "could not rename \"%s/%s\": %m", c->options->folder, names[i]);
}

/* Begins an input where the data end, unless one does already. */
static void
input_begin(struct copier *c)
{
	if (c->last.kind != SPOOL_INPUT || c->last.byte != c->spool.size)
		entry_write(c, c->spool.size, SPOOL_INPUT, &(struct place){.line = 1});
	/* It is only now that the one before it may not be taken for the end any more. */
	end_remove(c);
	c->spool.at = c->spool.size;
	if (lseek(c->spool.data, (off_t)c->spool.size, SEEK_SET) < 0)
		die(EXIT_TEMPORARY, "could not read \"%s/data\": %m", c->options->folder);
	split_start(&c->split, c->spool.data, c->options->follow != NULL);
}

/* Goes on counting where the copier before this one was, or begins. The index has only half a line behind that, if
 * anything. */
static void
records_start(struct copier *c)
{
	struct spool *s = &c->spool;
	c->last = (struct spool_entry){.ordinal = c->options->from, .line = 1, .kind = SPOOL_INPUT};
	bool found = spool_find(s, UINT64_MAX, &c->last);
	if (ftruncate(s->index, (off_t)s->index_at) != 0)
		die(EXIT_TEMPORARY, "could not mend \"%s/index\": %m", s->path);
	c->ordinal = c->last.ordinal;
	c->arrived = c->last.arrived;
	if (!found)
		entry_write(c, 0, SPOOL_INPUT, &(struct place){.line = 1});
	spool_split(s, &c->last, &c->split, c->options->follow != NULL);
}

/* Writes DIR/from, if it does not say so already. */
static void
from_write(struct copier *c)
{
	const struct file_mark *m = &c->follow.mark;
	uint64_t n[FROM_NUMBERS] = {m->device, m->inode, m->bytes, m->hash, c->spool.size, c->follow.got};
	if (memcmp(m, &c->mark, sizeof *m) == 0)
		return;
	c->mark = *m;
	c->text.len = 0;
	for (int i = 0; i < FROM_NUMBERS; i++)
		buf_printf(&c->text, "%llu%c", (unsigned long long)n[i], i < FROM_NUMBERS - 1 ? ' ' : '\n');
	file_make(c, "from");
}

/* Reads it. Returns false where there is none. */
static bool
from_read(struct copier *c, uint64_t *spool_byte, uint64_t *file_byte)
{
	char text[256];
	uint64_t n[FROM_NUMBERS];
	int fd = openat(c->spool.folder, "from", O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	ssize_t size = read(fd, text, sizeof text);
	close(fd);
	if (size < 0 || !numbers_read((struct slice){text, (size_t)size}, n, FROM_NUMBERS))
		die(EXIT_PERMANENT, "\"%s/from\" is damaged; remove the folder to give up what it holds",
		    c->options->folder);
	c->mark = (struct file_mark){n[0], n[1], n[2], n[3]};
	*spool_byte = n[4];
	*file_byte = n[5];
	return *spool_byte <= c->spool.size;
}

/* Opens the followed file where it was left. */
static void
follow_start(struct copier *c, bool ended)
{
	uint64_t spool_byte = 0, file_byte = 0;
	bool again = from_read(c, &spool_byte, &file_byte);
	struct file_mark mark = c->mark;
	follow_open(
	    &c->follow, c->options->follow, again ? &mark : NULL, again ? file_byte + c->spool.size - spool_byte : 0);
	/* DIR/from was written, and the input's entry was not. */
	if (again ? file_byte == 0 && c->spool.input < spool_byte : ended) {
		count(c, true);
		input_begin(c);
	}
	end_remove(c);
}

/* Reads, then writes: for what can do no better. */
static ssize_t
move_by_hand(struct copier *c)
{
	c->text.len = 0;
	buf_reserve(&c->text, MOVE_BYTES);
	ssize_t n = read(c->in, c->text.p, MOVE_BYTES);
	if (n < 0 && errno != EAGAIN)
		die(EXIT_TEMPORARY, "could not read standard input: %m");
	if (n > 0)
		write_at(c, c->out, "data", (struct slice){c->text.p, (size_t)n}, c->spool.size);
	return n;
}

/* Moves some bytes. Returns how many; 0 at the end; -1 where there are none now. */
static ssize_t
move(struct copier *c)
{
	struct stat st;
	bool regular = fstat(c->in, &st) == 0 && S_ISREG(st.st_mode);
	off_t at = (off_t)c->follow.got;
	if (lseek(c->out, (off_t)c->spool.size, SEEK_SET) < 0)
		die(EXIT_TEMPORARY, "could not write \"%s/data\": %m", c->options->folder);
	ssize_t n = regular ? sendfile(c->out, c->in, c->options->follow ? &at : NULL, MOVE_BYTES)
			    : splice(c->in, NULL, c->out, NULL, MOVE_BYTES, SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
	if (n < 0 && errno == EINVAL)
		n = move_by_hand(c);
	if (n < 0 && errno != EAGAIN && errno != EINTR)
		disk_wait(c, "data");
	if (n > 0) {
		c->spool.size += (uint64_t)n;
		disk_ok(c);
		count(c, false);
	}
	return n;
}

/* How far the slowest reader is that lives; if none does, the slowest of all. */
static uint64_t
slowest(struct copier *c)
{
	DIR *all = opendir(c->spool.path);
	uint64_t alive = UINT64_MAX, least = UINT64_MAX;
	for (struct dirent *d; all && (d = readdir(all));) {
		char text[32] = "";
		int own =
		    strncmp(d->d_name, "read.", 5) == 0 ? openat(dirfd(all), d->d_name, O_RDONLY | O_CLOEXEC) : -1;
		if (own < 0)
			continue;
		uint64_t at = read(own, text, sizeof text - 1) > 0 ? strtoull(text, NULL, 10) : 0;
		least = at < least ? at : least;
		/* It only asks: a lock that it took itself could keep a reader out that begins just then. */
		struct flock lock = {.l_type = F_RDLCK, .l_whence = SEEK_SET};
		if (fcntl(own, F_GETLK, &lock) == 0 && lock.l_type != F_UNLCK)
			alive = at < alive ? at : alive;
		close(own);
	}
	if (all)
		closedir(all);
	return alive != UINT64_MAX ? alive : least != UINT64_MAX ? least : 0;
}

/* Whether the copier is too far ahead of the readers: then it has waited for a moment. */
static bool
too_far(struct copier *c)
{
	char events[4096];
	uint64_t ahead = c->options->ahead;
	if (!ahead || c->spool.size - c->slowest < ahead)
		return false;
	while (read(c->spool.inotify, events, sizeof events) > 0)
		continue;
	uint64_t at = slowest(c);
	c->slowest = at < c->spool.size ? at : c->spool.size;
	if (c->spool.size - c->slowest < ahead)
		return false;
	struct pollfd p = {.fd = c->spool.inotify, .events = POLLIN};
	loop_wait(&p, 1, clock_now() + LOOK_US);
	return true;
}

/* Moves what there is of a followed file, or waits for more. */
static void
step_follow(struct copier *c)
{
	struct follow *f = &c->follow;
	struct pollfd p = {.fd = f->inotify, .events = POLLIN};
	int more = follow_more(f);
	c->in = f->fd;
	from_write(c);
	if (more < 0) {
		loop_wait(&p, 1, follow_until(f));
	} else if (more > 0) {
		ssize_t n = move(c);
		follow_count(f, n > 0 ? (size_t)n : 0);
	} else {
		count(c, true);
		follow_next(f);
		from_write(c);
		input_begin(c);
	}
}

static void
step(struct copier *c)
{
	struct pollfd p = {.fd = c->in, .events = POLLIN};
	if (loop_wait(&p, 1, -1) > 0 && move(c) == 0)
		c->done = true;
}

/* Opens the folder, for one copier at a time, before the rights are given up. */
static void
folder_open(struct copier *c)
{
	char own[32];
	spool_open(&c->spool);
	if (flock(c->spool.folder, LOCK_EX | LOCK_NB) != 0)
		die(EXIT_TEMPORARY, "another copier fills the spool \"%s\"", c->options->folder);
	c->out = openat(c->spool.folder, "data", O_WRONLY | O_CLOEXEC);
	if (c->out < 0)
		die(EXIT_TEMPORARY, "could not open \"%s/data\": %m", c->options->folder);
	snprintf(own, sizeof own, "/proc/self/fd/%d", c->spool.folder);
	inotify_add_watch(c->spool.inotify, own, IN_MODIFY | IN_CREATE);
}

int
copier_run(const struct copier_options *options)
{
	static struct copier c;
	struct sandbox sandbox;
	c = (struct copier){.options = options, .spool.path = options->folder, .split.map = options->map};
	signal(SIGXFSZ, SIG_IGN);
	folder_open(&c);
	records_start(&c);
	bool ended = is_ended(&c);
	sandbox_begin(&sandbox, SANDBOX_CALLS);
	sandbox_write(&sandbox, options->folder);
	if (options->follow)
		follow_sandbox(&sandbox, options->follow, 0);
	sandbox_end(&sandbox);

	count(&c, false);
	if (options->follow) {
		follow_start(&c, ended);
	} else if (ended) {
		count(&c, true);
		c.done = false;
		input_begin(&c);
	}
	while (!c.done && !loop_stopping()) {
		if (too_far(&c))
			continue;
		if (options->follow)
			step_follow(&c);
		else
			step(&c);
	}
	c.text.len = 0;
	buf_text(&c.text, c.done ? "" : "cut\n");
	file_make(&c, "end");
	if (options->follow)
		follow_end(&c.follow);
	return EXIT_OK;
}
