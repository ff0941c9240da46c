/* What the reader's thread does in the store: records into blobs, tokens of neighbours. */
#include "read.h"
#include "dir.h"
#include "document.h"
#include "handle.h"
#include "put_queue.h"
#include "reader.h"
#include "reopen.h"
#include "store.h"

#include <stdlib.h>
#include <string.h>

#include "base/blob.h"
#include "guard.h"

static enum fg_kind kind_of(const struct fg_cache_fetch *f)
{
    return f->is_document ? FG_KIND_DOCUMENT : f->is_state ? FG_KIND_STATE : FG_KIND_BLOCK;
}

/* A look into the store: a snapshot, for no longer than a piece takes. */
struct look {
    struct fg_cache *c;
    MDB_txn *txn;
    uint64_t end; /* bytes of the file */
};

/* Refused, though a snapshot was there to be had: what cannot be trusted is not looked at. */
static int refuse(struct look *r, struct fg_err *err, const char *why)
{
    fg_store_leave(r->c);
    return fg_fail(err, FG_EIO, "%s/%s %s", r->c->opt.dir, FG_DATA_FILE, why);
}

static int begin(struct look *r, struct fg_cache *c, struct fg_err *err)
{
    r->c = c;
    r->txn = fg_store_enter(c);
    if (!r->txn)
        return fg_fail(err, FG_EBUSY, "%s: the store is damaged and being reopened", c->opt.dir);
    r->end = fg_store_file_bytes(c);
    if (r->end == 0)
        return refuse(r, err, "became shorter");
    if (!fg_store_is_ours(c, 1)) /* the writer may be at it */
        return refuse(r, err, "was overwritten");
    return 0;
}

static void end(struct look *r)
{
    fg_store_leave(r->c);
}

/* 0, FG_ENOTFOUND, or FG_EIO. The value may be anything of the file's bytes, but lies within. */
static int get(struct look *r, enum fg_db db, MDB_val k, MDB_val *v, struct fg_err *err)
{
    int rc = mdb_get(r->txn, r->c->store.db[db], &k, v);
    uint64_t off;

    if (rc == MDB_NOTFOUND)
        return fg_fail(err, FG_ENOTFOUND, "not stored");
    if (!rc) {
        off = (uintptr_t)v->mv_data - (uintptr_t)r->c->store.map;
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
                   fg_kind_name(kind), why);
}

static int get_meta(struct look *r, enum fg_kind kind, const struct fg_key *key,
                    struct fg_record *meta, struct fg_err *err)
{
    MDB_val v;
    int rc = get(r, fg_meta_db(kind), fg_key_val(key), &v, err);

    if (!rc && fg_meta_decode(kind, key, v.mv_data, v.mv_size, meta))
        rc = corrupt(r, kind, key, false, err, "has a meta record that does not verify");
    return rc;
}

/* A read in the store, and how it ended. */
struct guarded_read {
    struct fg_cache *c;
    struct fg_cache_fetch *f;  /* a piece of it; or */
    const struct fg_key *keys; /* the tokens of these */
    size_t n;
    int32_t *tokens;
    bool *ok;
    struct fg_err *err;
    int rc;
};

static int run_guarded(struct guarded_read *x, void (*run)(void *ctx))
{
    if (fg_guarded(run, x))
        return x->rc;
    fg_store_fault(x->c);
    fg_store_leave(x->c);
    return fg_fail(x->err, FG_EIO, "%s/%s was cut or overwritten", x->c->opt.dir, FG_DATA_FILE);
}

static void tokens_in_guard(void *ctx)
{
    struct guarded_read *x = ctx;
    struct fg_record meta;
    struct look r = {.end = 0};
    int rc = begin(&r, x->c, x->err);

    x->rc = rc;
    if (rc)
        return;
    for (size_t i = 0; rc != FG_EIO && i < x->n; i++) {
        rc = get_meta(&r, FG_KIND_BLOCK, &x->keys[i], &meta, x->err);
        x->ok[i] = rc == 0;
        if (rc == 0)
            memcpy(x->tokens + i * FG_BLOCK_TOKENS, meta.tokens, sizeof meta.tokens);
    }
    end(&r);
    x->rc = rc == FG_EIO ? rc : 0;
}

