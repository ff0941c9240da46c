#include "hparams_file.h"
#include "model/gguf/quote.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* The file, and where to say what is wrong with it. */
struct source {
    const struct fg_gguf *g;
    const char *arch; /* prefix of the family's keys */
    struct fg_err *err;
};

struct key {
    char text[96];
};

static struct key key_of(const struct source *s, const char *suffix)
{
    struct key k;

    snprintf(k.text, sizeof k.text, "%s.%s", s->arch, suffix);
    return k;
}

static bool str_is(struct fg_str s, const char *text)
{
    return s.n == strlen(text) && memcmp(s.p, text, s.n) == 0;
}

/* A number, or an array with one for each layer that are all the same. FG_ENOTFOUND as it comes. */
static int get_u32(const struct source *s, const char *key, uint32_t *out, uint32_t n_layer)
{
    const int32_t *each;
    struct fg_err scalar;
    size_t n;
    int rc = fg_gguf_u32(s->g, key, out, &scalar);

    if (rc == FG_EFORMAT && fg_gguf_i32_array(s->g, key, &each, &n, NULL) == 0) {
        if (n == 0 || (n_layer > 0 && n != n_layer))
            return fg_fail(s->err, FG_EFORMAT,
                           "%s: key '%s': an array of %zu, wanted a u32 or one for each of %" PRIu32
                           " layers",
                           fg_gguf_name(s->g), key, n, n_layer);
        for (size_t i = 1; i < n; i++)
            if (each[i] != each[0])
                return fg_fail(s->err, FG_EUNSUPPORTED,
                               "%s: key '%s': layer 0 has %" PRId32 " and layer %zu has %" PRId32
                               "; only one value for all layers is supported",
                               fg_gguf_name(s->g), key, each[0], i, each[i]);
        if (each[0] < 0)
            return fg_fail(s->err, FG_EFORMAT, "%s: key '%s': is %" PRId32 ", wanted a u32",
                           fg_gguf_name(s->g), key, each[0]);
        *out = (uint32_t)each[0];
        return 0;
    }
    if (rc)
        fg_fail(s->err, rc, "%s", scalar.text);
    return rc;
}

/* The value of `suffix` within lo..hi. Without the key: *out as it is, when `optional`. */
static int read_u32(const struct source *s, const char *suffix, bool optional, uint32_t lo,
                    uint32_t hi, uint32_t *out, uint32_t n_layer)
{
    struct key k = key_of(s, suffix);
    uint32_t v = *out;
    int rc = get_u32(s, k.text, &v, n_layer);

    if (rc == FG_ENOTFOUND && !optional)
        return fg_fail(s->err, FG_EFORMAT, "%s: key '%s': it is missing; a u32 is wanted",
                       fg_gguf_name(s->g), k.text);
    if (rc && rc != FG_ENOTFOUND)
        return rc;
    if (v < lo || v > hi)
        return fg_fail(s->err, FG_EFORMAT,
                       "%s: key '%s': is %" PRIu32 ", it must be %" PRIu32 " to %" PRIu32,
                       fg_gguf_name(s->g), k.text, v, lo, hi);
    *out = v;
    return 0;
}

/* The same for a finite f32 above 0 and at most hi. */
static int read_f32(const struct source *s, const char *suffix, bool optional, float hi, float *out)
{
    struct key k = key_of(s, suffix);
    float v = *out;
    int rc = fg_gguf_f32(s->g, k.text, &v, s->err);

    if (rc == FG_ENOTFOUND && !optional)
        return fg_fail(s->err, FG_EFORMAT, "%s: key '%s': it is missing; an f32 is wanted",
                       fg_gguf_name(s->g), k.text);
    if (rc && rc != FG_ENOTFOUND)
        return rc;
    if (!isfinite(v) || v <= 0 || v > hi)
        return fg_fail(s->err, FG_EFORMAT, "%s: key '%s': is %g, it must be above 0 and at most %g",
                       fg_gguf_name(s->g), k.text, (double)v, (double)hi);
    *out = v;
    return 0;
}

static int read_family(struct source *s, struct fg_hparams *hp)
{
    char name[FG_QUOTE_BYTES];
    struct fg_str arch;
    uint32_t parts = 0;
    int rc = fg_gguf_str(s->g, "general.architecture", &arch, s->err);

    if (rc)
        return rc == FG_ENOTFOUND ? fg_fail(s->err, FG_EFORMAT,
                                            "%s: key 'general.architecture': it is missing; a "
                                            "string is wanted",
                                            fg_gguf_name(s->g))
                                  : rc;
    if (str_is(arch, "minimax-01")) {
        hp->family = FG_FAMILY_MINIMAX_01;
        s->arch = "minimax-01";
    } else if (str_is(arch, "llama")) {
        hp->family = FG_FAMILY_LLAMA;
        s->arch = "llama";
    } else {
        return fg_fail(s->err, FG_EUNSUPPORTED,
                       "%s: key 'general.architecture': '%s' is not supported; minimax-01 and "
                       "llama are",
                       fg_gguf_name(s->g), fg_quote(name, arch));
    }
    /* One part of a split model lacks tensors; the reason is better than the first of them. */
    if (fg_gguf_u32(s->g, "split.count", &parts, NULL) == 0 && parts > 1)
        return fg_fail(s->err, FG_EUNSUPPORTED,
                       "%s: key 'split.count': is %" PRIu32 "; split models are not supported, "
                       "merge the parts into one file",
                       fg_gguf_name(s->g), parts);
    return 0;
}

