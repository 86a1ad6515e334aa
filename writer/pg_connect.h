/* How a connection comes about: hosts one after the other, each with its own time, again and again with growing pauses
 * up to the deadline. */
#ifndef ACCTFLOW_PG_CONNECT_H
#define ACCTFLOW_PG_CONNECT_H

#include "pg.h"

/* What all connections share: `conninfo` may be empty (libpq's defaults and PG*); `deadline_s` is how long an
 * unreachable database is tried, and how long a running statement may go without a word from the server (0: tried once,
 * and a minute). `patient`: a Unix socket that is not there yet is waited for too. A conninfo with a password in it is
 * refused (exit 100). */
void pg_configure(const char *conninfo, const char *passfile, uint64_t deadline_s, bool patient);
int64_t pg_deadline(void); /* in microseconds */

struct pg_fault {
	struct buf text; /* one line */
	char sqlstate[6];
};

/* Adds the first line of a message of libpq's, and sets the SQLSTATE. */
void pg_fault_add(struct pg_fault *f, const char *message, const char *sqlstate);

/* What an SQLSTATE asks for. */
enum pg_status pg_classify(const char *sqlstate);

struct pg_dial {
	const char *application;
	bool writing;	       /* a server that is read only is of no use */
	bool before;	       /* there was a connection before */
	bool absent;	       /* the last round found no Unix socket */
	bool told;	       /* a failure was logged */
	struct pg_conn *conn;  /* under way; NULL: a round is to begin. The caller takes it once it is made */
	short events;	       /* what it waits for */
	int host, hosts;       /* the one that is tried, of how many */
	int64_t start, limit;  /* of all rounds */
	int64_t until, pause;  /* of the host, or of the pause before the round; the next pause */
	enum pg_status worst;  /* of this round: PG_FATAL only where all hosts are */
	struct pg_fault fault; /* the last error, whether of connecting or of what came after it */
};

void pg_dial_start(struct pg_dial *d);

/* PG_WAIT; PG_OK: d->conn is made, and the caller's, who sets it NULL; PG_RETRY past the deadline or when asked to
 * stop; PG_FATAL where trying again cannot help. */
enum pg_status pg_dial_step(struct pg_dial *d, struct pg_wait *wait);
void pg_dial_end(struct pg_dial *d);

/* Whether a descriptor is ready now. */
bool pg_fd_ready(int fd, short events);

#endif
