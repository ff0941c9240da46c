#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "lab.h"

#include "base/block_tokens.h"
#include "canon.h"
#include "gpu/spirv.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const enum fg_dtype lab_types[LAB_TYPES] = {
    FG_F32,   FG_F16,   FG_BF16,  FG_Q8_0,    FG_Q4_0,   FG_Q4_1,   FG_Q5_0,    FG_Q5_1,  FG_Q2_K,
    FG_Q3_K,  FG_Q4_K,  FG_Q5_K,  FG_Q6_K,    FG_IQ4_NL, FG_IQ4_XS, FG_MXFP4,   FG_NVFP4, FG_TQ1_0,
    FG_TQ2_0, FG_IQ1_S, FG_IQ1_M, FG_IQ2_XXS, FG_IQ2_XS, FG_IQ2_S,  FG_IQ3_XXS, FG_IQ3_S};

const float *lab_scales(enum fg_dtype type)
{
    static const float scales[LAB_SCALES] = {0.7f, 1.3f, -0.01f, 3e-5f, 77.7f, 1.0f, 0.1f, 1e-3f};

    return type == FG_NVFP4 ? scales : NULL;
}

bool lab_few_shapes(enum fg_dtype type)
{
    return type == FG_NVFP4 || type == FG_TQ1_0 || type == FG_TQ2_0 || lab_grid_bytes(type) > 0;
}

static void check(int rc, const struct fg_err *err)
{
    if (rc)
        fail_msg("%s", err->text);
}

int lab_open(void **state)
{
    struct lab *lab = lab_alloc(1, sizeof *lab);
    struct fg_err err;

    check(fg_device_open(getenv("FG_TEST_DEVICE"), NULL, &lab->device, &err), &err);
    lab->info = fg_device_info(lab->device);
    lab->ops.device = lab->device;
    check(fg_cmd_create(lab->device, &lab->ops.cmd, &err), &err);
    check(fg_ops_init(&lab->ops, &err), &err);
    check(fg_uploader_create(lab->device, NULL, NULL, 0, &lab->uploader, &err), &err);
    print_message("device: %s, subgroups of %u\n", lab->info->name, lab->info->subgroup_size);
    *state = lab;
    return 0;
}

int lab_close(void **state)
{
    struct lab *lab = *state;

    fg_uploader_destroy(lab->uploader);
    fg_cmd_destroy(lab->ops.cmd);
    fg_device_close(lab->device);
    free(lab);
    return 0;
}

void *lab_alloc(size_t n, size_t size)
{
    void *p = calloc(n ? n : 1, size);

    assert_non_null(p);
    return p;
}

void lab_wipe(struct fg_buffer *b)
{
    memset(fg_buffer_map(b), LAB_CANARY & 0xff, fg_buffer_bytes(b));
}

struct fg_buffer *lab_buffer(struct lab *lab, const void *data, size_t bytes)
{
    struct fg_buffer *b;
    struct fg_err err;

    check(fg_buffer_create(lab->device, bytes, FG_BUFFER_HOST, "a test", &b, &err), &err);
    lab_wipe(b);
    if (data)
        memcpy(fg_buffer_map(b), data, bytes);
    return b;
}

uint64_t lab_set_storage_range(struct lab *lab, uint64_t bytes)
{
    struct fg_device_info *info = (struct fg_device_info *)lab->info;
    uint64_t was = info->max_storage_range;

    info->max_storage_range = bytes;
    return was;
}

void lab_begin(struct lab *lab)
{
    fg_cmd_begin(lab->ops.cmd);
}

void lab_run(struct lab *lab)
{
    struct fg_err err;

    check(fg_cmd_run(lab->ops.cmd, &err), &err);
}

void lab_dispatch(struct lab *lab, const struct lab_dispatch *d)
{
    static const uint32_t zeros[FG_SPEC_COUNT];
    struct fg_bind binds[FG_BIND_MAX] = {{0}};
    struct fg_pipeline *p;
    struct fg_err err;

    check(fg_pipeline_get(lab->device, d->shader, d->spec ? d->spec : zeros, &p, &err), &err);
    for (uint32_t i = 0; i < d->n; i++)
        binds[i].buffer = d->buffers[i];
    lab_begin(lab);
    fg_cmd_dispatch(lab->ops.cmd, &(struct fg_dispatch){p, binds, d->n, d->push_bytes, d->push,
                                                        d->groups[0], d->groups[1], d->groups[2]});
    lab_run(lab);
}

