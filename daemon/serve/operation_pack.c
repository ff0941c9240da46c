/* Operations that carry a prefix from one store to another. */
#include "operation_parts.h"

#include <stdlib.h>
#include <string.h>

#include "base/blob.h"
#include "cache/pack.h"

static int head_here(struct fg_operation *t, struct fg_pack_head *h, struct fg_err *err)
{
    const struct fg_flow *flow = t->flow;

    *h = (struct fg_pack_head){.version = FG_PACK_VERSION,
                               .block_bytes = flow->block_bytes,
                               .state_bytes = flow->state_bytes};
    memcpy(h->model, flow->model, sizeof h->model);
    memcpy(h->numerics, flow->numerics, sizeof h->numerics);
    snprintf(h->name, sizeof h->name, "%s", flow->model_name);
    return fg_vocabulary_fingerprint(&flow->vocabulary, h->tokenizer, err);
}

/* Only what this model and this device could use themselves can be named in a pack. */
static int check_root(struct fg_operation *t, const struct fg_operation_roots *roots,
                      const struct fg_key *root, struct fg_err *err)
{
    size_t i = 0;

    if (memcmp(root, &roots->keys[0], sizeof *root) == 0)
        return 0;
    while (i < roots->n && memcmp(root, &roots->keys[i], sizeof *root) != 0)
        i++;
    return fg_fail(err, FG_EINVAL,
                   "id '%s': it is of the model \"%s\" or of another device's arithmetic; run the "
                   "daemon with that one",
                   t->req.id, i < roots->n ? roots->infos[i].name : "?");
}

int fg_operation_path(struct fg_operation *t, struct fg_cache_path *path, struct fg_err *err)
{
    struct fg_operation_roots roots;
    struct fg_key key;
    int rc = fg_operation_roots(t, &roots, err);

    *path = (struct fg_cache_path){0};
    if (rc == 0)
        rc = fg_cache_resolve(t->flow->cache, roots.keys, roots.n, t->req.id, &key, err);
    if (rc == 0)
        rc = fg_cache_path(t->flow->cache, &key, path, err);
    if (rc == 0)
        rc = check_root(t, &roots, &path->root, err);
    if (rc)
        fg_cache_path_finish(path);
    fg_operation_roots_finish(&roots);
    return rc;
}

/* --- export --- */

struct export
{
    struct fg_operation *t;
    struct fg_cache_path path;
    struct fg_pack_head head;
    uint8_t head_bytes[FG_PACK_HEAD_BYTES];
    struct fg_pack_digest digest; /* of what was sent */
};

static int send_bytes(struct export *x, const void *bytes, size_t n, struct fg_err *err)
{
    fg_pack_digest_add(&x->digest, bytes, n);
    return fg_operation_data(x->t, bytes, n, err);
}

/* The record of block rec->index, or of its state: all of its bytes into `out`. Fills the rest of
 * *rec. */
static int read_record(const struct export *x, struct fg_pack_record *rec, size_t size,
                       uint8_t *out, struct fg_err *err)
{
    struct fg_cache_fetch f = {
        .key = x->path.keys[rec->index], .is_state = rec->is_state, .bytes = size};
    int rc;

    memcpy(rec->tokens, x->path.tokens + (size_t)rec->index * FG_BLOCK_TOKENS, sizeof rec->tokens);
    memcpy(f.tokens, rec->tokens, sizeof f.tokens);
    rc = fg_cache_get(x->t->flow->cache, &f, err);
    if (rc == 0) {
        rec->payload = out + FG_PACK_RECORD_BYTES;
        fg_blob_read(f.blob, 0, out + FG_PACK_RECORD_BYTES, size);
        fg_pack_record_encode(x->head_bytes, rec, size, out);
    }
    fg_blob_unref(f.blob);
    return rc;
}

static int send_record(struct export *x, uint32_t i, bool is_state, struct fg_err *err)
{
    struct fg_pack_record rec = {.is_state = is_state, .index = i};
    size_t size = is_state ? x->head.state_bytes : x->head.block_bytes;
    uint8_t *bytes = malloc(FG_PACK_RECORD_BYTES + size);
    int rc = bytes ? read_record(x, &rec, size, bytes, err)
                   : fg_fail(err, FG_ENOMEM, "no memory for a record");

    if (rc == 0)
        rc = send_bytes(x, bytes, FG_PACK_RECORD_BYTES + size, err);
    free(bytes);
    return rc;
}

