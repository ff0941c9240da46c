#include "engine_priv.h"

#include <stdlib.h>
#include <string.h>

/* Context when none is asked for: the model's, at most this. */
enum { DEFAULT_CTX = 32768 };

static int load_vector(struct fg_engine *e, struct fg_uploader *u, const char *name, int layer,
                       struct fg_buffer **out, struct fg_err *err)
{
    char full[96];
    if (layer >= 0)
        snprintf(full, sizeof full, "blk.%d.%s.weight", layer, name);
    else
        snprintf(full, sizeof full, "%s.weight", name);
    return fg_vector_upload(u, fg_gguf_tensor(e->gguf, full), out, err);
}

static int load_matrix(struct fg_engine *e, struct fg_uploader *u, const char *name, int layer,
                       struct fg_matrix *m, struct fg_err *err)
{
    char full[96];
    int rc;
    if (layer >= 0)
        snprintf(full, sizeof full, "blk.%d.%s.weight", layer, name);
    else
        snprintf(full, sizeof full, "%s.weight", name);
    rc = fg_matrix_init(m, u, fg_gguf_tensor(e->gguf, full), err);
    e->weight_bytes += m->bytes;
    return rc;
}

static int load_layer(struct fg_engine *e, struct fg_uploader *u, int i, struct fg_err *err)
{
    struct fg_layer *l = &e->layers[i];
    bool moe = e->hp.n_expert > 0;
    const struct {
        bool wanted;
        const char *name;
        struct fg_matrix *m;
    } matrices[] = {
        {l->recurrent, "attn_qkv", &l->qkv},
        {l->recurrent, "attn_gate", &l->gate},
        {!l->recurrent, "attn_q", &l->q},
        {!l->recurrent, "attn_k", &l->k},
        {!l->recurrent, "attn_v", &l->v},
        {true, "attn_output", &l->output},
        {moe, "ffn_gate_inp", &l->router},
        {true, moe ? "ffn_gate_exps" : "ffn_gate", &l->ffn_gate},
        {true, moe ? "ffn_up_exps" : "ffn_up", &l->ffn_up},
        {true, moe ? "ffn_down_exps" : "ffn_down", &l->ffn_down},
    };
    int rc = load_vector(e, u, "attn_norm", i, &l->attn_norm, err);
    if (rc == 0)
        rc = load_vector(e, u, "ffn_norm", i, &l->ffn_norm, err);
    if (rc == 0 && l->recurrent)
        rc = load_vector(e, u, "attn_norm_2", i, &l->attn_norm_2, err);
    for (size_t j = 0; rc == 0 && j < sizeof matrices / sizeof *matrices; j++)
        if (matrices[j].wanted)
            rc = load_matrix(e, u, matrices[j].name, i, matrices[j].m, err);
    return rc;
}

static int load_weights(struct fg_engine *e,
                        void (*progress)(void *ctx, uint64_t done, uint64_t all), void *ctx,
                        struct fg_err *err)
{
    struct fg_uploader *u;
    uint64_t all = 0;
    int rc;
    for (uint64_t i = 0; i < fg_gguf_tensor_count(e->gguf); i++)
        all += fg_gguf_tensor_at(e->gguf, i)->size;
    rc = fg_uploader_create(e->device, progress, ctx, all, &u, err);
    if (rc)
        return rc;
    rc = load_matrix(e, u, "token_embd", -1, &e->embd, err);
    if (rc == 0 && !e->hp.tied_output)
        rc = load_matrix(e, u, "output", -1, &e->head, err);
    if (rc == 0)
        rc = load_vector(e, u, "output_norm", -1, &e->output_norm, err);
    for (uint32_t i = 0; rc == 0 && i < e->hp.n_layer; i++)
        rc = load_layer(e, u, (int)i, err);
    fg_uploader_destroy(u);
    return rc;
}

