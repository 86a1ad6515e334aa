/* See client.h. */
#include "client.h"

#include "log.h"
#include "metrics.h"
#include "time.h"

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
	    "enable.auto.offset.store", "enable.partition.eof", "auto.offset.reset"};
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

void
client_failed(struct client *c, rd_kafka_resp_err_t error)
{
	switch (error) {
	case RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART:
	case RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC:
	case RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION:
		die(EXIT_PERMANENT, "topic \"%s\" does not exist, or has no partition %d", c->topic, (int)c->partition);
	case RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED:
	case RD_KAFKA_RESP_ERR_TOPIC_EXCEPTION:
		die(EXIT_PERMANENT, "topic \"%s\": %s", c->topic, rd_kafka_err2str(error));
	default:
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
}

int
client_partitions(struct client *c)
{
	const struct rd_kafka_metadata *all;
	int n = 0;
	rd_kafka_resp_err_t error = rd_kafka_metadata(c->rk, 0, c->rkt, &all, ASK_MS);
	if (error == RD_KAFKA_RESP_ERR_NO_ERROR) {
		if (all->topic_cnt == 1) {
			error = all->topics->err;
			n = all->topics->partition_cnt;
		}
		rd_kafka_metadata_destroy(all);
	}
	if (error != RD_KAFKA_RESP_ERR_NO_ERROR) {
		client_failed(c, error);
		return 0;
	}
	return n;
}

bool
client_ends(struct client *c, int32_t partition, int64_t *low, int64_t *high)
{
	rd_kafka_resp_err_t error = rd_kafka_query_watermark_offsets(c->rk, c->topic, partition, low, high, ASK_MS);
	/* A partition without a leader is unknown, too, to this one: the metadata say whether it is there. */
	if (error == RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION || error == RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC ||
	    error == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART) {
		int n = client_partitions(c);
		if (n == 0)
			return false;
		if (n > partition)
			error = RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE;
	}
	if (error == RD_KAFKA_RESP_ERR_NO_ERROR)
		client_answers(c);
	else
		client_failed(c, error);
	return error == RD_KAFKA_RESP_ERR_NO_ERROR;
}
