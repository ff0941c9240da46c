#include "commit.h"
#include "batch.h"
#include "handle.h"
#include "put_queue.h"
#include "reopen.h"
#include "roots.h"
#include "snapshot.h"
#include "store.h"

#include <errno.h>
#include <string.h>

#include "base/blob.h"
#include "guard.h"

enum { PAGE_HEADER = 16, P_OVERFLOW = 0x04 };

/* LMDB trusts the page header of a value when it deletes it, and nothing has read it since the
 * value was written. */
static int check_value_page(struct fg_cache *c, const MDB_val *v)
{
    uint64_t off, page, end = fg_store_file_bytes(c);
    uint16_t flags;
    uint32_t pages;
    const uint8_t *head;

    off = (uintptr_t)v->mv_data - (uintptr_t)c->store.map;
    if (off > end || v->mv_size > end - off)
        return MDB_CORRUPTED;
    if (off % c->store.psize != PAGE_HEADER)
        return 0; /* inside a leaf: a stray, not ours */
    head = (const uint8_t *)v->mv_data - PAGE_HEADER;
    memcpy(&page, head, sizeof page);
    memcpy(&flags, head + 10, sizeof flags);
    memcpy(&pages, head + 12, sizeof pages);
    if (page != off / c->store.psize || flags != P_OVERFLOW ||
        pages != (PAGE_HEADER - 1 + v->mv_size) / c->store.psize + 1)
        return MDB_CORRUPTED;
    return 0;
}

/* What a transaction may delete yet. */
struct allowance {
    size_t pieces;
    bool out; /* something is left for the next one */
};

static struct allowance allowance_of(const struct fg_batch *b)
{
    return (struct allowance){.pieces = b->few ? b->few : SIZE_MAX};
}

/* Deletes every piece under the record's key, also those that no meta record names. */
static int delete_pieces(struct fg_cache *c, MDB_txn *txn, enum fg_kind kind,
                         const struct fg_key *key, struct allowance *a)
{
    uint8_t first[FG_PIECE_KEY_BYTES];
    MDB_cursor *cur;
    int rc = mdb_cursor_open(txn, c->store.db[fg_data_db(kind)], &cur);

    if (rc)
        return rc;
    fg_piece_key(key, 0, first);
    for (;;) {
        MDB_val k = {sizeof first, first}, v;

        rc = mdb_cursor_get(cur, &k, &v, MDB_SET_RANGE);
        if (rc || k.mv_size != sizeof first || memcmp(k.mv_data, key->b, sizeof key->b) != 0)
            break;
        a->out = a->pieces == 0;
        if (a->out)
            break;
        a->pieces--;
        rc = check_value_page(c, &v);
        if (!rc)
            rc = mdb_cursor_del(cur, 0);
        if (rc)
            break;
    }
    mdb_cursor_close(cur);
    return rc == MDB_NOTFOUND ? 0 : rc;
}

static int delete_record(struct fg_cache *c, MDB_txn *txn, enum fg_kind kind,
                         const struct fg_key *key, struct allowance *a)
{
    MDB_val k = fg_key_val(key);
    int rc = mdb_del(txn, c->store.db[fg_meta_db(kind)], &k, NULL);

    if (rc && rc != MDB_NOTFOUND)
        return rc;
    return delete_pieces(c, txn, kind, key, a);
}

/* A reader's report may be about an older snapshot than the newest. */
static bool still_right(struct fg_cache *c, MDB_txn *txn, const struct fg_victim *v)
{
    const struct fg_key *key = &v->e->key;
    MDB_val k = fg_key_val(key), m;
    struct fg_blob *scratch;
    struct fg_record meta;
    bool right = true;

    if (mdb_get(txn, c->store.db[fg_meta_db(v->kind)], &k, &m) != 0 ||
        fg_meta_decode(v->kind, key, m.mv_data, m.mv_size, &meta) != 0)
        return false;
    scratch = fg_blob_create(FG_RECORD_PIECE);
    for (uint32_t i = 0; scratch && right && i < fg_record_pieces(meta.bytes); i++) {
        struct fg_record_piece p = fg_record_piece(v->kind, key, &meta, i);
        uint8_t at[FG_PIECE_KEY_BYTES];
        MDB_val pk = {sizeof at, at}, d;

        fg_piece_key(key, i, at);
        right = mdb_get(txn, c->store.db[fg_data_db(v->kind)], &pk, &d) == 0 &&
                d.mv_size == fg_value_bytes(p.bytes, c->store.psize) &&
                check_value_page(c, &d) == 0 &&
                fg_piece_decode(&p, d.mv_data, d.mv_size, scratch, 0) == 0;
    }
    right = right && scratch;
    fg_blob_unref(scratch);
    return right;
}

