/* Streams: tickets end in order and once what they stand for is visible; several threads submit; a
 * device that is lost ends every ticket with that. The driver's functions that wait and submit are
 * replaced here by ones that fail when told to. */
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

#include "base/queue.h"
#include "base/ticket.h"
#include "gpu/command.h"
#include "gpu/stream.h"

static atomic_int lose_wait;   /* the n-th wait from now tells that the device is lost */
static atomic_int lose_submit; /* the same of submissions */
static atomic_int inside_submit, together; /* calls of vkQueueSubmit at the same time */

static PFN_vkVoidFunction real(const char *name)
{
    PFN_vkVoidFunction f;
    void *p = dlsym(RTLD_NEXT, name);

    memcpy(&f, &p, sizeof f);
    return f;
}

VKAPI_ATTR VkResult VKAPI_CALL vkWaitForFences(VkDevice d, uint32_t n, const VkFence *fences,
                                               VkBool32 all, uint64_t timeout)
{
    VkResult r = ((PFN_vkWaitForFences)real("vkWaitForFences"))(d, n, fences, all, timeout);

    return lose_wait && --lose_wait == 0 ? VK_ERROR_DEVICE_LOST : r;
}

VKAPI_ATTR VkResult VKAPI_CALL vkQueueSubmit(VkQueue q, uint32_t n, const VkSubmitInfo *infos,
                                             VkFence fence)
{
    VkResult r;

    if (lose_submit && --lose_submit == 0)
        return VK_ERROR_DEVICE_LOST;
    if (atomic_fetch_add(&inside_submit, 1))
        together++;
    r = ((PFN_vkQueueSubmit)real("vkQueueSubmit"))(q, n, infos, fence);
    inside_submit--;
    return r;
}

enum { WORDS = 1 << 16, ROUNDS = 32 };

static struct fg_buffer *buffer(struct fg_device *d, uint32_t value)
{
    struct fg_buffer *b;
    struct fg_err err;

    assert_int_equal(fg_buffer_create(d, WORDS * 4, FG_BUFFER_HOST, "a test", &b, &err), 0);
    for (uint32_t i = 0; i < WORDS; i++)
        ((uint32_t *)fg_buffer_map(b))[i] = value;
    return b;
}

/* Each recorder copies one buffer to the next: only in order does the first value arrive. */
static void test_order(void **state)
{
    enum { N = 8 };
    struct fg_buffer *b[N + 1];
    struct fg_cmd *c[N];
    struct fg_ticket tickets[N];
    struct fg_queue wake;
    struct fg_err err;
    uint64_t before = fg_stream_submitted(*state, FG_STREAM_COMPUTE);

    fg_queue_init(&wake);
    for (uint32_t i = 0; i <= N; i++)
        b[i] = buffer(*state, i);
    for (int i = 0; i < N; i++) {
        fg_ticket_init(&tickets[i], &wake);
        assert_int_equal(fg_cmd_create(*state, &c[i], &err), 0);
        fg_cmd_begin(c[i]);
        fg_cmd_copy(c[i], b[i], 0, b[i + 1], 0, WORDS * 4);
    }
    for (int i = 0; i < N; i++)
        assert_int_equal(fg_cmd_submit(c[i], &tickets[i], &err), 0);
    assert_int_equal(fg_stream_submitted(*state, FG_STREAM_COMPUTE), before + N);
    assert_int_equal(fg_ticket_wait(&tickets[N - 1], &err), 0);
    for (int i = 0; i < N; i++)
        assert_false(fg_ticket_pending(&tickets[i]));
    assert_true(fg_stream_reached(*state, FG_STREAM_COMPUTE, before + N));
    assert_false(fg_stream_reached(*state, FG_STREAM_COMPUTE, before + N + 1));
    for (uint32_t i = 0; i < WORDS; i++)
        assert_int_equal(((uint32_t *)fg_buffer_map(b[N]))[i], 0);
    fg_queue_take(&wake, true); /* woken: returns */
    for (int i = 0; i < N; i++) {
        assert_true(fg_cmd_seconds(c[i]) >= 0);
        assert_false(fg_cmd_busy(c[i]));
        fg_cmd_destroy(c[i]);
        fg_ticket_finish(&tickets[i]);
    }
    for (int i = 0; i <= N; i++)
        fg_buffer_destroy(b[i]);
    fg_queue_finish(&wake);
}

struct worker {
    struct fg_device *d;
    enum fg_stream_use use;
    uint32_t value;
    int failures;
};

static void *work(void *ctx)
{
    struct worker *w = ctx;
    struct fg_buffer *from = buffer(w->d, w->value), *to = buffer(w->d, 0);
    struct fg_ticket ticket;
    struct fg_cmd *c;
    struct fg_err err;

    fg_ticket_init(&ticket, NULL);
    w->failures = fg_cmd_create_on(w->d, w->use, &c, &err) != 0;
    for (uint32_t i = 0; !w->failures && i < ROUNDS; i++) {
        uint32_t *out = fg_buffer_map(to);

        ((uint32_t *)fg_buffer_map(from))[i] = w->value + i;
        fg_cmd_begin(c);
        fg_cmd_copy(c, from, 0, to, 0, WORDS * 4);
        w->failures += fg_cmd_submit(c, &ticket, &err) || fg_ticket_wait(&ticket, &err) ||
                       out[i] != w->value + i || out[WORDS - 1] != w->value;
    }
    fg_cmd_destroy(c);
    fg_ticket_finish(&ticket);
    fg_buffer_destroy(from);
    fg_buffer_destroy(to);
    return NULL;
}

