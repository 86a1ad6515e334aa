/* The connection to a Kafka cluster, by librdkafka: set up, asked about a topic, watched. What waiting cannot mend ends
 * the program here (exit 100). */
#ifndef ACCTFLOW_CLIENT_H
#define ACCTFLOW_CLIENT_H

#include <librdkafka/rdkafka.h>
#include <semaphore.h>
#include <stdbool.h>
#include <stdint.h>

struct client {
	const char *brokers, *topic;
	int32_t partition;
	const char *properties, *group; /* may be NULL */
	int64_t missing;		/* since when the topic is not known; 0: it is */
	/* The rest is its own. */
	rd_kafka_t *rk;
	rd_kafka_topic_t *rkt;
	bool answered;	  /* since this was cleared */
	int64_t away;	  /* since when no broker answers; 0: one does */
	int64_t patience; /* how long a topic may be unknown, in us */
	char reason[512]; /* that librdkafka gave last */
	/* The question where a partition ends, which a thread asks: what, whether it still does, and its answer. */
	struct {
		int32_t partition;
		bool on;
		int64_t low, high;
		rd_kafka_resp_err_t error;
		sem_t answered;
	} ends;
};

/* Reads the properties, "name=value" a line; librdkafka's threads run from here on. */
void client_open(struct client *c);

/* The topic's number of partitions, or 0: no broker answers, which is said once. Waits 3 s at most, as does
 * client_ends. */
int client_partitions(struct client *c);

/* The partition's first offset, and the one behind its last. Returns false where no broker answers. */
bool client_ends(struct client *c, int32_t partition, int64_t *low, int64_t *high);

/* Notes that a broker answers, or why none does. */
void client_answers(struct client *c);
void client_failed(struct client *c, rd_kafka_resp_err_t error);

#endif
