/* GGUF v2 and v3 files, memory-mapped read-only and validated before anything is used.
 *
 * A file is untrusted: counts, lengths, offsets, types and alignments are checked against the
 * file's size and against each other on opening; what is refused is refused with one line that
 * names the field. After fg_gguf_open() every accessor is safe. Pointers and fg_str views live
 * until fg_gguf_close(). Opened by one thread; reading from several threads is fine. Opening reads
 * the header only; tensor data is paged in when somebody looks at it. Not defended: a file that
 * somebody else truncates while it is mapped raises SIGBUS in whoever reads the lost part. Replace
 * model files by rename, never in place. Format: the GGUF specification in the ggml project
 * (docs/gguf.md). */
#ifndef FG_GGUF_H
#define FG_GGUF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "dtype.h"
#include "fulgur/error.h"
#include "fulgur/str.h"

struct fg_gguf;

struct fg_tensor {
    struct fg_str name;
    enum fg_dtype type;
    uint32_t n_dims;
    uint64_t ne[4]; /* elements; ne[0] is the row length (k), unused ones are 1 */
    const void *data;
    uint64_t size; /* bytes of data: rows x fg_dtype_row_bytes(type, ne[0]) */
    /* NVFP4, where the file has such a tensor beside it: what the elements of each of the ne[2]
     * matrices are multiplied by. Else NULL. */
    const float *scales;
};

/* Maps and validates `path`; where it is the first part of a split model (key split.count), the
 * other parts as well, which lie beside it and have its name with their number: their tensors
 * follow, the metadata is the first part's. What is wrong with a part is said with its path. On
 * success *out is the caller's until fg_gguf_close(); else it is NULL. FG_ENOTFOUND, FG_EACCESS,
 * FG_EIO (not a regular file included), FG_EFORMAT, FG_EUNSUPPORTED (version, big endian, tensor
 * type), FG_ENOMEM. */
int fg_gguf_open(const char *path, struct fg_gguf **out, struct fg_err *err);
/* Takes NULL. */
void fg_gguf_close(struct fg_gguf *g);

/* The path it was opened by (its end, when long), for messages. */
const char *fg_gguf_name(const struct fg_gguf *g);

uint64_t fg_gguf_tensor_count(const struct fg_gguf *g);
/* In the file's order; i below the count. */
const struct fg_tensor *fg_gguf_tensor_at(const struct fg_gguf *g, uint64_t i);
/* NULL when there is none of that name. */
const struct fg_tensor *fg_gguf_tensor(const struct fg_gguf *g, const char *name);

/* True for a tensor that another one's `scales` are. */
bool fg_gguf_is_scale(const struct fg_gguf *g, const struct fg_tensor *t);

/* Metadata. Integers of any width convert when the value fits. FG_ENOTFOUND when the key is absent,
 * FG_EFORMAT (err names key, found and wanted type) when it has another type or does not fit. */
int fg_gguf_u32(const struct fg_gguf *g, const char *key, uint32_t *out, struct fg_err *err);
int fg_gguf_f32(const struct fg_gguf *g, const char *key, float *out, struct fg_err *err);
int fg_gguf_bool(const struct fg_gguf *g, const char *key, bool *out, struct fg_err *err);
int fg_gguf_str(const struct fg_gguf *g, const char *key, struct fg_str *out, struct fg_err *err);
/* Arrays: *out is owned by g and never NULL, *n elements. Integers of any width convert to i32 when
 * all of them fit, f64 to f32; a bool array is bytes 0 or 1, and integers that are all 0 or 1 pass
 * for one. */
int fg_gguf_str_array(const struct fg_gguf *g, const char *key, const struct fg_str **out,
                      size_t *n, struct fg_err *err);
int fg_gguf_i32_array(const struct fg_gguf *g, const char *key, const int32_t **out, size_t *n,
                      struct fg_err *err);
int fg_gguf_f32_array(const struct fg_gguf *g, const char *key, const float **out, size_t *n,
                      struct fg_err *err);
int fg_gguf_bool_array(const struct fg_gguf *g, const char *key, const uint8_t **out, size_t *n,
                       struct fg_err *err);

/* XXH3-128 (canonical big-endian bytes) over the whole file, and where it is split, over the hashes
 * of all parts: what names the model in cache keys. */
void fg_gguf_fingerprint(const struct fg_gguf *g, uint8_t out[16]);

/* Of how many parts is a file of this name the first (NAME-00001-of-00005.gguf)? 1 for other names,
 * and where it would be of more than 4096. */
uint32_t fg_gguf_parts_of(const char *path);
/* The path of part `no`, from 1, of a `path` that is the first of several. The caller frees it;
 * NULL when out of memory. */
char *fg_gguf_part_path(const char *path, uint32_t no);

#endif
