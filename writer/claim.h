/* The verbs `claim` and `pending`. */
#ifndef ACCTFLOW_CLAIM_H
#define ACCTFLOW_CLAIM_H

#include "writer.h"

int claim_main(const struct writer_options *o);
int pending_main(const struct writer_options *o);

#endif
