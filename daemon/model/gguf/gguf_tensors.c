/* Tensor infos and the data section behind them. */
#include "gguf_file.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* Where a tensor says that its data lies, from the start of the data section. */
struct place {
    uint64_t offset;
    const struct fg_tensor *tensor;
};

/* Names of types that fulgur does not have, so that the refusal says what the user chose. */
static const char *foreign_name(uint32_t type)
{
    static const char *const names[] = {
        [9] = "Q8_1", [15] = "Q8_K", [24] = "I8",  [25] = "I16",
        [26] = "I32", [27] = "I64",  [28] = "F64",
    };

    if (type < sizeof names / sizeof names[0] && names[type])
        return names[type];
    return "unknown";
}

/* Sizes of the tensor from its type and dimensions; nothing may overflow. */
static int measure(struct fg_gguf_reader *r, struct fg_tensor *t)
{
    uint64_t elems = 1, rows = 1, row;

    for (uint32_t d = 0; d < t->n_dims; d++) {
        if (t->ne[d] == 0)
            return fg_gguf_refuse(r, FG_EFORMAT,
                                  "dimension %" PRIu32 " is 0, it must be at least 1", d);
        if (__builtin_mul_overflow(elems, t->ne[d], &elems) || elems > INT64_MAX)
            return fg_gguf_refuse(r, FG_EFORMAT,
                                  "the element count overflows at dimension %" PRIu32 " (%" PRIu64
                                  "), 2^63 - 1 is the most",
                                  d, t->ne[d]);
        if (d > 0)
            rows *= t->ne[d];
    }
    if (t->ne[0] % fg_dtype_block_elems(t->type) != 0)
        return fg_gguf_refuse(
            r, FG_EFORMAT, "dimension 0 is %" PRIu64 ", for %s it must be a multiple of %" PRIu32,
            t->ne[0], fg_dtype_name(t->type), fg_dtype_block_elems(t->type));
    row = fg_dtype_row_bytes(t->type, t->ne[0]);
    if (row == 0 || __builtin_mul_overflow(row, rows, &t->size))
        return fg_gguf_refuse(r, FG_EFORMAT, "the size of %" PRIu64 " elements overflows 64 bits",
                              elems);
    return 0;
}

static int read_type(struct fg_gguf_reader *r, struct fg_tensor *t)
{
    uint32_t type;

    if (fg_gguf_take_u32(r, &type, "the type"))
        return FG_EFORMAT;
    if (!fg_dtype_known(type))
        return fg_gguf_refuse(r, FG_EUNSUPPORTED,
                              "type %" PRIu32 " (%s) is not supported; F32, F16, BF16, Q8_0, Q4_0, "
                              "Q4_1, Q5_0, Q5_1, Q2_K to Q6_K, IQ1 to IQ4, TQ1_0, TQ2_0, "
                              "MXFP4 and NVFP4 are",
                              type, foreign_name(type));
    t->type = (enum fg_dtype)type;
    return 0;
}

static int read_info(struct fg_gguf_reader *r, struct fg_tensor *t, uint64_t *offset, uint64_t i)
{
    char quote[FG_QUOTE_BYTES];
    int rc;

    fg_gguf_subject(r, "tensor %" PRIu64, i);
    rc = fg_gguf_take_str(r, &t->name, FG_GGUF_MAX_NAME_BYTES, "the name");
    if (rc)
        return rc;
    if (t->name.n == 0)
        return fg_gguf_refuse(r, FG_EFORMAT, "the name is empty");
    fg_gguf_subject(r, "tensor '%s'", fg_quote(quote, t->name));
    if (fg_gguf_take_u32(r, &t->n_dims, "the number of dimensions"))
        return FG_EFORMAT;
    if (t->n_dims < 1 || t->n_dims > 4)
        return fg_gguf_refuse(
            r, FG_EFORMAT, "the number of dimensions is %" PRIu32 ", it must be 1 to 4", t->n_dims);
    for (uint32_t d = 0; d < 4; d++) {
        t->ne[d] = 1;
        if (d < t->n_dims && fg_gguf_take_u64(r, &t->ne[d], "a dimension"))
            return FG_EFORMAT;
    }
    rc = read_type(r, t);
    if (!rc)
        rc = measure(r, t);
    if (!rc)
        rc = fg_gguf_take_u64(r, offset, "the offset");
    return rc;
}

/* By name; at equal names, either way. */
static int order_names(const void *a, const void *b)
{
    const struct fg_tensor *const *x = a, *const *y = b;

    return fg_gguf_order((*x)->name, (*y)->name);
}

static int order_places(const void *a, const void *b)
{
    const struct place *x = a, *y = b;

    return (x->offset > y->offset) - (x->offset < y->offset);
}

static int read_alignment(struct fg_gguf_reader *r, const struct fg_gguf *g, uint64_t *out)
{
    const struct fg_gguf_kv *kv = fg_gguf_find(g, "general.alignment");
    uint32_t v;

    *out = 32; /* the format's default */
    if (!kv)
        return 0;
    fg_gguf_subject(r, "key 'general.alignment'");
    if (kv->type != FG_GGUF_U32)
        return fg_gguf_refuse(r, FG_EFORMAT, "found %s, wanted a u32", fg_gguf_type_name(kv->type));
    memcpy(&v, kv->raw, sizeof v);
    if (v < 8 || v > FG_GGUF_MAX_ALIGNMENT || (v & (v - 1)) != 0)
        return fg_gguf_refuse(r, FG_EFORMAT,
                              "it is %" PRIu32 ", it must be a power of two from 8 to %u", v,
                              FG_GGUF_MAX_ALIGNMENT);
    *out = v;
    return 0;
}

