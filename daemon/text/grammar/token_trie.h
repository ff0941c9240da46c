/* The tokens of a vocabulary as a tree of their bytes, in which those that begin alike share the
 * way. Control tokens, and tokens without bytes, are not in it. Immutable; any thread. */
#ifndef FG_TOKEN_TRIE_H
#define FG_TOKEN_TRIE_H

#include <stddef.h>
#include <stdint.h>

#include "fulgur/error.h"
#include "text/tokenizer/tokenizer.h"

/* A node comes before all below it. */
struct fg_trie_node {
    uint32_t after;      /* the first node that is not below it */
    uint32_t token;      /* where its tokens begin in `tokens`; they end where the next one's do */
    uint32_t depth : 24; /* bytes on the way to it; from 1 */
    uint32_t byte : 8;   /* the last of them */
};

struct fg_token_trie {
    struct fg_trie_node *nodes; /* n_nodes, and one behind them */
    size_t n_nodes;
    int32_t *tokens; /* ids, by their bytes */
    size_t n_tokens, n_vocab;
    uint32_t deepest; /* bytes of the longest token */
};

/* On success *out is the caller's until fg_token_trie_destroy(). FG_ENOMEM. */
int fg_token_trie_create(const struct fg_tokenizer *t, struct fg_token_trie **out,
                         struct fg_err *err);
void fg_token_trie_destroy(struct fg_token_trie *trie); /* takes NULL */

#endif
