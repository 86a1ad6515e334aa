/* Drives a fuzz target without libFuzzer: every file of its corpus, each also cut at
 * every byte and with bytes changed, so that a build by any compiler goes through what
 * fuzzing found once. Prints TAP. usage: fuzz-NAME [FOLDER-OR-FILE...] */
#include "fuzz.h"

#include "../unit/tap.h"
#include "log.h"

#include <dirent.h>
#include <stdlib.h>
#include <string.h>

enum { CHANGED = 600 }; /* longer inputs are only changed at so many places */

static unsigned long runs;

/* A copy of exactly this size, so that a sanitizer sees the byte behind it. */
static void
run(const char *p, size_t n)
{
	uint8_t *copy = mem_alloc(n);
	if (n)
		memcpy(copy, p, n);
	LLVMFuzzerTestOneInput(copy, n);
	free(copy);
	runs++;
}

static void
run_changed(struct buf *b)
{
	static const char others[] = {'\0', '"', '\\', '\n', '[', '}', '9', '\x80'};
	size_t step = 1 + b->len / CHANGED;
	run(b->p, b->len);
	for (size_t i = 0; i < b->len; i += step) {
		char was = b->p[i];
		run(b->p, i);
		b->p[i] = (char)(was ^ 1 << i % 8);
		run(b->p, b->len);
		b->p[i] = others[i % sizeof others];
		run(b->p, b->len);
		b->p[i] = was;
	}
}

static bool
run_file(const char *path)
{
	struct buf b = {0};
	FILE *f = fopen(path, "re");
	if (!f)
		return false;
	for (size_t n = 1; n; b.len += n) {
		buf_reserve(&b, 65536);
		n = fread(b.p + b.len, 1, 65536, f);
	}
	bool read = !ferror(f);
	fclose(f);
	if (read)
		run_changed(&b);
	buf_free(&b);
	return read;
}

static unsigned
run_folder(const char *path)
{
	unsigned files = 0;
	DIR *all = opendir(path);
	if (!all)
		return run_file(path);
	struct buf name = {0};
	for (struct dirent *d; (d = readdir(all));) {
		name.len = 0;
		buf_printf(&name, "%s/%s", path, d->d_name);
		files += d->d_name[0] != '.' && run_file(buf_cstr(&name));
	}
	closedir(all);
	buf_free(&name);
	return files;
}

int
main(int argc, char **argv)
{
	const char *slash = strrchr(argv[0], '/'), *name = slash ? slash + 1 : argv[0];
	struct buf folder = {0};
	unsigned files = 0;
	log_set(LOG_ERROR, false);
	buf_printf(&folder, "test/fuzz/corpus/%s", strncmp(name, "fuzz-", 5) == 0 ? name + 5 : name);
	run("", 0);
	for (int i = 1; i < argc; i++)
		files += run_folder(argv[i]);
	if (argc == 1)
		files = run_folder(buf_cstr(&folder));
	tap_ok(files > 0, "%s: %u inputs, whole, cut and changed: %lu runs", name, files, runs);
	buf_free(&folder);
	return tap_done();
}
