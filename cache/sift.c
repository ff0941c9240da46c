#include "sift.h"
#include "document.h"
#include "guard.h"
#include "handle.h"
#include "put_queue.h"
#include "reopen.h"
#include "store.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { HOUR = 3600, AT_ONCE = 256 };

struct sifting {
    struct fg_cache *c;
    struct fg_sift *s;
    int rc;
};

static int add(struct fg_sift *s, const struct fg_key *key, const struct fg_key *on)
{
    if (s->n == s->cap) {
        size_t cap = s->cap ? 2 * s->cap : 64;
        struct fg_sifted *bigger = realloc(s->rows, cap * sizeof *bigger);

        if (!bigger)
            return ENOMEM;
        s->rows = bigger;
        s->cap = cap;
    }
    s->rows[s->n++] = (struct fg_sifted){*key, *on};
    return 0;
}

/* What does not verify is dropped by whoever reads it. */
static int look_at(struct sifting *x, const MDB_val *k, const MDB_val *v)
{
    struct fg_sift *s = x->s;
    uint8_t tenant[16];
    struct fg_record r;
    struct fg_key key;

    if (k->mv_size != sizeof key.b)
        return MDB_CORRUPTED;
    memcpy(key.b, k->mv_data, sizeof key.b);
    if (fg_meta_decode(FG_KIND_DOCUMENT, &key, v->mv_data, v->mv_size, &r))
        return 0;
    fg_document_tenant(&r, tenant);
    if (s->tenant ? memcmp(tenant, s->tenant, sizeof tenant) != 0 : !fg_document_expired(x->c, &r))
        return 0;
    return add(s, &key, &r.parent);
}

static int walk(struct sifting *x, MDB_txn *txn)
{
    MDB_cursor *at;
    MDB_val k, v;
    int rc = mdb_cursor_open(txn, x->c->store.db[FG_DB_DOCUMENTS], &at);

    if (rc)
        return rc;
    rc = mdb_cursor_get(at, &k, &v, MDB_FIRST);
    while (!rc && x->s->n < x->s->most) {
        rc = look_at(x, &k, &v);
        if (!rc)
            rc = mdb_cursor_get(at, &k, &v, MDB_NEXT);
    }
    mdb_cursor_close(at);
    return rc == MDB_NOTFOUND ? 0 : rc;
}

static void sift_in_guard(void *ctx)
{
    struct sifting *x = ctx;
    MDB_txn *txn;

    x->rc = mdb_txn_begin(x->c->store.env, NULL, MDB_RDONLY, &txn);
    if (x->rc)
        return;
    if (fg_store_file_bytes(x->c) == 0 || !fg_store_is_ours(x->c, 0))
        x->rc = MDB_CORRUPTED;
    else
        x->rc = walk(x, txn);
    mdb_txn_abort(txn);
}

int fg_sift_run(struct fg_cache *c, struct fg_sift *s)
{
    struct sifting x = {.c = c, .s = s};

    if (!c->store.env || atomic_load(&c->store.damaged))
        return MDB_PANIC;
    if (!fg_guarded(sift_in_guard, &x)) {
        fg_store_fault(c);
        return MDB_PANIC;
    }
    if (fg_mdb_damaged(x.rc))
        fg_report_damage(c, mdb_strerror(x.rc));
    return x.rc;
}

void fg_sift_expired(struct fg_cache *c)
{
    struct fg_sift s = {.most = AT_ONCE};
    uint64_t now = fg_document_now(c);

    if (now < c->writer.sift_at && c->writer.sift_at - now <= HOUR) /* else the clock went back */
        return;
    if (fg_sift_run(c, &s) == 0) {
        for (size_t i = 0; i < s.n; i++)
            fg_put_queue_remove(c, FG_KIND_DOCUMENT, &s.rows[i].key);
        c->writer.sift_at = s.n < s.most ? now + HOUR : now;
    }
    free(s.rows);
}
