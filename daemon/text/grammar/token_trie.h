/* The tokens of a vocabulary as a tree of their bytes, in which those that begin alike share the
 * way. Control tokens are not in it, but for those that have a mark: one byte that is no UTF-8, by
 * which a grammar asks for them. Tokens without bytes, and such with bytes that may be marks, are
 * not in it either. Immutable; any thread. */
#ifndef FG_TOKEN_TRIE_H
#define FG_TOKEN_TRIE_H

#include <stddef.h>
#include <stdint.h>

#include "fulgur/error.h"
#include "text/tokenizer/detok.h"
#include "text/tokenizer/tokenizer.h"

/* The least byte that is in no UTF-8 text: marks are not below. */
enum { FG_TRIE_FIRST_MARK = 0xf5 };

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
    const struct fg_tokenizer *tokenizer;
    const struct fg_detok_mark *marks;
};

/* marks: ended by one of 0, or NULL; they and the tokenizer must outlive the tree. On success *out
 * is the caller's until fg_token_trie_destroy(). FG_ENOMEM. */
int fg_token_trie_create(const struct fg_tokenizer *t, const struct fg_detok_mark *marks,
                         struct fg_token_trie **out, struct fg_err *err);
/* A token's bytes as the tree has them, empty where it is not in it; valid as long as the tree. */
struct fg_str fg_token_trie_bytes(const struct fg_token_trie *trie, int32_t id);
void fg_token_trie_destroy(struct fg_token_trie *trie); /* takes NULL */

#endif
