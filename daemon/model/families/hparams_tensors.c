#include "hparams_file.h"
#include "model/gguf/quote.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

enum { ANY_TYPE = -1 };

/* The tensor `name` of shape ne0 x ne1 x ne2 (1 where unused) and of `type`, or FG_EFORMAT. */
static int want(const struct fg_gguf *g, const char *name, int type, uint64_t ne0, uint64_t ne1,
                uint64_t ne2, struct fg_err *err)
{
    const struct fg_tensor *t = fg_gguf_tensor(g, name);

    if (!t)
        return fg_fail(err, FG_EFORMAT,
                       "%s: tensor '%s': it is missing; one of shape [%" PRIu64 ", %" PRIu64
                       ", %" PRIu64 "] is wanted",
                       fg_gguf_name(g), name, ne0, ne1, ne2);
    if (t->ne[0] != ne0 || t->ne[1] != ne1 || t->ne[2] != ne2 || t->ne[3] != 1)
        return fg_fail(err, FG_EFORMAT,
                       "%s: tensor '%s': its shape is [%" PRIu64 ", %" PRIu64 ", %" PRIu64
                       ", %" PRIu64 "], it must be [%" PRIu64 ", %" PRIu64 ", %" PRIu64 ", 1]",
                       fg_gguf_name(g), name, t->ne[0], t->ne[1], t->ne[2], t->ne[3], ne0, ne1,
                       ne2);
    if (type != ANY_TYPE && (int)t->type != type)
        return fg_fail(err, FG_EUNSUPPORTED, "%s: tensor '%s': its type is %s, it must be %s",
                       fg_gguf_name(g), name, fg_dtype_name(t->type),
                       fg_dtype_name((enum fg_dtype)type));
    return 0;
}

/* One tensor of a layer. */
struct part {
    const char *name;
    int type;
    uint64_t ne[3];
};

static int want_parts(const struct fg_gguf *g, uint32_t layer, const struct part *parts, size_t n,
                      struct fg_err *err)
{
    char name[80];

    for (size_t i = 0; i < n; i++) {
        int rc;

        snprintf(name, sizeof name, "blk.%" PRIu32 ".%s.weight", layer, parts[i].name);
        rc = want(g, name, parts[i].type, parts[i].ne[0], parts[i].ne[1], parts[i].ne[2], err);
        if (rc)
            return rc;
    }
    return 0;
}

#define COUNT(a) (sizeof(a) / sizeof(a)[0])

static int check_layer(const struct fg_hparams *hp, uint32_t layer, const struct fg_gguf *g,
                       struct fg_err *err)
{
    uint64_t embd = hp->n_embd, ff = hp->n_ff, experts = hp->n_expert;
    uint64_t heads = (uint64_t)hp->n_head * hp->head_dim;
    uint64_t kv = (uint64_t)hp->n_head_kv * hp->head_dim;
    const struct part norms[] = {
        {"attn_norm", FG_F32, {embd, 1, 1}},
        {"ffn_norm", FG_F32, {embd, 1, 1}},
    };
    const struct part lightning[] = {
        {"attn_qkv", ANY_TYPE, {embd, 3 * heads, 1}},
        {"attn_gate", ANY_TYPE, {embd, heads, 1}},
        {"attn_norm_2", FG_F32, {heads, 1, 1}},
        {"attn_output", ANY_TYPE, {heads, embd, 1}},
    };
    const struct part softmax[] = {
        {"attn_q", ANY_TYPE, {embd, heads, 1}},
        {"attn_k", ANY_TYPE, {embd, kv, 1}},
        {"attn_v", ANY_TYPE, {embd, kv, 1}},
        {"attn_output", ANY_TYPE, {heads, embd, 1}},
    };
    const struct part dense[] = {
        {"ffn_gate", ANY_TYPE, {embd, ff, 1}},
        {"ffn_up", ANY_TYPE, {embd, ff, 1}},
        {"ffn_down", ANY_TYPE, {ff, embd, 1}},
    };
    const struct part moe[] = {
        {"ffn_gate_inp", ANY_TYPE, {embd, experts, 1}},
        {"ffn_gate_exps", ANY_TYPE, {embd, ff, experts}},
        {"ffn_up_exps", ANY_TYPE, {embd, ff, experts}},
        {"ffn_down_exps", ANY_TYPE, {ff, embd, experts}},
    };
    int rc = want_parts(g, layer, norms, COUNT(norms), err);

    if (!rc)
        rc = hp->recurrent[layer] ? want_parts(g, layer, lightning, COUNT(lightning), err)
                                  : want_parts(g, layer, softmax, COUNT(softmax), err);
    if (!rc)
        rc = experts ? want_parts(g, layer, moe, COUNT(moe), err)
                     : want_parts(g, layer, dense, COUNT(dense), err);
    return rc;
}

