/* A broker for tests: librdkafka's mock cluster, by command. It prints its bootstrap servers as one line, then reads
 * commands, one a line, and answers each with one: `ok`, what was asked for, or `error: ...`. It ends with its input.
 * Words are separated by tabs in a line that has one, by spaces elsewhere.
 *
 *   topic T P        T has P partitions: it is made, empty; or grows, and loses nothing; 0 deletes it
 *   load T P FILE    each line of FILE is one message's payload, in order
 *   send T P TIMESTAMP KEY HEADERS PAYLOAD
 *                    one message. TIMESTAMP 0 is now; KEY, HEADERS, PAYLOAD - is none; HEADERS is
 *                    name=value;name=value, and a name without = has a null value. \xHH \n \t \\ in KEY,
 *                    PAYLOAD and values are what they say
 *   skip T P N       the next message stands N offsets further on, as where a log was compacted
 *   truncate T P N   what is before offset N is gone
 *   end T P          answers with the first offset and the one behind the last
 *   committed T P    answers with a group and the offset that it has committed, or `none`
 *   down N, up N     broker N, or all; no partition gets another leader by it
 *   rtt N MS         broker N, or all, answers so much later
 *   leader T P N     N is -1 for none
 *   error APIKEY CODE COUNT   the next COUNT requests of that kind fail; COUNT 0 takes back those that are left
 *
 * The mock's interface can neither delete a topic, nor add partitions, nor truncate: those are done in its memory,
 * whose layout is private to it. So this goes with the versions that are known, and looks whether it reads what it
 * expects. */
#include "log.h"

#include <errno.h>
#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <unistd.h>

/* As rdkafka_mock_int.h of librdkafka 2.0 has them, up to the last member that is used, and arrays to their end. */
struct batch {
	TAILQ_ENTRY(batch) link;
	int64_t first, last;
};

struct committed_offset {
	TAILQ_ENTRY(committed_offset) link;
	const char *group;
	int64_t offset;
};

struct partition {
	TAILQ_ENTRY(partition) link;
	int32_t id;
	int64_t start, end, follower_start, follower_end;
	uint8_t update_start, update_end;
	TAILQ_HEAD(batches, batch) batches;
	size_t size, count, max_size, max_count;
	TAILQ_HEAD(committed, committed_offset) committed;
	void *leader, **replicas;
	int replica_count;
	struct {
		int sizes[2];
		void *elements, *release;
		int flags[2];
		void *memory;
	} producers;
	int32_t follower;
	struct topic *topic;
};

struct topic {
	TAILQ_ENTRY(topic) link;
	char *name;
	struct partition *partitions;
	int partition_count;
};

struct cluster {
	char id[32];
	rd_kafka_t *rk;
	int32_t controller;
	TAILQ_HEAD(brokers, topic) brokers;
	int broker_count;
	TAILQ_HEAD(topics, topic) topics;
	int topic_count;
};

/* A topic is made with room for as many partitions as it may get. */
enum { ROOM = 64, WORDS = 8, METADATA = 3, PATIENCE_MS = 60000 };

/* No topic can have this name. */
static const char APART[] = "not a topic";

static rd_kafka_mock_cluster_t *mock;
static struct topic *apart;
static rd_kafka_t *producer;
static rd_kafka_resp_err_t undelivered;
static char answer[256];
/* What `skip` asked for. */
static struct {
	struct partition *partition;
	int64_t size;
} hole;

static void __attribute__((format(printf, 1, 2))) say(const char *format, ...)
{
	va_list args;
	va_start(args, format);
	vsnprintf(answer, sizeof answer, format, args);
	va_end(args);
}

static void
say_result(rd_kafka_resp_err_t err)
{
	if (err)
		say("error: %s", rd_kafka_err2str(err));
}

static struct topic *
topic_find(const char *name)
{
	struct topic *t = TAILQ_FIRST(&((struct cluster *)(void *)mock)->topics);
	while (t && strcmp(t->name, name) != 0)
		t = TAILQ_NEXT(t, link);
	return t;
}

static int
to_int(const char *word)
{
	return (int)strtol(word, NULL, 10);
}