static int check_shape(const struct fg_engine *e, struct fg_err *err)
{
    const struct fg_hparams *hp = &e->hp;
    if (hp->head_dim % 8)
        return fg_fail(err, FG_EUNSUPPORTED, "head dimension %u: must be a multiple of 8",
                       hp->head_dim);
    if (e->n_lightning && hp->head_dim > 256)
        return fg_fail(err, FG_EUNSUPPORTED,
                       "head dimension %u: lightning attention supports up to 256", hp->head_dim);
    return 0;
}

/* KV pages that fit: the device's largest binding, its memory beside weights and states, and
 * cache_bytes beside the saved states. */
static uint64_t most_pages(const struct fg_engine *e, uint64_t saved)
{
    const struct fg_device_info *d = fg_device_info(e->device);
    uint64_t page_bytes = e->page_layer_bytes * e->n_softmax, most = UINT32_MAX / 2;

    if (!e->n_softmax)
        return most;
    most = d->max_storage_range / e->page_layer_bytes;
    /* A software device's heap is a guess; its memory is the machine's. */
    if (strcmp(d->type, "cpu") != 0) {
        uint64_t room = d->heap_bytes / 10 * 9, used = e->weight_bytes + saved;

        room = room > used ? room - used : 0;
        most = room / page_bytes < most ? room / page_bytes : most;
    }
    if (e->opt.cache_bytes) {
        uint64_t room = e->opt.cache_bytes > saved ? e->opt.cache_bytes - saved : 0;

        most = room / page_bytes < most ? room / page_bytes : most;
    }
    return most;
}

/* Settles n_states, n_ctx and n_pages. */
static int fit_context(struct fg_engine *e, struct fg_err *err)
{
    const struct fg_device_info *d = fg_device_info(e->device);
    struct fg_engine_options *o = &e->opt;
    bool asked = o->n_ctx != 0;
    uint64_t page_bytes = e->page_layer_bytes * e->n_softmax;
    uint64_t state_bytes = e->state_layer_bytes * e->n_lightning, most;

    if (!asked)
        o->n_ctx = e->hp.n_ctx_train < DEFAULT_CTX ? e->hp.n_ctx_train : DEFAULT_CTX;
    /* Of a budget, pages get what sequences need; saved states may take half. */
    if (o->cache_bytes && e->n_lightning) {
        uint64_t share = e->n_softmax ? o->cache_bytes / 2 : o->cache_bytes;

        if (share / state_bytes < o->n_states)
            o->n_states = (uint32_t)(share / state_bytes);
    }
    most = most_pages(e, e->n_lightning ? state_bytes * o->n_states : 0);
    uint32_t need = (o->n_ctx + FG_CHUNK - 1) / FG_CHUNK;
    if (need > most) {
        if (asked || most < 4)
            return fg_fail(err, FG_ENOMEM,
                           "a context of %u tokens needs %u KV pages of %llu bytes; %s holds %llu "
                           "(%llu tokens)",
                           o->n_ctx, need, (unsigned long long)page_bytes,
                           o->cache_bytes ? "the memory given to the cache" : d->name,
                           (unsigned long long)most, (unsigned long long)most * FG_CHUNK);
        need = (uint32_t)most;
        o->n_ctx = need * FG_CHUNK;
    }
    e->max_pages = need;
    if (o->n_pages == 0) {
        uint64_t want = (uint64_t)need * o->n_seq;
        o->n_pages = (uint32_t)(want < most ? want : most);
    }
    if (o->n_pages > most)
        o->n_pages = (uint32_t)most;
    if (o->n_pages < need)
        return fg_fail(err, FG_EINVAL, "%u KV pages hold less than the context of %u tokens",
                       o->n_pages, o->n_ctx);
    return 0;
}

/* A zeroed device buffer: stale bits must never look like numbers. */
static int make_zeroed(struct fg_engine *e, uint64_t bytes, const char *what,
                       struct fg_buffer **out, struct fg_err *err)
{
    int rc = fg_buffer_create(e->device, bytes, FG_BUFFER_DEVICE, what, out, err);
    if (rc)
        return rc;
    fg_cmd_begin(e->cmd);
    fg_cmd_zero(e->cmd, *out, 0, fg_buffer_bytes(*out));
    return fg_cmd_run(e->cmd, err);
}

