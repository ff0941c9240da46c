/* What the reader's thread does in the store: records into blobs, tokens of neighbours. */
#include "store.h"

#include <stdlib.h>
#include <string.h>

#include "base/blob.h"

/* A look into the store: a snapshot, for no longer than a piece takes. */
struct look {
    struct fg_cache *c;
    MDB_txn *txn;
    uint64_t end; /* bytes of the file */
};

static int begin(struct look *r, struct fg_cache *c, struct fg_err *err)
{
    int rc;

    r->c = c;
    if (!fg_store_enter(c))
        return fg_fail(err, FG_EBUSY, "%s: the store is damaged and being reopened", c->opt.dir);
    rc = mdb_txn_begin(c->env, NULL, MDB_RDONLY, &r->txn);
    if (rc) {
        if (fg_mdb_damaged(rc))
            fg_report_damage(c, mdb_strerror(rc));
        fg_store_leave(c);
        return fg_fail(err, FG_EIO, "%s: cannot begin reading: %s", c->opt.dir, mdb_strerror(rc));
    }
    r->end = fg_store_file_bytes(c);
    if (r->end)
        return 0;
    mdb_txn_abort(r->txn);
    fg_store_leave(c);
    return fg_fail(err, FG_EIO, "%s/%s became shorter", c->opt.dir, FG_DATA_FILE);
}

static void end(struct look *r)
{
    mdb_txn_abort(r->txn);
    fg_store_leave(r->c);
}

/* 0, FG_ENOTFOUND, or FG_EIO. The value may be anything of the file's bytes, but lies within. */
static int get(struct look *r, enum fg_db db, const struct fg_key *key, MDB_val *v,
               struct fg_err *err)
{
    MDB_val k = fg_key_val(key);
    int rc = mdb_get(r->txn, r->c->db[db], &k, v);
    uint64_t off;

    if (rc == MDB_NOTFOUND)
        return fg_fail(err, FG_ENOTFOUND, "not stored");
    if (!rc) {
        off = (uintptr_t)v->mv_data - (uintptr_t)r->c->map;
        if (off > r->end || v->mv_size > r->end - off)
            rc = MDB_CORRUPTED;
    }
    if (!rc)
        return 0;
    if (fg_mdb_damaged(rc))
        fg_report_damage(r->c, mdb_strerror(rc));
    return fg_fail(err, FG_EIO, "%s/%s: %s", r->c->opt.dir, FG_DATA_FILE, mdb_strerror(rc));
}

/* Says why, has the record dropped, and makes it a miss. */
static int corrupt(struct look *r, enum fg_kind kind, const struct fg_key *key, bool forced,
                   struct fg_err *err, const char *why)
{
    fg_report_corrupt(r->c, kind, key, forced);
    return fg_fail(err, FG_ECORRUPT, "%s/%s: a %s %s; it is dropped", r->c->opt.dir, FG_DATA_FILE,
                   kind == FG_KIND_BLOCK ? "block" : "state", why);
}

static int get_meta(struct look *r, enum fg_kind kind, const struct fg_key *key,
                    struct fg_record *meta, struct fg_err *err)
{
    MDB_val v;
    int rc = get(r, fg_meta_db(kind), key, &v, err);

    if (!rc && fg_meta_decode(kind, key, v.mv_data, v.mv_size, meta))
        rc = corrupt(r, kind, key, false, err, "has a meta record that does not verify");
    return rc;
}

int fg_read_tokens(struct fg_cache *c, const struct fg_key *keys, size_t n, int32_t *tokens,
                   bool *ok, struct fg_err *err)
{
    struct fg_record meta;
    struct look r;
    int rc = begin(&r, c, err);

    if (rc)
        return rc;
    for (size_t i = 0; rc != FG_EIO && i < n; i++) {
        rc = get_meta(&r, FG_KIND_BLOCK, &keys[i], &meta, err);
        ok[i] = rc == 0;
        if (ok[i])
            memcpy(tokens + i * FG_BLOCK_TOKENS, meta.tokens, sizeof meta.tokens);
    }
    end(&r);
    return rc == FG_EIO ? rc : 0;
}

/* What waits for the writer, or is being written, is served from there. 0, FG_ENOTFOUND: it is not
 * there, but may be stored; else another miss. */
static int take_queued(struct fg_cache *c, struct fg_cache_fetch *f, struct fg_err *err)
{
    enum fg_kind kind = f->is_state ? FG_KIND_STATE : FG_KIND_BLOCK;
    const struct fg_entry *e;
    const struct fg_item *it;
    bool stored;
    int rc = 0;

    pthread_mutex_lock(&c->mu);
    e = fg_index_find(&c->ix, &f->key);
    it = e ? e->item[kind] : NULL;
    stored = e && e->flags[kind] & FG_REC_STORED;
    if (it &&
        (it->rec.bytes != f->bytes || memcmp(it->rec.tokens, f->tokens, sizeof f->tokens) != 0))
        rc = fg_fail(err, FG_ENOTFOUND, "the key is queued for other tokens, or in another size");
    else if (it)
        f->blob = fg_blob_ref(it->blob);
    else if (!stored) /* records that wait to be dropped are still in the file */
        rc = fg_fail(err, FG_ENOTFOUND, "not stored");
    pthread_mutex_unlock(&c->mu);
    return rc;
}

