/* /metrics, in Prometheus's text format, version 0.0.4, or in OpenMetrics 1.0, which has the traces of what was seen
 * last. No account id is ever a label, and what is not known is left out. */
#ifndef ACCTFLOW_PROMETHEUS_H
#define ACCTFLOW_PROMETHEUS_H

#include "database.h"
#include "pipelines.h"

void prometheus_write(const struct pipelines *ps, const struct database *db, bool ready, bool open, struct buf *b);

#endif
