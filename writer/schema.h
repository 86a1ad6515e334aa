/* The schema: made and brought up to date from sql/, under a lock, in one transaction. Its relation of migrations keeps
 * a hash of each file, so that a database is never taken for one that was made by other files. */
#ifndef ACCTFLOW_SCHEMA_H
#define ACCTFLOW_SCHEMA_H

#include "pg.h"

/* The version that this program works with; they count from 1. Beside them: no schema, one that other files made. */
enum { SCHEMA_VERSION = 1, SCHEMA_NONE = 0, SCHEMA_FOREIGN = -1 };

/* What a database has; programs of versions before `oldest` do not work with it. */
struct schema {
	int version, oldest;
};

enum pg_status schema_read(struct pg *pg, struct schema *s);

/* Whether this program works with it: it has this version, or a newer one that only adds to it. */
bool schema_works(const struct schema *s);

/* Checks server and schema, and migrates where that is needed and allowed. With `distribute` the tables become Citus's,
 * in so many shards (0: its own number). Exits 100 where the server is too old, not UTF-8, the schema too new or
 * another's, or migrating is not allowed, naming what to do; 111 where what passes did not pass within the deadline. */
void schema_migrate(struct pg *pg, bool distribute, unsigned shards);

/* The same for who only looks: exits where the schema is not there, or this program does not work with it. Returns its
 * version. */
int schema_check(struct pg *pg);

#endif
