#include "responses_store.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

struct kept {
    TAILQ_ENTRY(kept) link;
    struct fg_tenant tenant;
    char id[FG_RESPONSES_MAX_ID];
    size_t n_items, n_response; /* bytes of the two texts, a NUL behind each */
    char text[];
};

struct fg_response_store {
    pthread_mutex_t lock; /* guards what follows; held for moments only */
    TAILQ_HEAD(, kept) list;
    TAILQ_HEAD(, fg_response_run) runs;
    size_t n, bytes;
};

struct fg_response_store *fg_response_store_create(void)
{
    struct fg_response_store *s = calloc(1, sizeof *s);

    if (!s)
        return NULL;
    pthread_mutex_init(&s->lock, NULL);
    TAILQ_INIT(&s->list);
    TAILQ_INIT(&s->runs);
    return s;
}

static size_t size_of(const struct kept *k)
{
    return k->n_items + k->n_response + 2;
}

static void drop(struct fg_response_store *s, struct kept *k)
{
    TAILQ_REMOVE(&s->list, k, link);
    s->n--;
    s->bytes -= size_of(k);
    explicit_bzero(k->text, size_of(k));
    free(k);
}

void fg_response_store_destroy(struct fg_response_store *s)
{
    if (!s)
        return;
    while (!TAILQ_EMPTY(&s->list))
        drop(s, TAILQ_FIRST(&s->list));
    pthread_mutex_destroy(&s->lock);
    free(s);
}

void fg_response_begin(struct fg_response_store *s, const struct fg_tenant *tenant,
                       struct fg_response_run *run)
{
    *run = (struct fg_response_run){.tenant = *tenant, .begun = true};
    pthread_mutex_lock(&s->lock);
    TAILQ_INSERT_TAIL(&s->runs, run, link);
    pthread_mutex_unlock(&s->lock);
}

void fg_response_end(struct fg_response_store *s, struct fg_response_run *run)
{
    if (!run->begun)
        return;
    pthread_mutex_lock(&s->lock);
    TAILQ_REMOVE(&s->runs, run, link);
    pthread_mutex_unlock(&s->lock);
    run->begun = false;
}

/* What goes for `bytes` more of the tenant's, in an answer more; NULL: there is room. */
static struct kept *next_to_go(struct fg_response_store *s, const struct fg_tenant *tenant,
                               size_t bytes)
{
    struct kept *k, *oldest = NULL;
    size_t n = 0, sum = 0;

    TAILQ_FOREACH(k, &s->list, link)
    {
        if (!fg_same_tenant(&k->tenant, tenant))
            continue;
        oldest = oldest ? oldest : k;
        n++;
        sum += size_of(k);
    }
    if (oldest && (n >= FG_RESPONSES_MAX / 2 || sum + bytes > FG_RESPONSES_MAX_BYTES / 2))
        return oldest;
    return s->n == FG_RESPONSES_MAX || s->bytes + bytes > FG_RESPONSES_MAX_BYTES
               ? TAILQ_FIRST(&s->list)
               : NULL;
}

void fg_response_keep(struct fg_response_store *s, const struct fg_response_run *run,
                      const char *id, struct fg_str items, struct fg_str response)
{
    struct kept *old;
    const size_t bytes = items.n + response.n + 2;
    struct kept *k;

    if (bytes > FG_RESPONSES_MAX_BYTES / 4 || strlen(id) >= sizeof k->id)
        return;
    k = malloc(sizeof *k + bytes);
    if (!k)
        return;
    *k = (struct kept){.tenant = run->tenant, .n_items = items.n, .n_response = response.n};
    strcpy(k->id, id);
    if (items.n)
        memcpy(k->text, items.p, items.n);
    k->text[items.n] = '\0';
    memcpy(k->text + items.n + 1, response.p, response.n);
    k->text[bytes - 1] = '\0';
    pthread_mutex_lock(&s->lock);
    while ((old = next_to_go(s, &run->tenant, bytes)) != NULL)
        drop(s, old);
    TAILQ_INSERT_TAIL(&s->list, k, link);
    s->n++;
    s->bytes += bytes;
    if (run->forgotten)
        drop(s, k);
    pthread_mutex_unlock(&s->lock);
}

static struct kept *find(struct fg_response_store *s, const struct fg_tenant *tenant,
                         struct fg_str id)
{
    struct kept *k;

    TAILQ_FOREACH(k, &s->list, link)
    {
        if (strlen(k->id) == id.n && memcmp(k->id, id.p, id.n) == 0 &&
            fg_same_tenant(&k->tenant, tenant))
            return k;
    }
    return NULL;
}

static char *copy(struct fg_response_store *s, const struct fg_tenant *tenant, struct fg_str id,
                  bool items)
{
    const struct kept *k;
    char *out = NULL;

    pthread_mutex_lock(&s->lock);
    k = find(s, tenant, id);
    if (k)
        out = strdup(items ? k->text : k->text + k->n_items + 1);
    pthread_mutex_unlock(&s->lock);
    return out;
}

char *fg_response_items(struct fg_response_store *s, const struct fg_tenant *tenant,
                        struct fg_str id)
{
    return copy(s, tenant, id, true);
}

char *fg_response_text(struct fg_response_store *s, const struct fg_tenant *tenant,
                       struct fg_str id)
{
    return copy(s, tenant, id, false);
}

bool fg_response_drop(struct fg_response_store *s, const struct fg_tenant *tenant, struct fg_str id)
{
    struct kept *k;

    pthread_mutex_lock(&s->lock);
    k = find(s, tenant, id);
    if (k)
        drop(s, k);
    pthread_mutex_unlock(&s->lock);
    return k != NULL;
}

void fg_response_forget(struct fg_response_store *s, const struct fg_tenant *tenant)
{
    struct fg_response_run *run;
    struct kept *k, *next;

    pthread_mutex_lock(&s->lock);
    TAILQ_FOREACH(run, &s->runs, link)
    {
        run->forgotten = run->forgotten || fg_same_tenant(&run->tenant, tenant);
    }
    for (k = TAILQ_FIRST(&s->list); k; k = next) {
        next = TAILQ_NEXT(k, link);
        if (fg_same_tenant(&k->tenant, tenant))
            drop(s, k);
    }
    pthread_mutex_unlock(&s->lock);
}
