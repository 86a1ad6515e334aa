/* See client.h. */
#include "client.h"

#include "log.h"
#include "metrics.h"
#include "time.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ASK_MS = 3000 };

static void
on_log(const rd_kafka_t *rk, int level, const char *facility, const char *text)
{
	(void)rk, (void)level;
	log_debug("%s: %s", facility, text);
}

static void
on_error(rd_kafka_t *rk, int error, const char *reason, void *context)
{
	struct client *c = context;
	(void)rk;
	/* That all are down says less than what happened to the last of them. */
	if (error != RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN || !*c->reason)
		snprintf(c->reason, sizeof c->reason, "%s", reason);
}

static void
conf_set(rd_kafka_conf_t *conf, const char *name, const char *value)
{
	char error[256];
	if (rd_kafka_conf_set(conf, name, value, error, sizeof error) != RD_KAFKA_CONF_OK)
		die(EXIT_PERMANENT, "librdkafka's property \"%s\": %s", name, error);
}

/* Those that kafka-reader cannot leave to others. */
static bool
is_own(const char *name)
{
	static const char *const own[] = {"bootstrap.servers", "metadata.broker.list", "group.id", "enable.auto.commit",
	    "auto.commit.enable", "enable.auto.offset.store", "enable.partition.eof", "auto.offset.reset"};
	for (size_t i = 0; i < sizeof own / sizeof *own; i++)
		if (strcmp(own[i], name) == 0)
			return true;
	return false;
}

/* Cuts white space off both ends. */
static char *
trim(char *s)
{
	s += strspn(s, " \t");
	char *end = s + strlen(s);
	while (end > s && strchr(" \t\r\n", end[-1]))
		*--end = '\0';
	return s;
}

static void
properties_read(const char *path, rd_kafka_conf_t *conf)
{
	char *line = NULL, error[256];
	size_t cap = 0;
	FILE *f = fopen(path, "re");
	if (!f)
		die(EXIT_PERMANENT, "could not open properties file \"%s\": %m", path);
	for (int number = 1; getline(&line, &cap, f) > 0; number++) {
		char *name = trim(line), *value = strchr(name, '=');
		if (!*name || *name == '#' || *name == '!')
			continue;
		if (!value)
			die(EXIT_PERMANENT, "\"%s\" line %d: name=value is wanted", path, number);
		*value++ = '\0';
		name = trim(name);
		if (is_own(name))
			die(EXIT_PERMANENT, "\"%s\" line %d: kafka-reader sets %s itself", path, number, name);
		if (rd_kafka_conf_set(conf, name, trim(value), error, sizeof error) != RD_KAFKA_CONF_OK)
			die(EXIT_PERMANENT, "\"%s\" line %d: %s", path, number, error);
	}
	free(line);
	fclose(f);
}

void
client_open(struct client *c)
{
	char error[512];
	rd_kafka_conf_t *conf = rd_kafka_conf_new();
	sem_init(&c->ends.answered, 0, 0);
	conf_set(conf, "client.id", "acctflow");
	conf_set(conf, "check.crcs", "true");
	conf_set(conf, "queued.max.messages.kbytes", "16384");
	if (c->properties)
		properties_read(c->properties, conf);
	conf_set(conf, "bootstrap.servers", c->brokers);
	conf_set(conf, "enable.auto.commit", "false");
	conf_set(conf, "enable.auto.offset.store", "false");
	conf_set(conf, "enable.partition.eof", "true");
	conf_set(conf, "auto.offset.reset", "error");
	if (c->group)
		conf_set(conf, "group.id", c->group);
	size_t n = sizeof error;
	if (rd_kafka_conf_get(conf, "topic.metadata.propagation.max.ms", error, &n) == RD_KAFKA_CONF_OK)
		c->patience = strtoll(error, NULL, 10) * 1000;
	rd_kafka_conf_set_log_cb(conf, on_log);
	rd_kafka_conf_set_error_cb(conf, on_error);
	rd_kafka_conf_set_opaque(conf, c);
	c->rk = rd_kafka_new(RD_KAFKA_CONSUMER, conf, error, sizeof error);
	if (!c->rk)
		die(EXIT_PERMANENT, "could not set up librdkafka: %s", error);
	c->rkt = rd_kafka_topic_new(c->rk, c->topic, NULL);
	if (!c->rkt)
		die(EXIT_PERMANENT, "topic \"%s\": %s", c->topic, rd_kafka_err2str(rd_kafka_last_error()));
}

void
client_answers(struct client *c)
{
	if (c->away)
		log_info(
		    "a broker of %s answers again after %.1f s", c->brokers, (double)(clock_now() - c->away) / 1e6);
	c->away = 0;
	*c->reason = '\0';
	metrics_set(METRIC_RETRYING, 0);
}

