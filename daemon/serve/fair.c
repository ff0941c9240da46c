#include "fair.h"

#include <stdlib.h>

#include "job_state.h"
#include "schedule.h"

/* Where the tenant's share hangs, or would. */
static struct fg_fair_share **share_of(struct fg_fair *f, const struct fg_tenant *tenant)
{
    struct fg_fair_share **at = &f->shares;

    while (*at && !fg_same_tenant(&(*at)->tenant, tenant))
        at = &(*at)->next;
    return at;
}

int fg_fair_enter(struct fg_fair *f, const struct fg_tenant *tenant, struct fg_err *err)
{
    struct fg_fair_share *s = *share_of(f, tenant);

    /* How many tenants there are is nobody's business: a share is not told. */
    if (s && f->n_jobs >= f->max_jobs && s->n_jobs >= f->max_jobs / f->n_shares)
        return fg_fail(err, FG_EBUSY,
                       "%u requests of yours are in the queue already; try again later", s->n_jobs);
    if (!s) {
        s = calloc(1, sizeof *s);
        if (!s)
            return fg_fail(err, FG_ENOMEM, "no memory for a request");
        s->tenant = *tenant;
        s->next = f->shares;
        f->shares = s;
        f->n_shares++;
    }
    s->n_jobs++;
    f->n_jobs++;
    return 0;
}

void fg_fair_leave(struct fg_fair *f, const struct fg_tenant *tenant)
{
    struct fg_fair_share **at = share_of(f, tenant), *s = *at;

    f->n_jobs--;
    if (--s->n_jobs)
        return;
    *at = s->next;
    free(s);
    f->n_shares--;
}

static uint32_t count_places(const struct fg_sched *s, const struct fg_tenant *tenant)
{
    uint32_t n = 0;

    for (uint32_t i = 0; i < s->n_active; i++)
        n += fg_same_tenant(&s->active[i]->req.tenant, tenant);
    return n;
}

/* In the order of their ids, begun behind the one that was served last. */
static bool comes_first(const struct fg_sched *s, const struct fg_tenant *a,
                        const struct fg_tenant *b)
{
    bool a_behind = memcmp(a, &s->served, sizeof *a) > 0;
    bool b_behind = memcmp(b, &s->served, sizeof *b) > 0;

    return a_behind == b_behind ? memcmp(a, b, sizeof *a) < 0 : a_behind;
}

bool fg_fair_before(const struct fg_sched *s, const struct fg_job *a, const struct fg_job *b)
{
    const struct fg_tenant *of_a = &a->req.tenant, *of_b = &b->req.tenant;
    uint32_t n_a, n_b;

    if (fg_same_tenant(of_a, of_b))
        return false;
    n_a = count_places(s, of_a);
    n_b = count_places(s, of_b);
    return n_a == n_b ? comes_first(s, of_a, of_b) : n_a < n_b;
}
