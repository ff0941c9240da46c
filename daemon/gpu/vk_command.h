/* What a recorder is made of, for the files of this folder. */
#ifndef FG_VK_COMMAND_H
#define FG_VK_COMMAND_H

#include <vulkan/vulkan.h>

#include "command.h"

/* A recorder's last submission, between its owner and the thread that waits for it. */
struct fg_submission {
    struct fg_cmd *next;      /* of the stream */
    struct fg_ticket *ticket; /* or NULL */
    bool watched;             /* in the stream's list; under its lock */
    int rc;
    struct fg_err err;
    double begun, seconds; /* when it was submitted; what it took once it could begin */
};

struct fg_cmd {
    struct fg_device *device;
    struct fg_stream *stream;
    VkCommandPool pool;
    VkCommandBuffer buffer;
    VkFence fence;
    VkDescriptorPool *set_pools;
    uint32_t n_pools, pool_at, sets_used;
    VkPipeline bound;
    bool submitted; /* and not waited for */
    bool watched;   /* submitted to be watched, rather than waited for at once */
    int rc;         /* the first failure while recording */
    struct fg_err err;
    struct fg_submission submission;
};

#endif
