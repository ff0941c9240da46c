#include "store.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { REOPEN_MS = 250 };

struct fg_cache_read {
    struct fg_cache *c;
    MDB_txn *txn;
    uint64_t end; /* bytes of the file */
};

/* After compacting, LMDB opens within milliseconds: worth the wait, as a miss costs a prefill.
 * After damage the check may take minutes: not worth it. */
static int lock_env(struct fg_cache *c)
{
    struct timespec until;

    if (pthread_rwlock_tryrdlock(&c->env_lock) == 0)
        return 0;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_nsec += REOPEN_MS * 1000000L;
    until.tv_sec += until.tv_nsec / 1000000000;
    until.tv_nsec %= 1000000000;
    return pthread_rwlock_clockrdlock(&c->env_lock, CLOCK_MONOTONIC, &until);
}

/* Holds env_lock for reading on success. FG_EBUSY: the store is being reopened. */
static int begin(struct fg_cache *c, struct fg_cache_read *r, struct fg_err *err)
{
    int rc;

    if (lock_env(c) != 0)
        return fg_fail(err, FG_EBUSY, "%s: the store is being reopened", c->opt.dir);
    if (!c->env || atomic_load(&c->damaged)) {
        rc =
            fg_fail(err, FG_EBUSY, "%s: the store is damaged and waits to be reopened", c->opt.dir);
        goto unlock;
    }
    rc = mdb_txn_begin(c->env, NULL, MDB_RDONLY, &r->txn);
    if (rc) {
        rc = fg_fail(err, rc == MDB_READERS_FULL ? FG_EBUSY : FG_EIO,
                     "%s: cannot begin reading: %s", c->opt.dir, mdb_strerror(rc));
        goto unlock;
    }
    r->c = c;
    r->end = fg_store_file_bytes(c);
    if (r->end)
        return 0;
    mdb_txn_abort(r->txn);
    rc = fg_fail(err, FG_EIO, "%s/%s became shorter", c->opt.dir, FG_DATA_FILE);
unlock:
    pthread_rwlock_unlock(&c->env_lock);
    return rc;
}

static void end(struct fg_cache_read *r)
{
    struct fg_cache *c = r->c;

    mdb_txn_abort(r->txn);
    pthread_rwlock_unlock(&c->env_lock);
    if (atomic_load(&c->damaged)) {
        pthread_mutex_lock(&c->mu);
        c->kick = true;
        pthread_cond_signal(&c->work);
        pthread_mutex_unlock(&c->mu);
    }
}

