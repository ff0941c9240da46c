/* The numerics modes (docs/numerics.md): which sums a product is made of. A mode holds for prefill
 * and decode alike and is part of every cache key. Pure functions. */
#ifndef FG_NUMERICS_H
#define FG_NUMERICS_H

#include <stdbool.h>

#include "fulgur/error.h"

enum fg_numerics {
    FG_NUMERICS_EXACT, /* f32, every operation rounded by itself: the same bits on every device */
    FG_NUMERICS_INT8,  /* activations quantized by 32, whole-number sums: the same bits too */
    FG_NUMERICS_FUSED, /* fused multiply-add: the bits of one device and driver */
};
enum { FG_NUMERICS_COUNT = 3 };

/* "exact", "int8", "fused" */
const char *fg_numerics_name(enum fg_numerics mode);
/* All of them, for messages. */
#define FG_NUMERICS_NAMES "exact, int8 or fused"
/* FG_EINVAL: no such mode, or one that this program has no kernels for; the message says which. */
int fg_numerics_parse(const char *text, enum fg_numerics *out, struct fg_err *err);
/* Whether results are the same on every device that passes the known-answer self-test. */
bool fg_numerics_portable(enum fg_numerics mode);

#endif
