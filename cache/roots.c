/* What the roots of the stored trees are made of: a table in memory, and the database `roots`. A
 * root is written in the transaction of the first block that hangs below it. */
#include "roots.h"
#include "handle.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

/* Offsets: docs/disk-format.md. */
enum {
    R_MODEL = 0,
    R_NUMERICS = 16,
    R_TENANT = 32,
    R_NAME = 48,
    R_SUM = FG_ROOT_BYTES - 8,
};
_Static_assert(R_NAME + FG_ROOT_NAME + 8 == R_SUM, "8 bytes of zeros stand before the checksum");

static uint64_t sum(const struct fg_key *key, const uint8_t *p)
{
    return XXH3_64bits_withSeed(p, R_SUM, XXH3_64bits(key->b, sizeof key->b));
}

static void encode(const struct fg_cache_root *r, uint8_t out[FG_ROOT_BYTES])
{
    memset(out, 0, FG_ROOT_BYTES);
    memcpy(out + R_MODEL, r->model, 16);
    memcpy(out + R_NUMERICS, r->numerics, 16);
    memcpy(out + R_TENANT, r->tenant, 16);
    memcpy(out + R_NAME, r->name, strnlen(r->name, FG_ROOT_NAME));
    fg_store_u64(out + R_SUM, sum(&r->key, out));
}

static int decode(const MDB_val *k, const MDB_val *v, struct fg_cache_root *r)
{
    const uint8_t *p = v->mv_data;

    memset(r, 0, sizeof *r);
    if (k->mv_size != sizeof r->key.b || v->mv_size != FG_ROOT_BYTES)
        return FG_ECORRUPT;
    memcpy(r->key.b, k->mv_data, sizeof r->key.b);
    if (fg_load_u64(p + R_SUM) != sum(&r->key, p))
        return FG_ECORRUPT;
    memcpy(r->model, p + R_MODEL, 16);
    memcpy(r->numerics, p + R_NUMERICS, 16);
    memcpy(r->tenant, p + R_TENANT, 16);
    memcpy(r->name, p + R_NAME, FG_ROOT_NAME);
    return 0;
}

static struct fg_root_slot *find(const struct fg_cache *c, const struct fg_key *key)
{
    for (size_t i = 0; i < c->roots.n; i++)
        if (memcmp(&c->roots.slots[i].root.key, key, sizeof *key) == 0)
            return &c->roots.slots[i];
    return NULL;
}

static int add(struct fg_cache *c, const struct fg_cache_root *root, bool stored)
{
    struct fg_root_slot *s = find(c, &root->key);

    if (!s && c->roots.n == c->roots.cap) {
        size_t cap = c->roots.cap ? 2 * c->roots.cap : 8;
        struct fg_root_slot *bigger = realloc(c->roots.slots, cap * sizeof *bigger);

        if (!bigger)
            return ENOMEM;
        c->roots.slots = bigger;
        c->roots.cap = cap;
    }
    if (!s) {
        s = &c->roots.slots[c->roots.n++];
        *s = (struct fg_root_slot){0};
    }
    s->root = *root;
    s->root.name[FG_ROOT_NAME] = '\0';
    s->stored |= stored;
    return 0;
}

bool fg_roots_know(const struct fg_cache *c, const struct fg_key *key)
{
    return find(c, key) != NULL;
}

void fg_cache_note_root(struct fg_cache *c, const struct fg_cache_root *root)
{
    pthread_mutex_lock(&c->mu);
    if (!find(c, &root->key))
        add(c, root, false); /* without memory its tree is not listed, and nothing worse */
    pthread_mutex_unlock(&c->mu);
}

size_t fg_cache_roots(struct fg_cache *c, struct fg_cache_root *out, size_t max)
{
    size_t n = 0;

    pthread_mutex_lock(&c->mu);
    for (size_t i = 0; i < c->roots.n; i++) {
        if (!c->roots.slots[i].stored)
            continue;
        if (n < max)
            out[n] = c->roots.slots[i].root;
        n++;
    }
    pthread_mutex_unlock(&c->mu);
    return n;
}

int fg_roots_load(struct fg_cache *c, MDB_txn *txn)
{
    struct fg_cache_root root;
    MDB_cursor *cur;
    MDB_val k, v;
    int rc = mdb_cursor_open(txn, c->store.db[FG_DB_ROOTS], &cur);

    if (rc)
        return rc;
    pthread_mutex_lock(&c->mu);
    for (size_t i = 0; i < c->roots.n; i++)
        c->roots.slots[i].stored = false;
    pthread_mutex_unlock(&c->mu);
    for (rc = mdb_cursor_get(cur, &k, &v, MDB_FIRST); !rc;) {
        /* What does not verify is written again when it is used again. */
        if (decode(&k, &v, &root) == 0) {
            pthread_mutex_lock(&c->mu);
            rc = add(c, &root, true);
            pthread_mutex_unlock(&c->mu);
        }
        if (!rc)
            rc = mdb_cursor_get(cur, &k, &v, MDB_NEXT);
    }
    mdb_cursor_close(cur);
    return rc == MDB_NOTFOUND ? 0 : rc;
}

int fg_roots_write(struct fg_cache *c, MDB_txn *txn, const struct fg_key *key)
{
    uint8_t buf[FG_ROOT_BYTES];
    MDB_val k = fg_key_val(key), v = {sizeof buf, buf};
    const struct fg_root_slot *s;
    bool wanted;

    pthread_mutex_lock(&c->mu);
    s = find(c, key);
    wanted = s && !s->stored;
    if (wanted)
        encode(&s->root, buf);
    pthread_mutex_unlock(&c->mu);
    return wanted ? mdb_put(txn, c->store.db[FG_DB_ROOTS], &k, &v, 0) : 0;
}

void fg_roots_settle(struct fg_cache *c, const struct fg_key *key, bool stored)
{
    struct fg_root_slot *s = find(c, key);

    if (s)
        s->stored = stored;
}
