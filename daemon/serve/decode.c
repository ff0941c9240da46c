/* Decode: from logits to the next token, its text to the client, and the answer's end. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "admit.h"
#include "decode.h"
#include "distrust.h"
#include "ending.h"
#include "flow_state.h"
#include "job_state.h"

/* What the model file suppresses has no probability: the others share all of it. A logit that is
 * not a number stays, so that it is found. */
static void suppress(const struct fg_vocabulary *v, float *logits)
{
    for (size_t i = 0; i < v->n_suppressed; i++)
        if (isfinite(logits[v->suppressed[i]]))
            logits[v->suppressed[i]] = -INFINITY;
}

static void name(const struct fg_flow *flow, struct fg_job_token *token)
{
    const struct fg_tokenizer *t = flow->vocabulary.tokenizer;

    fg_answer_text_piece(t, &token->chosen);
    for (uint32_t i = 0; i < token->n_top; i++)
        fg_answer_text_piece(t, &token->top[i]);
}

/* token->top has room for n_top. */
static void describe(const struct fg_flow *flow, float *logits, struct fg_job_token *token,
                     int32_t n_top)
{
    suppress(&flow->vocabulary, logits);
    token->n_top =
        fg_sample_logprobs(logits, flow->n_vocab, &token->chosen, token->top, (uint32_t)n_top);
    if (fg_vocabulary_suppresses(&flow->vocabulary, token->chosen.token)) /* in a prompt */
        token->chosen.logprob = NAN;
    name(flow, token);
}

/* Does anybody want to know which token it is? */
static bool tells_tokens(const struct fg_job *job)
{
    return job->req.n_logprobs >= 0 || job->req.want_tokens;
}

void fg_decode_tell(const struct fg_flow *flow, struct fg_job *job)
{
    struct fg_token_logprob top[FG_MAX_LOGPROBS];
    struct fg_job_token token = {.chosen = {.token = job->fresh.id}, .top = top};

    if (!job->fresh.there)
        return;
    job->fresh.there = false;
    if (job->req.n_logprobs >= 0 && job->req.drawn_logprobs) {
        token = job->fresh.drawn;
        name(flow, &token);
    } else if (job->req.n_logprobs >= 0) {
        describe(flow, job->logits, &token, job->req.n_logprobs);
    }
    fg_job_delta(job, job->fresh.text, tells_tokens(job) ? &token : NULL);
}

uint32_t fg_decode_span(const struct fg_job *job, uint32_t from, uint32_t n)
{
    return job->req.want_prompt && from < job->n_prompt && n > FG_PROMPT_LOGITS ? FG_PROMPT_LOGITS
                                                                                : n;
}

uint32_t fg_decode_rows(const struct fg_job *job, uint32_t from, uint32_t n, bool ends)
{
    if (job->req.want_prompt && from + n <= job->n_prompt)
        return n;
    return ends && (!job->n_best || job->spare_logits);
}

void fg_decode_prompt(const struct fg_flow *flow, struct fg_job *job, uint32_t from)
{
    struct fg_token_logprob top[FG_MAX_LOGPROBS];
    uint32_t n = fg_seq_length(job->seq) - from;

    if (!job->req.want_prompt || from + n > job->n_prompt)
        return;
    for (uint32_t i = 0; i < n; i++) {
        struct fg_job_token token = {.chosen = {.token = job->tokens[from], .logprob = NAN},
                                     .top = top};

        if (from + i == 0 && job->told_prompt == 0) { /* nothing predicts it */
            fg_answer_text_piece(flow->vocabulary.tokenizer, &token.chosen);
            fg_job_prompt(job, &token, 1);
            job->told_prompt = 1;
        }
        if (from + i + 1 != job->told_prompt || from + i + 1 == job->n_prompt)
            continue;
        token.chosen.token = job->tokens[from + i + 1];
        describe(flow, job->logits + (size_t)i * flow->n_vocab, &token, job->req.n_prompt_top);
        fg_job_prompt(job, &token, 1);
        job->told_prompt++;
    }
    /* The last row is what the answer's first token comes from. */
    memmove(job->logits, job->logits + (size_t)(n - 1) * flow->n_vocab,
            flow->n_vocab * sizeof *job->logits);
}