/* Keys that change a model's results in ways that fulgur does not compute. */
static int refuse_variants(const struct source *s, const struct fg_hparams *hp)
{
    static const struct {
        const char *suffix;
        double neutral[2]; /* values that change nothing */
        bool llama_only;
    } variants[] = {
        {"attention.sliding_window", {0, 0}, false}, {"attention.scale", {0, 0}, false},
        {"attention.clamp_kqv", {0, 0}, false},      {"attention.max_alibi_bias", {0, 0}, false},
        {"attn_logit_softcapping", {0, 0}, false},   {"final_logit_softcapping", {0, 0}, false},
        {"expert_shared_count", {0, 0}, false},      {"logit_scale", {1, 0}, false},
        {"embedding_scale", {1, 0}, false},          {"residual_scale", {1, 0}, true},
        {"rope.scaling.factor", {1, 0}, false},      {"rope.scale_linear", {1, 0}, false},
    };

    for (size_t i = 0; i < sizeof variants / sizeof variants[0]; i++) {
        struct key k = key_of(s, variants[i].suffix);
        uint32_t u = 0;
        float f = 0;
        int rc;

        if (variants[i].llama_only && hp->family != FG_FAMILY_LLAMA)
            continue;
        rc = fg_gguf_f32(s->g, k.text, &f, NULL);
        if (rc == FG_EFORMAT) {
            rc = fg_gguf_u32(s->g, k.text, &u, NULL);
            f = (float)u;
        }
        if (rc == FG_ENOTFOUND)
            continue;
        if (rc || ((double)f != variants[i].neutral[0] && (double)f != variants[i].neutral[1]))
            return fg_fail(s->err, FG_EUNSUPPORTED,
                           "%s: key '%s': is set, which is not supported; it must be absent or %g",
                           fg_gguf_name(s->g), k.text, variants[i].neutral[0]);
    }
    return 0;
}

static int read_widths(const struct source *s, struct fg_hparams *hp)
{
    int rc = read_u32(s, "block_count", false, 1, FG_MAX_LAYERS, &hp->n_layer, 0);

    if (!rc)
        rc = read_u32(s, "context_length", false, 1, FG_MAX_CTX, &hp->n_ctx_train, 0);
    if (!rc)
        rc = read_u32(s, "embedding_length", false, 1, FG_MAX_EMBD, &hp->n_embd, 0);
    if (!rc)
        rc = read_u32(s, "feed_forward_length", false, 1, FG_MAX_FF, &hp->n_ff, hp->n_layer);
    if (!rc)
        rc = read_f32(s, "attention.layer_norm_rms_epsilon", false, 1.0f, &hp->norm_eps);
    return rc;
}

static int read_heads(const struct source *s, struct fg_hparams *hp)
{
    uint32_t value_dim;
    int rc = read_u32(s, "attention.head_count", false, 1, FG_MAX_HEADS, &hp->n_head, hp->n_layer);

    if (rc)
        return rc;
    hp->n_head_kv = hp->n_head;
    rc = read_u32(s, "attention.head_count_kv", true, 1, hp->n_head, &hp->n_head_kv, hp->n_layer);
    if (rc)
        return rc;
    if (hp->n_head % hp->n_head_kv != 0)
        return fg_fail(s->err, FG_EFORMAT,
                       "%s: key '%s.attention.head_count_kv': is %" PRIu32
                       ", it must divide head_count, %" PRIu32,
                       fg_gguf_name(s->g), s->arch, hp->n_head_kv, hp->n_head);
    /* 0 when heads do not divide the width: then key_length has to be there. */
    hp->head_dim = hp->n_embd % hp->n_head == 0 ? hp->n_embd / hp->n_head : 0;
    rc = read_u32(s, "attention.key_length", true, 1, FG_MAX_HEAD_DIM, &hp->head_dim, 0);
    if (rc)
        return rc;
    value_dim = hp->head_dim;
    rc = read_u32(s, "attention.value_length", true, 1, FG_MAX_HEAD_DIM, &value_dim, 0);
    if (rc)
        return rc;
    if (value_dim != hp->head_dim)
        return fg_fail(s->err, FG_EUNSUPPORTED,
                       "%s: key '%s.attention.value_length': is %" PRIu32
                       ", but key_length is %" PRIu32 "; only equal ones are supported",
                       fg_gguf_name(s->g), s->arch, value_dim, hp->head_dim);
    if (hp->head_dim % 2 != 0)
        return fg_fail(s->err, FG_EUNSUPPORTED,
                       "%s: key '%s.attention.key_length': is %" PRIu32
                       "; only even ones are supported",
                       fg_gguf_name(s->g), s->arch, hp->head_dim);
    return 0;
}

