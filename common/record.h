/* Records, the JSON objects that the programs exchange: one line is taken apart
 * into the members that the contract names, each a slice of the line, and an update
 * is checked against the contract's rules. Nothing is copied but what has escapes. */
#ifndef ACCTFLOW_RECORD_H
#define ACCTFLOW_RECORD_H

#include "json.h"

#include <string.h>

/* clang-format off */
enum member {
	M_EVENT, M_SOURCE, M_SHARD, M_OFFSET, M_ID, M_VERSION, M_ACCOUNT_TYPE, M_TOKENS, M_CALLBACK_TIME_MS,
	M_DELETED, M_DATA, M_ARRIVE_MS, M_TRACE, M_INGESTED_AT, M_DUE_AT, M_CURRENT_VERSION, M_REASON,
	M_REPLAYED, M_SUPERSEDED_BY, M_CANCELLED_AT, M_FIRED_AT, M_LATENESS_US, M_RECOVERED, M_LINE, M_RAW,
	M_RAW_BYTES, M_RAW_ENCODING, M_SEED, M_ARRIVAL, M_DELAY_MS, M_SPEED, M_CLOCK, M_FROM, M_FINGERPRINT,
	M_STARTED_AT, M_READ, M_LAST_OFFSET, M_COMPLETE, M_BROKEN, M_ATTEMPTS, M_ERROR,
	M_READ_AT, M_COMMIT_AT, M_COMMITTED_AT, M_BATCH, M_ATTEMPTS_AT, M_COUNT
};
/* clang-format on */

enum { LEADS = 16 }; /* of so many members a record's leads are remembered */

extern const char *const member_name[M_COUNT];

/* What stands before a member's value: comma, name, colon, the white space between. Records of one source mostly have
 * the same leads in the same order, so what was parsed at the same place of the record before is known again by its
 * bytes. */
struct lead {
	unsigned char n, name, name_n, member; /* its length; where its name is, with quotes; which that is */
	char text[44];
};

struct record {
	/* The members' values as they stand in the line, strings with their quotes, empty where missing. */
	struct slice m[M_COUNT];
	uint64_t escaped;	 /* which of them have a backslash in a string, a bit each */
	bool spaced[M_COUNT];	 /* there is white space between the value's tokens */
	struct buf compact;	 /* data without that white space, where there is some */
	const char *end;	 /* one past the object */
	struct json_fault fault; /* JSON_BAD: why it is not JSON. JSON_OK: why it must be refused, or NULL */
	struct slice member;	 /* the name of the member that the fault is of, as it stands there; empty: of none */
	/* The rest is the parser's own, kept to be used again. */
	struct lead lead[LEADS]; /* of the members in their order, as last seen */
	struct slice *other;
	size_t other_len, other_cap;
	struct buf names;
};

/* Parses the value at p, which must not be white space. JSON_OK: it is JSON, r->end is set, and r->fault.why says what
 * is wrong with it as a record, if anything (not an object, a name twice, what Postgres cannot store). Other results
 * are json_value's. `r` starts zeroed, is used for any number of records, and is freed by record_free. The slices live
 * as long as the text. */
enum json_status record_parse(const char *p, const char *end, struct record *r);

/* Whether this lead stands at p, with a value behind it. */
static inline bool
lead_is(const struct lead *lead, const char *p, const char *end)
{
	return lead->n && end - p > lead->n && memcmp(p, lead->text, lead->n) == 0 && (unsigned char)p[lead->n] > ' ';
}

/* Parses one, or the closing brace: then the token is empty. s->end is behind it. */
enum json_status lead_parse(const char *p, const char *end, bool first, struct slice *token, struct json_scan *s);

/* Keeps its text, if it is short enough. */
void lead_keep(struct lead *lead, struct slice text, struct slice token, unsigned char member);

/* Its beginning and end, for another parser of records: forgets the record before, and sets what record_parse sets
 * where a value is scanned that starts at p. Returns the status. */
