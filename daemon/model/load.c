/* The tensors of a model's blocks: measured for the plan, and uploaded. */
#include "engine_state.h"
#include "load.h"
#include "model/blocks/block.h"

#include <stdlib.h>
#include <string.h>

/* What goes to one place: a matrix, or a vector. */
struct item {
    struct fg_matrix_source from;
    const struct fg_tensor_row *row; /* of the first of its tensors */
    uint32_t y_at;                   /* of a matrix */
};

/* What a table's tensors become, in its order. */
struct items {
    struct item list[FG_BLOCK_TENSORS];
    uint32_t n;
    bool ungated; /* a gate and its up are two matrices */
};

/* Whether t's rows go below those of `last`, which ends at row `rows` of y. */
static bool joins_below(const struct item *last, const struct fg_tensor *t, uint32_t rows)
{
    return t->type == last->from.t[0]->type && (rows - last->y_at) % FG_TILE_ROWS == 0;
}

/* Of tensors that the reader of the hyperparameters has seen to be there. */
static void make_items(struct items *it, const struct fg_gguf *g, int layer,
                       const struct fg_tensor_table *table)
{
    uint32_t rows = 0; /* of y, of the chain of matrices below each other */

    *it = (struct items){.n = 0};
    for (uint32_t i = 0; i < table->n; i++) {
        const struct fg_tensor_row *row = &table->rows[i];
        struct item *last = it->n ? &it->list[it->n - 1] : NULL;
        char name[FG_TENSOR_NAME];

        fg_tensor_row_name(name, layer, row);
        const struct fg_tensor *t = fg_gguf_tensor(g, name);
        if (row->join == FG_JOIN_HALVES) {
            it->list[it->n++] =
                (struct item){.from = {.t = {t, t}, .n = 2, .gated = true}, .row = row};
        } else if (row->join == FG_JOIN_BELOW && joins_below(last, t, rows)) {
            last->from.t[last->from.n++] = t;
        } else if (row->join == FG_JOIN_GATED && t->type == last->from.t[0]->type) {
            last->from =
                (struct fg_matrix_source){.t = {last->from.t[0], t}, .n = 2, .gated = true};
        } else {
            it->list[it->n++] = (struct item){.from = {.t = {t}, .n = 1},
                                              .row = row,
                                              .y_at = row->join == FG_JOIN_BELOW ? rows : 0};
            it->ungated |= row->join == FG_JOIN_GATED;
        }
        rows = (row->join == FG_JOIN_BELOW ? rows : 0) + (uint32_t)t->ne[1];
    }
}

static uint32_t n_tensors(const struct item *item)
{
    return item->row->join == FG_JOIN_HALVES ? 1 : item->from.n;
}

static uint64_t vector_bytes(const struct item *item)
{
    return item->row->ne[0] * item->row->ne[1] * 4;
}

/* Where the slots of a table are. */
struct places {
    struct fg_matrix *matrices;
    struct fg_buffer **vectors, **norm;
};

static int load(struct fg_engine *e, struct fg_uploader *u, const struct items *it,
                const struct places *to, struct fg_err *err)
{
    int rc = 0;
    for (uint32_t i = 0; rc == 0 && i < it->n; i++) {
        const struct item *item = &it->list[i];
        uint32_t slot = item->row->slot;
        if (item->row->vector) {
            rc = fg_vector_upload(u, item->from.t[0],
                                  slot == FG_NORM_SLOT ? to->norm : &to->vectors[slot], err);
            e->weight_bytes += vector_bytes(item);
        } else {
            rc = fg_matrix_init(&to->matrices[slot], u, &item->from, err);
            to->matrices[slot].y_at = item->y_at;
            e->weight_bytes += to->matrices[slot].bytes;
        }
    }
    return rc;
}

static int load_model(struct fg_engine *e, struct fg_uploader *u, struct fg_err *err)
{
    struct fg_matrix matrices[2] = {{0}};
    struct places to = {.matrices = matrices, .norm = &e->output_norm};
    struct fg_tensor_table table = {.n = 0};
    struct items items;
    int rc;

    fg_model_tensors(&e->hp, &table);
    make_items(&items, e->gguf, -1, &table);
    rc = load(e, u, &items, &to, err);
    e->embd = matrices[0];
    e->head = matrices[1];
    return rc;
}

static int load_block(struct fg_engine *e, struct fg_uploader *u, struct fg_block *b,
                      struct fg_err *err)
{
    struct places to = {b->matrices, b->vectors, &b->norm};
    struct fg_tensor_table table;
    struct items items;

    fg_block_tensors(&b->shape, &table);
    make_items(&items, e->gguf, (int)b->shape.layer, &table);
    return load(e, u, &items, &to, err);
}

int fg_weights_load(struct fg_engine *e, struct fg_err *err)
{
    struct fg_uploader *u;
    uint64_t all = 0;
    int rc;
    for (uint64_t i = 0; i < fg_gguf_tensor_count(e->gguf); i++)
        all += fg_gguf_tensor_at(e->gguf, i)->size;
    rc = fg_uploader_create(e->device, e->opt.upload_progress, e->opt.upload_ctx, all, &u, err);
    if (rc)
        return rc;
    rc = load_model(e, u, err);
    for (uint32_t i = 0; rc == 0 && i < e->hp.n_blocks; i++)
        rc = load_block(e, u, &e->blocks[i], err);
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
    for (uint32_t i = 0; rc == 0 && i < it->n; i++) {
        const struct item *item = &it->list[i];
        struct fg_matrix m;
        if (item->row->vector) {
            rc = add_bytes(p, FG_F32, vector_bytes(item), 1, err);
            continue;
        }
        rc = fg_matrix_measure(&m, d, &item->from, err);
        if (rc)
            return rc;
        rc = add_bytes(p, m.type, m.bytes, n_tensors(item), err);
        fg_matrix_finish(&m);
    }
    return rc;
}

int fg_weights_plan(struct fg_plan *p, const struct fg_hparams *hp, const struct fg_gguf *g,
                    const struct fg_device_info *d, struct fg_err *err)
{
    struct fg_tensor_table table = {.n = 0};
    struct items items;
    int rc;
    fg_model_tensors(hp, &table);
    make_items(&items, g, -1, &table);
    rc = measure(p, &items, d, err);
    for (uint32_t i = 0; rc == 0 && i < hp->n_blocks; i++) {
        fg_block_tensors(&hp->blocks[i], &table);
        make_items(&items, g, (int)hp->blocks[i].layer, &table);
        p->ungated |= items.ungated;
        rc = measure(p, &items, d, err);
    }
    return rc;
}
