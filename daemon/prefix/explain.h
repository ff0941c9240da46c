/* Explain: why a prompt finds no more of itself, and where it leaves what is stored. The engine's
 * thread. */
#ifndef FG_EXPLAIN_H
#define FG_EXPLAIN_H

#include "why.h"
#include "longest.h"
#include "prefix_keys.h"
#include "text/tokenizer/tokenizer.h"

/* A prompt whose lookup has ended. */
struct fg_explain_prompt {
    const struct fg_cache_root *root; /* what its keys' root is made of */
    const struct fg_prefix *prefix;   /* its keys */
    const int32_t *tokens;
    uint32_t n_tokens;
    uint32_t head_end, first_end; /* of a chat: tokens before its first turn that is not of the
                                   * system, and before that one's end; 0: unknown */
    uint32_t found;               /* leading blocks that are somewhere */
    uint32_t reused;              /* of those, how many were (or would be) restored */
    bool corrupt;                 /* the way to more ended at a record that did not verify */
    bool busy;                    /* or at one that the store could not give */
};

/* What is being found out about a prompt; the caller's memory. Zeros: nothing. */
struct fg_explanation {
    enum fg_cache_reason reason, reason_parts; /* where nothing, or something, goes on otherwise */
    uint32_t found;
    struct fg_cache *cache; /* while the call lasts */
    struct fg_cache_call call;
    struct fg_key parent;
    int32_t rest[FG_BLOCK_TOKENS]; /* n tokens behind the parent */
    uint32_t n;
    struct fg_nearest nearest;
};

/* Finds out what memory tells, and has the store's reader look at the neighbours; what is stored
 * later does not count. The memory must stay until fg_explain_end() or fg_explain_wait(). */
void fg_explain_begin(const struct fg_prefix_cache *r, const struct fg_explain_prompt *p,
                      struct fg_explanation *e);
/* Does the reader still look? r->wake wakes up when it has. */
bool fg_explain_pending(struct fg_explanation *e);
/* Waits for the reader, for one who no longer wants to know. */
void fg_explain_wait(struct fg_explanation *e);
/* Fills *why from p, of which found and n_tokens are as they were; waits for the reader. */
void fg_explain_end(struct fg_explanation *e, const struct fg_tokenizer *t,
                    const struct fg_explain_prompt *p, struct fg_cache_why *why);

#endif
