/* Models that are split over several files: finding the parts, and joining their tensors. */
#include "gguf_file.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

enum { SUFFIX = sizeof "-00001-of-00000.gguf" - 1 };

/* Five digits, or UINT32_MAX. */
static uint32_t number(const char *p)
{
    uint32_t v = 0;

    for (int i = 0; i < 5; i++) {
        if (p[i] < '0' || p[i] > '9')
            return UINT32_MAX;
        v = 10 * v + (uint32_t)(p[i] - '0');
    }
    return v;
}

/* Does the path end as a part's does? */
static bool read_suffix(const char *path, uint32_t *no, uint32_t *count)
{
    size_t n = strlen(path);
    const char *p = path + n - SUFFIX;

    if (n <= SUFFIX || p[0] != '-' || memcmp(p + 6, "-of-", 4) != 0 ||
        memcmp(p + 15, ".gguf", 5) != 0)
        return false;
    *no = number(p + 1);
    *count = number(p + 10);
    return *no != UINT32_MAX && *count != UINT32_MAX;
}

uint32_t fg_gguf_parts_of(const char *path)
{
    uint32_t no, count;

    return read_suffix(path, &no, &count) && no == 1 && count > 1 && count <= FG_GGUF_MAX_PARTS
               ? count
               : 1;
}

char *fg_gguf_part_path(const char *path, uint32_t no)
{
    char *part = strdup(path), digits[11];

    if (part) {
        snprintf(digits, sizeof digits, "%05" PRIu32, no);
        memcpy(part + strlen(part) - SUFFIX + 1, digits, 5);
    }
    return part;
}

/* The keys of a part. */
struct split {
    uint32_t no, count, tensors; /* no from 0; tensors of all parts */
};

static int read_split(const struct fg_gguf *g, struct split *s, struct fg_err *err)
{
    int rc = fg_gguf_u32(g, "split.count", &s->count, err);

    if (!rc)
        rc = fg_gguf_u32(g, "split.no", &s->no, err);
    if (!rc)
        rc = fg_gguf_u32(g, "split.tensors.count", &s->tensors, err);
    return rc == FG_ENOTFOUND ? FG_EFORMAT : rc;
}

/* Is the file the first part, and named so? */
static int check_first(const struct fg_gguf *g, const char *path, const struct split *s,
                       struct fg_err *err)
{
    if (s->count > FG_GGUF_MAX_PARTS)
        return fg_fail(err, FG_EUNSUPPORTED,
                       "%s: key 'split.count': it is %" PRIu32 ", at most %u are supported",
                       g->name, s->count, FG_GGUF_MAX_PARTS);
    if (s->no >= s->count)
        return fg_fail(err, FG_EFORMAT,
                       "%s: key 'split.no': it is %" PRIu32 ", but split.count is %" PRIu32,
                       g->name, s->no, s->count);
    if (s->no != 0)
        return fg_fail(err, FG_EFORMAT,
                       "%s: is part %" PRIu32 " of %" PRIu32
                       "; give the first, ...-00001-of-%05" PRIu32 ".gguf",
                       g->name, s->no + 1, s->count, s->count);
    if (fg_gguf_parts_of(path) != s->count)
        return fg_fail(err, FG_EFORMAT,
                       "%s: is the first of %" PRIu32 " parts, which are found by their names; it "
                       "must end with -00001-of-%05" PRIu32 ".gguf",
                       g->name, s->count, s->count);
    return 0;
}

static int check_part(const struct fg_gguf *part, const struct split *first, uint32_t no,
                      struct fg_err *err)
{
    struct split s = {0};
    int rc = read_split(part, &s, err);

    if (rc)
        return rc;
    if (s.no != no)
        return fg_fail(err, FG_EFORMAT,
                       "%s: its split.no says part %" PRIu64 ", its name part %" PRIu32, part->name,
                       (uint64_t)s.no + 1, no + 1);
    if (s.count != first->count)
        return fg_fail(err, FG_EFORMAT,
                       "%s: is of a model of %" PRIu32 " parts, the first part of one of %" PRIu32,
                       part->name, s.count, first->count);
    if (s.tensors != first->tensors)
        return fg_fail(err, FG_EFORMAT,
                       "%s: is of a model of %" PRIu32
                       " tensors, the first part of one of %" PRIu32,
                       part->name, s.tensors, first->tensors);
    return 0;
}

static int open_part(struct fg_gguf *g, const char *path, const struct split *first, uint32_t no,
                     struct fg_err *err)
{
    char *name = fg_gguf_part_path(path, no + 1);
    struct fg_gguf *part = NULL;
    struct fg_err why = {0};
    int rc;

