/* Decode: from logits to the next token, its text to the client, and the answer's end. */
#include <stdlib.h>

#include "base/log.h"
#include "admit.h"
#include "decode.h"
#include "distrust.h"
#include "ending.h"
#include "flow_state.h"
#include "job_state.h"

static void describe(const struct fg_flow *flow, const struct fg_job *job,
                     struct fg_job_token *token, struct fg_token_logprob *top)
{
    const struct fg_tokenizer *t = flow->vocabulary.tokenizer;

    token->n_top = (uint32_t)job->req.n_logprobs;
    if (token->n_top > flow->n_vocab)
        token->n_top = flow->n_vocab;
    token->top = top;
    fg_sample_logprobs(job->logits, flow->n_vocab, &token->chosen, top, token->n_top);
    fg_answer_text_piece(t, &token->chosen);
    for (uint32_t i = 0; i < token->n_top; i++)
        fg_answer_text_piece(t, &top[i]);
}

void fg_decode_tell(const struct fg_flow *flow, struct fg_job *job)
{
    struct fg_token_logprob top[FG_MAX_LOGPROBS];
    struct fg_job_token token = {.chosen = {.token = job->fresh.id}};

    if (!job->fresh.there)
        return;
    job->fresh.there = false;
    if (job->req.n_logprobs >= 0)
        describe(flow, job, &token, top);
    fg_job_delta(job, job->fresh.text, job->req.n_logprobs >= 0 ? &token : NULL);
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
    fg_account_mark(&job->marks.ended);
    job->finish = finish;
    fg_ending_done(flow, job);
    fg_sched_unprepare(&flow->sched, job);
    if (job->caching) {
        rc = fg_store_end(r, &job->trail, job->seq, &job->prefix, job->tokens, err);
        job->seq = NULL;
        if (rc)
            fg_log(FG_LOG_WARN, "flow", "job=%llu store=failed cause=\"%s\"",
                   (unsigned long long)job->id, err->text);
    }
    fg_admit_remove(flow, job);
    fg_ending_leave(flow, job);
    return rc == FG_EDEVICELOST ? rc : 0;
}

int fg_decode_next(struct fg_flow *flow, struct fg_job *job, struct fg_err *err)
{
    bool stopped = false;
    int32_t id;
    int rc;

    if (job->max_new == 0)
        return end(flow, job, FG_FINISH_LENGTH, err);
    if (job->n_best)
        rc = fg_sample_best(&flow->sampler, job->best, &job->req.sampling,
                            job->account.completion_tokens, &id, err);
    else
        rc = fg_sample(&flow->sampler, job->logits, &job->req.sampling,
                       job->account.completion_tokens, &id, err);
    if (rc) {
        fg_distrust(flow, job, err);
        return 0;
    }
    rc = fg_job_append(job, id, err);
    if (rc == 0) {
        fg_account_mark(&job->marks.first_token);
        job->account.completion_tokens++;
        fg_job_show(job, FG_PHASE_DECODE);
        if (!job->req.ignore_eos && fg_tokenizer_is_eog(flow->vocabulary.tokenizer, id))
            return end(flow, job, FG_FINISH_STOP, err);
        rc = fg_answer_text_push(&job->answer, id, &job->fresh.text, &stopped, err);
        job->fresh.id = id;
        job->fresh.there = rc == 0;
    }
    if (rc) {
        fg_admit_fail(flow, job, err);
        return 0;
    }
    if (stopped)
        return end(flow, job, FG_FINISH_STOP, err);
    if (job->account.completion_tokens == job->max_new)
        return end(flow, job, FG_FINISH_LENGTH, err);
    return 0;
}
