/* What went, and why: a table in which a newer record takes an older one's place. Guarded by mu. */
#include "gone.h"
#include "handle.h"

#include <stdlib.h>
#include <string.h>

enum { GONE_SLOTS = 32768 };

struct fg_gone_slot {
    uint8_t tail[8]; /* of the key; its head says which slot */
    uint8_t why[FG_KINDS];
};

static struct fg_gone_slot *slot_of(const struct fg_cache *c, const struct fg_key *key)
{
    return c->gone ? &c->gone[fg_load_u64(key->b) % GONE_SLOTS] : NULL;
}

void fg_gone_init(struct fg_cache *c)
{
    c->gone = calloc(GONE_SLOTS, sizeof *c->gone); /* without it, nothing is remembered */
}

void fg_gone_finish(struct fg_cache *c)
{
    free(c->gone);
}

void fg_gone_note(struct fg_cache *c, enum fg_kind kind, const struct fg_key *key,
                  enum fg_cache_gone why)
{
    struct fg_gone_slot *s = slot_of(c, key);

    if (!s)
        return;
    if (memcmp(s->tail, key->b + 8, sizeof s->tail) != 0) {
        *s = (struct fg_gone_slot){0};
        memcpy(s->tail, key->b + 8, sizeof s->tail);
    }
    s->why[kind] = (uint8_t)why;
}

static enum fg_cache_gone ask(struct fg_cache *c, enum fg_kind kind, const struct fg_key *key)
{
    enum fg_cache_gone why = FG_GONE_UNKNOWN;
    const struct fg_gone_slot *s;

    pthread_mutex_lock(&c->mu);
    s = slot_of(c, key);
    if (s && memcmp(s->tail, key->b + 8, sizeof s->tail) == 0)
        why = (enum fg_cache_gone)s->why[kind];
    pthread_mutex_unlock(&c->mu);
    return why;
}

enum fg_cache_gone fg_cache_gone_block(struct fg_cache *c, const struct fg_key *key)
{
    return ask(c, FG_KIND_BLOCK, key);
}

enum fg_cache_gone fg_cache_gone_state(struct fg_cache *c, const struct fg_key *key)
{
    return ask(c, FG_KIND_STATE, key);
}
