#include "hold.h"

#include <string.h>

enum { PAGE = 4096 };

static uint32_t pages_of(const struct fg_index *ix, const struct fg_entry *e, enum fg_kind kind)
{
    if (!(e->flags[kind] & FG_REC_STORED))
        return 0;
    return (uint32_t)(fg_index_cost(ix, kind, e->bytes[kind]) / PAGE + 1);
}

/* The state, and the blocks before it that no other hold keeps already. */
static uint32_t share(const struct fg_index *ix, const struct fg_entry *e)
{
    uint32_t pages = pages_of(ix, e, FG_KIND_STATE) + pages_of(ix, e, FG_KIND_BLOCK);

    for (const struct fg_entry *at = e->parent; at && !fg_held(ix, at); at = at->parent)
        pages += pages_of(ix, at, FG_KIND_BLOCK);
    return pages;
}

void fg_hold_end(struct fg_index *ix, struct fg_entry *e)
{
    ix->held_pages -= e->hold_pages;
    e->hold_pages = e->hold_until = 0;
}

/* Ends those whose time is over; once a second at most, as every entry is looked at. */
static void end_old(struct fg_index *ix)
{
    if (ix->holds_swept == ix->now)
        return;
    ix->holds_swept = ix->now;
    for (size_t i = 0; i < ix->n_buckets; i++)
        for (struct fg_entry *e = ix->buckets[i]; e; e = e->next)
            if (e->hold_until && e->hold_until <= ix->now)
                fg_hold_end(ix, e);
}

void fg_hold_count(struct fg_index *ix, struct fg_entry *e)
{
    uint32_t until = e->hold_until, pages;

    fg_hold_end(ix, e);
    if (until <= ix->now)
        return;
    e->hold_until = until;
    if (!((e->flags[FG_KIND_BLOCK] | e->flags[FG_KIND_STATE]) & FG_REC_STORED))
        return; /* it counts once it is */
    pages = share(ix, e);
    if (ix->held_pages + pages > ix->hold_bytes / PAGE)
        end_old(ix);
    if (ix->held_pages + pages > ix->hold_bytes / PAGE) {
        e->hold_until = 0;
        return;
    }
    e->hold_pages = pages;
    ix->held_pages += pages;
}

/* Takes the place of one of the same key, of one that is over, or of the oldest. */
static void wish(struct fg_index *ix, const struct fg_key *key, uint32_t until)
{
    size_t at = ix->n_wishes;

    for (size_t i = 0; i < ix->n_wishes && at == ix->n_wishes; i++)
        if (memcmp(&ix->wishes[i].key, key, sizeof *key) == 0 || ix->wishes[i].until <= ix->now)
            at = i;
    if (at == FG_HOLD_WISHES) {
        memmove(ix->wishes, ix->wishes + 1, (FG_HOLD_WISHES - 1) * sizeof *ix->wishes);
        at--;
    } else if (at == ix->n_wishes) {
        ix->n_wishes++;
    }
    ix->wishes[at] = (struct fg_hold_wish){.key = *key, .until = until};
}

void fg_hold_begin(struct fg_index *ix, struct fg_entry *e)
{
    for (size_t i = 0; i < ix->n_wishes; i++) {
        if (memcmp(&ix->wishes[i].key, &e->key, sizeof e->key) != 0)
            continue;
        e->hold_until = ix->wishes[i].until;
        ix->wishes[i] = ix->wishes[--ix->n_wishes];
        return;
    }
}

void fg_hold(struct fg_index *ix, const struct fg_key *key, uint32_t until)
{
    struct fg_entry *e = fg_index_find(ix, key);

    if (!e) {
        wish(ix, key, until);
        return;
    }
    if (until > e->hold_until)
        e->hold_until = until;
    fg_hold_count(ix, e);
    fg_index_renew(ix, e);
}
