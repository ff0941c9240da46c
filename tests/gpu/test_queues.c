/* Devices with a second queue for copies: of the same family, or of one for copies alone. The
 * software drivers have neither, so the loader's functions are replaced here by ones that make one
 * queue look like two and check what each is asked for. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "open.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <vulkan/vulkan.h>

#include "base/blob.h"
#include "gpu/command.h"
#include "model/transfer.h"

static enum { ONE_QUEUE, SAME_FAMILY, OWN_FAMILY } shown;
static uint32_t n_families;      /* that there are */
static VkQueue queue;            /* that there is */
static char second;              /* its address is the handle of the other */
static VkCommandPool copies[64]; /* pools of the family for copies */
static VkCommandBuffer copying[64];
static atomic_int n_copies, n_copying, on_second, wrong;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

#define REAL(name) ((PFN_##name)real(#name))

static PFN_vkVoidFunction real(const char *name)
{
    PFN_vkVoidFunction f;
    void *p = dlsym(RTLD_NEXT, name);

    memcpy(&f, &p, sizeof f);
    return f;
}

VKAPI_ATTR void VKAPI_CALL vkGetPhysicalDeviceQueueFamilyProperties(VkPhysicalDevice d, uint32_t *n,
                                                                    VkQueueFamilyProperties *props)
{
    REAL(vkGetPhysicalDeviceQueueFamilyProperties)(d, &n_families, NULL);
    *n = n_families;
    if (!props) {
        *n += shown == OWN_FAMILY;
        return;
    }
    REAL(vkGetPhysicalDeviceQueueFamilyProperties)(d, n, props);
    for (uint32_t i = 0; shown == SAME_FAMILY && i < *n; i++)
        props[i].queueCount = 2;
    if (shown == OWN_FAMILY)
        props[(*n)++] =
            (VkQueueFamilyProperties){.queueFlags = VK_QUEUE_TRANSFER_BIT, .queueCount = 1};
}

VKAPI_ATTR VkResult VKAPI_CALL vkCreateDevice(VkPhysicalDevice p, const VkDeviceCreateInfo *info,
                                              const VkAllocationCallbacks *a, VkDevice *d)
{
    VkDeviceQueueCreateInfo first = info->pQueueCreateInfos[0];
    VkDeviceCreateInfo one = *info;

    if (info->queueCreateInfoCount != (shown == OWN_FAMILY ? 2u : 1u) ||
        first.queueCount != (shown == SAME_FAMILY ? 2u : 1u))
        wrong++;
    first.queueCount = 1;
    one.queueCreateInfoCount = 1;
    one.pQueueCreateInfos = &first;
    return REAL(vkCreateDevice)(p, &one, a, d);
}

VKAPI_ATTR void VKAPI_CALL vkGetDeviceQueue(VkDevice d, uint32_t family, uint32_t index, VkQueue *q)
{
    bool other = index == 1 || family == n_families;

    if (!other)
        REAL(vkGetDeviceQueue)(d, family, index, &queue);
    *q = other ? (VkQueue)&second : queue;
}

VKAPI_ATTR VkResult VKAPI_CALL vkQueueSubmit(VkQueue q, uint32_t n, const VkSubmitInfo *infos,
                                             VkFence fence)
{
    VkResult r;

    if (q == (VkQueue)&second)
        on_second++;
    pthread_mutex_lock(&lock);
    r = REAL(vkQueueSubmit)(queue, n, infos, fence);
    pthread_mutex_unlock(&lock);
    return r;
}

VKAPI_ATTR VkResult VKAPI_CALL vkCreateCommandPool(VkDevice d, const VkCommandPoolCreateInfo *info,
                                                   const VkAllocationCallbacks *a,
                                                   VkCommandPool *pool)
{
    VkCommandPoolCreateInfo known = *info;
    bool other = info->queueFamilyIndex == n_families;

    known.queueFamilyIndex = other ? 0 : info->queueFamilyIndex;
    VkResult r = REAL(vkCreateCommandPool)(d, &known, a, pool);
    if (other)
        copies[n_copies++ % 64] = *pool;
    return r;
}

VKAPI_ATTR VkResult VKAPI_CALL vkAllocateCommandBuffers(VkDevice d,
                                                        const VkCommandBufferAllocateInfo *info,
                                                        VkCommandBuffer *out)
{
    VkResult r = REAL(vkAllocateCommandBuffers)(d, info, out);

    for (int i = 0; i < 64 && i < n_copies; i++)
        if (copies[i] == info->commandPool)
            copying[n_copying++ % 64] = *out;
    return r;
}

