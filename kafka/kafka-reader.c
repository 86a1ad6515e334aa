/* kafka-reader: one partition of a Kafka topic as lines of JSON, for `reader --map kafka`. Where to go on, Postgres
 * knows: the partition is read from an offset that is given, and what is gone there is refused, not passed over. */
#include "client.h"
#include "envelope.h"
#include "event.h"
#include "json.h"
#include "log.h"
#include "loop.h"
#include "metrics.h"
#include "options.h"
#include "output.h"
#include "sandbox.h"
#include "time.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

enum { TAKE = 32, LOOK_US = 2000000, SHORT_US = 5000000 };

struct kafka {
	/* As the options set them. */
	struct client client;
	uint64_t from, check, until;
	bool resumes, checks, limited, at_end, accepts, lists;

	struct output out;
	rd_kafka_queue_t *queue;
	int event;		      /* readable when the queue has something new */
	int64_t next, position, high; /* behind the last message emitted; how far the partition was read; its end */
	int64_t look_at, short_since; /* since when it ends before what was read */
	uint64_t reported;	      /* to the group */
	bool done;
};

/* Whether it can go on without what is missing, which then is a line of its own; else the program ends. */
static void
gap(struct kafka *k, int64_t from, int64_t low)
{
	const struct client *c = &k->client;
	long long first = from, last = low - 1;
	if (!k->accepts)
		die(EXIT_PERMANENT,
		    "offsets %lld to %lld of %s/%d are gone: the partition begins at %lld now; --accept-gap goes on "
		    "there",
		    first, last, c->topic, (int)c->partition, last + 1);
	log_warn(
	    "offsets %lld to %lld of %s/%d are gone, which was accepted", first, last, c->topic, (int)c->partition);
	envelope_head(&k->out.buf, c->topic, c->partition, low - 1);
	buf_printf(&k->out.buf, ",\"gap\":{\"from\":%lld,\"to\":%lld}}\n", first, last);
	k->next = low;
}

/* Whether the partition holds what was read before. Where it does not, and not only for a moment, as behind a change of
 * its leader, the program ends. */
static bool
holds(struct kafka *k, int64_t read)
{
	int64_t now = clock_now();
	if (read <= k->high) {
		k->short_since = 0;
		return true;
	}
	k->short_since = k->short_since ? k->short_since : now;
	if (now - k->short_since < SHORT_US)
		return false;
	output_flush(&k->out);
	die(EXIT_PERMANENT,
	    "offsets %lld to %lld of %s/%d were read before, and the partition ends at %lld now: it lost them, or the "
	    "topic was made anew; `acctflow run --again` reads it from its beginning",
	    (long long)k->high, (long long)read - 1, k->client.topic, (int)k->client.partition, (long long)k->high);
}

/* Finds out where to begin, once a broker answers. Returns false where a stop signal comes first. */
static bool
start(struct kafka *k)
{
	static const uint64_t one = 1;
	struct client *c = &k->client;
	int64_t low, from = (int64_t)k->from, check = k->checks ? (int64_t)k->check : -1, n;
	while ((n = client_partitions(c)) <= c->partition || !client_ends(c, c->partition, &low, &k->high) ||
	       !holds(k, from > check ? from : check + 1)) {
		if (n > 0 && n <= c->partition)
			client_failed(c, RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION);
		loop_wait(NULL, 0, clock_now() + 200000);
		if (loop_stopping())
			return false;
	}
	if (!k->resumes)
		from = low;
	k->next = from;
	metrics_set(METRIC_BEGUN, (uint64_t)from);
	if (from < low)
		gap(k, from, low);
	else if (check >= low && check < from)
		k->next = check;
	k->position = k->next;
	if (k->at_end)
		k->until = (uint64_t)k->high;
	k->limited |= k->at_end;
	k->queue = rd_kafka_queue_new(c->rk);
	k->event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (k->event < 0)
		die(EXIT_TEMPORARY, "could not make an eventfd: %m");
	rd_kafka_queue_io_event_enable(k->queue, k->event, &one, sizeof one);
	if (rd_kafka_consume_start_queue(c->rkt, c->partition, k->next, k->queue) != 0)
		die(EXIT_PERMANENT, "could not read %s/%d: %s", c->topic, (int)c->partition,
		    rd_kafka_err2str(rd_kafka_last_error()));
	return true;
}

