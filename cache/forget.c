/* Forget: removes a part of the trees for good. The records go as evicted ones do, in as many
 * transactions as it takes; then scrub.c overwrites what they left in the file. */
#include "forget.h"
#include "batch.h"
#include "commit.h"
#include "dir.h"
#include "handle.h"
#include "plan.h"
#include "put_queue.h"
#include "roots.h"
#include "scrub.h"
#include "sift.h"
#include "tree.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Where the removal begins: the block, or with `before` the first one that leads to nothing else.
 */
static struct fg_entry *top_of(struct fg_cache *c, const struct fg_cache_part *p)
{
    struct fg_entry *e = fg_index_find(&c->ix, p->key);

    if (!e || !e->parent || !fg_tree_root(e, p->roots, p->n_roots))
        return NULL;
    while (p->before && e->parent->parent && e->parent->children == 1)
        e = e->parent;
    return e;
}

static struct fg_entry *deepest(struct fg_entry *e)
{
    while (e->first_child)
        e = e->first_child;
    return e;
}

/* Adds victims of `top` and below, what continues a block before the block, until the batch is
 * full. What is only queued stays: its writer will miss its parent. */
static void collect(struct fg_cache *c, struct fg_batch *b, struct fg_entry *top, bool and_top,
                    struct fg_cache_forgotten *out)
{
    struct fg_entry *next;

    for (struct fg_entry *e = deepest(top); e && b->n_victims + FG_KINDS <= FG_BATCH_VICTIMS;
         e = next) {
        next = e == top ? NULL : e->next_sibling ? deepest(e->next_sibling) : e->parent;
        if (e == top && !and_top)
            break;
        if (e->flags[FG_KIND_STATE] & FG_REC_STORED) {
            out->states++;
            out->bytes += e->bytes[FG_KIND_STATE];
            fg_plan_forget(c, b, e, FG_KIND_STATE);
        }
        if (e->flags[FG_KIND_BLOCK] & FG_REC_STORED) {
            out->blocks++;
            out->bytes += e->bytes[FG_KIND_BLOCK];
            fg_plan_forget(c, b, e, FG_KIND_BLOCK);
        }
    }
}

/* What hangs below a block that was dropped as corrupt: nobody can tell whose it is, and nobody
 * finds it until that block is put again. Whoever removes everything removes it as well. */
static void collect_strays(struct fg_cache *c, struct fg_batch *b)
{
    struct fg_cache_forgotten uncounted = {0}; /* they may be others' */

    for (size_t i = 0; i < c->ix.n_buckets; i++)
        for (struct fg_entry *e = c->ix.buckets[i]; e; e = e->next)
            if (!e->parent && !fg_roots_know(c, &e->key))
                collect(c, b, e, true, &uncounted);
}

/* Does the document hang on what is removed, or is that no longer known? mu held. */
static bool goes(struct fg_cache *c, const struct fg_cache_part *p, const struct fg_key *top,
                 const struct fg_sifted *d)
{
    const struct fg_key *root = &d->on;

    if (!p->key)
        return true;
    for (const struct fg_entry *e = fg_index_find(&c->ix, &d->on); e; e = e->parent) {
        if (memcmp(&e->key, top, sizeof *top) == 0)
            return true;
        root = &e->key;
    }
    for (size_t i = 0; i < p->n_roots; i++)
        if (memcmp(&p->roots[i], root, sizeof *root) == 0)
            return false;
    return !fg_roots_know(c, root);
}

/* The tenant's documents that go, while the index still knows what they hang on. */
static int find_documents(struct fg_cache *c, const struct fg_cache_part *p,
                          const struct fg_key *top, struct fg_sift *s)
{
    size_t n = 0;
    int rc;

    *s = (struct fg_sift){.tenant = p->tenant, .most = SIZE_MAX};
    rc = p->tenant ? fg_sift_run(c, s) : 0;
    if (rc)
        return rc;
    pthread_mutex_lock(&c->mu);
    for (size_t i = 0; i < s->n; i++)
        if (goes(c, p, top, &s->rows[i]))
            s->rows[n++] = s->rows[i];
    s->n = n;
    pthread_mutex_unlock(&c->mu);
    return 0;
}

/* Adds documents as victims until the batch is full, and takes them from the list. mu held. */
static void collect_documents(struct fg_cache *c, struct fg_batch *b, struct fg_sift *s,
                              struct fg_cache_forgotten *out)
{
    while (s->n && b->n_victims < FG_BATCH_VICTIMS) {
        struct fg_entry *e = fg_index_find(&c->ix, &s->rows[--s->n].key);

        if (!e || !(e->flags[FG_KIND_DOCUMENT] & FG_REC_STORED))
            continue;
        out->documents++;
        out->bytes += e->bytes[FG_KIND_DOCUMENT];
        fg_plan_forget(c, b, e, FG_KIND_DOCUMENT);
    }
}