    if (!name)
        return fg_fail(err, FG_ENOMEM, "%s: out of memory", g->name);
    rc = fg_gguf_open_file(name, &part, &why);
    free(name);
    if (rc)
        return fg_fail(err, rc, "part %" PRIu32 " of %" PRIu32 ": %.400s", no + 1, first->count,
                       why.text);
    g->parts[g->n_parts++] = part;
    return check_part(part, first, no, err);
}

/* Whose header holds the name. */
static const char *file_of(const struct fg_gguf *g, const struct fg_tensor *t)
{
    for (uint32_t i = 0; i < g->n_parts; i++) {
        const struct fg_gguf *part = g->parts[i];
        uintptr_t at = (uintptr_t)t->name.p, base = (uintptr_t)part->base;

        if (at >= base && at - base < part->size)
            return part->name;
    }
    return g->name;
}

/* All parts' tensors become g's. */
static int join(struct fg_gguf *g, const struct split *s, struct fg_err *err)
{
    const struct fg_tensor **by_name;
    struct fg_tensor *tensors;
    char quote[FG_QUOTE_BYTES];
    uint64_t n = g->n_tensors;

    for (uint32_t i = 0; i < g->n_parts; i++)
        n += g->parts[i]->n_tensors;
    if (n != s->tensors)
        return fg_fail(err, FG_EFORMAT,
                       "%s: key 'split.tensors.count': it is %" PRIu32 ", but the %" PRIu32
                       " parts have %" PRIu64,
                       g->name, s->tensors, s->count, n);
    tensors = calloc(n ? (size_t)n : 1, sizeof *tensors);
    by_name = calloc(n ? (size_t)n : 1, sizeof *by_name);
    if (!tensors || !by_name) {
        free(tensors);
        free(by_name);
        return fg_fail(err, FG_ENOMEM, "%s: out of memory for %" PRIu64 " tensors", g->name, n);
    }
    memcpy(tensors, g->tensors, (size_t)g->n_tensors * sizeof *tensors);
    n = g->n_tensors;
    for (uint32_t i = 0; i < g->n_parts; n += g->parts[i++]->n_tensors)
        memcpy(tensors + n, g->parts[i]->tensors, (size_t)g->parts[i]->n_tensors * sizeof *tensors);
    free(g->tensors);
    free(g->by_name);
    g->tensors = tensors;
    g->by_name = by_name;
    g->n_tensors = n;
    for (uint64_t i = 0; i < n; i++)
        by_name[i] = &tensors[i];
    fg_gguf_sort_names(g);
    for (uint64_t i = 1; i < n; i++)
        if (fg_gguf_order(by_name[i - 1]->name, by_name[i]->name) == 0)
            return fg_fail(err, FG_EFORMAT, "tensor '%s' is in two parts: %s and %s",
                           fg_quote(quote, by_name[i]->name), file_of(g, by_name[i - 1]),
                           file_of(g, by_name[i]));
    return 0;
}

static int open_parts(struct fg_gguf *g, const char *path, struct fg_err *err)
{
    struct split s = {0};
    int rc = fg_gguf_u32(g, "split.count", &s.count, err);

    if (rc || s.count <= 1) /* one file says nothing more, or says it in vain */
        return rc;
    rc = read_split(g, &s, err);
    if (rc)
        return rc;
    rc = check_first(g, path, &s, err);
    if (rc)
        return rc;
    g->parts = calloc(s.count - 1, sizeof *g->parts);
    if (!g->parts)
        return fg_fail(err, FG_ENOMEM, "%s: out of memory", g->name);
    for (uint32_t no = 1; no < s.count && !rc; no++)
        rc = open_part(g, path, &s, no, err);
    return rc ? rc : join(g, &s, err);
}

int fg_gguf_open(const char *path, struct fg_gguf **out, struct fg_err *err)
{
    int rc = fg_gguf_open_file(path, out, err);

    if (!rc && fg_gguf_find(*out, "split.count"))
        rc = open_parts(*out, path, err);
    if (!rc)
        rc = fg_gguf_link_scales(*out, err);
    if (rc) {
        fg_gguf_close(*out);
        *out = NULL;
    }
    return rc;
}

static XXH128_canonical_t hash(const void *p, size_t n)
{
    XXH128_canonical_t canon;

    XXH128_canonicalFromHash(&canon, XXH3_128bits(p, n));
    return canon;
}

void fg_gguf_fingerprint(const struct fg_gguf *g, uint8_t out[16])
{
    XXH128_canonical_t sum = hash(g->base, (size_t)g->size);

    /* Each part's hash goes behind that of all before it. */
    for (uint32_t i = 0; i < g->n_parts; i++) {
        XXH128_canonical_t both[2] = {sum, hash(g->parts[i]->base, (size_t)g->parts[i]->size)};

        sum = hash(both, sizeof both);
    }
    memcpy(out, sum.digest, 16);
}
