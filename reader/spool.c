/* See spool.h. */
#include "spool.h"

#include "json.h"
#include "log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

enum { INDEX_BYTES = 64 << 10 };

static const char *const kinds[] = {"array", "lines", "input"};

static int
spool_file(const struct spool *s, const char *name, int flags)
{
	int fd = openat(s->folder, name, flags | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0)
		die(EXIT_TEMPORARY, "could not open \"%s/%s\": %m", s->path, name);
	return fd;
}

void
spool_open(struct spool *s)
{
	s->next = UINT64_MAX;
	s->place = -1;
	if (mkdir(s->path, 0700) != 0 && errno != EEXIST)
		die(EXIT_PERMANENT, "could not make folder \"%s\": %m", s->path);
	s->folder = open(s->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (s->folder < 0)
		die(EXIT_PERMANENT, "could not open folder \"%s\": %m", s->path);
	s->data = spool_file(s, "data", O_RDONLY);
	s->index = spool_file(s, "index", O_RDWR);
	s->inotify = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
}

void
spool_enter(struct spool *s, unsigned shard)
{
	char name[32];
	snprintf(name, sizeof name, "read.%u", shard);
	s->place = spool_file(s, name, O_WRONLY);
	struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
	if (fcntl(s->place, F_SETLK, &lock) != 0)
		die(EXIT_TEMPORARY, "another reader reads shard %u of the spool \"%s\"", shard, s->path);
	snprintf(name, sizeof name, "/proc/self/fd/%d", s->data);
	inotify_add_watch(s->inotify, name, IN_MODIFY);
	snprintf(name, sizeof name, "/proc/self/fd/%d", s->folder);
	inotify_add_watch(s->inotify, name, IN_CREATE | IN_MOVED_TO);
}

const char *
numbers_read(struct slice text, uint64_t *numbers, int n)
{
	const char *p = text.p, *end = text.p + text.n;
	for (const char *stop; n > 0; n--, p = stop + 1) {
		for (stop = p; stop < end && *stop >= '0' && *stop <= '9';)
			stop++;
		if (stop == end || json_integer((struct slice){p, (size_t)(stop - p)}, UINT64_MAX, numbers++) != 0)
			return NULL;
	}
	return p;
}

/* Reads `ORDINAL BYTE LINE LINE_START ARRIVED KIND`. */
static bool
entry_parse(struct slice line, struct spool_entry *e)
{
	uint64_t n[5];
	const char *kind = numbers_read(line, n, 5);
	for (int i = 0; kind && i <= SPOOL_INPUT; i++)
		if (slice_is((struct slice){kind, (size_t)(line.p + line.n - kind)}, kinds[i])) {
			*e = (struct spool_entry){n[0], n[1], n[2], n[3], n[4], (enum spool_kind)i};
			return e->line > 0;
		}
	return false;
}

/* The next whole line of the index that makes sense. Returns false where there is none. */
static bool
spool_index_next(struct spool *s, struct spool_entry *e)
{
	for (;;) {
		const char *from = NULL, *newline = NULL;
		if (s->taken < s->text.len) {
			from = s->text.p + s->taken;
			newline = memchr(from, '\n', s->text.len - s->taken);
		}
		if (newline) {
			struct slice line = {from, (size_t)(newline - from)};
			s->taken += line.n + 1;
			s->index_at += line.n + 1;
			if (entry_parse(line, e))
				return true;
			continue;
		}
		/* Half a line is read anew, as it may be written anew. */
		s->text.len = s->taken = 0;
		buf_reserve(&s->text, INDEX_BYTES);
		ssize_t n = pread(s->index, s->text.p, INDEX_BYTES, (off_t)s->index_at);
		if (n < 0)
			die(EXIT_TEMPORARY, "could not read \"%s/index\": %m", s->path);
		s->text.len = (size_t)n;
		if (n == 0 || !memchr(s->text.p, '\n', (size_t)n))
			return false;
	}
}

/* Looks how long the data are. */
static void
spool_look(struct spool *s)
{
	struct stat st;
	if (fstat(s->data, &st) != 0)
		die(EXIT_TEMPORARY, "could not look at \"%s/data\": %m", s->path);
	s->size = (uint64_t)st.st_size;
}

/* Whether there is an `end`, and what it says. */
static bool
spool_ended(struct spool *s)
{
	char text[4] = "";
	int fd = openat(s->folder, "end", O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	s->cut = read(fd, text, 3) == 3 && strcmp(text, "cut") == 0;
	s->followed = faccessat(s->folder, "from", F_OK, 0) == 0;
	close(fd);
	return true;
}

static void
place_write(const struct spool *s)
{
	char text[24];
	int n = snprintf(text, sizeof text, "%020llu\n", (unsigned long long)s->at);
	if (s->place >= 0 && pwrite(s->place, text, (size_t)n, 0) != n)
		log_debug("could not write how far the spool \"%s\" is read: %m", s->path);
}

void
spool_entry_print(struct buf *b, const struct spool_entry *e)
{
	const uint64_t numbers[] = {e->ordinal, e->byte, e->line, e->line_start, e->arrived};
	for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
		buf_u64(b, numbers[i]);
		buf_char(b, ' ');
	}
	buf_text(b, kinds[e->kind]);
	buf_char(b, '\n');
}

bool
spool_find(struct spool *s, uint64_t from, struct spool_entry *found)
{
	struct spool_entry e;
	uint64_t input = 0, behind = 0;
	bool any = false;
	spool_look(s);
	s->index_at = s->text.len = s->taken = 0;
	while (spool_index_next(s, &e)) {
		if (e.ordinal > from && any)
			break;
		if (e.ordinal > from)
			die(EXIT_PERMANENT, "the spool \"%s\" begins at record %llu, behind --from", s->path,
			    (unsigned long long)e.ordinal);
		if (any && (e.ordinal < found->ordinal || e.byte < found->byte))
			continue;
		if (e.byte > s->size)
			break;
		input = e.kind == SPOOL_INPUT ? e.byte : input;
		behind = s->index_at;
		*found = e;
		any = true;
	}
	s->index_at = behind;
	s->text.len = s->taken = 0;
	if (!any)
		return false;
	s->input = input;
	s->at = found->byte;
	off_t there = lseek(s->data, (off_t)s->at, SEEK_DATA);
	if (there >= 0 ? there > (off_t)s->at : s->at < s->size && errno == ENXIO)
		die(EXIT_PERMANENT, "the spool \"%s\" holds the record to go on with no more: it was removed", s->path);
	if (lseek(s->data, (off_t)s->at, SEEK_SET) < 0)
		die(EXIT_TEMPORARY, "could not read \"%s/data\": %m", s->path);
	place_write(s);
	return true;
}

int64_t
spool_more(struct spool *s)
{
	struct spool_entry e;
	char events[4096];
	place_write(s);
	while (read(s->inotify, events, sizeof events) > 0)
		continue;
	/* The end first: what is there then is all. The data before the index, where an input's entry is written first.
	 */
	bool ended = spool_ended(s);
	spool_look(s);
	while (s->next == UINT64_MAX && spool_index_next(s, &e))
		if (e.kind == SPOOL_INPUT)
			s->next = e.byte;
	uint64_t limit = s->size < s->next ? s->size : s->next;
	if (s->at < limit)
		return (int64_t)(limit - s->at);
	return ended || s->at == s->next ? 0 : -1;
}

bool
spool_next(struct spool *s)
{
	if (s->next == UINT64_MAX)
		return false;
	s->input = s->next;
	s->next = UINT64_MAX;
	return true;
}

void
spool_split(const struct spool *s, const struct spool_entry *e, struct split *split, bool lines_only)
{
	if (e->kind == SPOOL_INPUT)
		split_start(split, s->data, lines_only);
	else
		split_start_at(split, s->data, e->kind == SPOOL_ARRAY,
		    &(struct place){e->line, e->byte - s->input, e->line_start});
}
