/* Builds GGUF images in memory, sound ones and broken ones, for tests. Running out of memory
 * aborts.
 *
 *     struct gguf_writer *w = gguf_writer_create();
 *     gguf_writer_str(w, "general.architecture", "llama");
 *     gguf_writer_tensor(w, "output_norm.weight", FG_F32, 1, (uint64_t[]){64}, values);
 *     gguf_writer_save(w, path);
 *     gguf_writer_destroy(w);
 */
#ifndef GGUF_WRITER_H
#define GGUF_WRITER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "model/gguf/dtype.h"
#include "model/gguf/gguf.h"

struct gguf_writer;

/* Version 3, alignment 32, nothing in it. */
struct gguf_writer *gguf_writer_create(void);
void gguf_writer_destroy(struct gguf_writer *w);
void gguf_writer_version(struct gguf_writer *w, uint32_t version);
/* Also writes the key general.alignment. */
void gguf_writer_align(struct gguf_writer *w, uint32_t alignment);

/* Metadata, in order of the calls. Keys and values are copied. */
void gguf_writer_kv(struct gguf_writer *w, const char *key, uint32_t type, const void *value,
                    size_t bytes);
void gguf_writer_u8(struct gguf_writer *w, const char *key, uint8_t v);
void gguf_writer_u32(struct gguf_writer *w, const char *key, uint32_t v);
void gguf_writer_i32(struct gguf_writer *w, const char *key, int32_t v);
void gguf_writer_u64(struct gguf_writer *w, const char *key, uint64_t v);
void gguf_writer_f32(struct gguf_writer *w, const char *key, float v);
void gguf_writer_f64(struct gguf_writer *w, const char *key, double v);
void gguf_writer_bool(struct gguf_writer *w, const char *key, bool v);
void gguf_writer_str(struct gguf_writer *w, const char *key, const char *v);
/* An array of n scalars of GGUF type `elem`, whose bytes follow each other at `values`. */
void gguf_writer_array(struct gguf_writer *w, const char *key, uint32_t elem, const void *values,
                       uint64_t n, size_t bytes);
void gguf_writer_i32_array(struct gguf_writer *w, const char *key, const int32_t *v, uint64_t n);
void gguf_writer_f32_array(struct gguf_writer *w, const char *key, const float *v, uint64_t n);
void gguf_writer_bool_array(struct gguf_writer *w, const char *key, const uint8_t *v, uint64_t n);
void gguf_writer_str_array(struct gguf_writer *w, const char *key, const char *const *v,
                           uint64_t n);
/* Takes back every entry of that key. */
void gguf_writer_drop_key(struct gguf_writer *w, const char *key);

/* Rounds n values (a multiple of the block) to `type`, fg_dtype_row_bytes() of them: nearest, ties
 * to even, block scales from the largest magnitude, or from least and largest value in the types
 * with minima. In quantize.c. */
void gguf_quantize(enum fg_dtype type, const float *src, void *dst, uint64_t n);

/* A tensor of n_dims dimensions from f32 values, rounded to `type`. Data lies in order of the
 * calls, each padded to the alignment. */
void gguf_writer_tensor(struct gguf_writer *w, const char *name, enum fg_dtype type,
                        uint32_t n_dims, const uint64_t *ne, const float *values);
struct gguf_writer_shape {
    uint32_t type, n_dims;
    const uint64_t *ne;
};
/* The same from finished bytes; neither the type number nor the dimensions need make sense. */
void gguf_writer_tensor_raw(struct gguf_writer *w, const char *name,
                            const struct gguf_writer_shape *shape, const void *data, size_t bytes);
/* Makes the last tensor claim another offset; its data stays where it is. */
void gguf_writer_offset(struct gguf_writer *w, uint64_t offset);
/* Takes back every tensor of that name. */
void gguf_writer_drop_tensor(struct gguf_writer *w, const char *name);

/* The image, its last tensor padded; the caller frees it. */
uint8_t *gguf_writer_image(const struct gguf_writer *w, size_t *n);
/* False, with errno set, when the file cannot be written. */
bool gguf_writer_save(const struct gguf_writer *w, const char *path);

/* Opens the image by way of a temporary file, which is gone when this returns. Results as of
 * fg_gguf_open(). */
int gguf_writer_open(const struct gguf_writer *w, struct fg_gguf **out, struct fg_err *err);
int gguf_image_open(const void *image, size_t n, struct fg_gguf **out, struct fg_err *err);
/* Creates an empty temporary file and writes its path to buf; returns its descriptor. */
int gguf_temp_file(char *buf, size_t n);

#endif
