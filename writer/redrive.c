/* See redrive.h. Choosing changes nothing: what was chosen may be looked at, filtered and thrown away. It is marked in
 * a transaction of its own, all or nothing, which may be done again with the same keys. */
#include "redrive.h"

#include "json.h"
#include "lines.h"
#include "log.h"
#include "query.h"
#include "record.h"
#include "rows.h"
#include "sql.h"

#include <unistd.h>

enum { MARKED_AT_ONCE = 60000, FILTERS = 4 };

/* Sets the parameters of the statements that choose: source, kind, reason and offsets. */
static void
filters_set(const struct writer_options *o, struct pg_param *p)
{
	static const char *const kinds[] = {"record", "refused", "conflict"};
	static struct buf pattern;
	static struct pg_array offsets;
	pg_array(&offsets, PG_BIGINTS);
	for (char **text = o->operands; *text; text++) {
		uint64_t offset;
		if (json_integer(slice_of(*text), VERSION_MAX, &offset) != 0)
			die(EXIT_PERMANENT, "an OFFSET is a whole number, not \"%s\"", *text);
		pg_push_i64(&offsets, (int64_t)offset);
	}
	/* The reason as `rejected --counts` shows it stands for all that differ where it has "…". */
	buf_char(&pattern, '%');
	for (const char *c = o->reason ? o->reason : ""; *c; c++) {
		bool gap = strncmp(c, "…", sizeof "…" - 1) == 0;
		if (strchr("%_\\", *c))
			buf_char(&pattern, '\\');
		buf_char(&pattern, gap ? '%' : *c);
		c += gap ? sizeof "…" - 2 : 0;
	}
	buf_char(&pattern, '%');
	p[0] = pg_string_param(o->source);
	p[1] = pg_string_param(o->kind >= 0 ? kinds[o->kind] : NULL);
	p[2] = o->reason ? pg_text_param(slice_buf(&pattern)) : pg_null_param();
	p[3] = offsets.count ? pg_array_param(&offsets) : pg_null_param();
}

int
rejected_main(const struct writer_options *o)
{
	struct pg_param p[FILTERS + 1];
	filters_set(o, p);
	p[FILTERS] = pg_bool_param(o->open);
	const struct query q = {
	    .title = o->counts ? "Rejected records, by reason" : "Rejected records",
	    .sql = o->counts ? sql_rejected_counts : sql_rejected,
	    .what = "source",
	    .name = source_name,
	};
	return query_show(o, &q, query_open(o), p, FILTERS + 1);
}

/* Returns whether it is base64. */
static bool
base64_decode(struct buf *out, struct slice s)
{
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	uint32_t bits = 0;
	int n = 0;
	for (; s.n && *s.p != '='; s.p++, s.n--) {
		const char *digit = memchr(digits, *s.p, sizeof digits - 1);
		if (!digit)
			return false;
		bits = bits << 6 | (uint32_t)(digit - digits);
		n += 6;
		if (n >= 8)
			buf_char(out, (char)(bits >> (n -= 8)));
	}
	return true;
}

/* Whether it is JSON, whatever it says. */
static bool
is_json(struct slice s)
{
	struct json_scan scan = {0};
	bool ignored;
	const char *end = s.p + s.n, *p = json_space(s.p, end, &ignored);
	return p < end && json_value(p, end, 0, &scan) == JSON_OK && json_space(scan.end, end, &ignored) == end;
}

/* Makes the record a line. Returns what keeps it from being one, or NULL. */
static const char *
line_make(struct buf *line, struct slice raw, bool base64, int64_t bytes)
{
	bool ignored;
	line->len = 0;
	if (!base64)
		buf_slice(line, raw);
	else if (!base64_decode(line, raw))
		return "what was kept of it is no base64";
	if ((int64_t)line->len != bytes)
		return "only its beginning was kept";
	if (line->len == 0 || json_space(line->p, line->p + line->len, &ignored) == line->p + line->len)
		return "it is blank";
	char *newline = memchr(line->p, '\n', line->len);
	if (newline && !is_json(slice_buf(line)))
		return "it has several lines and is no JSON";
	/* No string of JSON has one. */
	for (; newline; newline = memchr(newline, '\n', (size_t)(line->p + line->len - newline)))
		*newline = ' ';
	return NULL;
}

