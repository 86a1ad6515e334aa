/* Records against the contract's table: every rule of an update, names given twice
 * in all their disguises, what is kept of a rejected one. */
#include "common/record.h"
#include "common/event.h"

#include "tap.h"

#include <dirent.h>
#include <stdlib.h>
#include <string.h>

static struct record r;
static struct update u;
static struct buf reason;

/* Parses and checks a copy of exactly this size. Returns NULL, or the reason against the line. */
static const char *
against(struct slice line)
{
	static char *copy;
	free(copy);
	copy = mem_alloc(line.n);
	memcpy(copy, line.p, line.n);
	if (record_parse_line((struct slice){copy, line.n}, &r) != 0) {
		record_reason(&reason, &r, copy);
		return buf_cstr(&reason);
	}
	return update_read(&r, &u, &reason) == 0 ? NULL : buf_cstr(&reason);
}

#define REST ",\"accountType\":\"t\",\"tokens\":1,\"callbackTimeMs\":2,\"version\":3}"

static const struct {
	const char *line, *reason; /* how the reason begins; NULL: an update */
} cases[] = {
    {"{\"id\":\"a\"" REST, NULL},
    {" { \"id\" : \"a\" , \"accountType\" : \"t\" , \"tokens\" : 1 , \"callbackTimeMs\" : 2 , \"version\" : 3 } \r",
	NULL},
    {"{\"version\":0,\"tokens\":0,\"id\":\"a\",\"callbackTimeMs\":0,\"accountType\":\"t\",\"unknown\":[{}]}", NULL},
    {"{\"\\u0069d\":\"a\"" REST, NULL},
    {"{\"id\":\"a\",\"ID\":1,\"Id\":2,\"i\\u0064 \":3" REST, NULL},
    /* id and accountType */
    {"{\"x\":1" REST, "id: missing"},
    {"{\"ID\":\"a\"" REST, "id: missing"},
    {"{\"id\":null" REST, "id: not a string"},
    {"{\"id\":1" REST, "id: not a string"},
    {"{\"id\":[\"a\"]" REST, "id: not a string"},
    {"{\"id\":\"\"" REST, "id: not of 1 to 255 bytes"},
    {"{\"id\":\"a\",\"tokens\":1,\"callbackTimeMs\":2,\"version\":3}", "accountType: missing"},
    {"{\"id\":\"a\",\"accountType\":{},\"tokens\":1,\"callbackTimeMs\":2,\"version\":3}", "accountType: not a string"},
    {"{\"id\":\"a\",\"accountType\":\"\",\"tokens\":1,\"callbackTimeMs\":2,\"version\":3}",
	"accountType: not of 1 to 255 bytes"},
    /* the whole */
    {"", "not JSON"},
    {"  ", "not JSON"},
    {"[]", "not an object"},
    {"null", "not an object"},
    {"\"id\"", "not an object"},
    {"12", "not an object"},
    {"{", "not JSON: ends in the middle"},
    {"{\"id\":\"a\"", "not JSON: ends in the middle"},
    {"{} {}", "more text behind the value"},
    {"{}x", "more text behind the value"},
    {"{}\0", "id: missing"},
    {"{\"id\":\"a\"" REST "}", "more text behind the value"},
    {"{,}", "expected a member name"},
    {"{\"id\":\"a\",}", "expected a member name"},
    {"{id:\"a\"}", "expected a member name"},
    {"{\"id\":\"a\" \"b\":1}", "expected ','"},
    {"{\"id\" \"a\"}", "expected ':'"},
    {"{\"id\":}", "id: unexpected character"},
    {"\xef\xbb\xbf{}", "byte outside a string"},
    {"nonsense", "unknown word"},
    {"{\"id\":\"a\nb\"}", "id: line end inside"},
    /* what Postgres would not take, wherever it stands, before other faults of the record */
    {"{\"id\":\"\\u0000\"" REST, "id: \\u0000 in a string"},
    {"{\"\\u0000\":1,\"id\":\"a\"" REST, "\\u0000 in a string"},
    {"{\"id\":\"a\",\"data\":[[\"\\u0000\"]]" REST, "data: \\u0000 in a string"},
    {"[\"\\u0000\"]", "\\u0000 in a string"},
    {"{\"id\":\"\\ud800\"" REST, "id: lone surrogate"},
    {"{\"id\":\"\xff\"" REST, "id: invalid UTF-8"},
    {"{\"id\":\"a\",\"data\":1e1000" REST, "data: number of more than 1,000 digits"},
    /* names given twice */
    {"{\"id\":\"a\",\"id\":\"a\"" REST, "id: member name given twice"},
    {"{\"id\":\"a\",\"\\u0069d\":\"a\"" REST, "id: member name given twice"},
    {"{\"\\u0069\\u0064\":\"a\",\"\\u0069d\":\"a\"" REST, "id: member name given twice"},
    {"{\"id\":\"a\",\"x\":1,\"x\":1" REST, "x: member name given twice"},
    {"{\"id\":\"a\",\"x\":1,\"\\u0078\":1" REST, "x: member name given twice"},
    {"{\"id\":\"a\",\"\":1,\"\":1" REST, "member name given twice"},
    {"{\"id\":\"a\",\"\\ud83d\\ude00\":1,\"\xf0\x9f\x98\x80\":1" REST, "\xf0\x9f\x98\x80: member name given twice"},
    {"{\"id\":\"a\",\"data\":1,\"data\":2" REST, "data: member name given twice"},
    {"{\"id\":\"a\",\"data\":{\"x\":1,\"x\":2}" REST, NULL},
    /* the optional ones */
    {"{\"id\":\"a\",\"arriveMs\":0" REST, NULL},
    {"{\"id\":\"a\",\"arriveMs\":10000000000000" REST, NULL},
    {"{\"id\":\"a\",\"arriveMs\":10000000000001" REST, "arriveMs: out of range"},
    {"{\"id\":\"a\",\"arriveMs\":-1" REST, "arriveMs: not an integer"},
    {"{\"id\":\"a\",\"arriveMs\":null" REST, "arriveMs: not an integer"},
    {"{\"id\":\"a\",\"trace\":\"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01\"" REST, NULL},
    {"{\"id\":\"a\",\"trace\":1" REST, "trace: not a string"},
    {"{\"id\":\"a\",\"source\":\"s\",\"offset\":9223372036854775807" REST, NULL},
    {"{\"id\":\"a\",\"source\":1" REST, "source: not a string"},
    {"{\"id\":\"a\",\"offset\":\"1\"" REST, "offset: not an integer"},
    {"{\"id\":\"a\",\"offset\":9223372036854775808" REST, "offset: out of range"},
};