static bool runs_here(const struct lab *lab, const char *name, uint64_t texel_bytes)
{
    const char *sg = strstr(name, ".sg");
    uint32_t lanes = sg ? (uint32_t)strtoul(sg + 3, NULL, 10) : 0;

    if (lanes && (!lab->info->subgroup_ballot || lab->info->subgroup_size % lanes != 0))
        return false;
    return !strstr(name, ".tex") || lab->info->max_texel_elements >= (texel_bytes + 15) / 16;
}

const char *lab_variant(const struct lab *lab, const char *base, uint64_t texel_bytes, uint32_t i)
{
    size_t n = strlen(base);
    const char *name;

    for (uint32_t at = 0; (name = fg_shader_name(at)) != NULL; at++) {
        if (strncmp(name, base, n) != 0 || (name[n] != 0 && name[n] != '.'))
            continue;
        if (runs_here(lab, name, texel_bytes) && i-- == 0)
            return name;
    }
    return NULL;
}

bool lab_is_shader(const char *name)
{
    const char *known;

    for (uint32_t i = 0; (known = fg_shader_name(i)) != NULL; i++)
        if (strcmp(known, name) == 0)
            return true;
    return false;
}

/* SplitMix64. */
uint32_t lab_bits(uint64_t *seed)
{
    uint64_t z = *seed += 0x9e3779b97f4a7c15u;

    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return (uint32_t)((z ^ z >> 31) >> 32);
}

uint32_t lab_below(uint64_t *seed, uint32_t n)
{
    return (uint32_t)((uint64_t)lab_bits(seed) * n >> 32);
}

float lab_noise(uint64_t *seed)
{
    return (float)(lab_bits(seed) >> 8) * 0x1p-23f - 1;
}

float lab_wide(uint64_t *seed, int low, int high)
{
    uint32_t exponent = (uint32_t)(127 + low) + lab_below(seed, (uint32_t)(high - low));
    uint32_t bits = lab_bits(seed);

    if (lab_below(seed, 32) == 0)
        return 0;
    return fg_ref_float((bits & 0x807fffffu) | exponent << 23);
}

void lab_fill_noise(uint64_t *seed, float *v, size_t n, float range)
{
    for (size_t i = 0; i < n; i++)
        v[i] = range * lab_noise(seed);
}

float lab_canary(void)
{
    return fg_ref_float(LAB_CANARY);
}

static uint16_t random_half(uint64_t *seed)
{
    switch (lab_below(seed, 16)) {
    case 0: return 0;
    case 1: return (uint16_t)(lab_bits(seed) & 0x83ff); /* denormal */
    default: return fg_f16_from_f32(lab_wide(seed, -8, 1));
    }
}

/* Where the f16 of a quantized block lie: from `first` on, so many. */
static void halves_of(enum fg_dtype type, size_t *first, size_t *n)
{
    switch (type) {
    case FG_Q2_K: *first = 80; break;
    case FG_Q3_K: *first = 108; break;
    case FG_Q6_K: *first = 208; break;
    case FG_TQ1_0: *first = 52; break;
    case FG_TQ2_0: *first = 64; break;
    default: *first = 0; break;
    }
    *n = 1;
    if (type == FG_Q4_1 || type == FG_Q5_1 || type == FG_Q2_K || type == FG_Q4_K || type == FG_Q5_K)
        *n = 2;
    if (type == FG_MXFP4 || type == FG_NVFP4 || type == FG_IQ1_M)
        *n = 0;
}

/* The exponent of an MXFP4 block: now and then the smallest one that counts, or less. */
static uint8_t random_exponent(uint64_t *seed)
{
    switch (lab_below(seed, 16)) {
    case 0: return (uint8_t)lab_below(seed, 28);
    case 1: return 28;
    default: return (uint8_t)(112 + lab_below(seed, 18));
    }
}