/* What comes instead of a message. */
static void
event(struct kafka *k, const rd_kafka_message_t *m)
{
	struct client *c = &k->client;
	switch (m->err) {
	case RD_KAFKA_RESP_ERR__PARTITION_EOF:
		k->position = m->offset;
		k->client.answered = true;
		break;
	case RD_KAFKA_RESP_ERR_OFFSET_OUT_OF_RANGE:
	case RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET:
		/* The next start says what is missing. */
		output_flush(&k->out);
		die(EXIT_TEMPORARY, "offset %lld of %s/%d is out of range", (long long)k->next, c->topic,
		    (int)c->partition);
	default:
		snprintf(c->reason, sizeof c->reason, "%s", rd_kafka_message_errstr(m));
		client_failed(c, m->err);
	}
}

/* Takes what has come, as far as it fits. Returns how much that was. */
static ssize_t
take(struct kafka *k)
{
	rd_kafka_message_t *m[TAKE];
	ssize_t n = rd_kafka_consume_batch_queue(k->queue, 0, m, TAKE);
	for (ssize_t i = 0; i < n; i++) {
		if (m[i]->err) {
			event(k, m[i]);
		} else if (!k->limited || m[i]->offset < (int64_t)k->until) {
			envelope_add(&k->out.buf, k->client.topic, m[i]);
			k->next = k->position = m[i]->offset + 1;
			int64_t time = rd_kafka_message_timestamp(m[i], NULL);
			metrics_set(METRIC_STAMP, time > 0 ? (uint64_t)time * 1000 : 0);
			k->client.answered = true;
		} else {
			k->position = m[i]->offset;
		}
		rd_kafka_message_destroy(m[i]);
	}
	k->done = k->limited && k->position >= (int64_t)k->until;
	return n;
}

/* Shows the group how far the database has committed: for those who watch its lag. */
static void
group_report(struct kafka *k)
{
	static struct metrics writer;
	const char *folder = getenv("ACCTFLOW_METRICS");
	const struct client *c = &k->client;
	if (!c->group || !folder || metrics_read(folder, "writer", &writer) < 0 ||
	    writer.value[METRIC_COMMITTED] <= k->reported)
		return;
	k->reported = writer.value[METRIC_COMMITTED];
	rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
	rd_kafka_topic_partition_list_add(list, c->topic, c->partition)->offset = (int64_t)k->reported;
	rd_kafka_commit(c->rk, list, true);
	rd_kafka_topic_partition_list_destroy(list);
}

/* Asks every two seconds where the partition ends, which also shows whether a broker answers. */
static void
look(struct kafka *k)
{
	struct client *c = &k->client;
	int64_t low;
	if (clock_now() < k->look_at)
		return;
	if (client_ends(c, c->partition, &low, &k->high))
		holds(k, k->next);
	/* If it comes back it may be another, and may have grown beyond what was read: the next start compares. */
	if (c->missing) {
		output_flush(&k->out);
		die(EXIT_TEMPORARY, "topic \"%s\" is gone, at least for a moment", c->topic);
	}
	c->answered = false;
	group_report(k);
	k->look_at = clock_now() + LOOK_US;
}

/* Shows how far it is, also where nothing fits into the pipe. */
static void
show(const struct kafka *k)
{
	metrics_set(METRIC_EMITTED, (uint64_t)k->next);
	metrics_set(METRIC_BEHIND, k->high > k->position ? (uint64_t)(k->high - k->position) : 0);
}

/* Emits the partition until --until or a stop signal. Returns the exit code. */
static int
run(struct kafka *k)
{
	metrics_open("kafka-reader");
	sandbox_privileges();
	bool started = start(k);
	while (started && !k->done && !loop_stopping()) {
		uint64_t news;
		rd_kafka_poll(k->client.rk, 0);
		if (output_some(&k->out) != 0)
			output_failed();
		/* Whether there is room is asked behind the writing: else nobody would wait for the queue. */
		bool full = output_full(&k->out);
		ssize_t n = full ? 0 : take(k);
		look(k);
		show(k);
		struct pollfd p[] = {{.fd = full ? -1 : k->event, .events = POLLIN},
		    {.fd = k->out.fd, .events = k->out.buf.len ? POLLOUT : 0}};
		loop_wait(p, 2, n > 0 ? 0 : k->look_at);
		if (p[1].revents & (POLLERR | POLLHUP)) {
			errno = EPIPE;
			output_failed();
		}
		if (p[0].revents && read(k->event, &news, sizeof news) < 0 && errno != EAGAIN)
			die(EXIT_TEMPORARY, "could not read an eventfd: %m");
	}
	event_input_end(&k->out.buf, k->done);
	buf_char(&k->out.buf, '\n');
	if (output_flush(&k->out) != 0)
		output_failed();
	return EXIT_OK;
}

