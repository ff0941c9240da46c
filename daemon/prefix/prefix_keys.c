#include "prefix_keys.h"

#include <stdlib.h>

void fg_prefix_init(struct fg_prefix *p, const struct fg_key *root)
{
    *p = (struct fg_prefix){.root = *root};
}

void fg_prefix_finish(struct fg_prefix *p)
{
    free(p->keys);
    p->keys = NULL;
    p->n = p->cap = 0;
}

int fg_prefix_extend(struct fg_prefix *p, const int32_t *tokens, uint32_t n_tokens,
                     struct fg_err *err)
{
    uint32_t want = n_tokens / FG_BLOCK_TOKENS;

    if (want > p->cap) {
        uint32_t cap = want > 2 * p->cap ? want : 2 * p->cap;
        struct fg_key *keys = realloc(p->keys, cap * sizeof *keys);

        if (!keys)
            return fg_fail(err, FG_ENOMEM, "no memory for the keys of %u tokens", n_tokens);
        p->keys = keys;
        p->cap = cap;
    }
    for (; p->n < want; p->n++)
        p->keys[p->n] = fg_key_next(p->n ? &p->keys[p->n - 1] : &p->root,
                                    tokens + (size_t)p->n * FG_BLOCK_TOKENS);
    return 0;
}
