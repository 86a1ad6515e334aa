// with: writer/batch.c writer/batch_reader.c
/* Lines become items of batches: what belongs together, what must wait, what is no
 * record; whatever pieces the input comes in and however large a batch may be. */
#include "writer/batch_reader.h"

#include "batch.h"
#include "common/time.h"
#include "tap.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void
batch_reader_free(struct batch_reader *r)
{
	record_free(&r->record);
	update_free(&r->update);
	buf_free(&r->reason);
	buf_free(&r->scratch);
	buf_free(&r->in.buf);
	buf_free(&r->in.kept);
}

static const char kind_letter[] = {'u', 'r', 's', 'B', 'E', 'p'};

static void
put_item(struct buf *out, const struct batch *b, const struct item *it)
{
	buf_char(out, kind_letter[it->kind]);
	if (it->kind == ITEM_UPDATE) {
		buf_slice(out, item_id(b, it));
		buf_printf(out, "=%lld", (long long)it->version);
	}
	if (it->offset >= 0)
		buf_printf(out, "@%lld", (long long)it->offset);
}

/* Feeds `input` in pieces of that size, takes a batch whenever one is full or nothing more is there, and writes what
 * was in each: `[source kind…|…]`. `whole` first reads everything, so that only what must cut cuts. */
static void
feed(struct buf *said, struct slice input, size_t piece, size_t most, bool whole, bool *ended)
{
	int fds[2];
	struct batch b = {0};
	if (pipe2(fds, O_CLOEXEC | O_NONBLOCK) != 0)
		abort();
	struct batch_reader t = {.in = {.fd = fds[0], .max = 2 * RECORD_BYTES}, .next = &b, .most = most};
	said->len = 0;
	for (size_t at = 0; !batch_reader_over(&t);) {
		bool room = true;
		do {
			size_t n = input.n - at < piece ? input.n - at : piece;
			if (n && write(fds[1], input.p + at, n) != (ssize_t)n)
				abort();
			at += n;
			if (at == input.n && fds[1] >= 0) {
				close(fds[1]);
				fds[1] = -1;
			}
			room = batch_reader_read(&t);
		} while (room && whole);
		for (;;) {
			if (b.n) {
				buf_char(said, '[');
				buf_slice(said, slice_buf(&b.source));
				for (size_t i = 0; i < b.n; i++) {
					buf_char(said, i ? '|' : ' ');
					put_item(said, &b, &b.items[i]);
				}
				buf_text(said, b.begins ? "]b" : b.ends ? "]e" : "]");
			}
			bool emptied = b.n > 0;
			batch_clear(&b);
			batch_reader_take(&t);
			if (!emptied && b.n == 0)
				break;
		}
	}
	if (ended)
		*ended = t.ended;
	close(fds[0]);
	batch_reader_free(&t);
	batch_free(&b);
	buf_cstr(said);
}

#define UPDATE(id, rest)                                                                                               \
	"{\"id\":\"" id "\",\"accountType\":\"t\",\"tokens\":1,\"callbackTimeMs\":2,\"version\":3" rest "}\n"
#define SKIPPED(place) "{\"event\":\"ignored\"" place ",\"reason\":\"skipped\"}\n"
#define FROM(source, offset) ",\"source\":\"" source "\",\"offset\":" #offset