static int read_rope(const struct source *s, struct fg_hparams *hp)
{
    bool llama = hp->family == FG_FAMILY_LLAMA;
    struct key k = key_of(s, "rope.scaling.type");
    struct fg_str scaling;
    int rc = fg_gguf_str(s->g, k.text, &scaling, s->err);

    if (rc && rc != FG_ENOTFOUND)
        return rc;
    if (!rc && !str_is(scaling, "none"))
        return fg_fail(s->err, FG_EUNSUPPORTED,
                       "%s: key '%s': rope scaling is not supported; it must be absent or 'none'",
                       fg_gguf_name(s->g), k.text);
    hp->rope_dim = hp->head_dim;
    rc = read_u32(s, "rope.dimension_count", llama, 2, hp->head_dim, &hp->rope_dim, 0);
    if (rc)
        return rc;
    if (hp->rope_dim % 2 != 0)
        return fg_fail(s->err, FG_EFORMAT,
                       "%s: key '%s.rope.dimension_count': is %" PRIu32 ", it must be even",
                       fg_gguf_name(s->g), s->arch, hp->rope_dim);
    hp->rope_neox = !llama;
    hp->rope_freq_base = 10000.0f;
    return read_f32(s, "rope.freq_base", llama, 3.4e38f, &hp->rope_freq_base);
}

static int read_experts(const struct source *s, struct fg_hparams *hp)
{
    struct key k = key_of(s, "expert_count");
    int rc;

    hp->residual_scale = 1;
    hp->post_norm = hp->family == FG_FAMILY_MINIMAX_01;
    if (hp->family == FG_FAMILY_LLAMA) {
        rc = get_u32(s, k.text, &hp->n_expert, hp->n_layer);
        if (rc && rc != FG_ENOTFOUND)
            return rc;
        if (hp->n_expert != 0)
            return fg_fail(s->err, FG_EUNSUPPORTED,
                           "%s: key '%s': is %" PRIu32 "; experts are not supported in llama "
                           "files, it must be absent or 0",
                           fg_gguf_name(s->g), k.text, hp->n_expert);
        return 0;
    }
    rc = read_u32(s, "expert_count", false, 1, FG_MAX_EXPERTS, &hp->n_expert, hp->n_layer);
    if (!rc)
        rc = read_u32(s, "expert_used_count", false, 1, hp->n_expert, &hp->n_expert_used,
                      hp->n_layer);
    if (!rc)
        rc = read_f32(s, "residual_scale", false, 3.4e38f, &hp->residual_scale);
    return rc;
}

/* Which layers are lightning attention. */
static int read_recurrent(const struct source *s, struct fg_hparams *hp)
{
    struct key k = key_of(s, "attention.recurrent_layers");
    const uint8_t *given;
    bool any = false;
    size_t n;
    int rc;

    hp->recurrent = calloc(hp->n_layer, 1);
    if (!hp->recurrent)
        return fg_fail(s->err, FG_ENOMEM, "%s: out of memory for %" PRIu32 " layers",
                       fg_gguf_name(s->g), hp->n_layer);
    if (hp->family == FG_FAMILY_LLAMA)
        return 0;
    rc = fg_gguf_bool_array(s->g, k.text, &given, &n, s->err);
    if (rc && rc != FG_ENOTFOUND)
        return rc;
    if (!rc && n != hp->n_layer)
        return fg_fail(s->err, FG_EFORMAT,
                       "%s: key '%s': has %zu elements, it must have block_count, %" PRIu32,
                       fg_gguf_name(s->g), k.text, n, hp->n_layer);
    for (uint32_t i = 0; i < hp->n_layer; i++) {
        hp->recurrent[i] = rc ? (i + 1) % 8 != 0 : given[i];
        any = any || hp->recurrent[i];
    }
    if (any && hp->n_layer < 2)
        return fg_fail(s->err, FG_EUNSUPPORTED,
                       "%s: key '%s.block_count': is 1, lightning attention needs at least 2: its "
                       "decay divides by block_count - 1",
                       fg_gguf_name(s->g), s->arch);
    return 0;
}

int fg_hparams_init(struct fg_hparams *hp, const struct fg_gguf *g, struct fg_err *err)
{
    struct source s = {.g = g, .err = err};
    int rc;

    memset(hp, 0, sizeof *hp);
    rc = read_family(&s, hp);
    if (!rc)
        rc = read_widths(&s, hp);
    if (!rc)
        rc = read_heads(&s, hp);
    if (!rc)
        rc = read_rope(&s, hp);
    if (!rc)
        rc = read_experts(&s, hp);
    if (!rc)
        rc = refuse_variants(&s, hp);
    if (!rc)
        rc = read_recurrent(&s, hp);
    if (!rc)
        rc = fg_hparams_check_tensors(hp, g, err);
    if (rc)
        fg_hparams_finish(hp);
    return rc;
}

void fg_hparams_finish(struct fg_hparams *hp)
{
    free(hp->recurrent);
    memset(hp, 0, sizeof *hp);
}