/* The f16 of an IQ1_M block: its nibbles are the highest of four times 16 bits, ascending. */
static void put_scattered_half(uint16_t h, uint8_t *scales)
{
    for (int i = 0; i < 4; i++)
        scales[2 * i + 1] = (uint8_t)((scales[2 * i + 1] & 15) | (h >> 4 * i & 15) << 4);
}

static void random_block(uint64_t *seed, enum fg_dtype type, uint8_t *out)
{
    size_t first, n, bytes = fg_dtype_block_bytes(type);

    halves_of(type, &first, &n);
    for (size_t i = 0; i < bytes; i++)
        out[i] = (uint8_t)lab_bits(seed);
    for (size_t i = 0; i < n; i++) {
        uint16_t h = random_half(seed);

        memcpy(out + first + 2 * i, &h, 2);
    }
    if (type == FG_MXFP4)
        out[0] = random_exponent(seed);
    if (type == FG_IQ1_M)
        put_scattered_half(random_half(seed), out + 48);
}

void *lab_rows(uint64_t *seed, enum fg_dtype type, size_t n_rows, size_t k)
{
    size_t bytes = n_rows * fg_dtype_row_bytes(type, k), block = fg_dtype_block_bytes(type);
    uint8_t *raw = lab_alloc(bytes, 1);

    assert_true(bytes > 0);
    for (size_t at = 0; at < bytes; at += block) {
        uint32_t f32 = fg_ref_bits(lab_wide(seed, -8, 1));
        uint16_t h = (uint16_t)(f32 >> 16);

        if (type == FG_F32)
            memcpy(raw + at, &f32, 4);
        else if (type == FG_BF16)
            memcpy(raw + at, &h, 2);
        else
            random_block(seed, type, raw + at);
    }
    return raw;
}

void lab_upload(struct lab *lab, const struct lab_weights *w, struct fg_matrix *m)
{
    size_t n_experts = w->n_experts ? w->n_experts : 1;
    struct fg_tensor t = {.name = {"a test's", 8},
                          .type = w->type,
                          .n_dims = 3,
                          .ne = {w->k, w->n_rows, n_experts, 1},
                          .data = w->rows,
                          .size = n_experts * w->n_rows * fg_dtype_row_bytes(w->type, w->k),
                          .scales = lab_scales(w->type)};
    struct fg_tensor other = t;
    struct fg_matrix_source from = {
        .t = {&t, &other}, .n = w->second ? 2 : 1, .gated = w->second != NULL};
    struct fg_err err;

    other.data = w->second;
    check(fg_matrix_init(m, lab->uploader, &from, &err), &err);
}

uint64_t lab_tile_bytes(enum fg_dtype type, size_t k)
{
    uint64_t blocks = (k + 31) / 32, row = 16; /* uvec4 of each row */

    switch (type) {
    case FG_F32: return 32 * row * blocks * 8;
    case FG_F16:
    case FG_BF16: return 32 * row * blocks * 4;
    case FG_Q8_0: return 32 * row * (blocks * 2 + (blocks + 7) / 8);
    case FG_Q4_0: return 32 * row * (blocks + (blocks + 7) / 8);
    case FG_Q4_1: return 32 * row * (blocks + (blocks + 3) / 4);
    case FG_Q5_0: return 32 * row * (blocks + (blocks + 3) / 4 + (blocks + 7) / 8);
    case FG_Q5_1: return 32 * row * (blocks + (blocks + 3) / 4 * 2);
    case FG_IQ4_NL: return 32 * row * (blocks + (blocks + 7) / 8);
    case FG_MXFP4:
    case FG_IQ4_XS: return 32 * row * (blocks + (blocks + 15) / 16);
    case FG_NVFP4: return 32 * row * (blocks + (blocks + 7) / 8 + 1);
    case FG_Q2_K: return 32 * row * (blocks / 2 + blocks / 8 + (blocks + 31) / 32);
    case FG_Q3_K: return 32 * row * (blocks / 2 + blocks / 4 + blocks / 8);
    case FG_Q4_K: return 32 * row * (blocks + blocks / 8);
    case FG_Q5_K: return 32 * row * (blocks + blocks / 4 + blocks / 8);
    case FG_Q6_K: return 32 * row * (blocks + blocks / 2 + blocks / 8 + (blocks + 63) / 64);
    case FG_TQ1_0:
    case FG_TQ2_0:
    case FG_IQ2_XXS: return 32 * row * (blocks / 2 + (blocks + 63) / 64);
    case FG_IQ1_S: return 32 * row * (blocks / 4 + blocks / 8 + (blocks + 63) / 64);
    case FG_IQ1_M: return 32 * row * (blocks / 4 + blocks / 8 + (blocks + 15) / 16);
    case FG_IQ2_XS: return 32 * row * (blocks / 2 + (blocks + 15) / 16 + (blocks + 63) / 64);
    case FG_IQ2_S: return 32 * row * (blocks / 2 + blocks / 8 + (blocks + 63) / 64);
    case FG_IQ3_XXS: return 32 * row * (blocks / 2 + blocks / 4 + (blocks + 63) / 64);
    case FG_IQ3_S: return 32 * row * (blocks / 2 + blocks / 4 + blocks / 8);
    }
    return 0;
}

