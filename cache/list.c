/* What is stored below some roots: the ends of prompts and where they part, ids, whole paths. */
#include "handle.h"
#include "read.h"
#include "reader.h"
#include "tree.h"

#include <stdlib.h>
#include <string.h>

#include "base/hex.h"

/* As a block. */
static bool is_stored(const struct fg_entry *e)
{
    return e->flags[FG_KIND_BLOCK] & FG_REC_STORED;
}

/* In preorder; NULL after the last one below `top`. */
static struct fg_entry *next_below(struct fg_entry *e, const struct fg_entry *top)
{
    if (e->first_child)
        return e->first_child;
    while (e != top && !e->next_sibling)
        e = e->parent;
    return e == top ? NULL : e->next_sibling;
}

static unsigned stored_children(const struct fg_entry *e)
{
    unsigned n = 0;

    for (const struct fg_entry *ch = e->first_child; ch && n < 2; ch = ch->next_sibling)
        n += is_stored(ch);
    return n;
}

struct fg_entry *fg_tree_root(struct fg_entry *e, const struct fg_key *roots, size_t n_roots)
{
    while (e->parent)
        e = e->parent;
    for (size_t i = 0; i < n_roots; i++)
        if (memcmp(&e->key, &roots[i], sizeof e->key) == 0)
            return e;
    return NULL;
}

static uint64_t record_bytes(const struct fg_entry *e)
{
    uint64_t n = 0;

    for (enum fg_kind k = 0; k < FG_KINDS; k++)
        if (e->flags[k] & FG_REC_STORED)
            n += e->bytes[k];
    return n;
}

struct row {
    struct fg_entry *e;
    uint64_t use;
    bool leaf;
};

struct rows {
    struct row *p;
    size_t n, cap;
};

static int add_row(struct rows *rows, struct fg_entry *e, unsigned children)
{
    if (rows->n == rows->cap) {
        size_t cap = rows->cap ? 2 * rows->cap : 256;
        struct row *bigger = realloc(rows->p, cap * sizeof *bigger);

        if (!bigger)
            return FG_ENOMEM;
        rows->p = bigger;
        rows->cap = cap;
    }
    rows->p[rows->n++] = (struct row){e, e->use[FG_KIND_BLOCK], children == 0};
    return 0;
}

static int latest_first(const void *a, const void *b)
{
    const struct row *x = a, *y = b;

    if (x->use != y->use)
        return x->use > y->use ? -1 : 1;
    return memcmp(&x->e->key, &y->e->key, sizeof x->e->key);
}

static void describe(const struct row *row, uint64_t newer, struct fg_cache_entry *out)
{
    bool own = true;

    *out = (struct fg_cache_entry){.key = row->e->key, .leaf = row->leaf, .newer = newer};
    for (const struct fg_entry *e = row->e; e->parent; e = e->parent) {
        out->blocks++;
        out->states += (e->flags[FG_KIND_STATE] & FG_REC_STORED) != 0;
        out->bytes += record_bytes(e);
        own = own && (e == row->e ? row->leaf : e->children < 2);
        if (own)
            out->own_bytes += record_bytes(e);
        out->first = e->key;
        out->root = e->parent->key;
    }
}

int fg_cache_list(struct fg_cache *c, const struct fg_key *roots, size_t n_roots,
                  struct fg_cache_listing *list)
{
    struct rows rows = {0};
    int rc = 0;

    pthread_mutex_lock(&c->mu);
    for (size_t i = 0; !rc && i < n_roots; i++) {
        struct fg_entry *top = fg_index_find(&c->ix, &roots[i]);

        for (struct fg_entry *e = top ? next_below(top, top) : NULL; !rc && e;
             e = next_below(e, top)) {
            unsigned children = is_stored(e) ? stored_children(e) : 1;

            if (children != 1)
                rc = add_row(&rows, e, children);
        }
    }
    list->total = rows.n;
    list->n = rc ? 0 : rows.n < list->max ? rows.n : list->max;
    if (rows.n)
        qsort(rows.p, rows.n, sizeof *rows.p, latest_first);
    for (size_t i = 0; i < list->n; i++)
        describe(&rows.p[i], i, &list->rows[i]);
    pthread_mutex_unlock(&c->mu);
    free(rows.p);
    return rc;
}

static bool begins(const struct fg_key *key, const uint8_t *digits, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if ((i % 2 ? key->b[i / 2] & 15 : key->b[i / 2] >> 4) != digits[i])
            return false;
    return true;
}

