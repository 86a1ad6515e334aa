/* The files that reader reads: found and checked before anything is told, named,
 * recognised again by a fingerprint, and followed as they grow. What cannot be mended
 * ends the program here (exit 100), with a message that names the file. */
#ifndef ACCTFLOW_INPUT_H
#define ACCTFLOW_INPUT_H

#include "buf.h"
#include "sandbox.h"

#include <sys/types.h>

struct input {
	const char *path; /* as given; "-" is standard input */
	int fd;
	uint64_t got; /* bytes read of it; whoever reads counts */
	/* Following. */
	int next;    /* the file that took this one's place at its path, or -1 */
	int inotify; /* -1: it is not followed */
	int watch;
	unsigned placed; /* how many files were put at the path since this one was opened */
};

/* Refuses what does not exist (unless `away`), may not be read, is a directory, or (follow) is no file. */
void inputs_check(char *const *paths, int n, bool follow, bool away);

/* Appends the default name of the source: the real paths, joined by ':'. Valid UTF-8. */
void inputs_name(struct buf *name, char *const *paths, int n);

/* Appends the fingerprint of a regular file's head, "BYTES:HASH"; nothing where it has none. */
void fingerprint_make(struct buf *b, const char *path);

/* Lets them be opened after sandbox_end: the files, or (follow) their folders, since files are renamed there. */
void inputs_confine(struct sandbox *c, char *const *paths, int n, bool follow);

/* Ends the program unless the file at path begins as it did when `fingerprint` was made. */
void fingerprint_check(const char *path, const char *fingerprint);

/* What a followed file is recognised by, whatever its name is by now: as numbers, to be kept. */
struct input_mark {
	uint64_t device, inode, bytes, hash; /* the latter two as in its fingerprint */
};

/* Opens it. Returns 0, or -1 with errno. `away`: it may be that there is no such file now; then fd is -1. */
int input_open(struct input *in, const char *path, bool follow, bool away);
void input_close(struct input *in);

/* What became of a followed file whose end was reached. */
enum input_state {
	INPUT_WAIT,  /* nothing: poll in->inotify, and look again */
	INPUT_GREW,  /* there is more to read */
	INPUT_MOVED, /* another file is at its path, opened as in->next */
	INPUT_CUT,   /* it is shorter than what was read */
};
enum input_state input_look(struct input *in);

/* Goes over to in->next. */
void input_next(struct input *in);

void input_mark(const struct input *in, struct input_mark *mark);

/* Goes on behind the byte in->got of the file that was marked, which may have been renamed within its folder since.
 * Ends the program where it is gone, or begins otherwise. */
void input_return(struct input *in, const struct input_mark *mark);

#endif
