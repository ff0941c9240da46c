/* The prefix keys of a growing token sequence: one key for each full block of 64 tokens. One thread
 * at a time. */
#ifndef FG_PREFIX_H
#define FG_PREFIX_H

#include "cache/key.h"
#include "fulgur/error.h"

struct fg_prefix {
    struct fg_key root;
    struct fg_key *keys; /* [n]: of blocks 0 .. n-1 */
    uint32_t n, cap;
};

void fg_prefix_init(struct fg_prefix *p, const struct fg_key *root);
void fg_prefix_finish(struct fg_prefix *p);
/* Adds the keys of the blocks that tokens[n_tokens] fills beyond those there are. The tokens of
 * earlier calls must not have changed. FG_ENOMEM. */
int fg_prefix_extend(struct fg_prefix *p, const int32_t *tokens, uint32_t n_tokens,
                     struct fg_err *err);

#endif