static void
test_cases(void)
{
	unsigned wrong = 0;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		const char *why = against(slice_of(cases[i].line));
		if ((cases[i].reason ? !why || strncmp(why, cases[i].reason, strlen(cases[i].reason)) != 0
				     : why != NULL) &&
		    ++wrong)
			tap_note("\"%s\" instead of \"%s\": %s", why ? why : "taken",
			    cases[i].reason ? cases[i].reason : "taken", cases[i].line);
	}
	tap_ok(!wrong, "the rules of an update");
	tap_ok(against((struct slice){"{}\0", 3}) && strncmp(buf_cstr(&reason), "more text", 9) == 0,
	    "a NUL behind the value is seen");
}

/* What became of the line, in words; alone, or behind what was parsed before. */
static char *
became(const char *line, bool alone)
{
	struct buf b = {0};
	if (alone)
		record_free(&r);
	const char *why = against(slice_of(line));
	buf_text(&b, why ? why : "");
	for (int m = 0; !why && m < M_COUNT; m++)
		if (record_has(&r, (enum member)m)) {
			buf_printf(&b, " %s%s=", member_name[m], r.spaced[m] ? " spaced" : "");
			buf_slice(&b, r.m[m]);
		}
	if (!why) {
		buf_slice(&b, u.id);
		buf_slice(&b, u.data);
	}
	char *text = mem_string(slice_buf(&b));
	buf_free(&b);
	return text;
}

