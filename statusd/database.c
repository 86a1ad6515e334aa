/* See database.h. writer prints blocks of NAME=VALUE lines, each ended by a line `next=SECONDS`. */
#include "database.h"

#include "json.h"
#include "log.h"
#include "time.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

enum { BLOCK_BYTES = 4 << 20, READ_BYTES = 64 << 10, PATIENCE_US = 4000000 };

const char *const db_numbers[DB_NUMBERS] = {"read", "indexed", "stale", "duplicate", "conflict", "skipped", "rejected",
    "fired", "failed", "cancelled", "pending", "overdue", "schema", "schema.wanted", "machines", "rejected.id",
    "rejected.accountType", "rejected.tokens", "rejected.callbackTimeMs", "rejected.version", "rejected.arriveMs",
    "rejected.json", "rejected.refused", "rejected.other"};
const char *const db_texts[DB_TEXTS] = {"error", "sources", "pendingByDue", "richest", "rejects", "fleet"};

static _Noreturn void
writer_run(const char *writer, int out)
{
	sigset_t none;
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	signal(SIGPIPE, SIG_DFL);
	setsid(); /* ^C is for statusd; writer ends when nobody reads any more */
	int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
	dup2(null, STDIN_FILENO);
	dup2(out, STDOUT_FILENO);
	unsetenv("ACCTFLOW_METRICS");
	execl(writer, "writer", "status", "--interval", "2", (char *)NULL);
	_exit(127);
}

void
database_start(struct database *db, const char *writer)
{
	int ends[2];
	*db = (struct database){.fd = -1, .expected = clock_now() + 10 * INT64_C(1000000)};
	memset(db->number, 0xff, sizeof db->number);
	buf_text(&db->text[DB_ERROR], "it has not been asked yet");
	if (!writer)
		return;
	if (pipe2(ends, O_CLOEXEC) != 0)
		die(EXIT_TEMPORARY, "could not make a pipe: %m");
	pid_t pid = fork();
	if (pid == 0)
		writer_run(writer, ends[1]);
	if (pid < 0)
		die(EXIT_TEMPORARY, "could not start a process: %m");
	close(ends[1]);
	fcntl(ends[0], F_SETFL, O_NONBLOCK);
	db->fd = ends[0];
}

void
database_tend(struct database *db)
{
	/* writer itself may be waiting for a server that does not answer. */
	if (clock_now() > db->expected && db->text[DB_ERROR].len == 0)
		buf_text(&db->text[DB_ERROR], "no answer in time");
}

/* Ends a block; the next one is due within so many seconds. */
static void
database_block(struct database *db, uint64_t next)
{
	int64_t now = clock_now();
	if (!db->failed) {
		db->text[DB_ERROR].len = 0;
		db->answered = now;
	}
	db->failed = false;
	db->answers++;
	db->expected = now + (int64_t)next * 1000000 + PATIENCE_US;
}

static void
database_value(struct database *db, const char *name, struct slice value)
{
	uint64_t n = 0;
	bool number = json_integer(value, INT64_MAX, &n) == 0;
	for (int i = 0; i < DB_NUMBERS && number; i++) {
		if (strcmp(name, db_numbers[i]) != 0)
			continue;
		if (i == DB_READ && (int64_t)n < db->number[DB_READ])
			db->number[DB_CANCELLED] = -1; /* another database */
		/* What is fired but not yet recorded may look cancelled for a moment: the count must not go back. */
		if (i != DB_CANCELLED || (int64_t)n > db->number[i])
			db->number[i] = (int64_t)n;
	}
	for (int i = 0; i < DB_TEXTS; i++)
		if (strcmp(name, db_texts[i]) == 0) {
			db->text[i].len = 0;
			buf_slice(&db->text[i], value);
		}
	if (strcmp(name, "error") == 0)
		db->failed = true;
	else if (strcmp(name, "next") == 0)
		database_block(db, n);
}

void
database_read(struct database *db)
{
	size_t at = 0;
	char *newline, *equals;
	buf_reserve(&db->in, READ_BYTES);
	ssize_t n = read(db->fd, db->in.p + db->in.len, READ_BYTES);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0 || db->in.len > BLOCK_BYTES)
		die(EXIT_TEMPORARY, "\"writer status\" has ended, the database is not asked any more");
	db->in.len += (size_t)n;
	while ((newline = memchr(db->in.p + at, '\n', db->in.len - at)) != NULL) {
		char *line = db->in.p + at;
		at = (size_t)(newline - db->in.p) + 1;
		*newline = '\0';
		if ((equals = strchr(line, '=')) == NULL)
			continue;
		*equals = '\0';
		database_value(db, line, (struct slice){equals + 1, (size_t)(newline - equals - 1)});
	}
	buf_drop(&db->in, at);
}
