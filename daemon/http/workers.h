/* Threads for what would hold up the event loop: large bodies and answers, texts to tokens. */
#ifndef FG_HTTP_WORKERS_H
#define FG_HTTP_WORKERS_H

#include <stdbool.h>
#include <event2/event.h>

#include "base/queue.h"
#include "fulgur/error.h"

/* Bodies and answers up to this many bytes are dealt with on the loop: below a millisecond. Of those
 * larger than the other, one is read and one is tokenized at a time: they take much memory. */
enum { FG_WORK_SMALL = 64 * 1024, FG_WORK_LARGE = 1024 * 1024 };

/* QUICK: below a second. BODY: the same, and much memory. SLOW: may take seconds; HUGE: and much
 * memory. */
enum fg_work_kind { FG_WORK_QUICK, FG_WORK_BODY, FG_WORK_SLOW, FG_WORK_HUGE, FG_WORK_KINDS };

/* One piece of work; embedded in what it works on. */
struct fg_work {
    struct fg_link link;
    void (*run)(struct fg_work *work);  /* on a worker, or not at all: see destroy */
    void (*done)(struct fg_work *work); /* on the loop, once, afterwards; the work may be freed */
};

struct fg_workers; /* opaque */

/* FG_EIO, FG_ENOMEM. The loop's thread, like all of these. */
int fg_workers_create(struct event_base *base, struct fg_workers **out, struct fg_err *err);
/* Waits for what is running; what waits is not run. The `done` of each is called. NULL is fine. */
void fg_workers_destroy(struct fg_workers *ws);

/* A thread is kept for what is not slow, so that it never waits for what is. In the minutes after,
 * the memory that was freed goes back to the system. */
void fg_workers_post(struct fg_workers *ws, struct fg_work *work, enum fg_work_kind kind);
/* Does it at once, on this thread. */
void fg_workers_do(struct fg_work *work);

#endif
