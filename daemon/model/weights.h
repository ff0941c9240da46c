/* Weights on the device: matrices in the tile layout of shaders/matmul/weights.glsl, vectors in
 * f32. */
#ifndef FG_WEIGHTS_H
#define FG_WEIGHTS_H

#include "model/gguf/gguf.h"
#include "gpu/command.h"
#include "ops/matrix.h"

/* Copies tensors to the device and repacks them there; one for a whole load. */
struct fg_uploader;
int fg_uploader_create(struct fg_device *d,
                       void (*progress)(void *ctx, uint64_t done, uint64_t all), void *progress_ctx,
                       uint64_t all_bytes, struct fg_uploader **out, struct fg_err *err);
/* Host memory that one takes. */
uint64_t fg_uploader_bytes(void);
void fg_uploader_destroy(struct fg_uploader *u);

/* The tensors that make one matrix, all of one type and k: [k, rows] or [k, rows, experts]. Two
 * gated ones have one shape; others lie below each other, each but the last of whole tiles. */
enum { FG_MATRIX_TENSORS = 4 };
struct fg_matrix_source {
    const struct fg_tensor *t[FG_MATRIX_TENSORS];
    uint32_t n;
    bool gated; /* t[0] and t[1]; where they are one, its first rows and its last */
};

/* What fg_matrix_init() would make of them on a device of these limits: the parts without their
 * buffers, and the bytes. FG_ENOMEM, FG_EUNSUPPORTED as there; end with fg_matrix_finish(). */
int fg_matrix_measure(struct fg_matrix *m, const struct fg_device_info *d,
                      const struct fg_matrix_source *from, struct fg_err *err);
/* FG_ENOMEM, FG_EUNSUPPORTED (one expert is larger than the device's largest binding), FG_EDEVICE.
 * End with fg_matrix_finish(). */
int fg_matrix_init(struct fg_matrix *m, struct fg_uploader *u, const struct fg_matrix_source *from,
                   struct fg_err *err);
struct fg_matrix_shape {
    enum fg_dtype type;
    uint32_t n_rows, k, n_experts; /* [n_experts][n_rows][k] */
};

/* A matrix of that shape, contents undefined, for what measures kernels. Errors and end as above.
 */
int fg_matrix_blank(struct fg_matrix *m, struct fg_device *d, const struct fg_matrix_shape *shape,
                    struct fg_err *err);
/* A tensor, expanded to f32, its rows one after the other. */
int fg_vector_upload(struct fg_uploader *u, const struct fg_tensor *t, struct fg_buffer **out,
                     struct fg_err *err);

#endif
