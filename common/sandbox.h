/* Once a program holds what it needs it gives up the rest, so that whatever hostile input might make of it reaches no
 * further: Landlock limits files, TCP and signals, a filter system calls. What is open by then stays open, and names
 * may still be looked up (stat). None of it can be undone, and child processes inherit it. A kernel without the means
 * gets one warning, and the program goes on. Builds with a sanitizer and with -DACCTFLOW_UNSANDBOXED give up nothing.
 */
#ifndef ACCTFLOW_SANDBOX_H
#define ACCTFLOW_SANDBOX_H

#include <stdbool.h>
#include <stdint.h>

enum { SANDBOX_CALLS = 1 }; /* filter system calls too: for a program that only reads and writes */

struct sandbox {
	unsigned flags;
	int ruleset, error; /* Landlock's; -1: none, and why */
	uint64_t known;	    /* the rights that this kernel's Landlock can refuse */
	bool reads, writes; /* some file is */
};

/* --no-sandbox: the functions below do nothing. */
void sandbox_never(void);

/* For a program that keeps its files and its network, such as writer: only no_new_privs. */
void sandbox_privileges(void);

void sandbox_begin(struct sandbox *s, unsigned flags);

/* A file, or a folder and all beneath it, can still be read; or read and written, and files created, renamed and
 * deleted there. A path that does not exist is passed over. */
void sandbox_read(struct sandbox *s, const char *path);
void sandbox_write(struct sandbox *s, const char *path);

/* From here on everything else is refused. Ends the program when memory is out (111). */
void sandbox_end(struct sandbox *s);

#endif
