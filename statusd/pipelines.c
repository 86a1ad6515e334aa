/* See pipelines.h. */
#include "pipelines.h"

#include "shard.h"
#include "time.h"

#include <dirent.h>
#include <fcntl.h>
#include <fts.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

enum {
	LOOK_US = 100000,
	DISK_US = 5000000,
	STALLED_US = 5000000,
	RATE_US = 30000000, /* rate and time left are of the last half minute */
	PATH_BYTES = 4200,
};

const char *const program_names[PROGRAMS] = {"kafka-reader", "reader", "writer", "timerd", "deliver", "tracer", "ack"};
const char *const program_states[] = {"stopped", "stalled", "running"};

/* The number in a file of the run; `none` where there is no such file. */
static int64_t
number_look(const struct pipelines *ps, const char *name, int64_t none)
{
	char path[PATH_BYTES], line[32], *end;
	snprintf(path, sizeof path, "%s/run/%s", ps->home, name);
	FILE *f = fopen(path, "re");
	if (f && fgets(line, sizeof line, f)) {
		int64_t n = strtoll(line, &end, 10);
		none = end == line ? none : n;
	}
	if (f)
		fclose(f);
	return none;
}

static void
restarts_look(struct pipelines *ps)
{
	char path[PATH_BYTES], line[128];
	struct restart r = {0};
	snprintf(path, sizeof path, "%s/run/restarts", ps->home);
	FILE *f = fopen(path, "re");
	ps->restarts = 0;
	while (f && fgets(line, sizeof line, f)) {
		char *rest;
		r.at = strtoll(line, &rest, 10) + ps->shift;
		if (sscanf(rest, "%31s %31[^\n]", r.program, r.cause) != 2)
			continue;
		if ((ps->restarts & (ps->restarts - 1)) == 0) /* full at each power of two */
			ps->restart = mem_grow(ps->restart, (ps->restarts ? 2 * ps->restarts : 1) * sizeof r);
		ps->restart[ps->restarts++] = r;
		struct restart *first = ps->restart;
		while (strcmp(first->program, r.program) != 0 || strcmp(first->cause, r.cause) != 0)
			first++;
		first->same++;
	}
	if (f)
		fclose(f);
}

/* The disk blocks of a folder's files, as a spool's beginning may be a hole. */
static uint64_t
folder_bytes(char *path)
{
	char *const paths[] = {path, NULL};
	uint64_t sum = 0;
	FTS *tree = fts_open(paths, FTS_PHYSICAL | FTS_NOCHDIR, NULL);
	for (FTSENT *e; tree && (e = fts_read(tree)) != NULL;)
		if (e->fts_info == FTS_F)
			sum += (uint64_t)e->fts_statp->st_blocks * 512;
	if (tree)
		fts_close(tree);
	return sum;
}

static void
disk_look(struct pipelines *ps)
{
	struct statvfs fs;
	char path[PATH_BYTES];
	if (ps->disk_at && ps->now - ps->disk_at < DISK_US)
		return;
	ps->disk_at = ps->now;
	snprintf(path, sizeof path, "%s/spool", ps->home);
	ps->spool_bytes = folder_bytes(path);
	ps->disk_free = statvfs(ps->home, &fs) == 0 ? (uint64_t)fs.f_bavail * fs.f_frsize : UINT64_MAX;
}

/* The mark of that age in marks, 0 the newest; NULL: there is none. The oldest one may be overwritten as it is read. */
static const struct metrics_mark *
mark_at(const struct metrics *m, uint32_t age)
{
	return age < m->marks && age + 1 < METRICS_MARKS ? &m->mark[(m->marks - 1 - age) % METRICS_MARKS] : NULL;
}

