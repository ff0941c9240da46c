/* Metadata: the typed accessors. */
#include "gguf_file.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

static int find(const struct fg_gguf *g, const char *key, const char *want,
                const struct fg_gguf_kv **out, struct fg_err *err)
{
    *out = fg_gguf_find(g, key);
    if (*out)
        return 0;
    return fg_fail(err, FG_ENOTFOUND, "%s: key '%.80s': it is missing; %s is wanted", g->name, key,
                   want);
}

static int wrong_type(const struct fg_gguf *g, const struct fg_gguf_kv *kv, const char *want,
                      struct fg_err *err)
{
    char quote[FG_QUOTE_BYTES];
    bool array = kv->type == FG_GGUF_ARRAY;

    return fg_fail(err, FG_EFORMAT, "%s: key '%s': found %s%s, wanted %s", g->name,
                   fg_quote(quote, kv->key), array ? "an array of " : "",
                   fg_gguf_type_name(array ? kv->elem : kv->type), want);
}

static int no_fit(const struct fg_gguf *g, const struct fg_gguf_kv *kv, const char *want,
                  struct fg_err *err)
{
    char quote[FG_QUOTE_BYTES];
    bool array = kv->type == FG_GGUF_ARRAY;

    return fg_fail(err, FG_EFORMAT, "%s: key '%s': %s%s that does not fit, wanted %s", g->name,
                   fg_quote(quote, kv->key), array ? "an element of type " : "a value of type ",
                   fg_gguf_type_name(array ? kv->elem : kv->type), want);
}

int fg_gguf_u32(const struct fg_gguf *g, const char *key, uint32_t *out, struct fg_err *err)
{
    const struct fg_gguf_kv *kv;
    int64_t v;
    bool wide;
    int rc = find(g, key, "a u32", &kv, err);

    if (rc)
        return rc;
    if (!fg_gguf_load_int(kv->type, kv->raw, &v, &wide))
        return wrong_type(g, kv, "a u32", err);
    if (wide || v < 0 || v > UINT32_MAX)
        return no_fit(g, kv, "a u32", err);
    *out = (uint32_t)v;
    return 0;
}

int fg_gguf_f32(const struct fg_gguf *g, const char *key, float *out, struct fg_err *err)
{
    const struct fg_gguf_kv *kv;
    double d;
    int rc = find(g, key, "an f32", &kv, err);

    if (rc)
        return rc;
    if (kv->type == FG_GGUF_F32) {
        memcpy(out, kv->raw, sizeof *out);
        return 0;
    }
    if (kv->type != FG_GGUF_F64)
        return wrong_type(g, kv, "an f32", err);
    memcpy(&d, kv->raw, sizeof d);
    if (isfinite(d) && !isfinite((float)d))
        return no_fit(g, kv, "an f32", err);
    *out = (float)d;
    return 0;
}

int fg_gguf_bool(const struct fg_gguf *g, const char *key, bool *out, struct fg_err *err)
{
    const struct fg_gguf_kv *kv;
    int rc = find(g, key, "a bool", &kv, err);

    if (rc)
        return rc;
    if (kv->type != FG_GGUF_BOOL)
        return wrong_type(g, kv, "a bool", err);
    *out = *kv->raw != 0;
    return 0;
}

int fg_gguf_str(const struct fg_gguf *g, const char *key, struct fg_str *out, struct fg_err *err)
{
    const struct fg_gguf_kv *kv;
    int rc = find(g, key, "a string", &kv, err);

    if (rc)
        return rc;
    if (kv->type != FG_GGUF_STR)
        return wrong_type(g, kv, "a string", err);
    *out = kv->str;
    return 0;
}

int fg_gguf_str_array(const struct fg_gguf *g, const char *key, const struct fg_str **out,
                      size_t *n, struct fg_err *err)
{
    const char *want = "an array of strings";
    const struct fg_gguf_kv *kv;
    int rc = find(g, key, want, &kv, err);

    if (rc)
        return rc;
    if (!kv->strs)
        return wrong_type(g, kv, want, err);
    *out = kv->strs;
    *n = (size_t)kv->n;
    return 0;
}

static bool is_int_array(const struct fg_gguf_kv *kv)
{
    return kv->type == FG_GGUF_ARRAY && kv->elem != FG_GGUF_STR && kv->elem != FG_GGUF_BOOL &&
           kv->elem != FG_GGUF_F32 && kv->elem != FG_GGUF_F64;
}

int fg_gguf_i32_array(const struct fg_gguf *g, const char *key, const int32_t **out, size_t *n,
                      struct fg_err *err)
{
    const char *want = "an array of i32";
    const struct fg_gguf_kv *kv;
    int rc = find(g, key, want, &kv, err);

    if (rc)
        return rc;
    if (!kv->i32)
        return is_int_array(kv) ? no_fit(g, kv, want, err) : wrong_type(g, kv, want, err);
    *out = kv->i32;
    *n = (size_t)kv->n;
    return 0;
}

int fg_gguf_f32_array(const struct fg_gguf *g, const char *key, const float **out, size_t *n,
                      struct fg_err *err)
{
    const char *want = "an array of f32";
    const struct fg_gguf_kv *kv;
    int rc = find(g, key, want, &kv, err);

    if (rc)
        return rc;
    if (!kv->f32)
        return kv->type == FG_GGUF_ARRAY && kv->elem == FG_GGUF_F64 ? no_fit(g, kv, want, err)
                                                                    : wrong_type(g, kv, want, err);
    *out = kv->f32;
    *n = (size_t)kv->n;
    return 0;
}

int fg_gguf_bool_array(const struct fg_gguf *g, const char *key, const uint8_t **out, size_t *n,
                       struct fg_err *err)
{
    const char *want = "an array of bools, or of integers 0 and 1";
    const struct fg_gguf_kv *kv;
    int rc = find(g, key, want, &kv, err);

    if (rc)
        return rc;
    if (!kv->u8)
        return is_int_array(kv) ? no_fit(g, kv, want, err) : wrong_type(g, kv, want, err);
    *out = kv->u8;
    *n = (size_t)kv->n;
    return 0;
}
