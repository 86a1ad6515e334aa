/* A message of Kafka as a line of JSON, the envelope that the map `kafka` reads. */
#ifndef ACCTFLOW_ENVELOPE_H
#define ACCTFLOW_ENVELOPE_H

#include "buf.h"

#include <librdkafka/rdkafka.h>

/* Appends {"topic":…,"partition":…,"offset":…, and no more: the head of every envelope. */
void envelope_head(struct buf *b, const char *topic, int32_t partition, int64_t offset);

/* Appends a message with its line's end. Key, payload and values of headers are null or strings; bytes that are not
 * UTF-8 are {"base64":"…"}. A payload that is a JSON object or array stands there as it is, without white space. A
 * header that comes several times has its last value; one whose name is not UTF-8 is left out. */
void envelope_add(struct buf *b, const char *topic, const rd_kafka_message_t *m);

#endif
