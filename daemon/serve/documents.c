#include "documents.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/blob.h"
#include "cache/document.h"
#include "prefix/prefix_keys.h"

_Static_assert((int)FG_DOCUMENT_BYTES == (int)FG_DOCUMENT_MAX, "the store's limit");
_Static_assert(FG_RESPONSES_BYTES / 4 == FG_DOCUMENT_BYTES, "memory's limit");

struct fg_document {
    TAILQ_ENTRY(fg_document) link;
    struct fg_tenant tenant;
    char id[FG_DOCUMENT_ID];
    size_t n;
    char text[];
};

void fg_documents_init(struct fg_documents *d, const char *kind, size_t max_bytes)
{
    *d = (struct fg_documents){.kind = kind, .max_bytes = max_bytes};
    pthread_mutex_init(&d->lock, NULL);
    TAILQ_INIT(&d->list);
}

void fg_documents_store_in(struct fg_documents *d, struct fg_cache *cache)
{
    d->cache = cache;
}

/* lock held */
static void drop(struct fg_documents *d, struct fg_document *x)
{
    TAILQ_REMOVE(&d->list, x, link);
    d->n--;
    d->bytes -= x->n;
    explicit_bzero(x->text, x->n);
    free(x);
}

void fg_documents_finish(struct fg_documents *d)
{
    while (!TAILQ_EMPTY(&d->list))
        drop(d, TAILQ_FIRST(&d->list));
    pthread_mutex_destroy(&d->lock);
}

/* What goes for `bytes` more of the tenant's; NULL: there is room. lock held */
static struct fg_document *next_to_go(struct fg_documents *d, const struct fg_tenant *tenant,
                                      size_t bytes)
{
    struct fg_document *x, *oldest = NULL;
    size_t n = 0, sum = 0;

    if (d->n < FG_DOCUMENTS_MOST / 2 && d->bytes + bytes <= d->max_bytes / 2)
        return NULL;
    TAILQ_FOREACH(x, &d->list, link)
    {
        if (!fg_same_tenant(&x->tenant, tenant))
            continue;
        oldest = oldest ? oldest : x;
        n++;
        sum += x->n;
    }
    if (oldest && (n >= FG_DOCUMENTS_MOST / 2 || sum + bytes > d->max_bytes / 2))
        return oldest;
    return d->n == FG_DOCUMENTS_MOST || d->bytes + bytes > d->max_bytes ? TAILQ_FIRST(&d->list)
                                                                        : NULL;
}

static bool passes(const struct fg_prefix *p, const struct fg_key *key)
{
    for (uint32_t i = 0; p && i < p->n; i++)
        if (memcmp(&p->keys[i], key, sizeof *key) == 0)
            return true;
    return false;
}

/* lock held */
static bool is_forgotten(const struct fg_documents *d, const struct fg_document_job *by)
{
    if (by->id <= d->forgotten_before)
        return true;
    for (size_t i = 0; i < FG_DOCUMENTS_FORGOTTEN; i++) {
        const struct fg_documents_forgotten *f = &d->forgotten[i];

        if (f->id && by->id <= f->id && fg_same_tenant(&f->tenant, &by->tenant) &&
            (!f->part || passes(by->prefix, &f->key)))
            return true;
    }
    return false;
}

static struct fg_document *make(const struct fg_tenant *tenant, struct fg_str id,
                                struct fg_str text)
{
    struct fg_document *x = malloc(sizeof *x + text.n);

    if (!x)
        return NULL;
    *x = (struct fg_document){.tenant = *tenant, .n = text.n};
    memcpy(x->id, id.p, id.n);
    memcpy(x->text, text.p, text.n);
    return x;
}

/* lock held; takes over x. */
static void insert(struct fg_documents *d, struct fg_document *x)
{
    struct fg_document *old;

    while ((old = next_to_go(d, &x->tenant, x->n)) != NULL)
        drop(d, old);
    TAILQ_INSERT_TAIL(&d->list, x, link);
    d->n++;
    d->bytes += x->n;
}

/* The last one is the likeliest. lock held */
static struct fg_document *find(const struct fg_documents *d, const struct fg_tenant *tenant,
                                struct fg_str id)
{
    struct fg_document *x;

    TAILQ_FOREACH_REVERSE(x, &d->list, fg_documents_list, link)
    {
        if (strlen(x->id) == id.n && memcmp(x->id, id.p, id.n) == 0 &&
            fg_same_tenant(&x->tenant, tenant))
            return x;
    }
    return NULL;
}

/* How the store calls it. False: it has no such names. */
static bool name(const struct fg_documents *d, const struct fg_tenant *tenant, struct fg_str id,
                 char out[FG_DOCUMENT_NAME], struct fg_cache_document *doc)
{
    if (!d->cache || id.n == 0 || id.n >= FG_DOCUMENT_ID || memchr(id.p, '\0', id.n))
        return false;
    snprintf(out, FG_DOCUMENT_NAME, "%s/%.*s", d->kind, (int)id.n, id.p);
    memcpy(doc->tenant, tenant->id, sizeof doc->tenant);
    doc->name = out;
    return true;
}

/* lock held: a job that runs meanwhile either sees what is forgotten, or is before it in the
 * writer's queue. What has no room there is in memory alone. */
static void store(struct fg_documents *d, const struct fg_document_job *by, struct fg_str id,
                  struct fg_blob *blob)
{
    const struct fg_prefix *p = by->prefix;
    char text[FG_DOCUMENT_NAME];
    struct fg_cache_document doc;

