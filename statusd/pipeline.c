/* See pipeline.h. */
#include "pipeline.h"

#include "time.h"
#include "log.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

enum { LOOK_US = 100000, DISK_US = 5000000, ANSWER_US = 3000000 };

const char *const program_names[PROGRAMS] = {"reader", "writer", "timerd", "ack"};
const char *const series_names[SERIES] = {"read", "indexed", "fired", "rejected", "lag", "pending", "latenessP99"};

void
pipeline_init(struct pipeline *p, const char *home, const char *writer)
{
	p->home = home;
	snprintf(p->run, sizeof p->run, "%s/run", home);
	p->lag_records = -1;
	report_start(&p->report, writer);
}

/* One line of the supervisor's list: `MICROSECONDS PROGRAM CAUSE…`. */
static void
restart_take(struct pipeline *p, const char *line)
{
	struct restart *r = &p->restart[p->restarts % RESTARTS_SHOWN];
	char *program, *cause;
	int64_t at = strtoll(line, &program, 10);
	if (program == line || *program++ != ' ' || !(cause = strchr(program, ' ')))
		return;
	r->at = at;
	snprintf(r->program, sizeof r->program, "%.*s", (int)(cause - program), program);
	snprintf(r->cause, sizeof r->cause, "%s", cause + 1);
	p->restarts++;
	size_t i = 0;
	while (
	    i < p->causes && (strcmp(p->cause[i].program, r->program) != 0 || strcmp(p->cause[i].cause, r->cause) != 0))
		i++;
	if (i == CAUSES)
		return;
	if (i == p->causes) {
		memcpy(p->cause[i].program, r->program, CAUSE_BYTES);
		memcpy(p->cause[i].cause, r->cause, CAUSE_BYTES);
		p->causes++;
	}
	p->cause[i].count++;
}

/* Reads what the list has got since. */
static void
restarts_read(struct pipeline *p)
{
	char path[4200], text[8192];
	snprintf(path, sizeof path, "%s/restarts", p->run);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct stat st;
	if (fd < 0)
		return;
	if (fstat(fd, &st) == 0 && st.st_size < p->restarts_read) {
		p->restarts_read = 0;
		p->restarts = p->causes = 0;
		memset(p->cause, 0, sizeof p->cause);
	}
	ssize_t n;
	while ((n = pread(fd, text, sizeof text - 1, p->restarts_read)) > 0) {
		text[n] = '\0';
		char *line = text, *newline;
		while ((newline = strchr(line, '\n')) != NULL) {
			*newline = '\0';
			restart_take(p, line);
			line = newline + 1;
		}
		if (line == text)
			break;
		p->restarts_read += line - text;
	}
	close(fd);
}

/* Adds up what is spooled: folders of files, no deeper. */
static uint64_t
folder_bytes(const char *path, int depth)
{
	uint64_t sum = 0;
	DIR *d = opendir(path);
	struct dirent *e;
	while (d && (e = readdir(d)) != NULL) {
		struct stat st;
		char inner[8192];
		if (e->d_name[0] == '.' || fstatat(dirfd(d), e->d_name, &st, AT_SYMLINK_NOFOLLOW) != 0)
			continue;
		if (S_ISREG(st.st_mode))
			sum += (uint64_t)st.st_size;
		else if (S_ISDIR(st.st_mode) && depth > 0 &&
			 snprintf(inner, sizeof inner, "%s/%s", path, e->d_name) < (int)sizeof inner)
			sum += folder_bytes(inner, depth - 1);
	}
	if (d)
		closedir(d);
	return sum;
}

static void
disk_look(struct pipeline *p)
{
	struct statvfs fs;
	char path[4200];
	if (p->disk_at && p->now - p->disk_at < DISK_US)
		return;
	p->disk_at = p->now;
	snprintf(path, sizeof path, "%s/spool", p->home);
	p->spool_bytes = folder_bytes(path, 1);
	if (statvfs(p->home, &fs) == 0)
		p->disk_free = (uint64_t)fs.f_bavail * fs.f_frsize;
}

static uint64_t
value(const struct pipeline *p, enum program_index program, enum metrics_value which)
{
	return p->program[program].known ? p->program[program].stats.value[which] : 0;
}

/* Looks at one program's file. */
static void
program_look(struct pipeline *p, int i)
{
	struct watched *w = &p->program[i];
	int found = metrics_read(p->run, program_names[i], &w->stats);
	w->known = found >= 0;
	w->running = found == 1;
}

/* How far the database is behind what reader told: in records, and since when, by the seconds that are kept. */
static void
lag_look(struct pipeline *p)
{
	const struct metrics *s = &p->program[READER].stats;
	bool any = p->program[READER].running || p->program[WRITER].running;
	p->lag_records = -1;
	p->lag_seconds = 0;
	if (!p->program[READER].known || !p->report.counted)
		return;
	int64_t committed = report_committed(&p->report, (struct slice){s->source, s->source_n});
	int64_t told = (int64_t)value(p, READER, METRIC_TOLD);
	p->lag_records = 0;
	if (!any || committed == -2 || told <= committed + 1)
		return;
	p->lag_records = told - committed - 1;
	/* The newest second at whose end nothing was told that is not committed by now. */
	size_t age = 0, kept = p->seconds < HISTORY ? p->seconds : HISTORY;
	while (age < kept && p->second[(p->seconds - 1 - age) % HISTORY].told > committed + 1)
		age++;
	p->lag_seconds = (double)age;
}

