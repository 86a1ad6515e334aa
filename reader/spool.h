/* A folder between an input that cannot be read twice and its readers, as reader(1) describes it. One process, the
 * copier (copier.h), moves the input to DIR/data; any number of readers, one a shard, read that like a growing file and
 * begin again where they want. A line of DIR/index is `ORDINAL BYTE LINE LINE_START ARRIVED KIND`. Lines are only
 * added. Without one reading takes longer, but an input's is there before its first byte is.
 *
 * Nothing is synced: files outlive their writer, and what a power cut takes the producer is still to be asked. */
#ifndef ACCTFLOW_SPOOL_H
#define ACCTFLOW_SPOOL_H

#include "split.h"

enum spool_kind { SPOOL_ARRAY, SPOOL_LINES, SPOOL_INPUT };

struct spool_entry {
	uint64_t ordinal, byte;
	uint64_t line, line_start; /* in its input, as struct place has it */
	uint64_t arrived;	   /* the greatest arriveMs before it */
	enum spool_kind kind;
};

struct spool {
	const char *path;
	int data;
	int inotify;
	uint64_t input; /* the byte where the input begins that is read */
	uint64_t at;	/* the byte that is read next: whoever reads counts */
	uint64_t next;	/* where the next input begins; UINT64_MAX: not known */
	bool cut;	/* the last input ended before its end */
	bool followed;	/* and it is a file that may grow */
	uint64_t size;	/* of the data, when it was looked at */
	int folder, index;
	uint64_t index_at; /* the byte behind the entry of the index that was read last */
	/* The rest is its own. */
	int place;
	struct buf text; /* of the index, from index_at on, as far as it was read */
	size_t taken;
};

/* Each of these ends the program where the folder cannot be used. Opens it, and makes it where it is missing. */
void spool_open(struct spool *s);

/* Makes the reader of that shard known, the only one. */
void spool_enter(struct spool *s, unsigned shard);

/* Appends a line of the index. */
void spool_entry_print(struct buf *b, const struct spool_entry *e);

/* Goes to the last entry that is not behind the record `from`, for which the data are there. Returns false while there
 * is no input. Leaves index_at behind that entry. */
bool spool_find(struct spool *s, uint64_t from, struct spool_entry *e);

/* Starts to split the data at that entry. */
void spool_split(const struct spool *s, const struct spool_entry *e, struct split *split, bool lines_only);

/* How many bytes of this input there are to read; 0: it is at its end; -1: wait for `inotify`. */
int64_t spool_more(struct spool *s);

/* Goes over to the next input; false where there is none. */
bool spool_next(struct spool *s);

/* Reads n whole numbers, each with one byte behind it. Returns what stands behind them, or NULL. */
const char *numbers_read(struct slice text, uint64_t *numbers, int n);

#endif
