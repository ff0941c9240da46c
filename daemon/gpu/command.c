#include "base/ticket.h"
#include "vk_buffer.h"
#include "vk_command.h"
#include "vk_device.h"
#include "vk_program.h"

#include <stdlib.h>
#include <string.h>

/* Descriptor sets come from pools of this many; more pools are added as a step needs them. */
enum { SETS_A_POOL = 512 };

/* What every device allows: maxComputeWorkGroupCount. */
enum { MOST_GROUPS = 65535 };

int fg_cmd_create(struct fg_device *d, struct fg_cmd **out, struct fg_err *err)
{
    return fg_cmd_create_on(d, FG_STREAM_COMPUTE, out, err);
}

int fg_cmd_create_on(struct fg_device *d, enum fg_stream_use use, struct fg_cmd **out,
                     struct fg_err *err)
{
    struct fg_cmd *c = calloc(1, sizeof *c);
    VkResult r;
    const char *call = "vkCreateCommandPool";

    *out = NULL;
    if (!c)
        return fg_fail(err, FG_ENOMEM, "out of memory for a command recorder");
    c->device = d;
    c->stream = &d->streams[use];
    VkCommandPoolCreateInfo pool = {.sType = VK_STRUCTURE_TYPE_COMMAND_POOL_CREATE_INFO,
                                    .flags = VK_COMMAND_POOL_CREATE_RESET_COMMAND_BUFFER_BIT,
                                    .queueFamilyIndex = c->stream->queue->family};
    r = vkCreateCommandPool(d->device, &pool, NULL, &c->pool);
    if (r == VK_SUCCESS) {
        VkCommandBufferAllocateInfo info = {.sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_ALLOCATE_INFO,
                                            .commandPool = c->pool,
                                            .level = VK_COMMAND_BUFFER_LEVEL_PRIMARY,
                                            .commandBufferCount = 1};
        call = "vkAllocateCommandBuffers";
        r = vkAllocateCommandBuffers(d->device, &info, &c->buffer);
    }
    if (r == VK_SUCCESS) {
        VkFenceCreateInfo info = {.sType = VK_STRUCTURE_TYPE_FENCE_CREATE_INFO};
        call = "vkCreateFence";
        r = vkCreateFence(d->device, &info, NULL, &c->fence);
    }
    if (r != VK_SUCCESS) {
        fg_cmd_destroy(c);
        return fg_vk_fail(d, err, call, r);
    }
    *out = c;
    return 0;
}

void fg_cmd_destroy(struct fg_cmd *c)
{
    struct fg_err ignored;
    if (!c)
        return;
    fg_cmd_wait(c, &ignored);
    for (uint32_t i = 0; i < c->n_pools; i++)
        vkDestroyDescriptorPool(c->device->device, c->set_pools[i], NULL);
    free(c->set_pools);
    if (c->fence)
        vkDestroyFence(c->device->device, c->fence, NULL);
    if (c->pool)
        vkDestroyCommandPool(c->device->device, c->pool, NULL);
    free(c);
}

void fg_cmd_fail(struct fg_cmd *c, int code, const char *text)
{
    if (c->rc == 0)
        c->rc = fg_fail(&c->err, code, "%s", text);
}

static void stick(struct fg_cmd *c, const char *call, VkResult r)
{
    if (c->rc == 0)
        c->rc = fg_vk_fail(c->device, &c->err, call, r);
}

/* The stages whose work a submission orders: a queue for copies knows no others. */
static VkPipelineStageFlags stages(const struct fg_cmd *c)
{
    return VK_PIPELINE_STAGE_TRANSFER_BIT |
           (c->stream->queue->copies_only ? 0 : VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT);
}

static VkAccessFlags writes(const struct fg_cmd *c)
{
    return VK_ACCESS_TRANSFER_WRITE_BIT |
           (c->stream->queue->copies_only ? 0 : VK_ACCESS_SHADER_WRITE_BIT);
}

static VkAccessFlags reads_and_writes(const struct fg_cmd *c)
{
    return writes(c) | VK_ACCESS_TRANSFER_READ_BIT |
           (c->stream->queue->copies_only ? 0 : VK_ACCESS_SHADER_READ_BIT);
}

static void record_barrier(struct fg_cmd *c, VkAccessFlags from, VkPipelineStageFlags to_stages,
                           VkAccessFlags to)
{
    VkMemoryBarrier barrier = {
        .sType = VK_STRUCTURE_TYPE_MEMORY_BARRIER, .srcAccessMask = from, .dstAccessMask = to};
    vkCmdPipelineBarrier(c->buffer, stages(c), to_stages, 0, 1, &barrier, 0, NULL, 0, NULL);
}