static const struct {
	const char *what, *input, *want;
	bool ended;
} cases[] = {
    {"nothing at all", "", "", false},
    {"updates without a source", UPDATE("a", "") UPDATE("b", ""), "[ ua=3|ub=3]", false},
    {"updates of one source", UPDATE("a", FROM("s", 0)) UPDATE("b", FROM("s", 1)), "[s ua=3@0|ub=3@1]", false},
    {"another source cuts", UPDATE("a", FROM("s", 0)) UPDATE("b", FROM("t", 0)) UPDATE("c", FROM("s", 1)),
	"[s ua=3@0][t ub=3@0][s uc=3@1]", false},
    {"so does none", UPDATE("a", FROM("s", 0)) UPDATE("b", "") UPDATE("c", FROM("s", 1)), "[s ua=3@0][ ub=3][s uc=3@1]",
	false},
    {"an offset without a source is none", UPDATE("a", ",\"offset\":7"), "[ ua=3]", false},
    {"a source without an offset", UPDATE("a", ",\"source\":\"s\"") UPDATE("b", FROM("s", 1)), "[s ua=3|ub=3@1]",
	false},
    {"escapes are no other source", UPDATE("a", FROM("s", 0)) UPDATE("b", FROM("\\u0073", 1)), "[s ua=3@0|ub=3@1]",
	false},
    {"begin is alone, end closes",
	"{\"event\":\"begin\",\"source\":\"s\"}\n" UPDATE(
	    "a", FROM("s", 0)) "{\"event\":\"end\",\"source\":\"s\"}\n"
			       "{\"event\":\"begin\",\"source\":\"s\"}\n" UPDATE("b", FROM("s", 1)),
	"[s B]b[s ua=3@0|E]e[s B]b[s ub=3@1]", false},
    {"an end is the end", UPDATE("a", FROM("s", 0)) "{\"event\":\"end\",\"source\":\"s\"}\n", "[s ua=3@0|E]e", true},
    {"until something begins", "{\"event\":\"end\",\"source\":\"s\"}\n{\"event\":\"begin\",\"source\":\"s\"}\n",
	"[s E]e[s B]b", false},
    {"events that are unknown belong to any source",
	UPDATE("a", FROM("s", 0)) "{\"event\":\"x\",\"source\":\"t\"}\n" UPDATE("b", FROM("s", 1)) "{\"event\":5}\n",
	"[s ua=3@0|p@-|ub=3@1|p]", false},
    {"and let any source follow", "{\"event\":\"x\"}\n" UPDATE("a", FROM("s", 0)), "[s p|ua=3@0]", false},
    {"reader's rejects have their place",
	UPDATE("a", FROM("s", 0)) "{\"event\":\"rejected\",\"source\":\"s\",\"offset\":1,\"reason\":\"r\"}\n"
				  "{\"event\":\"rejected\",\"source\":\"t\",\"offset\":0,\"reason\":\"r\"}\n",
	"[s ua=3@0|r@1][t r@0]", false},
    {"what was skipped has its place, and is of its source",
	UPDATE("a", FROM("s", 0)) SKIPPED(FROM("s", 1)) SKIPPED(FROM("t", 0)) UPDATE("b", FROM("t", 1)),
	"[s ua=3@0|s@1][t s@0|ub=3@1]", false},
    {"without a place it is passed on, of any source",
	UPDATE("a", FROM("s", 0)) SKIPPED("") SKIPPED(",\"offset\":1") SKIPPED(",\"source\":\"t\"")
	    UPDATE("b", FROM("s", 1)),
	"[s ua=3@0|p|p|p|ub=3@1]", false},
    {"so is what was ignored for another reason",
	"{\"event\":\"ignored\",\"source\":\"s\",\"offset\":0,\"reason\":\"stale\"}\n"
	"{\"event\":\"x\",\"source\":\"s\",\"offset\":0,\"reason\":\"skipped\"}\n",
	"[ p|p]", false},
    {"what is no record is a reject of no source", UPDATE("a", "") "x\n{}\n[]\n" UPDATE("b", FROM("s", 0)) "x\n",
	"[ ua=3|r|r|r][s ub=3@0][ r]", false},
    {"blank lines are none", "\n \n" UPDATE("a", "") "\t\r\n", "[ ua=3]", false},
    {"a last line without its newline", UPDATE("a", "") "{\"event\":\"x\"}", "[ ua=3|p]", false},
};

static bool
is(struct buf *said, const char *want)
{
	/* `@-`: an offset that is of no consequence. */
	char *clean = mem_string(slice_of(want)), *dash;
	while ((dash = strstr(clean, "@-")))
		memmove(dash, dash + 2, strlen(dash + 2) + 1);
	bool right = strcmp(buf_cstr(said), clean) == 0;
	if (!right)
		tap_note("is %s, wanted %s", buf_cstr(said), clean);
	free(clean);
	return right;
}

static void
test_cases(void)
{
	struct buf said = {0};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		bool ended = !cases[i].ended;
		feed(&said, slice_of(cases[i].input), 4096, 1000, true, &ended);
		bool right = is(&said, cases[i].want) && ended == cases[i].ended;
		tap_ok(right, "%s", cases[i].what);
	}
	buf_free(&said);
}

/* What is within the brackets, without them: the items in order. */
static void
flatten(struct buf *out, struct buf *said)
{
	out->len = 0;
	for (const char *p = buf_cstr(said); *p; p++) {
		if (*p == '[')
			p = strchr(p, ' ');
		else if (*p == ']')
			p += p[1] == 'b' || p[1] == 'e';
		else if (*p != '|')
			buf_char(out, *p);
	}
	buf_cstr(out);
}

