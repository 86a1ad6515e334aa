/* What reader says: the lines of its output, as the contract spells them, or lines
 * for people. */
#ifndef ACCTFLOW_TELL_H
#define ACCTFLOW_TELL_H

#include "output.h"
#include "display.h"

struct teller {
	struct output out;
	struct display_style style;
	/* The rest is its own. */
	struct buf update, rejected; /* how these start, up to the offset */
	struct buf line;
};

/* Takes over standard output. `source` is valid UTF-8. */
void tell_init(struct teller *t, enum format format, struct slice source);

/* Ends the program where output fails (output_failed). */
void tell_flush(struct teller *t);

/* One line: open it, append to what is returned, close it. */
struct buf *tell_open(struct teller *t);
struct buf *tell_open_update(struct teller *t, uint64_t offset);
struct buf *tell_open_rejected(struct teller *t, uint64_t offset);
void tell_close(struct teller *t);

/* An update's line behind its offset has a body, its arrival time (none where ms < 0) and a tail; that of a rejected
 * one is all body. `r` is the record that `u` was read from. */
void tell_body(struct buf *b, const struct update *u, const struct record *r);
void tell_stamp(struct buf *b, int64_t ms);
void tell_tail(struct buf *b, const struct update *u);
void tell_rejected(struct buf *b, struct slice reason, uint64_t line, struct slice raw, uint64_t total);
void tell_free(struct teller *t);

#endif
