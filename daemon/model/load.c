/* Which tensors a model consists of: measured for the plan, and uploaded. */
#include "engine_priv.h"

#include <stdlib.h>
#include <string.h>

/* One tensor, and where it goes: a matrix or a vector. */
struct item {
    const char *name;
    struct fg_matrix *m;
    struct fg_buffer **v;
};

enum { MAX_ITEMS = 16 };

static size_t layer_items(const struct fg_hparams *hp, struct fg_layer *l, bool recurrent,
                          struct item out[MAX_ITEMS])
{
    bool moe = hp->n_expert > 0;
    const struct {
        bool wanted;
        struct item item;
    } all[] = {
        {true, {"attn_norm", NULL, &l->attn_norm}},
        {true, {"ffn_norm", NULL, &l->ffn_norm}},
        {recurrent, {"attn_norm_2", NULL, &l->attn_norm_2}},
        {recurrent, {"attn_qkv", &l->qkv, NULL}},
        {recurrent, {"attn_gate", &l->gate, NULL}},
        {!recurrent, {"attn_q", &l->q, NULL}},
        {!recurrent, {"attn_k", &l->k, NULL}},
        {!recurrent, {"attn_v", &l->v, NULL}},
        {true, {"attn_output", &l->output, NULL}},
        {moe, {"ffn_gate_inp", &l->router, NULL}},
        {true, {moe ? "ffn_gate_exps" : "ffn_gate", &l->ffn_gate, NULL}},
        {true, {moe ? "ffn_up_exps" : "ffn_up", &l->ffn_up, NULL}},
        {true, {moe ? "ffn_down_exps" : "ffn_down", &l->ffn_down, NULL}},
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
    out[n++] = (struct item){"token_embd", embd, NULL};
    if (!hp->tied_output)
        out[n++] = (struct item){"output", head, NULL};
    out[n++] = (struct item){"output_norm", NULL, output_norm};
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

static int load(struct fg_engine *e, struct fg_uploader *u, const struct item *items, size_t n,
                int layer, struct fg_err *err)
{
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < n; i++) {
        const struct fg_tensor *t = find(e->gguf, items[i].name, layer);
        if (items[i].m) {
            rc = fg_matrix_init(items[i].m, u, t, err);
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
        rc = load(e, u, items, layer_items(&e->hp, &e->layers[i], e->layers[i].recurrent, items),
                  (int)i, err);
    fg_uploader_destroy(u);
    return rc;
}

static int add_bytes(struct fg_plan *p, enum fg_dtype type, uint64_t bytes, struct fg_err *err)
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
    p->types[i].n_tensors++;
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
            rc = add_bytes(p, FG_F32, t->ne[0] * 4, err);
            continue;
        }
        rc = fg_matrix_measure(&m, d, t, err);
        if (rc)
            return rc;
        rc = add_bytes(p, t->type, m.bytes, err);
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
        n = layer_items(hp, &l, hp->recurrent[i], items);
        rc = measure(p, g, items, n, (int)i, d, err);
    }
    return rc;
}
