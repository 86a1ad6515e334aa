/* A statement's parameters: scalars by value, arrays in the server's binary form. */
#ifndef ACCTFLOW_PG_PARAM_H
#define ACCTFLOW_PG_PARAM_H

#include "buf.h"

enum pg_type { PG_BOOLS, PG_TEXTS, PG_BIGINTS, PG_TIMES, PG_NUMERICS };

/* An array under construction. */
struct pg_array {
	unsigned oid;
	uint32_t count;
	struct buf bytes;
};

/* Empties an array, whose elements are appended by the functions below. */
void pg_array(struct pg_array *a, enum pg_type type);
void pg_push_text(struct pg_array *a, struct slice s);
void pg_push_i32(struct pg_array *a, int32_t v);  /* integer */
void pg_push_i64(struct pg_array *a, int64_t v);  /* bigint */
void pg_push_time(struct pg_array *a, int64_t t); /* microseconds since 1970 */
void pg_push_u64(struct pg_array *a, uint64_t v); /* numeric */
void pg_push_bool(struct pg_array *a, bool v);
void pg_push_null(struct pg_array *a);

/* Rows for a binary COPY, in the same buffer: start, then for each row pg_rows_add and a push of every column, then
 * pg_rows_add of -1 for the end. */
void pg_rows_start(struct pg_array *a);
void pg_rows_add(struct pg_array *a, int columns);

/* A parameter. What it is made of must live until it is queued. */
struct pg_param {
	unsigned oid;	    /* 0: the server infers the type from the number's text */
	struct slice bytes; /* p NULL: null, or a number */
	bool is_number;
	int64_t number;
};

struct pg_param pg_null_param(void);
struct pg_param pg_text_param(struct slice s);
struct pg_param pg_string_param(const char *s); /* null for NULL */
struct pg_param pg_bool_param(bool v);
struct pg_param pg_i64_param(int64_t v);
struct pg_param pg_offset_param(int64_t v); /* null where it is below 0 */
struct pg_param pg_array_param(const struct pg_array *a);

/* The parameters of a statement, and how many. */
#define PG_PARAMS(...)                                                                                                 \
	(const struct pg_param[]){__VA_ARGS__}, sizeof((const struct pg_param[]){__VA_ARGS__}) / sizeof(struct pg_param)

#endif
