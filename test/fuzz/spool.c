// with: reader/spool.c reader/split.c reader/input.c
/* What reader reads from its own disk: the head of a spool's segment, and what it says
 * about where in the stream the segment's bytes are. A damaged one ends the program with
 * a message; one that is taken is gone on with to an end. */
#include "fuzz.h"

#include "log.h"
#include "reader/spool.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static char folder[] = "/tmp/acctflow-fuzz.XXXXXX";
static char segment[sizeof folder + 21];
static struct spool spool;
static struct spool_head head;
static struct split split;

static void
clean(void)
{
	unlink(segment);
	rmdir(folder);
}

static void
go_on(void)
{
	enum split_status status;
	if (split_load(&split, spool.in, false, head.split) < 0)
		return;
	while ((status = split_next(&split)) == SPLIT_RECORD || status == SPLIT_MORE)
		if (status == SPLIT_MORE)
			check(split_read(&split) >= 0);
		else
			split_line(&split);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static bool made;
	log_set(LOG_ERROR, false);
	if (!made) {
		check(mkdtemp(folder) != NULL);
		snprintf(segment, sizeof segment, "%s/%020d", folder, 0);
		atexit(clean);
		made = true;
	}
	int fd = open(segment, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	check(fd >= 0 && write(fd, data, size) == (ssize_t)size);
	close(fd);

	spool = (struct spool){.path = folder, .limit = 1, .in = -1, .out = -1, .folder = -1};
	fuzz_catches = true;
	if (setjmp(fuzz_died) == 0) {
		spool_open(&spool);
		check(spool_find(&spool, 0, &head));
		go_on();
	}
	fuzz_catches = false;
	split_free(&split);
	spool_close(&spool);
	return 0;
}
