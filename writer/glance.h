/* Events as reader, writer and timerd write them, known by their first bytes. What is written in any other way is not
 * known, and must be parsed. */
#ifndef ACCTFLOW_GLANCE_H
#define ACCTFLOW_GLANCE_H

#include "record.h"

enum glance {
	GLANCE_UNKNOWN,
	GLANCE_INDEXED,
	GLANCE_OTHER, /* ignored, rejected */
	GLANCE_CANCELLED,
	GLANCE_FIRED,
};

/* Where such a line is a record at all, it is of this event; where its event has an offset, *offset is that. `place` is
 * what precedes the offset, as glance_place makes it: with another one in it a line is not known. */
enum glance glance_at(struct slice line, struct slice place, int64_t *offset);

/* From the source's JSON text. */
void glance_place(struct buf *place, struct slice source);

/* The time between the quotes, of an `indexed` that ends in its times; else empty. */
struct slice glance_ingested_at(struct slice line);

#endif
