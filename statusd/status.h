/* Everything that is known: as one JSON object for the page (/api/status), and as lines for people. Unknown numbers are
 * -1, times microseconds since 1970. Rates and quantiles are the page's business. */
#ifndef ACCTFLOW_STATUS_H
#define ACCTFLOW_STATUS_H

#include "database.h"
#include "pipelines.h"

/* The last ten minutes, second by second: totals as they were, in a ring. */
enum { HISTORY = 600 };
enum series { READ, INDEXED, REJECTED, PENDING, FIRED, LAG, LATENESS_SUM, LATENESS_COUNT, SERIES };

struct history {
	double second[HISTORY][SERIES];
	size_t seconds; /* how many there were */
};

/* Call once a second. */
void history_add(struct history *h, const struct pipelines *ps, const struct database *db);

/* `why`: the reasons for not being ready, one per line. `ending`: statusd was asked to stop. `trace_url`:
 * may be NULL. */
void status_json(const struct pipelines *ps, const struct database *db, const struct history *h, const struct buf *why,
    bool ending, const char *trace_url, struct buf *b);

/* One line per pipeline and program, the totals, and the verdict. */
void status_text(
    const struct pipelines *ps, const struct database *db, const struct buf *why, bool totals, struct buf *b);

/* How far reading is, as part of a line. Returns whether anything is read. */
bool status_progress(const struct progress *g, struct buf *b);

#endif
