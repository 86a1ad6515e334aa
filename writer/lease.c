/* See lease.h. Each renewal is one transaction. It begins by locking all machines, so that one machine decides at a
 * time, and it is sent in parts, the next one once the answer to the last is there: a process that was cut off or
 * frozen meanwhile changes nothing. The rules: a machine takes what is free up to its share, or has been free for long;
 * one that has less than its share asks for pipelines of those who have most, and they stop them and hand them over. */
#include "lease.h"

#include "lease_end.h"

#include "lines.h"
#include "log.h"
#include "metrics.h"
#include "pg_connect.h"
#include "record.h"
#include "sql.h"
#include "time.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
	TTL_MS = 5000,	  /* a machine that has not renewed for so long is expelled */
	MARGIN_MS = 1000, /* the clocks of machine and database may run so differently in that time, and more */
	CONNECT_S = 2,
	RENEW_US = 1000000,
	LOOK_US = 100000, /* at the list */
};

/* A pipeline that the machine may run. */
struct item {
	long number; /* the supervisor's own */
	char state;  /* w: wanted, or runs; l: stopped here; d: done; r: of no use here */
	struct shard shard;
	struct slice source, owner, wanted_by; /* NULL where there is none */
	bool done, long_free;
	char act;	     /* t: it is taken; a: it is asked for; else 0 */
	const char *printed; /* the last answer, and to which state */
	char printed_state;
};

struct lease {
	struct pg *pg;
	struct pg_param machine;
	struct output out;
	const char *prefix;
	struct lines in;
	long list; /* its number */
	struct item *item;
	size_t n;
	int64_t ttl;
	int64_t machines; /* that live, this one among them */
	int queued;
	enum pg_status status; /* of this renewal: once it is not PG_OK nothing more is sent */
};

/* Reads the list anew: its number in the first line, then lines "NUMBER STATE I/N SOURCE". The slices stay in the
 * buffer. What is known of a pipeline is forgotten, but for what was printed of it. */
static void
list_read(struct lease *l, const char *path)
{
	struct slice line;
	size_t n = 0;
	l->in.fd = open(path, O_RDONLY | O_CLOEXEC);
	if (l->in.fd < 0)
		die(EXIT_TEMPORARY, "could not open \"%s\": %m", path);
	l->in = (struct lines){.fd = l->in.fd, .max = RECORD_BYTES, .buf = l->in.buf};
	l->in.buf.len = 0;
	while (lines_read(&l->in) > 0)
		continue;
	close(l->in.fd);
	l->list = lines_next(&l->in, &line) == LINE_OK ? strtol(line.p, NULL, 10) : 0;
	while (lines_next(&l->in, &line) == LINE_OK) {
		struct buf text = {0};
		if (n == l->n) {
			l->item = mem_grow(l->item, (n + 1) * sizeof *l->item);
			l->item[l->n++] = (struct item){0};
		}
		struct item *item = &l->item[n++];
		buf_slice(&text, line);
		buf_cstr(&text);
		char *rest = text.p, *number = strsep(&rest, " "), *state = strsep(&rest, " ");
		char *shard = strsep(&rest, " "), *end = NULL;
		item->number = strtol(number, &end, 10);
		if (!rest || !*rest || end == number || *end || strlen(state) != 1 ||
		    shard_read(slice_of(shard), &item->shard) != 0)
			die(EXIT_PERMANENT, "lease wants lines \"NUMBER STATE I/N SOURCE\", not \"%.*s\"", (int)line.n,
			    line.p);
		item->state = *state;
		item->source = (struct slice){line.p + (rest - text.p), line.n - (size_t)(rest - text.p)};
		item->act = 0;
		buf_free(&text);
	}
	l->n = n;
}

static void
lease_queue(struct lease *l, const char *sql, const struct pg_param *p, size_t n)
{
	pg_queue(l->pg, sql, p, n);
	l->queued++;
}

/* Runs what was queued. Returns the number of the last result; -1 where it went wrong. */
static int
lease_run(struct lease *l)
{
	int last = l->queued - 1;
	l->status = pg_run(l->pg);
	l->queued = 0;
	return l->status == PG_OK ? last : -1;
}

/* Queues a statement about the items of that state, or to which that is done; 0: about all. Nothing, where there are
 * none. */
static void
items_queue(struct lease *l, const char *sql, char which)
{
	struct pg_array source = {0}, shard = {0};
	pg_array(&source, PG_TEXTS);
	pg_array(&shard, PG_BIGINTS);
	for (const struct item *i = l->item; i < l->item + l->n; i++)
		if (!which || i->state == which || i->act == which) {
			pg_push_text(&source, i->source);
			pg_push_i64(&shard, i->shard.index);
		}
	if (source.count)
		lease_queue(l, sql, PG_PARAMS(l->machine, pg_array_param(&source), pg_array_param(&shard)));
	buf_free(&source.bytes);
	buf_free(&shard.bytes);
}