void fg_cmd_begin(struct fg_cmd *c)
{
    VkCommandBufferBeginInfo info = {.sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_BEGIN_INFO,
                                     .flags = VK_COMMAND_BUFFER_USAGE_ONE_TIME_SUBMIT_BIT};
    c->rc = fg_cmd_wait(c, &c->err);
    c->bound = VK_NULL_HANDLE;
    for (uint32_t i = 0; i < c->n_pools; i++)
        vkResetDescriptorPool(c->device->device, c->set_pools[i], 0);
    c->pool_at = c->sets_used = 0;
    vkResetCommandBuffer(c->buffer, 0); /* it may hold what was recorded and never submitted */
    VkResult r = vkBeginCommandBuffer(c->buffer, &info);
    if (r != VK_SUCCESS)
        stick(c, "vkBeginCommandBuffer", r);
    else if (c->device->n_queues > 1) /* what the other queue wrote becomes visible in this one */
        record_barrier(c, writes(c), stages(c), reads_and_writes(c));
}

static int add_pool(struct fg_cmd *c)
{
    VkDescriptorPoolSize sizes[] = {{VK_DESCRIPTOR_TYPE_STORAGE_BUFFER, SETS_A_POOL * FG_BIND_MAX},
                                    {VK_DESCRIPTOR_TYPE_UNIFORM_TEXEL_BUFFER, SETS_A_POOL * 4}};
    VkDescriptorPoolCreateInfo info = {.sType = VK_STRUCTURE_TYPE_DESCRIPTOR_POOL_CREATE_INFO,
                                       .maxSets = SETS_A_POOL,
                                       .poolSizeCount = 2,
                                       .pPoolSizes = sizes};
    VkDescriptorPool *grown = realloc(c->set_pools, (c->n_pools + 1) * sizeof *grown);
    if (!grown)
        return -1;
    c->set_pools = grown;
    VkResult r = vkCreateDescriptorPool(c->device->device, &info, NULL, &grown[c->n_pools]);
    if (r != VK_SUCCESS) {
        stick(c, "vkCreateDescriptorPool", r);
        return -1;
    }
    c->n_pools++;
    return 0;
}

static VkDescriptorSet next_set(struct fg_cmd *c, VkDescriptorSetLayout layout)
{
    VkDescriptorSet set = VK_NULL_HANDLE;
    if (c->sets_used == SETS_A_POOL) {
        c->pool_at++;
        c->sets_used = 0;
    }
    if (c->pool_at == c->n_pools && add_pool(c)) {
        stick(c, "vkCreateDescriptorPool", VK_ERROR_OUT_OF_HOST_MEMORY);
        return set;
    }
    VkDescriptorSetAllocateInfo info = {.sType = VK_STRUCTURE_TYPE_DESCRIPTOR_SET_ALLOCATE_INFO,
                                        .descriptorPool = c->set_pools[c->pool_at],
                                        .descriptorSetCount = 1,
                                        .pSetLayouts = &layout};
    VkResult r = vkAllocateDescriptorSets(c->device->device, &info, &set);
    if (r != VK_SUCCESS)
        stick(c, "vkAllocateDescriptorSets", r);
    c->sets_used++;
    return set;
}

/* The whole buffer as texels of 16 bytes. */
static VkBufferView texel_view(struct fg_cmd *c, struct fg_buffer *b, char kind)
{
    VkBufferView *view = &b->views[kind == 'f'];
    VkBufferViewCreateInfo info = {.sType = VK_STRUCTURE_TYPE_BUFFER_VIEW_CREATE_INFO,
                                   .buffer = b->buffer,
                                   .format = kind == 'f' ? VK_FORMAT_R32G32B32A32_SFLOAT
                                                         : VK_FORMAT_R32G32B32A32_UINT,
                                   .range = b->bytes};
    if (!*view) {
        VkResult r = vkCreateBufferView(c->device->device, &info, NULL, view);
        if (r != VK_SUCCESS)
            stick(c, "vkCreateBufferView", r);
    }
    return *view;
}

static bool inside(const struct fg_buffer *b, uint64_t at, uint64_t bytes)
{
    return bytes <= b->bytes && at <= b->bytes - bytes;
}

