/* The engine: a model on a device, with sequences, KV pages and lightning-attention states.
 *
 * All calls come from one thread (the runner's), and none waits for the device but those that say
 * so. A sequence is a prefix of tokens whose KV rows and states lie on the device. KV lies in pages
 * of 64 tokens at absolute positions (64n .. 64n+63); full pages are immutable and shared between
 * sequences by reference count. Models with lightning attention or the gated delta rule also keep,
 * for each sequence, the state at the start of its current chunk and the chunk's k and v rows.
 *
 * The bits of a token's logits depend on the tokens before it and on nothing else
 * (docs/numerics.md): not on how a prompt is split into steps, on what shares a step, or on where a
 * restore began. */
#ifndef FG_ENGINE_H
#define FG_ENGINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/block_tokens.h"
#include "fulgur/error.h"
#include "model/gguf/gguf.h"
#include "model/families/hparams.h"
#include "ops/best.h"
#include "ops/numerics.h"
#include "ops/tiling.h"

struct fg_device; /* gpu/device.h */
struct fg_blob;   /* base/blob.h */
struct fg_ticket; /* base/ticket.h */
struct fg_engine;
struct fg_seq;
struct fg_step;

/* When the tilings of the matrix products are measured (model/tune.h), which changes no bits. */
enum fg_tune {
    FG_TUNE_NEVER,
    FG_TUNE_ONCE, /* what the directory that the device was opened with does not hold already */
    FG_TUNE_ANEW,
};

struct fg_engine_options {
    enum fg_kv_type kv_type;
    enum fg_numerics numerics;
    uint32_t n_ctx;    /* longest sequence in tokens; 0: the model's, cut to what fits the memory */
    uint32_t n_seq;    /* sequences at a time, 1..64 */
    uint32_t n_pages;  /* KV pages in the pool; 0: n_seq x n_ctx / 64, cut to what fits */
    uint32_t n_states; /* saved states kept on the device beside the sequences' own; 0 is fine */
    uint32_t n_choices; /* fg_best names ids below this; 0, or above n_vocab: n_vocab */
    /* Pages and states travel through staging buffers even where the host reaches them: for tests.
     */
    bool stage_transfers;
    enum fg_tune tune;
    void (*tune_progress)(void *ctx, double share); /* may be NULL */
    void *tune_ctx;
    void (*upload_progress)(void *ctx, uint64_t done, uint64_t all); /* bytes; may be NULL */
    void *upload_ctx;
    const struct fg_family *family; /* families/family.h; NULL: the one that the file names */
    uint64_t cache_bytes; /* most that KV pages and saved states take together; 0: the memory's */
    uint32_t
        n_batch; /* tokens of a step, multiple of 64, 64..4096; 0: 64 on CPU devices, else 512 */
};

/* Uploads and repacks the weights, builds and warms the pipelines. `g` must outlive the engine.
 * FG_EUNSUPPORTED, FG_EDEVICE, FG_ENOMEM, FG_EINVAL, FG_EFORMAT. */
int fg_engine_create(const struct fg_engine_options *opt, const struct fg_gguf *g,
                     struct fg_device *dev, struct fg_engine **out, struct fg_err *err);
void fg_engine_destroy(struct fg_engine *e);

struct fg_engine_info {
    const struct fg_hparams *hp;
    uint32_t n_ctx, n_seq, n_pages, n_states, n_batch;
    size_t
        page_bytes; /* a KV block as captured and restored; 0 for a model without softmax layers */
    size_t
        state_bytes; /* a state as captured and restored; 0 for a model without recurrent layers */
    uint64_t weight_bytes, kv_bytes, seq_bytes, scratch_bytes; /* on the device */
    uint8_t numerics_id[16];
    bool canonical; /* a portable mode on a device that passed the known-answer self-test */
};
void fg_engine_info(const struct fg_engine *e, struct fg_engine_info *out);

/* The choices that are in force, valid as long as the engine; note (not NULL): the error that kept
 * some from being read or kept, code 0 for none. Returns how many. */
uint32_t fg_engine_tuned(const struct fg_engine *e, const struct fg_tuned **out,
                         const struct fg_err **note);
/* An empty sequence. FG_EBUSY when all n_seq are in use. */
int fg_seq_create(struct fg_engine *e, struct fg_seq **out, struct fg_err *err);
/* Gives back its pages and its slot. NULL is fine. */
void fg_seq_destroy(struct fg_seq *s);
uint32_t fg_seq_length(const struct fg_seq *s); /* tokens */
/* KV pages that it holds, also those that steps were prepared with; 0 for a model without them. */
uint32_t fg_seq_pages(const struct fg_seq *s);

/* A token and its logit. */
struct fg_best {
    int32_t id;
    float logit;
};

/* One piece of a step: n tokens that continue `seq`. A step holds each sequence at most once. */
struct fg_step_span {
    struct fg_seq *seq;
    const int32_t *tokens;
    uint32_t n;        /* 1 .. n_batch */
    uint32_t n_logits; /* logits wanted for the last n_logits tokens, 0..n */
    float *logits;     /* [n_logits][n_vocab] out, the caller's */
    /* The n_best best of the last token, descending, the lower id first on a tie: 0..FG_BEST_MOST,
     * at most n_choices. Where n_logits is 0 only they leave the device; else it is 1, and the
     * logits come too. When any of the logits is NaN or +infinity, best[0].logit is NaN. */
    uint32_t n_best;
    struct fg_best *best; /* [n_best] out, the caller's */
};
/* Computes the pieces (n_batch tokens together at most) and waits: the four functions below in one,
 * for tools and tests. On failure no sequence has grown. FG_EINVAL (a token id outside the
 * vocabulary, n), FG_ETOOLONG (n_ctx), FG_EBUSY (no free page, two steps under way), FG_EDEVICE,
 * FG_EDEVICELOST. */
