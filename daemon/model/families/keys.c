#include "keys.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

bool fg_str_is(struct fg_str s, const char *text)
{
    return s.n == strlen(text) && memcmp(s.p, text, s.n) == 0;
}

struct fg_key fg_key_of(const struct fg_keys *s, const char *suffix)
{
    struct fg_key k;

    snprintf(k.text, sizeof k.text, "%s.%s", s->arch, suffix);
    return k;
}

/* A number, or an array with one for each layer that are all the same. FG_ENOTFOUND as it comes. */
static int get_u32(const struct fg_keys *s, const char *key, uint32_t *out, uint32_t n_layer)
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

int fg_key_u32(const struct fg_keys *s, struct fg_u32_key key, uint32_t *out)
{
    struct fg_key k = fg_key_of(s, key.suffix);
    uint32_t v = *out;
    int rc = get_u32(s, k.text, &v, key.n_layer);

    if (rc == FG_ENOTFOUND && !key.optional)
        return fg_fail(s->err, FG_EFORMAT, "%s: key '%s': it is missing; a u32 is wanted",
                       fg_gguf_name(s->g), k.text);
    if (rc && rc != FG_ENOTFOUND)
        return rc;
    if (v < key.lo || v > key.hi)
        return fg_fail(s->err, FG_EFORMAT,
                       "%s: key '%s': is %" PRIu32 ", it must be %" PRIu32 " to %" PRIu32,
                       fg_gguf_name(s->g), k.text, v, key.lo, key.hi);
    *out = v;
    return 0;
}