/* Whether the binding lies in its buffer and within the device's limits; *bytes: its length. */
static bool check_bind(struct fg_cmd *c, const struct fg_pipeline *p, uint32_t i,
                       const struct fg_bind *bind, uint64_t *bytes)
{
    const struct fg_device_info *d = &c->device->info;
    bool texel = p->signature.kinds[i] != 's';
    uint64_t most = texel ? d->max_texel_elements * 16 : d->max_storage_range;
    if (!bind->buffer) {
        c->rc =
            fg_fail(&c->err, FG_EINVAL, "shader %s, buffer %u: there is none", p->shader->name, i);
        return false;
    }
    *bytes = bind->bytes ? bind->bytes : bind->buffer->bytes - bind->offset;
    if (*bytes <= most && inside(bind->buffer, bind->offset, *bytes) && *bytes &&
        bind->offset % 256 == 0 && !(texel && (bind->offset || bind->bytes)))
        return true;
    c->rc =
        fg_fail(&c->err, FG_EINVAL,
                "shader %s, buffer %u: %llu bytes at %llu leave the buffer of %llu or the "
                "device's largest binding of %llu, or do not begin at a multiple of 256",
                p->shader->name, i, (unsigned long long)*bytes, (unsigned long long)bind->offset,
                (unsigned long long)bind->buffer->bytes, (unsigned long long)most);
    return false;
}

/* Whether what is given is what the shader takes. */
static bool check_dispatch(struct fg_cmd *c, const struct fg_dispatch *w)
{
    const struct fg_pipeline *p = w->pipeline;
    const struct fg_signature *takes = &p->signature;

    if (w->gx > MOST_GROUPS || w->gy > MOST_GROUPS || w->gz > MOST_GROUPS) {
        c->rc =
            fg_fail(&c->err, FG_EINVAL, "shader %s: %u x %u x %u workgroups; %d each way are sure",
                    p->shader->name, w->gx, w->gy, w->gz, MOST_GROUPS);
        return false;
    }
    if (w->n_binds != takes->n_binds || w->push_bytes != takes->push_bytes) {
        c->rc =
            fg_fail(&c->err, FG_EINVAL,
                    "shader %s takes %u buffers and %u bytes of parameters, got %u and %u",
                    p->shader->name, takes->n_binds, takes->push_bytes, w->n_binds, w->push_bytes);
        return false;
    }
    return true;
}

/* A descriptor set of the buffers; a failure sticks. */
static VkDescriptorSet bind_buffers(struct fg_cmd *c, const struct fg_dispatch *w)
{
    const struct fg_pipeline *p = w->pipeline;
    VkDescriptorBufferInfo infos[FG_BIND_MAX];
    VkBufferView views[FG_BIND_MAX];
    VkWriteDescriptorSet writes[FG_BIND_MAX];
    VkDescriptorSet set = next_set(c, p->set_layout);

    for (uint32_t i = 0; i < w->n_binds && c->rc == 0; i++) {
        const struct fg_bind *bind = &w->binds[i];
        uint64_t bytes;
        if (!check_bind(c, p, i, bind, &bytes))
            return set;
        if (p->signature.kinds[i] != 's')
            views[i] = texel_view(c, bind->buffer, p->signature.kinds[i]);
        infos[i] = (VkDescriptorBufferInfo){bind->buffer->buffer, bind->offset, bytes};
        writes[i] = (VkWriteDescriptorSet){.sType = VK_STRUCTURE_TYPE_WRITE_DESCRIPTOR_SET,
                                           .dstSet = set,
                                           .dstBinding = i,
                                           .descriptorCount = 1,
                                           .descriptorType = fg_bind_type(p->signature.kinds[i]),
                                           .pBufferInfo = &infos[i],
                                           .pTexelBufferView = &views[i]};
    }
    if (c->rc == 0)
        vkUpdateDescriptorSets(c->device->device, w->n_binds, writes, 0, NULL);
    return set;
}

void fg_cmd_dispatch(struct fg_cmd *c, const struct fg_dispatch *what)
{
    const struct fg_pipeline *p = what->pipeline;
    VkDescriptorSet set;

    if (c->rc || what->gx == 0 || what->gy == 0 || what->gz == 0 || !check_dispatch(c, what))
        return;
    set = bind_buffers(c, what);
    if (c->rc)
        return;
    if (c->bound != p->pipeline)
        vkCmdBindPipeline(c->buffer, VK_PIPELINE_BIND_POINT_COMPUTE, p->pipeline);
    c->bound = p->pipeline;
    vkCmdBindDescriptorSets(c->buffer, VK_PIPELINE_BIND_POINT_COMPUTE, p->layout, 0, 1, &set, 0,
                            NULL);
    if (what->push_bytes)
        vkCmdPushConstants(c->buffer, p->layout, VK_SHADER_STAGE_COMPUTE_BIT, 0, what->push_bytes,
                           what->push);
    vkCmdDispatch(c->buffer, what->gx, what->gy, what->gz);
}

