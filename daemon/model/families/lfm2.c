/* LFM2, dense: short convolutions, and softmax attention with norms of heads in the layers that
 * have heads of keys. Names of keys and tensors: llama.cpp's gguf-py. */
#include "family.h"

#include <inttypes.h>

/* What all layers have in common. */
struct common {
    struct fg_block_shape softmax, conv, ffn;
    const int32_t *n_head_kv; /* [n_layer]; 0: the layer is a convolution */
};

static int read_layers(const struct fg_keys *k, const struct fg_hparams *hp, struct common *c)
{
    struct fg_key key = fg_key_of(k, "attention.head_count_kv");
    uint32_t n_head = c->softmax.heads.n_head;
    size_t n;
    int rc = fg_gguf_i32_array(k->g, key.text, &c->n_head_kv, &n, k->err);

    if (rc)
        return rc == FG_ENOTFOUND ? fg_fail(k->err, FG_EFORMAT,
                                            "%s: key '%s': it is missing; a number for each layer "
                                            "is wanted",
                                            fg_gguf_name(k->g), key.text)
                                  : rc;
    if (n != hp->n_layer)
        return fg_fail(k->err, FG_EFORMAT,
                       "%s: key '%s': has %zu elements, it must have block_count, %" PRIu32,
                       fg_gguf_name(k->g), key.text, n, hp->n_layer);
    for (size_t i = 0; i < n; i++)
        if (c->n_head_kv[i] < 0 || (uint32_t)c->n_head_kv[i] > n_head ||
            (c->n_head_kv[i] && n_head % (uint32_t)c->n_head_kv[i]))
            return fg_fail(k->err, FG_EFORMAT,
                           "%s: key '%s': layer %zu has %" PRId32
                           ", it must be 0 or divide head_count, %" PRIu32,
                           fg_gguf_name(k->g), key.text, i, c->n_head_kv[i], n_head);
    return 0;
}

static int read_common(const struct fg_keys *k, struct fg_hparams *hp, struct common *c)
{
    struct fg_heads *h = &c->softmax.heads;
    int rc = fg_key_u32(
        k, (struct fg_u32_key){"attention.head_count", 1, FG_MAX_HEADS, hp->n_layer, false},
        &h->n_head);

    h->neox = true;
    if (!rc)
        rc = fg_keys_head_dim(k, hp->n_embd, h);
    if (!rc)
        rc = fg_keys_rope(k, false, h, hp);
    if (!rc)
        rc = read_layers(k, hp, c);
    if (!rc)
        rc = fg_key_u32(k, (struct fg_u32_key){"shortconv.l_cache", 2, 16, 0, false},
                        &c->conv.conv.taps);
    if (!rc)
        rc = fg_key_u32(
            k, (struct fg_u32_key){"feed_forward_length", 1, FG_MAX_FF, hp->n_layer, false},
            &c->ffn.dense.n_ff);
    return rc ? rc : fg_keys_refuse_variants(k, true);
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

static int read(const struct fg_keys *k, struct fg_hparams *hp)
{
    struct common c = {.softmax = {.kind = &fg_softmax_attention_block, .normed_heads = true},
                       .conv = {.kind = &fg_short_conv_block},
                       .ffn = {.kind = &fg_dense_ffn_block}};
    int rc = read_common(k, hp, &c);

    hp->output_norm = "token_embd_norm"; /* that is what it is called in these files */
    if (!rc)
        rc = fg_family_blocks(k, hp);
    for (uint32_t i = 0; !rc && i < hp->n_layer; i++) {
        c.softmax.heads.n_head_kv = (uint32_t)c.n_head_kv[i];
        add(hp, c.n_head_kv[i] ? c.softmax : c.conv, i, "attn_norm");
        add(hp, c.ffn, i, "ffn_norm");
    }
    return rc;
}

const struct fg_family fg_lfm2 = {.arch = "lfm2", .read = read};
