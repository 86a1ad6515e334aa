/* The verbs prune and forget: what leaves the history, for the role that owns it. */
#ifndef ACCTFLOW_PRUNE_H
#define ACCTFLOW_PRUNE_H

#include "writer.h"

int prune_main(const struct writer_options *o);
int forget_main(const struct writer_options *o);

#endif
