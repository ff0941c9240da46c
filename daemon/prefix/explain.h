/* Explain: why a prompt finds no more of itself, and where it leaves what is stored. The engine's
 * thread. */
#ifndef FG_EXPLAIN_H
#define FG_EXPLAIN_H

#include "serve/job.h"
#include "longest.h"
#include "prefix_keys.h"
#include "text/tokenizer/tokenizer.h"

/* A prompt whose lookup has ended. */
struct fg_explain_prompt {
    const struct fg_cache_root *root; /* what its keys' root is made of */
    const struct fg_prefix *prefix;   /* its keys */
    const int32_t *tokens;
    uint32_t n_tokens;
    uint32_t found;  /* leading blocks that are somewhere */
    uint32_t reused; /* of those, how many were (or would be) restored */
    bool corrupt;    /* the way to more ended at a record that did not verify */
    bool busy;       /* or at one that the store could not give */
};

/* Fills *why. Reads no payloads; takes the longer, the more prompts part at the same place, and at
 * most milliseconds. */
void fg_explain(const struct fg_reuse *r, const struct fg_tokenizer *t,
                const struct fg_explain_prompt *p, struct fg_cache_why *why);

#endif
