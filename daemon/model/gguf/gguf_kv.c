/* Metadata: reading the entries of the header. The accessors are in gguf_get.c. */
#include "gguf_file.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static const struct {
    const char *name;
    uint32_t bytes; /* 0: not a scalar */
} types[] = {
    [FG_GGUF_U8] = {"u8", 1},       [FG_GGUF_I8] = {"i8", 1},     [FG_GGUF_U16] = {"u16", 2},
    [FG_GGUF_I16] = {"i16", 2},     [FG_GGUF_U32] = {"u32", 4},   [FG_GGUF_I32] = {"i32", 4},
    [FG_GGUF_F32] = {"f32", 4},     [FG_GGUF_BOOL] = {"bool", 1}, [FG_GGUF_STR] = {"string", 0},
    [FG_GGUF_ARRAY] = {"array", 0}, [FG_GGUF_U64] = {"u64", 8},   [FG_GGUF_I64] = {"i64", 8},
    [FG_GGUF_F64] = {"f64", 8},
};

#define N_TYPES (sizeof types / sizeof types[0])

const char *fg_gguf_type_name(uint32_t type)
{
    return type < N_TYPES ? types[type].name : "unknown";
}

uint32_t fg_gguf_scalar_bytes(uint32_t type)
{
    return type < N_TYPES ? types[type].bytes : 0;
}

bool fg_gguf_load_int(uint32_t type, const unsigned char *p, int64_t *out, bool *wide)
{
    uint64_t u = 0;
    unsigned bits;

    switch (type) {
    case FG_GGUF_U8:
    case FG_GGUF_I8:
    case FG_GGUF_U16:
    case FG_GGUF_I16:
    case FG_GGUF_U32:
    case FG_GGUF_I32:
    case FG_GGUF_U64:
    case FG_GGUF_I64: break;
    default: return false;
    }
    memcpy(&u, p, types[type].bytes);
    bits = 8 * types[type].bytes;
    if (type == FG_GGUF_I8 || type == FG_GGUF_I16 || type == FG_GGUF_I32)
        if (u >> (bits - 1))
            u |= UINT64_MAX << bits;
    *wide = type == FG_GGUF_U64 && u > INT64_MAX;
    memcpy(out, &u, sizeof *out);
    return true;
}

static void *array_alloc(struct fg_gguf_reader *r, uint64_t n, size_t each)
{
    void *p = calloc(n ? (size_t)n : 1, each); /* an empty array is still not NULL */

    if (!p)
        fg_gguf_refuse(r, FG_ENOMEM, "out of memory for %" PRIu64 " elements", n);
    return p;
}

/* Integers become i32 if all fit, and bytes as well if all are 0 or 1. */
static int convert_ints(struct fg_gguf_reader *r, struct fg_gguf_kv *kv)
{
    uint32_t each = fg_gguf_scalar_bytes(kv->elem);
    bool bits = true, fits = true;

    kv->i32 = array_alloc(r, kv->n, sizeof *kv->i32);
    if (!kv->i32)
        return FG_ENOMEM;
    for (uint64_t i = 0; i < kv->n && fits; i++) {
        int64_t v = 0;
        bool wide = false;

        fg_gguf_load_int(kv->elem, kv->raw + i * each, &v, &wide);
        fits = !wide && v >= INT32_MIN && v <= INT32_MAX;
        bits = bits && fits && v >= 0 && v <= 1;
        kv->i32[i] = fits ? (int32_t)v : 0;
    }
    if (!fits) {
        free(kv->i32);
        kv->i32 = NULL;
        return 0;
    }
    if (!bits)
        return 0;
    kv->u8 = array_alloc(r, kv->n, 1);
    if (!kv->u8)
        return FG_ENOMEM;
    for (uint64_t i = 0; i < kv->n; i++)
        kv->u8[i] = (uint8_t)kv->i32[i];
    return 0;
}

static int convert_floats(struct fg_gguf_reader *r, struct fg_gguf_kv *kv)
{
    kv->f32 = array_alloc(r, kv->n, sizeof *kv->f32);
    if (!kv->f32)
        return FG_ENOMEM;
    if (kv->elem == FG_GGUF_F32) {
        memcpy(kv->f32, kv->raw, (size_t)kv->n * sizeof *kv->f32);
        return 0;
    }
    for (uint64_t i = 0; i < kv->n; i++) {
        double d;

        memcpy(&d, kv->raw + i * sizeof d, sizeof d);
        if (isfinite(d) && !isfinite((float)d)) {
            free(kv->f32);
            kv->f32 = NULL;
            return 0;
        }
        kv->f32[i] = (float)d;
    }
    return 0;
}

static int copy_bools(struct fg_gguf_reader *r, struct fg_gguf_kv *kv)
{
    kv->u8 = array_alloc(r, kv->n, 1);
    if (!kv->u8)
        return FG_ENOMEM;
    r->in_array = true;
    for (r->elem = 0; r->elem < kv->n; r->elem++) {
        kv->u8[r->elem] = kv->raw[r->elem];
        if (kv->raw[r->elem] > 1)
            return fg_gguf_refuse(r, FG_EFORMAT, "the bool is %u, it must be 0 or 1",
                                  kv->raw[r->elem]);
    }
    r->in_array = false;
    return 0;
}

static int read_strings(struct fg_gguf_reader *r, struct fg_gguf_kv *kv)
{
    kv->strs = array_alloc(r, kv->n, sizeof *kv->strs);
    if (!kv->strs)
        return FG_ENOMEM;
    r->in_array = true;
    for (r->elem = 0; r->elem < kv->n; r->elem++)
        if (fg_gguf_take_str(r, &kv->strs[r->elem], UINT64_MAX, "the string"))
            return FG_EFORMAT;
    r->in_array = false;
    return 0;
}