static int create_lightning(struct fg_engine *e, struct fg_layer *l, uint32_t index,
                            struct fg_err *err)
{
    uint64_t decay_bytes = (uint64_t)e->hp.n_head * (FG_CHUNK + 1) * 4;
    struct fg_buffer *staging = NULL;
    int rc = make_zeroed(e, e->state_layer_bytes * e->opt.n_seq, "states", &l->state, err);
    if (rc == 0)
        rc = make_zeroed(e, e->rows_layer_bytes * e->opt.n_seq, "chunk rows", &l->k_rows, err);
    if (rc == 0)
        rc = make_zeroed(e, e->rows_layer_bytes * e->opt.n_seq, "chunk rows", &l->v_rows, err);
    if (rc == 0)
        rc = make_zeroed(e, decay_bytes, "decay table", &l->decay, err);
    if (rc == 0)
        rc = fg_buffer_create(e->device, decay_bytes, FG_BUFFER_HOST, "decay table", &staging, err);
    if (rc == 0) {
        fg_decay_table(&e->hp, index, fg_buffer_map(staging));
        fg_cmd_begin(e->cmd);
        fg_cmd_copy(e->cmd, staging, 0, l->decay, 0, decay_bytes);
        rc = fg_cmd_run(e->cmd, err);
    }
    fg_buffer_destroy(staging);
    e->seq_bytes += (e->state_layer_bytes + 2 * e->rows_layer_bytes) * e->opt.n_seq;
    return rc;
}

static int create_memories(struct fg_engine *e, struct fg_err *err)
{
    const struct fg_device_info *d = fg_device_info(e->device);
    int rc = 0;
    if (e->n_lightning) {
        uint64_t most = d->max_storage_range / e->state_layer_bytes;
        if (most == 0)
            return fg_fail(err, FG_EUNSUPPORTED, "a state of %llu bytes exceeds the binding of %s",
                           (unsigned long long)e->state_layer_bytes, d->name);
        if (e->opt.n_seq > most)
            e->opt.n_seq = (uint32_t)most;
    }
    rc = fit_context(e, err);
    for (uint32_t i = 0; rc == 0 && i < e->hp.n_layer; i++) {
        struct fg_layer *l = &e->layers[i];
        if (l->recurrent) {
            rc = create_lightning(e, l, i, err);
        } else {
            uint64_t bytes = e->page_layer_bytes * e->opt.n_pages;
            rc = make_zeroed(e, bytes, "KV pages", &l->kv, err);
            e->kv_bytes += bytes;
        }
    }
    uint64_t page = e->page_layer_bytes * e->n_softmax,
             state = e->state_layer_bytes * e->n_lightning;
    if (rc == 0)
        rc = fg_buffer_create(e->device, page > state ? page : state, FG_BUFFER_HOST, "transfer",
                              &e->transfer, err);
    for (uint32_t i = 0; rc == 0 && e->n_lightning && i < e->opt.n_states; i++) {
        rc =
            fg_buffer_create(e->device, state, FG_BUFFER_DEVICE, "saved states", &e->saved[i], err);
        e->seq_bytes += state;
    }
    return rc;
}

static int alloc_tables(struct fg_engine *e, struct fg_err *err)
{
    e->inv_freq = calloc(e->hp.rope_dim / 2 + 1, sizeof *e->inv_freq);
    e->page_refs = calloc(e->opt.n_pages + 1u, sizeof *e->page_refs);
    e->free_pages = calloc(e->opt.n_pages + 1u, sizeof *e->free_pages);
    e->slot_used = calloc(e->opt.n_seq, sizeof *e->slot_used);
    if (!e->inv_freq || !e->page_refs || !e->free_pages || !e->slot_used)
        return fg_fail(err, FG_ENOMEM, "out of memory for the page tables");
    fg_rope_frequencies(&e->hp, e->inv_freq);
    for (uint32_t i = 0; i < e->opt.n_pages; i++)
        e->free_pages[e->n_free++] = e->opt.n_pages - 1 - i;
    return 0;
}

