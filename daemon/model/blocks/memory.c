#include "memory.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "block.h"

void fg_block_memory_add(struct fg_block_memory *m, enum fg_memory_kind kind, const char *what,
                         uint64_t bytes)
{
    assert(m->n < FG_BLOCK_PIECES);
    m->pieces[m->n++] = (struct fg_memory_piece){.kind = kind, .what = what, .bytes = bytes};
}

static uint64_t max_u64(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

/* Adds a piece to the sums; false: 64 bits do not hold them. */
static bool count(struct fg_memory *m, const struct fg_memory_piece *p)
{
    uint64_t *sum = p->kind == FG_MEMORY_PAGE ? &m->page_bytes
                    : fg_memory_is_state(p)   ? &m->state_bytes
                                              : &m->rows_bytes;

    if (p->kind == FG_MEMORY_PAGE)
        m->largest_page = max_u64(m->largest_page, p->bytes);
    else
        m->largest_slot = max_u64(m->largest_slot, p->bytes);
    return !__builtin_add_overflow(*sum, p->bytes, sum);
}

int fg_memory_list(struct fg_memory *m, const struct fg_block_shape *blocks, uint32_t n,
                   enum fg_kv_type kv, uint32_t *first, struct fg_err *err)
{
    bool fits = true;

    memset(m, 0, sizeof *m);
    m->pieces = calloc((size_t)n * FG_BLOCK_PIECES + 1, sizeof *m->pieces);
    if (!m->pieces)
        return fg_fail(err, FG_ENOMEM, "out of memory for the pieces of %u blocks", n);
    for (uint32_t i = 0; i < n; i++) {
        struct fg_block_memory one = {.n = 0};

        if (blocks[i].kind->memory)
            blocks[i].kind->memory(&blocks[i], kv, &one);
        if (first)
            first[i] = m->n;
        for (uint32_t p = 0; p < one.n; p++) {
            m->pieces[m->n++] = one.pieces[p];
            fits = fits && count(m, &one.pieces[p]);
        }
    }
    if (fits)
        return 0;
    fg_memory_finish(m);
    return fg_fail(err, FG_EUNSUPPORTED, "the memory of a sequence exceeds 2^64 bytes");
}

void fg_memory_finish(struct fg_memory *m)
{
    for (uint32_t i = 0; i < m->n; i++)
        fg_buffer_destroy(m->pieces[i].buffer);
    free(m->pieces);
    memset(m, 0, sizeof *m);
}
