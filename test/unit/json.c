/* The scanner against what parsers are known to get wrong, against its own promise
 * on cut texts, against the JSONTestSuite where it is at hand, and against cJSON,
 * which is lenient: all that the scanner takes cJSON must take too. */
#include "common/json.h"

#include "tap.h"

#include <cjson/cJSON.h>
#include <dirent.h>
#include <stdlib.h>
#include <string.h>

/* What became of a text as a whole document, white space around it allowed. */
enum verdict { TAKEN, REFUSED, MORE, BAD, DEEP };

struct result {
	enum verdict verdict;
	const char *why;
	size_t at, end;
	bool spaced;
};

/* Scans a copy of exactly this size, so that the address sanitizer sees every byte read too far. */
static struct result
scan_copy(struct slice text, int depth)
{
	struct json_scan s = {0};
	struct result r = {0};
	bool ignored = false;
	char *copy = mem_alloc(text.n);
	if (text.n)
		memcpy(copy, text.p, text.n);
	const char *end = copy + text.n, *p = json_space(copy, end, &ignored);
	switch (json_value(p, end, depth, &s)) {
	case JSON_MORE:
		r.verdict = MORE;
		break;
	case JSON_DEEP:
		r.verdict = DEEP;
		break;
	case JSON_BAD:
		r = (struct result){BAD, s.fault.why, (size_t)(s.fault.at - copy), 0, s.spaced};
		break;
	case JSON_OK:
		r.end = (size_t)(s.end - copy);
		r.spaced = s.spaced;
		if (json_space(s.end, end, &ignored) != end)
			r.verdict = BAD;
		else if (s.refuse.why)
			r = (struct result){REFUSED, s.refuse.why, (size_t)(s.refuse.at - copy), r.end, s.spaced};
		break;
	}
	free(copy);
	return r;
}

static enum verdict
verdict_of(const char *text)
{
	return scan_copy(slice_of(text), 0).verdict;
}

static const char *const good[] = {"null", "true", "false", "0", "-0", "10", "-1", "0.5", "-0.0", "1e1", "1E+1", "1e-1",
    "0e0", "12.25e+07", "18446744073709551616", "\"\"", "\"a\"", "\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"",
    "\"\\u0041\\u00e9\\uFFFF\"", "\"\\ud83d\\ude00\"", "\"\\uDBFF\\uDFFF x\"",
    "\"\xc3\xa9\xe2\x82\xac\xf0\x9f\x92\xb0\xf4\x8f\xbf\xbf\xed\x9f\xbf\xee\x80\x80\"", "\"\x7f\"", "[]", "{}", "[ ]",
    "{ }", "[[]]", "[{}]", "{\"a\":{}}", "{\"\":[]}", "[1,2,3]", "[1 , 2\t,\r\n3]", "{\"a\":1,\"a\":2}",
    "{ \"a\" : 1 , \"b\" : [ true , null ] }", "[\"]\",\"}\",\"\\\"]\"]", "[[],[[],[{}]]]",
    "\"eight plain bytes and many more of them, without an end in sight \\\\ \xc3\xa9\"", "{\"\\u0061\":\"\\u0001\"}",
    "[1e400,-1E-400,0.000001]"};

