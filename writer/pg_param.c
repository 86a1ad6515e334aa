/* See pg_param.h. */
#include "pg_param.h"

#include <arpa/inet.h>

enum { EPOCH_2000 = 946684800, ARRAY_LENGTH_AT = 12 };
enum { OID_BOOL = 16, OID_BIGINT = 20, OID_TEXT = 25, OID_TIMESTAMPTZ = 1184, OID_NUMERIC = 1700 };
enum {
	OID_BOOL_ARRAY = 1000,
	OID_TEXT_ARRAY = 1009,
	OID_BIGINT_ARRAY = 1016,
	OID_TIMESTAMPTZ_ARRAY = 1185,
	OID_NUMERIC_ARRAY = 1231
};

static void
param_put32(struct buf *b, uint32_t v)
{
	v = htonl(v);
	buf_add(b, &v, 4);
}

static void
param_put16(struct buf *b, uint16_t v)
{
	v = htons(v);
	buf_add(b, &v, 2);
}

static void
param_array(struct pg_param *p, unsigned type, uint32_t element)
{
	p->type = type;
	p->array = true;
	p->null = false;
	p->count = 0;
	p->bytes.len = 0;
	param_put32(&p->bytes, 1); /* dimensions */
	param_put32(&p->bytes, 1); /* may have nulls */
	param_put32(&p->bytes, element);
	param_put32(&p->bytes, 0); /* length, set at the end */
	param_put32(&p->bytes, 1); /* lower bound */
}

void
pg_array_text(struct pg_param *p)
{
	param_array(p, OID_TEXT_ARRAY, OID_TEXT);
}

void
pg_array_bigint(struct pg_param *p)
{
	param_array(p, OID_BIGINT_ARRAY, OID_BIGINT);
}

void
pg_array_time(struct pg_param *p)
{
	param_array(p, OID_TIMESTAMPTZ_ARRAY, OID_TIMESTAMPTZ);
}

void
pg_array_numeric(struct pg_param *p)
{
	param_array(p, OID_NUMERIC_ARRAY, OID_NUMERIC);
}

void
pg_array_bool(struct pg_param *p)
{
	param_array(p, OID_BOOL_ARRAY, OID_BOOL);
}

void
pg_push_text(struct pg_param *p, struct slice s)
{
	buf_reserve(&p->bytes, 4 + s.n);
	param_put32(&p->bytes, (uint32_t)s.n);
	buf_slice(&p->bytes, s);
	p->count++;
}

void
pg_push_i32(struct pg_param *p, int32_t v)
{
	uint32_t all[] = {htonl(4), htonl((uint32_t)v)};
	buf_add(&p->bytes, all, sizeof all);
	p->count++;
}

void
pg_push_i64(struct pg_param *p, int64_t v)
{
	uint32_t all[] = {htonl(8), htonl((uint32_t)((uint64_t)v >> 32)), htonl((uint32_t)v)};
	buf_add(&p->bytes, all, sizeof all);
	p->count++;
}

void
pg_push_time(struct pg_param *p, int64_t t)
{
	pg_push_i64(p, t - (int64_t)EPOCH_2000 * 1000000);
}

/* numeric_send's form: digits to the base 10,000, the first one's weight, sign, scale. */
void
pg_push_u64(struct pg_param *p, uint64_t v)
{
	uint16_t all[11] = {0}, n = 0, at = 6;
	for (uint64_t rest = v; rest; rest /= 10000)
		n++;
	all[1] = htons((uint16_t)(8 + 2 * n));
	all[2] = htons(n);
	all[3] = htons(n ? n - 1 : 0);
	for (at += n; v; v /= 10000)
		all[--at] = htons((uint16_t)(v % 10000));
	buf_add(&p->bytes, all, 12u + 2u * n);
	p->count++;
}

void
pg_push_bool(struct pg_param *p, bool v)
{
	param_put32(&p->bytes, 1);
	buf_char(&p->bytes, v ? 1 : 0);
	p->count++;
}

void
pg_push_null(struct pg_param *p)
{
	param_put32(&p->bytes, UINT32_MAX);
	p->count++;
}

void
pg_array_end(const struct pg_param *p)
{
	uint32_t count = htonl(p->count);
	memcpy(p->bytes.p + ARRAY_LENGTH_AT, &count, sizeof count);
}

static void
param_scalar(struct pg_param *p)
{
	p->type = 0;
	p->array = p->null = false;
	p->bytes.len = 0;
}

void
pg_set_text(struct pg_param *p, struct slice s)
{
	param_scalar(p);
	p->type = OID_TEXT;
	buf_slice(&p->bytes, s);
}

void
pg_set_i64(struct pg_param *p, int64_t v)
{
	param_scalar(p);
	buf_i64(&p->bytes, v);
}

void
pg_set_null(struct pg_param *p)
{
	param_scalar(p);
	p->null = true;
}

void
pg_params_free(struct pg_param *p, int n)
{
	for (int i = 0; i < n; i++)
		buf_free(&p[i].bytes);
}

void
pg_rows_start(struct pg_param *p)
{
	p->bytes.len = 0;
	p->count = 0;
	buf_add(&p->bytes, "PGCOPY\n\377\r\n\0\0\0\0\0\0\0\0\0", 19);
}

void
pg_rows_add(struct pg_param *p, int columns)
{
	param_put16(&p->bytes, (uint16_t)columns);
}

void
pg_rows_end(struct pg_param *p)
{
	param_put16(&p->bytes, UINT16_MAX);
}
