/* The stream that reader emits: `begin`, each record of its inputs in its place, at its time, and
 * `end`. */
#ifndef ACCTFLOW_STREAM_H
#define ACCTFLOW_STREAM_H

#include "arrival.h"
#include "copier.h"
#include "display.h"
#include "file.h"
#include "follow.h"
#include "output.h"
#include "reorder.h"
#include "sample.h"
#include "shard.h"
#include "split.h"
#include "spool.h"

/* Where an update is checked that was read before. */
struct check {
	const char *text; /* as it was given; NULL: nowhere */
	uint64_t offset, hash;
	bool passed;
};

struct stream {
	/* As the options set them. */
	struct arrival arrival;
	struct shard shard;
	struct check check;
	struct copier_options copier;
	struct sample sample;
	uint64_t from, to, count, catch_up;
	bool seeded, limited, counted, catching_up;
	bool follows, lines, strict, explains, paced, resumes;
	const char *source, *fingerprint, *map;
	int clock, format, mode;
	int64_t epoch;

	char *const *paths;
	int paths_n;
	struct spool spool;   /* path NULL: files are read */
	struct follow follow; /* with --follow */
	const char *name;     /* of what is read now, for messages */
	int fd;
	uint64_t bytes; /* that were read in all */
	struct fingerprint *print;
	struct buf hint; /* what the input seems to be instead of updates */
	bool guessed, hopeless;

	struct output out;
	struct display_style style;
	struct slice token;   /* the source as JSON */
	struct buf partition; /* the one that its records have to be of, as JSON; empty: any */
	struct split split;
	struct update update;
	struct reorder reorder;
	struct buf line, raw;
	uint64_t ordinal;	  /* of the next record of the stream */
	uint64_t passed, refused; /* of the stream, from --from on */
	uint64_t read;		  /* of those, this shard's */
	uint64_t first;		  /* the first ordinal that is waited for */
	uint64_t base;		  /* when the one before it arrived: the timeline starts anew there */
	int64_t start;
	bool enough; /* --count or --to is reached */
	bool halted; /* stopped by a signal before all was emitted */
	bool ended;  /* the input said that it ends */
	bool broken; /* the input ends where it should not */
	int code;
};

/* Emits it, as the options say, from inputs that were checked and opened as far as they need to be. Sets st->code. */
void stream_emit(struct stream *st);

#endif
