/* The verb `run`: updates in, events out. */
#ifndef ACCTFLOW_RUN_H
#define ACCTFLOW_RUN_H

#include "writer.h"

/* Returns the exit code, as each verb does. */
int run_main(const struct writer_options *o);

#endif