int fg_read_tokens(struct fg_cache *c, const struct fg_key *keys, size_t n, int32_t *tokens,
                   bool *ok, struct fg_err *err)
{
    struct guarded_read x = {.c = c, .keys = keys, .n = n, .tokens = tokens, .ok = ok, .err = err};

    return run_guarded(&x, tokens_in_guard);
}

/* What waits for the writer, or is being written, is served from there. 0, without a blob: look
 * into the store; else a miss. */
static int take_queued(struct fg_cache *c, struct fg_cache_fetch *f, struct fg_err *err)
{
    enum fg_kind kind = kind_of(f);
    const struct fg_entry *e;
    const struct fg_item *it;
    bool stored;
    int rc = 0;

    pthread_mutex_lock(&c->mu);
    e = fg_index_find(&c->ix, &f->key);
    it = e ? e->item[kind] : NULL;
    stored = e && e->flags[kind] & FG_REC_STORED;
    if (it && f->is_document)
        f->bytes = it->rec.bytes;
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

/* Is it the record that was asked for? */
static int compare(struct look *r, struct fg_cache_fetch *f, const struct fg_record *meta,
                   struct fg_err *err)
{
    if (f->is_document && fg_document_expired(r->c, meta))
        return fg_fail(err, FG_ENOTFOUND, "the document is too old"); /* the writer removes it */
    if (memcmp(meta->tokens, f->tokens, sizeof meta->tokens) != 0)
        return fg_fail(err, FG_ENOTFOUND, "the key is stored for other tokens");
    if (f->pieces && meta->stamp != f->stamp)
        return fg_fail(err, FG_ENOTFOUND, "the record went while it was read");
    if (f->is_document && !f->pieces && meta->bytes <= FG_DOCUMENT_MAX)
        f->bytes = meta->bytes;
    if (meta->bytes != f->bytes)
        return corrupt(r, kind_of(f), &f->key, true, err, "has another size than was asked for");
    return 0;
}

/* One more piece into `f->blob`. */
static int read_piece(struct look *r, struct fg_cache_fetch *f, struct fg_err *err)
{
    enum fg_kind kind = kind_of(f);
    uint8_t at[FG_PIECE_KEY_BYTES];
    MDB_val k = {sizeof at, at}, v;
    struct fg_record_piece p;
    struct fg_record meta;
    int rc = get_meta(r, kind, &f->key, &meta, err);

    if (!rc)
        rc = compare(r, f, &meta, err);
    if (rc)
        return rc;
    f->stamp = meta.stamp;
    p = fg_record_piece(kind, &f->key, &meta, f->pieces);
    fg_piece_key(&f->key, f->pieces, at);
    rc = get(r, fg_data_db(kind), k, &v, err);
    if (rc == FG_ENOTFOUND)
        return corrupt(r, kind, &f->key, false, err, "lacks a piece");
    if (rc)
        return rc;
    if (!f->blob)
        f->blob = fg_blob_create(f->bytes);
    if (!f->blob)
        return fg_fail(err, FG_ENOMEM, "no memory for a record");
    if (v.mv_size != fg_value_bytes(p.bytes, r->c->store.psize))
        return corrupt(r, kind, &f->key, false, err, "has a piece of another size");
    rc = fg_piece_decode(&p, v.mv_data, v.mv_size, f->blob, (uint64_t)f->pieces * FG_RECORD_PIECE);
    if (rc == FG_ENOMEM)
        return fg_fail(err, rc, "no memory to verify a record");
    if (rc)
        return corrupt(r, kind, &f->key, false, err, "does not verify");
    f->pieces++;
    return f->pieces < fg_record_pieces(f->bytes) ? FG_READ_MORE : 0;
}

static void piece_in_guard(void *ctx)
{
    struct guarded_read *x = ctx;
    struct look r;

    x->rc = begin(&r, x->c, x->err);
    if (x->rc)
        return;
    x->rc = read_piece(&r, x->f, x->err);
    end(&r);
}

int fg_read_piece(struct fg_cache *c, struct fg_cache_fetch *f, struct fg_err *err)
{
    struct guarded_read x = {.c = c, .f = f, .err = err};
    int rc = f->pieces ? 0 : take_queued(c, f, err);

    if (!rc && (f->pieces || !f->blob))
        rc = run_guarded(&x, piece_in_guard);
    if (!rc)
        fg_count(c, (enum fg_counter)(FG_N_HIT_BLOCKS + (int)kind_of(f)), 1);
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
