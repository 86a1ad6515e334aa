/* Time. A point in time is an int64_t of microseconds since 1970-01-01T00:00:00Z;
 * a duration is an int64_t of microseconds too.
 *
 * The clock of a pipeline is anchored: CLOCK_BOOTTIME plus the distance to the wall clock, read once. A step of the
 * wall clock therefore moves nothing that is scheduled. A supervisor hands one anchor to all programs it starts by
 * ACCTFLOW_ANCHOR (that distance in microseconds), so that restarted programs agree with those before them. */
#ifndef ACCTFLOW_TIME_H
#define ACCTFLOW_TIME_H

#include "buf.h"

enum { TIME_TEXT = 28 }; /* "2000-01-01T00:00:00.000000Z" and its NUL */

/* Now, on the anchored clock. Never goes back. */
int64_t clock_now(void);

/* Its distance from the boot clock, and the boot clock itself, by which leases end. */
int64_t clock_anchor(void);
int64_t clock_boot(void);

/* Now, on the wall clock: for log lines only. */
int64_t clock_wall(void);

/* Writes t as RFC 3339 in UTC with microseconds. Years 0001 to 9999; others are clamped. */
void time_format(int64_t t, char out[TIME_TEXT]);
void buf_time(struct buf *b, int64_t t);

/* Reads RFC 3339 ("T" and "Z" or a numeric zone; up to nine fraction digits, the rest below a microsecond dropped).
 * Returns 0, or -1 where it is none. */
int time_parse(struct slice s, int64_t *t);

#endif