static struct partition *
partition_find(const char *topic, const char *number)
{
	struct topic *t = topic_find(topic);
	int p = to_int(number);
	if (t && p >= 0 && p < t->partition_count)
		return &t->partitions[p];
	say("error: no partition %s of %s", number, topic);
	return NULL;
}

/* What must survive a clumsy reader of the mock's memory is checked on a topic of known shape. */
static void
layout_check(void)
{
	if (rd_kafka_version() >> 16 != 0x0200)
		die(EXIT_PERMANENT, "the mock broker of librdkafka %s is not known, only that of 2.0",
		    rd_kafka_version_str());
	rd_kafka_mock_topic_create(mock, APART, 2, 1);
	apart = topic_find(APART);
	if (!apart || apart->partition_count != 2 || apart->partitions[1].id != 1 ||
	    apart->partitions[1].topic != apart || apart->partitions[1].max_size != 5 * 1024 * 1024)
		die(EXIT_PERMANENT, "the mock broker of librdkafka %s is laid out otherwise", rd_kafka_version_str());
	apart->partitions->max_size = apart->partitions->max_count = SIZE_MAX;
}

static void
producer_close(void)
{
	if (producer)
		rd_kafka_destroy(producer);
	producer = NULL;
}

static void
delivered(rd_kafka_t *rk, const rd_kafka_message_t *message, void *opaque)
{
	(void)rk, (void)opaque;
	if (message->err)
		undelivered = message->err;
}

static rd_kafka_t *
client_open(const char *const *settings)
{
	rd_kafka_conf_t *conf = rd_kafka_conf_new();
	char error[256] = "";
	rd_kafka_t *rk;
	for (; *settings; settings += 2) {
		if (rd_kafka_conf_set(conf, settings[0], settings[1], error, sizeof error) != RD_KAFKA_CONF_OK)
			die(EXIT_PERMANENT, "%s", error);
	}
	rd_kafka_conf_set_log_cb(conf, NULL);
	rd_kafka_conf_set_dr_msg_cb(conf, delivered);
	if (!(rk = rd_kafka_new(RD_KAFKA_PRODUCER, conf, error, sizeof error)))
		die(EXIT_PERMANENT, "%s", error);
	return rk;
}

/* What follows a hole is sent to a partition apart, whose end stands where it is to stand, and then hung over,
 * complete: so whoever waits before the hole finds all or nothing. */
static struct partition *
hole_begin(struct partition *p)
{
	if (hole.partition != p)
		return p;
	apart->partitions->start = apart->partitions->end = p->end + hole.size;
	return apart->partitions;
}

static void
hole_end(void)
{
	struct partition *from = apart->partitions, *to = hole.partition;
	struct batch *b = TAILQ_FIRST(&from->batches);
	if (!b)
		return;
	b->first = to->end;
	TAILQ_CONCAT(&to->batches, &from->batches, link);
	__atomic_store_n(&to->end, from->end, __ATOMIC_SEQ_CST);
	to->follower_end = to->end;
	hole.partition = NULL;
}

/* Takes over the headers. One connection to a request at a time, so that a retry changes no order. */
static rd_kafka_resp_err_t
put(const struct partition *p, int64_t timestamp, char *key, size_t key_length, char *payload, size_t length,
    rd_kafka_headers_t *headers)
{
	rd_kafka_resp_err_t err;
	if (!producer) {
		producer = client_open((const char *const[]){"bootstrap.servers",
		    rd_kafka_mock_cluster_bootstraps(mock), "max.in.flight", "1", "message.timeout.ms", "50000",
		    "reconnect.backoff.max.ms", "100", "message.max.bytes", "50000000", "linger.ms", "2", NULL});
	}
	while ((err = rd_kafka_producev(producer, RD_KAFKA_V_TOPIC(p->topic->name), RD_KAFKA_V_PARTITION(p->id),
		    RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY), RD_KAFKA_V_TIMESTAMP(timestamp),
		    RD_KAFKA_V_KEY(key, key_length), RD_KAFKA_V_VALUE(payload, length), RD_KAFKA_V_HEADERS(headers),
		    RD_KAFKA_V_END)) == RD_KAFKA_RESP_ERR__QUEUE_FULL)
		rd_kafka_flush(producer, 100);
	if (err && headers)
		rd_kafka_headers_destroy(headers);
	return err;
}

