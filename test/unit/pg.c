// with: writer/pg.c writer/pg_connect.c writer/pg_param.c
/* The connection against a real Postgres, which PGHOST and the like name: test/pg.bats runs it with one of its own. */
#include "log.h"
#include "loop.h"
#include "tap.h"
#include "time.h"
#include "writer/pg_connect.h"

#include <stdlib.h>

static void
queries(struct pg *pg)
{
	struct pg_array numbers = {0};
	pg_array(&numbers, PG_BIGINTS);
	for (int i = 0; i < 1000; i++)
		pg_push_i64(&numbers, i);
	pg_queue(pg, PG_BEGIN, NULL, 0);
	pg_queue(pg, "SELECT sum(n), $2 FROM unnest($1) n",
	    PG_PARAMS(pg_array_param(&numbers), pg_text_param(SLICE("it's"))));
	pg_queue(pg, "SHOW search_path", NULL, 0);
	tap_ok(pg_run(pg) == PG_OK, "a pipeline");
	tap_ok(pg_i64(pg, 1, 0, 0) == 499500 && slice_is(pg_text(pg, 1, 0, 1), "it's"), "parameters arrive");
	tap_ok(slice_is(pg_text(pg, 2, 0, 0), "pg_catalog, pg_temp"), "the search path is fixed");
	pg_queue(pg, "COMMIT", NULL, 0);
	tap_ok(pg_run(pg) == PG_OK, "a commit comes through");
	pg_exec(pg, "SHOW transaction_isolation", NULL, 0);
	tap_ok(slice_is(pg_text(pg, 0, 0, 0), "serializable"), "the database's default isolation is another one");
	pg_exec(pg, PG_BEGIN, NULL, 0);
	pg_exec(pg, "SHOW transaction_isolation", NULL, 0);
	tap_ok(slice_is(pg_text(pg, 0, 0, 0), "read committed"), "which a transaction does not have");
	tap_ok(pg_connect(pg) == PG_OK, "what is open is rolled back");
	buf_free(&numbers.bytes);
}

static void
rows(struct pg *pg)
{
	int64_t n = 0, sum = 0;
	pg_each(pg, 0, "SELECT i AS number FROM generate_series(1, 10000) i", NULL, 0);
	for (; pg_next(pg); n++)
		sum += pg_i64(pg, 0, 0, 0);
	tap_ok(n == 10000 && sum == 50005000 && pg_finish(pg) == PG_OK, "row by row");
	tap_ok(pg_columns(pg, 0) == 1 && strcmp(pg_column(pg, 0, 0), "number") == 0 && pg_rows(pg, 0) == 0,
	    "the columns are left");
	pg_each(pg, 0, "SELECT 1 / (5 - i) FROM generate_series(1, 10) i", NULL, 0);
	for (n = 0; pg_next(pg); n++)
		continue;
	tap_ok(
	    n == 4 && pg_finish(pg) == PG_DATA && strcmp(pg_sqlstate(pg), "22012") == 0, "an error behind some rows");
	tap_ok(pg_connect(pg) == PG_OK && pg_exec(pg, "SELECT 1", NULL, 0) == PG_OK, "and on it goes");
}

static enum pg_status
copy(struct pg *pg, const char *line, int pieces)
{
	pg_exec(pg, PG_BEGIN, NULL, 0);
	pg_copy_start(pg, "COPY public.copied FROM STDIN");
	enum pg_status status = pg_finish(pg);
	for (int i = 0; status == PG_OK && i < pieces; i++) {
		pg_copy(pg, slice_of(line));
		status = pg_finish(pg);
	}
	if (status == PG_OK) {
		pg_copy(pg, (struct slice){0});
		status = pg_finish(pg);
	}
	return status == PG_OK ? pg_exec(pg, "COMMIT", NULL, 0) : status;
}

