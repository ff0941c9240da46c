/* The tables of a step: tokens, angles, pages, groups and chunks, as the shaders read them. */
#include <math.h>
#include <string.h>

#include "base/block_tokens.h"
#include "engine_state.h"
#include "forward.h"
#include "sequence.h"
#include "ops/softmax_attention.h"
#include "shaders/lib/rows.h"

/* cos and sin of a token's angles, in double, rounded once. */
static void fill_angles(float *to, const double *inv_freq, uint32_t half, uint32_t pos,
                        double magnitude)
{
    for (uint32_t i = 0; i < half; i++) {
        double angle = pos * inv_freq[i];
        to[2 * i] = (float)(magnitude * cos(angle));
        to[2 * i + 1] = (float)(magnitude * sin(angle));
    }
}

/* Rows of one token: id, position, slot; its angles. */
static void fill_token(struct fg_engine *e, uint32_t row, int32_t id, uint32_t pos, uint32_t slot)
{
    struct fg_token_row *tokens = fg_buffer_map(e->s.tables.tokens);
    float *rope = fg_buffer_map(e->s.tables.rope);
    uint32_t half = e->hp.rope_dim / 2;
    tokens[row] = (struct fg_token_row){(uint32_t)id, pos, slot, 0};
    if (!e->memory.page_bytes)
        return;
    fill_angles(rope + (size_t)row * 2 * half, e->inv_freq, half, pos, e->rope_magnitude);
    rope = fg_buffer_map(e->s.tables.rope_local);
    if (e->hp.rope_freq_base_local > 0)
        fill_angles(rope + (size_t)row * 2 * half, e->inv_freq_local, half, pos, 1);
}

/* Pieces of one token come first, so that they form their own groups. */
static void fill_tokens(struct fg_engine *e, const struct fg_step_span *p, uint32_t n,
                        uint32_t *row_of, struct fg_step_shape *shape)
{
    uint32_t *groups = fg_buffer_map(e->s.tables.groups), row = 0, g = 0;
    for (int single = 1; single >= 0; single--)
        for (uint32_t i = 0; i < n; i++) {
            if ((p[i].n == 1) != (single == 1))
                continue;
            uint32_t pos = p[i].seq->length + p[i].seq->ahead,
                     step = single ? 1 : fg_attend_tokens(&e->ops);
            row_of[i] = row;
            for (uint32_t j = 0; j < p[i].n; j += step, g++) {
                groups[2 * g] = row + j;
                groups[2 * g + 1] = p[i].n - j < step ? p[i].n - j : step;
            }
            for (uint32_t j = 0; j < p[i].n; j++)
                fill_token(e, row + j, p[i].tokens[j], pos + j, p[i].seq->slot);
            row += p[i].n;
            if (single) {
                shape->n_single++;
                if (pos / FG_BLOCK_TOKENS + 1 > shape->single_tiles)
                    shape->single_tiles = pos / FG_BLOCK_TOKENS + 1;
            } else {
                shape->n_groups += (p[i].n + step - 1) / step;
            }
        }
    shape->n_tokens = row;
}

/* Runs of tokens inside one chunk: round r holds the r-th run of every piece. */
static void fill_chunks(struct fg_engine *e, const struct fg_step_span *p, uint32_t n,
                        const uint32_t *row_of, struct fg_step_round *rounds,
                        struct fg_step_shape *shape)
{
    struct fg_chunk_row *rows = fg_buffer_map(e->s.tables.chunks);
    uint32_t at = 0, before = UINT32_MAX;
    for (uint32_t r = 0; before != at; r++) {
        before = at;
        bool ends = false;
        for (uint32_t i = 0; i < n; i++) {
            uint32_t first = (p[i].seq->length + p[i].seq->ahead) % FG_BLOCK_TOKENS;
            /* Run 0 ends at the first boundary, run r begins at boundary r. */
            uint32_t from = r == 0 ? 0 : r * FG_BLOCK_TOKENS - first;
            uint32_t to = (r + 1) * FG_BLOCK_TOKENS - first;
            to = to < p[i].n ? to : p[i].n;
            if (from >= to)
                continue;
            rows[at++] = (struct fg_chunk_row){row_of[i] + from, to - from,
                                               (first + from) % FG_BLOCK_TOKENS, p[i].seq->slot};
            ends = ends || (first + to) % FG_BLOCK_TOKENS == 0;
        }
        if (at != before) {
            shape->n_rounds = r + 1;
            rounds[r] = (struct fg_step_round){before, at - before, ends};
        }
    }
    shape->rounds = rounds;
}

/* The pages of its sequences: a table of the step's own, since those of a sequence may change while
 * the step runs. */
static void fill_pages(struct fg_engine *e, const struct fg_step_span *p, uint32_t n)
{
    uint32_t *table = fg_buffer_map(e->s.tables.table);
    for (uint32_t i = 0; i < n; i++)
        memcpy(table + (size_t)p[i].seq->slot * e->max_pages, p[i].seq->pages,
               p[i].seq->n_pages * sizeof *table);
}

void fg_step_fill(struct fg_engine *e, const struct fg_step_span *p, uint32_t n, uint32_t *row_of,
                  struct fg_step_round *rounds, struct fg_step_shape *shape)
{
    *shape = (struct fg_step_shape){0};
    fill_pages(e, p, n);
    fill_tokens(e, p, n, row_of, shape);
    fill_chunks(e, p, n, row_of, rounds, shape);
}

uint32_t fg_step_fill_index(struct fg_engine *e, const struct fg_step_span *p, uint32_t n,
                            const uint32_t *row_of)
{
    uint32_t *index = fg_buffer_map(e->s.tables.index), at = 0;
    for (uint32_t i = 0; i < n; i++)
        for (uint32_t j = p[i].n - fg_span_wants(&p[i]); j < p[i].n; j++)
            index[at++] = row_of[i] + j;
    return at;
}