/* Every line behind every other: what was remembered of the one must not show in the other. */
static void
test_behind(void)
{
	static const char *const more[] = {"{\"id\":\"a\",\"data\":[1]" REST, "{\"id\":\"a\",\"data\": [1]" REST,
	    "{\"id\":\"a\",\"data\":\f[1]" REST, "{\"id\":\"a\",\"data\":]" REST,
	    "{\"id\":\"a\",\"data\":", "{\"id\":\"a\",\"data\":[\"\\u0000\"]" REST, "{ \"id\":\"a\\u0062\"" REST,
	    "{,\"id\":\"a\"" REST, "{\"data\":[1],\"id\":\"a\"" REST, "{\"data\":[1]\"id\":\"a\"" REST,
	    "{\"data\":[1],\"data\":[1]" REST, "{\"id\":\"a\",\"d\\u0061ta\": [ 1 ]" REST,
	    "{\"id\":\"a\"                                                   ,\"data\":[1]" REST};
	enum { CASES = sizeof cases / sizeof *cases, MORE = sizeof more / sizeof *more, LINES = CASES + MORE + 3 };
	const char *lines[LINES];
	char *alone[LINES], *long_ones[3];
	struct buf all = {0};
	unsigned wrong = 0;
	for (size_t i = 0; i < CASES + MORE; i++)
		lines[i] = i < CASES ? cases[i].line : more[i - CASES];
	/* More members than are remembered; the last one twice; then another one. */
	for (int m = M_ID; m < M_COUNT; m++)
		buf_printf(&all, "%c\"%s\":1", m == M_ID ? '{' : ',', member_name[m]);
	for (size_t i = 0; i < 3; i++) {
		size_t n = all.len;
		if (i)
			buf_printf(&all, ",\"%s\":1", member_name[i == 1 ? M_COUNT - 1 : M_EVENT]);
		buf_char(&all, '}');
		lines[CASES + MORE + i] = long_ones[i] = mem_string(slice_buf(&all));
		all.len = n;
	}
	for (size_t i = 0; i < LINES; i++)
		alone[i] = became(lines[i], true);
	for (size_t i = 0; i < (size_t)LINES * LINES; i++) {
		against(slice_of(lines[i / LINES]));
		char *text = became(lines[i % LINES], false);
		if (strcmp(text, alone[i % LINES]) != 0 && ++wrong)
			tap_note("\"%s\" instead of \"%s\" behind %s", text, alone[i % LINES], lines[i / LINES]);
		free(text);
	}
	tap_ok(!wrong, "a record is the same behind any other");
	for (size_t i = 0; i < LINES; i++)
		free(alone[i]);
	for (size_t i = 0; i < 3; i++)
		free(long_ones[i]);
	buf_free(&all);
}

/* Each of the integers with each spelling. */
static void
test_integers(void)
{
	static const char *const names[] = {"tokens", "callbackTimeMs", "version"};
	static const struct {
		const char *text;
		bool good[3];
		const char *why;
	} spellings[] = {
	    {"0", {true, true, true}, NULL},
	    {"1", {true, true, true}, NULL},
	    {"31536000000", {true, true, true}, NULL},
	    {"31536000001", {true, false, true}, "out of range"},
	    {"9223372036854775807", {true, false, true}, "out of range"},
	    {"9223372036854775808", {true, false, false}, "out of range"},
	    {"18446744073709551615", {true, false, false}, "out of range"},
	    {"18446744073709551616", {false, false, false}, "out of range"},
	    {"99999999999999999999999", {false, false, false}, "out of range"},
	    {"-1", {false}, "not an integer"},
	    {"-0", {false}, "not an integer"},
	    {"5.0", {false}, "not an integer"},
	    {"5e0", {false}, "not an integer"},
	    {"1e3", {false}, "not an integer"},
	    {"\"5\"", {false}, "not an integer"},
	    {"null", {false}, "not an integer"},
	    {"true", {false}, "not an integer"},
	    {"[5]", {false}, "not an integer"},
	    {"{}", {false}, "not an integer"},
	    {NULL, {false}, "missing"},
	};
	unsigned wrong = 0;
	struct buf b = {0}, expect = {0};
	for (int which = 0; which < 3; which++)
		for (size_t i = 0; i < sizeof spellings / sizeof *spellings; i++) {
			b.len = expect.len = 0;
			buf_text(&b, "{\"id\":\"a\",\"accountType\":\"t\"");
			for (int j = 0; j < 3; j++)
				if (j != which || spellings[i].text)
					buf_printf(&b, ",\"%s\":%s", names[j], j == which ? spellings[i].text : "7");
			buf_char(&b, '}');
			const char *why = against(slice_buf(&b));
			buf_printf(&expect, "%s: %s", names[which], spellings[i].why ? spellings[i].why : "");
			/* null is a value of callbackTimeMs: no callback. */
			bool none = which == 1 && spellings[i].text && strcmp(spellings[i].text, "null") == 0;
			bool good = spellings[i].good[which] || none;
			bool right = good ? !why : why && strncmp(why, buf_cstr(&expect), expect.len) == 0;
			uint64_t values[] = {u.tokens, (uint64_t)u.callback_ms, (uint64_t)u.version};
			if (right && none)
				right = u.callback_ms == -1;
			else if (right && !why)
				right = values[which] == strtoull(spellings[i].text, NULL, 10) &&
					values[(which + 1) % 3] == 7;
			if (!right && ++wrong)
				tap_note("%s: %s", why ? why : "taken", buf_cstr(&b));
		}
	buf_free(&b);
	buf_free(&expect);
	tap_ok(!wrong, "integers of digits only, exact up to their limits");
}

