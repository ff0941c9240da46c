/* A family's keys in a file, read with their limits; what is wrong is said with the file's name and
 * the key's. */
#ifndef FG_KEYS_H
#define FG_KEYS_H

#include "model/gguf/gguf.h"
#include "ops/delta_rule.h"
#include "ops/rope_kv.h"

struct fg_hparams;     /* hparams.h */
struct fg_block_shape; /* model/blocks/block.h */

struct fg_keys {
    const struct fg_gguf *g;
    const char *arch;   /* prefix of the keys */
    struct fg_err *err; /* where errors are said */
};

/* Limits that no published model comes near: products of two of them fit 64 bits many times. */
#define FG_MAX_LAYERS 1024u
#define FG_MAX_EMBD 131072u
#define FG_MAX_FF (1u << 20)
#define FG_MAX_HEADS 4096u
#define FG_MAX_HEAD_DIM 512u
#define FG_MAX_VOCAB (1u << 22)
#define FG_MAX_EXPERTS 1024u
#define FG_MAX_CTX (1u << 30)

bool fg_str_is(struct fg_str s, const char *text);

struct fg_key {
    char text[96];
};
struct fg_key fg_key_of(const struct fg_keys *k, const char *suffix);

/* A u32 within lo..hi, or an array of one for each of n_layer layers (0: any number) that are all
 * the same. */
struct fg_u32_key {
    const char *suffix;
    uint32_t lo, hi;
    uint32_t n_layer;
    bool optional; /* without the key *out stays as it is, and is checked too */
};
/* FG_EFORMAT, FG_EUNSUPPORTED (layers of several values). */
int fg_key_u32(const struct fg_keys *k, struct fg_u32_key key, uint32_t *out);
/* A finite f32 above 0 and at most hi. FG_EFORMAT. */
int fg_key_f32(const struct fg_keys *k, const char *suffix, bool optional, float hi, float *out);

/* Keys that change a model's results in ways that fulgur does not compute, unless they have their
 * neutral value. residual_scale: 1 where that key is one of them. FG_EUNSUPPORTED. */
int fg_keys_refuse_variants(const struct fg_keys *k, bool residual_scale);
/* The same but for those that the family reads itself. */
enum {
    FG_OWN_RESIDUAL_SCALE = 1,
    FG_OWN_SHARED_COUNT = 2,
    FG_OWN_LEFT_OUT = 4,
    FG_OWN_GATING = 8,  /* expert_gating_func */
    FG_OWN_WINDOW = 16, /* attention.sliding_window */
};
int fg_keys_refuse_variants_but(const struct fg_keys *k, unsigned own);
/* A key of a bool that must be absent, or `neutral`. FG_EUNSUPPORTED, FG_EFORMAT. */
int fg_key_refuse_bool(const struct fg_keys *k, const char *suffix, bool neutral);

/* Heads of softmax attention, all layers alike; rope_dim and neox are left alone. n_embd: the
 * model's width. Errors of fg_key_u32(). */
int fg_keys_heads(const struct fg_keys *k, uint32_t n_embd, uint32_t n_layer, struct fg_heads *out);
/* Their dimension alone, where their numbers differ by layer; n_head must be set. */
int fg_keys_head_dim(const struct fg_keys *k, uint32_t n_embd, struct fg_heads *heads);
/* What of the heads is rotated, and what of the model's rotary table the keys say; keys_rope.c.
 * needed: the keys must be there. Errors as above, FG_EUNSUPPORTED (scaling of other kinds). */
int fg_keys_rope(const struct fg_keys *k, bool needed, struct fg_heads *heads,
                 struct fg_hparams *hp);

/* Windows of the layers' attention, whose blocks are there: of a number of layers all but the last,
 * which is `pattern` where the file does not say, or as it lists them; keys_windows.c. Errors of
 * fg_key_u32(). */
int fg_keys_windows(const struct fg_keys *k, uint32_t pattern, struct fg_hparams *hp);

/* Experts, all layers alike: their number, how many of them a token takes, their width, which is
 * that of the key, or what `n_ff` holds where the key is optional; keys_experts.c. Errors of
 * fg_key_u32(). */
int fg_keys_experts(const struct fg_keys *k, uint32_t n_layer, struct fg_block_shape *s);
/* Whether gate and up of the layer's experts are one tensor. */
bool fg_keys_fused_experts(const struct fg_keys *k, uint32_t layer);

/* Heads and taps of the gated delta rule, all layers alike; keys_delta.c. Errors of fg_key_u32().
 */
int fg_keys_delta(const struct fg_keys *k, struct fg_delta_shape *out);

#endif