static void
copies(struct pg *pg)
{
	tap_ok(pg_script(pg, "CREATE TABLE public.copied (n bigint, t text); SELECT 1; SELECT 2") == PG_OK, "a script");
	static char line[20000];
	memset(line, 'x', sizeof line - 1);
	memcpy(line, "1\t", 2);
	line[sizeof line - 2] = '\n';
	tap_ok(copy(pg, line, 300) == PG_OK, "a copy of six megabytes");
	pg_exec(pg, "SELECT count(*), sum(length(t)) FROM public.copied", NULL, 0);
	tap_ok(pg_i64(pg, 0, 0, 0) == 300 && pg_i64(pg, 0, 0, 1) == 300 * 19996, "has all rows");
	tap_ok(copy(pg, "x\ty\n", 5) == PG_DATA && strcmp(pg_sqlstate(pg), "22P02") == 0, "a row is refused");
	tap_ok(pg_connect(pg) == PG_OK && copy(pg, "2\t\n", 5) == PG_OK, "and the next copy goes through");
	tap_ok(pg_script(pg, "SELECT 1; SELECT nothing; SELECT 2") == PG_FATAL && strcmp(pg_sqlstate(pg), "42703") == 0,
	    "a script's error");
	tap_ok(pg_connect(pg) == PG_OK, "which does no harm");
}

/* What a program may raise, and what that means. */
static void
errors(struct pg *pg)
{
	static const struct {
		const char *state;
		enum pg_status status;
	} all[] = {{"P0001", PG_DATA}, {"54001", PG_DATA}, {"23505", PG_DATA}, {"AC001", PG_DATA}, {"22001", PG_DATA},
	    {"57014", PG_RETRY}, {"40001", PG_RETRY}, {"53100", PG_RETRY}, {"25P03", PG_RETRY}, {"55P03", PG_RETRY},
	    {"42501", PG_FATAL}, {"42P01", PG_FATAL}, {"0A000", PG_FATAL}};
	for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
		struct buf sql = {0};
		buf_printf(&sql, "DO $$ BEGIN RAISE 'why' USING ERRCODE = '%s'; END $$", all[i].state);
		enum pg_status status = pg_exec(pg, buf_cstr(&sql), NULL, 0);
		tap_ok(status == all[i].status && strcmp(pg_sqlstate(pg), all[i].state) == 0 && !pg_unreachable(pg) &&
			   strcmp(pg_error(pg), "why") == 0,
		    "%s is %d (%d, %s)", all[i].state, (int)all[i].status, (int)status, pg_sqlstate(pg));
		pg_connect(pg);
		buf_free(&sql);
	}
	pg_exec(pg, "DO $$ BEGIN RAISE NOTICE 'a\e[31m\nb'; RAISE WARNING 'look'; END $$", NULL, 0);
}

/* Backends that end: while a statement runs, within a COPY, and while nothing is under way. */
static void
losses(struct pg *pg, struct pg *other)
{
	tap_ok(pg_exec(pg, "SELECT pg_terminate_backend(pg_backend_pid())", NULL, 0) == PG_RETRY &&
		   strcmp(pg_sqlstate(pg), "57P01") == 0,
	    "a backend that ends: %s", pg_error(pg));
	tap_ok(pg_connect(pg) == PG_OK, "connected again");
	pg_exec(pg, "SELECT pg_backend_pid()", NULL, 0);
	int64_t backend = pg_i64(pg, 0, 0, 0);
	pg_exec(pg, PG_BEGIN, NULL, 0);
	pg_copy_start(pg, "COPY public.copied FROM STDIN");
	pg_finish(pg);
	pg_exec(other, "SELECT pg_terminate_backend($1, 10000)", PG_PARAMS(pg_i64_param(backend)));
	enum pg_status status = PG_OK;
	for (int i = 0; i < 1000 && status == PG_OK; i++) {
		pg_copy(pg, SLICE("1\tx\n"));
		status = pg_finish(pg);
	}
	if (status == PG_OK) {
		pg_copy(pg, (struct slice){0});
		status = pg_finish(pg);
	}
	tap_ok(status == PG_RETRY, "a backend that ends within a COPY: %s", pg_error(pg));
	tap_ok(pg_connect(pg) == PG_OK, "connected again");
	pg_exec(pg, "SELECT pg_backend_pid()", NULL, 0);
	backend = pg_i64(pg, 0, 0, 0);
	pg_exec(pg, PG_BEGIN, NULL, 0);
	pg_exec(other, "SELECT pg_terminate_backend($1, 10000)", PG_PARAMS(pg_i64_param(backend)));
	pg_queue(pg, "SELECT 1", NULL, 0);
	pg_queue(pg, "COMMIT", NULL, 0);
	tap_ok(pg_run(pg) == PG_RETRY && strcmp(pg_sqlstate(pg), "57P01") == 0,
	    "a backend that ended in between, with the server's word: %s", pg_error(pg));
	tap_ok(pg_connect(pg) == PG_OK, "connected again");
}

