#include "ops.h"

#include <stdio.h>
#include <string.h>

const char *fg_type_suffix(enum fg_dtype type)
{
    switch (type) {
    case FG_F32: return "f32";
    case FG_F16: return "f16";
    case FG_BF16: return "bf16";
    case FG_Q8_0: return "q8_0";
    case FG_Q4_0: return "q4_0";
    case FG_Q4_1: return "q4_1";
    case FG_Q5_0: return "q5_0";
    case FG_Q5_1: return "q5_1";
    case FG_Q2_K: return "q2_k";
    case FG_Q3_K: return "q3_k";
    case FG_Q4_K: return "q4_k";
    case FG_Q5_K: return "q5_k";
    case FG_Q6_K: return "q6_k";
    case FG_IQ4_NL: return "iq4_nl";
    case FG_IQ4_XS: return "iq4_xs";
    case FG_MXFP4: return "mxfp4";
    case FG_NVFP4: return "nvfp4";
    case FG_TQ1_0: return "tq1_0";
    case FG_TQ2_0: return "tq2_0";
    case FG_IQ1_S: return "iq1_s";
    case FG_IQ1_M: return "iq1_m";
    case FG_IQ2_XXS: return "iq2_xxs";
    case FG_IQ2_XS: return "iq2_xs";
    case FG_IQ2_S: return "iq2_s";
    case FG_IQ3_XXS: return "iq3_xxs";
    case FG_IQ3_S: return "iq3_s";
    }
    return "unknown";
}

static bool same_key(const struct fg_kernel_key *a, const struct fg_kernel_key *b)
{
    return a->base == b->base && a->write_name == b->write_name && a->variant == b->variant &&
           memcmp(a->spec, b->spec, sizeof a->spec) == 0;
}

/* FNV-1a over the words. */
static uint32_t hash_of(const struct fg_kernel_key *k)
{
    uint32_t h = 2166136261u;
    h = (h ^ (uint32_t)((uintptr_t)k->base >> 2)) * 16777619u;
    h = (h ^ k->variant) * 16777619u;
    for (uint32_t i = 0; i < FG_SPEC_COUNT; i++)
        h = (h ^ k->spec[i]) * 16777619u;
    return h ^ h >> 15;
}

static struct fg_pipeline *make_kernel(struct fg_ops *o, const struct fg_kernel_key *key)
{
    struct fg_pipeline *p = NULL;
    char name[FG_KERNEL_NAME];
    struct fg_err err;
    int rc;

    if (key->write_name)
        key->write_name(key, name);
    else
        snprintf(name, sizeof name, "%s", key->base);
    rc = fg_pipeline_get(o->device, name, key->spec, &p, &err);
    if (rc)
        fg_cmd_fail(o->cmd, rc, err.text);
    return rc ? NULL : p;
}

struct fg_pipeline *fg_ops_kernel(struct fg_ops *o, const struct fg_kernel_key *key)
{
    uint32_t at = hash_of(key) % FG_KERNEL_SLOTS;
    struct fg_pipeline *p;

    while (o->kernels[at].pipeline) {
        if (same_key(&o->kernels[at].key, key))
            return o->kernels[at].pipeline;
        at = (at + 1) % FG_KERNEL_SLOTS;
    }
    p = make_kernel(o, key);
    /* What does not fit is looked up by its name each time. */
    if (p && o->n_kernels < FG_KERNEL_SLOTS / 4 * 3) {
        o->kernels[at] = (struct fg_kernel_slot){*key, p};
        o->n_kernels++;
    }
    return p;
}

void fg_ops_dispatch(struct fg_ops *o, const struct fg_kernel_key *key, const struct fg_ops_call *c)
{
    struct fg_pipeline *p = fg_ops_kernel(o, key);

    if (p)
        fg_cmd_dispatch(o->cmd,
                        &(struct fg_dispatch){p, c->binds, c->n_binds, c->push_bytes, c->push,
                                              c->groups[0], c->groups[1], c->groups[2]});
}

void fg_ops_refuse(struct fg_ops *o, const char *operation, const char *why)
{
    char text[256];

    snprintf(text, sizeof text, "%s: %s", operation, why);
    fg_cmd_fail(o->cmd, FG_EINVAL, text);
}

/* Counts the f16 values that unpackHalf2x16 expands inexactly here. */
static int probe_half(struct fg_ops *o, struct fg_err *err)
{
    const struct fg_kernel_key key = {.base = "self_test_half"};
    struct fg_buffer *out = NULL;
    int rc = fg_buffer_create(o->device, 16, FG_BUFFER_HOST, "f16 probe", &out, err);
    if (rc == 0) {
        const struct fg_bind bind = {out, 0, 0};
        memset(fg_buffer_map(out), 0, 16);
        fg_cmd_begin(o->cmd);
        fg_ops_dispatch(
            o, &key,
            &(struct fg_ops_call){.binds = &bind, .n_binds = 1, .groups = {65536 / 64, 1, 1}});
        rc = fg_cmd_run(o->cmd, err);
        o->native_f16 = rc == 0 && *(uint32_t *)fg_buffer_map(out) == 0;
    }
    fg_buffer_destroy(out);
    return rc;
}

int fg_ops_init(struct fg_ops *o, struct fg_err *err)
{
    const struct fg_device_info *d = fg_device_info(o->device);
    struct fg_usual_tilings usual = fg_tilings(d, o->numerics);

    o->one = usual.one;
    o->many = usual.many;
    o->attend_spread = usual.attend_spread;
    /* Without an instruction for it f32 gives the same whole numbers sooner. */
    o->int_dot = o->numerics == FG_NUMERICS_INT8 && d->int_dot_fast;
    return probe_half(o, err);
}
