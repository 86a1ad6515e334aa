/* What writer's verbs share: the options, and the way to the database. */
#ifndef ACCTFLOW_WRITER_H
#define ACCTFLOW_WRITER_H

#include "pg.h"
#include "output.h"
#include "display.h"

enum { STOP_READS = 8 }; /* told to stop: the most that is still read of what is waiting, 1 MiB as a pipe holds */

struct writer_options {
	const char *database, *config_database, *password_file, *home, *source, *type;
	const char *operand; /* history's account id */
	uint64_t batch, lanes, deadline, token, interval;
	bool token_given, resume, strict;
	int clock; /* 1: virtual */
	int64_t epoch;
	int format;
};

/* Tells db.h where the database is, and how long it is tried. */
void writer_configure(const struct writer_options *o, uint64_t deadline);

/* A new connection with the schema checked, and migrated where that is allowed. Exits where that fails. */
struct pg *writer_connect(const struct writer_options *o, const char *application);

/* The same for a verb that only looks: it migrates nothing, and exits where there is nothing to look at. */
struct pg *writer_look(const struct writer_options *o, const char *application);

/* The verbs: each returns the exit code. */
int run_main(const struct writer_options *o);
int ack_main(const struct writer_options *o);
int claim_main(const struct writer_options *o);
int pending_main(const struct writer_options *o);

/* Tells what is pending of a source after its events up to `delivered` (NULL and -1: of all, all), as `pending` events.
 */
void pending_tell(
    struct pg *db, struct output *out, struct display_style style, const struct slice *source, int64_t delivered);

#endif
