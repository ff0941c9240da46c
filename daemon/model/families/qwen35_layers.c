#include "qwen35_layers.h"

#include <inttypes.h>
#include <stdlib.h>

/* What all layers have in common. */
struct common {
    struct fg_block_shape softmax, delta;
    uint32_t interval;        /* every such layer is softmax attention */
    const uint8_t *recurrent; /* [n_layer], or NULL: the interval says it */
};

/* The layers behind the others predict tokens further on: they are left out. */
static int leave_out(const struct fg_keys *k, struct fg_hparams *hp)
{
    uint32_t n = 0;
    int rc =
        fg_key_u32(k, (struct fg_u32_key){"nextn_predict_layers", 0, hp->n_layer - 1, 0, true}, &n);

    hp->n_layer -= n;
    hp->n_left_out = n;
    return rc;
}

/* In text all sections of a position are the same number, and so is the rotation, whatever they
 * are; what cannot be sections is refused. */
static int read_sections(const struct fg_keys *k)
{
    struct fg_key key = fg_key_of(k, "rope.dimension_sections");
    const int32_t *v;
    size_t n;
    int rc = fg_gguf_i32_array(k->g, key.text, &v, &n, k->err);

    if (rc)
        return rc == FG_ENOTFOUND ? 0 : rc;
    for (size_t i = 0; i < n; i++)
        if (v[i] < 0 || n > 4)
            return fg_fail(k->err, FG_EFORMAT,
                           "%s: key '%s': it must be at most 4 numbers, none below 0",
                           fg_gguf_name(k->g), key.text);
    return 0;
}

static int read_softmax(const struct fg_keys *k, struct fg_hparams *hp, struct fg_heads *h)
{
    uint32_t in_file = hp->n_layer + hp->n_left_out;
    int rc = fg_keys_heads(k, hp->n_embd, in_file, h);

    if (!rc)
        rc = fg_keys_rope(k, true, h, hp);
    h->neox = true;
    return rc ? rc : read_sections(k);
}

/* Which layers are recurrent. */
static int read_pattern(const struct fg_keys *k, const struct fg_hparams *hp, struct common *c)
{
    uint32_t in_file = hp->n_layer + hp->n_left_out;
    struct fg_key key = fg_key_of(k, "attention.recurrent_layers");
    size_t n;
    int rc = fg_gguf_bool_array(k->g, key.text, &c->recurrent, &n, k->err);

    if (!rc && n != in_file && n != hp->n_layer)
        return fg_fail(k->err, FG_EFORMAT,
                       "%s: key '%s': has %zu elements, it must have block_count, %" PRIu32,
                       fg_gguf_name(k->g), key.text, n, in_file);
    if (rc && rc != FG_ENOTFOUND)
        return rc;
    if (rc)
        c->recurrent = NULL;
    c->interval = 4;
    return fg_key_u32(k, (struct fg_u32_key){"full_attention_interval", 1, FG_MAX_LAYERS, 0, true},
                      &c->interval);
}

static bool is_recurrent(const struct common *c, uint32_t layer)
{
    return c->recurrent ? c->recurrent[layer] : (layer + 1) % c->interval != 0;
}

static void add(struct fg_hparams *hp, struct fg_block_shape s, uint32_t layer, const char *norm)
{
    s.layer = layer;
    s.norm = norm;
    s.n_embd = hp->n_embd;
    s.norm_eps = hp->norm_eps;
    s.residual_scale = 1;
    hp->blocks[hp->n_blocks++] = s;
}

int fg_qwen35_read(const struct fg_keys *k, struct fg_hparams *hp, const struct fg_block_shape *ffn,
                   unsigned own)
{
    struct common c = {
        .softmax = {.kind = &fg_softmax_attention_block, .gated_heads = true, .normed_heads = true},
        .delta = {.kind = &fg_delta_rule_block}};
    struct fg_block_shape after = *ffn;
    int rc = leave_out(k, hp);

    if (!rc)
        rc = read_softmax(k, hp, &c.softmax.heads);
    if (!rc)
        rc = fg_keys_delta(k, &c.delta.delta);
    if (!rc)
        rc = read_pattern(k, hp, &c);
    if (!rc)
        rc = fg_keys_refuse_variants_but(k, own | FG_OWN_LEFT_OUT);
    if (!rc)
        rc = fg_family_blocks(k, hp);
    for (uint32_t i = 0; !rc && i < hp->n_layer; i++) {
        add(hp, is_recurrent(&c, i) ? c.delta : c.softmax, i, "attn_norm");
        if (ffn->kind == &fg_moe_block)
            after.moe.fused = fg_keys_fused_experts(k, i);
        add(hp, after, i, "post_attention_norm");
    }
    return rc;
}
