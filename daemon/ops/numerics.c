#include "numerics.h"

#include <string.h>

static const char *const names[FG_NUMERICS_COUNT] = {"exact", "int8", "fused"};

const char *fg_numerics_name(enum fg_numerics mode)
{
    return names[mode];
}

int fg_numerics_parse(const char *text, enum fg_numerics *out, struct fg_err *err)
{
    for (int i = 0; i < FG_NUMERICS_COUNT; i++)
        if (strcmp(text, names[i]) == 0) {
            *out = (enum fg_numerics)i;
            return 0;
        }
    if (strcmp(text, "coopmat") == 0)
        return fg_fail(err, FG_EINVAL,
                       "numerics \"coopmat\": there are no kernels for cooperative "
                       "matrices; " FG_NUMERICS_NAMES " is wanted");
    return fg_fail(err, FG_EINVAL, "numerics \"%.40s\": " FG_NUMERICS_NAMES " is wanted", text);
}

bool fg_numerics_portable(enum fg_numerics mode)
{
    return mode != FG_NUMERICS_FUSED;
}
