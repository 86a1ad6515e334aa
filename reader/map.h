/* A map makes updates out of the records of another format: it names, for each member of an
 * update, JSON pointers (RFC 6901) into the record, or a constant. The pointers are looked up
 * while the record is scanned, in one pass. doc/maps.md has the language. */
#ifndef ACCTFLOW_MAP_H
#define ACCTFLOW_MAP_H

#include "record.h"

struct map;

/* Loads one of the maps that come along, by its name, or a file (a name with a slash or a dot). Ends the program with a
 * message where it cannot. Never freed. */
struct map *map_load(const char *name);

/* Whether records carry the stream's own position. */
bool map_has_offset(const struct map *m);

/* record_parse, for a record of the map's format: r has the update's members, as far as they were found, for
 * update_read. Slices live as long as the text and until the next call. Where the map unwraps, r is empty and the
 * elements follow by map_next. */
enum json_status map_parse(struct map *m, const char *p, const char *end, struct record *r);

/* Whether that record is nothing for us. */
bool map_skipped(const struct map *m);

/* Whether records are unwrapped; whether there are elements left; the next one's text and what it is mapped to, or
 * false. */
bool map_unwraps(const struct map *m);
bool map_left(const struct map *m);
bool map_next(struct map *m, struct slice *raw, struct record *r);

/* Forgets the elements that are left: what they stand in is no record. */
void map_drop(struct map *m);

/* Appends the pointers of the member that the reason begins with. */
void map_reason(const struct map *m, struct buf *reason);

/* Appends a line for each member: its name, what it became, and from where. */
void map_explain(const struct map *m, const struct record *r, struct buf *b);

#endif
