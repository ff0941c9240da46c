#include "answer.h"

#include <stdlib.h>
#include <string.h>

void fg_answer_text_init(struct fg_answer_text *a, const struct fg_vocabulary *v,
                         const struct fg_job_request *req, enum fg_answer_start start)
{
    fg_detok_init(&a->detok, v->tokenizer, !req->show_control);
    if (req->marks)
        a->detok.marks = v->marks;
    fg_stop_init(&a->stop, req->stop, req->n_stop);
    a->counts = req->kind == FG_PROMPT_CHAT && v->form.reasoning != FG_REASONING_NONE;
    a->thought = a->counts ? fg_reasoning_count_create(&v->form, start) : NULL;
    fg_detok_init(&a->tagged, v->tokenizer, true);
    a->tagged.marks = v->marks;
}

void fg_answer_text_finish(struct fg_answer_text *a)
{
    fg_detok_finish(&a->detok);
    fg_stop_finish(&a->stop);
    fg_detok_finish(&a->tagged);
    fg_reasoning_count_destroy(a->thought);
}

static int count(struct fg_answer_text *a, int32_t token, struct fg_err *err)
{
    struct fg_str text;
    int rc = a->thought ? fg_detok_push(&a->tagged, token, &text, err) : FG_ENOMEM;

    if (rc == 0)
        rc = fg_reasoning_count_push(a->thought, text);
    return rc == FG_ENOMEM ? fg_fail(err, rc, "no memory to count tokens") : rc;
}

uint32_t fg_answer_text_reasoning(const struct fg_answer_text *a)
{
    return a->thought ? fg_reasoning_count_tokens(a->thought) : 0;
}

int fg_answer_text_push(struct fg_answer_text *a, int32_t token, bool early, struct fg_str *text,
                        bool *stopped, struct fg_err *err)
{
    struct fg_str raw;
    int rc = a->counts ? count(a, token, err) : 0;

    if (rc == 0)
        rc = fg_detok_push(&a->detok, token, &raw, err);
    if (rc == 0 && early)
        *text = raw;
    else if (rc == 0)
        rc = fg_stop_push(&a->stop, raw, text, err);
    *stopped = a->stop.hit;
    return rc;
}

int fg_answer_text_end(struct fg_answer_text *a, char **out, size_t *n, struct fg_err *err)
{
    struct fg_str raw, first, rest;
    int rc = fg_detok_flush(&a->detok, &raw, err);

    *out = NULL;
    *n = 0;
    if (rc == 0)
        rc = fg_stop_push(&a->stop, raw, &first, err);
    if (rc)
        return rc;
    /* Both views lie in the same buffer, one behind the other. */
    fg_stop_flush(&a->stop, &rest);
    if (first.n + rest.n == 0)
        return 0;
    *out = malloc(first.n + rest.n);
    if (!*out)
        return fg_fail(err, FG_ENOMEM, "no memory for the end of an answer");
    memcpy(*out, first.p, first.n);
    memcpy(*out + first.n, rest.p, rest.n);
    *n = first.n + rest.n;
    return 0;
}

void fg_answer_text_piece(const struct fg_tokenizer *t, struct fg_token_logprob *p)
{
    size_t n = 0;
    const char *bytes = fg_tokenizer_piece(t, p->token, &n);

    if (n > sizeof p->piece)
        n = sizeof p->piece;
    if (n)
        memcpy(p->piece, bytes, n);
    p->piece_bytes = (uint32_t)n;
    p->control = fg_tokenizer_is_control(t, p->token);
}
