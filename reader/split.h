/* Records out of a stream of bytes: the elements of one JSON array, or one record a
 * line, which the first byte that is not white space decides. What comes out does
 * not depend on how read(2) happens to cut the stream. Memory is bounded by the
 * longest record that is held (RECORD_BYTES); longer ones are skipped. With a map a
 * record is what it makes of one, or of each element of what it unwraps. */
#ifndef ACCTFLOW_SPLIT_H
#define ACCTFLOW_SPLIT_H

#include "lines.h"
#include "map.h"
#include "record.h"

enum split_status {
	SPLIT_RECORD, /* the fields below say which */
	SPLIT_MORE,   /* split_read is needed first */
	SPLIT_END,
	SPLIT_EMPTY,  /* there was nothing but white space */
	SPLIT_BROKEN, /* not JSON, or cut off, from here on: see error */
};

/* A place in the stream: its line and byte, and the byte that the line starts with. */
struct place {
	uint64_t line, byte, line_start;
};

struct split {
	struct slice raw;     /* the record's text, or its first RAW_BYTES where it was skipped */
	uint64_t total;	      /* the record's length */
	struct record record; /* parsed, if reason is empty */
	struct buf reason;    /* why it is none */
	bool skipped;	      /* the map says that it is nothing for us */
	struct buf error;     /* SPLIT_BROKEN: place, cause and a safe excerpt */
	bool cut_off;	      /* and there is nothing wrong but that it ends */
	bool marked;	      /* a byte order mark stood before it all, and was skipped */

	struct map *map; /* set by the caller; NULL: records are updates as they stand */

	/* The rest is its own. */
	bool lines_only;
	bool repeats; /* so far all of this input was read before */
	enum { SPLIT_UNDECIDED, SPLIT_LINES, SPLIT_ARRAY } mode;
	struct lines in;
	struct place place; /* how far lines were counted */
	size_t counted;	    /* `place` is that of this byte of the buffer */
	size_t start;	    /* where the record starts in the buffer */
	enum { WANT_FIRST, WANT_VALUE, WANT_COMMA, WANT_NOTHING } want;
	/* An element that was not whole when it was first seen: how its end is looked for, byte by byte, once. */
	struct {
		bool on, string, escape;
		uint64_t depth;
	} walk;
	const char *skip_reason; /* set while an element is skipped */
	uint64_t skip_line;
};

/* Starts on fd; `s` starts zeroed and may be started again. With lines_only an array is SPLIT_BROKEN. */
void split_start(struct split *s, int fd, bool lines_only);

/* One read(2), with its result; at most in.most bytes, where that is set; 0 ends the input. What was given before is no
 * longer valid. */
ssize_t split_read(struct split *s);

/* Says whether the input is at its end, whatever split_read met: a file may grow. */
void split_end(struct split *s, bool end);

enum split_status split_next(struct split *s);

/* Starts behind a record, at the place that split_place gave there for an array (or for lines). */
void split_start_at(struct split *s, int fd, bool array, const struct place *place);

/* The place behind the record that was given last; false where it is none to start at. */
bool split_place(struct split *s, struct place *place);

static inline bool
split_is_array(const struct split *s)
{
	return s->mode == SPLIT_ARRAY;
}

/* Sets *ordinal, the record's, where the map says which it is. Returns 1; 0 where the record was read before, since an
 * input may begin with the end of the one before it; -1 where the ordinal does not rise, which s->error says. */
int split_ordinal(struct split *s, uint64_t *ordinal);

/* How many bytes were read and are not taken yet. */
static inline uint64_t
split_left(const struct split *s)
{
	return s->in.buf.len - s->in.at;
}

/* The line of the record's first byte, from 1. */
uint64_t split_line(struct split *s);

#endif