/* Whatever pieces the input comes in, whatever a batch may hold: the same items in the same order. */
static void
test_pieces(void)
{
	struct buf input = {0}, said = {0}, want = {0}, got = {0};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		buf_text(&input, cases[i].input);
		if (input.len && input.p[input.len - 1] != '\n')
			buf_char(&input, '\n');
	}
	feed(&said, slice_buf(&input), 100000, 1000, true, NULL);
	flatten(&want, &said);
	unsigned wrong = 0;
#ifdef __SANITIZE_ADDRESS__ /* which takes its time over each batch's memory */
	const size_t step = 37;
#else
	const size_t step = 1;
#endif
	for (size_t piece = 1; piece <= input.len; piece += step)
		for (size_t most = 1; most <= 9; most += 4) {
			feed(&said, slice_buf(&input), piece, most, piece % 2, NULL);
			flatten(&got, &said);
			if (strcmp(buf_cstr(&got), buf_cstr(&want)) != 0 && !wrong++)
				tap_note("pieces of %zu, batches of %zu: %s", piece, most, buf_cstr(&got));
		}
	tap_ok(!wrong && want.len > 100, "the same items whatever pieces they come in");
	buf_free(&input);
	buf_free(&said);
	buf_free(&want);
	buf_free(&got);
}

/* Takes one input whole into a batch. */
static void
take(struct batch_reader *t, struct batch *b, struct slice input)
{
	int fds[2];
	if (pipe2(fds, O_CLOEXEC) != 0 || fcntl(fds[1], F_SETPIPE_SZ, 1 << 20) < 0)
		abort();
	t->in.fd = fds[0];
	t->in.max = t->in.max ? t->in.max : 2 * RECORD_BYTES;
	t->next = b;
	t->most = 1000;
	for (size_t at = 0; at < input.n;) {
		size_t n = input.n - at < 65536 ? input.n - at : 65536;
		if (write(fds[1], input.p + at, n) != (ssize_t)n || (!batch_reader_read(t) && !t->holds))
			abort();
		at += n;
	}
	close(fds[1]);
	while (!t->in.eof && !t->holds)
		batch_reader_read(t);
	close(fds[0]);
}

static void
test_values(void)
{
	struct batch_reader t = {0};
	struct batch b = {0};
	take(&t, &b,
	    SLICE("{ \"data\" : { \"k\\u0041\" : [ 1 , 2.50 , \"a b\" ] } , \"version\" : 9223372036854775807 , "
		  "\"tokens\":18446744073709551615, \"callbackTimeMs\" :31536000000, \"id\":\"\\u0061\\n\\\"\", "
		  "\"accountType\":\"\\u00e9\",\"trace\":\"00-\\u0061\",\"source\":\"\\u0073\",\"offset\":"
		  "9223372036854775807 }\n"
		  "{\"id\":\"b\",\"accountType\":\"t\",\"tokens\":0,\"callbackTimeMs\":0,\"version\":0,\"source\":"
		  "\"s\"}\n"));
	const struct item *it = b.items;
	tap_ok(b.n == 2 && slice_is(item_id(&b, it), "a\n\"") && slice_is(item_type(&b, it), "\xc3\xa9") &&
		   slice_is(slice_buf(&b.source), "s"),
	    "escapes are resolved");
	tap_ok(it->tokens == UINT64_MAX && it->version == INT64_MAX && it->callback_ms == CALLBACK_MAX &&
		   it->offset == INT64_MAX,
	    "integers are exact to 64 bits");
	tap_ok(
	    slice_is(item_data(&b, it), "{\"k\\u0041\":[1,2.50,\"a b\"]}"), "data is as it came, but for white space");
	tap_ok(slice_is(item_trace(&b, it), "\"00-\\u0061\""), "the trace is as it came");
	tap_ok(slice_is(item_data(&b, it + 1), "null") && it[1].offset == -1 && it[1].trace_n == 0, "what is missing");
	batch_reader_free(&t);
	batch_free(&b);
}