static int read_array(struct fg_gguf_reader *r, struct fg_gguf_kv *kv)
{
    uint64_t least;

    if (fg_gguf_take_u32(r, &kv->elem, "the array's element type"))
        return FG_EFORMAT;
    if (kv->elem == FG_GGUF_ARRAY)
        return fg_gguf_refuse(r, FG_EUNSUPPORTED, "an array of arrays is not supported");
    if (kv->elem >= N_TYPES)
        return fg_gguf_refuse(r, FG_EFORMAT,
                              "the array's element type is %" PRIu32 ", the known ones are 0 to 12",
                              kv->elem);
    if (fg_gguf_take_u64(r, &kv->n, "the array's length"))
        return FG_EFORMAT;
    least = kv->elem == FG_GGUF_STR ? 8 : fg_gguf_scalar_bytes(kv->elem);
    if (kv->n > (r->g->size - r->at) / least)
        return fg_gguf_refuse(r, FG_EFORMAT,
                              "the array's length is %" PRIu64 ", at least %" PRIu64
                              " bytes each at byte %" PRIu64 ", but the file ends at byte %" PRIu64,
                              kv->n, least, r->at, r->g->size);
    if (kv->n > FG_GGUF_MAX_ARRAY)
        return fg_gguf_refuse(r, FG_EUNSUPPORTED,
                              "the array's length is %" PRIu64 ", at most %u is supported", kv->n,
                              FG_GGUF_MAX_ARRAY);
    kv->raw = r->g->base + r->at;
    if (kv->elem == FG_GGUF_STR)
        return read_strings(r, kv);
    r->at += kv->n * least;
    if (kv->elem == FG_GGUF_BOOL)
        return copy_bools(r, kv);
    if (kv->elem == FG_GGUF_F32 || kv->elem == FG_GGUF_F64)
        return convert_floats(r, kv);
    return convert_ints(r, kv);
}

static int read_entry(struct fg_gguf_reader *r, struct fg_gguf_kv *kv, uint64_t i)
{
    char quote[FG_QUOTE_BYTES];
    int rc;

    fg_gguf_subject(r, "metadata entry %" PRIu64, i);
    rc = fg_gguf_take_str(r, &kv->key, FG_GGUF_MAX_KEY_BYTES, "the key");
    if (rc)
        return rc;
    if (kv->key.n == 0)
        return fg_gguf_refuse(r, FG_EFORMAT, "the key is empty");
    fg_gguf_subject(r, "key '%s'", fg_quote(quote, kv->key));
    if (fg_gguf_take_u32(r, &kv->type, "the value type"))
        return FG_EFORMAT;
    if (kv->type >= N_TYPES)
        return fg_gguf_refuse(
            r, FG_EFORMAT, "the value type is %" PRIu32 ", the known ones are 0 to 12", kv->type);
    if (kv->type == FG_GGUF_ARRAY)
        return read_array(r, kv);
    if (kv->type == FG_GGUF_STR)
        return fg_gguf_take_str(r, &kv->str, UINT64_MAX, "the string");
    kv->raw = fg_gguf_take(r, fg_gguf_scalar_bytes(kv->type), "the value");
    if (!kv->raw)
        return FG_EFORMAT;
    if (kv->type == FG_GGUF_BOOL && *kv->raw > 1)
        return fg_gguf_refuse(r, FG_EFORMAT, "the bool is %u, it must be 0 or 1", *kv->raw);
    return 0;
}

static int order_kv(const void *a, const void *b)
{
    const struct fg_gguf_kv *x = a, *y = b;

    return fg_gguf_order(x->key, y->key);
}

int fg_gguf_read_kv(struct fg_gguf_reader *r, struct fg_gguf *g)
{
    char quote[FG_QUOTE_BYTES];
    int rc;

    if (g->n_kv == 0)
        return 0;
    g->kv = calloc((size_t)g->n_kv, sizeof *g->kv);
    if (!g->kv)
        return fg_gguf_refuse(r, FG_ENOMEM, "out of memory for %" PRIu64 " keys", g->n_kv);
    for (uint64_t i = 0; i < g->n_kv; i++) {
        rc = read_entry(r, &g->kv[i], i);
        if (rc)
            return rc;
    }
    qsort(g->kv, (size_t)g->n_kv, sizeof *g->kv, order_kv);
    for (uint64_t i = 1; i < g->n_kv; i++) {
        if (order_kv(&g->kv[i - 1], &g->kv[i]) != 0)
            continue;
        fg_gguf_subject(r, "key '%s'", fg_quote(quote, g->kv[i].key));
        return fg_gguf_refuse(r, FG_EFORMAT, "it occurs twice; a key must be unique");
    }
    return 0;
}

void fg_gguf_free_kv(struct fg_gguf *g)
{
    for (uint64_t i = 0; g->kv && i < g->n_kv; i++) {
        free(g->kv[i].strs);
        free(g->kv[i].i32);
        free(g->kv[i].f32);
        free(g->kv[i].u8);
    }
    free(g->kv);
}

const struct fg_gguf_kv *fg_gguf_find(const struct fg_gguf *g, const char *key)
{
    struct fg_gguf_kv want = {.key = {key, strlen(key)}};

    if (g->n_kv == 0)
        return NULL;
    return bsearch(&want, g->kv, (size_t)g->n_kv, sizeof *g->kv, order_kv);
}