static int write_touch(struct fg_cache *c, MDB_txn *txn, const struct fg_touch *t)
{
    MDB_dbi db = c->store.db[fg_meta_db(t->kind)];
    MDB_val k = fg_key_val(&t->key), v;
    uint8_t buf[FG_META_BYTES];
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

static int write_piece(struct fg_cache *c, MDB_txn *txn, const struct fg_item *it, uint32_t number)
{
    struct fg_record_piece p = fg_record_piece(it->kind, &it->key, &it->rec, number);
    uint8_t at[FG_PIECE_KEY_BYTES];
    MDB_val k = {sizeof at, at}, v = {fg_value_bytes(p.bytes, c->store.psize), NULL};
    int rc;

    fg_piece_key(&it->key, number, at);
    rc = mdb_put(txn, c->store.db[fg_data_db(it->kind)], &k, &v, MDB_NOOVERWRITE | MDB_RESERVE);
    if (!rc)
        fg_piece_encode(&p, it->blob, (uint64_t)number * FG_RECORD_PIECE, v.mv_data, v.mv_size);
    return rc;
}

/* Pieces [from, to) of a record, and with the last of them what makes it visible. */
static int write_record(struct fg_cache *c, MDB_txn *txn, const struct fg_item *it, uint32_t from,
                        uint32_t to)
{
    MDB_val k = fg_key_val(&it->key), v;
    struct allowance all = {.pieces = SIZE_MAX};
    uint8_t buf[FG_META_BYTES];
    int rc = from == 0 ? delete_record(c, txn, it->kind, &it->key, &all) : 0;

    for (uint32_t i = from; !rc && i < to; i++)
        rc = write_piece(c, txn, it, i);
    if (rc || to < fg_record_pieces(it->rec.bytes))
        return rc;
    fg_meta_encode(it->kind, &it->key, &it->rec, buf);
    v = (MDB_val){sizeof buf, buf};
    rc = mdb_put(txn, c->store.db[fg_meta_db(it->kind)], &k, &v, MDB_NOOVERWRITE);
    if (!rc && it->kind == FG_KIND_BLOCK && it->rec.index == 0)
        rc = fg_roots_write(c, txn, &it->rec.parent);
    return rc;
}

/* All of the batch; of a single large record as many pieces as go into a transaction. *to: how far
 * it has come then. */
static int write_puts(struct fg_cache *c, MDB_txn *txn, struct fg_batch *b, uint32_t *to)
{
    uint32_t most = (uint32_t)(c->batch_cap / FG_RECORD_PIECE) + 1;
    int rc = 0;

    for (size_t i = 0; !rc && i < b->n_puts; i++) {
        uint32_t n = fg_record_pieces(b->puts[i]->rec.bytes);

        if (b->n_puts > 1)
            *to = n;
        else
            *to = n - b->written < most ? n : b->written + most;
        rc = write_record(c, txn, b->puts[i], b->n_puts > 1 ? 0 : b->written, *to);
    }
    return rc;
}

/* How far a batch has come when its transaction is committed. */
struct progress {
    size_t deleted, unrooted;
    uint32_t written;
    bool begun;      /* the next victim has lost a part */
    bool unfinished; /* FG_COMMIT_UNPUT left pieces */
};

static int write_chores(struct fg_cache *c, MDB_txn *txn, struct fg_batch *b, struct progress *p)
{
    size_t end = b->few && b->n_victims - b->deleted > b->few ? b->deleted + b->few : b->n_victims;
    struct allowance a = allowance_of(b);
    int rc = 0;

    for (; !rc && p->deleted < end; p->deleted++) {
        struct fg_victim *v = &b->victims[p->deleted];

        v->kept = v->drop && !v->forced && !v->begun && still_right(c, txn, v);
        if (!v->kept)
            rc = delete_record(c, txn, v->kind, &v->e->key, &a);
        p->begun = a.out;
        if (a.out)
            break;
    }
    for (size_t i = 0; !rc && !b->few && i < b->n_touches; i++)
        rc = write_touch(c, txn, &b->touches[i]);
    return rc;
}

/* Something is removed for good: until it is overwritten, every start has to try. */
static int write_mark(struct fg_cache *c, MDB_txn *txn, const struct fg_batch *b,
                      struct progress *p)
{
    size_t end = b->few && b->n_roots - b->unrooted > b->few ? b->unrooted + b->few : b->n_roots;
    uint8_t buf[FG_CLOCK_BYTES];
    MDB_val k = {5, (void *)"scrub"}, v = {sizeof buf, buf};
    int rc;

    fg_clock_encode(1, buf);
    rc = mdb_put(txn, c->store.db[FG_DB_META], &k, &v, 0);
    for (; !rc && p->unrooted < end; p->unrooted++) {
        k = fg_key_val(&b->roots[p->unrooted]);
        rc = mdb_del(txn, c->store.db[FG_DB_ROOTS], &k, NULL);
        rc = rc == MDB_NOTFOUND ? 0 : rc;
    }
    return rc;
}

/* What every transaction writes. Always something: LMDB would not count an empty transaction, and
 * pages that were freed wait for the second one after. */
static int write_counters(struct fg_cache *c, MDB_txn *txn, const struct fg_batch *b)
{
    uint8_t clock[FG_CLOCK_BYTES], written[FG_QUOTA_BYTES];
    MDB_val k = {5, (void *)"clock"}, v = {sizeof clock, clock};
    MDB_val wk = {7, (void *)"written"}, wv = {sizeof written, written};
    int rc;

    fg_clock_encode(b->clock, clock);
    rc = mdb_put(txn, c->store.db[FG_DB_META], &k, &v, 0);
    fg_quota_encode(&b->quota, written);
    return rc ? rc : mdb_put(txn, c->store.db[FG_DB_META], &wk, &wv, 0);
}

static int write_all(struct fg_cache *c, MDB_txn *txn, struct fg_batch *b, unsigned what,
                     struct progress *p)
{
    MDB_val mark = {5, (void *)"scrub"};
    struct allowance a = allowance_of(b);
    int rc = 0;

    if (what & FG_COMMIT_CHORES)
        rc = write_chores(c, txn, b, p);
    if (!rc && what & FG_COMMIT_PUTS)
        rc = write_puts(c, txn, b, &p->written);
    if (!rc && what & FG_COMMIT_UNPUT) {
        rc = delete_record(c, txn, b->puts[0]->kind, &b->puts[0]->key, &a);
        p->unfinished = a.out;
    }
    if (!rc && what & FG_COMMIT_MARK)
        rc = write_mark(c, txn, b, p);
    if (!rc && what & FG_COMMIT_UNMARK) {
        rc = mdb_del(txn, c->store.db[FG_DB_META], &mark, NULL);
        rc = rc == MDB_NOTFOUND ? 0 : rc;
    }
    return rc ? rc : write_counters(c, txn, b);
}

static int commit(struct fg_cache *c, struct fg_batch *b, unsigned what)
{
    struct progress p = {.deleted = b->deleted, .unrooted = b->unrooted, .written = b->written};
    MDB_txn *txn;
    int rc;

    if (!c->store.env || atomic_load(&c->store.damaged))
        return MDB_PANIC;
    b->lacks = 0;
    if (what & FG_COMMIT_PUTS && (rc = fg_reserve_allows(c, b)) != 0)
        return rc;
    rc = mdb_txn_begin(c->store.env, NULL, 0, &txn);
    if (rc)
        return rc;
    if (!fg_store_is_ours(c, 0) || mdb_txn_id(txn) != atomic_load(&c->store.last_txn) + 1) {
        mdb_txn_abort(txn);
        return MDB_CORRUPTED;
    }
    rc = write_all(c, txn, b, what, &p);
    if (rc) {
        mdb_txn_abort(txn);
        return rc;
    }
    rc = mdb_txn_commit(txn);
    if (rc)
        return rc;
    atomic_fetch_add(&c->store.last_txn, 1);
    b->deleted = p.deleted;
    if (p.begun)
        b->victims[p.deleted].begun = true;
    b->unrooted = p.unrooted;
    b->unfinished = p.unfinished;
    b->written = p.written;
    rc = fg_snapshot_take(c);
    if (rc)
        fg_report_damage(c, mdb_strerror(rc));
    return 0;
}

struct commit_call {
    struct fg_cache *c;
    struct fg_batch *b;
    unsigned what;
    int rc;
};

static void commit_in_guard(void *ctx)
{
    struct commit_call *x = ctx;

    x->rc = commit(x->c, x->b, x->what);
}

int fg_commit(struct fg_cache *c, struct fg_batch *b, unsigned what)
{
    struct commit_call x = {.c = c, .b = b, .what = what};

    fg_snapshot_wait(c);
    if (fg_guarded(commit_in_guard, &x))
        return x.rc == EIO ? fg_reserve_cause(c) : x.rc;
    fg_store_fault(c);
    return MDB_PANIC;
}
