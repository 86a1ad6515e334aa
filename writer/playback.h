/* The verb replay: the history emitted again. */
#ifndef ACCTFLOW_PLAYBACK_H
#define ACCTFLOW_PLAYBACK_H

#include "writer.h"

int playback_main(const struct writer_options *o);

#endif
