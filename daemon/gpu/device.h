/* The Vulkan device: choice, features, limits. The only folder that includes vulkan.h is
 * daemon/gpu. Opened and closed by one thread; stream.h and command.h say what others may do. */
#ifndef FG_DEVICE_H
#define FG_DEVICE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "fulgur/error.h"

struct fg_device;

struct fg_device_info {
    char name[256];
    char driver[256]; /* driver name and version, as the driver calls them */
    char type[16];    /* discrete, integrated, virtual, cpu, other */
    uint32_t vendor_id, device_id, api_version, driver_version;
    uint32_t subgroup_size;
    uint32_t max_workgroup_threads, max_shared_bytes;
    uint64_t max_storage_range, max_texel_elements, heap_bytes;
    bool host_import; /* VK_EXT_external_memory_host */
    bool unified;     /* every device-local heap is host-visible */
    bool storage16, float16, int8, int_dot, subgroup_ballot; /* optional tiers */
    bool transfer_queue;                                     /* copies have a queue of their own */
    bool int_dot_fast; /* four signed bytes at a time in one instruction */
    bool usable;
    char why[160]; /* why not usable, or why chosen */
};

/* All devices of the machine, in the loader's order. *out from malloc, the caller's. chosen: index
 * of the one that fg_device_open(select) would take, or -1 with the reason in err. select: NULL or
 * "" (discrete > integrated > virtual > cpu, then the loader's order), an index, or a part of a
 * name without regard to case. */
int fg_device_list(const char *select, struct fg_device_info **out, size_t *n, int *chosen,
                   struct fg_err *err);
/* Opens the selected device. cache_dir: where the pipeline cache is kept between starts, or NULL.
 * FG_ENOTFOUND (no such device; the message lists those there are), FG_EDEVICE, FG_EUNSUPPORTED. */
int fg_device_open(const char *select, const char *cache_dir, struct fg_device **out,
                   struct fg_err *err);
void fg_device_close(struct fg_device *d); /* NULL is fine */
/* The directory that the device was opened with, or NULL; as long as the device. */
const char *fg_device_cache_dir(const struct fg_device *d);
/* Whether the driver has said so: nothing that it computes from then on is to be trusted. Any
 * thread. */
bool fg_device_lost(const struct fg_device *d);
const struct fg_device_info *fg_device_info(const struct fg_device *d);

#endif
