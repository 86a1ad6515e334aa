/* The verb `status --interval`, which statusd reads. */
#ifndef ACCTFLOW_WATCH_H
#define ACCTFLOW_WATCH_H

#include "writer.h"

int watch_main(const struct writer_options *o);

#endif