    if (blob && p && name(d, &by->tenant, id, text, &doc))
        (void)fg_cache_put_document(d->cache, &doc, p->n ? &p->keys[p->n - 1] : &p->root, blob);
}

void fg_documents_keep(struct fg_documents *d, const struct fg_document_job *by, const char *id,
                       struct fg_str text)
{
    const struct fg_str its = {id, strlen(id)};
    struct fg_document *x;
    struct fg_blob *blob;

    if (!text.n || text.n > d->max_bytes / 4 || its.n >= FG_DOCUMENT_ID)
        return;
    x = make(&by->tenant, its, text);
    blob = d->cache ? fg_blob_copy_of(text.p, text.n) : NULL;
    pthread_mutex_lock(&d->lock);
    if (!is_forgotten(d, by)) {
        store(d, by, its, blob);
        if (x)
            insert(d, x);
        x = NULL;
    }
    pthread_mutex_unlock(&d->lock);
    fg_blob_unref(blob);
    free(x);
}

/* A text that is looked for. */
struct wanted {
    const struct fg_tenant *tenant;
    struct fg_str id;
    uint64_t drops; /* as they were before */
};

/* From the store, and in memory again unless something was dropped meanwhile. */
static bool read_back(struct fg_documents *d, const struct wanted *w, struct fg_str *text)
{
    struct fg_cache_document doc;
    char stored[FG_DOCUMENT_NAME];
    struct fg_document *x;
    struct fg_blob *blob;
    char *copy;

    if (!name(d, w->tenant, w->id, stored, &doc) ||
        fg_cache_get_document(d->cache, &doc, &blob, NULL))
        return false;
    copy = malloc(fg_blob_bytes(blob));
    if (copy)
        fg_blob_read(blob, 0, copy, fg_blob_bytes(blob));
    *text = (struct fg_str){copy, (size_t)fg_blob_bytes(blob)};
    fg_blob_unref(blob);
    if (!copy)
        return false;
    fg_cache_touch_document(d->cache, &doc);
    x = text->n <= d->max_bytes / 4 ? make(w->tenant, w->id, *text) : NULL;
    pthread_mutex_lock(&d->lock);
    if (x && w->drops == d->drops && !find(d, w->tenant, w->id)) {
        insert(d, x);
        x = NULL;
    }
    pthread_mutex_unlock(&d->lock);
    free(x);
    return true;
}

/* A use of what memory has is one of what the store has. */
static void touch(struct fg_documents *d, const struct wanted *w)
{
    struct fg_cache_document doc;
    char stored[FG_DOCUMENT_NAME];

    if (name(d, w->tenant, w->id, stored, &doc))
        fg_cache_touch_document(d->cache, &doc);
}

bool fg_documents_find(struct fg_documents *d, const struct fg_tenant *tenant, struct fg_str id,
                       struct fg_str *text)
{
    struct wanted w = {.tenant = tenant, .id = id};
    const struct fg_document *x;
    char *copy = NULL;

    pthread_mutex_lock(&d->lock);
    w.drops = d->drops;
    x = find(d, tenant, id);
    if (x && (copy = malloc(x->n)) != NULL) {
        memcpy(copy, x->text, x->n);
        *text = (struct fg_str){copy, x->n};
    }
    pthread_mutex_unlock(&d->lock);
    if (!x)
        return read_back(d, &w, text);
    touch(d, &w);
    return copy != NULL;
}

bool fg_documents_drop(struct fg_documents *d, const struct fg_tenant *tenant, struct fg_str id)
{
    struct fg_cache_document doc;
    char stored[FG_DOCUMENT_NAME];
    bool there = false;
    struct fg_document *x;

    pthread_mutex_lock(&d->lock);
    d->drops++;
    x = find(d, tenant, id);
    if (x) {
        drop(d, x);
        there = true;
    }
    pthread_mutex_unlock(&d->lock);
    if (name(d, tenant, id, stored, &doc) && fg_cache_drop_document(d->cache, &doc)) {
        there = true;
        fg_cache_flush(d->cache);
    }
    return there;
}

/* lock held */
static void note_forgotten(struct fg_documents *d, const struct fg_documents_forgotten *what)
{
    struct fg_documents_forgotten *at = NULL;

    for (size_t i = 0; i < FG_DOCUMENTS_FORGOTTEN && !at; i++) {
        struct fg_documents_forgotten *f = &d->forgotten[i];

        if (f->id && f->part == what->part && fg_same_tenant(&f->tenant, &what->tenant) &&
            (!f->part || memcmp(&f->key, &what->key, sizeof f->key) == 0))
            at = f;
    }
    if (!at) {
        at = &d->forgotten[d->next_forgotten++ % FG_DOCUMENTS_FORGOTTEN];
        if (d->forgotten_before < at->id)
            d->forgotten_before = at->id;
    }
    *at = *what;
}

void fg_documents_forget(struct fg_documents *d, const struct fg_documents_forgotten *what)
{
    struct fg_document *x, *next;

    pthread_mutex_lock(&d->lock);
    d->drops++;
    note_forgotten(d, what);
    for (x = TAILQ_FIRST(&d->list); x; x = next) {
        next = TAILQ_NEXT(x, link);
        if (fg_same_tenant(&x->tenant, &what->tenant))
            drop(d, x);
    }
    pthread_mutex_unlock(&d->lock);
}
