#include "event_queue.h"

#include <errno.h>
#include <poll.h>
#include <stdint.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

static void deliver_all(struct fg_event_queue *q)
{
    struct fg_link *item, *next;
    uint64_t count;

    pthread_mutex_lock(&q->lock);
    if (read(q->wake_fd, &count, sizeof count) < 0)
        (void)0; /* nothing was signalled: fine */
    item = fg_queue_take(&q->items, false);
    pthread_mutex_unlock(&q->lock);
    for (; item; item = next) {
        next = item->next;
        q->deliver(q->ctx, item);
    }
}

static void on_readable(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    deliver_all(arg);
}

int fg_event_queue_init(struct fg_event_queue *q, struct event_base *base, struct fg_err *err)
{
    q->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (q->wake_fd < 0)
        return fg_fail(err, FG_EIO, "eventfd: %s", strerror(errno));
    q->readable = event_new(base, q->wake_fd, EV_READ | EV_PERSIST, on_readable, q);
    if (!q->readable || event_add(q->readable, NULL) < 0) {
        if (q->readable)
            event_free(q->readable);
        q->readable = NULL;
        close(q->wake_fd);
        q->wake_fd = -1;
        return fg_fail(err, FG_ENOMEM, "no memory for a queue of events");
    }
    pthread_mutex_init(&q->lock, NULL);
    fg_queue_init(&q->items);
    return 0;
}

void fg_event_queue_finish(struct fg_event_queue *q)
{
    if (!q->readable)
        return;
    event_free(q->readable);
    fg_queue_finish(&q->items);
    pthread_mutex_destroy(&q->lock);
    close(q->wake_fd);
    q->readable = NULL;
    q->wake_fd = -1;
}

void fg_event_queue_post(struct fg_event_queue *q, struct fg_link *item)
{
    const uint64_t one = 1;

    pthread_mutex_lock(&q->lock);
    fg_queue_post(&q->items, item);
    /* A full counter wakes as well as one more would. */
    if (write(q->wake_fd, &one, sizeof one) < 0)
        (void)0;
    pthread_mutex_unlock(&q->lock);
}

void fg_event_queue_wait(struct fg_event_queue *q)
{
    struct pollfd p = {.fd = q->wake_fd, .events = POLLIN};

    while (poll(&p, 1, -1) < 0 && errno == EINTR)
        continue;
    deliver_all(q);
}
