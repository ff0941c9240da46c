/* Gemma 3, text: windows of attention in all layers but every sixth, which rotate by frequencies of
 * their own; norms of heads, norms of what a block gives, gelu gates. Names of keys and tensors:
 * llama.cpp's gguf-py. */
#include "plain_layers.h"

#include <math.h>

/* The 27B, which has 62 layers, scales its scores by the model's width a head and not by that of
 * its heads, and the file says nothing of it: query_pre_attn_scalar, 168, of the published
 * configuration, which is 5376 / 32. */
enum { LAYERS_27B = 62 };

static int read(const struct fg_keys *k, struct fg_hparams *hp)
{
    const struct fg_block_shape attention = {
        .heads = {.neox = true}, .normed_heads = true, .post = "post_attention_norm"};
    struct fg_block_shape ffn = {.gate = FG_GATE_GELU, .post = "post_ffw_norm"};
    int rc = fg_plain_dense(k, hp, &ffn);

    if (!rc)
        rc = fg_plain_layers_read(k, hp, &attention, &ffn, FG_OWN_WINDOW);
    if (!rc)
        rc = fg_keys_windows(k, 6, hp);
    hp->embd_scale = sqrtf((float)hp->n_embd);
    hp->rope_freq_base_local = 10000;
    if (!rc)
        rc = fg_key_f32(k, "rope.freq_base_swa", true, 3.4e38f, &hp->rope_freq_base_local);
    for (uint32_t i = 0; !rc && i < hp->n_layer; i++) {
        struct fg_block_shape *s = &hp->blocks[2 * i];

        s->local_rope = s->window != 0;
        if (hp->n_layer == LAYERS_27B)
            s->attend_scale = (float)(1 / sqrt((double)hp->n_embd / s->heads.n_head));
    }
    return rc;
}

const struct fg_family fg_gemma3 = {.arch = "gemma3", .read = read};
