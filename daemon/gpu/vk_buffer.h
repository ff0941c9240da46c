/* What a buffer is made of, for the files of this folder. */
#ifndef FG_VK_BUFFER_H
#define FG_VK_BUFFER_H

#include <vulkan/vulkan.h>

#include "buffer.h"

struct fg_buffer {
    struct fg_device *device;
    VkBuffer buffer;
    VkDeviceMemory memory;
    uint64_t bytes;
    void *map;
    VkBufferView views[2]; /* whole, as uvec4 and as vec4; made when first bound so */
};

#endif
