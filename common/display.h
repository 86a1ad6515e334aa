/* Records as lines for people: what a terminal shows instead of NDJSON. */
#ifndef ACCTFLOW_DISPLAY_H
#define ACCTFLOW_DISPLAY_H

#include "options.h"
#include "record.h"

/* How records are printed on a descriptor: --format, or by whether it is a terminal. */
struct display_style {
	bool people; /* lines for people, else the records as they are */
	bool color;
};

/* Decides format and colour (a terminal, and not with NO_COLOR) for fd. */
struct display_style display_style(enum format format, int fd);

/* Appends one record's line, with its newline: as it is, or for people. The record is parsed only for people. */
void display_record(struct buf *out, struct display_style style, struct slice line);

#endif
