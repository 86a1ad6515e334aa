/* See file.h. */
#include "file.h"

#include "log.h"
#include "record.h"
#include "utf8.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

void
files_check(char *const *paths, int n, const char *regular)
{
	for (int i = 0; i < n; i++) {
		struct stat st;
		if (file_is_stdin(paths[i])) {
			if (n > 1)
				die(EXIT_PERMANENT, "standard input cannot be one of several files");
			if (fstat(0, &st) != 0)
				die(EXIT_PERMANENT, "could not read standard input: %m");
		} else if (stat(paths[i], &st) != 0 || access(paths[i], R_OK) != 0) {
			die(EXIT_PERMANENT, "could not open file \"%s\": %m", paths[i]);
		}
		if (S_ISDIR(st.st_mode))
			die(EXIT_PERMANENT, "could not read \"%s\": it is a directory", paths[i]);
		if (regular && !S_ISREG(st.st_mode))
			die(EXIT_PERMANENT,
			    "%s wants a regular file, which \"%s\" is not; `acctflow run` spools it, or copy it "
			    "first by `reader --copy-to DIR`, then read it by `reader --spool DIR`",
			    regular, paths[i]);
	}
}

bool
name_is_plain(struct slice s)
{
	uint32_t c;
	for (size_t i = 0, n; i < s.n; i += n) {
		n = utf8_decode(s.p + i, s.p + s.n, &c);
		if (n == 0 || c < ' ' || (c >= 0x7f && c < 0xa0))
			return false;
	}
	return true;
}

void
files_name(struct buf *name, char *const *paths, int n)
{
	for (int i = 0; i < n; i++) {
		char *real = file_is_stdin(paths[i]) ? NULL : realpath(paths[i], NULL);
		struct slice s = slice_of(real ? real : paths[i]);
		if (i > 0)
			buf_char(name, ':');
		if (name_is_plain(s))
			buf_slice(name, s);
		else
			buf_safe(name, s);
		free(real);
	}
}

/* The size of a regular file; -1 where it is none. */
static int64_t
file_size(const char *path)
{
	struct stat st;
	return !file_is_stdin(path) && stat(path, &st) == 0 && S_ISREG(st.st_mode) ? st.st_size : -1;
}

uint64_t
files_size(char *const *paths, int n)
{
	uint64_t size = 0;
	for (int i = 0; i < n; i++) {
		int64_t one = file_size(paths[i]);
		if (one < 0)
			return 0;
		size += (uint64_t)one;
	}
	return size;
}

struct fingerprint {
	XXH3_state_t *state;
	uint64_t bytes;
};

struct fingerprint *
fingerprint_new(void)
{
	struct fingerprint *f = mem_alloc(sizeof *f);
	*f = (struct fingerprint){.state = XXH3_createState()};
	if (!f->state)
		die(EXIT_TEMPORARY, "out of memory");
	XXH3_128bits_reset(f->state);
	return f;
}

void
fingerprint_add(struct fingerprint *f, struct slice bytes)
{
	XXH3_128bits_update(f->state, bytes.p, bytes.n);
	f->bytes += bytes.n;
}

void
fingerprint_end(struct fingerprint *f, struct buf *b)
{
	XXH128_hash_t h = XXH3_128bits_digest(f->state);
	buf_printf(b, "%llu:%016llx%016llx", (unsigned long long)f->bytes, (unsigned long long)h.high64,
	    (unsigned long long)h.low64);
	XXH3_freeState(f->state);
	free(f);
}

/* Adds a file's bytes, until there are `most` of all. */
static void
fingerprint_file(struct fingerprint *f, const char *path, uint64_t most)
{
	enum { PIECE = 128 << 10 };
	char *piece = mem_alloc(PIECE);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : 1;
	while (n > 0 && f->bytes < most) {
		n = read(fd, piece, most - f->bytes < PIECE ? (size_t)(most - f->bytes) : PIECE);
		fingerprint_add(f, (struct slice){piece, n > 0 ? (size_t)n : 0});
	}
	if (n < 0)
		die(EXIT_TEMPORARY, "could not read \"%s\": %m", path);
	close(fd);
	free(piece);
}

void
files_fingerprint(struct buf *b, char *const *paths, int n, uint64_t most)
{
	for (int i = 0; i < n; i++)
		if (file_size(paths[i]) < 0)
			return;
	struct fingerprint *f = fingerprint_new();
	for (int i = 0; i < n; i++)
		fingerprint_file(f, paths[i], most);
	fingerprint_end(f, b);
}

/* How many bytes a fingerprint is of. */
static uint64_t
fingerprint_bytes(const char *fingerprint)
{
	const char *colon = strchr(fingerprint, ':');
	uint64_t bytes;
	if (!colon ||
	    json_integer((struct slice){fingerprint, (size_t)(colon - fingerprint)}, INT64_MAX, &bytes) != 0 ||
	    strspn(colon + 1, "0123456789abcdef") != 32 || colon[33])
		die(EXIT_PERMANENT, "--fingerprint: expected BYTES:HASH as `begin` and `end` have it, not \"%s\"",
		    fingerprint);
	return bytes;
}

