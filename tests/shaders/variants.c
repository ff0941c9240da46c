#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "variants.h"

#include <stdio.h>
#include <string.h>

static bool fits(const struct lab *lab, const struct fg_tiling *t)
{
    uint32_t shared = t->slices > 1 ? t->slices * t->lanes * t->rows * t->tokens * 4 : 0;

    return t->lanes * t->slices <= lab->info->max_workgroup_threads &&
           shared <= lab->info->max_shared_bytes;
}

static void add(struct variants *v, const struct lab *lab, struct fg_tiling t)
{
    if (!fits(lab, &t)) {
        t.lanes = 32 / t.rows;
        if (!fits(lab, &t)) {
            print_message("left out: r%ut%u with %u slices needs larger workgroups\n", t.rows,
                          t.tokens, t.slices);
            return;
        }
    }
    assert_true(v->n < sizeof v->list / sizeof *v->list);
    v->list[v->n++] = t;
}

void variants_init(struct variants *v, const struct lab *lab, enum fg_dtype type, bool moe,
                   uint64_t texel_bytes)
{
    const uint32_t slices[] = {1, type % 2 ? 3 : 8}; /* compiling all for all types takes long */
    char base[48];
    const char *name;

    v->n = 0;
    snprintf(base, sizeof base, "matmul%s.%s", moe ? "_moe" : "", fg_type_suffix(type));
    for (uint32_t i = 0; (name = lab_variant(lab, base, texel_bytes, i)) != NULL; i++) {
        struct fg_tiling t = {.texel = strstr(name, ".tex") != NULL};
        const char *sg = strstr(name, ".sg");

        if (strstr(name, ".fma") || strstr(name, ".dot"))
            continue; /* of other modes: test_numerics */

        assert_int_equal(sscanf(name + strlen(base), ".r%ut%u", &t.rows, &t.tokens), 2);
        if (sg)
            assert_int_equal(sscanf(sg, ".sg%u", &t.spread), 1);
        if (t.spread == 4 && lab->info->subgroup_size > 4 && type != FG_F16 && type != FG_Q4_1)
            continue; /* for devices whose subgroups are of 4: elsewhere two types will do */
        for (size_t s = 0; s < (sg || t.texel ? 1 : sizeof slices / sizeof *slices); s++) {
            t.lanes = 32 / t.rows * (1 + v->n % 2);
            t.slices = slices[s];
            add(v, lab, t);
        }
    }
    assert_true(v->n > 0);
}

void variants_keep(struct variants *v, uint32_t n)
{
    variants_thin(v, (enum fg_dtype)0, n);
}

void variants_thin(struct variants *v, enum fg_dtype type, uint32_t n)
{
    uint32_t kept = 0, last = v->n - 1;

    for (uint32_t i = (uint32_t)type % n < last ? (uint32_t)type % n : last; i < v->n; i += n)
        v->list[kept++] = v->list[i];
    v->n = kept;
}

const char *variant_name(enum fg_dtype type, const struct fg_tiling *t, char buf[96])
{
    char spread[24] = "";

    if (t->texel)
        snprintf(spread, sizeof spread, ".tex");
    else if (t->spread)
        snprintf(spread, sizeof spread, ".sg%u", t->spread);
    snprintf(buf, 96, "%s r%ut%u%s, %u lanes, %u slices", fg_type_suffix(type), t->rows, t->tokens,
             spread, t->lanes, t->slices);
    return buf;
}
