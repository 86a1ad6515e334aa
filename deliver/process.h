/* Commands as receivers: one started for each callback, or some that live on and answer line by line. */
#ifndef ACCTFLOW_PROCESS_H
#define ACCTFLOW_PROCESS_H

#include "receiver.h"

/* `worker`: commands that live on. The command is the shell's. */
void process_open(const char *command, bool worker, const struct receiver_options *o);

/* Hands a callback over. There must be a place free. */
void process_start(struct job *job);

/* The next answer that is there, in *a, whose text is used again. False: none. */
bool process_answer(struct answer *a);

/* A descriptor that is readable when process_answer has something to do, and a time by when; -1: none. */
int process_fd(void);
int64_t process_deadline(void);

/* Lets workers end by the end of their input, for at most two seconds. */
void process_close(void);

#endif
