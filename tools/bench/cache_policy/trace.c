#include "trace.h"

#include <stdlib.h>
#include <string.h>

void trace_finish(struct trace *t)
{
    for (size_t i = 0; i < t->n; i++)
        free(t->requests[i].segments);
    free(t->requests);
    memset(t, 0, sizeof *t);
}

/* Messages begin where the role changes. */
static void find_boundaries(struct trace_request *r, size_t n)
{
    uint32_t at = 0;

    for (size_t i = 0; i < n; i++) {
        enum trace_role role = r->segments[i].role;

        if (i > 0 && role != r->segments[i - 1].role) {
            if (r->segments[i - 1].role == ROLE_SYSTEM && r->system_end == 0)
                r->system_end = at;
            if (role == ROLE_USER)
                r->user_start = at;
        }
        at += r->segments[i].tokens;
    }
}

static int check(const struct trace *t, const struct trace_segment *prompt, size_t n,
                 struct trace_segment answer, uint64_t *prompt_tokens, struct fg_err *err)
{
    uint64_t sum = 0;

    if (t->n >= TRACE_MAX_REQUESTS)
        return fg_fail(err, FG_EINVAL, "more than %d requests", TRACE_MAX_REQUESTS);
    if (n == 0 || n > TRACE_MAX_SEGMENTS)
        return fg_fail(err, FG_EINVAL, "prompt has %zu segments; 1 to %d are possible", n,
                       TRACE_MAX_SEGMENTS);
    for (size_t i = 0; i < n; i++)
        sum += prompt[i].tokens;
    if (sum == 0 || sum + answer.tokens > TRACE_MAX_TOKENS)
        return fg_fail(err, FG_EINVAL, "prompt and answer have %llu tokens; 1 to %d are possible",
                       (unsigned long long)(sum + answer.tokens), TRACE_MAX_TOKENS);
    *prompt_tokens = sum;
    return 0;
}

int trace_add(struct trace *t, const struct trace_segment *prompt, size_t n,
              struct trace_segment answer, struct fg_err *err)
{
    struct trace_request *r;
    uint64_t tokens = 0;
    int rc = check(t, prompt, n, answer, &tokens, err);

    if (rc)
        return rc;
    if (t->n == t->cap) {
        size_t cap = t->cap ? 2 * t->cap : 64;

        r = realloc(t->requests, cap * sizeof *r);
        if (!r)
            return fg_fail(err, FG_ENOMEM, "no memory for the trace");
        t->requests = r;
        t->cap = cap;
    }
    r = &t->requests[t->n];
    *r = (struct trace_request){.n_segments = (uint32_t)n + 1, .n_prompt = (uint32_t)tokens};
    r->n_total = r->n_prompt + answer.tokens;
    r->segments = malloc((n + 1) * sizeof *r->segments);
    if (!r->segments)
        return fg_fail(err, FG_ENOMEM, "no memory for the trace");
    memcpy(r->segments, prompt, n * sizeof *prompt);
    r->segments[n] = answer;
    find_boundaries(r, n);
    t->n++;
    return 0;
}

uint32_t trace_common(const struct trace_request *a, const struct trace_request *b)
{
    uint32_t common = 0;

    for (uint32_t i = 0; i < a->n_segments && i < b->n_segments; i++) {
        const struct trace_segment *x = &a->segments[i], *y = &b->segments[i];

        if (x->id != y->id)
            break;
        common += x->tokens < y->tokens ? x->tokens : y->tokens;
        if (x->tokens != y->tokens)
            break;
    }
    return common;
}