/* Fills the batch with what is still there to go. mu held. */
static void fill(struct fg_cache *c, struct fg_batch *b, const struct fg_cache_part *p,
                 const struct fg_key *top, struct fg_cache_forgotten *out)
{
    size_t n = p->key ? 1 : p->n_roots;

    b->n_victims = b->deleted = 0;
    b->n_roots = b->unrooted = 0;
    b->clock = c->clock;
    b->quota = c->quota;
    for (size_t i = 0; i < n; i++) {
        struct fg_entry *e = fg_index_find(&c->ix, p->key ? top : &p->roots[i]);

        if (e)
            collect(c, b, e, p->key != NULL, out);
    }
    if (!p->key)
        collect_strays(c, b);
    fg_remains_plan(c, b); /* of whom is not known any more; nobody misses them */
}

/* Removes the records; the documents are a list that is used up. */
static int remove_records(struct fg_cache *c, struct fg_batch *b, struct fg_forget *f,
                          const struct fg_key *top, struct fg_sift *documents)
{
    const struct fg_cache_part *p = &f->part;
    int rc;

    for (;;) {
        struct fg_cache_forgotten more = {0};

        pthread_mutex_lock(&c->mu);
        fill(c, b, p, top, &more);
        collect_documents(c, b, documents, &more);
        pthread_mutex_unlock(&c->mu);
        if (b->n_victims == 0)
            return 0;
        rc = fg_reserve_commit(c, b, FG_COMMIT_CHORES | FG_COMMIT_MARK);
        pthread_mutex_lock(&c->mu);
        fg_plan_settle_chores(c, b, rc == 0);
        pthread_mutex_unlock(&c->mu);
        if (rc)
            return rc;
        f->out.blocks += more.blocks;
        f->out.states += more.states;
        f->out.documents += more.documents;
        f->out.bytes += more.bytes;
    }
}

static int remove_all(struct fg_cache *c, struct fg_batch *b, struct fg_forget *f)
{
    const struct fg_cache_part *p = &f->part;
    struct fg_sift documents = {0};
    struct fg_key top = {{0}};
    struct fg_entry *e;
    int rc;

    if (p->key) {
        pthread_mutex_lock(&c->mu);
        e = top_of(c, p);
        if (e)
            top = e->key;
        pthread_mutex_unlock(&c->mu);
        if (!e)
            return MDB_NOTFOUND;
    }
    rc = find_documents(c, p, &top, &documents);
    if (!rc)
        rc = remove_records(c, b, f, &top, &documents);
    free(documents.rows);
    if (rc)
        return rc;
    b->roots = p->key ? NULL : p->roots;
    b->n_roots = p->key ? 0 : p->n_roots;
    rc = fg_reserve_commit(c, b, FG_COMMIT_MARK);
    pthread_mutex_lock(&c->mu);
    for (size_t i = 0; !rc && i < b->n_roots; i++)
        fg_roots_settle(c, &b->roots[i], false);
    pthread_mutex_unlock(&c->mu);
    b->n_roots = 0;
    return rc;
}

void fg_forget_run(struct fg_cache *c, struct fg_batch *b, struct fg_forget *f)
{
    bool away = !c->store.env || atomic_load(&c->store.damaged);
    int rc = away ? 0 : remove_all(c, b, f);

    if (away)
        f->rc = fg_fail(f->err, FG_EBUSY, "%s: the store is damaged and waits to be reopened",
                        c->opt.dir);
    else if (rc == MDB_NOTFOUND)
        f->rc = fg_fail(f->err, FG_ENOTFOUND, "it is not stored");
    else if (rc)
        f->rc = fg_fail(f->err, rc > 0 ? fg_errno_code(rc) : FG_EIO,
                        "%s/%s: records could not be removed: %s", c->opt.dir, FG_DATA_FILE,
                        mdb_strerror(rc));
    else
        f->rc = fg_scrub(c, f->err);
    fg_cache_logf(
        c, f->rc && f->rc != FG_ENOTFOUND ? FG_CACHE_LOG_ERROR : FG_CACHE_LOG_INFO,
        "event=forget dir=%s blocks=%llu states=%llu documents=%llu bytes=%llu result=\"%s\"",
        c->opt.dir, (unsigned long long)f->out.blocks, (unsigned long long)f->out.states,
        (unsigned long long)f->out.documents, (unsigned long long)f->out.bytes, fg_strerror(f->rc));
}

int fg_cache_forget(struct fg_cache *c, const struct fg_cache_part *part,
                    struct fg_cache_forgotten *out, struct fg_err *err)
{
    struct fg_forget f = {.part = *part, .err = err};
    struct fg_item it = {.op = FG_OP_FORGET, .forget = &f};

    fg_put_queue_wait(c, &it);
    *out = f.out;
    return f.rc;
}
