/* Which tensors a model consists of: measured for the plan, and uploaded. */
#include "engine_priv.h"

#include <stdlib.h>
#include <string.h>

/* What goes to one place: a matrix, or a vector. */
struct item {
    struct fg_matrix_source from;
    struct fg_matrix *m;
    struct fg_buffer **v;
    uint32_t y_at; /* of m */
};

enum { MAX_ITEMS = 16 };

/* The tensors of a model, or of one of its layers, as they come. */
struct items {
    const struct fg_gguf *g;
    int layer; /* < 0: of none */
    struct item list[MAX_ITEMS];
    size_t n;
};

/* The reader of the hyperparameters has checked that it is there. */
static const struct fg_tensor *find(const struct fg_gguf *g, const char *name, int layer)
{
    char full[96];
    if (layer >= 0)
        snprintf(full, sizeof full, "blk.%d.%s.weight", layer, name);
    else
        snprintf(full, sizeof full, "%s.weight", name);
    return fg_gguf_tensor(g, full);
}

static struct item *add(struct items *it, const char *name, struct fg_matrix *m,
                        struct fg_buffer **v)
{
    struct item *item = &it->list[it->n++];
    *item = (struct item){.from = {.t = {find(it->g, name, it->layer)}, .n = 1}, .m = m, .v = v};
    return item;
}

/* Queries, keys and values make one row of y; of as few matrices as their types and tiles allow. */
static void add_qkv(struct items *it, struct fg_matrix m[3])
{
    static const char *const names[] = {"attn_q", "attn_k", "attn_v"};
    struct item *last = add(it, names[0], m, NULL);
    uint32_t rows = (uint32_t)last->from.t[0]->ne[1];
    for (size_t i = 1; i < 3; i++) {
        const struct fg_tensor *t = find(it->g, names[i], it->layer);
        if (t->type == last->from.t[0]->type && (rows - last->y_at) % FG_TILE_ROWS == 0) {
            last->from.t[last->from.n++] = t;
        } else {
            last = add(it, names[i], ++m, NULL);
            last->y_at = rows;
        }
        rows += (uint32_t)t->ne[1];
    }
}

/* Gate and up are one matrix when they are of one type. False: they are two. */
static bool add_gate_up(struct items *it, const struct fg_hparams *hp, struct fg_layer *l)
{
    bool moe = hp->n_expert > 0;
    struct item *gate = add(it, moe ? "ffn_gate_exps" : "ffn_gate", &l->ffn_gate, NULL);
    const char *name = moe ? "ffn_up_exps" : "ffn_up";
    const struct fg_tensor *up = find(it->g, name, it->layer);
    if (up->type != gate->from.t[0]->type) {
        add(it, name, &l->ffn_up, NULL);
        return false;
    }
    gate->from = (struct fg_matrix_source){{gate->from.t[0], up}, 2, true};
    return true;
}

/* False: gate and up of the layer are two matrices. */
static bool layer_items(struct items *it, const struct fg_hparams *hp, const struct fg_gguf *g,
                        uint32_t layer, struct fg_layer *l)
{
    *it = (struct items){.g = g, .layer = (int)layer};
    add(it, "attn_norm", NULL, &l->attn_norm);
    add(it, "ffn_norm", NULL, &l->ffn_norm);
    if (hp->recurrent[layer]) {
        add(it, "attn_norm_2", NULL, &l->attn_norm_2);
        add(it, "attn_qkv", &l->qkv[0], NULL);
        add(it, "attn_gate", &l->gate, NULL);
    } else {
        add_qkv(it, l->qkv);
    }
    add(it, "attn_output", &l->output, NULL);
    if (hp->n_expert)
        add(it, "ffn_gate_inp", &l->router, NULL);
    bool joined = add_gate_up(it, hp, l);
    add(it, hp->n_expert ? "ffn_down_exps" : "ffn_down", &l->ffn_down, NULL);
    return joined;
}

/* What belongs to no layer. */
static void model_items(struct items *it, const struct fg_hparams *hp, const struct fg_gguf *g,
                        struct fg_matrix *embd, struct fg_matrix *head,
                        struct fg_buffer **output_norm)
{
    *it = (struct items){.g = g, .layer = -1};
    add(it, "token_embd", embd, NULL);
    if (!hp->tied_output)
        add(it, "output", head, NULL);
    add(it, "output_norm", NULL, output_norm);
}

static int load(struct fg_engine *e, struct fg_uploader *u, const struct items *it,
                struct fg_err *err)
{
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < it->n; i++) {
        const struct item *item = &it->list[i];
        if (item->m) {
            rc = fg_matrix_init(item->m, u, &item->from, err);
            item->m->y_at = item->y_at;
            e->weight_bytes += item->m->bytes;
        } else {
            rc = fg_vector_upload(u, item->from.t[0], item->v, err);
            e->weight_bytes += item->from.t[0]->ne[0] * 4;
        }
    }
    return rc;
}

int fg_weights_load(struct fg_engine *e, void (*progress)(void *ctx, uint64_t done, uint64_t all),
                    void *progress_ctx, struct fg_err *err)
{
    struct fg_uploader *u;
    struct items items;
    uint64_t all = 0;
    int rc;
    for (uint64_t i = 0; i < fg_gguf_tensor_count(e->gguf); i++)
        all += fg_gguf_tensor_at(e->gguf, i)->size;
    rc = fg_uploader_create(e->device, progress, progress_ctx, all, &u, err);
    if (rc)
        return rc;
    model_items(&items, &e->hp, e->gguf, &e->embd, &e->head, &e->output_norm);
    rc = load(e, u, &items, err);
    for (uint32_t i = 0; rc == 0 && i < e->hp.n_layer; i++) {
        layer_items(&items, &e->hp, e->gguf, i, &e->layers[i]);
        rc = load(e, u, &items, err);
    }
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

static int measure(struct fg_plan *p, const struct items *it, const struct fg_device_info *d,
                   struct fg_err *err)
{
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < it->n; i++) {
        const struct item *item = &it->list[i];
        struct fg_matrix m;
        if (!item->m) {
            rc = add_bytes(p, FG_F32, item->from.t[0]->ne[0] * 4, 1, err);
            continue;
        }
        rc = fg_matrix_measure(&m, d, &item->from, err);
        if (rc)
            return rc;
        rc = add_bytes(p, m.type, m.bytes, item->from.n, err);
        fg_matrix_finish(&m);
    }
    return rc;
}

int fg_weights_plan(struct fg_plan *p, const struct fg_hparams *hp, const struct fg_gguf *g,
                    const struct fg_device_info *d, struct fg_err *err)
{
    struct fg_layer l = {0};
    struct fg_buffer *v;
    struct items items;
    int rc;
    model_items(&items, hp, g, &l.output, &l.output, &v);
    rc = measure(p, &items, d, err);
    for (uint32_t i = 0; rc == 0 && i < hp->n_layer; i++) {
        p->ungated |= !layer_items(&items, hp, g, i, &l);
        rc = measure(p, &items, d, err);
    }
    return rc;
}