void fg_cmd_barrier(struct fg_cmd *c)
{
    if (c->rc == 0)
        record_barrier(c, reads_and_writes(c), stages(c), reads_and_writes(c));
}

void fg_cmd_copy(struct fg_cmd *c, struct fg_buffer *src, uint64_t src_at, struct fg_buffer *dst,
                 uint64_t dst_at, uint64_t bytes)
{
    VkBufferCopy region = {src_at, dst_at, bytes};
    if (c->rc || bytes == 0)
        return;
    if (!inside(src, src_at, bytes) || !inside(dst, dst_at, bytes)) {
        c->rc = fg_fail(&c->err, FG_EINVAL, "a copy of %llu bytes leaves its buffers",
                        (unsigned long long)bytes);
        return;
    }
    vkCmdCopyBuffer(c->buffer, src->buffer, dst->buffer, 1, &region);
}

void fg_cmd_zero(struct fg_cmd *c, struct fg_buffer *dst, uint64_t at, uint64_t bytes)
{
    if (c->rc || bytes == 0)
        return;
    if (!inside(dst, at, bytes) || at % 4 || bytes % 4) {
        c->rc = fg_fail(&c->err, FG_EINVAL,
                        "zeros: %llu bytes at %llu leave the buffer or are no multiples of 4",
                        (unsigned long long)bytes, (unsigned long long)at);
        return;
    }
    vkCmdFillBuffer(c->buffer, dst->buffer, at, bytes, 0);
}

int fg_cmd_recorded(const struct fg_cmd *c, struct fg_err *err)
{
    return c->rc ? fg_fail(err, c->rc, "%s", c->err.text) : 0;
}

static int submit(struct fg_cmd *c, bool watch_it, struct fg_ticket *ticket, struct fg_err *err)
{
    VkResult r;
    int rc;

    if (c->rc == 0)
        record_barrier(c, writes(c), stages(c) | VK_PIPELINE_STAGE_HOST_BIT,
                       reads_and_writes(c) | VK_ACCESS_HOST_READ_BIT);
    r = vkEndCommandBuffer(c->buffer);
    if (r != VK_SUCCESS)
        stick(c, "vkEndCommandBuffer", r);
    if (c->rc)
        return fg_cmd_recorded(c, err);
    rc = fg_stream_submit(c->stream, c, watch_it, ticket, err);
    if (rc)
        return rc;
    c->submitted = true;
    c->watched = watch_it;
    return 0;
}

int fg_cmd_submit(struct fg_cmd *c, struct fg_ticket *ticket, struct fg_err *err)
{
    return submit(c, true, ticket, err);
}

int fg_cmd_wait(struct fg_cmd *c, struct fg_err *err)
{
    struct fg_device *d = c->device;
    VkResult r;
    int rc = 0;

    if (!c->submitted)
        return 0;
    c->submitted = false;
    if (c->watched) {
        rc = fg_stream_take_back(c->stream, c, err);
    } else {
        r = vkWaitForFences(d->device, 1, &c->fence, VK_TRUE, UINT64_MAX);
        if (r == VK_ERROR_DEVICE_LOST)
            atomic_store(&d->lost, true);
        if (r != VK_SUCCESS)
            rc = fg_vk_fail(d, err, "vkWaitForFences", r);
    }
    if (rc)
        return rc;
    r = vkResetFences(d->device, 1, &c->fence);
    return r == VK_SUCCESS ? 0 : fg_vk_fail(d, err, "vkResetFences", r);
}

bool fg_cmd_busy(struct fg_cmd *c)
{
    return c->submitted && c->watched && fg_stream_busy(c->stream, c);
}

double fg_cmd_seconds(const struct fg_cmd *c)
{
    return c->submission.seconds;
}

int fg_cmd_run(struct fg_cmd *c, struct fg_err *err)
{
    int rc = submit(c, false, NULL, err);
    return rc ? rc : fg_cmd_wait(c, err);
}