static void
put_end(rd_kafka_resp_err_t err)
{
	if (!err && !(err = rd_kafka_flush(producer, PATIENCE_MS)))
		err = undelivered;
	say_result(err);
	if (hole.partition)
		hole_end();
}

/* In its own place; returns the length. */
static size_t
unescape(char *s)
{
	char *to = s, *from = s;
	while (*from) {
		if (from[0] == '\\' && from[1] == 'x' && from[2] && from[3]) {
			*to++ = (char)strtol((char[]){from[2], from[3], 0}, NULL, 16);
			from += 4;
		} else if (from[0] == '\\' && from[1]) {
			*to++ = from[1] == 'n' ? '\n' : from[1] == 't' ? '\t' : from[1];
			from += 2;
		} else {
			*to++ = *from++;
		}
	}
	return (size_t)(to - s);
}

static rd_kafka_headers_t *
headers_read(char *s)
{
	rd_kafka_headers_t *headers = rd_kafka_headers_new(8);
	char *name, *value;
	while ((name = strsep(&s, ";"))) {
		value = name;
		strsep(&value, "=");
		rd_kafka_header_add(headers, name, -1, value, value ? (ssize_t)unescape(value) : 0);
	}
	return headers;
}

static void
do_send(char **w)
{
	struct partition *p = partition_find(w[1], w[2]);
	char *key = strcmp(w[4], "-") != 0 ? w[4] : NULL, *payload = strcmp(w[6], "-") != 0 ? w[6] : NULL;
	rd_kafka_headers_t *headers;
	if (!p)
		return;
	p = hole_begin(p);
	headers = strcmp(w[5], "-") != 0 ? headers_read(w[5]) : NULL;
	put_end(put(
	    p, strtoll(w[3], NULL, 10), key, key ? unescape(w[4]) : 0, payload, payload ? unescape(w[6]) : 0, headers));
}

static void
do_load(char **w)
{
	struct partition *p = partition_find(w[1], w[2]);
	rd_kafka_resp_err_t err = RD_KAFKA_RESP_ERR_NO_ERROR;
	char *line = NULL;
	size_t room = 0;
	ssize_t length;
	FILE *f;
	if (!p)
		return;
	if (!(f = fopen(w[3], "re"))) {
		say("error: could not open \"%s\": %s", w[3], strerror(errno));
		return;
	}
	p = hole_begin(p);
	while (!err && (length = getline(&line, &room, f)) > 0) {
		length -= line[length - 1] == '\n';
		err = put(p, 0, NULL, 0, line, (size_t)length, NULL);
	}
	free(line);
	fclose(f);
	if (producer)
		put_end(err);
}

/* The mock's thread reads on meanwhile. So a new topic is made under another name and gets its own when it is complete,
 * and one that is to go is renamed only behind its successor. Nothing is freed. */
static void
do_topic(char **w)
{
	struct topic *old = topic_find(w[1]), *new;
	int n = to_int(w[2]), i;
	char *gone;
	producer_close();
	if (n < 0 || n > ROOM || (n > 0 && old && n < old->partition_count)) {
		say("error: %s partitions cannot be had", w[2]);
	} else if (n > 0 && old && old->partition_count > 0) {
		old->partition_count = n;
	} else {
		rd_kafka_mock_topic_create(mock, "new topic", ROOM, 1);
		if (n == 0)
			rd_kafka_mock_topic_set_error(mock, "new topic", RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART);
		new = topic_find("new topic");
		if (!new)
			abort();
		/* Without bounds, so that what is gone is what the test says. */
		for (i = 0; i < ROOM; i++)
			new->partitions[i].max_size = new->partitions[i].max_count = SIZE_MAX;
		new->partition_count = n;
		new->name = strdup(w[1]);
		if (old && asprintf(&gone, "old topic %p", (void *)old) > 0) {
			old->name = gone;
			rd_kafka_mock_topic_set_error(mock, gone, RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART);
			old->partition_count = 0;
		}
	}
}

static void
do_truncate(char **w)
{
	struct partition *p = partition_find(w[1], w[2]);
	int64_t n = strtoll(w[3], NULL, 10);
	if (p && (n < p->start || n > p->end))
		say("error: %s is not within %lld and %lld", w[3], (long long)p->start, (long long)p->end);
	else if (p)
		p->start = p->follower_start = n;
}

