/* The database's figures, by way of `writer status --interval`: a child process, and the newest of what it printed.
 * Only writer talks to Postgres. */
#ifndef ACCTFLOW_DATABASE_H
#define ACCTFLOW_DATABASE_H

#include "buf.h"

/* The numbers and the JSON arrays that are known, by their names in writer's output. */
/* clang-format off */
enum db_number {
	DB_READ, DB_INDEXED, DB_STALE, DB_DUPLICATE, DB_CONFLICT, DB_SKIPPED, DB_REJECTED, DB_FIRED, DB_FAILED, DB_CANCELLED,
	DB_PENDING, DB_TOTALS, /* up to here totals that people see */
	DB_OVERDUE = DB_TOTALS, DB_SCHEMA, DB_SCHEMA_WANTED, DB_MACHINES,
	DB_KINDS, DB_NUMBERS = DB_KINDS + 9 /* rejects, by what was wrong: "rejected.KIND" */
};
enum { DB_ERROR, DB_SOURCES, DB_PENDING_BY_DUE, DB_RICHEST, DB_REJECTS, DB_FLEET, DB_TEXTS };
/* clang-format on */
extern const char *const db_numbers[DB_NUMBERS], *const db_texts[DB_TEXTS];

struct database {
	int fd;			    /* to poll for POLLIN; -1: nobody is asked */
	int64_t answered, expected; /* when it answered last (0: never), and when it will have again */
	uint64_t answers;	    /* blocks so far, errors included */
	int64_t number[DB_NUMBERS]; /* -1: unknown */
	struct buf text[DB_TEXTS];  /* DB_ERROR: of the last block; empty: none */
	bool failed;		    /* an error line came in this block */
	struct buf in;
};

/* Starts `writer`, which inherits the environment; NULL: nobody is asked. */
void database_start(struct database *db, const char *writer);

/* Call once a second: notes when no answer comes. */
void database_tend(struct database *db);

/* Reads what is there at db->fd. Ends the program (111) when writer has ended. */
void database_read(struct database *db);

#endif