/* A broker that has just started knows no topic yet: so only what is missing for a while does not exist. */
static void
missing(struct client *c)
{
	int64_t now = clock_now();
	if (c->missing && now - c->missing >= c->patience)
		die(EXIT_PERMANENT, "topic \"%s\" does not exist, or has no partition %d", c->topic, (int)c->partition);
	if (!c->missing)
		log_info("topic \"%s\" is not known, or not its partition %d: asking again for %lld s", c->topic,
		    (int)c->partition, (long long)c->patience / 1000000);
	c->missing = c->missing ? c->missing : now;
}

static bool
is_unknown(rd_kafka_resp_err_t error)
{
	return error == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART || error == RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC ||
	       error == RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION;
}

void
client_failed(struct client *c, rd_kafka_resp_err_t error)
{
	if (error == RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED || error == RD_KAFKA_RESP_ERR_TOPIC_EXCEPTION)
		die(EXIT_PERMANENT, "topic \"%s\": %s", c->topic, rd_kafka_err2str(error));
	if (is_unknown(error)) {
		missing(c);
		return;
	}
	rd_kafka_poll(c->rk, 0);
	/* A broker that takes longer to answer than we wait is not away while its messages come. */
	if (c->answered) {
		client_answers(c);
		return;
	}
	if (!c->away)
		log_warn("no broker of %s answers: %s; waiting", c->brokers,
		    *c->reason ? c->reason : rd_kafka_err2str(error));
	c->away = c->away ? c->away : clock_now();
	metrics_set(METRIC_RETRYING, (uint64_t)c->away);
}

/* The topic's number of partitions, or 0 and why. */
static int
partitions_ask(struct client *c, rd_kafka_resp_err_t *error)
{
	const struct rd_kafka_metadata *all;
	int n = 0;
	*error = rd_kafka_metadata(c->rk, 0, c->rkt, &all, ASK_MS);
	if (*error != RD_KAFKA_RESP_ERR_NO_ERROR)
		return 0;
	if (all->topic_cnt == 1 && (*error = all->topics->err) == RD_KAFKA_RESP_ERR_NO_ERROR)
		n = all->topics->partition_cnt;
	rd_kafka_metadata_destroy(all);
	return n;
}

int
client_partitions(struct client *c)
{
	rd_kafka_resp_err_t error;
	int n = partitions_ask(c, &error);
	if (error != RD_KAFKA_RESP_ERR_NO_ERROR)
		client_failed(c, error);
	return n;
}

/* librdkafka gives the question to the partition's leader and waits for that, for more than a minute where it is away,
 * whatever time it was given. */
static void *
ends_ask(void *context)
{
	struct client *c = context;
	c->ends.error =
	    rd_kafka_query_watermark_offsets(c->rk, c->topic, c->ends.partition, &c->ends.low, &c->ends.high, ASK_MS);
	sem_post(&c->ends.answered);
	return NULL;
}

static void
ends_begin(struct client *c, int32_t partition)
{
	pthread_t thread;
	c->ends.partition = partition;
	c->ends.on = true;
	errno = pthread_create(&thread, NULL, ends_ask, c);
	if (errno)
		die(EXIT_TEMPORARY, "could not start a thread: %m");
	pthread_detach(thread);
}

/* Waits for the answer, 3 s at most. */
static rd_kafka_resp_err_t
ends_answer(struct client *c, int32_t partition)
{
	struct timespec until;
	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += ASK_MS / 1000;
	/* An answer to an earlier question may be old: what was read since can be behind it. */
	for (int n = c->ends.on ? 2 : 1; n > 0; n--) {
		if (!c->ends.on)
			ends_begin(c, partition);
		int late;
		while ((late = sem_clockwait(&c->ends.answered, CLOCK_MONOTONIC, &until)) != 0 && errno == EINTR)
			;
		c->ends.on = late;
		if (late)
			return RD_KAFKA_RESP_ERR__TIMED_OUT;
	}
	return c->ends.error;
}

bool
client_ends(struct client *c, int32_t partition, int64_t *low, int64_t *high)
{
	rd_kafka_resp_err_t error = ends_answer(c, partition);
	/* A partition without a leader is unknown, too, to that question: the metadata say whether it is there. */
	if (is_unknown(error)) {
		int n = partitions_ask(c, &error);
		if (error == RD_KAFKA_RESP_ERR_NO_ERROR)
			error = n > partition ? RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE
					      : RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION;
	}
	if (error != RD_KAFKA_RESP_ERR_NO_ERROR) {
		client_failed(c, error);
		return false;
	}
	client_answers(c);
	c->missing = 0;
	*low = c->ends.low;
	*high = c->ends.high;
	return true;
}