/* Draws again, for another reason than the first time. */
static uint64_t other_seed(uint64_t seed)
{
    return fg_sample_random(seed, UINT64_MAX / 2);
}

/* A token that would make a bad word is drawn anew without all that would: as if they had never
 * been there. */
static int choose_again(struct fg_flow *flow, struct fg_job *job, struct fg_adjust *a, int32_t *id,
                        struct fg_err *err)
{
    const struct fg_tokenizer *t = flow->vocabulary.tokenizer;
    struct fg_sampling again = job->req.sampling;
    int rc = fg_rules_ban_bad(&job->rules, &job->req, t, a, err);

    again.seed = other_seed(again.seed);
    return rc ? rc : fg_sample_adjusted(&flow->sampler, job->logits, &again, a, id, err);
}

/* Which tokens the answer's form allows. *ends: it is complete, and no text can follow. */
static int constrain(struct fg_flow *flow, struct fg_job *job, struct fg_adjust *a, bool *ends,
                     struct fg_err *err)
{
    const struct fg_constraint *c = &job->constraint;
    size_t n = 1;
    int rc = 0;

    *ends = false;
    if (!c->form)
        return 0;
    if (c->error.code)
        return fg_fail(err, c->error.code, "%s", c->error.text);
    rc = fg_rules_mask(&job->rules, c->mask, flow->sampler.n_vocab, a, &n, err);
    if (rc == 0 && n == 0 && !c->mask->complete)
        rc = fg_fail(err, FG_EINVAL, "no token of the model goes on with the answer's form");
    *ends = rc == 0 && n == 0;
    return rc;
}

/* *ends: there is no token to choose, the answer is over. */
static int choose(struct fg_flow *flow, struct fg_job *job, int32_t *id, bool *ends,
                  struct fg_err *err)
{
    const struct fg_tokenizer *t = flow->vocabulary.tokenizer;
    struct fg_adjust a = fg_rules_adjust(&job->rules, &job->req, job->account.completion_tokens);
    uint32_t need = fg_sample_needs(&job->req.sampling, flow->sampler.n_vocab);
    int rc;

    a.tokens = job->tokens;
    a.n_prompt = job->n_prompt;
    a.n_tokens = job->n_tokens;
    rc = constrain(flow, job, &a, ends, err);
    if (rc || *ends)
        return rc;
    if (job->n_best && !job->constraint.form) {
        if (job->n_best > need && !isnan(job->best[0].logit))
            fg_sample_unban(job->best, job->n_best, a.banned, a.n_banned);
        return fg_sample_best(&flow->sampler, job->best, &job->req.sampling, a.index, id, err);
    }
    if (job->n_best &&
        fg_sample_few(&flow->sampler, job->best, job->n_best, &job->req.sampling, &a, id))
        return 0;
    if (!a.n_banned && fg_rules_plain(&job->req))
        return fg_sample(&flow->sampler, job->logits, &job->req.sampling, a.index, id, err);
    rc = fg_sample_adjusted(&flow->sampler, job->logits, &job->req.sampling, &a, id, err);
    if (rc == 0 && fg_rules_bad(&job->rules, &job->req, t, *id))
        rc = choose_again(flow, job, &a, id, err);
    return rc;
}

/* What it was drawn from is there until another job's token is. */
static void note_drawn(const struct fg_flow *flow, struct fg_job *job, int32_t id)
{
    struct fg_fresh *f = &job->fresh;

    if (!job->req.drawn_logprobs || job->req.n_logprobs < 0)
        return;
    f->drawn = (struct fg_job_token){.chosen = {.token = id}, .top = f->top};
    f->drawn.n_top =
        fg_sample_drawn(&flow->sampler, &f->drawn.chosen, f->top, (uint32_t)job->req.n_logprobs);
}

/* The token's text; *ends: it is the last token. A stop string may be found once there are as many
 * tokens as the answer is to have at least. */
