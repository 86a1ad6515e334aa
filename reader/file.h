/* The files that reader reads: found and checked before anything is emitted, named, and
 * recognised again by a fingerprint, "BYTES:HASH" with the 128 bits of XXH3 over their
 * first bytes. The only module that uses libxxhash. What cannot be mended ends the
 * program here (exit 100), with a message that names the file. */
#ifndef ACCTFLOW_FILE_H
#define ACCTFLOW_FILE_H

#include "buf.h"

#include <sys/types.h>

enum { FILE_HEAD = 64 << 10 };

static inline bool
file_is_stdin(const char *path)
{
	return path[0] == '-' && !path[1];
}

/* Refuses what does not exist, may not be read, is a directory, or (`regular`: the option that wants it) is no regular
 * file. */
void files_check(char *const *paths, int n, const char *regular);

/* Whether a name is UTF-8 without control characters. */
bool name_is_plain(struct slice s);

/* Appends the default name of the source: the real paths, joined by ':'; a plain name. */
void files_name(struct buf *name, char *const *paths, int n);

/* How many bytes they have, where all are regular files; else 0. */
uint64_t files_size(char *const *paths, int n);

/* Appends the fingerprint of at most the first `most` bytes of all of them; nothing where one is no regular file. */
void files_fingerprint(struct buf *b, char *const *paths, int n, uint64_t most);

/* Ends the program unless the files begin as they did when `fingerprint` was made. */
void files_recognise(char *const *paths, int n, const char *fingerprint);

/* The fingerprint of what is read, made on the way. */
struct fingerprint;
struct fingerprint *fingerprint_new(void);
void fingerprint_add(struct fingerprint *f, struct slice bytes);
void fingerprint_end(struct fingerprint *f, struct buf *b); /* appends it and frees f */

/* Appends what an input that begins so plainly is, and how to make updates of it; nothing where it may be what it
 * should. Returns whether that is certain; else it counts only if nothing of the input is an update. */
bool file_guess(struct slice head, struct buf *hint);

#endif