/* Two at once, neither of which blocks. */
static void
steps(struct pg *a, struct pg *b)
{
	struct pg *both[] = {a, b};
	enum pg_status status[] = {PG_WAIT, PG_WAIT};
	int64_t start = clock_now();
	for (int i = 0; i < 2; i++) {
		pg_queue(both[i], "SELECT pg_sleep(0.5)", NULL, 0);
		pg_start(both[i]);
	}
	bool limited = true;
	while (status[0] == PG_WAIT || status[1] == PG_WAIT) {
		struct pollfd p[2] = {{.fd = -1}, {.fd = -1}};
		for (int i = 0; i < 2; i++) {
			struct pg_wait wait;
			if (status[i] == PG_WAIT && (status[i] = pg_step(both[i], &wait)) == PG_WAIT) {
				p[i] = (struct pollfd){.fd = wait.fd, .events = wait.events};
				limited &= wait.until > 0;
			}
		}
		if (p[0].fd >= 0 || p[1].fd >= 0)
			loop_wait(p, 2, -1);
	}
	tap_ok(status[0] == PG_OK && status[1] == PG_OK && limited, "two at once");
	tap_ok(clock_now() - start < 5000000, "side by side");
}

/* A session that is read only is given up, once writing was refused in it. */
static void
read_only(struct pg *other)
{
	struct pg *pg = pg_new("read only");
	struct buf sql = {0};
	pg_exec(other, "SELECT current_database()", NULL, 0);
	buf_printf(&sql, "ALTER DATABASE %s SET default_transaction_read_only = on", pg_text(other, 0, 0, 0).p);
	pg_exec(other, buf_cstr(&sql), NULL, 0);
	pg_connect(pg);
	tap_ok(
	    pg_exec(pg, "CREATE TABLE public.written ()", NULL, 0) == PG_RETRY && strcmp(pg_sqlstate(pg), "25006") == 0,
	    "nothing can be written: %s", pg_error(pg));
	pg_ready(pg);
	struct pg_wait wait;
	for (int i = 0; i < 6 && pg_step(pg, &wait) == PG_WAIT; i++) {
		struct pollfd p = {.fd = wait.fd, .events = wait.events};
		loop_wait(&p, 1, wait.until);
	}
	sql.len = 0;
	pg_exec(other, "SELECT current_database()", NULL, 0);
	buf_printf(&sql, "ALTER DATABASE %s RESET default_transaction_read_only", pg_text(other, 0, 0, 0).p);
	pg_exec(other, buf_cstr(&sql), NULL, 0);
	tap_ok(pg_finish(pg) == PG_OK && pg_exec(pg, "CREATE TABLE public.written ()", NULL, 0) == PG_OK,
	    "until the server can be written to");
	buf_free(&sql);
	pg_free(pg);
}

/* A server that is there and silent: with a deadline of a second. */
static void
silence(struct pg *pg)
{
	tap_ok(pg_exec(pg, "SELECT pg_sleep(20)", NULL, 0) == PG_RETRY && pg_unreachable(pg) &&
		   strstr(pg_error(pg), "no word from the server for 1 s"),
	    "no word: %s", pg_error(pg));
	tap_ok(pg_connect(pg) == PG_OK, "connected again");
}

int
main(int argc, char **argv)
{
	loop_init();
	if (!getenv("PGHOST")) {
		tap_skip("pg", "no database; test/pg.bats has one");
		return tap_done();
	}
	log_init("pg");
	log_set(LOG_DEBUG, false);
	pg_configure(argc > 1 ? argv[1] : "", NULL, 10, false);
	struct pg *pg = pg_new("pg"), *other = pg_new("other");
	if (!tap_ok(pg_connect(pg) == PG_OK && pg_connect(other) == PG_OK, "connected"))
		return tap_done();
	queries(pg);
	rows(pg);
	copies(pg);
	errors(pg);
	losses(pg, other);
	steps(pg, other);
	read_only(other);
	pg_configure(argc > 1 ? argv[1] : "", NULL, 1, false);
	silence(pg);
	pg_free(pg);
	pg_free(other);
	return tap_done();
}
