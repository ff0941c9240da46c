#include "store.h"

#include <errno.h>
#include <string.h>

enum { PAGE_HEADER = 16, P_OVERFLOW = 0x04 };

/* LMDB trusts the page header of a value when it deletes it, and nothing has read it since the
 * value was written. */
static int check_value_page(struct fg_cache *c, const MDB_val *v)
{
    uint64_t off, page, end = fg_store_file_bytes(c);
    uint16_t flags;
    uint32_t pages;
    const uint8_t *head;

    off = (uintptr_t)v->mv_data - (uintptr_t)c->map;
    if (off > end || v->mv_size > end - off)
        return MDB_CORRUPTED;
    if (off % c->psize != PAGE_HEADER)
        return 0; /* inside a leaf: a stray, not ours */
    head = (const uint8_t *)v->mv_data - PAGE_HEADER;
    memcpy(&page, head, sizeof page);
    memcpy(&flags, head + 10, sizeof flags);
    memcpy(&pages, head + 12, sizeof pages);
    if (page != off / c->psize || flags != P_OVERFLOW ||
        pages != (PAGE_HEADER - 1 + v->mv_size) / c->psize + 1)
        return MDB_CORRUPTED;
    return 0;
}

static int delete_record(struct fg_cache *c, MDB_txn *txn, enum fg_kind kind,
                         const struct fg_key *key)
{
    MDB_val k = fg_key_val(key), v;
    int rc = mdb_del(txn, c->db[fg_meta_db(kind)], &k, NULL);

    if (rc && rc != MDB_NOTFOUND)
        return rc;
    rc = mdb_get(txn, c->db[fg_data_db(kind)], &k, &v);
    if (rc == MDB_NOTFOUND)
        return 0;
    if (!rc)
        rc = check_value_page(c, &v);
    if (!rc)
        rc = mdb_del(txn, c->db[fg_data_db(kind)], &k, NULL);
    return rc;
}

/* A reader's report may be about an older snapshot than the newest. */
static bool still_right(struct fg_cache *c, MDB_txn *txn, const struct fg_victim *v)
{
    MDB_val k = fg_key_val(&v->e->key), m, d;
    struct fg_record meta, rec;
    const void *payload;

    return mdb_get(txn, c->db[fg_meta_db(v->kind)], &k, &m) == 0 &&
           fg_meta_decode(v->kind, &v->e->key, m.mv_data, m.mv_size, &meta) == 0 &&
           mdb_get(txn, c->db[fg_data_db(v->kind)], &k, &d) == 0 && check_value_page(c, &d) == 0 &&
           fg_value_decode(v->kind, &v->e->key, d.mv_data, d.mv_size, c->psize, &rec, &payload) ==
               0 &&
           rec.bytes == meta.bytes;
}

static int write_touch(struct fg_cache *c, MDB_txn *txn, const struct fg_touch *t)
{
    MDB_dbi db = c->db[fg_meta_db(t->kind)];
    MDB_val k = fg_key_val(&t->key), v;
    uint8_t buf[FG_META_MAX];
    struct fg_record r;
    int rc = mdb_get(txn, db, &k, &v);

    if (rc == MDB_NOTFOUND)
        return 0;
    if (rc)
        return rc;
    if (fg_meta_decode(t->kind, &t->key, v.mv_data, v.mv_size, &r))
        return 0; /* whoever reads it reports it */
    r.use = t->use;
    r.uses = t->uses;
    fg_meta_encode(t->kind, &t->key, &r, buf);
    v.mv_data = buf;
    return mdb_put(txn, db, &k, &v, 0);
}