/* Prints the topic's partitions: number, first offset, the one behind the last. */
static int
list(struct kafka *k)
{
	struct client *c = &k->client;
	int64_t low, high;
	int n;
	while ((n = client_partitions(c)) == 0 && !loop_stopping())
		loop_wait(NULL, 0, clock_now() + 200000);
	for (int i = 0; i < n && !loop_stopping(); i++) {
		while (!client_ends(c, i, &low, &high) && !loop_stopping())
			loop_wait(NULL, 0, clock_now() + 200000);
		if (!loop_stopping())
			buf_printf(&k->out.buf, "%d %lld %lld\n", i, (long long)low, (long long)high);
	}
	if (output_flush(&k->out) != 0)
		output_failed();
	return loop_stopping() ? EXIT_TEMPORARY : EXIT_OK;
}

/* kafka://BROKERS/TOPIC/PARTITION; with --list kafka://BROKERS/TOPIC. */
static void
address_read(struct kafka *k, const char *text)
{
	struct client *c = &k->client;
	static const char scheme[] = "kafka://",
			  plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";
	const char *brokers = strncmp(text, scheme, sizeof scheme - 1) == 0 ? text + sizeof scheme - 1 : "/";
	const char *topic = strchr(brokers, '/'), *end = topic ? strchr(topic + 1, '/') : NULL;
	uint64_t partition = 0;
	size_t n = !topic ? 0 : end ? (size_t)(end - topic) - 1 : strlen(topic + 1);
	if (n < 1 || n > 249 || strspn(topic + 1, plain) != n || topic == brokers || k->lists == (end != NULL) ||
	    memchr(brokers, '@', (size_t)(topic - brokers)) ||
	    (end && json_integer(slice_of(end + 1), INT32_MAX, &partition) != 0))
		die_usage("\"%s\": kafka://HOST:PORT,…/TOPIC%s is wanted; a password belongs into a --properties file",
		    text, k->lists ? "" : "/PARTITION");
	c->brokers = mem_string((struct slice){brokers, (size_t)(topic - brokers)});
	c->topic = mem_string((struct slice){topic + 1, n});
	c->partition = (int32_t)partition;
}

/* "OFFSET:HASH", as reader has it; the hash is reader's affair. */
static int
check_set(const char *text, void *value)
{
	return json_integer((struct slice){text, strcspn(text, ":")}, INT64_MAX - 1, value);
}

/* An offset, or "end". */
static int
until_set(const char *text, void *value)
{
	struct kafka *k = value;
	k->at_end = strcmp(text, "end") == 0;
	k->limited = true;
	return k->at_end ? 0 : json_integer(slice_of(text), INT64_MAX - 1, &k->until);
}

static struct kafka kafka;

/* clang-format off */
static const struct option_spec specs[] = {
	{.name = "from", .letter = 'o', .type = OPTION_COUNT, .value = &kafka.from, .argument = "OFFSET",
	 .max = INT64_MAX - 1, .given = &kafka.resumes, .help = "where to begin (default: the partition's beginning)"},
	{.name = "check", .type = OPTION_CUSTOM, .value = &kafka.check, .set = check_set, .given = &kafka.checks,
	 .argument = "OFFSET:HASH", .help = "begin with this message, if it is still there: reader compares it"},
	{.name = "until", .type = OPTION_CUSTOM, .value = &kafka, .set = until_set,
	 .argument = "OFFSET|end", .help = "end before this offset, or where the partition ends now (default: never)"},
	{.name = "accept-gap", .type = OPTION_ACTION, .value = &kafka.accepts,
	 .help = "go on behind messages that are gone; a record says which"},
	{.name = "properties", .letter = 'p', .type = OPTION_TEXT, .value = &kafka.client.properties, .argument = "FILE",
	 .help = "librdkafka's settings, name=value: TLS, SASL, passwords"},
	{.name = "group", .letter = 'g', .type = OPTION_TEXT, .value = &kafka.client.group, .argument = "NAME",
	 .help = "commit to this group what Postgres has, for lag monitors"},
	{.name = "list", .type = OPTION_ACTION, .value = &kafka.lists,
	 .help = "print each partition's number, first offset and end"},
	{0},
};
/* clang-format on */

int
main(int argc, char **argv)
{
	static const struct program program = {
	    .name = "kafka-reader",
	    .usage = "[options] kafka://BROKERS/TOPIC/PARTITION",
	    .purpose = "Emits a partition of a Kafka topic as lines of JSON, for `reader --map kafka`.",
	};
	loop_init();
	int operands = options_read(&program, specs, argc, argv);
	if (operands != argc - 1)
		die_usage("one partition is wanted, kafka://BROKERS/TOPIC/PARTITION; see kafka-reader --help");
	address_read(&kafka, argv[operands]);
	output_open(&kafka.out, STDOUT_FILENO);
	client_open(&kafka.client);
	return kafka.lists ? list(&kafka) : run(&kafka);
}
