#include <inttypes.h>

#include "hparams.h"
#include "keys.h"

/* One that only a kind of scaling gives a meaning to. */
static int refuse_mix(const struct fg_keys *k)
{
    struct fg_key key = fg_key_of(k, "rope.scaling.yarn_ext_factor");
    float v = 0;
    int rc = fg_gguf_f32(k->g, key.text, &v, k->err);

    if (rc)
        return rc == FG_ENOTFOUND ? 0 : rc;
    if (v != 0)
        return fg_fail(k->err, FG_EUNSUPPORTED,
                       "%s: key '%s': is %g; it must be absent or 0 where rope.scaling.type is not "
                       "'yarn'",
                       fg_gguf_name(k->g), key.text, (double)v);
    return 0;
}

static int read_yarn(const struct fg_keys *k, uint32_t n_ctx, struct fg_rope_scaling *s)
{
    int rc;

    *s = (struct fg_rope_scaling){.factor = s->factor,
                                  .magnitude = s->magnitude,
                                  .yarn = true,
                                  .beta_fast = 32,
                                  .beta_slow = 1,
                                  .mix = 1,
                                  .n_ctx = n_ctx};
    rc = fg_key_u32(
        k, (struct fg_u32_key){"rope.scaling.original_context_length", 1, FG_MAX_CTX, 0, true},
        &s->n_ctx);
    if (!rc)
        rc = fg_key_f32(k, "rope.scaling.yarn_beta_fast", true, 1e6f, &s->beta_fast);
    if (!rc)
        rc = fg_key_f32(k, "rope.scaling.yarn_beta_slow", true, 1e6f, &s->beta_slow);
    return rc ? rc : fg_key_f32(k, "rope.scaling.yarn_ext_factor", true, 1, &s->mix);
}

/* Which kind: 0 none, 1 linear, as files without the key mean it, 2 yarn. */
static int read_kind(const struct fg_keys *k, int *kind)
{
    static const char *const kinds[] = {"none", "linear", "yarn"};
    struct fg_key key = fg_key_of(k, "rope.scaling.type");
    struct fg_str text;
    int rc = fg_gguf_str(k->g, key.text, &text, k->err);

    *kind = 1;
    if (rc)
        return rc == FG_ENOTFOUND ? 0 : rc;
    for (*kind = 0; *kind < 3; ++*kind)
        if (fg_str_is(text, kinds[*kind]))
            return 0;
    return fg_fail(k->err, FG_EUNSUPPORTED,
                   "%s: key '%s': this rope scaling is not supported; it must be absent, 'none', "
                   "'linear' or 'yarn'",
                   fg_gguf_name(k->g), key.text);
}

static int read_scaling(const struct fg_keys *k, uint32_t n_ctx, struct fg_rope_scaling *s)
{
    float more = 1;
    int kind, rc = read_kind(k, &kind);

    *s = (struct fg_rope_scaling){.factor = 1, .magnitude = 1};
    if (!rc) /* an older name of the factor */
        rc = fg_key_f32(k, "rope.scale_linear", true, 1e6f, &s->factor);
    if (!rc)
        rc = fg_key_f32(k, "rope.scaling.factor", true, 1e6f, &s->factor);
    if (!rc)
        rc = fg_key_f32(k, "rope.scaling.attn_factor", true, 1e6f, &s->magnitude);
    if (!rc)
        rc = fg_key_f32(k, "rope.scaling.yarn_attn_factor", true, 1e6f, &more);
    s->magnitude *= more;
    if (!rc && kind == 0 && s->factor != 1)
        return fg_fail(k->err, FG_EUNSUPPORTED,
                       "%s: key '%s.rope.scaling.factor': is %g, but rope.scaling.type is 'none'; "
                       "it must be absent or 1",
                       fg_gguf_name(k->g), k->arch, (double)s->factor);
    if (rc)
        return rc;
    return kind == 2 ? read_yarn(k, n_ctx, s) : refuse_mix(k);
}

int fg_keys_rope(const struct fg_keys *k, bool needed, struct fg_heads *heads,
                 struct fg_hparams *hp)
{
    int rc;

    heads->rope_dim = heads->head_dim;
    rc = fg_key_u32(k, (struct fg_u32_key){"rope.dimension_count", 2, heads->head_dim, 0, !needed},
                    &heads->rope_dim);
    if (rc)
        return rc;
    if (heads->rope_dim % 2 != 0)
        return fg_fail(k->err, FG_EFORMAT,
                       "%s: key '%s.rope.dimension_count': is %" PRIu32 ", it must be even",
                       fg_gguf_name(k->g), k->arch, heads->rope_dim);
    hp->rope_dim = heads->rope_dim;
    hp->rope_freq_base = 10000.0f;
    rc = fg_key_f32(k, "rope.freq_base", !needed, 3.4e38f, &hp->rope_freq_base);
    return rc ? rc : read_scaling(k, hp->n_ctx_train, &hp->rope_scaling);
}
