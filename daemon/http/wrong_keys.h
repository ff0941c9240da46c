/* Who sent wrong keys, so that guessing is slow: the answers to an address that goes on are given
 * later and later. Bounded; what is long ago is forgotten. Loop thread. */
#ifndef FG_HTTP_WRONG_KEYS_H
#define FG_HTTP_WRONG_KEYS_H

#include <stdint.h>

enum {
    FG_WRONG_KEY_PEERS = 1024,    /* are remembered; the one that matters least makes room */
    FG_WRONG_KEY_FREE = 5,        /* wrong keys before answers are late */
    FG_WRONG_KEY_MOST_MS = 1000,  /* how late they are at most */
    FG_WRONG_KEY_HALF_MS = 30000, /* after which half of them are forgotten */
    FG_WRONG_KEY_FIRST_MS = 25,   /* how late the first late answer is; each next twice that */
    FG_WRONG_KEY_PEER_BYTES = 16
};

/* Zeroes: nobody. */
struct fg_wrong_keys {
    struct fg_wrong_peer {
        uint8_t peer[FG_WRONG_KEY_PEER_BYTES];
        double n;  /* wrong keys, at `at` */
        double at; /* ms */
    } peers[FG_WRONG_KEY_PEERS];
    unsigned n;
};

/* One more of this peer, at `now` (ms, as fg_clock_ms()). By how many ms its answer is to be late;
 * 0: it is not. */
double fg_wrong_keys_note(struct fg_wrong_keys *w, const uint8_t peer[FG_WRONG_KEY_PEER_BYTES],
                          double now);

#endif
