/* What a stream is made of, for the files of this folder. */
#ifndef FG_VK_STREAM_H
#define FG_VK_STREAM_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <vulkan/vulkan.h>

#include "fulgur/error.h"

struct fg_cmd;
struct fg_device;
struct fg_ticket;

struct fg_vk_queue {
    VkQueue queue;
    uint32_t family;
    bool copies_only;
    pthread_mutex_t lock; /* vkQueueSubmit is one thread's at a time */
};

struct fg_stream {
    struct fg_device *device; /* NULL: not begun */
    struct fg_vk_queue *queue;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t given, moved;
    struct fg_cmd *first, **last; /* submitted, not ended; under the lock */
    uint64_t submitted, ended;
    struct fg_queue *listener; /* or NULL */
    bool closing;
    double last_end; /* of the thread */
};

/* FG_ENOMEM. The queue outlives the stream. */
int fg_stream_init(struct fg_stream *s, struct fg_device *d, struct fg_vk_queue *queue,
                   struct fg_err *err);
/* Waits for all that was submitted. Not begun is fine. */
void fg_stream_finish(struct fg_stream *s);
/* Submits c's buffer with its fence. watch_it: the stream's thread waits for it and ends the ticket
 * (may be NULL), which begins here, unless the submission fails. */
int fg_stream_submit(struct fg_stream *s, struct fg_cmd *c, bool watch_it, struct fg_ticket *ticket,
                     struct fg_err *err);
/* Waits until the stream's thread is done with c; the submission's result. */
int fg_stream_take_back(struct fg_stream *s, struct fg_cmd *c, struct fg_err *err);
bool fg_stream_busy(struct fg_stream *s, const struct fg_cmd *c);

#endif
