/* A map makes updates out of the records of another format: it names, for each member of an
 * update, JSON pointers (RFC 6901) into the record, or a constant. The pointers are looked up
 * while the record is scanned, in one pass. doc/maps.md has the language, map_load.h loads one. */
#ifndef ACCTFLOW_MAP_H
#define ACCTFLOW_MAP_H

#include "record.h"

enum { MAP_NODES = 128, MAP_RULES = 16, MAP_POINTERS = 8, MAP_VALUES = 16 };

/* Of the tree of the pointers' names. Where a pointer ends: what was found there in this record. */
struct map_node {
	struct slice name;	 /* without escapes */
	size_t index;		 /* the name as an array's index; SIZE_MAX: it is none */
	int child, sibling;	 /* 0: none */
	struct lead *lead;	 /* of its members, where it has children */
	const char *pointer;	 /* NULL: no pointer ends here */
	struct slice value;	 /* empty: not there */
	bool escaped, spaced;	 /* as json_scan has them */
	struct json_fault fault; /* what Postgres would refuse in it */
	struct buf text;	 /* of a string that holds JSON: the value is that, then */
};

/* Where a member comes from. */
struct map_rule {
	const char *name;
	int member; /* enum member, or one of those below */
	int from[MAP_POINTERS], from_n;
	bool joined;
	const char *separator;
	struct slice constant, fallback; /* tokens; empty: none */
	const char *value[MAP_VALUES];
	int values_n;
	struct buf parts, text; /* of a value that was put together: its characters; the token */
	int found;		/* the node that it came from; -1: none */
};

enum { MAP_SKIP = M_COUNT, MAP_PARTITION };

enum { MAP_RECORD, MAP_WRAPPER }; /* the first nodes: what is mapped, and what it is unwrapped from */

struct map {
	/* As it was loaded. */
	struct map_node node[MAP_NODES];
	int nodes;
	struct map_rule rule[MAP_RULES];
	int rules;
	int unwrap;	 /* the node of the array; 0: none */
	bool has_offset; /* records carry the stream's own position */

	/* Of the record that was parsed last. */
	bool skipped;		/* it is nothing for us */
	struct slice partition; /* the stream that it says it is of, a JSON token; empty: it does not say */
	struct slice elements;	/* what is left to unwrap; empty: nothing */

	/* The rest is its own. */
	const struct map_node *broken; /* a string on the way of a pointer that begins like JSON, and is not */
	struct json_scan scan;
	struct buf name;
};

/* record_parse, for a record of the map's format: r has the update's members, as far as they were found, for
 * update_read. Slices live as long as the text and until the next call. Where the map unwraps, r is empty and the
 * elements follow by map_next. */
enum json_status map_parse(struct map *m, const char *p, const char *end, struct record *r);

/* The next element's text, and what it is mapped to. Returns false where none is left. */
bool map_next(struct map *m, struct slice *raw, struct record *r);

/* Appends the pointers of the member that the reason begins with. */
void map_reason(const struct map *m, struct buf *reason);

/* Appends a line for each member: its name, what it became, and from where. */
void map_explain(const struct map *m, const struct record *r, struct buf *b);

#endif
