#include "priv.h"

#include <stdlib.h>

static const VkMemoryPropertyFlags host_flags =
    VK_MEMORY_PROPERTY_HOST_VISIBLE_BIT | VK_MEMORY_PROPERTY_HOST_COHERENT_BIT;

/* The first type of `allowed` with all of `want`, or -1. */
static int find_type(const struct fg_device *d, uint32_t allowed, VkMemoryPropertyFlags want)
{
    for (uint32_t i = 0; i < d->memory.memoryTypeCount; i++)
        if ((allowed & (1u << i)) && (d->memory.memoryTypes[i].propertyFlags & want) == want)
            return (int)i;
    return -1;
}

static int choose_type(const struct fg_device *d, uint32_t allowed, enum fg_buffer_use use)
{
    VkMemoryPropertyFlags wishes[3];
    int n = 0, type = -1;
    if (use == FG_BUFFER_DEVICE) {
        if (d->info.unified)
            wishes[n++] = VK_MEMORY_PROPERTY_DEVICE_LOCAL_BIT | host_flags;
        wishes[n++] = VK_MEMORY_PROPERTY_DEVICE_LOCAL_BIT;
        wishes[n++] = 0;
    } else {
        wishes[n++] = host_flags | VK_MEMORY_PROPERTY_HOST_CACHED_BIT;
        wishes[n++] = host_flags;
    }
    for (int i = 0; i < n && type < 0; i++)
        type = find_type(d, allowed, wishes[i]);
    return type;
}

static int no_memory(const struct fg_device *d, uint64_t bytes, const char *what,
                     struct fg_err *err)
{
    return fg_fail(err, FG_ENOMEM, "%s: no %llu MiB of memory left on %s", what,
                   (unsigned long long)(bytes >> 20), d->info.name);
}

static int bind_memory(struct fg_buffer *b, int type, bool map, const void *import_pointer,
                       const char *what, struct fg_err *err)
{
    struct fg_device *d = b->device;
    VkMemoryRequirements req;
    VkResult r;

    vkGetBufferMemoryRequirements(d->device, b->buffer, &req);
    VkImportMemoryHostPointerInfoEXT import = {
        .sType = VK_STRUCTURE_TYPE_IMPORT_MEMORY_HOST_POINTER_INFO_EXT,
        .handleType = VK_EXTERNAL_MEMORY_HANDLE_TYPE_HOST_ALLOCATION_BIT_EXT,
        .pHostPointer = (void *)(uintptr_t)import_pointer};
    VkMemoryAllocateInfo info = {.sType = VK_STRUCTURE_TYPE_MEMORY_ALLOCATE_INFO,
                                 .pNext = import_pointer ? &import : NULL,
                                 .allocationSize = import_pointer ? b->bytes : req.size,
                                 .memoryTypeIndex = (uint32_t)type};
    if (import_pointer && req.size > b->bytes)
        return fg_fail(err, FG_EUNSUPPORTED, "host import needs a larger allocation");
    r = vkAllocateMemory(d->device, &info, NULL, &b->memory);
    if (r == VK_ERROR_OUT_OF_DEVICE_MEMORY || r == VK_ERROR_OUT_OF_HOST_MEMORY)
        return no_memory(d, info.allocationSize, what, err);
    if (r != VK_SUCCESS)
        return fg_vk_fail(d, err, "vkAllocateMemory", r);
    r = vkBindBufferMemory(d->device, b->buffer, b->memory, 0);
    if (r != VK_SUCCESS)
        return fg_vk_fail(d, err, "vkBindBufferMemory", r);
    if (map && (d->memory.memoryTypes[type].propertyFlags & host_flags) == host_flags) {
        r = vkMapMemory(d->device, b->memory, 0, VK_WHOLE_SIZE, 0, &b->map);
        if (r != VK_SUCCESS)
            return fg_vk_fail(d, err, "vkMapMemory", r);
    }
    return 0;
}

static int create(struct fg_device *d, uint64_t bytes, const void *next, struct fg_buffer **out,
                  struct fg_err *err)
{
    struct fg_buffer *b = calloc(1, sizeof *b);
    VkResult r;
    if (!b)
        return fg_fail(err, FG_ENOMEM, "out of memory for a buffer");
    b->device = d;
    b->bytes = bytes;
    /* Buffers of two families are shared: handing them over for each copy would cost more. */
    uint32_t families[2] = {d->queues[0].family, d->queues[1].family};
    VkBufferCreateInfo info = {
        .sType = VK_STRUCTURE_TYPE_BUFFER_CREATE_INFO,
        .pNext = next,
        .size = bytes,
        .usage = VK_BUFFER_USAGE_STORAGE_BUFFER_BIT | VK_BUFFER_USAGE_UNIFORM_TEXEL_BUFFER_BIT |
                 VK_BUFFER_USAGE_TRANSFER_SRC_BIT | VK_BUFFER_USAGE_TRANSFER_DST_BIT,
        .sharingMode =
            d->queues[1].copies_only ? VK_SHARING_MODE_CONCURRENT : VK_SHARING_MODE_EXCLUSIVE,
        .queueFamilyIndexCount = d->queues[1].copies_only ? 2 : 0,
        .pQueueFamilyIndices = families};
    r = vkCreateBuffer(d->device, &info, NULL, &b->buffer);
    if (r != VK_SUCCESS) {
        free(b);
        return fg_vk_fail(d, err, "vkCreateBuffer", r);
    }
    *out = b;
    return 0;
}

