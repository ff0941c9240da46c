#include "wrong_keys.h"

#include <math.h>
#include <string.h>

static double count_of(const struct fg_wrong_peer *p, double now)
{
    return p->n * exp2((p->at - now) / FG_WRONG_KEY_HALF_MS);
}

/* The peer's, or the place for it. */
static struct fg_wrong_peer *place_of(struct fg_wrong_keys *w, const uint8_t *peer, double now)
{
    struct fg_wrong_peer *least = &w->peers[0];

    for (unsigned i = 0; i < w->n; i++) {
        struct fg_wrong_peer *p = &w->peers[i];

        if (memcmp(p->peer, peer, sizeof p->peer) == 0)
            return p;
        if (count_of(p, now) < count_of(least, now))
            least = p;
    }
    if (w->n < FG_WRONG_KEY_PEERS)
        least = &w->peers[w->n++];
    memcpy(least->peer, peer, sizeof least->peer);
    least->n = 0;
    least->at = now;
    return least;
}

double fg_wrong_keys_note(struct fg_wrong_keys *w, const uint8_t peer[FG_WRONG_KEY_PEER_BYTES],
                          double now)
{
    struct fg_wrong_peer *p = place_of(w, peer, now);

    p->n = count_of(p, now) + 1;
    p->at = now;
    if (p->n <= FG_WRONG_KEY_FREE)
        return 0;
    return fmin(FG_WRONG_KEY_FIRST_MS * exp2(floor(p->n - FG_WRONG_KEY_FREE)),
                FG_WRONG_KEY_MOST_MS);
}