void
files_recognise(char *const *paths, int n, const char *fingerprint)
{
	uint64_t bytes = fingerprint_bytes(fingerprint);
	struct buf now = {0};
	files_fingerprint(&now, paths, n, bytes);
	if (!now.len)
		die(EXIT_PERMANENT, "--fingerprint: \"%s\" is not a regular file and has none", paths[0]);
	if (!slice_is(slice_buf(&now), fingerprint))
		die(EXIT_PERMANENT,
		    "\"%s\" is not what was read before: its first %llu bytes have changed, of the %llu bytes that it "
		    "has now; `acctflow run --again` reads it anew",
		    paths[0], (unsigned long long)bytes, (unsigned long long)files_size(paths, n));
	buf_free(&now);
}

static bool
guess_binary(struct slice s, struct buf *hint)
{
	/* clang-format off */
	static const struct {
		const char *magic;
		size_t n;
		const char *hint;
	} kinds[] = {
		{"\x1f\x8b", 2, "looks like gzip: zcat FILE | reader -"},
		{"\x28\xb5\x2f\xfd", 4, "looks like zstd: zstdcat FILE | reader -"},
		{"\xfd" "7zXZ", 5, "looks like xz: xzcat FILE | reader -"},
		{"BZh", 3, "looks like bzip2: bzcat FILE | reader -"},
		{"PK\3\4", 4, "looks like a zip archive: unzip -p FILE | reader -"},
		{"\xff\xfe", 2, "looks like UTF-16: iconv -f UTF-16 -t UTF-8 FILE | reader -"},
		{"\xfe\xff", 2, "looks like UTF-16: iconv -f UTF-16 -t UTF-8 FILE | reader -"},
		{"[\0", 2, "looks like UTF-16: iconv -f UTF-16LE -t UTF-8 FILE | reader -"},
		{"{\0", 2, "looks like UTF-16: iconv -f UTF-16LE -t UTF-8 FILE | reader -"},
		{"\0[", 2, "looks like UTF-16: iconv -f UTF-16BE -t UTF-8 FILE | reader -"},
		{"\0{", 2, "looks like UTF-16: iconv -f UTF-16BE -t UTF-8 FILE | reader -"},
	};
	/* clang-format on */
	for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
		if (s.n >= kinds[i].n && memcmp(s.p, kinds[i].magic, kinds[i].n) == 0) {
			buf_text(hint, kinds[i].hint);
			return true;
		}
	return false;
}

/* An object that begins at p: one record, an object over several lines, or one that holds the updates. */
static bool
guess_object(const char *p, const char *end, struct buf *hint)
{
	struct record r = {0};
	bool ignored, wraps = false;
	enum json_status status = record_parse(p, end, &r);
	const char *stop = status == JSON_OK ? r.end : end, *newline = memchr(p, '\n', (size_t)(stop - p));
	bool several = newline && (status == JSON_OK || (status == JSON_MORE && end - p >= FILE_HEAD / 2));
	/* A line that broke off, and a record behind it that goes on with it by chance. */
	const char *second = newline ? json_space(newline, end, &ignored) : end;
	const char *second_end = second < end ? memchr(second, '\n', (size_t)(end - second)) : NULL;
	if (several && second_end && record_parse_line((struct slice){second, (size_t)(second_end - second)}, &r) == 0)
		several = false;
	/* {"name":[{ */
	struct json_scan scan = {0};
	struct slice name = {0};
	const char *v = json_space(p + 1, end, &ignored);
	if (v < end && json_name(v, end, &name, &scan) == JSON_OK && scan.end < end && *scan.end == '[') {
		v = json_space(scan.end + 1, end, &ignored);
		wraps = v < end && *v == '{';
	}
	record_free(&r);
	if (!several && !wraps)
		return false;
	buf_text(hint, several ? "is one object over several lines, not one a line: jq -c "
			       : "is an object that holds the updates: jq -c ");
	if (wraps) {
		buf_text(hint, "'.[");
		buf_safe(hint, name);
		buf_text(hint, "][]'");
	} else {
		buf_char(hint, '.');
	}
	buf_text(hint, " FILE | reader -");
	return several;
}

bool
file_guess(struct slice head, struct buf *hint)
{
	bool ignored;
	const char *p = head.p, *end = p + (head.n < FILE_HEAD ? head.n : FILE_HEAD);
	if (guess_binary(head, hint))
		return true;
	if (head.n >= 3 && memcmp(p, "\xef\xbb\xbf", 3) == 0)
		p += 3;
	p = json_space(p, end, &ignored);
	if (p == end || *p == '[')
		return false;
	if (*p == '{')
		return guess_object(p, end, hint);
	const char *line = memchr(p, '\n', (size_t)(end - p));
	size_t n = (size_t)((line ? line : end) - p);
	if (memchr(p, ',', n) || memchr(p, ';', n) || memchr(p, '\t', n))
		buf_text(hint, "looks like CSV: make one JSON object a line of it");
	else
		buf_text(hint, "holds no JSON objects: one update a line, or one array of updates, is wanted");
	return false;
}
