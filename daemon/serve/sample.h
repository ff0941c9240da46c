/* Sampling: from one token's logits to the next token, and log-probabilities.
 *
 * The filters run in this order: penalties and bias, top_k, softmax at the temperature, top_p,
 * min_p; then one draw. The draw for the n-th token of an answer depends on (seed, n) only, so an
 * answer does not depend on what else was in the batch. All sums are doubles in a fixed order.
 * Pure; any thread, one sampler a thread. */
#ifndef FG_SAMPLE_H
#define FG_SAMPLE_H

#include "job.h"
#include "model/engine.h"

/* Scratch of one thread: [n_vocab] candidates and counts, which are 0 between calls. */
struct fg_sampler {
    struct fg_candidate *cand;
    uint32_t *counts;
    uint32_t n_vocab;
    uint32_t n_drawn; /* the first of cand, that the last token was drawn from; 0: it was the best
                       * one, at temperature 0 */
};

/* FG_ENOMEM. Ends with fg_sampler_finish(). */
int fg_sampler_init(struct fg_sampler *s, uint32_t n_vocab, struct fg_err *err);
void fg_sampler_finish(struct fg_sampler *s);

/* FG_EINVAL, naming the field: temperature finite and not negative, top_k not negative, top_p and
 * min_p within 0..1. */
int fg_sampling_check(const struct fg_sampling *p, struct fg_err *err);

/* The token chosen from logits[n_vocab]. `index` counts the answer's tokens from 0. Temperature 0
 * takes the highest logit; equal logits rank by lower id, here and in top_k and top_p.
 * FG_EDEVICE when a logit is NaN or +infinity, or all are -infinity. */
int fg_sample(struct fg_sampler *s, const float *logits, const struct fg_sampling *p,
              uint64_t index, int32_t *token, struct fg_err *err);

/* How one choice differs from what the logits say; all borrowed. */
struct fg_adjust {
    const struct fg_token_bias *bias;
    size_t n_bias;
    const int32_t *allowed; /* n_allowed 0: all */
    size_t n_allowed;
    const uint64_t *mask;  /* by id: those that are allowed; NULL: all */
    size_t n_mask;         /* how many these are, at least as many as may be chosen */
    const int32_t *banned; /* never chosen */
    size_t n_banned;
    const int32_t *tokens; /* prompt and answer, for the penalties */
    uint32_t n_prompt, n_tokens;
    uint64_t index; /* as in fg_sample() */
};

/* fg_sample() of logits that are adjusted first: repetition_penalty, presence_penalty and
 * frequency_penalty, bias, then those that may not be chosen go. FG_EINVAL when that leaves
 * none. */
int fg_sample_adjusted(struct fg_sampler *s, const float *logits, const struct fg_sampling *p,
                       const struct fg_adjust *a, int32_t *token, struct fg_err *err);

/* How many of the best tokens fg_sample() would look at, 1..FG_BEST_MOST; 0: it needs all. */
uint32_t fg_sample_needs(const struct fg_sampling *p, uint32_t n_vocab);
/* The token that fg_sample() would choose, from the fg_sample_needs() best alone, as the engine
 * ranks them. FG_EDEVICE as there. */
int fg_sample_best(struct fg_sampler *s, const struct fg_best *best, const struct fg_sampling *p,
                   uint64_t index, int32_t *token, struct fg_err *err);
/* The token that fg_sample_adjusted() would choose of a mask, from the n_best best alone: no
 * penalties, no bias, all are `allowed`, and fg_sample_needs() is not 0. False: they do not tell,
 * or a logit is NaN or +infinity. */
bool fg_sample_few(struct fg_sampler *s, const struct fg_best *best, uint32_t n_best,
                   const struct fg_sampling *p, const struct fg_adjust *a, int32_t *token);
/* Takes the banned ones from n of the best; returns how many stay. */
uint32_t fg_sample_unban(struct fg_best *best, uint32_t n, const int32_t *banned, size_t n_banned);

/* Natural-log softmax at temperature 1 over all logits, summed in double by ascending id.
 * Fills logprob and rank of chosen->token, and token, logprob and rank of the n_top (<=
 * FG_MAX_LOGPROBS) best, ties by lower id; returns how many these are: those of a probability of 0
 * are not among them. The pieces are left alone. */
uint32_t fg_sample_logprobs(const float *logits, uint32_t n_vocab, struct fg_token_logprob *chosen,
                            struct fg_token_logprob *top, uint32_t n_top);

/* The same of what the sampler's last token (chosen->token) was drawn from: after penalties, bias
 * and rules, at the temperature, of the tokens that top_k, top_p and min_p left. */
uint32_t fg_sample_drawn(const struct fg_sampler *s, struct fg_token_logprob *chosen,
                         struct fg_token_logprob *top, uint32_t n_top);

/* SplitMix64's n-th output (from 0) for `seed`: a counter-based generator. */
uint64_t fg_sample_random(uint64_t seed, uint64_t n);

#endif
