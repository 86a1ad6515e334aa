// with: deliver/queue.c
/* The callbacks that deliver holds, against a model: a list in the order they came, searched from end to end. */
#include "deliver/queue.h"

#include "tap.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ACCOUNTS = 6, MOST = 4000, STEPS = 200000 };

static struct entry {
	char id[8];
	int64_t version, due;
	unsigned order; /* of becoming due: equal times come out in it */
	bool in_flight, gone;
} model[MOST];
static unsigned model_n, orders;
static struct queue queue;

static unsigned
below(unsigned n)
{
	return (unsigned)random() % n;
}

/* The account's first that is still there; NULL: none. */
static struct entry *
first_of(const char *id)
{
	for (struct entry *e = model; e < model + model_n; e++)
		if (!e->gone && strcmp(e->id, id) == 0)
			return e;
	return NULL;
}

static struct entry *
find(const struct job *job)
{
	for (struct entry *e = model; e < model + model_n; e++)
		if (!e->gone && e->version == job->version && slice_is(job->id, e->id))
			return e;
	return NULL;
}

/* Takes it out; the next of its account becomes due where it was the first. */
static void
leave(struct entry *e)
{
	bool first = first_of(e->id) == e;
	e->gone = true;
	struct entry *next = first_of(e->id);
	if (first && next)
		next->order = orders++;
}

/* Which one is due next. */
static struct entry *
next_due(int64_t now)
{
	struct entry *best = NULL;
	for (struct entry *e = model; e < model + model_n; e++) {
		if (e->gone || e->in_flight || e->due > now || first_of(e->id) != e)
			continue;
		if (!best || e->due < best->due || (e->due == best->due && e->order < best->order))
			best = e;
	}
	return best;
}

static bool
supersede(const char *id, int64_t version)
{
	bool same = true;
	struct job *gone = queue_supersede(&queue, slice_of(id), version), *job = gone;
	for (unsigned i = 0; i < model_n; i++) {
		struct entry *e = &model[i];
		if (e->gone || strcmp(e->id, id) != 0 || e->version >= version || e->in_flight)
			continue;
		same = same && job && job->version == e->version && slice_is(job->id, id);
		leave(e);
		job = job ? job->next : NULL;
	}
	same = same && !job;
	while (gone) {
		job = gone->next;
		free(gone);
		gone = job;
	}
	return same;
}

int
main(void)
{
	struct job *flying[8];
	unsigned flying_n = 0, cancelled = 0;
	int64_t now = 1000000, version = 0;
	bool same = true, counted = true, marked = true;
	srandom(7);
	queue_init(&queue);
	for (int i = 0; i < STEPS && same; i++) {
		char id[8], line[32];
		unsigned what = below(10);
		snprintf(id, sizeof id, "id%u", below(ACCOUNTS));
		now += below(3000);
		if (what < 3 && queue.count < 40) {
			if (model_n == MOST) {
				unsigned kept = 0;
				for (unsigned k = 0; k < model_n; k++)
					if (!model[k].gone)
						model[kept++] = model[k];
				model_n = kept;
			}
			snprintf(line, sizeof line, "line %lld", (long long)++version);
			queue_add(&queue, slice_of(id), version, slice_of(line), now);
			struct entry *e = &model[model_n++];
			*e = (struct entry){.version = version, .due = now, .order = orders++};
			memcpy(e->id, id, sizeof id);
		} else if (what < 6 && flying_n < 8) {
			struct entry *e = next_due(now);
			struct job *job = queue_next(&queue, now);
			same = !job == !e && (!job || find(job) == e);
			if (job) {
				char wanted[32];
				snprintf(wanted, sizeof wanted, "line %lld", (long long)job->version);
				same = same && slice_is(job->line, wanted);
				e->in_flight = true;
				flying[flying_n++] = job;
			}
		} else if (what < 9 && flying_n) {
			unsigned k = below(flying_n);
			struct job *job = flying[k];
			struct entry *e = find(job);
			flying[k] = flying[--flying_n];
			if (below(2)) {
				e->in_flight = false;
				e->due = now + below(5000);
				e->order = orders++;
				queue_again(&queue, job, e->due);
			} else {
				leave(e);
				queue_end(&queue, job);
			}
		} else if (what == 9) {
			int64_t newer = version - below(3) + 1;
			same = supersede(id, newer);
			for (unsigned k = 0; k < flying_n; k++)
				if (slice_is(flying[k]->id, id) && flying[k]->version < newer)
					marked = marked && flying[k]->superseded_by >= 0;
			cancelled++;
		}
		size_t there = 0;
		for (unsigned k = 0; k < model_n; k++)
			there += !model[k].gone;
		counted = counted && there == queue.count && (there > 0 || queue.bytes == 0);
	}
	tap_ok(same, "callbacks come out, are tried again and superseded as in the model");
	tap_ok(counted, "they are counted");
	tap_ok(marked && cancelled > 100, "one in flight knows that a newer version came");
	return tap_done();
}