static int init_layers(struct fg_engine *e, struct fg_err *err)
{
    const struct fg_hparams *hp = &e->hp;
    uint64_t value = e->opt.kv_type == FG_KV_F16 ? 2 : 4;
    e->layers = calloc(hp->n_layer, sizeof *e->layers);
    e->saved = calloc(e->opt.n_states + 1u, sizeof *e->saved);
    if (!e->layers || !e->saved)
        return fg_fail(err, FG_ENOMEM, "out of memory for %u layers", hp->n_layer);
    for (uint32_t i = 0; i < hp->n_layer; i++) {
        e->layers[i].recurrent = hp->recurrent[i];
        e->layers[i].kind_index = hp->recurrent[i] ? e->n_lightning++ : e->n_softmax++;
    }
    e->page_layer_bytes = 2ull * hp->n_head_kv * hp->head_dim * FG_CHUNK * value;
    e->state_layer_bytes = 4ull * hp->n_head * hp->head_dim * hp->head_dim;
    e->rows_layer_bytes = 4ull * hp->n_head * hp->head_dim * FG_CHUNK;
    return check_shape(e, err);
}

/* One run of every kernel that steps use, so that the first request does not wait for compilers. */
static int warm_up(struct fg_engine *e, struct fg_err *err)
{
    uint32_t n = FG_ATTEND_TOKENS + 2, last = n + 1;
    int32_t tokens[FG_ATTEND_TOKENS + 3] = {0};
    struct fg_seq *s = NULL;
    float *logits = malloc((size_t)e->hp.n_vocab * 4);
    int rc = logits ? fg_seq_create(e, &s, err) : fg_fail(err, FG_ENOMEM, "out of memory");
    if (rc == 0 && e->opt.n_ctx > last) {
        struct fg_step_piece many = {s, tokens, n, 1, logits};
        struct fg_step_piece one = {s, tokens, 1, 1, logits};
        rc = fg_engine_step(e, &many, 1, err);
        if (rc == 0)
            rc = fg_engine_step(e, &one, 1, err);
    }
    fg_seq_destroy(s);
    free(logits);
    return rc;
}

static int check_options(const struct fg_engine_options *opt, struct fg_err *err)
{
    if (opt->n_seq < 1 || opt->n_seq > 64 || opt->n_batch % FG_CHUNK || opt->n_batch > 4096)
        return fg_fail(
            err, FG_EINVAL,
            "%u sequences of 1..64, or a batch of %u tokens (a multiple of 64, up to 4096)",
            opt->n_seq, opt->n_batch);
    return 0;
}

/* An engine with its options and nothing else; hp is for the caller to fill. */
static int allocate(const struct fg_engine_options *opt, struct fg_device *dev,
                    struct fg_engine **out, struct fg_err *err)
{
    struct fg_engine *e;
    int rc = check_options(opt, err);

    *out = NULL;
    if (rc)
        return rc;
    e = calloc(1, sizeof *e);
    if (!e)
        return fg_fail(err, FG_ENOMEM, "out of memory for the engine");
    e->device = dev;
    e->opt = *opt;
    if (e->opt.n_batch == 0)
        e->opt.n_batch = strcmp(fg_device_info(dev)->type, "cpu") == 0 ? 64 : 512;
    *out = e;
    return 0;
}

static int create_kernels(struct fg_engine *e, struct fg_err *err)
{
    int rc = init_layers(e, err);
    if (rc == 0)
        rc = fg_cmd_create(e->device, &e->cmd, err);
    return rc ? rc : fg_kernels_init(e, err);
}