static int begin_pack(struct export *x, struct fg_err *err)
{
    int rc = head_here(x->t, &x->head, err);

    if (rc)
        return rc;
    x->head.n_blocks = x->path.n;
    for (uint32_t i = 0; i < x->path.n; i++) {
        /* States of a model that has none any more are nobody's. */
        x->path.has_state[i] = x->path.has_state[i] && x->head.state_bytes;
        x->head.n_states += x->path.has_state[i];
    }
    fg_pack_head_encode(&x->head, x->head_bytes);
    fg_pack_digest_init(&x->digest);
    return send_bytes(x, x->head_bytes, sizeof x->head_bytes, err);
}

static int end_pack(struct export *x, struct fg_err *err)
{
    uint8_t end[FG_PACK_END_BYTES];
    int rc = fg_pack_end_encode(&x->digest, &x->t->flow->signers.own, end, err);

    return rc ? rc : fg_operation_data(x->t, end, sizeof end, err);
}

int fg_operation_export(struct fg_operation *t, struct fg_operation_result *out, struct fg_err *err)
{
    struct export x = {.t = t};
    int rc;

    if (!t->flow->signers.text[0])
        return fg_fail(err, FG_EIO,
                       "the daemon has no key to sign packs with: %s could not be made in %s when "
                       "it started; its log says why",
                       FG_PACK_KEY_FILE, t->flow->cache_dir);
    rc = fg_operation_path(t, &x.path, err);
    if (rc)
        return rc;
    rc = begin_pack(&x, err);
    for (uint32_t i = 0; rc == 0 && i < x.path.n; i++) {
        rc = send_record(&x, i, false, err);
        if (rc == 0 && x.path.has_state[i])
            rc = send_record(&x, i, true, err);
    }
    if (rc == 0)
        rc = end_pack(&x, err);
    out->blocks = x.head.n_blocks;
    out->states = x.head.n_states;
    out->bytes = fg_pack_bytes(&x.head);
    fg_cache_path_finish(&x.path);
    return rc;
}

/* --- import --- */

/* From whom is it? Whether that is true shows at its end. */
static int check_signer(struct fg_operation *t, const struct fg_pack_reader *r, struct fg_err *err)
{
    char who[FG_PACK_PUBLIC_TEXT];

    if (!r->is_signed && t->req.unsigned_too)
        return 0;
    if (!r->is_signed)
        return fg_fail(err, FG_EINVAL,
                       "the pack is not signed (format version %d): have it exported again by a "
                       "fulgur that signs; or, if you know where it comes from, let the user who "
                       "runs the daemon import it with `fulgur cache import --unsigned`",
                       FG_PACK_UNSIGNED);
    if (fg_signers_trust(&t->flow->signers, &r->signer))
        return 0;
    fg_pack_public_text(&r->signer, who);
    return fg_fail(err, FG_EINVAL,
                   "the pack is signed by %s, whose packs this daemon does not take; if you trust "
                   "whoever has that key, start fulgurd with --import-key %s",
                   who, who);
}

/* Goes through the whole pack before anything is stored. */
static int check_pack(struct fg_operation *t, struct fg_pack_reader *r, struct fg_err *err)
{
    struct fg_pack_head here;
    struct fg_pack_record rec;
    int rc = fg_pack_reader_init(r, t->req.bytes, t->req.n_bytes, err);

    if (rc == 0)
        rc = check_signer(t, r, err);
    if (rc == 0)
        rc = head_here(t, &here, err);
    if (rc == 0)
        rc = fg_pack_match(&r->head, &here, err);
    if (rc)
        return rc;
    while ((rc = fg_pack_next(r, &rec, err)) == 1)
        for (int i = 0; i < FG_BLOCK_TOKENS; i++)
            if (rec.tokens[i] < 0 || (uint32_t)rec.tokens[i] >= t->flow->n_vocab)
                return fg_fail(err, FG_EFORMAT, "block %u of the pack has the token id %d",
                               rec.index, (int)rec.tokens[i]);
    return rc;
}

/* What computing takes here: the GPU thread measures it. */
static void copy_rate(struct fg_flow *flow, void *rate)
{
    *(struct fg_rate *)rate = flow->prefill_rate;
}