int fg_key_f32(const struct fg_keys *s, const char *suffix, bool optional, float hi, float *out)
{
    struct fg_key k = fg_key_of(s, suffix);
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

int fg_keys_refuse_variants(const struct fg_keys *s, bool residual_scale)
{
    return fg_keys_refuse_variants_but(s, residual_scale ? 0 : FG_OWN_RESIDUAL_SCALE);
}

/* Those whose neutral value is no number, or another key's. */
static int refuse_more(const struct fg_keys *s, unsigned own)
{
    const struct fg_key context = fg_key_of(s, "context_length");
    uint32_t window = 0, most = 0;
    int rc = fg_key_refuse_bool(s, "attention.causal", true);

    if (!rc)
        rc = fg_key_refuse_bool(s, "use_parallel_residual", false);
    if (!rc)
        rc = fg_key_refuse_bool(s, "expert_weights_norm", true);
    if (!rc)
        rc = fg_key_u32(s, (struct fg_u32_key){"attention.sliding_window", 0, UINT32_MAX, 0, true},
                        &window);
    if (rc || window == 0 || own & FG_OWN_WINDOW)
        return rc;
    rc = fg_gguf_u32(s->g, context.text, &most, NULL);
    if (rc || window < most)
        return fg_fail(s->err, FG_EUNSUPPORTED,
                       "%s: key '%s.attention.sliding_window': is %" PRIu32
                       ", which is not supported; it must be absent, 0 or at least context_length",
                       fg_gguf_name(s->g), s->arch, window);
    return 0;
}

int fg_keys_refuse_variants_but(const struct fg_keys *s, unsigned own)
{
    static const struct {
        const char *suffix;
        double neutral[2]; /* values that change nothing */
        unsigned own;      /* its bit */
    } variants[] = {
        {"attention.scale", {0, 0}, 0},
        {"attention.clamp_kqv", {0, 0}, 0},
        {"attention.max_alibi_bias", {0, 0}, 0},
        {"attention.temperature_scale", {0, 0}, 0},
        {"attention.output_scale", {1, 0}, 0},
        {"router_logit_softcapping", {0, 0}, 0},
        {"attention.q_lora_rank", {0, 0}, 0},
        {"attention.kv_lora_rank", {0, 0}, 0},
        {"attention.shared_kv_layers", {0, 0}, 0},
        {"attn_logit_softcapping", {0, 0}, 0},
        {"final_logit_softcapping", {0, 0}, 0},
        {"expert_shared_count", {0, 0}, FG_OWN_SHARED_COUNT},
        {"expert_gating_func", {1, 0}, FG_OWN_GATING}, /* a softmax over all */
        {"expert_weights_scale", {1, 0}, 0},
        {"expert_group_count", {0, 1}, 0},
        {"leading_dense_block_count", {0, 0}, 0},
        {"logit_scale", {1, 0}, 0},
        {"embedding_scale", {1, 0}, 0},
        {"residual_scale", {1, 0}, FG_OWN_RESIDUAL_SCALE},
        {"rope.scaling.yarn_log_multiplier", {0, 0}, 0},
        {"rope.scaling.alpha", {0, 0}, 0},
        {"nextn_predict_layers", {0, 0}, FG_OWN_LEFT_OUT},
        {"interleave_moe_layer_step", {0, 1}, 0},
        {"swiglu_clamp_exp", {0, 0}, 0},
        {"swiglu_clamp_shexp", {0, 0}, 0},
    };

    for (size_t i = 0; i < sizeof variants / sizeof variants[0]; i++) {
        struct fg_key k = fg_key_of(s, variants[i].suffix);
        uint32_t u = 0;
        float f = 0;
        int rc;

        if (variants[i].own & own)
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
    return refuse_more(s, own);
}

int fg_key_refuse_bool(const struct fg_keys *s, const char *suffix, bool neutral)
{
    struct fg_key k = fg_key_of(s, suffix);
    bool v = neutral;
    int rc = fg_gguf_bool(s->g, k.text, &v, s->err);

    if (rc && rc != FG_ENOTFOUND)
        return rc;
    if (v != neutral)
        return fg_fail(s->err, FG_EUNSUPPORTED,
                       "%s: key '%s': is %s, which is not supported; it must be absent or %s",
                       fg_gguf_name(s->g), k.text, v ? "true" : "false",
                       neutral ? "true" : "false");
    return 0;
}

int fg_keys_head_dim(const struct fg_keys *s, uint32_t n_embd, struct fg_heads *heads)
{
    uint32_t value_dim;
    int rc;

    /* 0 when heads do not divide the width: then key_length has to be there. */
    heads->head_dim = n_embd % heads->n_head == 0 ? n_embd / heads->n_head : 0;
    rc = fg_key_u32(s, (struct fg_u32_key){"attention.key_length", 1, FG_MAX_HEAD_DIM, 0, true},
                    &heads->head_dim);
    if (rc)
        return rc;
    value_dim = heads->head_dim;
    rc = fg_key_u32(s, (struct fg_u32_key){"attention.value_length", 1, FG_MAX_HEAD_DIM, 0, true},
                    &value_dim);
    if (rc)
        return rc;
    if (value_dim != heads->head_dim)
        return fg_fail(s->err, FG_EUNSUPPORTED,
                       "%s: key '%s.attention.value_length': is %" PRIu32
                       ", but key_length is %" PRIu32 "; only equal ones are supported",
                       fg_gguf_name(s->g), s->arch, value_dim, heads->head_dim);
    if (heads->head_dim % 2 != 0)
        return fg_fail(s->err, FG_EUNSUPPORTED,
                       "%s: key '%s.attention.key_length': is %" PRIu32
                       "; only even ones are supported",
                       fg_gguf_name(s->g), s->arch, heads->head_dim);
    return 0;
}

int fg_keys_heads(const struct fg_keys *s, uint32_t n_embd, uint32_t n_layer,
                  struct fg_heads *heads)
{
    int rc =
        fg_key_u32(s, (struct fg_u32_key){"attention.head_count", 1, FG_MAX_HEADS, n_layer, false},
                   &heads->n_head);

    if (rc)
        return rc;
    heads->n_head_kv = heads->n_head;
    rc = fg_key_u32(s,
                    (struct fg_u32_key){"attention.head_count_kv", 1, heads->n_head, n_layer, true},
                    &heads->n_head_kv);
    if (rc)
        return rc;
    if (heads->n_head % heads->n_head_kv != 0)
        return fg_fail(s->err, FG_EFORMAT,
                       "%s: key '%s.attention.head_count_kv': is %" PRIu32
                       ", it must divide head_count, %" PRIu32,
                       fg_gguf_name(s->g), s->arch, heads->n_head_kv, heads->n_head);
    return fg_keys_head_dim(s, n_embd, heads);
}
