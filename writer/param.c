/* Parameters and rows in the server's binary form, as db.h has them. An array's header is completed when it is sent:
 * only then is its length known. */
#include "db.h"

#include <arpa/inet.h>

enum { EPOCH_2000 = 946684800 };
enum { OID_BOOL = 16, OID_BIGINT = 20, OID_TEXT = 25, OID_TIMESTAMPTZ = 1184, OID_NUMERIC = 1700 };
enum {
	OID_BOOL_ARRAY = 1000,
	OID_TEXT_ARRAY = 1009,
	OID_BIGINT_ARRAY = 1016,
	OID_TIMESTAMPTZ_ARRAY = 1185,
	OID_NUMERIC_ARRAY = 1231
};

static void
put32(struct buf *b, uint32_t v)
{
	v = htonl(v);
	buf_add(b, &v, 4);
}

static void
put16(struct buf *b, uint16_t v)
{
	v = htons(v);
	buf_add(b, &v, 2);
}

static void
array_start(struct db_param *p, unsigned type, uint32_t element)
{
	p->type = type;
	p->array = true;
	p->null = false;
	p->count = 0;
	p->bytes.len = 0;
	put32(&p->bytes, 1); /* dimensions */
	put32(&p->bytes, 1); /* may have nulls */
	put32(&p->bytes, element);
	put32(&p->bytes, 0); /* length, set at the end */
	put32(&p->bytes, 1); /* lower bound */
}

void
db_array_text(struct db_param *p)
{
	array_start(p, OID_TEXT_ARRAY, OID_TEXT);
}

void
db_array_bigint(struct db_param *p)
{
	array_start(p, OID_BIGINT_ARRAY, OID_BIGINT);
}

void
db_array_time(struct db_param *p)
{
	array_start(p, OID_TIMESTAMPTZ_ARRAY, OID_TIMESTAMPTZ);
}

void
db_array_numeric(struct db_param *p)
{
	array_start(p, OID_NUMERIC_ARRAY, OID_NUMERIC);
}

void
db_array_bool(struct db_param *p)
{
	array_start(p, OID_BOOL_ARRAY, OID_BOOL);
}

void
db_push_text(struct db_param *p, struct slice s)
{
	buf_reserve(&p->bytes, 4 + s.n);
	put32(&p->bytes, (uint32_t)s.n);
	buf_slice(&p->bytes, s);
	p->count++;
}

void
db_push_i64(struct db_param *p, int64_t v)
{
	uint32_t all[] = {htonl(8), htonl((uint32_t)((uint64_t)v >> 32)), htonl((uint32_t)v)};
	buf_add(&p->bytes, all, sizeof all);
	p->count++;
}

void
db_push_time(struct db_param *p, int64_t t)
{
	db_push_i64(p, t - (int64_t)EPOCH_2000 * 1000000);
}

/* numeric_send's form: digits to the base 10,000, the first one's weight, sign, scale. */
void
db_push_u64(struct db_param *p, uint64_t v)
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
db_push_bool(struct db_param *p, bool v)
{
	put32(&p->bytes, 1);
	buf_char(&p->bytes, v ? 1 : 0);
	p->count++;
}

void
db_push_null(struct db_param *p)
{
	put32(&p->bytes, UINT32_MAX);
	p->count++;
}

static void
scalar_start(struct db_param *p)
{
	p->type = 0;
	p->array = p->null = false;
	p->bytes.len = 0;
}

void
db_set_text(struct db_param *p, struct slice s)
{
	scalar_start(p);
	p->type = OID_TEXT;
	buf_slice(&p->bytes, s);
}

void
db_set_i64(struct db_param *p, int64_t v)
{
	scalar_start(p);
	buf_i64(&p->bytes, v);
}

void
db_set_null(struct db_param *p)
{
	scalar_start(p);
	p->null = true;
}

void
db_params_free(struct db_param *p, int n)
{
	for (int i = 0; i < n; i++)
		buf_free(&p[i].bytes);
}

void
db_rows_start(struct db_param *p)
{
	p->bytes.len = 0;
	p->count = 0;
	buf_add(&p->bytes, "PGCOPY\n\377\r\n\0\0\0\0\0\0\0\0\0", 19);
}

void
db_rows_add(struct db_param *p, int columns)
{
	put16(&p->bytes, (uint16_t)columns);
}

void
db_rows_end(struct db_param *p)
{
	put16(&p->bytes, UINT16_MAX);
}
