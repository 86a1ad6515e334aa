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
pg_array(struct pg_param *p, unsigned type, unsigned element)
{
	p->type = type;
	p->array = true;
	p->null = false;
	p->count = 0;
	p->bytes.len = 0;
	/* dimensions, may have nulls, element, length (set at the end), lower bound */
	const uint32_t header[] = {1, 1, element, 0, 1};
	for (int i = 0; i < 5; i++)
		param_put32(&p->bytes, header[i]);
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
	buf_add(&p->bytes, v ? "\0\0\0\1\1" : "\0\0\0\1", 5);
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

void
pg_set_null(struct pg_param *p)
{
	p->type = 0;
	p->array = false;
	p->null = true;
	p->bytes.len = 0;
}

void
pg_set_text(struct pg_param *p, struct slice s)
{
	pg_set_null(p);
	p->null = false;
	p->type = OID_TEXT;
	buf_slice(&p->bytes, s);
}

void
pg_set_i64(struct pg_param *p, int64_t v)
{
	pg_set_null(p);
	p->null = false;
	buf_i64(&p->bytes, v);
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
	uint16_t n = htons((uint16_t)columns);
	buf_add(&p->bytes, &n, sizeof n);
}

void
pg_rows_end(struct pg_param *p)
{
	pg_rows_add(p, -1);
}
