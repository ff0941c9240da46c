#include "engine_state.h"
#include "forward.h"
#include "gpu/command.h"
#include "load.h"
#include "sequence.h"
#include "model/blocks/block.h"
#include "rope_table.h"
#include "step_set.h"
#include "tune.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"

/* Most seconds that tuning takes at a start, compiling included. */
static const double TUNE_S = 20;

/* Of the step of many tokens that compiles kernels: more than any shares keys with. */
enum { WARM_TOKENS = 6 };

/* A zeroed device buffer: stale bits must never look like numbers. */
static int make_zeroed(struct fg_engine *e, uint64_t bytes, const char *what,
                       struct fg_buffer **out, struct fg_err *err)
{
    int rc = fg_buffer_create(e->device, bytes, FG_BUFFER_DEVICE, what, out, err);
    if (rc)
        return rc;
    fg_cmd_begin(e->ops.cmd);
    fg_cmd_zero(e->ops.cmd, *out, 0, fg_buffer_bytes(*out));
    return fg_cmd_run(e->ops.cmd, err);
}

static int create_memories(struct fg_engine *e, struct fg_err *err)
{
    uint64_t page = e->memory.page_bytes, state = e->memory.state_bytes;
    int rc = 0;
    for (uint32_t i = 0; rc == 0 && i < e->memory.n; i++) {
        struct fg_memory_piece *p = &e->memory.pieces[i];
        bool page = p->kind == FG_MEMORY_PAGE;
        uint64_t bytes = p->bytes * (page ? e->opt.n_pages : e->opt.n_seq);
        rc = make_zeroed(e, bytes, p->what, &p->buffer, err);
        *(page ? &e->kv_bytes : &e->seq_bytes) += bytes;
    }
    for (uint32_t i = 0; rc == 0 && i < e->hp.n_blocks; i++) {
        rc = fg_block_make_table(&e->blocks[i], &e->ops, err);
        e->seq_bytes += fg_block_table_bytes(&e->blocks[i].shape);
    }
    if (rc == 0)
        rc = fg_transfers_create(e->device, page > state ? page : state, e->opt.stage_transfers,
                                 &e->transfers, err);
    for (uint32_t i = 0; rc == 0 && state && i < e->opt.n_states; i++) {
        rc =
            fg_buffer_create(e->device, state, FG_BUFFER_DEVICE, "saved states", &e->saved[i], err);
        e->seq_bytes += state;
    }
    return rc;
}

static int alloc_tables(struct fg_engine *e, struct fg_err *err)
{
    e->inv_freq = calloc(e->hp.rope_dim / 2 + 1, sizeof *e->inv_freq);
    e->inv_freq_local = calloc(e->hp.rope_dim / 2 + 1, sizeof *e->inv_freq_local);
    e->page_refs = calloc(e->opt.n_pages + 1u, sizeof *e->page_refs);
    e->free_pages = calloc(e->opt.n_pages + 1u, sizeof *e->free_pages);
    e->slot_used = calloc(e->opt.n_seq, sizeof *e->slot_used);
    if (!e->inv_freq || !e->inv_freq_local || !e->page_refs || !e->free_pages || !e->slot_used)
        return fg_fail(err, FG_ENOMEM, "out of memory for the page tables");
    e->rope_magnitude = fg_rope_frequencies(e->hp.rope_dim, e->hp.rope_freq_base,
                                            e->hp.rope_factors, &e->hp.rope_scaling, e->inv_freq);
    if (e->hp.rope_freq_base_local > 0)
        fg_rope_frequencies(e->hp.rope_dim, e->hp.rope_freq_base_local, NULL,
                            &(struct fg_rope_scaling){.factor = 1}, e->inv_freq_local);
    for (uint32_t i = 0; i < e->opt.n_pages; i++)
        e->free_pages[e->n_free++] = e->opt.n_pages - 1 - i;
    return 0;
}

