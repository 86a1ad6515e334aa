/* The schema: made and brought up to date from sql/, under a lock, in one transaction. */
#ifndef ACCTFLOW_MIGRATE_H
#define ACCTFLOW_MIGRATE_H

#include "pg.h"

/* Checks the server and the schema, and migrates where that is needed and allowed. Exits 100 where the server is too
 * old, not UTF-8, the schema newer than this program, or migrating is not allowed, naming what to do; 111 where the
 * database cannot be reached. Returns how many migrations were made. */
int migrate(struct pg *db);

/* The newest version of the schema, which this program works with. */
int migrate_version(void);

#endif
