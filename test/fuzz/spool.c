// with: reader/spool.c reader/split.c reader/map.c
/* What reader reads from its own disk: the index of a spool, damaged or not. Each entry
 * that is taken is one that stands there; a reader that begins at the last one gets to an
 * end, whatever the entry says. */
#include "fuzz.h"

#include "log.h"
#include "reader/split.h"
#include "reader/spool.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static char folder[] = "/tmp/acctflow-fuzz.XXXXXX";
static const char data[] = "[1, 2,\n3, 4]\n{\"a\":1}\nrubbish\n";
static struct spool spool;
static struct split split;

static void
file_write(const char *name, struct slice text)
{
	char path[64];
	snprintf(path, sizeof path, "%s/%s", folder, name);
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	check(fd >= 0 && write(fd, text.p, text.n) == (ssize_t)text.n);
	close(fd);
}

static void
clean(void)
{
	static const char *const names[] = {"data", "index", "end", "read.0"};
	char path[64];
	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		snprintf(path, sizeof path, "%s/%s", folder, names[i]);
		unlink(path);
	}
	rmdir(folder);
}

static void
go_on(void)
{
	struct spool_entry e;
	enum split_status status;
	if (!spool_find(&spool, UINT64_MAX, &e))
		return;
	check(spool.at == e.byte && e.byte < sizeof data && spool.input <= e.byte && e.line > 0);
	spool_split(&spool, &e, &split, false);
	while ((status = split_next(&split)) == SPLIT_RECORD || status == SPLIT_MORE) {
		int64_t more = status == SPLIT_MORE ? spool_more(&spool) : 1;
		check(more >= 0 && more < (int64_t)sizeof data);
		if (status == SPLIT_RECORD) {
			split_line(&split);
		} else if (more == 0) {
			split_end(&split, true);
		} else {
			split.in.most = (size_t)more;
			ssize_t n = split_read(&split);
			check(n > 0);
			spool.at += (uint64_t)n;
		}
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	static bool made;
	log_set(LOG_ERROR + 0, false);
	if (!made) {
		check(mkdtemp(folder) != NULL);
		atexit(clean);
		file_write("data", (struct slice){data, sizeof data - 1});
		file_write("end", SLICE(""));
		made = true;
	}
	file_write("index", (struct slice){(const char *)bytes, size});
	spool = (struct spool){.path = folder};
	fuzz_catches = true;
	if (setjmp(fuzz_died) == 0) {
		spool_open(&spool);
		spool_enter(&spool, 0);
		go_on();
	}
	fuzz_catches = false;
	close(spool.folder);
	close(spool.data);
	close(spool.index);
	close(spool.inotify);
	close(spool.place);
	buf_free(&spool.text);
	return 0;
}
