/* See queue.h. Accounts are found by the C library's search tree (tsearch). */
#include "queue.h"

#include "log.h"

#include <search.h>
#include <stdlib.h>

static int
queue_compare(const void *a, const void *b)
{
	const struct slice *x = a, *y = b;
	int order = memcmp(x->p, y->p, x->n < y->n ? x->n : y->n);
	return order ? order : (x->n > y->n) - (x->n < y->n);
}

void
queue_init(struct queue *q)
{
	wheel_init(&q->wheel);
}

static void
queue_wait(struct queue *q, struct job *job, int64_t due)
{
	job->item.due = due;
	wheel_add(&q->wheel, &job->item);
}

struct job *
queue_add(struct queue *q, struct slice id, int64_t version, struct slice line, int64_t now)
{
	struct job *job = mem_alloc(sizeof *job + id.n + line.n);
	char *text = (char *)(job + 1);
	memcpy(text, id.p, id.n);
	memcpy(text + id.n, line.p, line.n);
	*job = (struct job){
	    .id = {text, id.n}, .line = {text + id.n, line.n}, .version = version, .since = now, .superseded_by = -1};
	q->count++;
	q->bytes += line.n;
	struct job **first = tsearch(job, &q->accounts, queue_compare);
	if (!first)
		die(EXIT_TEMPORARY, "out of memory");
	else if (*first == job)
		queue_wait(q, job, now);
	else {
		struct job *last = *first;
		while (last->next)
			last = last->next;
		last->next = job;
	}
	return job;
}

struct job *
queue_next(struct queue *q, int64_t now)
{
	struct wheel_item *item = NULL;
	while (!item && wheel_next(&q->wheel) <= now)
		item = wheel_pop(&q->wheel, now);
	if (!item)
		return NULL;
	struct job *job = (struct job *)((char *)item - offsetof(struct job, item));
	job->in_flight = true;
	job->attempts++;
	return job;
}

int64_t
queue_due(struct queue *q)
{
	return wheel_next(&q->wheel);
}

void
queue_again(struct queue *q, struct job *job, int64_t due)
{
	job->in_flight = false;
	queue_wait(q, job, due);
}

void
queue_remove(struct queue *q, struct job *job)
{
	struct job **first = tfind(job, &q->accounts, queue_compare), *before = *first;
	q->count--;
	q->bytes -= job->line.n;
	if (before != job) {
		while (before->next != job)
			before = before->next;
		before->next = job->next;
		return;
	}
	if (!job->in_flight)
		wheel_remove(&q->wheel, &job->item);
	if (job->next) {
		*first = job->next;
		queue_wait(q, job->next, job->next->since);
	} else {
		tdelete(job, &q->accounts, queue_compare);
	}
}

void
queue_end(struct queue *q, struct job *job)
{
	queue_remove(q, job);
	job_free(job);
}

void
job_free(struct job *job)
{
	free(job->attempted);
	free(job);
}

struct job *
queue_supersede(struct queue *q, struct slice id, int64_t version)
{
	struct job *const *first = tfind(&id, &q->accounts, queue_compare);
	struct job *older = NULL, **end = &older;
	for (struct job *job = first ? *first : NULL, *next; job; job = next) {
		next = job->next;
		if (job->version >= version)
			continue;
		if (job->in_flight) {
			if (job->superseded_by < 0)
				job->superseded_by = version;
			continue;
		}
		queue_remove(q, job);
		job->next = NULL;
		*end = job;
		end = &job->next;
	}
	return older;
}
