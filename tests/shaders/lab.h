/* An open device for tests of single shaders: buffers, one dispatch at a time, deterministic
 * values, and comparisons bit for bit. The device is the default one, or the one that
 * FG_TEST_DEVICE selects (an index or a part of a name). Every failure fails the running test. */
#ifndef LAB_H
#define LAB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "gpu/command.h"
#include "model/weights.h"
#include "ops/ops.h"
#include "ops.h"

struct lab {
    struct fg_device *device;
    const struct fg_device_info *info;
    struct fg_ops ops; /* the tilings are the device's */
    struct fg_uploader *uploader;
};

/* cmocka's group setup and teardown; *state is a struct lab. */
int lab_open(void **state);
int lab_close(void **state);

/* --- memory --- */

/* Zeroed; the caller frees it. */
void *lab_alloc(size_t n, size_t size);
/* A mapped buffer with a copy of data, or filled with LAB_CANARY when data is NULL. */
struct fg_buffer *lab_buffer(struct lab *lab, const void *data, size_t bytes);
/* Fills it with LAB_CANARY again. */
void lab_wipe(struct fg_buffer *b);
#define LAB_CANARY 0xa5a5a5a5u /* as f32: finite, and no result of a test */
/* fg_device_info()->max_storage_range, which tests lower to see matrices split; returns what it
 * was. */
uint64_t lab_set_storage_range(struct lab *lab, uint64_t bytes);

/* --- running --- */

struct lab_dispatch {
    const char *shader;
    const uint32_t *spec;             /* [FG_SPEC_COUNT]; NULL: zeros */
    struct fg_buffer *const *buffers; /* [n], bound whole */
    uint32_t n, push_bytes;
    const void *push;
    uint32_t groups[3]; /* workgroups along x, y, z */
};
/* One dispatch, by itself. */
void lab_dispatch(struct lab *lab, const struct lab_dispatch *d);
/* Runs what was recorded into lab->ops.cmd after lab_begin(). */
void lab_begin(struct lab *lab);
void lab_run(struct lab *lab);
/* Shader variants whose names begin with `base` and then end or go on with '.', from i = 0 until
 * NULL. Those that the device cannot run (subgroups too small for .sg4 and .sg8, texel buffers
 * below texel_bytes for .tex) are left out. */
const char *lab_variant(const struct lab *lab, const char *base, uint64_t texel_bytes, uint32_t i);

/* Whether the shader table has a row of this name. */
bool lab_is_shader(const char *name);

/* --- values --- */

uint32_t lab_bits(uint64_t *seed);              /* 32 random bits */
uint32_t lab_below(uint64_t *seed, uint32_t n); /* 0 .. n - 1 */
float lab_noise(uint64_t *seed);                /* [-1, 1) */
/* Magnitudes from 2^low to 2^high, all exponents alike, some zeros. */
float lab_wide(uint64_t *seed, int low, int high);
void lab_fill_noise(uint64_t *seed, float *v, size_t n, float range);
/* The float of LAB_CANARY. */
float lab_canary(void);

/* --- weights --- */

enum { LAB_TYPES = 26 };
extern const enum fg_dtype lab_types[LAB_TYPES];
/* The scales that lab_upload() gives to the experts of NVFP4's tensors; of other types NULL. */
enum { LAB_SCALES = 8 };
const float *lab_scales(enum fg_dtype type);
/* True for types that differ from others in how a block is expanded and in nothing else: a shape or
 * two will do for them. */
bool lab_few_shapes(enum fg_dtype type);
/* Random raw rows: quants of all values, scales positive, negative, zero and denormal. Freed by the
 * caller. */
void *lab_rows(uint64_t *seed, enum fg_dtype type, size_t n_rows, size_t k);
struct lab_weights {
    enum fg_dtype type;
    const void *rows;   /* of k elements */
    const void *second; /* as many, of a gated matrix; NULL */
    size_t k, n_rows;   /* n_rows: of an expert */
    size_t n_experts;   /* 0: a dense matrix */
};
/* A matrix on the device. */
void lab_upload(struct lab *lab, const struct lab_weights *w, struct fg_matrix *m);

/* Bytes on the device of 32 rows of k elements, and of the grid in front of a part's tiles. */
uint64_t lab_tile_bytes(enum fg_dtype type, size_t k);
uint64_t lab_grid_bytes(enum fg_dtype type);

/* --- experts --- */

/* What moe/group.comp makes of experts[n_pairs]: pairs[n_pairs] and tiles [n_pairs / tile_tokens +
 * min(n_expert, n_pairs)][4]. Returns how many tiles are used. */
uint32_t lab_group(const uint32_t *experts, uint32_t n_pairs, uint32_t n_expert,
                   uint32_t tile_tokens, uint32_t *pairs, uint32_t *tiles);

/* --- KV pages --- */

/* Pages of n_kv heads of d dimensions. */
struct lab_pages {
    enum fg_kv_type kv;
    uint32_t n_kv, d;
};
struct lab_place {
    uint32_t page, head, dim, j; /* j: row of the page */
};
/* Index of the value (f16 or f32) of k, or of v, there. */
size_t lab_page_at(const struct lab_pages *p, bool is_v, struct lab_place at);
size_t lab_page_values(uint32_t n_kv, uint32_t d);

/* --- comparing --- */

/* Fails, naming the first index that differs, unless n words are equal. */
void lab_equal(const char *what, const void *got, const void *want, size_t n);
/* Fails unless n words still hold LAB_CANARY. */
void lab_untouched(const char *what, const void *got, size_t n);

#endif
