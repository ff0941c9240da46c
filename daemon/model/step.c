/* A step: fills the tables, records the layers and the head, runs, hands out logits. */
#include "engine_priv.h"
#include "ops/best.h"
#include "ops/norm.h"
#include "ops/quantize.h"
#include "ops/softmax_attention.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static int check_pieces(struct fg_engine *e, const struct fg_step_piece *p, uint32_t n,
                        uint32_t *n_tokens, struct fg_err *err)
{
    uint64_t total = 0;
    for (uint32_t i = 0; i < n; i++) {
        total += p[i].n;
        if (p[i].n < 1 || p[i].n_logits > p[i].n || (p[i].n_logits && !p[i].logits))
            return fg_fail(err, FG_EINVAL, "piece %u: %u tokens, %u logits", i, p[i].n,
                           p[i].n_logits);
        if (p[i].n_best > FG_BEST_MOST || p[i].n_best > fg_best_choices(e) ||
            (p[i].n_best && (!p[i].best || p[i].n_logits)))
            return fg_fail(err, FG_EINVAL, "piece %u: the %u best, %u logits", i, p[i].n_best,
                           p[i].n_logits);
        if (!p[i].seq->state_ready)
            return fg_fail(err, FG_EINVAL, "piece %u: pages were restored, but no state", i);
        for (uint32_t j = 0; j < i; j++)
            if (p[j].seq == p[i].seq)
                return fg_fail(err, FG_EINVAL, "pieces %u and %u are of one sequence", j, i);
        for (uint32_t j = 0; j < p[i].n; j++)
            if (p[i].tokens[j] < 0 || (uint32_t)p[i].tokens[j] >= e->hp.n_vocab)
                return fg_fail(err, FG_EINVAL, "token %d is outside the vocabulary of %u",
                               p[i].tokens[j], e->hp.n_vocab);
    }
    if (total == 0 || total > e->opt.n_batch)
        return fg_fail(err, FG_EINVAL, "a step of %llu tokens; 1 to %u fit",
                       (unsigned long long)total, e->opt.n_batch);
    *n_tokens = (uint32_t)total;
    return 0;
}

/* Rows of one token: id, position, slot; cos and sin of its angles, in double, rounded once. */
static void fill_token(struct fg_engine *e, uint32_t row, int32_t id, uint32_t pos, uint32_t slot)
{
    struct fg_token_row *tokens = fg_buffer_map(e->s.tables.tokens);
    float *rope = fg_buffer_map(e->s.tables.rope);
    uint32_t half = e->hp.rope_dim / 2;
    tokens[row] = (struct fg_token_row){(uint32_t)id, pos, slot, 0};
    for (uint32_t i = 0; e->n_softmax && i < half; i++) {
        double angle = pos * e->inv_freq[i];
        rope[(row * half + i) * 2] = (float)cos(angle);
        rope[(row * half + i) * 2 + 1] = (float)sin(angle);
    }
}

/* Pieces of one token come first, so that they form their own groups. */
static void fill_tokens(struct fg_engine *e, const struct fg_step_piece *p, uint32_t n,
                        uint32_t *row_of, struct fg_step_shape *shape)
{
    uint32_t *groups = fg_buffer_map(e->s.tables.groups), row = 0, g = 0;
    for (int single = 1; single >= 0; single--)
        for (uint32_t i = 0; i < n; i++) {
            if ((p[i].n == 1) != (single == 1))
                continue;
            uint32_t pos = p[i].seq->length, step = single ? 1 : fg_attend_tokens(&e->ops);
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
                if (pos / FG_CHUNK + 1 > shape->single_tiles)
                    shape->single_tiles = pos / FG_CHUNK + 1;
            } else {
                shape->n_groups += (p[i].n + step - 1) / step;
            }
        }
    shape->n_tokens = row;
}

