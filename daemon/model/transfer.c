/* Pages and states on their way between host memory and the layers' buffers. Where these are not
 * mapped, they go through a ring of staging buffers: while the device copies one, the next is
 * filled, and what is submitted afterwards waits for the copies on the device and not here. */
#include "engine_priv.h"

#include <string.h>

/* A record larger than this travels in several groups of layers. */
enum { SLOT_BYTES = 16 << 20 };

uint64_t fg_transfer_slot_bytes(uint64_t layer_bytes, uint32_t n_layers)
{
    uint64_t fit = layer_bytes ? SLOT_BYTES / layer_bytes : 0;
    return layer_bytes * (fit < 1 ? (n_layers ? 1 : 0) : fit < n_layers ? fit : n_layers);
}

int fg_transfer_init(struct fg_engine *e, struct fg_err *err)
{
    uint64_t page = fg_transfer_slot_bytes(e->page_layer_bytes, e->n_softmax);
    uint64_t state = fg_transfer_slot_bytes(e->state_layer_bytes, e->n_lightning);
    int rc = 0;
    for (uint32_t i = 0; rc == 0 && i < FG_TRANSFER_SLOTS; i++) {
        struct fg_transfer *t = &e->transfer[i];
        rc = fg_cmd_create(e->device, &t->cmd, err);
        if (rc == 0)
            rc = fg_buffer_create(e->device, page > state ? page : state, FG_BUFFER_HOST,
                                  "transfer", &t->staging, err);
    }
    return rc;
}

void fg_transfer_finish(struct fg_engine *e)
{
    for (uint32_t i = 0; i < FG_TRANSFER_SLOTS; i++) {
        fg_cmd_destroy(e->transfer[i].cmd);
        fg_buffer_destroy(e->transfer[i].staging);
    }
}

/* The next slot of the ring, when the device is done with it, and how many pieces fit. */
static struct fg_transfer *next_slot(struct fg_engine *e, uint64_t bytes, uint32_t left,
                                     uint32_t *n)
{
    struct fg_transfer *t = &e->transfer[e->transfer_at++ % FG_TRANSFER_SLOTS];
    uint64_t fit = fg_buffer_bytes(t->staging) / bytes;
    *n = fit < left ? (uint32_t)fit : left;
    fg_cmd_begin(t->cmd);
    return t;
}

int fg_transfer_read(struct fg_engine *e, const struct fg_piece *p, uint32_t n, uint64_t bytes,
                     void *dst, struct fg_err *err)
{
    bool mapped = n == 0 || fg_buffer_map(p[0].buffer);
    for (uint32_t i = 0; mapped && i < n; i++)
        memcpy((char *)dst + i * bytes, (char *)fg_buffer_map(p[i].buffer) + p[i].at, bytes);
    for (uint32_t i = 0, group; !mapped && i < n; i += group) {
        struct fg_transfer *t = next_slot(e, bytes, n - i, &group);
        for (uint32_t j = 0; j < group; j++)
            fg_cmd_copy(t->cmd, p[i + j].buffer, p[i + j].at, t->staging, j * bytes, bytes);
        int rc = fg_cmd_run(t->cmd, err);
        if (rc)
            return rc;
        memcpy((char *)dst + i * bytes, fg_buffer_map(t->staging), group * bytes);
    }
    return 0;
}

int fg_transfer_write(struct fg_engine *e, const struct fg_piece *p, uint32_t n, uint64_t bytes,
                      const void *src, struct fg_err *err)
{
    bool mapped = n == 0 || fg_buffer_map(p[0].buffer);
    for (uint32_t i = 0; mapped && i < n; i++)
        memcpy((char *)fg_buffer_map(p[i].buffer) + p[i].at, (const char *)src + i * bytes, bytes);
    for (uint32_t i = 0, group; !mapped && i < n; i += group) {
        struct fg_transfer *t = next_slot(e, bytes, n - i, &group);
        memcpy(fg_buffer_map(t->staging), (const char *)src + i * bytes, group * bytes);
        for (uint32_t j = 0; j < group; j++)
            fg_cmd_copy(t->cmd, t->staging, j * bytes, p[i + j].buffer, p[i + j].at, bytes);
        int rc = fg_cmd_submit(t->cmd, NULL, err);
        if (rc)
            return rc;
    }
    return 0;
}
