#include "plain_layers.h"

#include <inttypes.h>

int fg_plain_dense(const struct fg_keys *k, const struct fg_hparams *hp, struct fg_block_shape *s)
{
    s->kind = &fg_dense_ffn_block;
    return fg_key_u32(k,
                      (struct fg_u32_key){"feed_forward_length", 1, FG_MAX_FF, hp->n_layer, false},
                      &s->dense.n_ff);
}

/* Biases of the layer's attention that the file has. */
static unsigned find_biases(const struct fg_keys *k, uint32_t layer)
{
    static const char *const names[] = {"attn_q", "attn_k", "attn_v", "attn_output"};
    unsigned found = 0;
    char name[64];

    for (unsigned i = 0; i < sizeof names / sizeof *names; i++) {
        snprintf(name, sizeof name, "blk.%" PRIu32 ".%s.bias", layer, names[i]);
        if (fg_gguf_tensor(k->g, name))
            found |= FG_BIAS_Q << i;
    }
    return found;
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

int fg_plain_layers_read(const struct fg_keys *k, struct fg_hparams *hp,
                         const struct fg_block_shape *attention, const struct fg_block_shape *ffn,
                         unsigned own)
{
    struct fg_block_shape mixer = *attention, after = *ffn;
    int rc = fg_keys_heads(k, hp->n_embd, hp->n_layer, &mixer.heads);

    if (!rc)
        rc = fg_keys_rope(k, false, &mixer.heads, hp);
    if (!rc)
        rc = fg_keys_refuse_variants_but(k, own);
    if (!rc)
        rc = fg_family_blocks(k, hp);
    mixer.kind = &fg_softmax_attention_block;
    for (uint32_t i = 0; !rc && i < hp->n_layer; i++) {
        mixer.biases = attention->biases | find_biases(k, i);
        if (ffn->kind == &fg_moe_block)
            after.moe.fused = fg_keys_fused_experts(k, i);
        add(hp, mixer, i, "attn_norm");
        add(hp, after, i, ffn->norm ? ffn->norm : "ffn_norm");
    }
    return rc;
}
