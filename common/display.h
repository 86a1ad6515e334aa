/* Records as lines for people: what a terminal shows instead of NDJSON. */
#ifndef ACCTFLOW_TEXT_H
#define ACCTFLOW_TEXT_H

#include "options.h"
#include "record.h"

/* How records are printed on a descriptor: by whether it is a terminal and --format. A format that the configuration or
 * the environment sets counts on a terminal only, or the middle of a pipeline would get lines for people. */
struct display_style {
	bool people; /* lines for people, else the records as they are */
	bool color;
};

/* Settles format and colour (a terminal, and not with NO_COLOR) for fd. */
struct display_style display_style(enum format format, int fd);

/* Appends one record's line, with its newline: as it is, or for people. The record is parsed only for people. */
void display_record(struct buf *out, struct display_style style, struct slice line);

#endif
