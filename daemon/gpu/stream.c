#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/queue.h"
#include "base/ticket.h"
#include "vk_command.h"
#include "vk_device.h"

/* Waits for one submission on the device; its result goes into c. */
static void await(struct fg_stream *s, struct fg_cmd *c)
{
    struct fg_device *d = s->device;
    struct fg_submission *sub = &c->submission;
    VkResult r = vkWaitForFences(d->device, 1, &c->fence, VK_TRUE, UINT64_MAX);
    double now = fg_clock_seconds();

    if (r == VK_ERROR_DEVICE_LOST)
        atomic_store(&d->lost, true);
    if (r == VK_SUCCESS && atomic_load(&d->lost)) /* what it wrote is not to be trusted */
        r = VK_ERROR_DEVICE_LOST;
    sub->rc = r == VK_SUCCESS ? 0 : fg_vk_fail(d, &sub->err, "vkWaitForFences", r);
    sub->seconds = now - (sub->begun > s->last_end ? sub->begun : s->last_end);
    s->last_end = now;
}

static void *watch(void *ctx)
{
    struct fg_stream *s = ctx;

    pthread_mutex_lock(&s->lock);
    for (;;) {
        struct fg_cmd *c = s->first;

        if (!c && s->closing)
            break;
        if (!c) {
            pthread_cond_wait(&s->given, &s->lock);
            continue;
        }
        pthread_mutex_unlock(&s->lock);
        await(s, c);
        pthread_mutex_lock(&s->lock);
        s->first = c->submission.next;
        if (!s->first)
            s->last = &s->first;
        s->ended++;
        /* From here on the recorder is its owner's again: first copy what the ticket needs. */
        struct fg_ticket *ticket = c->submission.ticket;
        int rc = c->submission.rc;
        struct fg_err err = c->submission.err;
        c->submission.watched = false;
        pthread_cond_broadcast(&s->moved);
        if (s->listener)
            fg_queue_wake(s->listener);
        pthread_mutex_unlock(&s->lock);
        if (ticket)
            fg_ticket_end(ticket, rc, rc ? &err : NULL);
        pthread_mutex_lock(&s->lock);
    }
    pthread_mutex_unlock(&s->lock);
    return NULL;
}

int fg_stream_init(struct fg_stream *s, struct fg_device *d, struct fg_vk_queue *queue,
                   struct fg_err *err)
{
    memset(s, 0, sizeof *s);
    s->device = d;
    s->queue = queue;
    s->last = &s->first;
    pthread_mutex_init(&s->lock, NULL);
    pthread_cond_init(&s->given, NULL);
    pthread_cond_init(&s->moved, NULL);
    if (pthread_create(&s->thread, NULL, watch, s)) {
        s->device = NULL;
        return fg_fail(err, FG_ENOMEM, "no thread to wait for the device");
    }
    return 0;
}

void fg_stream_finish(struct fg_stream *s)
{
    if (!s->device)
        return;
    pthread_mutex_lock(&s->lock);
    s->closing = true;
    pthread_cond_signal(&s->given);
    pthread_mutex_unlock(&s->lock);
    pthread_join(s->thread, NULL);
    pthread_cond_destroy(&s->moved);
    pthread_cond_destroy(&s->given);
    pthread_mutex_destroy(&s->lock);
    s->device = NULL;
}

/* Under the lock of the queue, so that submissions stand in the list as they do in the queue. */
static void enlist(struct fg_stream *s, struct fg_cmd *c, struct fg_ticket *ticket)
{
    if (ticket)
        fg_ticket_begin(ticket);
    pthread_mutex_lock(&s->lock);
    c->submission.ticket = ticket;
    c->submission.next = NULL;
    c->submission.watched = true;
    *s->last = c;
    s->last = &c->submission.next;
    s->submitted++;
    pthread_cond_signal(&s->given);
    pthread_mutex_unlock(&s->lock);
}

int fg_stream_submit(struct fg_stream *s, struct fg_cmd *c, bool watch_it, struct fg_ticket *ticket,
                     struct fg_err *err)
{
    VkSubmitInfo info = {.sType = VK_STRUCTURE_TYPE_SUBMIT_INFO,
                         .commandBufferCount = 1,
                         .pCommandBuffers = &c->buffer};
    VkResult r;

    c->submission.begun = fg_clock_seconds();
    pthread_mutex_lock(&s->queue->lock);
    r = vkQueueSubmit(s->queue->queue, 1, &info, c->fence);
    if (r == VK_SUCCESS && watch_it)
        enlist(s, c, ticket);
    pthread_mutex_unlock(&s->queue->lock);
    if (r == VK_ERROR_DEVICE_LOST)
        atomic_store(&s->device->lost, true);
    return r == VK_SUCCESS ? 0 : fg_vk_fail(s->device, err, "vkQueueSubmit", r);
}

int fg_stream_take_back(struct fg_stream *s, struct fg_cmd *c, struct fg_err *err)
{
    pthread_mutex_lock(&s->lock);
    while (c->submission.watched)
        pthread_cond_wait(&s->moved, &s->lock);
    pthread_mutex_unlock(&s->lock);
    if (c->submission.rc && err)
        *err = c->submission.err;
    return c->submission.rc;
}

bool fg_stream_busy(struct fg_stream *s, const struct fg_cmd *c)
{
    bool busy;

    pthread_mutex_lock(&s->lock);
    busy = c->submission.watched;
    pthread_mutex_unlock(&s->lock);
    return busy;
}

uint64_t fg_stream_submitted(struct fg_device *d, enum fg_stream_use use)
{
    struct fg_stream *s = &d->streams[use];
    uint64_t n;

    pthread_mutex_lock(&s->lock);
    n = s->submitted;
    pthread_mutex_unlock(&s->lock);
    return n;
}

bool fg_stream_reached(struct fg_device *d, enum fg_stream_use use, uint64_t n)
{
    struct fg_stream *s = &d->streams[use];
    bool reached;

    pthread_mutex_lock(&s->lock);
    reached = s->ended >= n;
    pthread_mutex_unlock(&s->lock);
    return reached;
}

void fg_stream_wait(struct fg_device *d, enum fg_stream_use use, uint64_t n)
{
    struct fg_stream *s = &d->streams[use];

    pthread_mutex_lock(&s->lock);
    while (s->ended < n)
        pthread_cond_wait(&s->moved, &s->lock);
    pthread_mutex_unlock(&s->lock);
}

void fg_stream_listen(struct fg_device *d, enum fg_stream_use use, struct fg_queue *q)
{
    struct fg_stream *s = &d->streams[use];

    pthread_mutex_lock(&s->lock);
    s->listener = q;
    pthread_mutex_unlock(&s->lock);
}