/* 0, FG_ENOTFOUND, or FG_EIO. The value may be anything of the file's bytes, but lies within. */
static int get(struct fg_cache_read *r, enum fg_db db, const struct fg_key *key, MDB_val *v,
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
static int corrupt(struct fg_cache_read *r, enum fg_kind kind, const struct fg_key *key,
                   bool forced, struct fg_err *err, const char *why)
{
    fg_report_corrupt(r->c, kind, key, forced);
    fg_fail(err, FG_ECORRUPT, "%s/%s: a %s %s; it is dropped", r->c->opt.dir, FG_DATA_FILE,
            kind == FG_KIND_BLOCK ? "block" : "state", why);
    return FG_ENOTFOUND;
}

static int get_meta(struct fg_cache_read *r, enum fg_kind kind, const struct fg_key *key,
                    struct fg_record *meta, struct fg_err *err)
{
    MDB_val v;
    int rc = get(r, fg_meta_db(kind), key, &v, err);

    if (!rc && fg_meta_decode(kind, key, v.mv_data, v.mv_size, meta))
        rc = corrupt(r, kind, key, false, err, "has a meta record that does not verify");
    return rc;
}

int fg_cache_read_tokens(struct fg_cache_read *r, const struct fg_key *key,
                         int32_t tokens[FG_BLOCK_TOKENS], struct fg_err *err)
{
    struct fg_record meta;
    int rc = get_meta(r, FG_KIND_BLOCK, key, &meta, err);

    if (!rc)
        memcpy(tokens, meta.tokens, sizeof meta.tokens);
    return rc;
}

/* Records that wait to be dropped are still in the snapshot, but no longer in the index. */
static bool live(struct fg_cache *c, enum fg_kind kind, const struct fg_key *key)
{
    struct fg_entry *e;
    bool yes;

    pthread_mutex_lock(&c->mu);
    e = fg_index_find(&c->ix, key);
    yes = e && e->flags[kind] & FG_REC_STORED;
    pthread_mutex_unlock(&c->mu);
    return yes;
}

int fg_cache_find(struct fg_cache *c, const struct fg_key *keys, const int32_t *tokens,
                  uint32_t n_blocks, bool need_state, struct fg_cache_hit *hit, struct fg_err *err)
{
    struct fg_cache_read r;
    struct fg_record meta;
    bool drops;
    uint32_t n = 0;
    int rc;

    *hit = (struct fg_cache_hit){0};
    rc = begin(c, &r, err);
    if (rc)
        return rc == FG_EBUSY ? 0 : rc;
    pthread_mutex_lock(&c->mu);
    drops = c->pending_drops > 0;
    pthread_mutex_unlock(&c->mu);
    for (; n < n_blocks; n++) {
        rc = get_meta(&r, FG_KIND_BLOCK, &keys[n], &meta, err);
        if (rc || memcmp(meta.tokens, tokens + (size_t)n * FG_BLOCK_TOKENS, sizeof meta.tokens) ||
            (drops && !live(c, FG_KIND_BLOCK, &keys[n])))
            break;
    }
    hit->n_blocks = hit->restore_blocks = n;
    while (need_state && hit->restore_blocks > 0 && rc != FG_EIO) {
        const struct fg_key *key = &keys[hit->restore_blocks - 1];

        rc = get_meta(&r, FG_KIND_STATE, key, &meta, err);
        if (!rc && (!drops || live(c, FG_KIND_STATE, key)))
            break;
        hit->restore_blocks--;
    }
    end(&r);
    if (rc != FG_EIO)
        return 0;
    *hit = (struct fg_cache_hit){0};
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

void fg_cache_nearest(struct fg_cache *c, const struct fg_key *parent, const int32_t *tokens,
                      uint32_t n, struct fg_nearest *nearest)
{
    enum { MOST = 512 };
    struct fg_key *keys = malloc(MOST * sizeof *keys);
    size_t n_keys = keys ? continuations(c, parent, keys, MOST) : 0;
    struct fg_cache_read r;
    struct fg_record meta;

    if (n_keys && begin(c, &r, NULL) == 0) {
        for (size_t i = 0; i < n_keys; i++)
            if (get_meta(&r, FG_KIND_BLOCK, &keys[i], &meta, NULL) == 0)
                fg_nearest_add(nearest, tokens, n, meta.tokens);
        end(&r);
    }
    free(keys);
}

int fg_cache_read_begin(struct fg_cache *c, struct fg_cache_read **out, struct fg_err *err)
{
    struct fg_cache_read *r = calloc(1, sizeof *r);
    int rc;

    *out = NULL;
    if (!r)
        return fg_fail(err, FG_ENOMEM, "no memory for a read");
    rc = begin(c, r, err);
    if (rc)
        free(r);
    else
        *out = r;
    return rc;
}

void fg_cache_read_end(struct fg_cache_read *r)
{
    if (!r)
        return;
    end(r);
    free(r);
}

static int read_record(struct fg_cache_read *r, enum fg_kind kind, const struct fg_key *key,
                       const int32_t *tokens, size_t bytes, const void **payload,
                       struct fg_err *err)
{
    struct fg_record meta, rec;
    MDB_val v;
    int rc;

    *payload = NULL;
    rc = get_meta(r, kind, key, &meta, err);
    if (rc)
        return rc;
    if (kind == FG_KIND_BLOCK && memcmp(meta.tokens, tokens, sizeof meta.tokens) != 0)
        return fg_fail(err, FG_ENOTFOUND, "the key is stored for other tokens");
    rc = get(r, fg_data_db(kind), key, &v, err);
    if (rc == FG_ENOTFOUND)
        return corrupt(r, kind, key, false, err, "has no payload");
    if (rc)
        return rc;
    if (fg_value_decode(kind, key, v.mv_data, v.mv_size, r->c->psize, &rec, payload) ||
        rec.bytes != meta.bytes ||
        (kind == FG_KIND_BLOCK && memcmp(rec.tokens, meta.tokens, sizeof rec.tokens) != 0)) {
        *payload = NULL;
        return corrupt(r, kind, key, false, err, "does not verify");
    }
    if (memcmp(rec.tokens, tokens, sizeof rec.tokens) != 0)
        rc = fg_fail(err, FG_ENOTFOUND, "the key is stored for other tokens");
    else if (rec.bytes != bytes)
        rc = corrupt(r, kind, key, true, err, "has another size than was asked for");
    if (rc) {
        *payload = NULL;
        return rc;
    }
    fg_count(r->c, kind == FG_KIND_BLOCK ? FG_N_HIT_BLOCKS : FG_N_HIT_STATES, 1);
    return 0;
}

int fg_cache_read_block(struct fg_cache_read *r, const struct fg_key *key, const int32_t *tokens,
                        size_t bytes, const void **payload, struct fg_err *err)
{
    return read_record(r, FG_KIND_BLOCK, key, tokens, bytes, payload, err);
}

int fg_cache_read_state(struct fg_cache_read *r, const struct fg_key *key, const int32_t *tokens,
                        size_t bytes, const void **payload, struct fg_err *err)
{
    return read_record(r, FG_KIND_STATE, key, tokens, bytes, payload, err);
}
