/* Intake: lines become items of the batch that is being filled, also while the one
 * before is in flight. A batch holds records of one source; begin opens one and end
 * closes it. */
#ifndef ACCTFLOW_INTAKE_H
#define ACCTFLOW_INTAKE_H

#include "batch.h"
#include "lines.h"

struct batch_reader {
	struct lines in;
	struct batch *next;
	size_t most; /* items in a batch */
	bool virtual_clock;
	int64_t epoch;
	bool ended; /* an `end` came: the input is whole */
	/* Its own. */
	struct record record;
	struct update update;
	struct buf reason, room;
	struct slice held; /* a line that waits for the next batch */
	bool holds, held_long;
};

/* Takes the lines that were read into the batch. Returns false when it is full: nothing must be read before the batch
 * was exchanged. */
bool batch_reader_take(struct batch_reader *t);

/* Reads once what is waiting, then takes it. The same result; also false at the end of the input. Exits 111 where the
 * input cannot be read. */
bool batch_reader_read(struct batch_reader *t);

/* Nothing left: the input has ended and all of its lines were taken. */
bool batch_reader_over(const struct batch_reader *t);

void batch_reader_free(struct batch_reader *t);

#endif