static void
test_lengths(void)
{
	unsigned wrong = 0;
	struct buf b = {0};
	for (int which = 0; which < 2; which++)
		for (int n = 254; n <= 256; n++)
			for (int spelling = 0; spelling < 3; spelling++) {
				/* Bytes count as they are stored, not as they are written. */
				static const char *const text[] = {"x", "\\u0078", "\xc3\xa9"};
				int size = spelling == 2 ? 2 : 1;
				b.len = 0;
				buf_printf(&b, "{\"%s\":\"y\",\"%s\":\"", which ? "id" : "accountType",
				    which ? "accountType" : "id");
				for (int i = 0; i + size <= n; i += size)
					buf_text(&b, text[spelling]);
				buf_text(&b, size == 2 && n % 2 ? "x" : "");
				buf_text(&b, "\",\"tokens\":1,\"callbackTimeMs\":2,\"version\":3}");
				bool taken = !against(slice_buf(&b));
				struct slice s = which ? u.account_type : u.id;
				wrong += taken != (n <= 255) || (taken && s.n != (size_t)n);
			}
	buf_free(&b);
	tap_ok(!wrong, "id and accountType of up to 255 bytes");
}

static void
test_content(void)
{
	const char *line =
	    "{\"source\":\"s\\u0041\",\"offset\":12,\"id\":\"i\\n\",\"accountType\":\"t\",\"tokens\":1,"
	    "\"callbackTimeMs\":2,\"version\":3,\"data\": { \"a b\" : [ 1 , \" \\\" \" ] } ,\"arriveMs\":5,"
	    "\"trace\":\"tr\\t\"}";
	bool taken = !against(slice_of(line));
	tap_ok(taken && slice_is(u.id, "i\n") && slice_is(u.account_type, "t") && slice_is(u.source, "sA") &&
		   u.offset == 12 && u.arrive_ms == 5 && slice_is(u.trace, "\"tr\\t\"") &&
		   slice_is(u.data, "{\"a b\":[1,\" \\\" \"]}"),
	    "members as text, data without white space, trace as it stands");
	taken = !against(SLICE("{\"id\":\"a\"" REST));
	tap_ok(taken && u.offset == -1 && u.arrive_ms == -1 && !u.source.n && !u.trace.n && slice_is(u.data, "null"),
	    "what is missing");
	taken = !against(SLICE("{\"id\":\"a\",\"data\":1.50e+02" REST));
	tap_ok(taken && slice_is(u.data, "1.50e+02"), "data keeps its spelling");
	taken = !against(SLICE("{\"id\":\"a\",\"d\\u0061ta\": { \"b\" : \" \" }" REST));
	tap_ok(taken && slice_is(u.data, "{\"b\":\" \"}"), "and loses its white space under a name with escapes too");
	struct buf room = {0};
	record_parse_line(
	    SLICE("{\"event\":\"fired\",\"id\":\"\\u0041\",\"replayed\":true,\"version\":7,\"dueAt\":\"2000-01-"
		  "01T00:00:00.5Z\",\"firedAt\":1}"),
	    &r);
	int64_t t;
	uint64_t v = 0;
	tap_ok(record_is(&r, M_EVENT, "fired") && !record_is(&r, M_EVENT, "fire") &&
		   !record_is(&r, M_EVENT, "fired ") && !record_is(&r, M_ID, "A") &&
		   !record_is(&r, M_REPLAYED, "tru") && !record_is(&r, M_RAW, ""),
	    "record_is");
	tap_ok(slice_is(record_text(&r, M_ID, &room), "A") && record_text(&r, M_VERSION, &room).n == 0 &&
		   record_text(&r, M_RAW, &room).n == 0,
	    "record_text");
	tap_ok(record_integer(&r, M_VERSION, 7, &v) == 0 && v == 7 && record_integer(&r, M_VERSION, 6, &v) != 0 &&
		   record_integer(&r, M_TOKENS, 9, &v) != 0 && record_integer(&r, M_ID, 9, &v) != 0,
	    "record_integer");
	tap_ok(record_time(&r, M_DUE_AT, &t) == 0 && t == INT64_C(946684800500000) &&
		   record_time(&r, M_FIRED_AT, &t) != 0 && record_time(&r, M_STARTED_AT, &t) != 0,
	    "record_time");
	buf_free(&room);
}

