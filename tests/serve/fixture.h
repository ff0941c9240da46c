/* What the flow's tests share: a model file with a vocabulary, and a client that submits jobs and
 * waits for their answers. What fails aborts. */
#ifndef FIXTURE_H
#define FIXTURE_H

#include <pthread.h>

#include "serve/flow.h"
#include "tests/dir.h"

enum {
    FIXTURE_BYTES = 256, /* ids 0..255 are the bytes */
    FIXTURE_START = 256, /* <|im_start|>, control */
    FIXTURE_END,         /* <|im_end|>, control, ends an answer */
    FIXTURE_THINK,       /* <think>, user defined */
    FIXTURE_TOKENS       /* entries of the vocabulary; the logits have more rows */
};

/* A folder with a model file, and where a store may lie in it. */
struct fixture_home {
    char *dir, *model, *cache;
};

void fixture_home_init(struct fixture_home *h);
void fixture_home_finish(struct fixture_home *h);
/* Removes the store, which no flow has open. */
void fixture_home_clear(const struct fixture_home *h);
/* The caller destroys it. */
struct fg_flow *fixture_flow(const struct fg_flow_options *opt);
/* Writes dir/toy.gguf and returns its path, the caller's. */
char *fixture_model(const char *dir);
/* The same with n ids as tokenizer.ggml.suppress_tokens; 0: an empty list. */
char *fixture_model_suppressing(const char *dir, const int32_t *ids, size_t n);

/* A job's answer as its events told it. */
struct reply {
    pthread_mutex_t lock;
    pthread_cond_t change;
    struct fg_job *job;
    char *text;
    size_t n_text;
    int32_t *tokens; /* from log-probabilities */
    float *logprobs;
    size_t n_tokens;
    uint32_t progress, last_done, last_reused;
    bool begun, ended, failed;
    size_t n_prompt, told_prompt; /* BEGUN's tokens, PROMPT's */
    float *prompt_logprobs;       /* [told_prompt] */
    uint32_t order;               /* among the jobs that were done: who ended first has less */
    enum fg_finish_reason finish;
    struct fg_job_account account;
    struct fg_err error;
};

/* A greedy request of copied token ids, with log-probabilities and the cache on. */
struct fg_job_request fixture_request(const int32_t *tokens, size_t n, int32_t max_tokens);
/* n random tokens, which follow from `seed`. */
void fixture_tokens(int32_t *tokens, uint32_t n, uint64_t seed);
/* A request of these, with an answer of exactly max_tokens. */
struct fg_job_request fixture_seeded_request(uint64_t seed, uint32_t n, int32_t max_tokens);
/* The same where the seed is n. */
struct fg_job_request fixture_random_request(uint32_t n, int32_t max_tokens);
/* A copy from malloc. */
char *fixture_copy(const char *s);
/* Submits; FG_EBUSY and the like come back. */
int reply_start(struct reply *r, struct fg_flow *flow, struct fg_job_request *req,
                struct fg_err *err);
/* Waits for the end and gives the job back. */
void reply_wait(struct reply *r);
void reply_finish(struct reply *r);
/* Submits, which must not fail, and waits. */
void reply_run(struct reply *r, struct fg_flow *flow, struct fg_job_request *req);

/* A fixed stream of numbers. */
uint32_t fixture_random(uint64_t *state);

#endif