/* The record's bytes are in `f->blob` when this gives 0. */
static int read_record(struct look *r, struct fg_cache_fetch *f, struct fg_err *err)
{
    enum fg_kind kind = f->is_state ? FG_KIND_STATE : FG_KIND_BLOCK;
    const struct fg_key *key = &f->key;
    struct fg_record meta, rec;
    const void *payload;
    MDB_val v;
    int rc = get_meta(r, kind, key, &meta, err);

    if (rc)
        return rc;
    if (kind == FG_KIND_BLOCK && memcmp(meta.tokens, f->tokens, sizeof meta.tokens) != 0)
        return fg_fail(err, FG_ENOTFOUND, "the key is stored for other tokens");
    rc = get(r, fg_data_db(kind), key, &v, err);
    if (rc == FG_ENOTFOUND)
        return corrupt(r, kind, key, false, err, "has no payload");
    if (rc)
        return rc;
    if (fg_value_decode(kind, key, v.mv_data, v.mv_size, r->c->psize, &rec, &payload) ||
        rec.bytes != meta.bytes ||
        (kind == FG_KIND_BLOCK && memcmp(rec.tokens, meta.tokens, sizeof rec.tokens) != 0))
        return corrupt(r, kind, key, false, err, "does not verify");
    if (memcmp(rec.tokens, f->tokens, sizeof rec.tokens) != 0)
        return fg_fail(err, FG_ENOTFOUND, "the key is stored for other tokens");
    if (rec.bytes != f->bytes)
        return corrupt(r, kind, key, true, err, "has another size than was asked for");
    f->blob = fg_blob_copy_of(payload, rec.bytes);
    return f->blob ? 0 : fg_fail(err, FG_ENOMEM, "no memory for a record");
}

int fg_read_piece(struct fg_cache *c, struct fg_cache_fetch *f, struct fg_err *err)
{
    struct look r;
    int rc = take_queued(c, f, err);

    if (!rc && !f->blob) {
        rc = begin(&r, c, err);
        if (!rc) {
            rc = read_record(&r, f, err);
            end(&r);
        }
    }
    if (!rc)
        fg_count(c, f->is_state ? FG_N_HIT_STATES : FG_N_HIT_BLOCKS, 1);
    return rc;
}

/* Keys of the stored blocks that continue `parent`, at most max of them. */
static size_t continuations(struct fg_cache *c, const struct fg_key *parent, struct fg_key *keys,
                            size_t max)
{
    struct fg_entry *e;
    size_t n = 0;

    pthread_mutex_lock(&c->mu);
    e = fg_index_find(&c->ix, parent);
    for (e = e ? e->first_child : NULL; e && n < max; e = e->next_sibling)
        if (e->flags[FG_KIND_BLOCK] & FG_REC_STORED)
            keys[n++] = e->key;
    pthread_mutex_unlock(&c->mu);
    return n;
}

struct neighbours {
    struct fg_cache *c;
    const struct fg_key *parent;
    const int32_t *tokens;
    uint32_t n;
    struct fg_nearest *nearest;
};

static void look_at_neighbours(void *ctx)
{
    enum { MOST = 512 };
    struct neighbours *x = ctx;
    struct fg_key *keys = malloc(MOST * sizeof *keys);
    int32_t *tokens = malloc((size_t)MOST * FG_BLOCK_TOKENS * sizeof *tokens);
    bool *ok = calloc(MOST, sizeof *ok);
    size_t n = keys && tokens && ok ? continuations(x->c, x->parent, keys, MOST) : 0;

    if (n && fg_read_tokens(x->c, keys, n, tokens, ok, NULL) == 0)
        for (size_t i = 0; i < n; i++)
            if (ok[i])
                fg_nearest_add(x->nearest, x->tokens, x->n, tokens + i * FG_BLOCK_TOKENS);
    free(ok);
    free(tokens);
    free(keys);
}

void fg_cache_nearest(struct fg_cache *c, const struct fg_key *parent, const int32_t *tokens,
                      uint32_t n, struct fg_nearest *nearest)
{
    struct neighbours x = {c, parent, tokens, n, nearest};

    fg_reader_run(c, look_at_neighbours, &x);
}

struct tokens_of {
    struct fg_cache *c;
    const struct fg_key *key;
    int32_t *tokens;
    struct fg_err err;
    int rc;
};

static void read_tokens(void *ctx)
{
    struct tokens_of *x = ctx;
    bool ok = false;

    x->rc = fg_read_tokens(x->c, x->key, 1, x->tokens, &ok, &x->err);
    if (!x->rc && !ok)
        x->rc = x->err.code; /* what kept it from being read */
}

int fg_cache_tokens(struct fg_cache *c, const struct fg_key *key, int32_t tokens[FG_BLOCK_TOKENS],
                    struct fg_err *err)
{
    struct tokens_of x = {.c = c, .key = key, .tokens = tokens, .rc = FG_ECANCELED};

    fg_reader_run(c, read_tokens, &x);
    if (x.rc && err)
        *err = x.err;
    return x.rc;
}
