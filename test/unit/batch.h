/* Gives back what the programs keep to their end. */
#ifndef ACCTFLOW_TEST_BATCH_H
#define ACCTFLOW_TEST_BATCH_H

#include "writer/batch.h"

#include <stdlib.h>

static void
batch_free(struct batch *b)
{
	batch_clear(b);
	buf_free(&b->text);
	buf_free(&b->source);
	buf_free(&b->token);
	free(b->items);
	*b = (struct batch){0};
}

#endif
