/* Moments and accounts as people name them. */
#ifndef ACCTFLOW_MOMENT_H
#define ACCTFLOW_MOMENT_H

#include "pg.h"

/* A moment as the database takes it: RFC 3339; `+MS` from the start of the source's run; or an offset of the source,
 * the moment at which that record was ingested. Without a source there must be one only. NULL for NULL. Exits where
 * it is none. The text is kept until the program ends. */
const char *moment_find(struct pg *pg, const char *text, const char *source);

/* The account whose id that is, else the only one whose id begins so; exits where it is the beginning of several. An id
 * that nobody has is returned as it is, NULL for NULL. */
const char *account_find(struct pg *pg, const char *text);

#endif