/* Queues what kafka-reader shows of how far the partitions are behind. */
static void
lag_queue(struct lease *l, const char *home)
{
	static struct metrics m;
	struct pg_array source = {0}, shard = {0}, lag = {0};
	pg_array(&source, PG_TEXTS);
	pg_array(&shard, PG_BIGINTS);
	pg_array(&lag, PG_BIGINTS);
	for (const struct item *i = l->item; i < l->item + l->n; i++) {
		char folder[4096];
		snprintf(folder, sizeof folder, "%s/run/pipelines/%ld", home, i->number);
		if (i->state != 'w' || metrics_read(folder, "kafka-reader", &m) < 1)
			continue;
		pg_push_text(&source, i->source);
		pg_push_i64(&shard, i->shard.index);
		pg_push_i64(&lag, (int64_t)m.value[METRIC_BEHIND]);
	}
	if (source.count)
		lease_queue(l, sql_leases_lag,
		    PG_PARAMS(l->machine, pg_array_param(&source), pg_array_param(&shard), pg_array_param(&lag)));
	buf_free(&source.bytes);
	buf_free(&shard.bytes);
	buf_free(&lag.bytes);
}

/* Takes what sql/leases_read.sql says, whose texts live until the next statement. */
static void
items_update(struct lease *l, int result)
{
	for (int row = 0; row < pg_rows(l->pg, result); row++) {
		struct item *i = &l->item[pg_i64(l->pg, result, row, 0) - 1];
		struct slice *text[] = {&i->owner, &i->wanted_by};
		for (int c = 0; c < 2; c++) {
			free((void *)(uintptr_t)text[c]->p);
			*text[c] = (struct slice){0};
			if (!pg_null(l->pg, result, row, c + 1))
				*text[c] = slice_of(mem_string(pg_text(l->pg, result, row, c + 1)));
		}
		i->done = slice_is(pg_text(l->pg, result, row, 3), "t");
		i->long_free = slice_is(pg_text(l->pg, result, row, 4), "t");
	}
}

static bool
is(struct slice name, struct slice machine)
{
	return name.p && slice_same(name, machine);
}

/* Says of how many pipelines a machine will be the owner, once all are handed over that are asked for. */
static int64_t
share_of(const struct lease *l, struct slice machine)
{
	int64_t n = 0;
	for (const struct item *i = l->item; i < l->item + l->n; i++)
		if (!i->done)
			n += is(i->wanted_by.p ? i->wanted_by : i->owner, machine);
	return n;
}

/* Asks for one of whoever has most, if that is more than `have`. */
static bool
lease_ask(struct lease *l, struct slice me, int64_t have)
{
	struct item *best = NULL;
	for (struct item *i = l->item; i < l->item + l->n; i++) {
		if (i->done || i->state != 'w' || i->act || !i->owner.p || is(i->owner, me) || i->wanted_by.p)
			continue;
		int64_t share = best && is(i->owner, best->owner) ? 0 : share_of(l, i->owner);
		if (share > have) {
			have = share;
			best = i;
		}
	}
	if (best) {
		best->act = 'a';
		best->wanted_by = slice_of(mem_string(me));
	}
	return best != NULL;
}

static void
lease_decide(struct lease *l)
{
	struct slice me = l->machine.bytes;
	int64_t n = 0, have = share_of(l, me);
	for (const struct item *i = l->item; i < l->item + l->n; i++)
		n += !i->done;
	int64_t most = (n + l->machines - 1) / l->machines, least = n / l->machines;
	for (struct item *i = l->item; i < l->item + l->n; i++)
		if (i->state == 'w' && !i->done && !i->owner.p && (have < most || i->long_free)) {
			i->act = 't';
			have++;
		}
	while (have < least && lease_ask(l, me, have))
		have++;
}

static void __attribute__((format(printf, 2, 3))) lease_print(struct lease *l, const char *format, ...)
{
	va_list args;
	char text[256];
	va_start(args, format);
	vsnprintf(text, sizeof text, format, args);
	va_end(args);
	buf_printf(&l->out.buf, "%s%s\n", l->prefix, text);
	/* Each write whole, should it be a pipe that others write to as well. */
	if (output_flush(&l->out) != 0)
		output_failed();
}

/* Prints what has changed. */
static void
items_print(struct lease *l)
{
	for (struct item *i = l->item; i < l->item + l->n; i++) {
		bool mine = is(i->owner, l->machine.bytes);
		const char *answer = mine	  ? i->wanted_by.p ? "asked" : "mine"
				     : i->owner.p ? "other"
				     : i->done	  ? "done"
						  : "free";
		if (answer != i->printed || i->state != i->printed_state)
			lease_print(l, "%ld %s", i->number, answer);
		i->printed = answer;
		i->printed_state = i->state;
	}
	lease_print(l, "renewed %ld", l->list);
}

/* Locks all machines. Returns whether this one is among them. */
static bool
machines_lock(struct lease *l)
{
	bool there = false;
	lease_queue(l, PG_BEGIN, NULL, 0);
	/* Whoever is cut off in between keeps nobody waiting for long. */
	lease_queue(l,
	    "SELECT set_config('lock_timeout', '2s', true), set_config('idle_in_transaction_session_timeout', '1s', "
	    "true)",
	    NULL, 0);
	lease_queue(l, sql_machines_lock, NULL, 0);
	int last = lease_run(l);
	for (int row = 0; last >= 0 && row < pg_rows(l->pg, last); row++)
		there |= slice_same(pg_text(l->pg, last, row, 0), l->machine.bytes);
	return there;
}