static const struct {
	const char *text;
	enum verdict verdict;
} bad[] = {{"-01", BAD}, {"01", BAD}, {"00", BAD}, {"-00", BAD}, {"[2.]", BAD}, {".5", BAD}, {"-.5", BAD}, {"+1", BAD},
    {"[1.e3]", BAD}, {"[1e]", BAD}, {"[1e+]", BAD}, {"[1E-]", BAD}, {"0x10", BAD}, {"[-]", BAD}, {"--1", BAD},
    {"1,5", BAD}, {"1_000", BAD}, {"1.2.3", BAD}, {"1e2e3", BAD}, {"1 2", BAD}, {"- 1", BAD}, {"\xef\xbc\x91", BAD},
    {"NaN", BAD}, {"nan", BAD}, {"Infinity", BAD}, {"-Infinity", BAD}, {"True", BAD}, {"TRUE", BAD}, {"Null", BAD},
    {"nulL", BAD}, {"nulll", BAD}, {"trues", BAD}, {"undefined", BAD}, {"'a'", BAD}, {"`a`", BAD}, {"a", BAD},
    {"{a:1}", BAD}, {"{'a':1}", BAD}, {"{1:1}", BAD}, {"{null:1}", BAD}, {"{\"a\":1,}", BAD}, {"[1,]", BAD},
    {"[,1]", BAD}, {"[,]", BAD}, {"{,}", BAD}, {"[1,,2]", BAD}, {"[1 2]", BAD}, {"{\"a\" 1}", BAD}, {"{\"a\":}", BAD},
    {"{\"a\":1 \"b\":2}", BAD}, {"{\"a\":1:2}", BAD}, {"{\"a\"}", BAD}, {"{\"a\",1}", BAD}, {"[1:2]", BAD}, {"[}", BAD},
    {"{]", BAD}, {"[1}", BAD}, {"{\"a\":1]", BAD}, {"[[1}]", BAD}, {"{\"a\":[}", BAD}, {"]", BAD}, {"}", BAD},
    {",", BAD}, {":", BAD}, {"[]]", BAD}, {"{}}", BAD}, {"[][]", BAD}, {"\"a\" \"b\"", BAD}, {"{} x", BAD},
    {"\"\\x41\"", BAD}, {"\"\\'\"", BAD}, {"\"\\a\"", BAD}, {"\"\\0\"", BAD}, {"\"\\U0041\"", BAD}, {"\"\\u12\"", BAD},
    {"\"\\u12G4\"", BAD}, {"\"\\u+123\"", BAD}, {"\"\\u 123\"", BAD}, {"\"\\ud83d\\u12\"", BAD},
    {"\"\\ud83d\\x\"", BAD}, {"\"\\\n\"", BAD}, {"\f1", BAD}, {"1\f", BAD}, {"\v1", BAD}, {"[1,\f2]", BAD},
    {"\xc2\xa0 1", BAD}, {"\xe2\x80\xa8 1", BAD}, {"\xef\xbb\xbf{}", BAD}, {"\xfe\xff", BAD}, {"/* */ 1", BAD},
    {"1 // x", BAD}, {"# 1", BAD}, {"<!-- -->", BAD}, {"", MORE}, {" ", MORE}, {"\n\r\t ", MORE}, {"\"a", MORE},
    {"\"\\", MORE}, {"\"\\\"", MORE}, {"[", MORE}, {"{", MORE}, {"[1", MORE}, {"[1,", MORE}, {"{\"a\"", MORE},
    {"{\"a\":", MORE}, {"{\"a\":1", MORE}, {"{\"a\":1,", MORE}, {"tru", MORE}, {"-", MORE}, {"1.", MORE}, {"1e", MORE},
    {"1e-", MORE},
    /* JSON, but what Postgres would not take. */
    {"\"\\u0000\"", REFUSED}, {"{\"\\u0000\":1}", REFUSED}, {"\"\\ud800\"", REFUSED}, {"\"\\udc00\"", REFUSED},
    {"\"\\ud800\\ud800\\udc00\"", REFUSED}, {"\"\\ude00\\ud83d\"", REFUSED}, {"\"\\ud800\\u0041\"", REFUSED},
    {"\"\\ud800 \\udc00\"", REFUSED}, {"\"\\ud800\\n\"", REFUSED}, {"{\"\\udfff\":[]}", REFUSED}, {"\"\x80\"", REFUSED},
    {"\"\xc0\x80\"", REFUSED}, {"\"\xc1\xbf\"", REFUSED}, {"\"\xc3\"", REFUSED}, {"\"\xe0\x80\x80\"", REFUSED},
    {"\"\xe0\x9f\xbf\"", REFUSED}, {"\"\xe2\x82\"", REFUSED}, {"\"\xed\xa0\x80\"", REFUSED},
    {"\"\xed\xbf\xbf\"", REFUSED}, {"\"\xf0\x80\x80\x80\"", REFUSED}, {"\"\xf0\x8f\xbf\xbf\"", REFUSED},
    {"\"\xf0\x9f\x92\"", REFUSED}, {"\"\xf4\x90\x80\x80\"", REFUSED}, {"\"\xf5\x80\x80\x80\"", REFUSED},
    {"\"\xff\"", REFUSED}, {"\"\xfe\"", REFUSED}, {"1e1000", REFUSED}, {"1e-1000", REFUSED}, {"1e131071", REFUSED},
    {"[1,1E+99999999999999999999]", REFUSED}, {"-1e-99999999999999999999", REFUSED}, {"0e1000", REFUSED}};