void record_clear(struct record *r);
enum json_status record_end(struct record *r, enum json_status status, const struct json_scan *s, const char *p);

/* Says of a line that was parsed with that status whether it is one record. Returns 0, or -1 with r->fault. */
int record_line(struct record *r, enum json_status status, const char *end);

/* Parses a whole line. Returns 0, or -1 with r->fault saying why it is no record, whatever the cause. */
int record_parse_line(struct slice line, struct record *r);
void record_free(struct record *r);

static inline bool
record_has(const struct record *r, enum member m)
{
	return r->m[m].n != 0;
}

/* Whether the member is this string (which needs no escapes). */
bool record_is(const struct record *r, enum member m, const char *text);

/* The text of a string member; `scratch` gets it where it has escapes. Empty where it is missing or no string. */
struct slice record_text(const struct record *r, enum member m, struct buf *scratch);

/* Integer and time members: 0, or -1 where missing or mistyped. */
int record_integer(const struct record *r, enum member m, uint64_t max, uint64_t *value);
int record_time(const struct record *r, enum member m, int64_t *t);

#define NO_TIME INT64_MIN
#define VERSION_MAX ((uint64_t)INT64_MAX)
#define CALLBACK_MAX UINT64_C(31536000000)
#define ARRIVE_MAX UINT64_C(10000000000000)
#ifndef FUZZING_BUILD_MODE_UNSAFE_FOR_PRODUCTION
enum { NAME_BYTES = 255, RECORD_BYTES = 16 << 20, RAW_BYTES = 64 << 10 };
#else /* libFuzzer's builds: small enough for it to come to them */
enum { NAME_BYTES = 255, RECORD_BYTES = 1 << 10, RAW_BYTES = 64 };
#endif

/* An update that keeps the contract's rules. Slices point into the line or into `scratch`. */
struct update {
	struct slice id, account_type; /* as text, escapes resolved; account_type is empty where a delete has none */
	uint64_t tokens;
	int64_t callback_ms; /* -1: this version has no callback */
	int64_t version;
	bool deleted;
	bool has_tokens;     /* false: a delete without them */
	struct slice data;   /* JSON text without white space between tokens, "null" where missing */
	int64_t arrive_ms;   /* -1 where missing */
	struct slice trace;  /* JSON string with its quotes, empty where missing */
	struct slice source; /* as text, empty where missing */
	int64_t offset;	     /* -1 where missing */
	int64_t read_at;     /* NO_TIME where missing, or no time */
	struct buf scratch;
};

/* Reads an update from a parsed record. Returns 0, or -1 with the reason (which member, and why) in `reason`, which is
 * set, not appended to. `u` starts zeroed and is used again; update_free frees it. */
int update_read(const struct record *r, struct update *u, struct buf *reason);
void update_free(struct update *u);

/* Sets the reason for a record that could not be parsed: which member, and why, with its byte in the record, from 1;
 * without it where `start` is NULL. Safe to print. */
void record_reason(struct buf *reason, const struct record *r, const char *start);

/* A hash of what the update says, by which a record that is read again is recognised: id, version, type, tokens,
 * callback, deleted and data. */
uint64_t update_hash(const struct update *u);

/* A rejected record: why, and as much of it as is kept. */
struct reject {
	struct slice reason;
	uint64_t line;	  /* in the input, from 1; 0: unknown */
	struct slice raw; /* text, or base64 where it is not valid UTF-8 or has NUL bytes */
	bool base64;
	uint64_t raw_bytes; /* the length of the whole record, of which raw may be the beginning */
};

/* Fills raw, base64 and raw_bytes from a record's bytes, the first ones of `total`. `scratch` is set to the base64. */
void reject_raw(struct reject *j, struct slice bytes, uint64_t total, struct buf *scratch);

/* Reads a `rejected` event. Slices point into the line or into `scratch`, which is set. What is missing is empty. */
void reject_read(const struct record *r, struct reject *j, struct buf *scratch);

#endif
