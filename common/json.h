/* The record scanner: one strict pass over JSON text (RFC 8259), without
 * allocation, yielding slices of the text. It knows two kinds of fault: bytes that
 * are not JSON, where scanning ends, and JSON that acctflow must refuse because
 * Postgres cannot store it, which is noted while scanning goes on, so that the end
 * of the value is known all the same. */
#ifndef ACCTFLOW_JSON_H
#define ACCTFLOW_JSON_H

#include "buf.h"

enum {
	JSON_DEPTH = 512,   /* deepest nesting of arrays and objects in a record */
	JSON_DIGITS = 1000, /* most digits of a number, written out without exponent */
};

enum json_status {
	JSON_OK,
	JSON_MORE, /* the text ended inside the value */
	JSON_BAD,  /* not JSON, see fault */
	JSON_DEEP, /* nested deeper than allowed: its end was not looked for */
};

/* What is wrong with a value, and where. `why` is NULL while nothing is; it is a constant string. */
struct json_fault {
	const char *why;
	const char *at;
};

struct json_scan {
	const char *end;	  /* one past the value's last byte (JSON_OK) */
	struct json_fault fault;  /* why it is not JSON (JSON_BAD) */
	struct json_fault refuse; /* the first thing in it that Postgres would refuse; the value is JSON */
	bool spaced;		  /* there was white space between its tokens */
	bool escaped;		  /* there is a backslash in one of its strings */
	struct buf *compact;	  /* where not NULL: gets the value's text without that white space, as far as `rest` */
	const char *rest;	  /* starts as the value's first byte */
};

/* Scans one value that starts at p, which must not be white space. `depth` levels of nesting are around it already.
 * A number that reaches `end` counts as complete: only the caller knows whether more could come. s->refuse,
 * s->spaced and s->escaped are only ever set, never cleared, so that one struct can collect over several values. */
enum json_status json_value(const char *p, const char *end, int depth, struct json_scan *s);

/* The first byte at or after p that is not JSON white space, or end. */
const char *json_blanks(const char *p, const char *end);

/* The same; sets *seen where there was some. Mostly there is none, or one space. */
static inline const char *
json_space(const char *p, const char *end, bool *seen)
{
	if (p == end || (unsigned char)*p > ' ')
		return p;
	const char *q = end - p > 1 && *p == ' ' && (unsigned char)p[1] > ' ' ? p + 1 : json_blanks(p, end);
	if (q != p)
		*seen = true;
	return q;
}

/* Scans a string whose opening quote is at p. */
enum json_status json_string(const char *p, const char *end, struct json_scan *s);

/* Scans a member's name and its colon. *token is the name with its quotes; s->end is where the value starts. */
enum json_status json_name(const char *p, const char *end, struct slice *token, struct json_scan *s);

/* Notes in s why the text at `at` is not JSON; returns JSON_BAD. */
enum json_status json_bad(struct json_scan *s, const char *at, const char *why);

/* Appends a valid value without the white space between its tokens and around it. */
void json_compact(struct buf *b, struct slice value);

/* Appends the characters that a valid string token (with its quotes) stands for. */
void json_unescape(struct buf *b, struct slice token);

/* Reads an integer of digits only, 0..max. Returns 0, -1 where it is not one, -2 where it is too large. */
int json_integer(struct slice token, uint64_t max, uint64_t *value);

#endif
