/* Operations that carry a prefix from one store to another. */
#include "operation_parts.h"

#include <stdlib.h>
#include <string.h>

#include "base/blob.h"
#include "cache/pack.h"

static int head_here(struct fg_operation *t, struct fg_pack_head *h, struct fg_err *err)
{
    const struct fg_flow *flow = t->flow;

    *h = (struct fg_pack_head){.block_bytes = flow->block_bytes, .state_bytes = flow->state_bytes};
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

/* A record with its payload. *bytes are the caller's. */
static int read_record(struct fg_operation *t, const struct fg_cache_path *path,
                       const uint8_t *head, uint32_t i, bool is_state, uint8_t **bytes, size_t *n,
                       struct fg_err *err)
{
    size_t size = is_state ? t->flow->state_bytes : t->flow->block_bytes;
    struct fg_pack_record rec = {.is_state = is_state, .index = i};
    const int32_t *tokens = path->tokens + (size_t)i * FG_BLOCK_TOKENS;
    struct fg_cache_fetch f = {.key = path->keys[i], .is_state = is_state, .bytes = size};
    int rc;

    *n = FG_PACK_RECORD_BYTES + size;
    *bytes = malloc(*n);
    if (!*bytes)
        return fg_fail(err, FG_ENOMEM, "no memory for a record");
    memcpy(f.tokens, tokens, sizeof f.tokens);
    rc = fg_cache_get(t->flow->cache, &f, err);
    if (rc == 0) {
        memcpy(rec.tokens, tokens, sizeof rec.tokens);
        fg_blob_read(f.blob, 0, *bytes + FG_PACK_RECORD_BYTES, size);
        rec.payload = *bytes + FG_PACK_RECORD_BYTES;
        fg_pack_record_encode(head, &rec, size, *bytes);
    }
    fg_blob_unref(f.blob);
    return rc;
}

static int send_record(struct fg_operation *t, const struct fg_cache_path *path,
                       const uint8_t *head, uint32_t i, bool is_state, struct fg_err *err)
{
    uint8_t *bytes = NULL;
    size_t n;
    int rc = read_record(t, path, head, i, is_state, &bytes, &n, err);

    if (rc == 0)
        rc = fg_operation_data(t, bytes, n, err);
    free(bytes);
    return rc;
}

int fg_operation_export(struct fg_operation *t, struct fg_operation_result *out, struct fg_err *err)
{
    uint8_t head[FG_PACK_HEAD_BYTES];
    struct fg_cache_path path;
    struct fg_pack_head h;
    int rc = fg_operation_path(t, &path, err);

    if (rc)
        return rc;
    rc = head_here(t, &h, err);
    h.n_blocks = path.n;
    for (uint32_t i = 0; i < path.n; i++) {
        /* States of a model that has none any more are nobody's. */
        path.has_state[i] = path.has_state[i] && t->flow->state_bytes;
        h.n_states += path.has_state[i];
    }
    fg_pack_head_encode(&h, head);
    if (rc == 0)
        rc = fg_operation_data(t, head, sizeof head, err);
    for (uint32_t i = 0; rc == 0 && i < path.n; i++) {
        rc = send_record(t, &path, head, i, false, err);
        if (rc == 0 && path.has_state[i])
            rc = send_record(t, &path, head, i, true, err);
    }
    out->blocks = h.n_blocks;
    out->states = h.n_states;
    out->bytes = fg_pack_bytes(&h);
    fg_cache_path_finish(&path);
    return rc;
}

/* --- import --- */

/* Goes through the whole pack before anything is stored. */
static int check_pack(struct fg_operation *t, struct fg_pack_reader *r, struct fg_err *err)
{
    struct fg_pack_head here;
    struct fg_pack_record rec;
    int rc = fg_pack_reader_init(r, t->req.bytes, t->req.n_bytes, err);

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

/* The store takes over a copy; it may have to write first what it was given before. */
static int put(struct fg_operation *t, const struct fg_pack_record *rec, const struct fg_key *key,
               const struct fg_key *parent, size_t size, const struct fg_rate *rate,
               struct fg_err *err)
{
    struct fg_cache *cache = t->flow->cache;
    uint32_t from = rec->index * FG_BLOCK_TOKENS;
    struct fg_cache_put p = {.key = key,
                             .tokens = rec->tokens,
                             .blob = fg_blob_copy_of(rec->payload, size),
                             .is_state = rec->is_state,
                             .parent = parent,
                             .index = rec->index,
                             .seconds = fg_rate_seconds(rate, from, from + FG_BLOCK_TOKENS),
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

static int store_pack(struct fg_operation *t, struct fg_pack_reader *r,
                      struct fg_operation_result *out, struct fg_err *err)
{
    struct fg_key parent = fg_flow_root(t->flow, &t->req.tenant), key = parent;
    struct fg_pack_record rec;
    struct fg_rate rate;
    int rc = 0, more;

    fg_operation_on_gpu(t->flow, copy_rate, &rate);
    fg_flow_note_root(t->flow, &t->req.tenant);
    while (rc == 0 && (more = fg_pack_next(r, &rec, err)) == 1) {
        if (fg_operation_canceled(t))
            rc = fg_fail(err, FG_ECANCELED, "the import was canceled");
        if (rc == 0 && !rec.is_state) {
            parent = key;
            key = fg_key_next(&parent, rec.tokens);
        }
        if (rc == 0)
            rc = put(t, &rec, &key, &parent,
                     rec.is_state ? r->head.state_bytes : r->head.block_bytes, &rate, err);
        fg_operation_progress(t, r->blocks, r->head.n_blocks);
    }
    fg_cache_flush(t->flow->cache);
    if (rc == 0 && !fg_cache_has_block(t->flow->cache, &key))
        rc = fg_fail(err, FG_EFULL, "the store did not take it; its log says why");
    fg_operation_hex(&key, out->id);
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

    if (rc == 0)
        rc = fg_pack_reader_init(&r, t->req.bytes, t->req.n_bytes, err);
    return rc ? rc : store_pack(t, &r, out, err);
}
