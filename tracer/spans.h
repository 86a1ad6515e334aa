/* Spans from events, as OTLP's JSON. An update's own trace has `read`, and below it `wait for commit` and `commit`. Its
 * callback has a trace of its own, linked to the first, as waits of hours outlive a trace's retention: `scheduled`,
 * below it `fire`, and below that a `deliver` for each attempt. A batch is a trace of one span, to which the waits are
 * linked. Each id is a hash of what it names, so that an event that is emitted again makes the same spans; and which
 * spans there are depends only on what every such event has, so that a trace is whole whoever was killed. */
#ifndef ACCTFLOW_SPANS_H
#define ACCTFLOW_SPANS_H

#include "record.h"

/* Hands the spans of an event to the queue; none where its update is not sampled. `ids`: they name the account. */
void spans_event(const struct record *r, bool ids);

#endif
