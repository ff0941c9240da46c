#include "load.h"
#include "dir.h"
#include "gone.h"
#include "handle.h"
#include "put_queue.h"
#include "roots.h"
#include "store.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* A record of the file. */
enum row_kind { ROW_RECORD, ROW_BAD, ROW_STRAY };
struct fg_load_row {
    struct fg_key key, parent;
    uint64_t bytes, use;
    uint32_t micros, boundary, uses;
    uint8_t kind; /* enum fg_kind */
    uint8_t is;   /* enum row_kind */
};

void fg_loaded_finish(struct fg_loaded *l)
{
    free(l->rows);
    *l = (struct fg_loaded){0};
}

static int add_row(struct fg_loaded *l, const struct fg_load_row *row)
{
    if (l->n == l->cap) {
        size_t cap = l->cap ? 2 * l->cap : 1024;
        struct fg_load_row *bigger = realloc(l->rows, cap * sizeof *bigger);

        if (!bigger)
            return ENOMEM;
        l->rows = bigger;
        l->cap = cap;
    }
    l->rows[l->n++] = *row;
    return 0;
}

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
        rc = mdb_get(txn, c->store.db[fg_data_db(kind)], &k, &v);
        if (rc && rc != MDB_NOTFOUND)
            return rc;
        *fit = !rc &&
               v.mv_size == fg_value_bytes(fg_record_piece(kind, key, r, i).bytes, c->store.psize);
    }
    return 0;
}

struct walk {
    struct fg_cache *c;
    struct fg_loaded *l;
    MDB_txn *txn;
    enum fg_kind kind;
    struct fg_key last; /* of the pieces: the record before */
};

static int read_meta(struct walk *w, const MDB_val *k, const MDB_val *v)
{
    struct fg_load_row row = {.kind = (uint8_t)w->kind, .is = ROW_BAD};
    struct fg_record r;
    bool fit = false;
    int rc;

    if (k->mv_size != sizeof row.key.b)
        return MDB_CORRUPTED;
    memcpy(row.key.b, k->mv_data, sizeof row.key.b);
    if (fg_meta_decode(w->kind, &row.key, v->mv_data, v->mv_size, &r) == 0) {
        rc = pieces_fit(w->c, w->txn, w->kind, &row.key, &r, &fit);
        if (rc)
            return rc;
    }
    if (fit) {
        row.is = ROW_RECORD;
        row.parent = r.parent;
        row.bytes = r.bytes;
        row.use = r.use;
        row.micros = r.micros;
        row.boundary = r.boundary;
        row.uses = r.uses;
    }
    return add_row(w->l, &row);
}

/* A piece without a meta record: writing it was cut short, or the meta record lost its key. */
static int read_piece(struct walk *w, const MDB_val *k)
{
    struct fg_load_row row = {.kind = (uint8_t)w->kind, .is = ROW_STRAY};
    MDB_val m = {sizeof row.key.b, row.key.b}, v;
    int rc;

    if (k->mv_size != FG_PIECE_KEY_BYTES)
        return MDB_CORRUPTED;
    memcpy(row.key.b, k->mv_data, sizeof row.key.b);
    if (memcmp(&row.key, &w->last, sizeof row.key) == 0)
        return 0;
    w->last = row.key;
    rc = mdb_get(w->txn, w->c->store.db[fg_meta_db(w->kind)], &m, &v);
    return rc == MDB_NOTFOUND ? add_row(w->l, &row) : rc;
}

static int walk(struct walk *w, enum fg_db db)
{
    MDB_cursor *cur;
    MDB_val k, v;
    int rc = mdb_cursor_open(w->txn, w->c->store.db[db], &cur);

    if (rc)
        return rc;
    for (rc = mdb_cursor_get(cur, &k, &v, MDB_FIRST); !rc;) {
        rc = db == fg_meta_db(w->kind) ? read_meta(w, &k, &v) : read_piece(w, &k);
        if (!rc)
            rc = mdb_cursor_get(cur, &k, &v, MDB_NEXT);
    }
    mdb_cursor_close(cur);
    return rc == MDB_NOTFOUND ? 0 : rc;
}