/* What sequences and steps need beside weights. */
static int create_room(struct fg_engine *e, struct fg_err *err)
{
    int rc = create_memories(e, err);
    if (rc == 0)
        rc = alloc_tables(e, err);
    return rc ? rc : fg_scratch_init(e, err);
}

int fg_engine_create_bare(const struct fg_engine_options *opt, struct fg_hparams *hp,
                          struct fg_device *dev, struct fg_engine **out, struct fg_err *err)
{
    struct fg_engine *e;
    int rc = allocate(opt, dev, &e, err);

    *out = NULL;
    if (rc) {
        fg_hparams_finish(hp);
        return rc;
    }
    e->hp = *hp;
    memset(hp, 0, sizeof *hp);
    rc = create_kernels(e, err);
    if (rc == 0)
        rc = create_room(e, err);
    if (rc) {
        fg_engine_destroy(e);
        return rc;
    }
    *out = e;
    return 0;
}

int fg_engine_create(const struct fg_engine_options *opt, const struct fg_gguf *g,
                     struct fg_device *dev,
                     void (*progress)(void *ctx, uint64_t done, uint64_t all), void *progress_ctx,
                     struct fg_engine **out, struct fg_err *err)
{
    struct fg_engine *e;
    int rc = allocate(opt, dev, &e, err);

    *out = NULL;
    if (rc)
        return rc;
    e->gguf = g;
    rc = fg_hparams_init(&e->hp, g, err);
    if (rc) {
        free(e);
        return rc;
    }
    rc = create_kernels(e, err);
    if (rc == 0)
        rc = fg_battery_run(e, err);
    if (rc == 0)
        rc = load_weights(e, progress, progress_ctx, err);
    if (rc == 0)
        rc = create_room(e, err);
    if (rc == 0)
        rc = warm_up(e, err);
    if (rc) {
        fg_engine_destroy(e);
        return rc;
    }
    *out = e;
    return 0;
}

static void finish_layer(struct fg_layer *l)
{
    struct fg_matrix *const matrices[] = {&l->qkv,    &l->gate,    &l->q,      &l->k,
                                          &l->v,      &l->output,  &l->router, &l->ffn_gate,
                                          &l->ffn_up, &l->ffn_down};
    struct fg_buffer *const buffers[] = {l->attn_norm, l->ffn_norm, l->attn_norm_2, l->kv,
                                         l->state,     l->k_rows,   l->v_rows,      l->decay};
    for (size_t i = 0; i < sizeof matrices / sizeof *matrices; i++)
        fg_matrix_finish(matrices[i]);
    for (size_t i = 0; i < sizeof buffers / sizeof *buffers; i++)
        fg_buffer_destroy(buffers[i]);
}

void fg_engine_destroy(struct fg_engine *e)
{
    if (!e)
        return;
    for (uint32_t i = 0; e->layers && i < e->hp.n_layer; i++)
        finish_layer(&e->layers[i]);
    for (uint32_t i = 0; e->saved && i < e->opt.n_states; i++)
        fg_buffer_destroy(e->saved[i]);
    fg_matrix_finish(&e->embd);
    fg_matrix_finish(&e->head);
    fg_buffer_destroy(e->output_norm);
    fg_buffer_destroy(e->transfer);
    fg_scratch_finish(&e->s);
    fg_cmd_destroy(e->cmd);
    fg_hparams_finish(&e->hp);
    free(e->layers);
    free(e->saved);
    free(e->inv_freq);
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
                                   .n_states = e->n_lightning ? e->opt.n_states : 0,
                                   .n_batch = e->opt.n_batch,
                                   .page_bytes = e->page_layer_bytes * e->n_softmax,
                                   .state_bytes = e->state_layer_bytes * e->n_lightning,
                                   .weight_bytes = e->weight_bytes,
                                   .kv_bytes = e->kv_bytes,
                                   .seq_bytes = e->seq_bytes,
                                   .scratch_bytes = e->s.bytes,
                                   .canonical = e->canonical};
    memcpy(out->numerics_id, e->numerics_id, 16);
}
