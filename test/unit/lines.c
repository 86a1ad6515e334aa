/* Lines out of a pipe, whatever pieces they come in: the same lines at every split,
 * long ones cut, blank ones counted, the last one without its newline. */
#include "common/lines.h"
#include "common/loop.h"
#include "common/output.h"

#include "common/log.h"
#include "tap.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* What lines_next said, as text. */
struct heard {
	struct buf text;
	bool cut;
};

static void
hear(struct lines *l, struct heard *h)
{
	struct slice line;
	enum line_status status;
	while ((status = lines_next(l, &line)) != LINE_NONE) {
		buf_printf(&h->text, "%s%llu/%llu:", status == LINE_LONG ? "long " : "", (unsigned long long)l->number,
		    (unsigned long long)l->total);
		buf_slice(&h->text, line);
		buf_char(&h->text, '|');
	}
	h->cut = l->cut;
}

/* Feeds `input` in pieces of the sizes that `piece` names for each position; a read sees one piece. */
static struct heard
feed(struct slice input, size_t max, size_t (*piece)(size_t at, void *context), void *context)
{
	struct heard h = {0};
	int fds[2];
	if (pipe2(fds, O_CLOEXEC) != 0)
		abort();
	struct lines l = {.fd = fds[0], .max = max};
	/* Once before anything was read. */
	hear(&l, &h);
	for (size_t at = 0; at < input.n;) {
		size_t n = piece(at, context);
		n = n > input.n - at ? input.n - at : n;
		if (write(fds[1], input.p + at, n) != (ssize_t)n || lines_read(&l) != (ssize_t)n)
			abort();
		at += n;
		hear(&l, &h);
	}
	close(fds[1]);
	if (lines_read(&l) != 0 || !l.eof)
		abort();
	hear(&l, &h);
	hear(&l, &h);
	close(fds[0]);
	lines_free(&l);
	buf_cstr(&h.text);
	return h;
}

static size_t
piece_split(size_t at, void *context)
{
	size_t split = *(size_t *)context;
	return at < split ? split - at : SIZE_MAX;
}

static size_t
piece_fixed(size_t at, void *context)
{
	(void)at;
	return *(size_t *)context;
}

static const struct {
	const char *input;
	size_t max;
	const char *expect;
	bool cut;
} cases[] = {
    {"", 100, "", false},
    {"\n", 100, "", false},
    {"{}\n", 100, "1/2:{}|", false},
    {"{}\n[]\n", 100, "1/2:{}|2/2:[]|", false},
    {"\n\n{}\n \t\r\n\n[ ]\r\n\n", 100, "3/2:{}|6/4:[ ]\r|", false},
    {"{}\n{}", 100, "1/2:{}|2/2:{}|", false},
    {"{}\n{} ", 100, "1/2:{}|2/3:{} |", false},
    {"{}\n  ", 100, "1/2:{}|", false},
    {"{}\n{", 100, "1/2:{}|", true},
    {"{}\n{\"a\":", 100, "1/2:{}|", true},
    {"{}\n{}x", 100, "1/2:{}|", true},
    {"x", 100, "", true},
    {"12", 100, "1/2:12|", false},
    {"nonsense\n{}\n", 100, "1/8:nonsense|2/2:{}|", false},
    {"0123456789\n0123456789a\n0\n", 10, "1/10:0123456789|long 2/11:0123456789a|3/1:0|", false},
    {"0123456789abcdefghijklmnopqrstuvwxyz\n\n{}\n", 10, "long 1/36:0123456789abcdefghijklmnopqrstuvwxyz|3/2:{}|",
	false},
    {"0123456789abc", 10, "long 1/13:0123456789abc|", false},
    {"0123456789abc\n0123456789abcd\n1", 10, "long 1/13:0123456789abc|long 2/14:0123456789abcd|3/1:1|", false},
    {"\xff\xfe\n\x01\n", 10, "1/2:\xff\xfe|2/1:\x01|", false},
};

static void
test_splits(void)
{
	unsigned wrong = 0, runs = 0;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct slice input = slice_of(cases[i].input);
		for (size_t n = 1; n <= input.n + 1; n++)
			for (int how = 0; how < 2; how++, runs++) {
				struct heard h = feed(input, cases[i].max, how ? piece_fixed : piece_split, &n);
				if ((!slice_is(slice_buf(&h.text), cases[i].expect) || h.cut != cases[i].cut) &&
				    ++wrong < 10)
					tap_note(
					    "case %zu, %s %zu: %s", i, how ? "pieces of" : "split at", n, h.text.p);
				buf_free(&h.text);
			}
	}
	tap_ok(!wrong, "lines come out the same in %u ways of cutting", runs);
}

/* A line of millions of bytes: only its beginning is held. */
static void
test_long(void)
{
	enum { TOTAL = 3000000, PIECE = 60000 };
	int fds[2];
	char *piece = mem_alloc(PIECE);
	memset(piece, 'x', PIECE);
	if (pipe2(fds, O_CLOEXEC) != 0)
		abort();
	struct lines l = {.fd = fds[0], .max = 200000};
	struct slice line = {0};
	bool right = true;
	size_t most = 0;
	for (int sent = 0; sent < TOTAL; sent += PIECE) {
		right = right && write(fds[1], piece, PIECE) == PIECE && lines_read(&l) == PIECE &&
			lines_next(&l, &line) == LINE_NONE;
		most = l.buf.len > most ? l.buf.len : most;
	}
	right = right && write(fds[1], "y\n{}\n", 5) == 5 && lines_read(&l) == 5 && lines_next(&l, &line) == LINE_LONG;
	tap_ok(right && line.n == 64 << 10 && line.p[0] == 'x' && line.p[line.n - 1] == 'x' && l.total == TOTAL + 1,
	    "a long line: its beginning and its length");
	tap_ok(most < 400000, "it is not held: %zu bytes at most", most);
	tap_ok(lines_next(&l, &line) == LINE_OK && slice_is(line, "{}") && l.number == 2 && l.total == 2,
	    "the next one follows");
	close(fds[0]);
	close(fds[1]);
	free(piece);
	lines_free(&l);
}

static void
test_output(void)
{
	int fds[2];
	char got[64] = "";
	struct output o;
	if (pipe2(fds, O_CLOEXEC) != 0)
		abort();
	output_open(&o, fds[1]);
	buf_text(&o.buf, "one\ntwo\n");
	bool right = !output_full(&o) && output_flush(&o) == 0 && o.buf.len == 0;
	tap_ok(right && read(fds[0], got, sizeof got) == 8 && strcmp(got, "one\ntwo\n") == 0, "output is written");
	close(fds[1]);
	tap_ok(read(fds[0], got, sizeof got) == 0, "and the pipe ends when it is closed");
	close(fds[0]);
	buf_free(&o.buf);
	struct output full;
	int fd = open("/dev/full", O_WRONLY | O_CLOEXEC);
	output_open(&full, fd);
	buf_text(&full.buf, "x");
	tap_ok(output_flush(&full) == -1, "a full disk is an error");
	close(fd);
	buf_free(&full.buf);
}

int
main(void)
{
	loop_init();
	log_set(LOG_ERROR, false);
	test_splits();
	test_long();
	test_output();
	return tap_done();
}