int fg_buffer_create(struct fg_device *d, uint64_t bytes, enum fg_buffer_use use, const char *what,
                     struct fg_buffer **out, struct fg_err *err)
{
    struct fg_buffer *b = NULL;
    VkMemoryRequirements req;
    int rc, type;

    *out = NULL;
    /* Asking for more than the heap holds is an error that drivers need not notice. */
    if (use == FG_BUFFER_DEVICE && bytes > d->info.heap_bytes)
        return no_memory(d, bytes, what, err);
    bytes = bytes < 16 ? 16 : (bytes + 15) / 16 * 16;
    rc = create(d, bytes, NULL, &b, err);
    if (rc)
        return rc;
    vkGetBufferMemoryRequirements(d->device, b->buffer, &req);
    type = choose_type(d, req.memoryTypeBits, use);
    rc = type < 0 ? fg_fail(err, FG_EDEVICE, "%s: %s has no memory type for it", what, d->info.name)
                  : bind_memory(b, type, use == FG_BUFFER_HOST || d->info.unified, NULL, what, err);
    if (rc) {
        fg_buffer_destroy(b);
        return rc;
    }
    *out = b;
    return 0;
}

int fg_buffer_import(struct fg_device *d, const void *p, uint64_t bytes, struct fg_buffer **out,
                     uint64_t *offset, struct fg_err *err)
{
    uintptr_t from, to;
    struct fg_buffer *b = NULL;
    VkMemoryRequirements req;
    int rc, type;

    *out = NULL;
    if (!d->import_alignment || !d->get_host_pointer_properties)
        return fg_fail(err, FG_EUNSUPPORTED, "%s does not import host memory", d->info.name);
    from = (uintptr_t)p & ~(uintptr_t)(d->import_alignment - 1);
    to = ((uintptr_t)p + bytes + d->import_alignment - 1) & ~(uintptr_t)(d->import_alignment - 1);
    VkMemoryHostPointerPropertiesEXT props = {
        .sType = VK_STRUCTURE_TYPE_MEMORY_HOST_POINTER_PROPERTIES_EXT};
    if (d->get_host_pointer_properties(d->device,
                                       VK_EXTERNAL_MEMORY_HANDLE_TYPE_HOST_ALLOCATION_BIT_EXT,
                                       (void *)from, &props) != VK_SUCCESS)
        return fg_fail(err, FG_EUNSUPPORTED, "%s does not import this memory", d->info.name);
    VkExternalMemoryBufferCreateInfo external = {
        .sType = VK_STRUCTURE_TYPE_EXTERNAL_MEMORY_BUFFER_CREATE_INFO,
        .handleTypes = VK_EXTERNAL_MEMORY_HANDLE_TYPE_HOST_ALLOCATION_BIT_EXT};
    rc = create(d, to - from, &external, &b, err);
    if (rc)
        return rc;
    vkGetBufferMemoryRequirements(d->device, b->buffer, &req);
    type = find_type(d, req.memoryTypeBits & props.memoryTypeBits, 0);
    rc = type < 0 ? FG_EUNSUPPORTED
                  : bind_memory(b, type, false, (const void *)from, "host import", err);
    if (rc) {
        fg_buffer_destroy(b);
        return fg_fail(err, FG_EUNSUPPORTED, "%s does not import this memory", d->info.name);
    }
    *offset = (uintptr_t)p - from;
    *out = b;
    return 0;
}

void fg_buffer_destroy(struct fg_buffer *b)
{
    if (!b)
        return;
    for (int i = 0; i < 2; i++)
        if (b->views[i])
            vkDestroyBufferView(b->device->device, b->views[i], NULL);
    if (b->buffer)
        vkDestroyBuffer(b->device->device, b->buffer, NULL);
    if (b->memory)
        vkFreeMemory(b->device->device, b->memory, NULL);
    free(b);
}

uint64_t fg_buffer_bytes(const struct fg_buffer *b)
{
    return b->bytes;
}

void *fg_buffer_map(struct fg_buffer *b)
{
    return b->map;
}