static int push(struct fg_flow *flow, struct fg_job *job, int32_t id, bool *ends,
                struct fg_err *err)
{
    const struct fg_tokenizer *t = flow->vocabulary.tokenizer;
    bool early = job->account.completion_tokens < job->req.rules.min_tokens;
    int rc = fg_rules_push(&job->rules, t, id, err);

    *ends = false;
    job->fresh.text = (struct fg_str){"", 0};
    if (rc == 0 && fg_rules_end(&job->req, t, id))
        *ends = true; /* it has no text */
    else if (rc == 0)
        rc = fg_answer_text_push(&job->answer, id, early, &job->fresh.text, ends, err);
    job->account.reasoning_tokens = fg_answer_text_reasoning(&job->answer);
    job->fresh.id = id;
    job->fresh.there = rc == 0;
    return rc;
}

/* Sends what was held back, then DONE; then the caches get what they do not have yet. */
static int end(struct fg_flow *flow, struct fg_job *job, enum fg_finish_reason finish,
               struct fg_err *err)
{
    const struct fg_prefix_cache *r = &flow->runner.prefix_cache;
    char *text = NULL;
    size_t n = 0;
    int rc;

    fg_decode_tell(flow, job); /* its text lies where that of the end is put together */
    rc = fg_answer_text_end(&job->answer, &text, &n, err);
    if (rc) {
        fg_admit_fail(flow, job, err);
        return 0;
    }
    fg_job_delta(job, (struct fg_str){text, n}, NULL);
    free(text);
    job->account.saved_ms =
        1e3 * fg_rate_seconds(&flow->prefill_rate, 0, job->account.reused_tokens);
    if (!job->caching) /* it was, maybe, and failed */
        job->account.written_tokens = job->account.written_long_tokens = 0;
    fg_account_mark(&job->marks.ended);
    job->finish = finish;
    fg_ending_done(flow, job);
    fg_sched_unprepare(&flow->sched, job);
    if (job->caching) {
        rc = fg_store_end(r, &job->trail, job->seq, &job->prefix, job->tokens, err);
        job->seq = NULL;
        if (rc)
            fg_job_log_cause(FG_LOG_WARN, job, err, "store=failed");
    }
    fg_admit_remove(flow, job);
    fg_ending_leave(flow, job);
    return rc == FG_EDEVICELOST ? rc : 0;
}

int fg_decode_next(struct fg_flow *flow, struct fg_job *job, struct fg_err *err)
{
    bool ends = false;
    int32_t id;
    int rc;

    if (job->max_new == 0)
        return end(flow, job, FG_FINISH_LENGTH, err);
    job->deferred = job->constraint.form && !fg_constraint_ready(&job->constraint);
    if (job->deferred)
        return 0;
    rc = choose(flow, job, &id, &ends, err);
    if (rc == FG_EDEVICE)
        fg_distrust(flow, job, err);
    else if (rc)
        fg_admit_fail(flow, job, err);
    if (rc)
        return 0;
    if (ends)
        return end(flow, job, FG_FINISH_STOP, err);
    note_drawn(flow, job, id);
    rc = fg_job_append(job, id, err);
    if (rc == 0) {
        fg_account_mark(&job->marks.first_token);
        job->account.completion_tokens++;
        fg_job_show(job, FG_PHASE_DECODE);
        rc = push(flow, job, id, &ends, err);
    }
    if (rc) {
        fg_admit_fail(flow, job, err);
        return 0;
    }
    if (ends)
        return end(flow, job, FG_FINISH_STOP, err);
    if (job->account.completion_tokens == job->max_new)
        return end(flow, job, FG_FINISH_LENGTH, err);
    fg_constraint_take(&flow->constraints, job, id);
    return 0;
}

int fg_decode_deferred(struct fg_flow *flow, struct fg_err *err)
{
    struct fg_sched *s = &flow->sched;
    int rc = 0;

    for (uint32_t i = s->n_active; rc == 0 && i-- > 0;)
        if (s->active[i]->deferred && fg_constraint_ready(&s->active[i]->constraint))
            rc = fg_decode_next(flow, s->active[i], err);
    return rc;
}
