#include "tiling.h"

#include <stdio.h>
#include <string.h>

#include "gpu/device.h"

void fg_tiling_name(const struct fg_tiling *t, char out[FG_TILING_NAME])
{
    char spread[8] = "";
    if (t->spread)
        snprintf(spread, sizeof spread, ".sg%u", t->spread % 100);
    snprintf(out, FG_TILING_NAME, "r%ut%u%s, %u lanes, %u slices", t->rows % 100, t->tokens % 100,
             t->texel ? ".tex" : spread, t->lanes % 10000, t->slices % 10000);
}

bool fg_tiling_equal(const struct fg_tiling *a, const struct fg_tiling *b)
{
    return a->lanes == b->lanes && a->slices == b->slices && a->rows == b->rows &&
           a->tokens == b->tokens && a->spread == b->spread && a->texel == b->texel;
}

struct fg_usual_tilings fg_tilings(const struct fg_device_info *d, enum fg_numerics mode)
{
    struct fg_usual_tilings u = {.attend_spread = 0};
    uint32_t spread =
        d->subgroup_ballot && d->subgroup_size >= 4 ? (d->subgroup_size >= 8 ? 8 : 4) : 0;
    bool texel = d->max_texel_elements >= d->max_storage_range / 16;
    /* There are no fused kernels that spread x. */
    if (strcmp(d->type, "cpu") == 0 && (texel || (spread && mode != FG_NUMERICS_FUSED))) {
        /* A lane is one of a vector register's: it owns several rows, x is the same for all. */
        uint32_t lanes = 16;
        u.one = (struct fg_tiling){lanes, 1, 4, 1, texel ? 0 : spread, texel};
        u.many = (struct fg_tiling){lanes, 1, 4, 4, texel ? 0 : spread, texel};
        if (texel)
            u.attend_spread = spread;
    } else {
        uint32_t slices = d->max_workgroup_threads >= 256 ? 8 : 4;
        u.one = (struct fg_tiling){32, slices, 1, 1, 0, false};
        u.many = (struct fg_tiling){64, 1, 2, 4, 0, false};
    }
    return u;
}
