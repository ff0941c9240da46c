/* Streams: the device's queues, each with a thread that waits for what was submitted, in order, and
 * ends the tickets of it (base/ticket.h). What one stream is given runs in that order. Between
 * streams there is no order but the one that the host makes: it submits to one when it knows that
 * the other has ended. A device with one queue has both streams on it. */
#ifndef FG_STREAM_H
#define FG_STREAM_H

#include <stdbool.h>
#include <stdint.h>

#include "device.h"

struct fg_queue; /* base/queue.h */

enum fg_stream_use {
    FG_STREAM_COMPUTE,
    FG_STREAM_TRANSFER, /* copies only; a queue of its own where the device has one */
    FG_STREAMS,
};

/* How many submissions the stream was given that nobody waited for where they were submitted
 * (fg_cmd_submit). Any thread. */
uint64_t fg_stream_submitted(struct fg_device *d, enum fg_stream_use use);
/* Whether the first n of them have ended, and a wait until they have. Any thread. */
bool fg_stream_reached(struct fg_device *d, enum fg_stream_use use, uint64_t n);
void fg_stream_wait(struct fg_device *d, enum fg_stream_use use, uint64_t n);
/* q is woken whenever one of them ends, until another takes its place, or NULL. */
void fg_stream_listen(struct fg_device *d, enum fg_stream_use use, struct fg_queue *q);

#endif