/* Rate and time left, from the last half minute without the time in which reader skipped. */
static void
progress_look(struct pipeline *p, int64_t now)
{
	const struct watched *w = &p->program[READER];
	const struct metrics *m = &w->metrics;
	struct progress *g = &p->progress;
	*g = (struct progress){.known = w->state != STOPPED, .rate = -1, .left = -1};
	if (!g->known)
		return;
	g->emitted = m->value[METRIC_EMITTED];
	g->bytes = m->value[METRIC_BYTES];
	g->size = m->value[METRIC_SIZE];
	const struct metrics_mark *first = NULL, *mark, *oldest = mark_at(m, m->marks - 1);
	for (uint32_t age = 0; (mark = mark_at(m, age)) != NULL && now - mark->at <= RATE_US; age++) {
		first = mark;
		if (oldest && mark->emitted == oldest->emitted)
			break;
	}
	if (!first || now - first->at < 1000000)
		return;
	g->rate = (double)(g->emitted - first->emitted) / ((double)(now - first->at) / 1e6);
	/* Offsets and bytes are both of the whole input, so that skipped records count for the size of one, too. */
	if (g->size > g->bytes && g->bytes > 0 && g->rate > 0)
		g->left = (double)(g->size - g->bytes) * (double)g->emitted / (double)g->bytes / g->rate;
}

static void
lag_look(struct pipeline *p, int64_t now)
{
	const struct watched *head = &p->program[p->first], *w = &p->program[WRITER];
	const _Atomic uint64_t *v = head->metrics.value;
	p->lag_records = -1;
	p->lag_seconds = 0;
	if (!head->known || !w->known || (head->state == STOPPED && w->state == STOPPED))
		return;
	/* A partition's first offset need not be 0: before the first commit, count from where it was begun. */
	uint64_t committed = w->metrics.value[METRIC_COMMITTED];
	/* Records of other shards are none of this writer's. */
	uint64_t emitted = v[p->first == READER ? METRIC_OWN : METRIC_EMITTED];
	committed = committed < v[METRIC_BEGUN] ? v[METRIC_BEGUN] : committed;
	uint64_t inside = emitted > committed ? emitted - committed : 0;
	p->lag_records = (int64_t)(inside + v[METRIC_BEHIND]);
	/* Messages still in the partition are hardly older than the one before them, which was emitted. */
	int64_t stamp = (int64_t)v[METRIC_STAMP];
	if (v[METRIC_BEHIND] > 0 && stamp > 0 && stamp < now)
		p->lag_seconds = (double)(now - stamp) / 1e6;
	if (inside == 0)
		return;
	/* Since the newest moment at which nothing had been emitted that is not committed by now. */
	const struct metrics_mark *mark;
	int64_t since = head->metrics.started;
	for (uint32_t age = 0; (mark = mark_at(&head->metrics, age)) != NULL; age++) {
		since = mark->at;
		if (mark->emitted <= committed)
			break;
	}
	double waiting = (double)(now - since) / 1e6;
	p->lag_seconds = waiting > p->lag_seconds ? waiting : p->lag_seconds;
}

/* The name that the supervisor gave, "SOURCE I/N"; by hand the folder's. */
static void
name_look(struct pipeline *p, const char *folder)
{
	char path[PATH_BYTES + 310], text[sizeof p->source + sizeof p->shard] = "";
	snprintf(path, sizeof path, "%s/name", folder);
	FILE *f = fopen(path, "re");
	if (f && fgets(text, sizeof text, f))
		text[strcspn(text, "\n")] = '\0';
	if (f)
		fclose(f);
	char *space = strrchr(text, ' ');
	if (space) {
		*space = '\0';
		snprintf(p->shard, sizeof p->shard, "%s", space + 1);
	}
	snprintf(p->source, sizeof p->source, "%s", space ? text : strrchr(folder, '/') + 1);
}