int fg_cache_resolve(struct fg_cache *c, const struct fg_key *roots, size_t n_roots, const char *id,
                     struct fg_key *key, struct fg_err *err)
{
    uint8_t digits[32];
    size_t n = strlen(id);
    unsigned found = 0;

    if (n == 0 || n > sizeof digits)
        return fg_fail(err, FG_EINVAL, "id '%.40s': should be 1 to 32 hexadecimal digits", id);
    for (size_t i = 0; i < n; i++) {
        int d = fg_hex_digit(id[i]);

        if (d < 0)
            return fg_fail(err, FG_EINVAL, "id '%.40s': should be 1 to 32 hexadecimal digits", id);
        digits[i] = (uint8_t)d;
    }
    pthread_mutex_lock(&c->mu);
    for (size_t i = 0; i < n_roots && found < 2; i++) {
        struct fg_entry *top = fg_index_find(&c->ix, &roots[i]);

        for (struct fg_entry *e = top ? next_below(top, top) : NULL; e && found < 2;
             e = next_below(e, top)) {
            if (!is_stored(e) || !begins(&e->key, digits, n))
                continue;
            found++;
            *key = e->key;
        }
    }
    pthread_mutex_unlock(&c->mu);
    if (found == 0)
        return fg_fail(err, FG_ENOTFOUND, "id '%s': nothing that is stored has it", id);
    return found == 1 ? 0
                      : fg_fail(err, FG_EINVAL,
                                "id '%s': more than one begins like this; give more digits", id);
}

/* The keys from the root to `key`. FG_ENOTFOUND, FG_ENOMEM. */
static int climb(struct fg_cache *c, const struct fg_key *key, struct fg_cache_path *out)
{
    struct fg_entry *e = fg_index_find(&c->ix, key), *up;
    uint32_t n = 0;

    if (!e || !is_stored(e) || !e->parent)
        return FG_ENOTFOUND;
    for (up = e; up->parent; up = up->parent)
        n++;
    out->root = up->key;
    out->keys = malloc(n * sizeof *out->keys);
    out->tokens = malloc((size_t)n * FG_BLOCK_TOKENS * sizeof *out->tokens);
    out->has_state = calloc(n, sizeof *out->has_state);
    if (!out->keys || !out->tokens || !out->has_state)
        return FG_ENOMEM;
    out->n = n;
    for (up = e; up->parent; up = up->parent) {
        n--;
        out->keys[n] = up->key;
        out->has_state[n] = up->flags[FG_KIND_STATE] & FG_REC_STORED;
    }
    return 0;
}

struct tokens_of {
    struct fg_cache *c;
    struct fg_cache_path *path;
    struct fg_err err;
    int rc;
};

/* The reader's thread. */
static void read_tokens(void *ctx)
{
    struct tokens_of *x = ctx;
    struct fg_cache_path *path = x->path;
    bool *ok = calloc(path->n, sizeof *ok);

    x->rc = ok ? fg_read_tokens(x->c, path->keys, path->n, path->tokens, ok, &x->err)
               : fg_fail(&x->err, FG_ENOMEM, "no memory for a prefix");
    for (uint32_t i = 0; !x->rc && i < path->n; i++)
        if (!ok[i])
            x->rc = fg_fail(&x->err, FG_ENOTFOUND, "it is no longer stored");
    free(ok);
}

int fg_cache_path(struct fg_cache *c, const struct fg_key *key, struct fg_cache_path *out,
                  struct fg_err *err)
{
    struct tokens_of x = {.c = c, .path = out};
    int rc;

    *out = (struct fg_cache_path){0};
    pthread_mutex_lock(&c->mu);
    rc = climb(c, key, out);
    pthread_mutex_unlock(&c->mu);
    if (rc) {
        fg_fail(err, rc, rc == FG_ENOMEM ? "no memory for a prefix" : "it is no longer stored");
    } else {
        x.rc = FG_ECANCELED;
        fg_reader_run(c, read_tokens, &x);
        rc = x.rc;
        if (rc && err)
            *err = x.err;
    }
    if (rc)
        fg_cache_path_finish(out);
    return rc;
}

void fg_cache_path_finish(struct fg_cache_path *p)
{
    free(p->keys);
    free(p->tokens);
    free(p->has_state);
    *p = (struct fg_cache_path){0};
}