static bool ends_with(struct fg_str s, const char *end)
{
    size_t n = strlen(end);

    return s.n >= n && memcmp(s.p + s.n - n, end, n) == 0;
}

/* Other tensors are ignored, but these take part in the result. */
static int refuse_variants(const struct fg_hparams *hp, const struct fg_gguf *g, struct fg_err *err)
{
    static const struct {
        const char *end, *what;
    } variants[] = {
        {".bias", "biases are"},
        {".attn_q_norm.weight", "norms of q are"},
        {".attn_k_norm.weight", "norms of k are"},
        {"_shexp.weight", "shared experts are"},
        {"rope_factors_long.weight", "these rotary factors are"},
        {"rope_factors_short.weight", "these rotary factors are"},
    };

    for (uint64_t i = 0; i < fg_gguf_tensor_count(g); i++) {
        struct fg_str name = fg_gguf_tensor_at(g, i)->name;
        char quote[FG_QUOTE_BYTES];

        for (size_t v = 0; v < COUNT(variants); v++)
            if (ends_with(name, variants[v].end))
                return fg_fail(err, FG_EUNSUPPORTED, "%s: tensor '%s': %s not supported",
                               fg_gguf_name(g), fg_quote(quote, name), variants[v].what);
    }
    if (hp->family != FG_FAMILY_LLAMA && fg_gguf_tensor(g, "rope_freqs.weight"))
        return fg_fail(err, FG_EUNSUPPORTED,
                       "%s: tensor 'rope_freqs.weight': rotary factors are supported in llama "
                       "files only",
                       fg_gguf_name(g));
    return 0;
}

/* Rows of token_embd, which the tokenizer and the head must agree with. */
static int check_vocab(struct fg_hparams *hp, const struct fg_gguf *g, struct fg_err *err)
{
    const struct fg_tensor *embd = fg_gguf_tensor(g, "token_embd.weight");
    const struct fg_str *tokens;
    size_t n;
    int rc;

    if (embd && (embd->ne[1] < 1 || embd->ne[1] > FG_MAX_VOCAB))
        return fg_fail(err, FG_EFORMAT,
                       "%s: tensor 'token_embd.weight': it has %" PRIu64
                       " rows, there must be 1 to %u",
                       fg_gguf_name(g), embd->ne[1], FG_MAX_VOCAB);
    hp->n_vocab = embd ? (uint32_t)embd->ne[1] : 1;
    rc = want(g, "token_embd.weight", ANY_TYPE, hp->n_embd, hp->n_vocab, 1, err);
    if (rc)
        return rc;
    rc = fg_gguf_str_array(g, "tokenizer.ggml.tokens", &tokens, &n, err);
    if (rc && rc != FG_ENOTFOUND)
        return rc;
    if (!rc && n != hp->n_vocab)
        return fg_fail(err, FG_EFORMAT,
                       "%s: key 'tokenizer.ggml.tokens': has %zu elements, but token_embd.weight "
                       "has %" PRIu32 " rows; they must be equal",
                       fg_gguf_name(g), n, hp->n_vocab);
    hp->tied_output = !fg_gguf_tensor(g, "output.weight");
    if (!hp->tied_output)
        return want(g, "output.weight", ANY_TYPE, hp->n_embd, hp->n_vocab, 1, err);
    return 0;
}

static int check_rope_factors(struct fg_hparams *hp, const struct fg_gguf *g, struct fg_err *err)
{
    const struct fg_tensor *t = fg_gguf_tensor(g, "rope_freqs.weight");
    uint32_t n = hp->rope_dim / 2;
    int rc;

    if (!t)
        return 0;
    rc = want(g, "rope_freqs.weight", FG_F32, n, 1, 1, err);
    if (rc)
        return rc;
    hp->rope_factors = t->data; /* aligned: the data section's alignment is at least 8 */
    for (uint32_t i = 0; i < n; i++)
        if (!isfinite(hp->rope_factors[i]) || hp->rope_factors[i] <= 0)
            return fg_fail(err, FG_EFORMAT,
                           "%s: tensor 'rope_freqs.weight': element %" PRIu32
                           " is %g, it must be finite and above 0",
                           fg_gguf_name(g), i, (double)hp->rope_factors[i]);
    return 0;
}

int fg_hparams_check_tensors(struct fg_hparams *hp, const struct fg_gguf *g, struct fg_err *err)
{
    int rc = refuse_variants(hp, g, err);

    if (!rc)
        rc = check_vocab(hp, g, err);
    if (!rc)
        rc = want(g, "output_norm.weight", FG_F32, hp->n_embd, 1, 1, err);
    for (uint32_t i = 0; i < hp->n_layer && !rc; i++)
        rc = check_layer(hp, i, g, err);
    if (!rc)
        rc = check_rope_factors(hp, g, err);
    return rc;
}