uint64_t lab_grid_bytes(enum fg_dtype type)
{
    switch (type) {
    case FG_IQ1_S:
    case FG_IQ1_M: return 2048 * 4;
    case FG_IQ2_XXS:
    case FG_IQ3_XXS: return 256 * 4;
    case FG_IQ2_XS:
    case FG_IQ3_S: return 512 * 4;
    case FG_IQ2_S: return 1024 * 4;
    default: return 0;
    }
}

uint32_t lab_group(const uint32_t *experts, uint32_t n_pairs, uint32_t n_expert,
                   uint32_t tile_tokens, uint32_t *pairs, uint32_t *tiles)
{
    uint32_t rows = n_pairs / tile_tokens + (n_expert < n_pairs ? n_expert : n_pairs);
    uint32_t n_tiles = 0, at = 0;

    memset(tiles, 0, (size_t)rows * 16);
    for (uint32_t e = 0; e < n_expert; e++) {
        uint32_t in_tile = 0;

        for (uint32_t i = 0; i < n_pairs; i++) {
            if (experts[i] != e)
                continue;
            if (in_tile == 0) {
                assert_true(n_tiles < rows);
                tiles[4 * n_tiles] = e;
                tiles[4 * n_tiles++ + 1] = at;
            }
            tiles[4 * (n_tiles - 1) + 2] = ++in_tile;
            in_tile %= tile_tokens;
            pairs[at++] = i;
        }
    }
    return n_tiles;
}

size_t lab_page_values(uint32_t n_kv, uint32_t d)
{
    return (size_t)2 * n_kv * d * FG_BLOCK_TOKENS;
}

size_t lab_page_at(const struct lab_pages *p, bool is_v, struct lab_place at)
{
    size_t word = p->kv == FG_KV_F16 ? 8 : 4; /* values in 16 bytes */
    size_t base = at.page * lab_page_values(p->n_kv, p->d);

    if (is_v)
        return base + ((size_t)(p->n_kv + at.head) * FG_BLOCK_TOKENS + at.j) * p->d + at.dim;
    return base + ((at.head * (p->d / word) + at.dim / word) * FG_BLOCK_TOKENS + at.j) * word +
           at.dim % word;
}

void lab_equal(const char *what, const void *got, const void *want, size_t n)
{
    const uint32_t *a = got, *b = want;
    size_t wrong = 0, first = 0;

    if (memcmp(got, want, n * 4) == 0)
        return;
    for (size_t i = n; i > 0; i--)
        if (a[i - 1] != b[i - 1]) {
            wrong++;
            first = i - 1;
        }
    fail_msg("%s: %zu of %zu differ, the first at %zu: %08x (%.9g), must be %08x (%.9g)", what,
             wrong, n, first, a[first], (double)fg_ref_float(a[first]), b[first],
             (double)fg_ref_float(b[first]));
}

void lab_untouched(const char *what, const void *got, size_t n)
{
    const uint32_t *a = got;

    for (size_t i = 0; i < n; i++)
        if (a[i] != LAB_CANARY)
            fail_msg("%s: wrote %08x at %zu, where nothing belongs", what, a[i], i);
}