static void
test_tables(void)
{
	unsigned wrong = 0;
	for (size_t i = 0; i < sizeof good / sizeof *good; i++)
		if (verdict_of(good[i]) != TAKEN && ++wrong)
			tap_note("not taken: %s", good[i]);
	tap_ok(!wrong, "good documents are taken");
	wrong = 0;
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		struct result r = scan_copy(slice_of(bad[i].text), 0);
		if ((r.verdict != bad[i].verdict || r.at > strlen(bad[i].text)) && ++wrong)
			tap_note("verdict %d instead of %d: %s", (int)r.verdict, (int)bad[i].verdict, bad[i].text);
	}
	tap_ok(!wrong, "known traps");

	/* Each byte where it must not be. */
	for (int c = 0; c < 256; c++) {
		char inside[] = {'"', 'a', (char)c, '"'}, behind[] = {'1', (char)c}, before[] = {(char)c, '1'};
		enum verdict v = scan_copy((struct slice){inside, 4}, 0).verdict;
		enum verdict expect = c < 0x20 ? BAD : c >= 0x80 ? REFUSED : c == '\\' ? MORE : c == '"' ? BAD : TAKEN;
		wrong += v != expect;
		bool space = c == ' ' || c == '\n' || c == '\r' || c == '\t', digit = c >= '0' && c <= '9';
		v = scan_copy((struct slice){behind, 2}, 0).verdict;
		expect = space || digit ? TAKEN : c == '.' || c == 'e' || c == 'E' ? MORE : BAD;
		wrong += v != expect;
		v = scan_copy((struct slice){before, 2}, 0).verdict;
		expect = space || (digit && c != '0') || c == '-' ? TAKEN : c == '"' || c == '[' ? MORE : BAD;
		wrong += v != expect;
	}
	tap_ok(!wrong, "all 256 bytes in a string, behind a value and before one");
}

/* Cut anywhere inside, a good document is unfinished, never bad. */
static void
test_prefixes(void)
{
	unsigned wrong = 0;
	for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
		const char *text = good[i];
		bool number = *text == '-' || (*text >= '0' && *text <= '9');
		for (size_t n = 0; n < strlen(text); n++) {
			struct result r = scan_copy((struct slice){text, n}, 0);
			if (r.verdict != MORE && !(number && n && r.verdict == TAKEN) && ++wrong)
				tap_note("verdict %d at byte %zu of %s", (int)r.verdict, n, text);
		}
	}
	tap_ok(!wrong, "JSON_MORE at every prefix");
}

static void
test_space(void)
{
	static const struct {
		const char *text, *compact;
	} cases[] = {{"[1,2]", "[1,2]"}, {" [1,2] ", "[1,2]"}, {"[ ]", "[]"}, {"{ }", "{}"}, {"[1 ]", "[1]"},
	    {"[1, 2]", "[1,2]"}, {"[1 ,2]", "[1,2]"}, {"{\"a\" :1}", "{\"a\":1}"}, {"{\"a\": 1}", "{\"a\":1}"},
	    {"{ \"a\":1}", "{\"a\":1}"}, {"{\"a\":1\n}", "{\"a\":1}"}, {"[\" a , b \"]", "[\" a , b \"]"},
	    {"[\"\\\" \\\\\" , \" \"]", "[\"\\\" \\\\\",\" \"]"},
	    {"{\r\n\t\"a b\" : [ 1.5e3 , \"\\\\\" ] }", "{\"a b\":[1.5e3,\"\\\\\"]}"}, {"\"\\\\\"", "\"\\\\\""}};
	unsigned wrong = 0;
	struct buf b = {0};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		const char *value = cases[i].text + strspn(cases[i].text, " ");
		struct result r = scan_copy(slice_of(value), 0);
		struct slice s = {value, r.end};
		b.len = 0;
		json_compact(&b, s);
		if ((r.verdict != TAKEN || r.spaced == slice_is(s, cases[i].compact) ||
			!slice_is(slice_buf(&b), cases[i].compact)) &&
		    ++wrong)
			tap_note("%s", cases[i].text);
	}
	buf_free(&b);
	tap_ok(!wrong, "white space between tokens is seen and taken out, inside strings it stays");
}

