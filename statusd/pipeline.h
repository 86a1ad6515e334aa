/* All that is known of the pipeline: the programs by their stats files, the database by writer's report, restarts by
 * the supervisor's list, disks; now, and second by second for the last minutes. */
#ifndef ACCTFLOW_PIPELINE_H
#define ACCTFLOW_PIPELINE_H

#include "report.h"
#include "metrics.h"

enum program_index { READER, WRITER, TIMERD, SETTLE, PROGRAMS };
extern const char *const program_names[PROGRAMS];

enum { HISTORY = 600, RESTARTS_SHOWN = 20, CAUSES = 32, CAUSE_BYTES = 32, STALE_US = 5000000 };

struct watched {
	bool known, running; /* there is a stats file; its program lives */
	struct metrics stats;
};

/* What happened in one second; -1 where that is not known. */
enum series {
	SERIES_READ,
	SERIES_INDEXED,
	SERIES_FIRED,
	SERIES_REJECTED,
	SERIES_LAG,
	SERIES_PENDING,
	SERIES_LATENESS,
	SERIES
};
extern const char *const series_names[SERIES];

struct second {
	double value[SERIES];
	int64_t told; /* reader's offset; -1 */
	uint64_t count[HISTOGRAM_COUNT][METRICS_BUCKETS];
};

struct restart {
	int64_t at;
	char program[CAUSE_BYTES], cause[CAUSE_BYTES];
};

struct pipeline {
	const char *home;
	char run[4096];
	int64_t now; /* of what follows */
	struct watched program[PROGRAMS];
	struct report report;
	/* Restarts by program and cause, and the newest, in a ring. */
	struct {
		char program[CAUSE_BYTES], cause[CAUSE_BYTES];
		uint64_t count;
	} cause[CAUSES];
	size_t causes;
	struct restart restart[RESTARTS_SHOWN];
	size_t restarts;
	int64_t lag_records; /* -1: unknown */
	double lag_seconds;
	uint64_t spool_bytes, disk_free;
	/* The ring of seconds: `seconds` there were, the last at (seconds - 1) % HISTORY. */
	struct second second[HISTORY];
	size_t seconds;
	/* Its own. */
	uint64_t last[SERIES];
	bool last_known[SERIES];
	int64_t restarts_read, disk_at;
	struct buf room;
};

void pipeline_init(struct pipeline *p, const char *home, const char *writer);

/* Looks at the programs' files, where that is a tenth of a second ago. */
void pipeline_look(struct pipeline *p);

/* The database has answered: how far is it behind now? */
void pipeline_answered(struct pipeline *p);

/* Once a second: looks, and keeps the second. */
void pipeline_second(struct pipeline *p);

/* A quantile (0..1) of what a histogram saw in the last `seconds`, in its own unit; -1 where that was nothing. */
double pipeline_quantile(const struct pipeline *p, enum histogram which, size_t seconds, double quantile);

/* Microseconds by which the oldest callback is overdue; 0 where none is. */
int64_t pipeline_overdue(const struct pipeline *p);

/* Appends why the loops do not turn, or why work cannot go on; one reason a line. Nothing where all is well. */
void pipeline_healthy(const struct pipeline *p, struct buf *why);
void pipeline_ready(const struct pipeline *p, uint64_t most_lag_s, struct buf *why);

/* The two forms in which it is told. */
void metrics_write(const struct pipeline *p, bool ready, struct buf *b);
void api_write(const struct pipeline *p, const struct buf *why_not_ready, struct buf *b);

#endif
