/* What writer's verbs share: the options, and the way to the database. */
#ifndef ACCTFLOW_WRITER_H
#define ACCTFLOW_WRITER_H

#include "display.h"
#include "loop.h"
#include "output.h"
#include "pg.h"
#include "shard.h"

enum { STOP_READS = 8 }; /* asked to stop: the most that is still read of what is waiting, 1 MiB as a pipe holds */

struct writer_options {
	const char *database, *config_database, *password_file, *home, *source, *type, *output_lock, *lease, *machine,
	    *list, *prefix, *at, *reason, *as, *from, *to;
	const char *verb;
	char **operands; /* ended by NULL */
	struct shard shard;
	uint64_t batch, deadline, token, interval, shard_count, top, due_within, later_than, keep, callback_ms;
	int state; /* of callbacks, by callback_states */
	bool due_within_given, later_than_given, token_given, resume, strict, pipelines, distributed, join, leave, once,
	    open, counts, discard, updates, before_given, callback_given;
	int clock; /* 1: virtual */
	int64_t epoch, before;
	int format, kind; /* kind -1: any */
};

/* The states of callbacks that can be asked for; the first is any. */
#define CALLBACK_STATES "any|pending|fired|cancelled|failed"
extern const char *const callback_states[];

/* Says where the database is, and how long it is tried. */
void writer_configure(const struct writer_options *o, uint64_t deadline);

/* A new connection with the schema checked: migrated where that is needed and allowed, else as it is, for a verb that
 * only looks. Exits where that fails. */
struct pg *writer_open(const struct writer_options *o, const char *application, bool migrates);

#endif