static void
test_deletes(void)
{
	struct batch_reader t = {0};
	struct batch b = {0};
	take(&t, &b,
	    SLICE("{\"id\":\"a\",\"version\":1,\"deleted\":true}\n"
		  "{\"id\":\"a\",\"version\":2,\"deleted\":true,\"accountType\":\"t\",\"tokens\":0,\"callbackTimeMs\":"
		  "5}\n"
		  "{\"id\":\"a\",\"version\":3,\"deleted\":false,\"accountType\":\"t\",\"tokens\":0,\"callbackTimeMs\":"
		  "null}\n"
		  "{\"id\":\"a\",\"version\":4,\"accountType\":\"t\",\"tokens\":0}\n"
		  "{\"id\":\"a\",\"version\":5,\"deleted\":1}\n"));
	tap_ok(b.n == 5 && b.items[0].deleted && !b.items[0].has_tokens && b.items[0].type_n == 0 &&
		   b.items[0].callback_ms == -1,
	    "a delete needs neither type nor tokens");
	tap_ok(b.items[1].deleted && b.items[1].has_tokens && b.items[1].type_n == 1 && b.items[1].callback_ms == -1,
	    "it keeps what it has, but for a callback");
	tap_ok(!b.items[2].deleted && b.items[2].callback_ms == -1 && b.items[2].kind == ITEM_UPDATE,
	    "a version may have no callback");
	tap_ok(b.items[3].kind == ITEM_REJECTED &&
		   slice_is(batch_reject(&b, &b.items[3]).reason, "callbackTimeMs: missing") &&
		   b.items[4].kind == ITEM_REJECTED &&
		   slice_is(batch_reject(&b, &b.items[4]).reason, "deleted: not true or false"),
	    "but has to say so");
	batch_reader_free(&t);
	batch_free(&b);
}

static void
test_virtual(void)
{
	struct batch_reader t = {.epoch = 1000000};
	struct batch b = {0};
	take(&t, &b,
	    SLICE(UPDATE("a", ",\"arriveMs\":5") UPDATE("b", "")
		    UPDATE("c", ",\"arriveMs\":10000000000000") "x\n"
								"{\"event\":\"rejected\",\"arriveMs\":7}\n"));
	tap_ok(b.n == 5 && b.items[0].ingested_at == 1005000 && b.items[1].ingested_at == 1000000 &&
		   b.items[2].ingested_at == INT64_C(10000000001000000) && b.items[3].ingested_at == 1000000 &&
		   b.items[4].ingested_at == 1007000,
	    "under the virtual clock the time is epoch and arriveMs");
	batch_reader_free(&t);
	batch_free(&b);
}

static bool
rejected(const struct batch *b, size_t i, const char *reason, const char *raw, uint64_t bytes, bool base64)
{
	struct reject j = batch_reject(b, &b->items[i]);
	bool right = b->items[i].kind == ITEM_REJECTED && slice_is(j.reason, reason) && slice_is(j.raw, raw) &&
		     j.raw_bytes == bytes && j.base64 == base64;
	if (!right)
		tap_note("%.*s: %.*s", (int)j.reason.n, j.reason.p, (int)(j.raw.n < 100 ? j.raw.n : 100), j.raw.p);
	return right;
}

