/* What a model takes on a device, known before anything of it is loaded: the sizes that options
 * settle to, and the bytes of everything that fg_engine_create() allocates. The engine allocates by
 * the same plan. */
#ifndef FG_PLAN_H
#define FG_PLAN_H

#include "engine.h"

struct fg_device_info; /* gpu/device.h */

enum { FG_PLAN_TYPES = 32 };

struct fg_plan_type {
    enum fg_dtype type;
    uint64_t n_tensors, bytes; /* on the device */
};

struct fg_plan {
    struct fg_engine_options opt; /* settled: nothing is 0 that has a default */
    uint32_t max_pages;           /* of the longest sequence */
    bool ungated;                 /* a layer's gate and up are of two types: see weights.h */
    /* Of all layers: a KV page, a sequence's state and chunk rows, tables of constants. */
    uint64_t page_bytes, state_bytes, rows_bytes, table_bytes;
    uint64_t largest_page, largest_slot; /* of one piece of them: see blocks/memory.h */

    /* On the device. */
    uint64_t weight_bytes; /* matrices in their tiles, and norms */
    struct fg_plan_type types[FG_PLAN_TYPES];
    uint32_t n_types;
    uint64_t kv_bytes;      /* all pages */
    uint64_t seq_bytes;     /* states and chunk rows of all sequences, tables */
    uint64_t saved_bytes;   /* saved states */
    uint64_t scratch_bytes; /* activations of a step */
    uint64_t device_bytes;  /* their sum */
    /* On the host, where the device reads and writes it. */
    uint64_t scratch_host_bytes; /* tables of a step, logits */
    uint64_t transfer_bytes;     /* a page or state on its way, and weights while they are loaded */
    uint64_t host_bytes;         /* their sum */

    uint64_t memory_bytes; /* the device's; of a software device the machine's */
    bool one_memory;       /* host and device share it */
    uint64_t needed_bytes; /* of that memory */
    /* Why fg_engine_create() would refuse for lack of room; code 0 where it would not. What is
     * above is then what was asked for. */
    struct fg_err refused;
};

/* hp: of g, whose header alone is read. g may be NULL: no weights. Nothing is allocated that
 * outlives the call. FG_EINVAL (options), FG_EUNSUPPORTED (a shape that the engine has no kernels
 * for, a tensor or state larger than the device's largest binding), FG_ENOMEM (on the host). */
int fg_plan_init(struct fg_plan *p, const struct fg_engine_options *opt,
                 const struct fg_hparams *hp, const struct fg_gguf *g,
                 const struct fg_device_info *d, struct fg_err *err);
/* Nothing is refused, and the memory holds it. */
bool fg_plan_fits(const struct fg_plan *p);

#endif
