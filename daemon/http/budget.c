#include "budget.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

/* One for each tenant that holds something. */
struct fg_budget_share {
    LIST_ENTRY(fg_budget_share) link;
    uint8_t tenant[FG_HTTP_TENANT_BYTES];
    size_t used;
    unsigned holds;
};

struct fg_budget {
    pthread_mutex_t lock; /* guards what follows */
    LIST_HEAD(, fg_budget_share) shares;
    size_t total, share, used;
    bool over; /* destroyed but for what is held */
};

struct fg_budget *fg_budget_create(size_t total, size_t share)
{
    struct fg_budget *b = calloc(1, sizeof *b);

    if (!b)
        return NULL;
    pthread_mutex_init(&b->lock, NULL);
    LIST_INIT(&b->shares);
    b->total = total;
    b->share = share;
    return b;
}

/* Under the lock, which it gives up; b may be gone afterwards. */
static void unlock(struct fg_budget *b)
{
    bool last = b->over && LIST_EMPTY(&b->shares);

    pthread_mutex_unlock(&b->lock);
    if (!last)
        return;
    pthread_mutex_destroy(&b->lock);
    free(b);
}

void fg_budget_destroy(struct fg_budget *b)
{
    if (!b)
        return;
    pthread_mutex_lock(&b->lock);
    b->over = true;
    unlock(b);
}

size_t fg_budget_share(const struct fg_budget *b)
{
    return b->share;
}

/* Under the lock, as are the next ones. The tenant's; NULL: out of memory. */
static struct fg_budget_share *share_of(struct fg_budget *b, const uint8_t *tenant)
{
    struct fg_budget_share *s;

    LIST_FOREACH(s, &b->shares, link)
    if (memcmp(s->tenant, tenant, sizeof s->tenant) == 0)
        return s;
    s = calloc(1, sizeof *s);
    if (!s)
        return NULL;
    memcpy(s->tenant, tenant, sizeof s->tenant);
    LIST_INSERT_HEAD(&b->shares, s, link);
    return s;
}

static void drop_unused(struct fg_budget_share *s)
{
    if (s->holds)
        return;
    LIST_REMOVE(s, link);
    free(s);
}

static bool fits(size_t used, size_t most, size_t n)
{
    return used <= most && n <= most - used;
}

/* `own`: NULL, or what is held alone has room, however much it is, and *own says what is full. */
static int take(struct fg_hold *h, struct fg_budget *b, const uint8_t *tenant, size_t n, bool *own)
{
    struct fg_budget_share *s = h->share ? h->share : share_of(b, tenant);
    bool in_share, in_all;

    if (!s)
        return FG_ENOMEM;
    in_share = fits(s->used, b->share, n) || (own && !s->used);
    in_all = fits(b->used, b->total, n) || (own && !b->used);
    if (!in_share || !in_all) {
        if (own)
            *own = !in_share;
        drop_unused(s);
        return FG_EBUSY;
    }
    if (!h->share)
        s->holds++;
    h->budget = b;
    h->share = s;
    h->bytes += n;
    s->used += n;
    b->used += n;
    return 0;
}

int fg_hold_more(struct fg_hold *h, struct fg_budget *b, const uint8_t tenant[FG_HTTP_TENANT_BYTES],
                 size_t n)
{
    int rc;

    pthread_mutex_lock(&b->lock);
    rc = take(h, b, tenant, n, NULL);
    pthread_mutex_unlock(&b->lock);
    return rc;
}

int fg_hold_alone(struct fg_hold *h, struct fg_budget *b,
                  const uint8_t tenant[FG_HTTP_TENANT_BYTES], size_t n, bool *own)
{
    int rc;

    pthread_mutex_lock(&b->lock);
    rc = take(h, b, tenant, n, own);
    pthread_mutex_unlock(&b->lock);
    return rc;
}

void fg_hold_keep(struct fg_hold *h, size_t n)
{
    size_t less = h->bytes > n ? h->bytes - n : 0;

    if (!h->budget || !less)
        return;
    pthread_mutex_lock(&h->budget->lock);
    h->budget->used -= less;
    h->share->used -= less;
    h->bytes -= less;
    pthread_mutex_unlock(&h->budget->lock);
}

void fg_hold_release(struct fg_hold *h)
{
    struct fg_budget *b = h->budget;

    if (!b)
        return;
    pthread_mutex_lock(&b->lock);
    b->used -= h->bytes;
    h->share->used -= h->bytes;
    h->share->holds--;
    drop_unused(h->share);
    unlock(b);
    *h = (struct fg_hold){0};
}

void fg_body_drop(struct fg_body *b)
{
    if (b->bytes)
        evbuffer_free(b->bytes);
    b->bytes = NULL;
    fg_hold_release(&b->hold);
}

void fg_body_free(struct fg_body *b)
{
    if (!b)
        return;
    fg_body_drop(b);
    fg_hold_release(&b->made);
    free(b);
}
