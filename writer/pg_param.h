/* Parameters and rows in the server's binary form. */
#ifndef ACCTFLOW_PG_PARAM_H
#define ACCTFLOW_PG_PARAM_H

#include "buf.h"

/* A parameter: an array in binary form under construction, or one scalar as text. */
struct pg_param {
	unsigned type; /* OID; 0: the server infers it from a scalar's text */
	bool array, null;
	uint32_t count;
	struct buf bytes;
};

/* Empties p for an array of that type, and of elements of that one. Elements are appended by the functions below. */
void pg_array(struct pg_param *p, unsigned type, unsigned element);
#define pg_array_bool(p) pg_array(p, 1000, 16)
#define pg_array_text(p) pg_array(p, 1009, 25)
#define pg_array_bigint(p) pg_array(p, 1016, 20)
#define pg_array_time(p) pg_array(p, 1185, 1184)
#define pg_array_numeric(p) pg_array(p, 1231, 1700)
void pg_push_text(struct pg_param *p, struct slice s);
void pg_push_i32(struct pg_param *p, int32_t v);  /* integer */
void pg_push_i64(struct pg_param *p, int64_t v);  /* bigint */
void pg_push_time(struct pg_param *p, int64_t t); /* microseconds since 1970 */
void pg_push_u64(struct pg_param *p, uint64_t v); /* numeric */
void pg_push_bool(struct pg_param *p, bool v);
void pg_push_null(struct pg_param *p);

/* Scalars, as text. */
void pg_set_text(struct pg_param *p, struct slice s);
void pg_set_i64(struct pg_param *p, int64_t v);
void pg_set_null(struct pg_param *p);
void pg_params_free(struct pg_param *p, int n);

/* Completes an array's header: only when it is sent is its length known. */
void pg_array_end(const struct pg_param *p);

/* Rows for a binary COPY: start, then for each row pg_rows_add and a push of every column, then end. */
void pg_rows_start(struct pg_param *p);
void pg_rows_add(struct pg_param *p, int columns);
void pg_rows_end(struct pg_param *p);

#endif