/* A queue for copies alone takes no stage or access of shaders. */
VKAPI_ATTR void VKAPI_CALL vkCmdPipelineBarrier(VkCommandBuffer c, VkPipelineStageFlags from,
                                                VkPipelineStageFlags to, VkDependencyFlags flags,
                                                uint32_t n, const VkMemoryBarrier *barriers,
                                                uint32_t n_buffers, const VkBufferMemoryBarrier *b,
                                                uint32_t n_images,
                                                const VkImageMemoryBarrier *images)
{
    const VkAccessFlags shaders = VK_ACCESS_SHADER_READ_BIT | VK_ACCESS_SHADER_WRITE_BIT;

    for (int i = 0; i < 64 && i < n_copying; i++)
        if (copying[i] == c && ((from | to) & VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT ||
                                (barriers->srcAccessMask | barriers->dstAccessMask) & shaders))
            wrong++;
    REAL(vkCmdPipelineBarrier)
    (c, from, to, flags, n, barriers, n_buffers, b, n_images, images);
}

VKAPI_ATTR VkResult VKAPI_CALL vkCreateBuffer(VkDevice d, const VkBufferCreateInfo *info,
                                              const VkAllocationCallbacks *a, VkBuffer *out)
{
    VkBufferCreateInfo own = *info;
    bool shared = info->sharingMode == VK_SHARING_MODE_CONCURRENT;

    if (shared != (shown == OWN_FAMILY) ||
        (shared && (info->queueFamilyIndexCount != 2 ||
                    info->pQueueFamilyIndices[0] == info->pQueueFamilyIndices[1])))
        wrong++;
    own.sharingMode = VK_SHARING_MODE_EXCLUSIVE;
    return REAL(vkCreateBuffer)(d, &own, a, out);
}

enum { BYTES = (5 << 20) + 32 };

static void move(struct fg_transfers *t, struct fg_buffer *b, struct fg_blob *blob, bool to_device)
{
    struct fg_extent whole = {b, 0, BYTES};
    struct fg_ticket ticket;
    struct fg_err err;

    fg_ticket_init(&ticket, NULL);
    fg_transfers_start(t, &(struct fg_transfer){.extents = &whole,
                                                .n_extents = 1,
                                                .to_device = to_device,
                                                .blob = blob,
                                                .ticket = &ticket});
    if (fg_ticket_wait(&ticket, &err))
        fail_msg("%s", err.text);
    fg_ticket_finish(&ticket);
}

/* To the device on one queue, copied there on the other, and back. */
static void check(int how)
{
    struct fg_blob *out = fg_blob_create(BYTES), *in = fg_blob_create(BYTES);
    struct fg_buffer *a, *b;
    struct fg_transfers *t;
    struct fg_device *d;
    struct fg_cmd *c;
    struct fg_err err;
    size_t n, m;

    if (getenv("FG_DEVICE_MINIMUM")) /* which has one in any case */
        how = ONE_QUEUE;
    shown = how;
    n_copies = n_copying = on_second = wrong = 0;
    d = device_with_cache(NULL);
    assert_int_equal(fg_device_info(d)->transfer_queue, how != ONE_QUEUE);
    assert_int_equal(fg_transfers_create(d, BYTES, true, &t, &err), 0);
    assert_int_equal(fg_cmd_create(d, &c, &err), 0);
    assert_int_equal(fg_buffer_create(d, BYTES, FG_BUFFER_DEVICE, "a test", &a, &err), 0);
    assert_int_equal(fg_buffer_create(d, BYTES, FG_BUFFER_DEVICE, "a test", &b, &err), 0);
    for (uint64_t at = 0; at < BYTES; at += n) {
        uint32_t *p = fg_blob_at(out, at, &n);
        for (size_t i = 0; i < n / 4; i++)
            p[i] = (uint32_t)(at + i) * 2654435761u;
    }
    move(t, a, out, true);
    fg_cmd_begin(c);
    fg_cmd_copy(c, a, 0, b, 0, BYTES);
    assert_int_equal(fg_cmd_run(c, &err), 0);
    move(t, b, in, false);
    for (uint32_t i = 0; i < fg_blob_pieces(out); i++) {
        const void *p = fg_blob_piece(out, i, &n), *q = fg_blob_piece(in, i, &m);
        assert_memory_equal(p, q, n);
    }
    assert_int_equal(on_second, how == ONE_QUEUE ? 0 : 4); /* two pieces each way */
    assert_int_equal(wrong, 0);
    fg_transfers_destroy(t);
    fg_cmd_destroy(c);
    fg_buffer_destroy(a);
    fg_buffer_destroy(b);
    fg_blob_unref(out);
    fg_blob_unref(in);
    fg_device_close(d);
}

static void test_same_family(void **state)
{
    (void)state;
    check(SAME_FAMILY);
}

static void test_own_family(void **state)
{
    (void)state;
    check(OWN_FAMILY);
}

static void test_one_queue(void **state)
{
    (void)state;
    check(ONE_QUEUE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_same_family),
        cmocka_unit_test(test_own_family),
        cmocka_unit_test(test_one_queue),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