static void
pipeline_look(struct pipeline *p, const char *folder, int64_t now)
{
	*p = (struct pipeline){.shard = "0/1"};
	for (int i = 0; i < PROGRAMS; i++) {
		struct watched *w = &p->program[i];
		int found = metrics_read(folder, program_names[i], &w->metrics);
		w->known = found >= 0;
		if (!w->known)
			memset(&w->metrics, 0, sizeof w->metrics);
		w->state = found < 1 ? STOPPED : now - w->metrics.tick > STALLED_US ? STALLED : RUNNING;
	}
	p->first = p->program[KAFKA_READER].known ? KAFKA_READER : READER;
	name_look(p, folder);
	progress_look(p, now);
	lag_look(p, now);
	int64_t due = (int64_t)p->program[TIMERD].metrics.value[METRIC_NEXT_DUE];
	if (p->program[TIMERD].state != STOPPED && due > 0 && due < now)
		p->overdue = (double)(now - due) / 1e6;
}

static int
is_pipeline(const struct dirent *e)
{
	return e->d_name[0] >= '0' && e->d_name[0] <= '9';
}

void
pipelines_look(struct pipelines *ps)
{
	struct dirent **entry = NULL;
	char path[PATH_BYTES], folder[PATH_BYTES + 300];
	if (clock_now() + ps->shift - ps->now < LOOK_US)
		return;
	int64_t shift = number_look(ps, "anchor", clock_anchor()) - clock_anchor();
	ps->disk_at = shift == ps->shift ? ps->disk_at : 0;
	ps->shift = shift;
	ps->leases = number_look(ps, "leases", -1);
	int64_t now = ps->now = clock_now() + ps->shift;
	snprintf(path, sizeof path, "%s/run/pipelines", ps->home);
	int n = scandir(path, &entry, is_pipeline, versionsort);
	ps->n = n > 0 ? (size_t)n : 0;
	if (ps->n)
		ps->all = mem_grow(ps->all, ps->n * sizeof *ps->all);
	for (size_t i = 0; i < ps->n; i++) {
		snprintf(folder, sizeof folder, "%s/%s", path, entry[i]->d_name);
		pipeline_look(&ps->all[i], folder, now);
		free(entry[i]);
	}
	free(entry);
	restarts_look(ps);
	disk_look(ps);
}

bool
pipeline_has(const struct pipeline *p, int program)
{
	return program >= p->first && ((program != DELIVER && program != TRACER) || p->program[program].known);
}

bool
pipelines_running(const struct pipelines *ps)
{
	for (size_t i = 0; i < ps->n * PROGRAMS; i++)
		if (ps->all[i / PROGRAMS].program[i % PROGRAMS].state != STOPPED)
			return true;
	return false;
}

uint64_t
pipelines_sum(const struct pipelines *ps, enum program_index program, enum metrics_value which)
{
	uint64_t sum = 0;
	for (size_t i = 0; i < ps->n; i++)
		sum += ps->all[i].program[program].metrics.value[which];
	return sum;
}

struct progress
pipelines_progress(const struct pipelines *ps)
{
	struct progress all = {.rate = -1, .left = -1};
	bool sized = true;
	for (size_t i = 0; i < ps->n; i++) {
		const struct progress *g = &ps->all[i].progress;
		struct shard shard;
		if (!g->known)
			continue;
		if (shard_read(slice_of(ps->all[i].shard), &shard) != 0)
			shard.count = 1;
		all.known = true;
		all.emitted += g->emitted / shard.count;
		all.bytes += g->bytes;
		all.size += g->size;
		sized = sized && g->size > 0;
		if (g->rate >= 0)
			all.rate = (all.rate < 0 ? 0 : all.rate) + g->rate / shard.count;
		all.left = g->left > all.left ? g->left : all.left;
	}
	all.size = sized ? all.size : 0;
	return all;
}

void
pipelines_label(const struct pipelines *ps, const struct pipeline *p, struct buf *b)
{
	if (ps->n < 2)
		return;
	buf_safe(b, slice_of(p->source));
	buf_printf(b, " %s: ", p->shard);
}

void
pipelines_quote(const char *text, struct buf *b)
{
	struct buf safe = {0};
	buf_safe(&safe, slice_of(text));
	buf_json(b, slice_buf(&safe));
	buf_free(&safe);
}
