/* Input by lines. */
#ifndef ACCTFLOW_LINES_H
#define ACCTFLOW_LINES_H

#include "buf.h"

#include <sys/types.h>

/* Memory is bounded by `max`, the longest line that is held. */
struct lines {
	int fd;
	size_t max;
	size_t most; /* that one read takes; 0: as much as fits well */
	bool eof;
	uint64_t number; /* of the line last given, from 1, blank ones counted */
	uint64_t total;	 /* the length of the line last given, also where only its beginning was kept */
	bool cut;	 /* the input ended in a line that is not complete; it was dropped */
	/* The rest is its own. */
	struct buf buf, kept; /* all bytes of the input pass through buf; those before `at` are taken */
	size_t at, looked;
	bool skipping;
};

enum line_status {
	LINE_NONE, /* no whole line is there: read more, or done at eof */
	LINE_OK,
	LINE_LONG, /* longer than max: *line is its first RAW_BYTES */
};

/* One read(2) into the buffer. Returns its result; 0 sets eof. Slices given before are no longer valid. */
ssize_t lines_read(struct lines *l);

/* The next line that is not blank, without its newline. At eof an unterminated last line is given if it is complete
 * JSON, else dropped with a warning. */
enum line_status lines_next(struct lines *l, struct slice *line);
void lines_free(struct lines *l);

#endif