/* Unknown names around the number from which on they are sorted instead of compared. */
static void
test_many_names(void)
{
	unsigned wrong = 0;
	struct buf b = {0};
	for (int n = 1; n < 40; n++)
		for (int twice = -1; twice < n; twice++) {
			b.len = 0;
			buf_text(&b, "{\"id\":\"a\"");
			for (int i = 0; i < n; i++)
				buf_printf(&b, ",\"%sx%d\":%d", i % 3 ? "" : "\\u0041", i, i);
			if (twice >= 0)
				buf_printf(&b, ",\"%sx%d\":0", twice % 3 ? "" : "A", twice);
			buf_text(&b, REST);
			wrong += (against(slice_buf(&b)) != NULL) != (twice >= 0);
		}
	tap_ok(!wrong, "up to forty unknown names, one of them twice");
	b.len = 0;
	buf_text(&b, "{\"id\":\"a\"");
	for (int i = 0; i < 300000; i++)
		buf_printf(&b, ",\"name %d\":0", i);
	buf_text(&b, REST);
	tap_ok(!against(slice_buf(&b)), "300,000 unknown names take no time to speak of");
	buf_free(&b);
}

static void
test_reason(void)
{
	const char *line = "  {\"id\" 1}";
	record_parse_line(slice_of(line), &r);
	record_reason(&reason, &r, line);
	tap_ok(slice_is(slice_buf(&reason), "expected ':' behind a member name, at byte 9"),
	    "the reason counts bytes from 1: %s", buf_cstr(&reason));
}

/* A reject's members as the event has them. */
static void
raw_add(struct buf *b, struct slice raw, uint64_t total)
{
	struct reject j = {0};
	struct buf scratch = {0};
	reject_raw(&j, raw, total, &scratch);
	event_rejected_body(b, &j);
	buf_drop(b, strlen(",\"reason\":\"\","));
	buf_free(&scratch);
}

static bool
raw_is(struct slice raw, uint64_t total, const char *expect)
{
	struct buf b = {0};
	raw_add(&b, raw, total);
	bool same = slice_is(slice_buf(&b), expect);
	if (!same)
		tap_note("%.300s", buf_cstr(&b));
	buf_free(&b);
	return same;
}

/* What is kept of a long text: `at` is how many bytes stand before the characters that cross the limit. */
static bool
raw_cut(int at, bool held_back, size_t kept, bool base64)
{
	struct buf text = {0}, b = {0};
	for (int i = 0; i < at; i++)
		buf_char(&text, 'x');
	for (int i = 0; i < 10; i++)
		buf_text(&text, "\xf0\x9f\x98\x80");
	uint64_t total = text.len;
	if (held_back)
		text.len = RAW_BYTES;
	char *copy = mem_alloc(text.len);
	memcpy(copy, text.p, text.len);
	raw_add(&b, (struct slice){copy, text.len}, total);
	free(copy);
	struct buf line = {0};
	buf_printf(&line, "{%s}", buf_cstr(&b));
	bool right =
	    record_parse_line(slice_buf(&line), &r) == 0 && record_is(&r, M_RAW_ENCODING, base64 ? "base64" : "utf8");
	uint64_t v = 0;
	right = right && record_integer(&r, M_RAW_BYTES, UINT64_MAX, &v) == 0 && v == total;
	right = right && r.m[M_RAW].n == kept + 2;
	if (!right)
		tap_note("at %d: %.*s %zu", at, (int)r.m[M_RAW_ENCODING].n, r.m[M_RAW_ENCODING].p, r.m[M_RAW].n);
	buf_free(&line);
	buf_free(&text);
	buf_free(&b);
	return right;
}

