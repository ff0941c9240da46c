#include "store.h"

#include <errno.h>
#include <string.h>

/* The pieces of a meta record are there and as long as it says. */
static int pieces_fit(struct fg_cache *c, MDB_txn *txn, enum fg_kind kind, const struct fg_key *key,
                      const struct fg_record *r, bool *fit)
{
    uint32_t n = fg_record_pieces(r->bytes);

    *fit = r->bytes > 0;
    for (uint32_t i = 0; *fit && i < n; i++) {
        uint8_t at[FG_PIECE_KEY_BYTES];
        MDB_val k = {sizeof at, at}, v;
        int rc;

        fg_piece_key(key, i, at);
        rc = mdb_get(txn, c->db[fg_data_db(kind)], &k, &v);
        if (rc && rc != MDB_NOTFOUND)
            return rc;
        *fit = !rc && v.mv_size == fg_value_bytes(fg_record_piece(kind, key, r, i).bytes, c->psize);
    }
    return 0;
}

static int add(struct fg_cache *c, enum fg_kind kind, const struct fg_key *key,
               const struct fg_record *r)
{
    struct fg_entry *parent, *e = fg_index_get(&c->ix, key);

    if (!e)
        return ENOMEM;
    fg_index_recall(&c->ix, e, kind, r);
    fg_index_store(&c->ix, e, kind, r->bytes);
    if (c->clock < r->use)
        c->clock = r->use;
    if (kind == FG_KIND_STATE)
        return 0;
    parent = fg_index_get(&c->ix, &r->parent);
    if (!parent)
        return ENOMEM;
    fg_index_link(&c->ix, e, parent);
    return 0;
}

static void drop(struct fg_cache *c, enum fg_kind kind, const struct fg_key *key)
{
    fg_queue_drop(c, kind, key, true);
    fg_count(c, FG_N_CORRUPT, 1);
    fg_gone_note(c, kind, key, FG_GONE_CORRUPT);
}

static int load_meta(struct fg_cache *c, MDB_txn *txn, enum fg_kind kind, MDB_val *k, MDB_val *v)
{
    struct fg_record r;
    struct fg_key key;
    bool fits = false;
    int rc = 0;

    if (k->mv_size != sizeof key.b)
        return MDB_CORRUPTED;
    memcpy(key.b, k->mv_data, sizeof key.b);
    if (fg_meta_decode(kind, &key, v->mv_data, v->mv_size, &r) == 0)
        rc = pieces_fit(c, txn, kind, &key, &r, &fits);
    if (rc)
        return rc;
    if (fits)
        return add(c, kind, &key, &r);
    drop(c, kind, &key);
    return 0;
}

/* A piece without a meta record: writing it was cut short, or the meta record lost its key. */
static int load_piece(struct fg_cache *c, MDB_txn *txn, enum fg_kind kind, MDB_val *k,
                      struct fg_key *last)
{
    struct fg_key key;
    MDB_val m = {sizeof key.b, key.b}, v;
    int rc;

    if (k->mv_size != FG_PIECE_KEY_BYTES)
        return MDB_CORRUPTED;
    memcpy(key.b, k->mv_data, sizeof key.b);
    if (memcmp(&key, last, sizeof key) == 0)
        return 0;
    *last = key;
    rc = mdb_get(txn, c->db[fg_meta_db(kind)], &m, &v);
    if (rc == MDB_NOTFOUND) {
        fg_queue_drop(c, kind, &key, true);
        rc = 0;
    }
    return rc;
}

static int walk(struct fg_cache *c, MDB_txn *txn, enum fg_db db, enum fg_kind kind)
{
    struct fg_key last = {{0}};
    MDB_cursor *cur;
    MDB_val k, v;
    int rc = mdb_cursor_open(txn, c->db[db], &cur);

    if (rc)
        return rc;
    for (rc = mdb_cursor_get(cur, &k, &v, MDB_FIRST); !rc;) {
        rc = db == fg_meta_db(kind) ? load_meta(c, txn, kind, &k, &v)
                                    : load_piece(c, txn, kind, &k, &last);
        if (!rc)
            rc = mdb_cursor_get(cur, &k, &v, MDB_NEXT);
    }
    mdb_cursor_close(cur);
    return rc == MDB_NOTFOUND ? 0 : rc;
}

/* Without a right record nothing is known to have been written. A store that is opened again has
 * not forgotten. */
static void load_quota(struct fg_cache *c, MDB_txn *txn)
{
    MDB_val k = {7, (void *)"written"}, v;

    if (!c->quota_known && mdb_get(txn, c->db[FG_DB_META], &k, &v) == 0)
        fg_quota_decode(v.mv_data, v.mv_size, &c->quota);
    c->quota_known = true;
}

int fg_store_load(struct fg_cache *c, struct fg_err *err)
{
    MDB_val k = {5, (void *)"clock"}, mark = {5, (void *)"scrub"}, v;
    uint64_t clock;
    MDB_txn *txn;
    int rc = mdb_txn_begin(c->env, NULL, MDB_RDONLY, &txn);

    if (!rc) {
        for (enum fg_kind kind = 0; !rc && kind < FG_KINDS; kind++) {
            rc = walk(c, txn, fg_meta_db(kind), kind);
            if (!rc)
                rc = walk(c, txn, fg_data_db(kind), kind);
        }
        if (!rc)
            rc = fg_roots_load(c, txn);
        if (!rc)
            c->unscrubbed = mdb_get(txn, c->db[FG_DB_META], &mark, &v) == 0;
        if (!rc && mdb_get(txn, c->db[FG_DB_META], &k, &v) == 0 &&
            fg_clock_decode(v.mv_data, v.mv_size, &clock) == 0 && clock > c->clock)
            c->clock = clock;
        if (c->ix.clock < c->clock)
            c->ix.clock = c->clock;
        if (!rc)
            load_quota(c, txn);
        mdb_txn_abort(txn);
    }
    if (rc == ENOMEM)
        return fg_fail(err, FG_ENOMEM, "%s: no memory for the index", c->opt.dir);
    if (rc)
        return fg_fail(err, fg_mdb_damaged(rc) ? FG_ECORRUPT : FG_EIO, "%s/%s: reading records: %s",
                       c->opt.dir, FG_DATA_FILE, mdb_strerror(rc));
    return 0;
}
