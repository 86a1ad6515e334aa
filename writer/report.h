/* The verb report. */
#ifndef ACCTFLOW_REPORT_H
#define ACCTFLOW_REPORT_H

#include "writer.h"

int report_main(const struct writer_options *o);

#endif