static int read_all(struct fg_cache *c, MDB_txn *txn, struct fg_loaded *l)
{
    MDB_val k = {5, (void *)"clock"}, mark = {5, (void *)"scrub"}, v;
    MDB_val written = {7, (void *)"written"};
    int rc = 0;

    for (enum fg_kind kind = 0; !rc && kind < FG_KINDS; kind++) {
        struct walk w = {.c = c, .l = l, .txn = txn, .kind = kind};

        rc = walk(&w, fg_meta_db(kind));
        if (!rc)
            rc = walk(&w, fg_data_db(kind));
    }
    if (!rc)
        rc = fg_roots_load(c, txn);
    if (rc)
        return rc;
    l->unscrubbed = mdb_get(txn, c->store.db[FG_DB_META], &mark, &v) == 0;
    if (mdb_get(txn, c->store.db[FG_DB_META], &k, &v) != 0 ||
        fg_clock_decode(v.mv_data, v.mv_size, &l->clock) != 0)
        l->clock = 0;
    l->has_quota = mdb_get(txn, c->store.db[FG_DB_META], &written, &v) == 0 &&
                   fg_quota_decode(v.mv_data, v.mv_size, &l->quota) == 0;
    return 0;
}

int fg_store_read(struct fg_cache *c, struct fg_loaded *l, struct fg_err *err)
{
    MDB_txn *txn;
    int rc = mdb_txn_begin(c->store.env, NULL, MDB_RDONLY, &txn);

    if (!rc) {
        rc = read_all(c, txn, l);
        mdb_txn_abort(txn);
    }
    if (rc == ENOMEM)
        return fg_fail(err, FG_ENOMEM, "%s: no memory for the index", c->opt.dir);
    if (rc)
        return fg_fail(err, fg_mdb_damaged(rc) ? FG_ECORRUPT : FG_EIO, "%s/%s: reading records: %s",
                       c->opt.dir, FG_DATA_FILE, mdb_strerror(rc));
    return 0;
}

/* mu held */
static int add_record(struct fg_cache *c, const struct fg_load_row *row)
{
    struct fg_entry *parent, *e = fg_index_get(&c->ix, &row->key);
    struct fg_record r = {
        .use = row->use, .uses = row->uses, .micros = row->micros, .boundary = row->boundary};
    enum fg_kind kind = (enum fg_kind)row->kind;

    if (!e)
        return ENOMEM;
    fg_index_recall(&c->ix, e, kind, &r);
    fg_index_store(&c->ix, e, kind, row->bytes);
    if (c->clock < row->use)
        c->clock = row->use;
    if (kind != FG_KIND_BLOCK)
        return 0;
    parent = fg_index_get(&c->ix, &row->parent);
    if (!parent)
        return ENOMEM;
    fg_index_link(&c->ix, e, parent);
    return 0;
}

/* mu held */
static int apply_row(struct fg_cache *c, const struct fg_load_row *row)
{
    enum fg_kind kind = (enum fg_kind)row->kind;

    if (fg_remains_have(&c->remains, kind, &row->key))
        return 0;
    if (row->is == ROW_RECORD)
        return add_record(c, row);
    /* Looked at again: while the file was read it may have been put anew. */
    fg_put_queue_drop(c, kind, &row->key, false);
    if (row->is == ROW_BAD) {
        fg_count(c, FG_N_CORRUPT, 1);
        fg_gone_note(c, kind, &row->key, FG_GONE_CORRUPT);
    }
    return 0;
}

int fg_store_apply(struct fg_cache *c, const struct fg_loaded *l, struct fg_err *err)
{
    enum { AT_ONCE = 512 }; /* nobody who looks up waits for more */
    int rc = 0;

    for (size_t i = 0; !rc && i < l->n;) {
        pthread_mutex_lock(&c->mu);
        for (size_t end = i + AT_ONCE; !rc && i < l->n && i < end; i++)
            rc = apply_row(c, &l->rows[i]);
        pthread_mutex_unlock(&c->mu);
    }
    pthread_mutex_lock(&c->mu);
    c->writer.unscrubbed = l->unscrubbed;
    if (l->clock > c->clock)
        c->clock = l->clock;
    if (c->ix.clock < c->clock)
        c->ix.clock = c->clock;
    /* Without a right record nothing is known to have been written. A store that is opened again
     * has not forgotten. */
    if (!c->quota_known && l->has_quota)
        c->quota = l->quota;
    c->quota_known = true;
    pthread_mutex_unlock(&c->mu);
    return rc ? fg_fail(err, FG_ENOMEM, "%s: no memory for the index", c->opt.dir) : 0;
}
