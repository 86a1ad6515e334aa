/* The verbs that look at rejects, and choose some to be read again or discarded. */
#ifndef ACCTFLOW_REDRIVE_H
#define ACCTFLOW_REDRIVE_H

#include "writer.h"

int rejected_main(const struct writer_options *o);

/* Prints the open rejects that were chosen, each as its key, a space, and its record as a line; --as: marks those whose
 * keys stand on standard input; --discard: discards them. */
int redrive_main(const struct writer_options *o);

#endif