static void test_threads(void **state)
{
    enum { N = 4 };
    struct worker w[N];
    pthread_t threads[N];

    together = 0;
    for (uint32_t i = 0; i < N; i++) {
        w[i] = (struct worker){*state, i % 2 ? FG_STREAM_TRANSFER : FG_STREAM_COMPUTE, i << 8, 0};
        assert_int_equal(pthread_create(&threads[i], NULL, work, &w[i]), 0);
    }
    for (int i = 0; i < N; i++) {
        pthread_join(threads[i], NULL);
        assert_int_equal(w[i].failures, 0);
    }
    if (!fg_device_info(*state)->transfer_queue)
        assert_int_equal(together, 0);
}

/* What can't be recorded is not submitted, and its ticket not begun. */
static void test_refused(void **state)
{
    struct fg_buffer *b = buffer(*state, 1);
    struct fg_ticket ticket;
    struct fg_cmd *c;
    struct fg_err err;
    uint64_t before = fg_stream_submitted(*state, FG_STREAM_COMPUTE);

    fg_ticket_init(&ticket, NULL);
    assert_int_equal(fg_cmd_create(*state, &c, &err), 0);
    fg_cmd_begin(c);
    fg_cmd_copy(c, b, 0, b, WORDS * 4, 16);
    refused(fg_cmd_submit(c, &ticket, &err), FG_EINVAL, &err, "leaves its buffers");
    assert_false(fg_ticket_pending(&ticket));
    assert_int_equal(fg_stream_submitted(*state, FG_STREAM_COMPUTE), before);
    fg_cmd_destroy(c);
    fg_ticket_finish(&ticket);
    fg_buffer_destroy(b);
}

/* Lost at the second of four waits: that ticket and all after it say so, and nothing hangs. */
static void test_lost_while_waiting(void **state)
{
    enum { N = 4 };
    struct fg_device *d = device_with_cache(NULL);
    struct fg_buffer *b = buffer(d, 1);
    struct fg_ticket tickets[N];
    struct fg_cmd *c[N];
    struct fg_err err;

    (void)state;
    lose_wait = 2;
    for (int i = 0; i < N; i++) {
        fg_ticket_init(&tickets[i], NULL);
        assert_int_equal(fg_cmd_create(d, &c[i], &err), 0);
        fg_cmd_begin(c[i]);
        fg_cmd_zero(c[i], b, 0, 1024);
        assert_int_equal(fg_cmd_submit(c[i], &tickets[i], &err), 0);
    }
    assert_int_equal(fg_ticket_wait(&tickets[0], &err), 0);
    for (int i = 1; i < N; i++)
        refused(fg_ticket_wait(&tickets[i], &err), FG_EDEVICELOST, &err, "vkWaitForFences");
    assert_non_null(strstr(err.text, fg_device_info(d)->name));
    refused(fg_cmd_wait(c[1], &err), FG_EDEVICELOST, &err, "vkWaitForFences");
    for (int i = 0; i < N; i++) {
        fg_cmd_destroy(c[i]);
        fg_ticket_finish(&tickets[i]);
    }
    fg_buffer_destroy(b);
    fg_device_close(d);
    assert_int_equal(lose_wait, 0);
}

/* Lost at a submission: it fails, its ticket does not begin, and what is outstanding is lost. */
static void test_lost_while_submitting(void **state)
{
    struct fg_device *d = device_with_cache(NULL);
    struct fg_buffer *b = buffer(d, 1);
    struct fg_ticket ticket;
    struct fg_cmd *c;
    struct fg_err err;

    (void)state;
    fg_ticket_init(&ticket, NULL);
    assert_int_equal(fg_cmd_create(d, &c, &err), 0);
    fg_cmd_begin(c);
    fg_cmd_zero(c, b, 0, 1024);
    lose_submit = 1;
    refused(fg_cmd_submit(c, &ticket, &err), FG_EDEVICELOST, &err, "vkQueueSubmit");
    assert_false(fg_ticket_pending(&ticket));
    fg_cmd_begin(c);
    fg_cmd_zero(c, b, 0, 1024);
    assert_int_equal(fg_cmd_submit(c, &ticket, &err), 0);
    assert_int_equal(fg_ticket_wait(&ticket, &err), FG_EDEVICELOST);
    fg_cmd_destroy(c);
    fg_ticket_finish(&ticket);
    fg_buffer_destroy(b);
    fg_device_close(d);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_order),
        cmocka_unit_test(test_threads),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_lost_while_waiting),
        cmocka_unit_test(test_lost_while_submitting),
    };

    return cmocka_run_group_tests(tests, open_device, close_device);
}
