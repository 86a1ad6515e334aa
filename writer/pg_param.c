/* See pg_param.h. */
#include "pg_param.h"

#include <arpa/inet.h>

enum { EPOCH_2000 = 946684800, ARRAY_LENGTH_AT = 12, OID_TEXT = 25 };

static void
param_put32(struct buf *b, uint32_t v)
{
	v = htonl(v);
	buf_add(b, &v, 4);
}

void
pg_array(struct pg_array *a, enum pg_type type)
{
	static const struct {
		unsigned array, element;
	} oids[] = {
	    [PG_BOOLS] = {1000, 16},
	    [PG_TEXTS] = {1009, OID_TEXT},
	    [PG_BIGINTS] = {1016, 20},
	    [PG_TIMES] = {1185, 1184},
	    [PG_NUMERICS] = {1231, 1700},
	};
	/* dimensions, may have nulls, element, length (set at the end), lower bound */
	const uint32_t header[] = {1, 1, oids[type].element, 0, 1};
	a->oid = oids[type].array;
	a->count = 0;
	a->bytes.len = 0;
	for (int i = 0; i < 5; i++)
		param_put32(&a->bytes, header[i]);
}

void
pg_push_text(struct pg_array *a, struct slice s)
{
	buf_reserve(&a->bytes, 4 + s.n);
	param_put32(&a->bytes, (uint32_t)s.n);
	buf_slice(&a->bytes, s);
	a->count++;
}

void
pg_push_i32(struct pg_array *a, int32_t v)
{
	uint32_t all[] = {htonl(4), htonl((uint32_t)v)};
	buf_add(&a->bytes, all, sizeof all);
	a->count++;
}

void
pg_push_i64(struct pg_array *a, int64_t v)
{
	uint32_t all[] = {htonl(8), htonl((uint32_t)((uint64_t)v >> 32)), htonl((uint32_t)v)};
	buf_add(&a->bytes, all, sizeof all);
	a->count++;
}

void
pg_push_time(struct pg_array *a, int64_t t)
{
	pg_push_i64(a, t - (int64_t)EPOCH_2000 * 1000000);
}

/* numeric_send's form: digits to the base 10,000, the first one's weight, sign, scale. */
void
pg_push_u64(struct pg_array *a, uint64_t v)
{
	uint16_t all[11] = {0}, n = 0, at = 6;
	for (uint64_t rest = v; rest; rest /= 10000)
		n++;
	all[1] = htons((uint16_t)(8 + 2 * n));
	all[2] = htons(n);
	all[3] = htons(n ? n - 1 : 0);
	for (at += n; v; v /= 10000)
		all[--at] = htons((uint16_t)(v % 10000));
	buf_add(&a->bytes, all, 12u + 2u * n);
	a->count++;
}

void
pg_push_bool(struct pg_array *a, bool v)
{
	buf_add(&a->bytes, v ? "\0\0\0\1\1" : "\0\0\0\1", 5);
	a->count++;
}

void
pg_push_null(struct pg_array *a)
{
	param_put32(&a->bytes, UINT32_MAX);
	a->count++;
}

void
pg_rows_start(struct pg_array *a)
{
	a->bytes.len = 0;
	buf_add(&a->bytes, "PGCOPY\n\377\r\n\0\0\0\0\0\0\0\0\0", 19);
}

void
pg_rows_add(struct pg_array *a, int columns)
{
	uint16_t n = htons((uint16_t)columns);
	buf_add(&a->bytes, &n, sizeof n);
}

struct pg_param
pg_null_param(void)
{
	return (struct pg_param){0};
}

struct pg_param
pg_text_param(struct slice s)
{
	return (struct pg_param){.oid = OID_TEXT, .bytes = {s.p ? s.p : "", s.n}};
}

struct pg_param
pg_string_param(const char *s)
{
	return s ? pg_text_param(slice_of(s)) : pg_null_param();
}

struct pg_param
pg_bool_param(bool v)
{
	return pg_text_param(v ? SLICE("true") : SLICE("false"));
}

struct pg_param
pg_i64_param(int64_t v)
{
	return (struct pg_param){.is_number = true, .number = v};
}

struct pg_param
pg_offset_param(int64_t v)
{
	return v < 0 ? pg_null_param() : pg_i64_param(v);
}

struct pg_param
pg_array_param(const struct pg_array *a)
{
	uint32_t count = htonl(a->count);
	memcpy(a->bytes.p + ARRAY_LENGTH_AT, &count, sizeof count);
	return (struct pg_param){.oid = a->oid, .bytes = slice_buf(&a->bytes)};
}
