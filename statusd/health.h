/* The one answer to "is it well?": /healthz, /readyz, the page and statusd --check all ask here. */
#ifndef ACCTFLOW_HEALTH_H
#define ACCTFLOW_HEALTH_H

#include "database.h"
#include "pipelines.h"

struct limits {
	uint64_t most_lag;   /* seconds that a record may wait for its commit */
	uint64_t least_disk; /* megabytes that must be free */
};

/* Appends why the programs that run are not responsive, or why work cannot go on: one reason per line, nothing if all
 * is well. */
void health_alive(const struct pipelines *ps, struct buf *why);
void health_ready(const struct pipelines *ps, const struct database *db, const struct limits *l, struct buf *why);

#endif
