/* How matrix products are spread over lanes and workgroups. No choice changes a bit. */
#ifndef FG_OPS_TILING_H
#define FG_OPS_TILING_H

#include <stdbool.h>
#include <stdint.h>

#include "model/gguf/dtype.h"
#include "numerics.h"

struct fg_device_info; /* gpu/device.h */

/* Specialization constants of matmul.comp. */
struct fg_tiling {
    uint32_t lanes, slices, rows, tokens;
    uint32_t spread; /* 0, 4 or 8: lanes that share the loads of x */
    bool texel;      /* weights and x through texel buffers; spread is 0 then */
};

/* What was measured of the products of one weight type. */
struct fg_tuned {
    enum fg_dtype type;
    bool many; /* tokens; else one */
    struct fg_tiling tiling, usual;
    double seconds, usual_seconds; /* of one run */
    uint32_t tried, candidates;    /* fewer were tried where the time was up */
};

/* "r4t1.tex, 8 lanes, 1 slices" */
enum { FG_TILING_NAME = 48 };
void fg_tiling_name(const struct fg_tiling *t, char out[FG_TILING_NAME]);
bool fg_tiling_equal(const struct fg_tiling *a, const struct fg_tiling *b);

/* What a device's features and the mode ask for. */
struct fg_usual_tilings {
    struct fg_tiling one, many;
    uint32_t attend_spread; /* lanes of the subgroup kernels of attention; 0: shared memory */
};
struct fg_usual_tilings fg_tilings(const struct fg_device_info *d, enum fg_numerics mode);

#endif
