/* Transfers of records larger than a piece, many in turn, both ways, mapped and through staging
 * buffers, while the compute stream works; behind submissions; refused; on a lost device. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "open.h"

#include <dlfcn.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <vulkan/vulkan.h>

#include "base/blob.h"
#include "gpu/command.h"
#include "model/transfer.h"

static atomic_int lose_wait; /* the n-th wait from now tells that the device is lost */

VKAPI_ATTR VkResult VKAPI_CALL vkWaitForFences(VkDevice d, uint32_t n, const VkFence *fences,
                                               VkBool32 all, uint64_t timeout)
{
    void *p = dlsym(RTLD_NEXT, "vkWaitForFences");
    PFN_vkWaitForFences real;

    memcpy(&real, &p, sizeof real);
    VkResult r = real(d, n, fences, all, timeout);
    return lose_wait && --lose_wait == 0 ? VK_ERROR_DEVICE_LOST : r;
}

enum { EXTENTS = 3, RECORDS = 12, RECORD = (9 << 20) + 48 };

/* Records lie in parts of three buffers, as those of layers do. */
struct memory {
    struct fg_device *d;
    struct fg_buffer *b[EXTENTS];
    uint64_t bytes[EXTENTS];
};

static void memory_init(struct memory *m, struct fg_device *d)
{
    const uint64_t bytes[EXTENTS] = {(4 << 20) + 16, 32, (5 << 20)};
    struct fg_err err;

    m->d = d;
    for (int i = 0; i < EXTENTS; i++) {
        m->bytes[i] = bytes[i];
        if (fg_buffer_create(d, bytes[i] * RECORDS, FG_BUFFER_DEVICE, "a test", &m->b[i], &err))
            fail_msg("%s", err.text);
    }
}

static void memory_finish(struct memory *m)
{
    for (int i = 0; i < EXTENTS; i++)
        fg_buffer_destroy(m->b[i]);
}

static void start(struct fg_transfers *t, const struct memory *m, uint32_t record,
                  struct fg_transfer what)
{
    struct fg_extent e[EXTENTS];

    for (int i = 0; i < EXTENTS; i++)
        e[i] = (struct fg_extent){m->b[i], record * m->bytes[i], m->bytes[i]};
    what.extents = e;
    what.n_extents = EXTENTS;
    fg_transfers_start(t, &what);
}

static struct fg_blob *filled(uint32_t record)
{
    struct fg_blob *b = fg_blob_create(RECORD);
    size_t n;

    assert_non_null(b);
    for (uint64_t at = 0; at < RECORD; at += n) {
        uint32_t *p = fg_blob_at(b, at, &n);
        for (size_t i = 0; i < n / 4; i++)
            p[i] = record * 2654435761u + (uint32_t)(at / 4 + i);
    }
    return b;
}

static void same(const struct fg_blob *a, const struct fg_blob *b)
{
    for (uint32_t i = 0; i < fg_blob_pieces(a); i++) {
        size_t n, m;
        const void *p = fg_blob_piece(a, i, &n), *q = fg_blob_piece(b, i, &m);

        assert_int_equal(n, m);
        assert_memory_equal(p, q, n);
    }
}

/* All at once to the device and back, in pieces of `limit` bytes. */
static void there_and_back(struct fg_device *d, bool stage, uint64_t limit)
{
    struct fg_blob *out[RECORDS], *in[RECORDS];
    struct fg_ticket tickets[RECORDS];
    struct fg_buffer *other;
    struct fg_transfers *t;
    struct memory m;
    struct fg_cmd *c;
    struct fg_err err;

    memory_init(&m, d);
    assert_int_equal(fg_transfers_create(d, RECORD, stage, &t, &err), 0);
    fg_transfers_limit(t, limit);
    assert_int_equal(fg_cmd_create(d, &c, &err), 0);
    assert_int_equal(fg_buffer_create(d, 1 << 20, FG_BUFFER_DEVICE, "a test", &other, &err), 0);
    for (uint32_t i = 0; i < RECORDS; i++) {
        fg_ticket_init(&tickets[i], NULL);
        out[i] = filled(i);
        in[i] = fg_blob_create(RECORD);
        start(t, &m, i,
              (struct fg_transfer){.to_device = true, .blob = out[i], .ticket = &tickets[i]});
        fg_cmd_begin(c);
        fg_cmd_zero(c, other, 0, 1 << 20);
        assert_int_equal(fg_cmd_submit(c, NULL, &err), 0);
    }
    for (uint32_t i = 0; i < RECORDS; i++)
        assert_int_equal(fg_ticket_wait(&tickets[i], &err), 0);
    for (uint32_t i = 0; i < RECORDS; i++)
        start(t, &m, i, (struct fg_transfer){.blob = in[i], .ticket = &tickets[i]});
    for (uint32_t i = 0; i < RECORDS; i++)
        assert_int_equal(fg_ticket_wait(&tickets[i], &err), 0);
    for (uint32_t i = 0; i < RECORDS; i++) {
        same(out[i], in[i]);
        fg_blob_unref(out[i]);
        fg_blob_unref(in[i]);
        fg_ticket_finish(&tickets[i]);
    }
    fg_transfers_destroy(t);
    fg_cmd_destroy(c);
    fg_buffer_destroy(other);
    memory_finish(&m);
}

static void test_mapped(void **state)
{
    there_and_back(*state, false, UINT64_MAX);
}

static void test_staged(void **state)
{
    there_and_back(*state, true, UINT64_MAX);
    there_and_back(*state, true, (1 << 20) - 16);
}

