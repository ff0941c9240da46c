/* What a shader takes, read from its SPIR-V. */
#ifndef FG_SPIRV_H
#define FG_SPIRV_H

#include <stddef.h>
#include <stdint.h>

#include "fulgur/error.h"

enum { FG_BIND_MAX = 8 };

struct fg_signature {
    /* A letter a binding of set 0, from binding 0 on: s: storage buffer, u: texel buffer of uvec4,
     * f: texel buffer of vec4. */
    char kinds[FG_BIND_MAX + 1];
    uint32_t n_binds;
    uint32_t push_bytes; /* of the push constants; 0: none */
};

/* code: [words]. FG_EFORMAT: it is no SPIR-V, bindings leave a gap, are of another set or more than
 * FG_BIND_MAX, or something is bound that is none of the three kinds. FG_ENOMEM. */
int fg_spirv_signature(const uint32_t *code, size_t words, struct fg_signature *out,
                       struct fg_err *err);

#endif
