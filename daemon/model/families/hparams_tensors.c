#include "hparams_tensors.h"

#include "family.h"
#include "model/gguf/quote.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

enum { ANY_TYPE = -1 };

/* The tensor `name` of shape ne[3] (1 where unused) and of `type`, or FG_EFORMAT. */
static int want(const struct fg_gguf *g, const char *name, int type, const uint64_t ne[3],
                struct fg_err *err)
{
    const struct fg_tensor *t = fg_gguf_tensor(g, name);

    if (!t)
        return fg_fail(err, FG_EFORMAT,
                       "%s: tensor '%s': it is missing; one of shape [%" PRIu64 ", %" PRIu64
                       ", %" PRIu64 "] is wanted",
                       fg_gguf_name(g), name, ne[0], ne[1], ne[2]);
    if (t->ne[0] != ne[0] || t->ne[1] != ne[1] || t->ne[2] != ne[2] || t->ne[3] != 1)
        return fg_fail(err, FG_EFORMAT,
                       "%s: tensor '%s': its shape is [%" PRIu64 ", %" PRIu64 ", %" PRIu64
                       ", %" PRIu64 "], it must be [%" PRIu64 ", %" PRIu64 ", %" PRIu64 ", 1]",
                       fg_gguf_name(g), name, t->ne[0], t->ne[1], t->ne[2], t->ne[3], ne[0], ne[1],
                       ne[2]);
    if (type != ANY_TYPE && (int)t->type != type)
        return fg_fail(err, FG_EUNSUPPORTED, "%s: tensor '%s': its type is %s, it must be %s",
                       fg_gguf_name(g), name, fg_dtype_name(t->type),
                       fg_dtype_name((enum fg_dtype)type));
    return 0;
}

#define COUNT(a) (sizeof(a) / sizeof(a)[0])

static int want_table(const struct fg_gguf *g, int layer, const struct fg_tensor_table *t,
                      struct fg_err *err)
{
    char name[FG_TENSOR_NAME];
    int rc = 0;

    for (uint32_t i = 0; !rc && i < t->n; i++) {
        const struct fg_tensor_row *row = &t->rows[i];

        fg_tensor_row_name(name, layer, row);
        rc = want(g, name, row->vector ? FG_F32 : ANY_TYPE, row->ne, err);
    }
    return rc;
}

static bool ends_with(struct fg_str s, const char *end)
{
    size_t n = strlen(end);

    return s.n >= n && memcmp(s.p + s.n - n, end, n) == 0;
}

/* Whether a block wants the tensor. */
static bool is_wanted(const struct fg_hparams *hp, struct fg_str name)
{
    char own[FG_TENSOR_NAME];
    struct fg_str stem = name;

    if (ends_with(name, ".weight"))
        stem.n -= strlen(".weight");
    for (uint32_t b = 0; b < hp->n_blocks; b++) {
        struct fg_tensor_table t;

        fg_block_tensors(&hp->blocks[b], &t);
        for (uint32_t i = 0; i < t.n; i++) {
            if (!ends_with(stem, t.rows[i].name))
                continue;
            fg_tensor_row_name(own, (int)hp->blocks[b].layer, &t.rows[i]);
            if (fg_str_is(name, own))
                return true;
        }
    }
    return false;
}

/* Whether the tensor is of a layer that is left out. */
static bool is_left_out(const struct fg_hparams *hp, struct fg_str name)
{
    uint64_t layer = 0;
    size_t i = 4;

    if (name.n < 5 || memcmp(name.p, "blk.", 4) != 0)
        return false;
    for (; i < name.n && name.p[i] >= '0' && name.p[i] <= '9' && layer < FG_MAX_LAYERS; i++)
        layer = 10 * layer + (uint64_t)(name.p[i] - '0');
    return i > 4 && i < name.n && name.p[i] == '.' && layer >= hp->n_layer &&
           layer - hp->n_layer < hp->n_left_out;
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
        {".attn_sinks.weight", "sinks of attention are"},
        {".attn_sinks", "sinks of attention are"},
        {".post_attention_norm.weight", "norms behind a block are"},
        {".post_ffw_norm.weight", "norms behind a block are"},
        {"_sub_norm.weight", "norms inside a block are"},
        {".scale", "scales of tensors are"},
        {"rope_factors_long.weight", "these rotary factors are"},
        {"rope_factors_short.weight", "these rotary factors are"},
    };

    for (uint64_t i = 0; i < fg_gguf_tensor_count(g); i++) {
        const struct fg_tensor *t = fg_gguf_tensor_at(g, i);
        struct fg_str name = t->name;
        char quote[FG_QUOTE_BYTES];

        for (size_t v = 0; v < COUNT(variants); v++)
            if (ends_with(name, variants[v].end) && !is_wanted(hp, name) &&
                !is_left_out(hp, name) && !fg_gguf_is_scale(g, t))
                return fg_fail(err, FG_EUNSUPPORTED, "%s: tensor '%s': %s not supported",
                               fg_gguf_name(g), fg_quote(quote, name), variants[v].what);
    }
    if (!hp->family->rope_factors && fg_gguf_tensor(g, "rope_freqs.weight"))
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
    struct fg_tensor_table t = {.n = 0};
    size_t n;
    int rc;

    if (embd && (embd->ne[1] < 1 || embd->ne[1] > FG_MAX_VOCAB))
        return fg_fail(err, FG_EFORMAT,
                       "%s: tensor 'token_embd.weight': it has %" PRIu64
                       " rows, there must be 1 to %u",
                       fg_gguf_name(g), embd->ne[1], FG_MAX_VOCAB);
    hp->n_vocab = embd ? (uint32_t)embd->ne[1] : 1;
    hp->tied_output = !fg_gguf_tensor(g, "output.weight");
    fg_model_tensors(hp, &t);
    rc = want_table(g, -1, &t, err);
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
    return 0;
}

static int check_rope_factors(struct fg_hparams *hp, const struct fg_gguf *g, struct fg_err *err)
{
    const struct fg_tensor *t = fg_gguf_tensor(g, "rope_freqs.weight");
    uint32_t n = hp->rope_dim / 2;
    int rc;

    if (!t)
        return 0;
    rc = want(g, "rope_freqs.weight", FG_F32, (const uint64_t[]){n, 1, 1}, err);
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
    for (uint32_t i = 0; i < hp->n_blocks && !rc; i++) {
        struct fg_tensor_table t;

        fg_block_tensors(&hp->blocks[i], &t);
        rc = want_table(g, (int)hp->blocks[i].layer, &t, err);
    }
    if (!rc)
        rc = check_rope_factors(hp, g, err);
    return rc;
}

void fg_model_tensors(const struct fg_hparams *hp, struct fg_tensor_table *t)
{
    fg_table_matrix(t, 0, "token_embd", hp->n_embd, hp->n_vocab);
    if (!hp->tied_output)
        fg_table_matrix(t, 1, "output", hp->n_embd, hp->n_vocab);
    fg_table_vector(t, FG_NORM_SLOT, hp->output_norm, hp->n_embd);
}