static void
test_unescape(void)
{
	static const struct {
		struct slice token, text;
	} cases[] = {{SLICE("\"\""), SLICE("")}, {SLICE("\"abc\""), SLICE("abc")},
	    {SLICE("\"\\\"\\\\\\/\\b\\f\\n\\r\\t\""), SLICE("\"\\/\b\f\n\r\t")}, {SLICE("\"a\\u0041b\""), SLICE("aAb")},
	    {SLICE("\"\\u007f\\u0080\\u07ff\\u0800\\uffff\""), SLICE("\x7f\xc2\x80\xdf\xbf\xe0\xa0\x80\xef\xbf\xbf")},
	    {SLICE("\"\\ud800\\udc00\\uDBFF\\uDFFF\""), SLICE("\xf0\x90\x80\x80\xf4\x8f\xbf\xbf")},
	    {SLICE("\"\\ud83d\\ude00\\u20AC!\""), SLICE("\xf0\x9f\x98\x80\xe2\x82\xac!")},
	    {SLICE("\"\\\\u0041\""), SLICE("\\u0041")}, {SLICE("\"\\u0001\\u001F\""), SLICE("\x01\x1f")}};
	unsigned wrong = 0;
	struct buf b = {0}, again = {0};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		b.len = again.len = 0;
		json_unescape(&b, cases[i].token);
		if (!slice_same(slice_buf(&b), cases[i].text) && ++wrong)
			tap_note("unescape of %s", cases[i].token.p);
		buf_json(&again, cases[i].text);
		b.len = 0;
		json_unescape(&b, slice_buf(&again));
		if (!slice_same(slice_buf(&b), cases[i].text) && ++wrong)
			tap_note("round trip of %s", cases[i].token.p);
	}
	tap_ok(!wrong, "escapes are resolved, and buf_json makes what is resolved to the same");

	/* Every character there is: as an escape and as UTF-8. */
	wrong = 0;
	for (unsigned c = 1; c <= 0x10ffff; c++) {
		char token[16];
		if (c >= 0xd800 && c <= 0xdfff)
			continue;
		if (c < 0x10000)
			snprintf(token, sizeof token, "\"\\u%04x\"", c);
		else
			snprintf(token, sizeof token, "\"\\u%04X\\u%04x\"", 0xd800 + ((c - 0x10000) >> 10),
			    0xdc00 + ((c - 0x10000) & 0x3ff));
		b.len = again.len = 0;
		json_unescape(&b, slice_of(token));
		buf_json(&again, slice_buf(&b));
		wrong += b.len != (c < 0x80	    ? 1u
				      : c < 0x800   ? 2
				      : c < 0x10000 ? 3
						    : 4) ||
			 scan_copy(slice_buf(&again), 0).verdict != TAKEN;
	}
	tap_ok(!wrong, "all characters of Unicode as escapes");
	buf_free(&b);
	buf_free(&again);
}

static void
test_integers(void)
{
	static const struct {
		const char *text;
		uint64_t max;
		int result;
		uint64_t value;
	} cases[] = {{"0", 0, 0, 0}, {"1", 0, -2, 0}, {"9", 9, 0, 9}, {"10", 9, -2, 0}, {"10", 10, 0, 10},
	    {"7", 6, -2, 0}, {"18446744073709551615", UINT64_MAX, 0, UINT64_MAX},
	    {"18446744073709551616", UINT64_MAX, -2, 0}, {"18446744073709551620", UINT64_MAX, -2, 0},
	    {"99999999999999999999", UINT64_MAX, -2, 0}, {"184467440737095516150", UINT64_MAX, -2, 0},
	    {"100000000000000000000000000000000000000000", UINT64_MAX, -2, 0},
	    {"9223372036854775807", INT64_MAX, 0, INT64_MAX}, {"9223372036854775808", INT64_MAX, -2, 0},
	    {"9007199254740993", UINT64_MAX, 0, UINT64_C(9007199254740993)}, {"", 10, -1, 0}, {"-0", 10, -1, 0},
	    {"-1", 10, -1, 0}, {"+1", 10, -1, 0}, {"00", 10, -1, 0}, {"01", 10, -1, 0}, {"5.0", 10, -1, 0},
	    {"5e0", 10, -1, 0}, {"5 ", 10, -1, 0}, {" 5", 10, -1, 0}, {"0x5", 10, -1, 0}, {"\"5\"", 10, -1, 0},
	    {"null", 10, -1, 0}};
	unsigned wrong = 0;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		uint64_t v = 0;
		int result = json_integer(slice_of(cases[i].text), cases[i].max, &v);
		if ((result != cases[i].result || (result == 0 && v != cases[i].value)) && ++wrong)
			tap_note("%s up to %llu", cases[i].text, (unsigned long long)cases[i].max);
	}
	tap_ok(!wrong, "integers up to the edges of 64 bits");
}

