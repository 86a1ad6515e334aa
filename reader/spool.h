/* A folder between the input and the records, for inputs that cannot be read twice: what
 * is read of standard input, or of a file that is followed, lies here before anything of
 * it is told, so that a reader that is killed loses nothing, and its successor goes on.
 * Only as much is moved as is then taken.
 *
 * The folder holds segments. Each begins at a record and is enough by itself: its name is that record's ordinal, its
 * first line (struct spool_head) what reading on there needs, the rest are the bytes as they came. The next one is
 * begun, by copying the record that is not whole yet, before it becomes visible by its name; older ones may be
 * deleted by anyone. A file `end` says that standard input was read to its end; a file `cut`, made by others, that no
 * more is to be read of it, although it was not. */
#ifndef ACCTFLOW_SPOOL_H
#define ACCTFLOW_SPOOL_H

#include "input.h"
#include "split.h"

struct spool_head {
	uint64_t seed;
	uint64_t arrived;	/* as struct arrival has it */
	struct input_mark file; /* that is followed, and where its bytes begin that the segment begins with */
	uint64_t at;
	uint64_t split[SPLIT_STATE];
};

struct spool {
	const char *path; /* NULL: there is none */
	uint64_t limit;	  /* bytes, from which on a segment is followed by another */
	uint64_t first;	  /* the ordinal of the segment's first record */
	uint64_t next;	  /* that of the segment behind it; UINT64_MAX where there is none */
	int in;		  /* the segment, behind its head */
	bool ended;	  /* nothing more comes into it */
	bool cut;	  /* and that was not standard input's own end */
	/* The rest is its own. */
	int folder, out;
	uint64_t head, size, read; /* bytes: of the head, of all, that were read, the head included */
	struct buf room;
};

/* Each of these ends the program where the folder cannot be used, is damaged, or is full (111: it may be retried). */

/* Opens the folder, which is made where it is missing, for one reader at a time. */
void spool_open(struct spool *s);

/* Opens the segment that has the record `from`. Returns whether there is any segment. */
bool spool_find(struct spool *s, uint64_t from, struct spool_head *head);

/* Begins the segment whose first record is `first`, with the bytes of it that are there already. */
void spool_begin(struct spool *s, uint64_t first, const struct spool_head *head, struct slice rest);

/* Whether the segment is long enough for another to follow, with so many bytes copied. */
bool spool_full(const struct spool *s, size_t rest);

/* Whether there is something to read, or the end. */
static inline bool
spool_ready(const struct spool *s)
{
	return s->ended || s->read < s->size;
}

/* How many bytes the segment holds. */
static inline uint64_t
spool_held(const struct spool *s)
{
	return s->size - s->head;
}

/* Moves some of what is at fd into the segment, without waiting where it is a pipe. Returns how much; 0 at the end; -1
 * where there is nothing now. */
ssize_t spool_move(struct spool *s, int fd);

/* Notes that nothing more comes. */
void spool_end(struct spool *s);

/* What stands in it cannot be. */
_Noreturn void spool_damaged(const struct spool *s, const char *why);

/* Counts what was read of `in`. */
void spool_count(struct spool *s, size_t n);
void spool_close(struct spool *s);

#endif
