/* MiniMax-Text-01 and MiniMax-M1: lightning attention with softmax attention in every eighth layer,
 * mixtures of experts, the normed input as the residual. */
#include "family.h"

#include <inttypes.h>
#include <stdlib.h>

/* Which layers are lightning attention: [n_layer], the caller's. */
static int read_recurrent(const struct fg_keys *k, uint32_t n_layer, uint8_t **out)
{
    struct fg_key key = fg_key_of(k, "attention.recurrent_layers");
    const uint8_t *given;
    uint8_t *all;
    bool any = false;
    size_t n;
    int rc = fg_gguf_bool_array(k->g, key.text, &given, &n, k->err);

    if (rc && rc != FG_ENOTFOUND)
        return rc;
    if (!rc && n != n_layer)
        return fg_fail(k->err, FG_EFORMAT,
                       "%s: key '%s': has %zu elements, it must have block_count, %" PRIu32,
                       fg_gguf_name(k->g), key.text, n, n_layer);
    all = calloc(n_layer, 1);
    if (!all)
        return fg_fail(k->err, FG_ENOMEM, "%s: out of memory for %" PRIu32 " layers",
                       fg_gguf_name(k->g), n_layer);
    for (uint32_t i = 0; i < n_layer; i++) {
        all[i] = rc ? (i + 1) % 8 != 0 : given[i];
        any = any || all[i];
    }
    if (any && n_layer < 2) {
        free(all);
        return fg_fail(k->err, FG_EUNSUPPORTED,
                       "%s: key '%s.block_count': is 1, lightning attention needs at least 2: its "
                       "decay divides by block_count - 1",
                       fg_gguf_name(k->g), k->arch);
    }
    *out = all;
    return 0;
}

/* What all layers have in common. */
struct common {
    struct fg_heads heads;
    uint32_t n_ff, n_expert, n_used;
    float residual_scale;
};

static int read_common(const struct fg_keys *k, struct fg_hparams *hp, struct common *c)
{
    uint32_t n = hp->n_layer;
    int rc =
        fg_key_u32(k, (struct fg_u32_key){"feed_forward_length", 1, FG_MAX_FF, n, false}, &c->n_ff);
    if (!rc)
        rc = fg_keys_heads(k, hp->n_embd, n, &c->heads);
    if (!rc)
        rc = fg_keys_rope(k, true, &c->heads, hp);
    if (!rc)
        rc = fg_key_u32(k, (struct fg_u32_key){"expert_count", 1, FG_MAX_EXPERTS, n, false},
                        &c->n_expert);
    if (!rc)
        rc = fg_key_u32(k, (struct fg_u32_key){"expert_used_count", 1, c->n_expert, n, false},
                        &c->n_used);
    if (!rc)
        rc = fg_key_f32(k, "residual_scale", false, 3.4e38f, &c->residual_scale);
    c->heads.neox = true;
    return rc;
}

static struct fg_block_shape base(const struct fg_hparams *hp, const struct common *c,
                                  uint32_t layer, const char *norm)
{
    return (struct fg_block_shape){.layer = layer,
                                   .norm = norm,
                                   .n_embd = hp->n_embd,
                                   .norm_eps = hp->norm_eps,
                                   .residual_scale = c->residual_scale,
                                   .post_norm = true};
}

static int read(const struct fg_keys *k, struct fg_hparams *hp)
{
    struct common c = {.n_ff = 0};
    uint8_t *recurrent = NULL;
    int rc = read_common(k, hp, &c);

    if (!rc)
        rc = fg_keys_refuse_variants(k, false);
    if (!rc)
        rc = read_recurrent(k, hp->n_layer, &recurrent);
    if (!rc)
        rc = fg_family_blocks(k, hp);
    for (uint32_t i = 0; !rc && i < hp->n_layer; i++) {
        struct fg_block_shape mixer = base(hp, &c, i, "attn_norm");
        struct fg_block_shape ffn = base(hp, &c, i, "ffn_norm");

        mixer.kind = recurrent[i] ? &fg_lightning_block : &fg_softmax_attention_block;
        if (recurrent[i]) {
            mixer.lightning.n_head = c.heads.n_head;
            mixer.lightning.head_dim = c.heads.head_dim;
            mixer.lightning.index = i;
            mixer.lightning.count = hp->n_layer;
        } else {
            mixer.heads = c.heads;
        }
        ffn.kind = &fg_moe_block;
        ffn.moe.n_ff = c.n_ff;
        ffn.moe.n_expert = c.n_expert;
        ffn.moe.n_used = c.n_used;
        hp->blocks[hp->n_blocks++] = mixer;
        hp->blocks[hp->n_blocks++] = ffn;
    }
    free(recurrent);
    return rc;
}

const struct fg_family fg_minimax_01 = {.arch = "minimax-01", .read = read};