/* Where the records go: the last block's key, and the one that it continues. */
struct import {
    struct fg_operation *t;
    struct fg_rate rate;
    struct fg_key key, parent;
};

/* The store takes over a copy; it may have to write first what it was given before. */
static int put(const struct import *x, const struct fg_pack_record *rec, size_t size,
               struct fg_err *err)
{
    struct fg_cache *cache = x->t->flow->cache;
    uint32_t from = rec->index * FG_BLOCK_TOKENS;
    struct fg_cache_put p = {.key = &x->key,
                             .tokens = rec->tokens,
                             .blob = fg_blob_copy_of(rec->payload, size),
                             .is_state = rec->is_state,
                             .parent = &x->parent,
                             .index = rec->index,
                             .seconds = fg_rate_seconds(&x->rate, from, from + FG_BLOCK_TOKENS),
                             .at = FG_AT_PROMPT_END};
    int rc = FG_EBUSY;

    if (!p.blob)
        return fg_fail(err, FG_ENOMEM, "no memory for a record");
    for (int again = 0; rc == FG_EBUSY && again < 3; again++) {
        rc = fg_cache_put(cache, &p);
        if (rc == FG_EBUSY)
            fg_cache_flush(cache);
    }
    fg_blob_unref(p.blob);
    return rc ? fg_fail(err, rc, "record %u could not be stored: %s", rec->index, fg_strerror(rc))
              : 0;
}

static int store_record(struct import *x, const struct fg_pack_reader *r,
                        const struct fg_pack_record *rec, struct fg_err *err)
{
    if (fg_operation_canceled(x->t))
        return fg_fail(err, FG_ECANCELED, "the import was canceled");
    if (!rec->is_state) {
        x->parent = x->key;
        x->key = fg_key_next(&x->parent, rec->tokens);
    }
    return put(x, rec, rec->is_state ? r->head.state_bytes : r->head.block_bytes, err);
}

/* How often records have found no way into the store, whosever they were. */
static uint64_t times_not_taken(struct fg_cache *cache)
{
    struct fg_cache_stats s;

    fg_cache_stats(cache, &s);
    return s.dropped_full + s.dropped_queue + s.dropped_budget + s.write_errors;
}

/* The pack's last block is to be there. What was dropped meanwhile explains it if it is not. */
static int check_stored(const struct import *x, uint64_t not_taken, struct fg_err *err)
{
    struct fg_cache *cache = x->t->flow->cache;

    if (fg_cache_has_block(cache, &x->key))
        return 0;
    if (times_not_taken(cache) != not_taken)
        return fg_fail(err, FG_EFULL, "the store did not take it; its log says why");
    return fg_fail(err, FG_ECANCELED,
                   "what was imported has been forgotten or evicted meanwhile; try again");
}

static int store_pack(struct fg_operation *t, struct fg_pack_reader *r,
                      struct fg_operation_result *out, struct fg_err *err)
{
    struct import x = {.t = t, .key = fg_flow_root(t->flow, &t->req.tenant)};
    uint64_t not_taken = times_not_taken(t->flow->cache);
    struct fg_pack_record rec;
    int rc;

    fg_operation_on_gpu(t->flow, copy_rate, &x.rate);
    fg_flow_note_root(t->flow, &t->req.tenant);
    fg_pack_rewind(r);
    while ((rc = fg_pack_next(r, &rec, err)) == 1) {
        rc = store_record(&x, r, &rec, err);
        if (rc)
            break;
        fg_operation_progress(t, r->blocks, r->head.n_blocks);
    }
    fg_cache_flush(t->flow->cache);
    if (rc == 0)
        rc = check_stored(&x, not_taken, err);
    fg_operation_hex(&x.key, out->id);
    if (r->is_signed)
        fg_pack_public_text(&r->signer, out->signer);
    out->tokens = r->blocks * FG_BLOCK_TOKENS;
    out->blocks = r->blocks;
    out->states = r->states;
    out->bytes = t->req.n_bytes;
    return rc;
}

int fg_operation_import(struct fg_operation *t, struct fg_operation_result *out, struct fg_err *err)
{
    struct fg_pack_reader r;
    int rc = check_pack(t, &r, err);

    return rc ? rc : store_pack(t, &r, out, err);
}