/* Runs of tokens inside one chunk: round r holds the r-th run of every piece. */
static void fill_chunks(struct fg_engine *e, const struct fg_step_piece *p, uint32_t n,
                        const uint32_t *row_of, struct fg_step_round *rounds,
                        struct fg_step_shape *shape)
{
    struct fg_chunk_row *rows = fg_buffer_map(e->s.tables.chunks);
    uint32_t at = 0, before = UINT32_MAX;
    for (uint32_t r = 0; before != at; r++) {
        before = at;
        bool ends = false;
        for (uint32_t i = 0; i < n; i++) {
            uint32_t first = p[i].seq->length % FG_CHUNK;
            /* Run 0 ends at the first boundary, run r begins at boundary r. */
            uint32_t from = r == 0 ? 0 : r * FG_CHUNK - first;
            uint32_t to = (r + 1) * FG_CHUNK - first;
            to = to < p[i].n ? to : p[i].n;
            if (from >= to)
                continue;
            rows[at++] = (struct fg_chunk_row){row_of[i] + from, to - from,
                                               (first + from) % FG_CHUNK, p[i].seq->slot};
            ends = ends || (first + to) % FG_CHUNK == 0;
        }
        if (at != before) {
            shape->n_rounds = r + 1;
            rounds[r] = (struct fg_step_round){before, at - before, ends};
        }
    }
    shape->rounds = rounds;
}

void fg_step_fill(struct fg_engine *e, const struct fg_step_piece *p, uint32_t n, uint32_t *row_of,
                  struct fg_step_round *rounds, struct fg_step_shape *shape)
{
    *shape = (struct fg_step_shape){0};
    fill_tokens(e, p, n, row_of, shape);
    fill_chunks(e, p, n, row_of, rounds, shape);
}

uint32_t fg_best_choices(const struct fg_engine *e)
{
    uint32_t n = e->opt.n_choices;
    return n && n < e->hp.n_vocab ? n : e->hp.n_vocab;
}

/* Rows of the head that a piece wants. */
static uint32_t wanted(const struct fg_step_piece *p)
{
    return p->n_best ? 1 : p->n_logits;
}

/* The rows whose logits are wanted, in the order of pieces; returns how many. */
static uint32_t fill_index(struct fg_engine *e, const struct fg_step_piece *p, uint32_t n,
                           const uint32_t *row_of)
{
    uint32_t *index = fg_buffer_map(e->s.tables.index), at = 0;
    for (uint32_t i = 0; i < n; i++)
        for (uint32_t j = p[i].n - wanted(&p[i]); j < p[i].n; j++)
            index[at++] = row_of[i] + j;
    return at;
}

/* The piece that wanted row `i` of all belongs to; *at: its row among the piece's own. */
static const struct fg_step_piece *piece_of(const struct fg_step_piece *p, uint32_t i, uint32_t *at)
{
    while (i >= wanted(p))
        i -= wanted(p++);
    *at = i;
    return p;
}

/* The most that a piece wants of the best tokens of rows [from, from + rows). */
static uint32_t most_best(const struct fg_step_piece *p, uint32_t from, uint32_t rows)
{
    uint32_t k = 0, at;
    for (uint32_t i = from; i < from + rows; i++) {
        uint32_t n = piece_of(p, i, &at)->n_best;
        k = n > k ? n : k;
    }
    return k;
}

/* The head on rows [from, from + rows) of the index, and what the host wants of it. */
static void record_head(struct fg_engine *e, const struct fg_step_piece *p, uint32_t from,
                        uint32_t rows)
{
    const struct fg_matrix *head = e->hp.tied_output ? &e->embd : &e->head;
    uint64_t bytes = (uint64_t)e->hp.n_vocab * 4;
    uint32_t k = most_best(p, from, rows), at;
    struct fg_view last = fg_view_of(e->s.last, e->s.ld_embd, rows, e->hp.n_embd);
    struct fg_view logits = fg_view_of(e->s.logits, e->hp.n_vocab, rows, e->hp.n_vocab);
    fg_record_norm(&e->ops, &(struct fg_norm){
                                .x = fg_view_of(e->s.x, e->s.ld_embd, e->opt.n_batch, e->hp.n_embd),
                                .y = last,
                                .w = e->output_norm,
                                .eps = e->hp.norm_eps,
                                .index = e->s.tables.index,
                                .index_at = from});
    fg_cmd_barrier(e->cmd);
    struct fg_operand x = fg_record_quantize(&e->ops, last, &e->s.quantized);
    fg_record_matmul(&e->ops, &(struct fg_matmul){.m = head, .x = x, .y = logits});
    fg_cmd_barrier(e->cmd);
    for (uint32_t i = 0; i < rows; i++)
        if (piece_of(p, from + i, &at)->n_best == 0)
            fg_cmd_copy(e->cmd, e->s.logits, i * bytes, e->s.readback, i * bytes, bytes);
    logits.k = fg_best_choices(e);
    if (k)
        fg_record_best(&e->ops, &(struct fg_best_rows){.logits = logits,
                                                       .k = k,
                                                       .passes = {e->s.best[0], e->s.best[1]},
                                                       .readback = e->s.best_readback});
}

