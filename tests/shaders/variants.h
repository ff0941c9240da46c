/* Every variant of the matrix product that the device can run. */
#ifndef VARIANTS_H
#define VARIANTS_H

#include "lab.h"

struct variants {
    struct fg_tiling list[96];
    uint32_t n;
};

/* The rows "matmul.<type>..." (moe: "matmul_moe.<type>...") of the shader table, those without
 * subgroups with 1 slice and with 3 or 8, each with one tile of rows a workgroup or two. Compiling
 * takes long: what only devices with smaller subgroups use is left out for most types. texel_bytes:
 * the largest buffer that they will be given. */
void variants_init(struct variants *v, const struct lab *lab, enum fg_dtype type, bool moe,
                   uint64_t texel_bytes);
/* Leaves every n-th of them, from the first on. */
void variants_keep(struct variants *v, uint32_t n);
/* Leaves every n-th, for each type from another one on: several types see them all. */
void variants_thin(struct variants *v, enum fg_dtype type, uint32_t n);
/* "f16 r4t1.sg8.tex, 8 lanes, 1 slices" */
const char *variant_name(enum fg_dtype type, const struct fg_tiling *t, char buf[96]);

#endif
