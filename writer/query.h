/* The verbs that only look. */
#ifndef ACCTFLOW_QUERY_H
#define ACCTFLOW_QUERY_H

#include "writer.h"

int query_main(const struct writer_options *o);

/* The verb retry, which shows in the same way what it changed. */
int retry_main(const struct writer_options *o);

#endif