static int write_record(struct fg_cache *c, MDB_txn *txn, const struct fg_item *it)
{
    MDB_val k = fg_key_val(&it->key), v;
    uint8_t buf[FG_META_MAX];
    int rc = delete_record(c, txn, it->kind, &it->key);

    if (rc)
        return rc;
    fg_meta_encode(it->kind, &it->key, &it->rec, buf);
    v = (MDB_val){fg_meta_bytes(it->kind), buf};
    rc = mdb_put(txn, c->db[fg_meta_db(it->kind)], &k, &v, MDB_NOOVERWRITE);
    if (rc)
        return rc;
    v = (MDB_val){fg_value_bytes(it->rec.bytes, c->psize), NULL};
    rc = mdb_put(txn, c->db[fg_data_db(it->kind)], &k, &v, MDB_NOOVERWRITE | MDB_RESERVE);
    if (rc)
        return rc;
    fg_value_encode(it->kind, &it->key, &it->rec, it->blob, v.mv_data, v.mv_size);
    if (it->kind == FG_KIND_BLOCK && it->rec.index == 0)
        rc = fg_roots_write(c, txn, &it->rec.parent);
    return rc;
}

static int write_chores(struct fg_cache *c, MDB_txn *txn, struct fg_batch *b)
{
    int rc = 0;

    for (size_t i = 0; !rc && i < b->n_victims; i++) {
        struct fg_victim *v = &b->victims[i];

        v->kept = v->drop && !v->forced && still_right(c, txn, v);
        if (!v->kept)
            rc = delete_record(c, txn, v->kind, &v->e->key);
    }
    for (size_t i = 0; !rc && i < b->n_touches; i++)
        rc = write_touch(c, txn, &b->touches[i]);
    return rc;
}

/* Something is removed for good: until it is overwritten, every start has to try. */
static int write_mark(struct fg_cache *c, MDB_txn *txn, const struct fg_batch *b)
{
    uint8_t buf[FG_CLOCK_BYTES];
    MDB_val k = {5, (void *)"scrub"}, v = {sizeof buf, buf};
    int rc;

    fg_clock_encode(1, buf);
    rc = mdb_put(txn, c->db[FG_DB_META], &k, &v, 0);
    for (size_t i = 0; !rc && i < b->n_roots; i++) {
        k = fg_key_val(&b->roots[i]);
        rc = mdb_del(txn, c->db[FG_DB_ROOTS], &k, NULL);
        rc = rc == MDB_NOTFOUND ? 0 : rc;
    }
    return rc;
}

int fg_commit(struct fg_cache *c, struct fg_batch *b, unsigned what)
{
    uint8_t buf[FG_CLOCK_BYTES], written[FG_QUOTA_BYTES];
    MDB_val k = {5, (void *)"clock"}, mark = {5, (void *)"scrub"}, v = {sizeof buf, buf};
    MDB_val wk = {7, (void *)"written"}, wv = {sizeof written, written};
    MDB_txn *txn;
    int rc;

    if (!c->env || atomic_load(&c->damaged))
        return MDB_PANIC;
    rc = mdb_txn_begin(c->env, NULL, 0, &txn);
    if (rc)
        return rc;
    if (what & FG_COMMIT_CHORES)
        rc = write_chores(c, txn, b);
    if (what & FG_COMMIT_PUTS)
        for (size_t i = 0; !rc && i < b->n_puts; i++)
            rc = write_record(c, txn, b->puts[i]);
    if (!rc && what & FG_COMMIT_MARK)
        rc = write_mark(c, txn, b);
    if (!rc && what & FG_COMMIT_UNMARK) {
        rc = mdb_del(txn, c->db[FG_DB_META], &mark, NULL);
        rc = rc == MDB_NOTFOUND ? 0 : rc;
    }
    /* Always something to write: LMDB would not count an empty transaction, and pages that were
     * freed wait for the second one after. */
    fg_clock_encode(b->clock, buf);
    if (!rc)
        rc = mdb_put(txn, c->db[FG_DB_META], &k, &v, 0);
    fg_quota_encode(&b->quota, written);
    if (!rc)
        rc = mdb_put(txn, c->db[FG_DB_META], &wk, &wv, 0);
    if (!rc)
        return mdb_txn_commit(txn);
    mdb_txn_abort(txn);
    return rc;
}
