/* How many bytes may be in memory of what clients sent, of what is made of it, and of answers: of
 * all callers together, and of each tenant. Any thread. */
#ifndef FG_HTTP_BUDGET_H
#define FG_HTTP_BUDGET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <event2/buffer.h>

#include "fulgur/error.h"

enum { FG_HTTP_TENANT_BYTES = 16 };

struct fg_budget; /* opaque */

/* `total` for all, `share` for each tenant. NULL: out of memory. */
struct fg_budget *fg_budget_create(size_t total, size_t share);
/* Ends when nothing is held any more: what is may be given back later. NULL is fine. */
void fg_budget_destroy(struct fg_budget *b);
/* What a tenant may have of it. */
size_t fg_budget_share(const struct fg_budget *b);

/* Some bytes of it. Zeroes hold nothing. */
struct fg_hold {
    struct fg_budget *budget;
    struct fg_budget_share *share;
    size_t bytes;
};

/* n bytes more, for the tenant for whom the hold's first bytes were. FG_EBUSY: that is more than
 * there is, and nothing has changed; FG_ENOMEM. */
int fg_hold_more(struct fg_hold *h, struct fg_budget *b, const uint8_t tenant[FG_HTTP_TENANT_BYTES],
                 size_t n);
/* The same, but the only bytes that a tenant holds may be more than its share, and the only ones
 * that anybody holds more than there are. With FG_EBUSY *own says whether it is the tenant's share
 * that is full, else it is all of it. */
int fg_hold_alone(struct fg_hold *h, struct fg_budget *b,
                  const uint8_t tenant[FG_HTTP_TENANT_BYTES], size_t n, bool *own);
/* Gives back what is more than n bytes. */
void fg_hold_keep(struct fg_hold *h, size_t n);
/* Gives it all back. */
void fg_hold_release(struct fg_hold *h);

/* A request's body, and what is made of it. */
struct fg_body {
    struct evbuffer *bytes; /* NULL once dropped */
    struct fg_hold hold;    /* for the bytes */
    uint8_t tenant[FG_HTTP_TENANT_BYTES];
    struct fg_budget *budget; /* for what is made of them; NULL: it is not counted */
    struct fg_hold made;
};

/* Frees the bytes and gives back what they held; what is made of them goes on being held. */
void fg_body_drop(struct fg_body *b);
/* Frees the bytes and gives back what is held. NULL is fine. */
void fg_body_free(struct fg_body *b);

#endif
