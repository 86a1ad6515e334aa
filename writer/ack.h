/* The verb `ack`: passes events on and records what was delivered. */
#ifndef ACCTFLOW_ACK_H
#define ACCTFLOW_ACK_H

#include "writer.h"

int ack_main(const struct writer_options *o);

#endif