/* Hands out what record_head() brought. */
static void deliver(struct fg_engine *e, const struct fg_step_piece *pieces, uint32_t from,
                    uint32_t rows)
{
    const uint32_t *best = fg_buffer_map(e->s.best_readback);
    uint32_t k = most_best(pieces, from, rows), at;
    for (uint32_t i = 0; i < rows; i++) {
        const struct fg_step_piece *p = piece_of(pieces, from + i, &at);
        const uint32_t *row = best + 2 * (size_t)i * (k + 1);
        if (p->n_best == 0)
            memcpy(p->logits + (size_t)at * e->hp.n_vocab,
                   (float *)fg_buffer_map(e->s.readback) + (size_t)i * e->hp.n_vocab,
                   (size_t)e->hp.n_vocab * 4);
        for (uint32_t b = 0; b < p->n_best; b++) {
            p->best[b].id = (int32_t)row[2 * b + 1];
            memcpy(&p->best[b].logit, &row[2 * b], 4);
        }
        if (p->n_best && row[2 * k])
            p->best[0].logit = NAN;
    }
}

static double now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

int fg_step_submit(struct fg_engine *e, uint32_t n_tokens, uint32_t layers, struct fg_err *err)
{
    double begun = now();
    int rc = fg_cmd_run(e->cmd, err);

    if (rc == 0 && layers)
        e->token_layer_s[n_tokens > 1] = (now() - begun) / ((double)n_tokens * layers);
    e->n_submissions++;
    return rc;
}

static int run(struct fg_engine *e, const struct fg_step_piece *p,
               const struct fg_step_shape *shape, uint32_t n_logits, struct fg_err *err)
{
    uint32_t from = 0, layers;
    int rc;
    fg_cmd_begin(e->cmd);
    fg_record_layers(e, shape, &layers);
    do {
        uint32_t rows = n_logits - from < FG_HEAD_ROWS ? n_logits - from : FG_HEAD_ROWS;
        if (rows)
            record_head(e, p, from, rows);
        rc = fg_step_submit(e, shape->n_tokens, layers, err);
        if (rc)
            return rc;
        layers = 0;
        deliver(e, p, from, rows);
        from += rows;
        if (from < n_logits)
            fg_cmd_begin(e->cmd);
    } while (from < n_logits);
    return 0;
}

int fg_engine_step(struct fg_engine *e, const struct fg_step_piece *pieces, uint32_t n_pieces,
                   struct fg_err *err)
{
    struct fg_step_shape shape;
    struct fg_step_round rounds[FG_STEP_ROUNDS];
    uint32_t row_of[64], n_tokens;
    int rc;

    if (n_pieces < 1 || n_pieces > e->opt.n_seq)
        return fg_fail(err, FG_EINVAL, "a step of %u pieces; 1 to %u fit", n_pieces, e->opt.n_seq);
    rc = check_pieces(e, pieces, n_pieces, &n_tokens, err);
    for (uint32_t i = 0; rc == 0 && i < n_pieces; i++)
        rc = fg_seq_reserve(pieces[i].seq, pieces[i].seq->length + pieces[i].n, err);
    if (rc)
        return rc;
    fg_step_fill(e, pieces, n_pieces, row_of, rounds, &shape);
    uint32_t n_logits = fill_index(e, pieces, n_pieces, row_of);
    rc = run(e, pieces, &shape, n_logits, err);
    for (uint32_t i = 0; rc == 0 && i < n_pieces; i++)
        pieces[i].seq->length += pieces[i].n;
    return rc;
}
