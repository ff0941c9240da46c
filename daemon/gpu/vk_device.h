/* What a device is made of, for the files of this folder. */
#ifndef FG_VK_DEVICE_H
#define FG_VK_DEVICE_H

#include <stdatomic.h>
#include <vulkan/vulkan.h>

#include "device.h"
#include "stream.h"
#include "vk_stream.h"

enum { FG_PIPELINE_BUCKETS = 256 };

struct fg_device {
    VkInstance instance;
    VkPhysicalDevice physical;
    VkDevice device;
    struct fg_vk_queue queues[2];
    uint32_t n_queues;
    struct fg_stream streams[FG_STREAMS];
    atomic_bool lost;
    VkPhysicalDeviceMemoryProperties memory;
    VkPipelineCache pipeline_cache;
    char *cache_dir;           /* or NULL */
    char *pipeline_cache_path; /* or NULL */
    struct fg_pipeline *pipelines[FG_PIPELINE_BUCKETS];
    bool has_statistics;       /* VK_KHR_pipeline_executable_properties is enabled */
    uint64_t import_alignment; /* 0: no import */
    PFN_vkGetMemoryHostPointerPropertiesEXT get_host_pointer_properties;
    struct fg_device_info info;
};

/* FG_EDEVICELOST, FG_ENOMEM or FG_EDEVICE with a line that names call, result and device. */
int fg_vk_fail(const struct fg_device *d, struct fg_err *err, const char *call, VkResult r);

#endif