/* One tensor against the file and against `end`, the padded end of the one before it. */
static int check_place(struct fg_gguf_reader *r, const struct place *p, uint64_t start,
                       uint64_t align, uint64_t end)
{
    uint64_t size = r->g->size, room = size > start ? size - start : 0;
    char quote[FG_QUOTE_BYTES];

    fg_gguf_subject(r, "tensor '%s'", fg_quote(quote, p->tensor->name));
    if (p->offset % align != 0)
        return fg_gguf_refuse(r, FG_EFORMAT,
                              "the offset is %" PRIu64 ", it must be a multiple of %" PRIu64,
                              p->offset, align);
    if (p->offset > room || p->tensor->size > room - p->offset)
        return fg_gguf_refuse(r, FG_EFORMAT,
                              "its data wants %" PRIu64 " bytes at offset %" PRIu64
                              " of the data section at byte %" PRIu64
                              ", but the file ends at byte %" PRIu64,
                              p->tensor->size, p->offset, start, size);
    if (p->offset < end)
        return fg_gguf_refuse(r, FG_EFORMAT,
                              "its data at offset %" PRIu64 " overlaps the tensor before it, which "
                              "ends at %" PRIu64,
                              p->offset, end);
    if (p->offset > end)
        return fg_gguf_refuse(r, FG_EFORMAT,
                              "its data at offset %" PRIu64 " leaves a gap, the tensor before it "
                              "ends at %" PRIu64,
                              p->offset, end);
    return 0;
}

/* Tensors must cover the data section: no overlap, no gap but padding, nothing behind. Sets data.
 */
static int check_layout(struct fg_gguf_reader *r, struct fg_gguf *g, struct place *places)
{
    uint64_t align, start, end = 0;
    int rc = read_alignment(r, g, &align);

    if (rc)
        return rc;
    /* Sums stay below 2^64: `at` and each tensor's end are at most the file's size, under 2^63. */
    start = (r->at + align - 1) & ~(align - 1);
    qsort(places, (size_t)g->n_tensors, sizeof *places, order_places);
    for (uint64_t i = 0; i < g->n_tensors; i++) {
        const struct place *p = &places[i];

        rc = check_place(r, p, start, align, end);
        if (rc)
            return rc;
        end = (p->offset + p->tensor->size + align - 1) & ~(align - 1);
        g->tensors[p->tensor - g->tensors].data = g->base + start + p->offset;
    }
    if (g->size > start + end) {
        fg_gguf_subject(r, "data section");
        return fg_gguf_refuse(r, FG_EFORMAT,
                              "it ends at byte %" PRIu64 ", but the file goes on to byte %" PRIu64,
                              start + end, g->size);
    }
    return 0;
}

void fg_gguf_sort_names(struct fg_gguf *g)
{
    qsort(g->by_name, (size_t)g->n_tensors, sizeof *g->by_name, order_names);
}

static int index_names(struct fg_gguf_reader *r, struct fg_gguf *g)
{
    char quote[FG_QUOTE_BYTES];

    for (uint64_t i = 0; i < g->n_tensors; i++)
        g->by_name[i] = &g->tensors[i];
    fg_gguf_sort_names(g);
    for (uint64_t i = 1; i < g->n_tensors; i++) {
        if (order_names(&g->by_name[i - 1], &g->by_name[i]) != 0)
            continue;
        fg_gguf_subject(r, "tensor '%s'", fg_quote(quote, g->by_name[i]->name));
        return fg_gguf_refuse(r, FG_EFORMAT, "it occurs twice; a name must be unique");
    }
    return 0;
}

int fg_gguf_read_tensors(struct fg_gguf_reader *r, struct fg_gguf *g)
{
    size_t n = g->n_tensors ? (size_t)g->n_tensors : 1;
    struct place *places = calloc(n, sizeof *places);
    int rc = 0;

    g->tensors = calloc(n, sizeof *g->tensors);
    g->by_name = calloc(n, sizeof *g->by_name);
    if (!places || !g->tensors || !g->by_name) {
        fg_gguf_subject(r, "header");
        rc = fg_gguf_refuse(r, FG_ENOMEM, "out of memory for %" PRIu64 " tensors", g->n_tensors);
    }
    for (uint64_t i = 0; i < g->n_tensors && !rc; i++) {
        places[i].tensor = &g->tensors[i];
        rc = read_info(r, &g->tensors[i], &places[i].offset, i);
    }
    if (!rc)
        rc = index_names(r, g);
    if (!rc)
        rc = check_layout(r, g, places);
    free(places);
    return rc;
}

uint64_t fg_gguf_tensor_count(const struct fg_gguf *g)
{
    return g->n_tensors;
}

const struct fg_tensor *fg_gguf_tensor_at(const struct fg_gguf *g, uint64_t i)
{
    return &g->tensors[i];
}

const struct fg_tensor *fg_gguf_tensor(const struct fg_gguf *g, const char *name)
{
    struct fg_tensor want = {.name = {name, strlen(name)}};
    const struct fg_tensor *key = &want;
    const struct fg_tensor **hit =
        bsearch(&key, g->by_name, (size_t)g->n_tensors, sizeof *g->by_name, order_names);

    return hit ? *hit : NULL;
}
