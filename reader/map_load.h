/* Loads a map: one of those that come along, or a file. */
#ifndef ACCTFLOW_MAP_LOAD_H
#define ACCTFLOW_MAP_LOAD_H

#include "map.h"

/* `name` is one of maps/NAME.yaml, or a file where it has a slash or a dot. Ends the program with a message where it
 * cannot. Never freed. */
struct map *map_load(const char *name);

#endif
