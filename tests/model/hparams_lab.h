/* What tests of hyper-parameters do with a writer: change a key, and expect the model to be taken
 * or refused. */
#ifndef HPARAMS_LAB_H
#define HPARAMS_LAB_H

#include "gguf_writer.h"
#include "model/families/hparams.h"

/* Opens what the writer holds, destroys the writer, and expects the parameters to be sound. The
 * caller ends with fg_hparams_finish() and fg_gguf_close(). */
struct fg_gguf *hparams_accept(struct gguf_writer *w, struct fg_hparams *hp);
/* Expects the code and a line with `text` in it; destroys the writer. */
void hparams_refuse(struct gguf_writer *w, int code, const char *text);

/* Replace a key, or take it out. They return the writer. */
struct gguf_writer *without(struct gguf_writer *w, const char *key);
struct gguf_writer *with_u32(struct gguf_writer *w, const char *key, uint32_t v);
struct gguf_writer *with_f32(struct gguf_writer *w, const char *key, float v);
struct gguf_writer *with_bool(struct gguf_writer *w, const char *key, bool v);
struct gguf_writer *with_i32s(struct gguf_writer *w, const char *key, const int32_t *v, uint64_t n);
/* Replaces a tensor by one of another shape or type; a * b is at most 512. */
struct gguf_writer *with_tensor(struct gguf_writer *w, const char *name, enum fg_dtype type,
                                uint64_t a, uint64_t b);

#endif