/* Renews, and shares out what there is. */
static void
lease_renew(struct lease *l, const struct writer_options *o)
{
	lease_queue(l, sql_machines_renew, PG_PARAMS(l->machine, pg_i64_param(l->ttl * 1000)));
	lease_queue(l, sql_machines_expire, NULL, 0);
	lease_queue(l, sql_leases_free, NULL, 0);
	lease_queue(l, sql_leases_unwant, NULL, 0);
	items_queue(l, sql_leases_add, 0);
	items_queue(l, sql_leases_leave, 'l');
	items_queue(l, sql_leases_leave, 'r');
	items_queue(l, sql_leases_done, 'd');
	lag_queue(l, o->home);
	items_queue(l, sql_leases_read, 0);
	lease_queue(l, "SELECT count(*) FROM acctflow.machines", NULL, 0);
	int last = lease_run(l);
	if (last < 0)
		return;
	l->machines = pg_i64(l->pg, last, 0, 0);
	if (l->n)
		items_update(l, last - 1);
	lease_decide(l);
	items_queue(l, sql_leases_take, 't');
	items_queue(l, sql_leases_want, 'a');
	items_queue(l, sql_leases_read, 0);
	lease_queue(l, "COMMIT", NULL, 0);
	last = lease_run(l);
	if (last >= 0 && l->n)
		items_update(l, last - 1);
}

/* One renewal, or the end of all. Returns false where the machine was expelled. */
static bool
lease_turn(struct lease *l, const struct writer_options *o, bool join, _Atomic int64_t *end)
{
	int64_t sent = clock_boot();
	l->status = pg_connect(l->pg);
	l->queued = 0;
	bool there = l->status == PG_OK && machines_lock(l);
	if (l->status != PG_OK)
		return true;
	if (!there && !join && !o->leave)
		return false;
	if (!o->leave) {
		list_read(l, o->list);
		lease_renew(l, o);
		if (l->status == PG_OK)
			*end = sent + (l->ttl - MARGIN_MS) * 1000;
		return true;
	}
	lease_queue(l, sql_machines_leave, PG_PARAMS(l->machine));
	lease_queue(l, sql_leases_free, NULL, 0);
	lease_queue(l, sql_leases_unwant, NULL, 0);
	lease_queue(l, "COMMIT", NULL, 0);
	lease_run(l);
	return true;
}

/* Waits for the next renewal, or until the list is another. */
static void
lease_wait(const char *path, int64_t until)
{
	struct stat before = {0}, now;
	stat(path, &before);
	while (clock_now() < until && !loop_stopping()) {
		loop_wait(NULL, 0, clock_now() + LOOK_US);
		if (stat(path, &now) == 0 && now.st_ino != before.st_ino)
			break;
	}
}

int
lease_main(const struct writer_options *o)
{
	static struct lease l;
	struct writer_options mine = *o;
	_Atomic int64_t *end = NULL;
	bool join = o->join, failed = false;
	const char *ttl = getenv("ACCTFLOW_LEASE_MS"); /* for tests on a slow machine */
	if (!o->machine || (!o->leave && (!o->lease || !o->list)))
		die(EXIT_PERMANENT, "lease wants --machine NAME, and --lease FILE and --list FILE or --leave");
	l.ttl = ttl && strtol(ttl, NULL, 10) > MARGIN_MS ? strtol(ttl, NULL, 10) : TTL_MS;
	mine.deadline = CONNECT_S;
	if (o->lease && (end = lease_end_map(o->lease, true)) == NULL)
		die(EXIT_TEMPORARY, "could not map \"%s\": %m", o->lease);
	l.machine = pg_text_param(slice_of(o->machine));
	l.prefix = o->prefix ? o->prefix : "";
	output_open(&l.out, STDOUT_FILENO);
	l.pg = writer_open(&mine, "acctflow lease", true);
	do {
		int64_t next = clock_now() + RENEW_US;
		if (!lease_turn(&l, o, join, end)) {
			lease_print(&l, "expelled");
			break;
		}
		if (l.status != PG_OK && (l.status != PG_RETRY || o->once || o->leave))
			die(l.status == PG_RETRY ? EXIT_TEMPORARY : EXIT_PERMANENT, "could not renew the leases: %s",
			    pg_error(l.pg));
		if (l.status != PG_OK && !failed)
			log_warn("could not renew the leases, trying again: %s", pg_error(l.pg));
		failed = l.status != PG_OK;
		join = join && failed;
		if (!failed && !o->leave)
			items_print(&l);
		else if (failed)
			lease_print(&l, "failed");
		if (!o->once && !o->leave)
			lease_wait(o->list, next);
	} while (!o->once && !o->leave && !loop_stopping());
	lines_free(&l.in);
	pg_free(l.pg);
	return EXIT_OK;
}
