/* A file that is followed as it grows, whatever becomes of its name: renamed, with
 * another in its place; copied away and cut off; a symbolic link in its path turned. */
#ifndef ACCTFLOW_FOLLOW_H
#define ACCTFLOW_FOLLOW_H

#include "sandbox.h"

#include <stdint.h>
#include <sys/types.h>

/* What a followed file is recognised by, whatever its name is by now: as numbers, to be kept. */
struct file_mark {
	uint64_t device, inode, bytes, hash; /* the latter two: of its head */
};

struct follow {
	const char *path;
	int fd;	      /* the file that is read; it may change by follow_more too */
	uint64_t got; /* how many bytes of it were read */
	struct file_mark mark;
	int inotify; /* -1: there is none, the file is only looked at every second */
	/* The rest is its own. */
	int next;	   /* the file that took its place at the path, or -1 */
	int old;	   /* the file before this one, or -1 */
	uint64_t old_size; /* when it was looked at last */
	unsigned placed;   /* how many files were put at the path since this one, or `next`, was opened */
	int64_t rested;	   /* since when this one has not grown, while `next` has bytes */
	int64_t failing;   /* since when the successor cannot be opened; 0: it can */
};

/* Opens it. `mark`: goes on behind the byte `got` of the file that was marked, which may have another name since; NULL:
 * at the beginning of what is there. Ends the program where there is none, or it is gone. */
void follow_open(struct follow *f, const char *path, const struct file_mark *mark, uint64_t got);

/* Counts what was read of fd, and marks as much of its head as that. */
void follow_count(struct follow *f, size_t n);

/* Looks what became of the file, before each read, since it may have been written anew. 1: there is more to read, maybe
 * of another descriptor; 0: this file is finished, follow_next goes over to the one that took its place; -1: wait with
 * follow_until, and look again. */
int follow_more(struct follow *f);

/* Until when to wait for f->inotify before the next look. */
int64_t follow_until(const struct follow *f);
void follow_next(struct follow *f);

/* Says what was written to files that were left. */
void follow_end(struct follow *f);

/* Lets the folders be read in which the file and its successors are: that of the path, and that of each symbolic link
 * on the way, of which there were `depth` so far. */
void follow_sandbox(struct sandbox *c, const char *path, int depth);

#endif
