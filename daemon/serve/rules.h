/* Token rules of a job: what they forbid at the next place of its answer, and which tokens end it.
 * One thread at a time. */
#ifndef FG_RULES_H
#define FG_RULES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"
#include "fulgur/error.h"
#include "sample.h"
#include "text/grammar/automaton.h"

struct fg_job_request;
struct fg_tokenizer;
struct fg_vocabulary;

struct fg_rules {
    int32_t *banned; /* what the model file suppresses; behind it what ends the answer */
    size_t n_suppressed;
    size_t n_ends;         /* not chosen before min_tokens of the answer are there, nor before it
                            * has its form; else 0 */
    uint64_t *bits;        /* scratch for masks */
    int32_t *bad;          /* scratch for bad words */
    struct fg_buffer said; /* the end of the answer's bytes, where there are bad words */
    size_t longest;        /* bytes of one */
    bool set, control;     /* control: such tokens are text too */
};

/* FG_ENOMEM. */
int fg_rules_init(struct fg_rules *r, const struct fg_job_request *req,
                  const struct fg_vocabulary *v, struct fg_err *err);
void fg_rules_finish(struct fg_rules *r);

/* Does the token end the answer? */
bool fg_rules_end(const struct fg_job_request *req, const struct fg_tokenizer *t, int32_t token);

/* How many of the best tokens choosing needs to see at most, as fg_sample_needs(); with a form, how
 * many it looks at first. */
uint32_t fg_rules_need(const struct fg_rules *r, const struct fg_job_request *req,
                       uint32_t n_vocab);

/* Are logits taken as they are, apart from tokens that must not be chosen? */
bool fg_rules_plain(const struct fg_job_request *req);

/* What is adjusted for the next token of an answer that holds n_answer. Lives as long as the rules
 * and the request. */
struct fg_adjust fg_rules_adjust(const struct fg_rules *r, const struct fg_job_request *req,
                                 uint32_t n_answer);

/* Adds to *a that only tokens of the mask are chosen, and what ends the answer only where it may
 * end. *n: how many that leaves, apart from what ends it. FG_ENOMEM. */
int fg_rules_mask(struct fg_rules *r, const struct fg_mask *mask, size_t n_vocab,
                  struct fg_adjust *a, size_t *n, struct fg_err *err);

/* Would the answer's text hold a bad word with this token? */
bool fg_rules_bad(const struct fg_rules *r, const struct fg_job_request *req,
                  const struct fg_tokenizer *t, int32_t token);
/* Then adds to *a all tokens that would: FG_ENOMEM. */
int fg_rules_ban_bad(struct fg_rules *r, const struct fg_job_request *req,
                     const struct fg_tokenizer *t, struct fg_adjust *a, struct fg_err *err);
/* The token was chosen. FG_ENOMEM. */
int fg_rules_push(struct fg_rules *r, const struct fg_tokenizer *t, int32_t token,
                  struct fg_err *err);

#endif