void
pipeline_look(struct pipeline *p)
{
	int64_t now = clock_now();
	if (now - p->now < LOOK_US)
		return;
	p->now = now;
	for (int i = 0; i < PROGRAMS; i++)
		program_look(p, i);
	restarts_read(p);
	disk_look(p);
	/* Told now against committed a second ago would look like lag. */
	if (now - p->report.committed_at > ANSWER_US || !p->program[READER].running)
		lag_look(p);
}

void
pipeline_answered(struct pipeline *p)
{
	program_look(p, READER);
	lag_look(p);
}

/* The difference to the second before. */
static double
delta(struct pipeline *p, enum series which, bool known, uint64_t v)
{
	bool usable = known && p->last_known[which];
	double result = usable && v >= p->last[which] ? (double)(v - p->last[which]) : -1;
	p->last[which] = v;
	p->last_known[which] = known;
	return result;
}

void
pipeline_second(struct pipeline *p)
{
	const struct report *r = &p->report;
	struct second *s = &p->second[p->seconds % HISTORY];
	static const enum program_index owner[HISTOGRAM_COUNT] = {
	    [HISTOGRAM_BATCH] = WRITER,
	    [HISTOGRAM_COMMIT] = WRITER,
	    [HISTOGRAM_TOLD] = SETTLE,
	    [HISTOGRAM_LATENESS] = TIMERD,
	};
	pipeline_look(p);
	s->value[SERIES_READ] = delta(p, SERIES_READ, r->counted, r->read);
	s->value[SERIES_INDEXED] = delta(p, SERIES_INDEXED, r->counted, r->indexed);
	s->value[SERIES_REJECTED] = delta(p, SERIES_REJECTED, r->counted, r->rejected);
	s->value[SERIES_FIRED] = delta(p, SERIES_FIRED, p->program[TIMERD].known, value(p, TIMERD, METRIC_FIRED));
	s->value[SERIES_LAG] = (double)p->lag_records;
	s->value[SERIES_PENDING] = p->program[TIMERD].running ? (double)value(p, TIMERD, METRIC_PENDING)
				   : r->settled		      ? (double)r->pending
							      : -1;
	s->told = p->program[READER].known ? (int64_t)value(p, READER, METRIC_TOLD) : -1;
	for (int h = 0; h < HISTOGRAM_COUNT; h++)
		for (int i = 0; i < METRICS_BUCKETS; i++)
			s->count[h][i] =
			    p->program[owner[h]].known ? p->program[owner[h]].stats.histogram[h].count[i] : 0;
	p->seconds++;
	s->value[SERIES_LATENESS] = pipeline_quantile(p, HISTOGRAM_LATENESS, 1, 0.99);
	if (s->value[SERIES_LATENESS] >= 0)
		s->value[SERIES_LATENESS] /= 1e6;
}

double
pipeline_quantile(const struct pipeline *p, enum histogram which, size_t seconds, double quantile)
{
	size_t kept = p->seconds < HISTORY ? p->seconds : HISTORY;
	if (kept < 2)
		return -1;
	seconds = seconds < kept ? seconds : kept - 1;
	const struct second *last = &p->second[(p->seconds - 1) % HISTORY];
	const struct second *first = &p->second[(p->seconds - 1 - seconds) % HISTORY];
	uint64_t count[METRICS_BUCKETS], all = 0;
	for (int i = 0; i < METRICS_BUCKETS; i++) {
		count[i] = last->count[which][i] >= first->count[which][i]
			       ? last->count[which][i] - first->count[which][i]
			       : 0;
		all += count[i];
	}
	if (all == 0)
		return -1;
	/* Within its bucket as if evenly spread, as Prometheus does it. */
	double want = quantile * (double)all, seen = 0;
	for (int i = 0; i < METRICS_BUCKETS - 1; i++) {
		double low = i ? (double)metrics_bounds[which][i - 1] : 0, high = (double)metrics_bounds[which][i];
		if (seen + (double)count[i] >= want)
			return low + (high - low) * (want - seen) / (double)count[i];
		seen += (double)count[i];
	}
	return (double)metrics_bounds[which][METRICS_BUCKETS - 2];
}

int64_t
pipeline_overdue(const struct pipeline *p)
{
	int64_t due = (int64_t)value(p, TIMERD, METRIC_NEXT_DUE);
	return p->program[TIMERD].running && due > 0 && due < p->now ? p->now - due : 0;
}

void
pipeline_healthy(const struct pipeline *p, struct buf *why)
{
	for (int i = 0; i < PROGRAMS; i++) {
		const struct watched *w = &p->program[i];
		int64_t still = p->now - w->stats.tick;
		if (w->running && still > STALE_US)
			buf_printf(why, "%s[%u] has stood still for %.0f s\n", program_names[i], w->stats.pid,
			    (double)still / 1e6);
	}
}

void
pipeline_ready(const struct pipeline *p, uint64_t most_lag_s, struct buf *why)
{
	const struct report *r = &p->report;
	if (r->error.len) {
		buf_text(why, "the database does not answer: ");
		buf_safe(why, slice_buf(&r->error));
		buf_char(why, '\n');
	} else if (r->schema != r->schema_wanted) {
		buf_printf(
		    why, "the schema's version is %lld, not %lld\n", (long long)r->schema, (long long)r->schema_wanted);
	}
	if (p->lag_seconds > (double)most_lag_s)
		buf_printf(why, "the database is %.0f s behind the input\n", p->lag_seconds);
	pipeline_healthy(p, why);
}
