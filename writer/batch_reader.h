/* Lines become items of the batch that is being filled, also while the one before is
 * being committed. A batch holds records of one source; `begin` is one of its own and
 * `end` closes one. */
#ifndef ACCTFLOW_BATCH_READER_H
#define ACCTFLOW_BATCH_READER_H

#include "batch.h"
#include "lines.h"

struct batch_reader {
	struct lines in;
	struct batch *next;
	size_t most; /* items in a batch */
	int64_t epoch;
	bool ended; /* an `end` came: the input is whole */
	/* The rest is its own. */
	struct record record;
	struct update update;
	struct buf reason, scratch;
	struct slice held; /* a line that waits for the next batch */
	bool holds, held_long;
};

/* Takes the lines that were read into the batch. Returns false when it is full: nothing must be read before the batch
 * was exchanged. */
bool batch_reader_take(struct batch_reader *r);

/* Reads once what is waiting, then takes it. The same result; also false at the end of the input. Exits 111 where the
 * input cannot be read. */
bool batch_reader_read(struct batch_reader *r);

/* Nothing is left: the input has ended and all of its lines were taken. */
bool batch_reader_over(const struct batch_reader *r);

#endif
