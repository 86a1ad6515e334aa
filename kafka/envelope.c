/* See envelope.h. */
#include "envelope.h"

#include "json.h"
#include "utf8.h"

enum { HEADERS = 256 }; /* of more than so many the last ones are kept */

static bool
is_text(struct slice s)
{
	const char *p = s.p, *end = s.p + s.n;
	for (size_t n; p < end; p += n)
		if ((n = utf8_decode(p, end, NULL)) == 0)
			return false;
	return true;
}

/* p NULL: null. */
static void
bytes_add(struct buf *b, struct slice s)
{
	if (!s.p) {
		buf_text(b, "null");
	} else if (is_text(s)) {
		buf_json(b, s);
	} else {
		buf_text(b, "{\"base64\":\"");
		buf_base64(b, s);
		buf_text(b, "\"}");
	}
}

/* Whether it is one JSON object or array, that cannot be taken for bytes in base64. */
static bool
is_document(struct slice s)
{
	static const char base64[] = "{\"base64\"";
	struct json_scan scan = {0};
	bool ignored;
	const char *end = s.p + s.n;
	return s.n > 1 && (*s.p == '{' || *s.p == '[') && json_value(s.p, end, 1, &scan) == JSON_OK &&
	       json_space(scan.end, end, &ignored) == end &&
	       (s.n < sizeof base64 || memcmp(s.p, base64, sizeof base64 - 1) != 0);
}

static void
payload_add(struct buf *b, struct slice s)
{
	if (!is_document(s))
		bytes_add(b, s);
	else if (memchr(s.p, '\n', s.n) || memchr(s.p, '\r', s.n))
		json_compact(b, s);
	else
		buf_slice(b, s);
}

/* Whether a header of that name follows. */
static bool
comes_again(const rd_kafka_headers_t *all, size_t i, const char *name)
{
	const char *other;
	const void *value;
	size_t n;
	while (rd_kafka_header_get_all(all, ++i, &other, &value, &n) == RD_KAFKA_RESP_ERR_NO_ERROR)
		if (strcmp(other, name) == 0)
			return true;
	return false;
}

static void
headers_add(struct buf *b, const rd_kafka_message_t *m)
{
	rd_kafka_headers_t *all;
	const char *name;
	const void *value;
	size_t n;
	if (rd_kafka_message_headers(m, &all) != RD_KAFKA_RESP_ERR_NO_ERROR)
		return;
	size_t count = rd_kafka_header_cnt(all), i = count > HEADERS ? count - HEADERS : 0;
	buf_text(b, ",\"headers\":{");
	size_t start = b->len;
	for (; rd_kafka_header_get_all(all, i, &name, &value, &n) == RD_KAFKA_RESP_ERR_NO_ERROR; i++) {
		if (!is_text(slice_of(name)) || comes_again(all, i, name))
			continue;
		buf_text(b, b->len > start ? "," : "");
		buf_json(b, slice_of(name));
		buf_char(b, ':');
		bytes_add(b, (struct slice){value, n});
	}
	buf_char(b, '}');
}

void
envelope_head(struct buf *b, const char *topic, int32_t partition, int64_t offset)
{
	buf_printf(b, "{\"topic\":\"%s\",\"partition\":%d,\"offset\":", topic, (int)partition);
	buf_i64(b, offset);
}

void
envelope_add(struct buf *b, const char *topic, const rd_kafka_message_t *m)
{
	rd_kafka_timestamp_type_t type;
	int64_t time = rd_kafka_message_timestamp(m, &type);
	envelope_head(b, topic, m->partition, m->offset);
	buf_text(b, ",\"timestamp\":");
	if (type == RD_KAFKA_TIMESTAMP_NOT_AVAILABLE || time < 0)
		buf_text(b, "null");
	else
		buf_i64(b, time);
	buf_text(b, ",\"key\":");
	bytes_add(b, (struct slice){m->key, m->key_len});
	headers_add(b, m);
	buf_text(b, ",\"payload\":");
	payload_add(b, (struct slice){m->payload, m->len});
	buf_text(b, "}\n");
}
