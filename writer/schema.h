/* The schema: made and brought up to date from sql/, under a lock, in one transaction. Its relation of migrations keeps
 * a hash of each file, so that a database is never taken for one that was made by other files. */
#ifndef ACCTFLOW_SCHEMA_H
#define ACCTFLOW_SCHEMA_H

#include "pg.h"

enum { SCHEMA_NONE = 0, SCHEMA_FOREIGN = -1 }; /* beside versions from 1 on */

/* The newest version, which this program works with. */
int schema_version(void);

/* Reads the database's version: SCHEMA_NONE, or SCHEMA_FOREIGN where other files made it. */
enum pg_status schema_read(struct pg *pg, int *version);

/* Checks server and schema, and migrates where that is needed and allowed. Exits 100 where the server is too old, not
 * UTF-8, the schema newer or another's, or migrating is not allowed, naming what to do; 111 where what passes did not
 * pass within the deadline. Returns how many migrations were made. */
int schema_migrate(struct pg *pg);

/* The same for who only looks: exits where the schema is not there, or not this version's. */
void schema_check(struct pg *pg);

#endif