int fg_engine_step(struct fg_engine *e, const struct fg_step_span *pieces, uint32_t n_pieces,
                   struct fg_err *err);

/* A step for those who do not wait. Two may be there at once: while one runs, the next is prepared,
 * and counts the tokens of the first as if they were computed. A sequence that is in a step is not
 * destroyed before that is finished or dropped. */

/* Takes pages, fills the step's tables and records it. The pieces are copied but for what their
 * `logits` and `best` point to, which must stay until the step is finished or dropped; `tokens` may
 * go. *out is the engine's, until then. Errors of fg_engine_step(). */
int fg_step_prepare(struct fg_engine *e, const struct fg_step_span *pieces, uint32_t n_pieces,
                    struct fg_step **out, struct fg_err *err);
/* Piece i, which is of one token, gets this one in place of what it was prepared with (any id of
 * the vocabulary). Before the step is submitted. FG_EINVAL. */
int fg_step_token(struct fg_step *s, uint32_t i, int32_t id, struct fg_err *err);
/* Hands the step to the device and does not wait; the ticket (may be NULL) ends with it. One step
 * runs at a time: FG_EBUSY where another is submitted and not finished. FG_EINVAL: a sequence has
 * not the tokens that the step was prepared behind. FG_EDEVICE, FG_EDEVICELOST. After a failure the
 * ticket has not begun, and the step can only be dropped. */
int fg_step_submit(struct fg_step *s, struct fg_ticket *ticket, struct fg_err *err);
/* Once the ticket has ended (else it waits): the sequences grow, logits and best are filled. The
 * step is over, also where this fails, and no sequence has grown then. It waits for the device once
 * more for each 64 rows of logits after the first 64. FG_EDEVICE, FG_EDEVICELOST. */
int fg_step_finish(struct fg_step *s, struct fg_err *err);
/* A step that is not to be submitted after all. NULL is fine. */
void fg_step_drop(struct fg_step *s);

/* --- pages and states on their way between blobs and the device --- */

/* These start a transfer on a thread of the engine's and return at once. The ticket begins, and
 * ends with FG_EINVAL (no such page or slot, the blob's length is not page_bytes or state_bytes),
 * FG_ENOMEM, FG_EDEVICE, FG_EDEVICELOST where it failed. The transfer has its own reference to the
 * blob, which nobody writes meanwhile, nor reads while it is read into. Pieces of several
 * transfers are moved in turn.
 *
 * Until the ticket has ended the caller keeps its reference to the page. A page that is read is
 * full, and its tokens' step is finished. A page that is written is one of fg_engine_take_page(),
 * in no sequence yet. */
void fg_page_read(struct fg_engine *e, uint32_t page, struct fg_blob *to, struct fg_ticket *ticket);
void fg_page_write(struct fg_engine *e, uint32_t page, struct fg_blob *from,
                   struct fg_ticket *ticket);
/* The same of a saved-state slot: behind the copies into it and out of it that fg_seq_save_state()
 * and fg_seq_load_state() have begun, so nobody need wait for these. Until the ticket has ended no
 * others may begin. */
void fg_state_read(struct fg_engine *e, uint32_t slot, struct fg_blob *to,
                   struct fg_ticket *ticket);
void fg_state_write(struct fg_engine *e, uint32_t slot, struct fg_blob *from,
                    struct fg_ticket *ticket);
/* A free page with one reference, the caller's. FG_EBUSY. */
int fg_engine_take_page(struct fg_engine *e, uint32_t *page, struct fg_err *err);

/* --- the same through host memory, of a sequence, waiting: for tools and tests --- */

/* Copies full page `index` (tokens 64*index ..) of s to dst[page_bytes]. */
int fg_seq_capture_page(struct fg_seq *s, uint32_t index, void *dst, struct fg_err *err);
/* Copies the state at the sequence's end, whose length must be a multiple of 64 and not 0, to
 * dst[state_bytes]. */
int fg_seq_capture_state(struct fg_seq *s, void *dst, struct fg_err *err);
/* Appends a captured page to a sequence whose length is a multiple of 64; grows it by 64 tokens.
 * For models with states the sequence can only be stepped once fg_seq_restore_state() has followed.
 */
int fg_seq_restore_page(struct fg_seq *s, const void *src, struct fg_err *err);
int fg_seq_restore_state(struct fg_seq *s, const void *src, struct fg_err *err);

/* --- pages and states that stay on the device (the VRAM cache) --- */

/* The page id behind full page `index`; ids are small integers below n_pages. */
uint32_t fg_seq_page(const struct fg_seq *s, uint32_t index);
void fg_page_ref(struct fg_engine *e, uint32_t page);
void fg_page_unref(struct fg_engine *e, uint32_t page);
uint32_t fg_engine_free_pages(const struct fg_engine *e);
/* Appends a page that is still referenced to a sequence whose length is a multiple of 64. */
int fg_seq_share_page(struct fg_seq *s, uint32_t page, struct fg_err *err);
/* Saves the state at the sequence's end (as for fg_seq_capture_state) in saved-state slot
 * `slot` < n_states, or loads it from there: copies on the device, in the order of steps, that
 * nobody waits for. FG_EBUSY: a step of the sequence is submitted; loading, or prepared. */
int fg_seq_save_state(struct fg_seq *s, uint32_t slot, struct fg_err *err);
int fg_seq_load_state(struct fg_seq *s, uint32_t slot, struct fg_err *err);

#endif
