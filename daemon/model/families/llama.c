/* Llama and its kin: softmax attention and a dense feed-forward in every layer. */
#include "family.h"

#include <inttypes.h>

/* Files of mixtures of experts say so here. */
static int refuse_experts(const struct fg_keys *k, uint32_t n_layer)
{
    uint32_t n = 0;
    struct fg_key key = fg_key_of(k, "expert_count");
    int rc = fg_key_u32(k, (struct fg_u32_key){"expert_count", 0, UINT32_MAX, n_layer, true}, &n);

    if (!rc && n != 0)
        rc = fg_fail(k->err, FG_EUNSUPPORTED,
                     "%s: key '%s': is %" PRIu32 "; experts are not supported in llama files, it "
                     "must be absent or 0",
                     fg_gguf_name(k->g), key.text, n);
    return rc;
}

static int read(const struct fg_keys *k, struct fg_hparams *hp)
{
    struct fg_heads heads = {.neox = false};
    uint32_t n_ff = 0;
    int rc = fg_key_u32(
        k, (struct fg_u32_key){"feed_forward_length", 1, FG_MAX_FF, hp->n_layer, false}, &n_ff);

    if (!rc)
        rc = fg_keys_heads(k, hp->n_embd, hp->n_layer, &heads);
    if (!rc)
        rc = fg_keys_rope(k, false, &heads, &hp->rope_freq_base);
    if (!rc)
        rc = refuse_experts(k, hp->n_layer);
    if (!rc)
        rc = fg_keys_refuse_variants(k, true);
    if (!rc)
        rc = fg_family_blocks(k, hp);
    hp->rope_dim = heads.rope_dim;
    for (uint32_t i = 0; !rc && i < hp->n_layer; i++) {
        struct fg_block_shape b = {
            .layer = i, .n_embd = hp->n_embd, .norm_eps = hp->norm_eps, .residual_scale = 1};
        b.kind = &fg_softmax_attention_block;
        b.norm = "attn_norm";
        b.heads = heads;
        hp->blocks[hp->n_blocks++] = b;
        b.kind = &fg_dense_ffn_block;
        b.norm = "ffn_norm";
        b.dense.n_ff = n_ff;
        hp->blocks[hp->n_blocks++] = b;
    }
    return rc;
}

const struct fg_family fg_llama = {.arch = "llama", .read = read, .rope_factors = true};