static void
test_raw(void)
{
	tap_ok(raw_is(SLICE("{\"a\"\n"), 5, "\"raw\":\"{\\\"a\\\"\\n\",\"rawBytes\":5,\"rawEncoding\":\"utf8\"") &&
		   raw_is(SLICE(""), 0, "\"raw\":\"\",\"rawBytes\":0,\"rawEncoding\":\"utf8\"") &&
		   raw_is(SLICE("\xc3\xa9"), 2, "\"raw\":\"\xc3\xa9\",\"rawBytes\":2,\"rawEncoding\":\"utf8\""),
	    "text is kept as it is");
	tap_ok(raw_is(SLICE("\xff"), 1, "\"raw\":\"/w==\",\"rawBytes\":1,\"rawEncoding\":\"base64\"") &&
		   raw_is(SLICE("a\0"), 2, "\"raw\":\"YQA=\",\"rawBytes\":2,\"rawEncoding\":\"base64\"") &&
		   raw_is(SLICE("a\xfe\x62"), 3, "\"raw\":\"Yf5i\",\"rawBytes\":3,\"rawEncoding\":\"base64\"") &&
		   raw_is(SLICE("ab\xc3"), 3, "\"raw\":\"YWLD\",\"rawBytes\":3,\"rawEncoding\":\"base64\""),
	    "what is not UTF-8 is kept as base64");
	unsigned wrong = 0;
	for (int at = RAW_BYTES - 8; at <= RAW_BYTES; at++)
		for (int held_back = 0; held_back < 2; held_back++)
			wrong += !raw_cut(at, held_back, (size_t)(at + (RAW_BYTES - at) / 4 * 4), false);
	tap_ok(!wrong, "at 64 KiB it is cut between characters, whether the rest is there or not");
	struct buf b = {0}, big = {0};
	for (int i = 0; i < RAW_BYTES + 10; i++)
		buf_char(&big, (char)(i == 5 ? 0xff : 'x'));
	raw_add(&b, slice_buf(&big), 12345678901);
	tap_ok(b.len > RAW_BYTES / 3 * 4 &&
		   strstr(buf_cstr(&b), "==\",\"rawBytes\":12345678901,\"rawEncoding\":\"base64\""),
	    "base64 of 64 KiB");
	buf_free(&b);
	buf_free(&big);
}

/* The suite's documents as data of a record: what may not be there is never taken. */
static void
test_suite(void)
{
	static const char folder[] = "../shared/data/JSONTestSuite/test_parsing";
	unsigned seen = 0, wrong = 0;
	struct buf line = {0}, path = {0};
	DIR *dir = opendir(folder);
	if (!dir) {
		tap_skip("JSONTestSuite", "it is not at ../shared/data");
		return;
	}
	for (struct dirent *e; (e = readdir(dir)) != NULL;) {
		path.len = line.len = 0;
		buf_printf(&path, "%s/%s", folder, e->d_name);
		FILE *f = e->d_name[1] == '_' ? fopen(buf_cstr(&path), "re") : NULL;
		if (!f)
			continue;
		buf_text(&line, "{\"id\":\"a\",\"data\":");
		buf_reserve(&line, 1 << 20);
		line.len += fread(line.p + line.len, 1, 1 << 20, f);
		fclose(f);
		seen++;
		buf_text(&line, REST);
		bool zero = strstr(buf_cstr(&line), "\\u0000") && !strstr(line.p, "\\\\u0000");
		bool taken = !against(slice_buf(&line));
		if (e->d_name[0] != 'i' && taken != (e->d_name[0] == 'y' && !zero) && ++wrong)
			tap_note("%s: %s", e->d_name, taken ? "taken" : buf_cstr(&reason));
	}
	closedir(dir);
	buf_free(&line);
	buf_free(&path);
	tap_ok(!wrong && seen == 318, "JSONTestSuite as data: %u documents", seen);
}

int
main(void)
{
	test_cases();
	test_behind();
	test_integers();
	test_lengths();
	test_content();
	test_many_names();
	test_reason();
	test_raw();
	test_suite();
	against(SLICE("x"));
	record_free(&r);
	update_free(&u);
	buf_free(&reason);
	return tap_done();
}
