#include "keys.h"

#include <inttypes.h>

int fg_keys_delta(const struct fg_keys *k, struct fg_delta_shape *s)
{
    const uint32_t most = FG_MAX_HEADS;
    uint32_t inner = 0;
    int rc = fg_key_u32(k, (struct fg_u32_key){"ssm.state_size", 1, FG_MAX_HEAD_DIM, 0, false},
                        &s->head_dim);

    if (!rc)
        rc = fg_key_u32(k, (struct fg_u32_key){"ssm.group_count", 1, most, 0, false}, &s->n_head_k);
    if (!rc)
        rc = fg_key_u32(k, (struct fg_u32_key){"ssm.time_step_rank", 1, most, 0, false},
                        &s->n_head_v);
    if (!rc)
        rc = fg_key_u32(k, (struct fg_u32_key){"ssm.conv_kernel", 2, 16, 0, false}, &s->taps);
    if (!rc)
        rc = fg_key_u32(k, (struct fg_u32_key){"ssm.inner_size", 1, UINT32_MAX, 0, false}, &inner);
    if (rc)
        return rc;
    if (inner != s->n_head_v * s->head_dim)
        return fg_fail(k->err, FG_EUNSUPPORTED,
                       "%s: key '%s.ssm.inner_size': is %" PRIu32
                       ", only time_step_rank x state_size, %" PRIu32 ", is supported",
                       fg_gguf_name(k->g), k->arch, inner, s->n_head_v * s->head_dim);
    if (s->n_head_v % s->n_head_k)
        return fg_fail(k->err, FG_EFORMAT,
                       "%s: key '%s.ssm.group_count': is %" PRIu32
                       ", it must divide time_step_rank, %" PRIu32,
                       fg_gguf_name(k->g), k->arch, s->n_head_k, s->n_head_v);
    return 0;
}