static void
test_rejects(void)
{
	struct batch_reader t = {.in.max = 100000};
	struct batch b = {0};
	struct buf input = {0};
	buf_text(&input, "{\"id\":\"a\"}\n{\"id\":}\n\xff\n");
	for (int i = 0; i < 100001; i++)
		buf_char(&input, 'x');
	buf_text(&input, "\n" UPDATE("b", ""));
	take(&t, &b, slice_buf(&input));
	tap_ok(b.n == 5 && rejected(&b, 0, "accountType: missing", "{\"id\":\"a\"}", 10, false),
	    "a record that breaks a rule: which, and what it was");
	tap_ok(rejected(&b, 1, "id: unexpected character, at byte 7", "{\"id\":}", 7, false),
	    "a line that is not JSON: why, and where");
	tap_ok(batch_reject(&b, &b.items[2]).base64 && slice_is(batch_reject(&b, &b.items[2]).raw, "/w=="),
	    "what is no text is kept as base64");
	struct reject j = batch_reject(&b, &b.items[3]);
	tap_ok(b.items[3].kind == ITEM_REJECTED && slice_is(j.reason, "longer than 16 MiB") && j.raw.n == RAW_BYTES &&
		   j.raw_bytes == 100001,
	    "a line too long: its beginning, and its length");
	tap_ok(b.items[4].kind == ITEM_UPDATE, "and the next line goes on");
	batch_clear(&b);
	take(&t, &b,
	    SLICE("{\"event\":\"rejected\",\"source\":\"s\",\"offset\":3,\"reason\":\"a "
		  "\\\"b\\\"\",\"line\":18446744073709551615,"
		  "\"raw\":\"x\\ny\",\"rawBytes\":9999999999,\"rawEncoding\":\"utf8\"}\n"
		  "{\"event\":\"rejected\",\"source\":\"s\",\"offset\":4,\"reason\":\"r\",\"raw\":\"/"
		  "w==\",\"rawBytes\":1,"
		  "\"rawEncoding\":\"base64\"}\n"
		  "{\"event\":\"rejected\",\"source\":\"s\",\"offset\":\"5\"}\n"));
	tap_ok(b.n == 3 && rejected(&b, 0, "a \"b\"", "x\ny", 9999999999, false) && b.items[0].line == UINT64_MAX &&
		   b.items[0].offset == 3,
	    "reader's rejects, escapes resolved");
	tap_ok(rejected(&b, 1, "r", "/w==", 1, true) && b.items[1].line == 0, "their base64 stays");
	tap_ok(rejected(&b, 2, "", "", 0, false) && b.items[2].offset == -1, "what they lack is missing");
	batch_reader_free(&t);
	batch_free(&b);
	buf_free(&input);
}

/* A line too long is of no source: it cuts, and waits for the next batch like any other. */
static void
test_long_waits(void)
{
	struct batch_reader t = {.in.max = 200};
	struct batch b = {0};
	struct buf input = {0};
	buf_text(&input, UPDATE("a", FROM("s", 0)));
	for (int i = 0; i < 300; i++)
		buf_char(&input, 'x');
	buf_text(&input, "\n" UPDATE("b", FROM("s", 1)));
	take(&t, &b, slice_buf(&input));
	bool right = b.n == 1 && b.items[0].offset == 0 && t.holds;
	batch_clear(&b);
	right = right && !batch_reader_take(&t) && b.n == 1 && b.source.len == 0 &&
		batch_reject(&b, b.items).raw_bytes == 300 && batch_reject(&b, b.items).raw.n == 300;
	batch_clear(&b);
	right = right && batch_reader_take(&t) && b.n == 1 && b.items[0].offset == 1;
	tap_ok(right, "a line too long waits for the next batch");
	batch_reader_free(&t);
	batch_free(&b);
	buf_free(&input);
}

/* A batch is full by its text too; what did not fit is first in the next. */
static void
test_giants(void)
{
	enum { GIANT = 7 << 20 };
	struct batch_reader t = {.in.max = 2 * RECORD_BYTES, .most = 1000};
	struct batch b = {0};
	struct buf input = {0};
	int fds[2];
	for (int i = 0; i < 3; i++) {
		buf_text(&input, "{\"accountType\":\"t\",\"tokens\":1,\"callbackTimeMs\":2,\"version\":3,\"data\":\"");
		for (size_t n = 0; n < GIANT; n++)
			buf_char(&input, 'x');
		buf_printf(&input, "\",\"id\":\"%d\"}\n", i);
	}
	char path[] = "/tmp/batch_reader.XXXXXX";
	fds[0] = mkstemp(path);
	if (fds[0] < 0 || unlink(path) != 0 || write(fds[0], input.p, input.len) != (ssize_t)input.len ||
	    lseek(fds[0], 0, SEEK_SET) != 0)
		abort();
	t.in.fd = fds[0];
	t.next = &b;
	int batches = 0;
	bool right = true;
	while (!batch_reader_over(&t)) {
		while (batch_reader_read(&t))
			continue;
		while (b.n) {
			char id[2] = {(char)('0' + batches++), '\0'};
			right = right && b.n == 1 && slice_is(item_id(&b, &b.items[0]), id) &&
				b.items[0].data_n == GIANT + 2;
			batch_clear(&b);
			batch_reader_take(&t);
		}
	}
	tap_ok(right && batches == 3, "records too large to share a batch each get their own");
	close(fds[0]);
	batch_reader_free(&t);
	batch_free(&b);
	buf_free(&input);
}

int
main(void)
{
	test_cases();
	test_pieces();
	test_values();
	test_deletes();
	test_virtual();
	test_rejects();
	test_long_waits();
	test_giants();
	return tap_done();
}