/* A transfer behind a submission sees what that wrote; one that need not wait goes before it. */
static void test_after(void **state)
{
    for (int stage = 0; stage < 2; stage++) {
        struct fg_blob *in = fg_blob_create(RECORD), *zeros = fg_blob_create(RECORD);
        struct fg_ticket ticket, other;
        struct fg_transfers *t;
        struct fg_cmd *c;
        struct memory m;
        struct fg_err err;
        size_t n;
        uint64_t behind = fg_stream_submitted(*state, FG_STREAM_COMPUTE) + 1;

        memory_init(&m, *state);
        fg_ticket_init(&ticket, NULL);
        fg_ticket_init(&other, NULL);
        assert_int_equal(fg_transfers_create(*state, RECORD, stage, &t, &err), 0);
        assert_int_equal(fg_cmd_create(*state, &c, &err), 0);
        for (uint64_t at = 0; at < RECORD; at += n) {
            void *p = fg_blob_at(zeros, at, &n);
            memset(p, 0, n);
        }
        start(t, &m, 0, (struct fg_transfer){.blob = in, .ticket = &ticket, .after = behind});
        start(t, &m, 1, (struct fg_transfer){.to_device = true, .blob = zeros, .ticket = &other});
        assert_int_equal(fg_ticket_wait(&other, &err), 0);
        assert_true(fg_ticket_pending(&ticket)); /* nothing was submitted yet */
        fg_cmd_begin(c);
        for (int i = 0; i < EXTENTS; i++)
            fg_cmd_zero(c, m.b[i], 0, m.bytes[i]);
        assert_int_equal(fg_cmd_submit(c, NULL, &err), 0);
        assert_int_equal(fg_ticket_wait(&ticket, &err), 0);
        same(in, zeros);
        fg_transfers_destroy(t);
        fg_cmd_destroy(c);
        fg_ticket_finish(&ticket);
        fg_ticket_finish(&other);
        fg_blob_unref(in);
        fg_blob_unref(zeros);
        memory_finish(&m);
    }
}

/* Its end waits for what was started. */
static void test_ends_whole(void **state)
{
    for (int stage = 0; stage < 2; stage++) {
        struct fg_blob *out = filled(5);
        struct fg_ticket ticket;
        struct fg_transfers *t;
        struct memory m;
        struct fg_err err;

        memory_init(&m, *state);
        fg_ticket_init(&ticket, NULL);
        assert_int_equal(fg_transfers_create(*state, RECORD, stage, &t, &err), 0);
        start(t, &m, 5, (struct fg_transfer){.to_device = true, .blob = out, .ticket = &ticket});
        fg_blob_unref(out); /* the transfer has its own reference */
        fg_transfers_destroy(t);
        assert_false(fg_ticket_pending(&ticket));
        assert_int_equal(fg_ticket_wait(&ticket, &err), 0);
        fg_ticket_finish(&ticket);
        memory_finish(&m);
    }
}

static void test_wrong_length(void **state)
{
    struct fg_blob *small = fg_blob_create(RECORD - 16);
    struct fg_ticket ticket;
    struct fg_transfers *t;
    struct memory m;
    struct fg_err err;

    memory_init(&m, *state);
    fg_ticket_init(&ticket, NULL);
    assert_int_equal(fg_transfers_create(*state, RECORD, false, &t, &err), 0);
    start(t, &m, 0, (struct fg_transfer){.blob = small, .ticket = &ticket});
    refused(fg_ticket_wait(&ticket, &err), FG_EINVAL, &err, "a blob of");
    fg_transfers_destroy(t);
    fg_ticket_finish(&ticket);
    fg_blob_unref(small);
    memory_finish(&m);
}

/* Lost during the staging copies, or before a mapped one: the bytes are not to be believed. */
static void test_lost(void **state)
{
    (void)state;
    for (int stage = 0; stage < 2; stage++) {
        struct fg_device *d = device_with_cache(NULL);
        struct fg_blob *in = fg_blob_create(RECORD);
        struct fg_ticket ticket;
        struct fg_transfers *t;
        struct memory m;
        struct fg_cmd *c;
        struct fg_err err;

        memory_init(&m, d);
        fg_ticket_init(&ticket, NULL);
        assert_int_equal(fg_cmd_create(d, &c, &err), 0);
        assert_int_equal(fg_transfers_create(d, RECORD, stage, &t, &err), 0);
        lose_wait = 1;
        if (!stage) {
            fg_cmd_begin(c);
            fg_cmd_zero(c, m.b[0], 0, 16);
            assert_int_equal(fg_cmd_submit(c, &ticket, &err), 0);
            assert_int_equal(fg_ticket_wait(&ticket, &err), FG_EDEVICELOST);
            assert_true(fg_device_lost(d));
        }
        start(t, &m, 0, (struct fg_transfer){.blob = in, .ticket = &ticket});
        assert_int_equal(fg_ticket_wait(&ticket, &err), FG_EDEVICELOST);
        assert_int_equal(err.code, FG_EDEVICELOST);
        fg_transfers_destroy(t);
        fg_cmd_destroy(c);
        fg_ticket_finish(&ticket);
        fg_blob_unref(in);
        memory_finish(&m);
        fg_device_close(d);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_mapped),       cmocka_unit_test(test_staged),
        cmocka_unit_test(test_after),        cmocka_unit_test(test_ends_whole),
        cmocka_unit_test(test_wrong_length), cmocka_unit_test(test_lost),
    };

    return cmocka_run_group_tests(tests, open_device, close_device);
}