static void
repeat(struct buf *b, const char *text, int n)
{
	while (n-- > 0)
		buf_text(b, text);
}

static void
test_limits(void)
{
	struct buf b = {0};
	unsigned wrong = 0;
	for (int depth = 511; depth <= 513; depth++)
		for (int around = 0; around < 2; around++) {
			enum verdict expect = depth + around <= JSON_DEPTH ? TAKEN : DEEP;
			b.len = 0;
			repeat(&b, "[", depth);
			repeat(&b, "]", depth);
			wrong += scan_copy(slice_buf(&b), around).verdict != expect;
			b.len = 0;
			repeat(&b, "{\"a\":", depth - 1);
			buf_text(&b, "{}");
			repeat(&b, "}", depth - 1);
			wrong += scan_copy(slice_buf(&b), around).verdict != expect;
		}
	tap_ok(!wrong, "512 levels are taken, 513 are not");

	/* Levels of both kinds in a pattern, closed rightly, and wrongly at one level. */
	wrong = 0;
	for (int turned = -1; turned < 500; turned++) {
		b.len = 0;
		for (int i = 0; i < 500; i++)
			buf_text(&b, i * 7 % 3 ? "[" : "{\"a\":");
		buf_text(&b, "1");
		for (int i = 499; i >= 0; i--)
			buf_text(&b, !(i * 7 % 3) == (i == turned) ? "]" : "}");
		wrong += scan_copy(slice_buf(&b), 0).verdict != (turned < 0 ? TAKEN : BAD);
	}
	tap_ok(!wrong, "brackets are matched at every level");

	static const struct {
		int before, behind;
		const char *exponent;
		enum verdict verdict;
	} numbers[] = {{1000, 0, "", TAKEN}, {1001, 0, "", REFUSED}, {1, 999, "", TAKEN}, {1, 1000, "", REFUSED},
	    {1, 0, "e999", TAKEN}, {1, 0, "e1000", REFUSED}, {1, 0, "E-999", TAKEN}, {1, 0, "E-1000", REFUSED},
	    {500, 500, "", TAKEN}, {500, 501, "", REFUSED}, {500, 500, "e+500", TAKEN}, {500, 500, "e+501", REFUSED},
	    {500, 500, "e-499", TAKEN}, {500, 500, "e-500", REFUSED}, {1000, 0, "e-999", TAKEN},
	    {5000, 0, "", REFUSED}};
	wrong = 0;
	for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
		for (int sign = 0; sign < 2; sign++) {
			b.len = 0;
			repeat(&b, "-", sign);
			repeat(&b, "7", numbers[i].before);
			repeat(&b, ".", numbers[i].behind > 0);
			repeat(&b, "7", numbers[i].behind);
			buf_text(&b, numbers[i].exponent);
			if (scan_copy(slice_buf(&b), 0).verdict != numbers[i].verdict && ++wrong)
				tap_note("%d digits, %d behind the point, %s", numbers[i].before, numbers[i].behind,
				    numbers[i].exponent);
		}
	tap_ok(!wrong, "1,000 digits written out are taken, 1,001 are not");
	buf_free(&b);
}

/* What cJSON does not take, or not in the same way, although it is right: numbers of 64 characters and more, which its
 * parser cuts. (Its limit of 1,000 levels is above ours; \u0000 and lone surrogates are refused before it sees them.)
 */
static bool
beyond_cjson(struct slice s)
{
	size_t run = 0;
	for (size_t i = 0; i < s.n; i++) {
		run = strchr("0123456789+-.eE", s.p[i]) && s.p[i] ? run + 1 : 0;
		if (run > 62)
			return true;
	}
	return false;
}

static char *
cjson_print(struct slice s)
{
	cJSON *tree = cJSON_ParseWithLengthOpts(s.p, s.n, NULL, false);
	char *text = tree ? cJSON_PrintUnformatted(tree) : NULL;
	cJSON_Delete(tree);
	return text;
}

/* 0 where cJSON agrees with the scanner on a text that the scanner has taken. */
static unsigned
second_opinion(struct slice text)
{
	struct buf compact = {0};
	bool ignored;
	const char *p = json_space(text.p, text.p + text.n, &ignored);
	struct slice value = {p, (size_t)(text.p + text.n - p)};
	while (value.n && memchr(" \t\r\n", value.p[value.n - 1], 4))
		value.n--;
	json_compact(&compact, value);
	buf_cstr(&compact);
	char *a = cjson_print(text), *b = cjson_print(slice_buf(&compact));
	struct result again = scan_copy(slice_buf(&compact), 0);
	unsigned wrong = !a || !b || strcmp(a, b) != 0 || again.verdict != TAKEN || again.spaced;
	if (wrong)
		tap_note("cJSON differs on %.*s", (int)text.n, text.p);
	free(a);
	free(b);
	buf_free(&compact);
	return wrong;
}