static int init_blocks(struct fg_engine *e, struct fg_err *err)
{
    uint32_t n = e->hp.n_blocks, *first = calloc(n + 1, sizeof *first);
    int rc = 0;

    e->blocks = calloc(n + 1, sizeof *e->blocks);
    e->saved = calloc(e->opt.n_states + 1u, sizeof *e->saved);
    e->saved_after = calloc(e->opt.n_states + 1u, sizeof *e->saved_after);
    if (!e->blocks || !e->saved || !e->saved_after || !first)
        rc = fg_fail(err, FG_ENOMEM, "out of memory for %u blocks", n);
    if (rc == 0)
        rc = fg_memory_list(&e->memory, e->hp.blocks, n, e->opt.kv_type, first, err);
    for (uint32_t i = 0; rc == 0 && i < n; i++) {
        e->blocks[i].shape = e->hp.blocks[i];
        e->blocks[i].memory_at = first[i];
    }
    free(first);
    return rc;
}

/* One run of every kernel that steps use, so that the first request does not wait for compilers. */
static int warm_up(struct fg_engine *e, struct fg_err *err)
{
    uint32_t n = WARM_TOKENS, last = n + 1;
    int32_t tokens[WARM_TOKENS + 1] = {0};
    struct fg_seq *s = NULL;
    float *logits = malloc((size_t)e->hp.n_vocab * 4);
    int rc = logits ? fg_seq_create(e, &s, err) : fg_fail(err, FG_ENOMEM, "out of memory");
    if (rc == 0 && e->opt.n_ctx > last) {
        struct fg_best best;
        struct fg_step_span many = {
            .seq = s, .tokens = tokens, .n = n, .n_logits = 1, .logits = logits};
        struct fg_step_span one = {.seq = s, .tokens = tokens, .n = 1, .n_best = 1, .best = &best};
        rc = fg_engine_step(e, &many, 1, err);
        if (rc == 0)
            rc = fg_engine_step(e, &one, 1, err);
    }
    fg_seq_destroy(s);
    free(logits);
    return rc;
}

/* By the plan of opt for a model of shape *hp, which it takes over. */
static int create_base(const struct fg_engine_options *opt, const struct fg_gguf *g,
                       struct fg_hparams *hp, struct fg_device *dev, struct fg_engine **out,
                       struct fg_err *err)
{
    struct fg_engine *e = calloc(1, sizeof *e);
    int rc;

    *out = NULL;
    if (!e) {
        fg_hparams_finish(hp);
        return fg_fail(err, FG_ENOMEM, "out of memory for the engine");
    }
    e->device = dev;
    e->gguf = g;
    e->hp = *hp;
    rc = fg_plan_init(&e->plan, opt, &e->hp, g, fg_device_info(dev), err);
    if (rc == 0 && e->plan.refused.code)
        rc = fg_fail(err, e->plan.refused.code, "%s", e->plan.refused.text);
    if (rc == 0) {
        e->opt = e->plan.opt;
        e->max_pages = e->plan.max_pages;
        rc = init_blocks(e, err);
    }
    if (rc == 0)
        rc = fg_cmd_create(dev, &e->ops.cmd, err);
    if (rc == 0) {
        e->ops.device = dev;
        e->ops.numerics = e->opt.numerics;
        e->ops.kv_type = e->opt.kv_type;
        rc = fg_ops_init(&e->ops, err);
    }
    if (rc) {
        fg_engine_destroy(e);
        return rc;
    }
    *out = e;
    return 0;
}

/* What sequences and steps need beside weights. */
static int create_room(struct fg_engine *e, struct fg_err *err)
{
    int rc = create_memories(e, err);
    if (rc == 0)
        rc = alloc_tables(e, err);
    if (rc == 0)
        rc = fg_scratch_init(e, err);
    return rc ? rc : fg_step_sets_init(e, err);
}