static int
choose(const struct writer_options *o)
{
	enum { KEY, SOURCE, OFFSET, RAW, BASE64, BYTES };
	struct pg *pg = query_open(o);
	struct pg_param p[FILTERS];
	struct output out;
	struct buf line = {0}, first = {0};
	uint64_t chosen = 0, left = 0;
	filters_set(o, p);
	output_open(&out, STDOUT_FILENO);
	for (pg_each(pg, QUERY_PATIENCE_S, sql_rejects_choose, p, FILTERS); pg_next(pg); chosen++) {
		const char *why = line_make(
		    &line, pg_text(pg, 0, 0, RAW), slice_is(pg_text(pg, 0, 0, BASE64), "t"), pg_i64(pg, 0, 0, BYTES));
		if (why && left++ == 0) {
			buf_printf(&first, "that of offset %lld of source \"", (long long)pg_i64(pg, 0, 0, OFFSET));
			buf_safe(&first, pg_text(pg, 0, 0, SOURCE));
			buf_printf(&first, "\": %s", why);
		}
		if (why)
			continue;
		buf_slice(&out.buf, pg_text(pg, 0, 0, KEY));
		buf_char(&out.buf, ' ');
		buf_slice(&out.buf, slice_buf(&line));
		buf_char(&out.buf, '\n');
		if (output_full(&out) && output_flush(&out) != 0)
			output_failed();
	}
	enum pg_status status = pg_finish(pg);
	if (status != PG_OK)
		rows_failed(pg, status);
	if (output_flush(&out) != 0)
		output_failed();
	if (left)
		log_warn("%llu of %llu rejects cannot be redriven, the first is %s", (unsigned long long)left,
		    (unsigned long long)chosen, buf_cstr(&first));
	else if (!chosen)
		log_error("there is no such reject that was neither redriven nor discarded");
	buf_free(&out.buf);
	buf_free(&line);
	buf_free(&first);
	pg_free(pg);
	return chosen > left ? EXIT_OK : EXIT_REJECTED;
}

static int
discard(const struct writer_options *o)
{
	struct pg_param p[FILTERS];
	filters_set(o, p);
	struct pg *pg = query_open(o);
	enum pg_status status = pg_exec(pg, sql_rejects_discard, p, FILTERS);
	if (status != PG_OK)
		rows_failed(pg, status);
	int64_t n = pg_i64(pg, 0, 0, 0);
	if (n)
		log_info("discarded %lld rejects", (long long)n);
	else
		log_error("there is no such reject that was neither redriven nor discarded");
	pg_free(pg);
	return n ? EXIT_OK : EXIT_REJECTED;
}

/* Reads keys, one a line, up to so many. */
static void
keys_read(struct lines *in, struct pg_array *keys)
{
	struct slice line;
	uint64_t key;
	pg_array(keys, PG_BIGINTS);
	while (keys->count < MARKED_AT_ONCE) {
		if (lines_next(in, &line) == LINE_NONE) {
			if (in->eof)
				return;
			if (lines_read(in) < 0)
				die(EXIT_TEMPORARY, "could not read standard input: %m");
		} else if (json_integer(line, INT64_MAX, &key) == 0) {
			pg_push_i64(keys, (int64_t)key);
		} else {
			die(EXIT_PERMANENT, "redrive --as wants the keys of rejects on standard input, one a line");
		}
	}
}

static int
mark(const struct writer_options *o)
{
	struct lines in = {.fd = STDIN_FILENO, .max = RECORD_BYTES};
	struct pg_array keys = {0};
	int64_t n = 0, marked = 0;
	/* The environment may have set the others. */
	if (*o->operands)
		die(EXIT_PERMANENT, "redrive --as marks the rejects whose keys stand on standard input, and no others");
	struct pg *pg = query_open(o);
	pg_queue(pg, PG_BEGIN, NULL, 0);
	enum pg_status status = pg_run(pg);
	for (keys_read(&in, &keys); status == PG_OK && keys.count; keys_read(&in, &keys)) {
		status = pg_exec(pg, sql_rejects_redrive,
		    PG_PARAMS(pg_array_param(&keys), pg_text_param(slice_of(o->as)), pg_i64_param(n)));
		n += keys.count;
		marked += status == PG_OK ? pg_i64(pg, 0, 0, 0) : 0;
	}
	if (status == PG_OK && n && marked == n)
		status = pg_exec(pg, "COMMIT", NULL, 0);
	if (status != PG_OK)
		rows_failed(pg, status);
	if (marked < n)
		log_error("%lld of %lld rejects were redriven or discarded meanwhile: none is redriven now",
		    (long long)(n - marked), (long long)n);
	lines_free(&in);
	buf_free(&keys.bytes);
	pg_free(pg);
	return n && marked == n ? EXIT_OK : EXIT_REJECTED;
}

int
redrive_main(const struct writer_options *o)
{
	if (o->as && o->discard)
		die(EXIT_PERMANENT, "--as and --discard do not go together");
	return o->as ? mark(o) : o->discard ? discard(o) : choose(o);
}
