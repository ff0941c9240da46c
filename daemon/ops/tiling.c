#include "model/engine.h"

#include <stdio.h>

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
