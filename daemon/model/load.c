/* Which tensors a model consists of: measured for the plan, and uploaded. */
#include "engine_priv.h"

#include <stdlib.h>
#include <string.h>

/* One tensor, and where it goes: a matrix or a vector. */
struct item {
    const char *name, *second; /* second: NULL, or of a gated matrix */
    struct fg_matrix *m;
    struct fg_buffer **v;
};

enum { MAX_ITEMS = 16 };

/* gated: gate and up are of one type, and become one matrix. */
static size_t layer_items(const struct fg_hparams *hp, struct fg_layer *l, bool recurrent,
                          bool gated, struct item out[MAX_ITEMS])
{
    bool moe = hp->n_expert > 0;
    const char *gate = moe ? "ffn_gate_exps" : "ffn_gate", *up = moe ? "ffn_up_exps" : "ffn_up";
    const struct {
        bool wanted;
        struct item item;
    } all[] = {
        {true, {"attn_norm", NULL, NULL, &l->attn_norm}},
        {true, {"ffn_norm", NULL, NULL, &l->ffn_norm}},
        {recurrent, {"attn_norm_2", NULL, NULL, &l->attn_norm_2}},
        {recurrent, {"attn_qkv", NULL, &l->qkv, NULL}},
        {recurrent, {"attn_gate", NULL, &l->gate, NULL}},
        {!recurrent, {"attn_q", NULL, &l->q, NULL}},
        {!recurrent, {"attn_k", NULL, &l->k, NULL}},
        {!recurrent, {"attn_v", NULL, &l->v, NULL}},
        {true, {"attn_output", NULL, &l->output, NULL}},
        {moe, {"ffn_gate_inp", NULL, &l->router, NULL}},
        {true, {gate, gated ? up : NULL, &l->ffn_gate, NULL}},
        {!gated, {up, NULL, &l->ffn_up, NULL}},
        {true, {moe ? "ffn_down_exps" : "ffn_down", NULL, &l->ffn_down, NULL}},
    };
    size_t n = 0;
    _Static_assert(sizeof all / sizeof *all <= MAX_ITEMS, "MAX_ITEMS");
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        if (all[i].wanted)
            out[n++] = all[i].item;
    return n;
}

/* What belongs to no layer. */
static size_t model_items(const struct fg_hparams *hp, struct fg_matrix *embd,
                          struct fg_matrix *head, struct fg_buffer **output_norm,
                          struct item out[MAX_ITEMS])
{
    size_t n = 0;
    out[n++] = (struct item){"token_embd", NULL, embd, NULL};
    if (!hp->tied_output)
        out[n++] = (struct item){"output", NULL, head, NULL};
    out[n++] = (struct item){"output_norm", NULL, NULL, output_norm};
    return n;
}

/* layer < 0: of none. */
static const struct fg_tensor *find(const struct fg_gguf *g, const char *name, int layer)
{
    char full[96];
    if (layer >= 0)
        snprintf(full, sizeof full, "blk.%d.%s.weight", layer, name);
    else
        snprintf(full, sizeof full, "%s.weight", name);
    return fg_gguf_tensor(g, full);
}

/* Gate and up of a layer are of one type. */
static bool is_gated(const struct fg_gguf *g, const struct fg_hparams *hp, int layer)
{
    const struct fg_tensor *gate = find(g, hp->n_expert ? "ffn_gate_exps" : "ffn_gate", layer);
    const struct fg_tensor *up = find(g, hp->n_expert ? "ffn_up_exps" : "ffn_up", layer);
    return gate->type == up->type;
}

static int load(struct fg_engine *e, struct fg_uploader *u, const struct item *items, size_t n,
                int layer, struct fg_err *err)
{
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < n; i++) {
        const struct fg_tensor *t = find(e->gguf, items[i].name, layer);
        if (items[i].m) {
            const char *second = items[i].second;
            rc =
                fg_matrix_init(items[i].m, u, t, second ? find(e->gguf, second, layer) : NULL, err);
            e->weight_bytes += items[i].m->bytes;
        } else {
            rc = fg_vector_upload(u, t, items[i].v, err);
            e->weight_bytes += t->ne[0] * 4;
        }
    }
    return rc;
}

int fg_weights_load(struct fg_engine *e, void (*progress)(void *ctx, uint64_t done, uint64_t all),
                    void *progress_ctx, struct fg_err *err)
{
    struct item items[MAX_ITEMS];
    struct fg_uploader *u;
    uint64_t all = 0;
    int rc;
    for (uint64_t i = 0; i < fg_gguf_tensor_count(e->gguf); i++)
        all += fg_gguf_tensor_at(e->gguf, i)->size;
    rc = fg_uploader_create(e->device, progress, progress_ctx, all, &u, err);
    if (rc)
        return rc;
    rc =
        load(e, u, items, model_items(&e->hp, &e->embd, &e->head, &e->output_norm, items), -1, err);
    for (uint32_t i = 0; rc == 0 && i < e->hp.n_layer; i++)
        rc = load(e, u, items,
                  layer_items(&e->hp, &e->layers[i], e->layers[i].recurrent,
                              is_gated(e->gguf, &e->hp, (int)i), items),
                  (int)i, err);
    fg_uploader_destroy(u);
    return rc;
}

static int add_bytes(struct fg_plan *p, enum fg_dtype type, uint64_t bytes, uint64_t n_tensors,
                     struct fg_err *err)
{
    uint32_t i = 0;
    while (i < p->n_types && p->types[i].type != type)
        i++;
    if (i == FG_PLAN_TYPES || __builtin_add_overflow(p->weight_bytes, bytes, &p->weight_bytes))
        return fg_fail(err, FG_EUNSUPPORTED, "weights of more than %d types or 2^64 bytes",
                       FG_PLAN_TYPES);
    if (i == p->n_types)
        p->types[p->n_types++] = (struct fg_plan_type){.type = type};
    p->types[i].bytes += bytes;
    p->types[i].n_tensors += n_tensors;
    return 0;
}

static int measure(struct fg_plan *p, const struct fg_gguf *g, const struct item *items, size_t n,
                   int layer, const struct fg_device_info *d, struct fg_err *err)
{
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < n; i++) {
        const struct fg_tensor *t = find(g, items[i].name, layer);
        struct fg_matrix m;
        if (!items[i].m) {
            rc = add_bytes(p, FG_F32, t->ne[0] * 4, 1, err);
            continue;
        }
        rc = fg_matrix_measure(&m, d, t, items[i].second != NULL, err);
        if (rc)
            return rc;
        rc = add_bytes(p, t->type, m.bytes, items[i].second ? 2 : 1, err);
        fg_matrix_finish(&m);
    }
    return rc;
}

int fg_weights_plan(struct fg_plan *p, const struct fg_hparams *hp, const struct fg_gguf *g,
                    const struct fg_device_info *d, struct fg_err *err)
{
    struct item items[MAX_ITEMS];
    struct fg_layer l = {0};
    struct fg_buffer *v;
    size_t n = model_items(hp, &l.q, &l.q, &v, items);
    int rc = measure(p, g, items, n, -1, d, err);
    for (uint32_t i = 0; rc == 0 && i < hp->n_layer; i++) {
        bool gated = is_gated(g, hp, (int)i);
        p->ungated |= !gated;
        n = layer_items(hp, &l, hp->recurrent[i], gated, items);
        rc = measure(p, g, items, n, (int)i, d, err);
    }
    return rc;
}
