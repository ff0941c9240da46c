/* Prefix keys. The key of block n is XXH3-128 of (key of block n-1, its 64 token ids as
 * little-endian i32); block 0 continues the root, XXH3-128 of (model fingerprint, numerics id,
 * tenant salt). Keys find; stored token ids prove. Pure functions, any thread. */
#ifndef FG_KEY_H
#define FG_KEY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/block_tokens.h"

struct fg_key {
    uint8_t b[16]; /* canonical (big-endian) XXH3-128 */
};

struct fg_key fg_key_root(const uint8_t model[16], const uint8_t numerics[16], const void *salt,
                          size_t salt_bytes);
struct fg_key fg_key_next(const struct fg_key *prev, const int32_t tokens[FG_BLOCK_TOKENS]);

/* Of stored blocks that may come next, the one that a prompt's tokens[0..n), n <= 64, agree with
 * the longest. Where several agree as long, it is the first in the order of their tokens: who was
 * there first does not matter. */
struct fg_nearest {
    bool known;
    uint32_t common; /* leading tokens that agree */
    int32_t tokens[FG_BLOCK_TOKENS];
};
/* Takes one more block into account; `nearest` begins as zeros. The prompt's own whole block is
 * passed over: whoever asks has looked for it, and it may have come since. */
void fg_nearest_add(struct fg_nearest *nearest, const int32_t *tokens, uint32_t n,
                    const int32_t block[FG_BLOCK_TOKENS]);

#endif