static int tune(struct fg_engine *e, struct fg_err *err)
{
    uint32_t before;
    int rc;

    if (e->opt.tune == FG_TUNE_ANEW) {
        fg_tune_load(e, &e->tune_note);
        fg_tune_forget(e);
    }
    before = e->ops.n_tuned;
    /* Not at every start, where nothing can be kept. */
    if (e->opt.tune == FG_TUNE_ONCE && !fg_device_cache_dir(e->device))
        return 0;
    rc = fg_tune_measure(e, TUNE_S, fg_clock_seconds, e->opt.tune_progress, e->opt.tune_ctx, err);
    /* That it cannot be kept costs the next start as much again, and no more. */
    if (rc == 0 && e->ops.n_tuned > before)
        fg_tune_save(e, &e->tune_note);
    return rc;
}

uint32_t fg_engine_tuned(const struct fg_engine *e, const struct fg_tuned **out,
                         const struct fg_err **note)
{
    *out = e->ops.tuned;
    *note = &e->tune_note;
    return e->ops.n_tuned;
}

int fg_engine_create(const struct fg_engine_options *opt, const struct fg_gguf *g,
                     struct fg_device *dev, struct fg_engine **out, struct fg_err *err)
{
    struct fg_hparams hp;
    struct fg_engine *e;
    int rc =
        opt->family ? fg_hparams_init_as(&hp, g, opt->family, err) : fg_hparams_init(&hp, g, err);

    *out = NULL;
    if (rc == 0)
        rc = create_base(opt, g, &hp, dev, &e, err);
    if (rc)
        return rc;
    if (e->opt.tune == FG_TUNE_ONCE)
        fg_tune_load(e, &e->tune_note); /* and the self-test then runs what was chosen */
    rc = fg_self_test_run(&e->ops, &e->self_test, err);
    if (rc == 0)
        rc = fg_weights_load(e, err);
    if (rc == 0)
        rc = create_room(e, err);
    if (rc == 0 && e->opt.tune != FG_TUNE_NEVER)
        rc = tune(e, err);
    if (rc == 0)
        rc = warm_up(e, err);
    if (rc) {
        fg_engine_destroy(e);
        return rc;
    }
    *out = e;
    return 0;
}

void fg_engine_destroy(struct fg_engine *e)
{
    if (!e)
        return;
    /* What is under way ends before what it writes goes. */
    fg_step_sets_finish(e);
    fg_copiers_finish(e);
    fg_transfers_destroy(e->transfers);
    for (uint32_t i = 0; e->blocks && i < e->hp.n_blocks; i++)
        fg_block_finish(&e->blocks[i]);
    fg_memory_finish(&e->memory);
    for (uint32_t i = 0; e->saved && i < e->opt.n_states; i++)
        fg_buffer_destroy(e->saved[i]);
    fg_matrix_finish(&e->embd);
    fg_matrix_finish(&e->head);
    fg_buffer_destroy(e->output_norm);
    fg_scratch_finish(&e->s);
    fg_cmd_destroy(e->ops.cmd);
    fg_hparams_finish(&e->hp);
    free(e->blocks);
    free(e->saved);
    free(e->saved_after);
    free(e->inv_freq);
    free(e->inv_freq_local);
    free(e->page_refs);
    free(e->free_pages);
    free(e->slot_used);
    free(e);
}

void fg_engine_info(const struct fg_engine *e, struct fg_engine_info *out)
{
    *out = (struct fg_engine_info){.hp = &e->hp,
                                   .n_ctx = e->opt.n_ctx,
                                   .n_seq = e->opt.n_seq,
                                   .n_pages = e->opt.n_pages,
                                   .n_states = e->memory.state_bytes ? e->opt.n_states : 0,
                                   .n_batch = e->opt.n_batch,
                                   .page_bytes = e->memory.page_bytes,
                                   .state_bytes = e->memory.state_bytes,
                                   .weight_bytes = e->weight_bytes,
                                   .kv_bytes = e->kv_bytes,
                                   .seq_bytes = e->seq_bytes,
                                   .scratch_bytes = e->s.bytes,
                                   .canonical = e->self_test.canonical};
    memcpy(out->numerics_id, e->self_test.numerics_id, 16);
}
