/* The JSON of a request, chat or text, to a job. The first byte chooses which. */
#include "fuzz.h"

#include "api/openai/request_json.h"
#include "http/json_in.h"

static const struct fg_flow_info info = {
    .model_name = "m", .model_path = "/models/m.gguf", .context_tokens = 4096, .n_vocab = 1000};

static void check_text(const char *p, size_t n)
{
    HOLDS(p && p[n] == '\0');
}

static void check_job(const struct fg_job_request *job, bool chat)
{
    HOLDS(chat == (job->kind == FG_PROMPT_CHAT));
    HOLDS(job->max_tokens >= -1 && job->n_logprobs >= -1 && job->n_logprobs <= FG_MAX_LOGPROBS);
    HOLDS(job->sampling.temperature >= 0 && job->sampling.top_p > 0 && job->sampling.top_k >= 0);
    for (size_t i = 0; i < job->n_stop; i++)
        HOLDS(job->stop[i][0]);
    for (size_t i = 0; i < job->n_tokens; i++)
        HOLDS(job->tokens[i] >= 0 && (uint32_t)job->tokens[i] < info.n_vocab);
    if (job->kind == FG_PROMPT_TEXT)
        check_text(job->text, job->text_bytes);
    HOLDS(!chat || job->n_messages);
    for (size_t i = 0; i < job->n_messages; i++) {
        HOLDS(job->messages[i].role);
        check_text(job->messages[i].content, job->messages[i].content_bytes);
        HOLDS(job->messages[i].last_part <= job->messages[i].content_bytes);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    bool chat = n && (data[0] & 1);
    struct fg_http_error e = {0};
    struct fg_api_request r;
    json_t *body = NULL;
    int rc;

    if (!n)
        return 0;
    rc = fg_json_parse((const char *)data + 1, n - 1, &body, &e);
    if (rc == 0) {
        const struct fg_api_choice choice = {
            .text = {(const char *)data + 1, n - 1}, .chat = chat, .cache = FG_CACHE_READ_WRITE};

        rc = fg_api_request_parse_choice(body, &choice, &info, &r, &e);
        if (rc == 0) {
            check_job(&r.job, chat);
            fg_api_request_finish(&r);
        }
    }
    if (rc) {
        json_t *answer = fg_http_error_json(&e);

        HOLDS(rc == FG_EINVAL && e.status >= 400 && e.message[0] && answer);
        json_decref(answer);
    }
    json_decref(body);
    return 0;
}