static void
do_skip(char **w)
{
	struct partition *p = partition_find(w[1], w[2]);
	if (p) {
		hole.partition = p;
		hole.size = strtoll(w[3], NULL, 10);
	}
}

static void
do_end(char **w)
{
	const struct partition *p = partition_find(w[1], w[2]);
	if (p)
		say("%lld %lld", (long long)p->start, (long long)p->end);
}

static void
do_committed(char **w)
{
	const struct partition *p = partition_find(w[1], w[2]);
	const struct committed_offset *o = p ? TAILQ_FIRST(&p->committed) : NULL;
	if (o)
		say("%s %lld", o->group, (long long)o->offset);
	else if (p)
		say("none");
}

static int32_t
broker_number(const char *word)
{
	return strcmp(word, "all") == 0 ? -1 : (int32_t)to_int(word);
}

static void
do_down(char **w)
{
	say_result(rd_kafka_mock_broker_set_down(mock, broker_number(w[1])));
}

static void
do_up(char **w)
{
	say_result(rd_kafka_mock_broker_set_up(mock, broker_number(w[1])));
}

static void
do_rtt(char **w)
{
	say_result(rd_kafka_mock_broker_set_rtt(mock, broker_number(w[1]), to_int(w[2])));
}

static void
do_leader(char **w)
{
	const struct partition *p = partition_find(w[1], w[2]);
	if (p)
		say_result(rd_kafka_mock_partition_set_leader(mock, w[1], p->id, to_int(w[3])));
}

static void
do_error(char **w)
{
	int16_t key = (int16_t)to_int(w[1]);
	int i;
	if (to_int(w[3]) == 0)
		rd_kafka_mock_clear_request_errors(mock, key);
	for (i = 0; i < to_int(w[3]); i++)
		rd_kafka_mock_push_request_errors(mock, key, 1, (rd_kafka_resp_err_t)to_int(w[2]));
}

static const struct {
	const char *name;
	int words;
	void (*run)(char **words);
} commands[] = {
    {"topic", 3, do_topic},
    {"load", 4, do_load},
    {"send", 7, do_send},
    {"skip", 4, do_skip},
    {"truncate", 4, do_truncate},
    {"end", 3, do_end},
    {"committed", 3, do_committed},
    {"down", 2, do_down},
    {"up", 2, do_up},
    {"rtt", 3, do_rtt},
    {"leader", 4, do_leader},
    {"error", 4, do_error},
};

static void
command(char *line)
{
	const char *separator = strchr(line, '\t') ? "\t" : " ";
	char *words[WORDS + 1];
	int count = 0;
	size_t i;
	while (count < WORDS && (words[count] = strsep(&line, separator)))
		count++;
	say("ok");
	undelivered = RD_KAFKA_RESP_ERR_NO_ERROR;
	for (i = 0; i < sizeof commands / sizeof *commands; i++) {
		if (strcmp(words[0], commands[i].name) != 0)
			continue;
		if (count == commands[i].words)
			commands[i].run(words);
		else
			say("error: %s takes %d words", words[0], commands[i].words - 1);
		return;
	}
	say("error: no such command: %s", words[0]);
}

int
main(int argc, char **argv)
{
	char *line = NULL;
	size_t room = 0;
	ssize_t length;
	setvbuf(stdout, NULL, _IOLBF, 0);
	mock = rd_kafka_mock_cluster_new(client_open((const char *const[]){NULL}), argc > 1 ? to_int(argv[1]) : 1);
	if (!mock)
		die(EXIT_TEMPORARY, "could not make a mock cluster of %s brokers", argc > 1 ? argv[1] : "1");
	/* From version 4 on a client can say that it does not want a topic to be made by asking for it. */
	rd_kafka_mock_set_apiversion(mock, METADATA, 0, 4);
	layout_check();
	puts(rd_kafka_mock_cluster_bootstraps(mock));
	while ((length = getline(&line, &room, stdin)) > 0) {
		line[length - (line[length - 1] == '\n')] = '\0';
		command(line);
		puts(answer);
	}
	/* Not the way through what was changed behind the mock's back. */
	fflush(stdout);
	_exit(0);
}
