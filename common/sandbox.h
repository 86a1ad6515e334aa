/* Least privilege: once a program holds what it needs, it gives up the rest, so that whatever a hostile input might
 *make of it reaches no further. Landlock says which files and TCP ports there still are, a filter (filter.h) which
 *system calls; no_new_privs goes before both. What is open by then stays open, and looking at a name (stat) stays
 *allowed.
 *
 *	struct sandbox c;
 *	sandbox_begin(&c, SANDBOX_CALLS);
 *	sandbox_read(&c, path);
 *	sandbox_end(&c);
 *
 * Nothing of it can be undone, and child processes and later threads inherit it; threads that run already do not.
 * Where the kernel lacks the means there is one warning, and the program goes on without. Builds with a sanitizer,
 *which itself reads files and traces, and builds with -DACCTFLOW_UNCONFINED do nothing here. */
#ifndef ACCTFLOW_CONFINE_H
#define ACCTFLOW_CONFINE_H

#include <stdbool.h>
#include <stdint.h>

enum {
	SANDBOX_CALLS = 1, /* filter system calls too: for programs that only read and write, no network, no children */
	SANDBOX_ABSTRACT =
	    2, /* Unix sockets with abstract names of others may be connected to; those in files always may */
};

struct sandbox {
	unsigned flags;
	int ruleset; /* of Landlock; -1: there is none, `error` says why */
	int error;
	uint64_t known;	    /* the rights that this kernel's Landlock can refuse */
	bool reads, writes; /* some file is */
};

/* --no-sandbox: what follows does nothing. */
void sandbox_never(void);

void sandbox_begin(struct sandbox *c, unsigned flags);

/* A file, or a folder and all beneath it, may be read from now on; or written too, files made, renamed and deleted
 * there; or read and executed. What is not there is passed over: opening it later fails as it would have. */
void sandbox_read(struct sandbox *c, const char *path);
void sandbox_write(struct sandbox *c, const char *path);
void sandbox_execute(struct sandbox *c, const char *path);

/* Ports that may be connected to, or listened on. Without any no TCP is. UDP and Unix sockets in files are not
 * Landlock's business: only SANDBOX_CALLS refuses those. */
void sandbox_connect(struct sandbox *c, uint16_t port);
void sandbox_listen(struct sandbox *c, uint16_t port);

/* From here on all else is refused. Ends the program where memory is out (111). */
void sandbox_end(struct sandbox *c);

#endif