static uint64_t
random_next(uint64_t *state)
{
	uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);
	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return z ^ z >> 31;
}

/* Documents torn apart and put together again at random: two in five hundred are still JSON. */
static void
test_cjson(void)
{
	static const char *const bits[] = {"{", "}", "[", "]", ",", ":", "\"", "\\", "1", "0", "-", ".", "e", " ", "\n",
	    "\"a\"", "\"b\":", "null", "true", "\\u0041", "\\ud83d\\ude00", "\xc3\xa9", "\x01", "[]", "{}", "[1,",
	    "{\"a\":1}"};
	enum { ROUNDS = 400000, BITS = sizeof bits / sizeof *bits, GOOD = sizeof good / sizeof *good };
	struct buf b = {0};
	uint64_t state = 1;
	unsigned wrong = 0, taken = 0;
	for (int i = 0; i < ROUNDS; i++) {
		b.len = 0;
		if (random_next(&state) % 2)
			buf_text(&b, good[random_next(&state) % GOOD]);
		for (uint64_t n = random_next(&state) % 5; n; n--) {
			const char *bit = bits[random_next(&state) % BITS];
			size_t at = b.len ? random_next(&state) % (b.len + 1) : 0, size = strlen(bit);
			buf_reserve(&b, size + 1);
			if (b.len)
				memmove(b.p + at + size, b.p + at, b.len - at);
			memcpy(b.p + at, bit, size);
			b.len += size;
		}
		if (b.len && random_next(&state) % 4 == 0)
			b.len = random_next(&state) % b.len;
		struct slice text = slice_buf(&b);
		if (scan_copy(text, 0).verdict != TAKEN)
			continue;
		taken++;
		wrong += !beyond_cjson(text) && second_opinion(text);
	}
	buf_free(&b);
	tap_ok(!wrong && taken > 10000, "cJSON takes what the scanner took, %u texts, and the same without white space",
	    taken);
}

static bool
file_read(const char *path, struct buf *b)
{
	FILE *f = fopen(path, "re");
	size_t n;
	b->len = 0;
	if (!f)
		return false;
	do {
		buf_reserve(b, 65536);
		n = fread(b->p + b->len, 1, 65536, f);
		b->len += n;
	} while (n);
	fclose(f);
	return true;
}

static void
test_suite(void)
{
	static const char folder[] = "../shared/data/JSONTestSuite/test_parsing";
	unsigned seen[3] = {0}, wrong = 0;
	struct buf b = {0}, path = {0};
	DIR *dir = opendir(folder);
	if (!dir) {
		tap_skip("JSONTestSuite", "it is not at ../shared/data");
		return;
	}
	for (struct dirent *e; (e = readdir(dir)) != NULL;) {
		const char *kinds = "yni", *kind = strchr(kinds, e->d_name[0]);
		path.len = 0;
		buf_printf(&path, "%s/%s", folder, e->d_name);
		if (!kind || e->d_name[1] != '_' || !file_read(buf_cstr(&path), &b))
			continue;
		seen[kind - kinds]++;
		struct result r = scan_copy(slice_buf(&b), 0);
		bool zero = strstr(buf_cstr(&b), "\\u0000") && !strstr(b.p, "\\\\u0000");
		bool right = *kind == 'i' || (r.verdict == (zero ? REFUSED : TAKEN)) == (*kind == 'y');
		if (right && r.verdict == TAKEN && !beyond_cjson(slice_buf(&b)))
			right = !second_opinion(slice_buf(&b));
		if (!right && ++wrong)
			tap_note("verdict %d: %s", (int)r.verdict, e->d_name);
	}
	closedir(dir);
	buf_free(&b);
	buf_free(&path);
	tap_ok(!wrong && seen[0] == 95 && seen[1] == 188 && seen[2] == 35,
	    "JSONTestSuite: %u to take, %u to refuse, %u of free choice", seen[0], seen[1], seen[2]);
}

int
main(void)
{
	test_tables();
	test_prefixes();
	test_space();
	test_unescape();
	test_integers();
	test_limits();
	test_cjson();
	test_suite();
	return tap_done();
}
