/* The verb status --interval, from which statusd has the database's figures. */
#ifndef ACCTFLOW_WATCH_H
#define ACCTFLOW_WATCH_H

#include "writer.h"

int watch_main(const struct writer_options *o);

#endif
