/* What requests own, and its end; of use to whoever fills one, without an engine. */
#include <stdio.h>
#include <stdlib.h>

#include "base/hex.h"
#include "job.h"
#include "operation.h"

void fg_job_request_finish(struct fg_job_request *r)
{
    free(r->text);
    free(r->tokens);
    for (size_t i = 0; r->messages && i < r->n_messages; i++) {
        free(r->messages[i].role);
        free(r->messages[i].content);
        free(r->messages[i].name);
        free(r->messages[i].calls_json);
        free(r->messages[i].extra_json);
    }
    free(r->messages);
    free(r->tools_json);
    free(r->variables_json);
    for (size_t i = 0; r->stop && i < r->n_stop; i++)
        free(r->stop[i]);
    free(r->stop);
    if (r->let_go)
        r->let_go(r->held);
    free(r->form_text);
    free(r->rules.bias);
    free(r->rules.allowed);
    free(r->rules.stop);
    for (size_t i = 0; r->rules.bad_words && i < r->rules.n_bad_words; i++)
        free(r->rules.bad_words[i]);
    free(r->rules.bad_words);
    *r = (struct fg_job_request){0};
}

int fg_job_too_long(struct fg_err *err, uint32_t context, size_t prompt, bool or_more,
                    int32_t max_tokens)
{
    size_t completion = max_tokens > 0 ? (size_t)max_tokens : 0;

    return fg_fail(
        err, FG_ETOOLONG,
        "This model's maximum context length is %u tokens. However, you requested "
        "%s%zu tokens (%s%zu in the messages, %zu in the completion). Please reduce the length "
        "of the messages or completion.",
        context, or_more ? "at least " : "", prompt + completion, or_more ? "at least " : "",
        prompt, completion);
}

const char *fg_tenant_label(const struct fg_tenant *t, char out[FG_TENANT_LABEL])
{
    fg_hex(t->id, FG_TENANT_LABEL / 2, out);
    return out;
}

const char *fg_tenant_who(const struct fg_tenant *t, const char *from, char out[FG_JOB_WHO])
{
    char label[FG_TENANT_LABEL];

    snprintf(out, FG_JOB_WHO, "tenant=%s %s", fg_tenant_label(t, label), from);
    return out;
}

void fg_operation_request_finish(struct fg_operation_request *r)
{
    free(r->id);
    free(r->bytes);
    fg_job_request_finish(&r->prompt);
    *r = (struct fg_operation_request){0};
}

void fg_operation_result_finish(struct fg_operation_result *r)
{
    free(r->rows);
    *r = (struct fg_operation_result){0};
}
