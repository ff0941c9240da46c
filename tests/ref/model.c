#include "model_state.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

int fg_ref_model_create(const struct fg_gguf *g, const struct fg_family *family, enum fg_kv_type kv,
                        bool int8, struct fg_ref_model **out, struct fg_err *err)
{
    struct fg_ref_model *m = calloc(1, sizeof *m);
    int rc;

    *out = NULL;
    if (!m)
        return fg_fail(err, FG_ENOMEM, "%s: out of memory", fg_gguf_name(g));
    m->g = g;
    m->kv = kv;
    m->int8 = int8;
    rc = family ? fg_hparams_init_as(&m->hp, g, family, err) : fg_hparams_init(&m->hp, g, err);
    if (rc) {
        free(m);
        return rc;
    }
    m->embd = fg_ref_model_matrix(m, -1, "token_embd");
    m->head = m->hp.tied_output ? m->embd : fg_ref_model_matrix(m, -1, "output");
    m->output_norm = fg_ref_model_vector(m, -1, m->hp.output_norm);
    m->blocks = calloc(m->hp.n_blocks + 1, sizeof *m->blocks);
    rc = m->blocks ? fg_ref_make_scratch(m) : FG_ENOMEM;
    for (uint32_t i = 0; i < m->hp.n_blocks && !rc; i++)
        rc = fg_ref_open_block(m, i);
    if (rc) {
        fg_ref_model_destroy(m);
        return fg_fail(err, rc, "%s: out of memory", fg_gguf_name(g));
    }
    *out = m;
    return 0;
}

void fg_ref_model_destroy(struct fg_ref_model *m)
{
    if (!m)
        return;
    void *const rows[] = {m->x,          m->n,       m->qkv,    m->o, m->attn_gate,
                          m->router,     m->ff_gate, m->ff_up,  m->y, m->rope,
                          m->rope_local, m->weights, m->experts};
    for (uint32_t i = 0; m->blocks && i < m->hp.n_blocks; i++) {
        free(m->blocks[i].k_rows);
        free(m->blocks[i].v_rows);
        free(m->blocks[i].state);
        free(m->blocks[i].tail);
        free(m->blocks[i].decay);
        fg_ref_delta_finish(&m->blocks[i].delta);
    }
    free(m->blocks);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        free(rows[i]);
    fg_hparams_finish(&m->hp);
    free(m);
}

void fg_ref_model_reset(struct fg_ref_model *m)
{
    m->length = 0;
    for (uint32_t i = 0; i < m->hp.n_blocks; i++)
        if (m->blocks[i].tail)
            memset(m->blocks[i].tail, 0,
                   (m->blocks[i].s->conv.taps - 1) * m->hp.n_embd * sizeof(float));
        else if (fg_ref_is_delta(&m->blocks[i]))
            fg_ref_delta_reset(&m->blocks[i].delta);
        else if (m->blocks[i].state)
            memset(m->blocks[i].state, 0,
                   fg_ref_heads_width(&m->blocks[i]) * m->blocks[i].s->lightning.head_dim *
                       sizeof(float));
}

/* Room for `need` tokens in the softmax layers. */
static int grow(struct fg_ref_model *m, uint32_t need)
{
    uint32_t room = m->room ? m->room : 256;

    while (room < need)
        room *= 2;
    for (uint32_t i = 0; i < m->hp.n_blocks && room > m->room; i++) {
        struct fg_ref_model_block *l = &m->blocks[i];
        float *k, *v;

        if (!fg_ref_is_softmax(l))
            continue;
        k = realloc(l->k_rows, room * fg_ref_kv_width(l) * sizeof *k);
        l->k_rows = k ? k : l->k_rows;
        v = realloc(l->v_rows, room * fg_ref_kv_width(l) * sizeof *v);
        l->v_rows = v ? v : l->v_rows;
        if (!k || !v)
            return FG_ENOMEM;
    }
    m->room = room;
    return 0;
}
int fg_ref_model_feed(struct fg_ref_model *m, const int32_t *tokens, uint32_t n, float *logits,
                      uint32_t n_logits, struct fg_err *err)
{
    uint32_t vocab = m->hp.n_vocab;

    if (n_logits > n)
        return fg_fail(err, FG_EINVAL, "n_logits is %" PRIu32 ", it must be at most n, %" PRIu32,
                       n_logits, n);
    for (uint32_t t = 0; t < n; t++)
        if (tokens[t] < 0 || (uint32_t)tokens[t] >= vocab)
            return fg_fail(err, FG_EINVAL,
                           "token %" PRIu32 " is %" PRId32 ", it must be 0 to %" PRIu32, t,
                           tokens[t], vocab - 1);
    if (n > UINT32_MAX / 4 - m->length || grow(m, m->length + n))
        return fg_fail(err, FG_ENOMEM, "%s: out of memory for %" PRIu32 " tokens",
                       fg_gguf_name(m->g), n);
    while (n > 0) {
        uint32_t now = n < FG_REF_BATCH ? n : FG_REF_BATCH;
        uint32_t wanted = n_logits > n - now ? n_logits - (n - now) : 0;

        fg_ref_run_batch(m, tokens, now, logits, wanted);
        if (wanted > 0)
            logits += (size_t)wanted * vocab;
        n_logits -= wanted;
        tokens += now;
        n -= now;
    }
    return 0;
}

const struct fg_hparams *fg_ref_model_hparams(const struct fg_ref_model *m)
{
    return &m->hp;
}

uint32_t fg_ref_model_length(const struct fg_ref_model *m)
{
    return m->length;
}
