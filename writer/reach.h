/* What writer may still reach once it is connected: what libpq needs to connect again. */
#ifndef ACCTFLOW_REACH_H
#define ACCTFLOW_REACH_H

#include "pg.h"

/* Gives up all else, by what the connection was made with. */
void reach_confine(const struct pg *db);

#endif
