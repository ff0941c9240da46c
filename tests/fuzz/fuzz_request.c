/* The JSON of a request, chat or text, to the jobs that it asks for. The first byte chooses which
 * of the two, what the cache is used for, and which of the answers. */
#include "fuzz.h"

#include <math.h>

#include "api/openai/request_json.h"
#include "http/json_in.h"

static const struct fg_flow_info info = {
    .model_name = "m", .model_path = "/models/m.gguf", .context_tokens = 4096, .n_vocab = 1000};

static void check_text(const char *p, size_t n)
{
    HOLDS(p && p[n] == '\0');
}

static void check_rules(const struct fg_token_rules *rules)
{
    for (size_t i = 0; i < rules->n_bias; i++)
        HOLDS(rules->bias[i].token >= 0 && (uint32_t)rules->bias[i].token < info.n_vocab &&
              isfinite(rules->bias[i].bias));
    for (size_t i = 0; i < rules->n_allowed; i++)
        HOLDS(rules->allowed[i] >= 0 && (uint32_t)rules->allowed[i] < info.n_vocab);
    for (size_t i = 0; i < rules->n_stop; i++)
        HOLDS(rules->stop[i] >= 0 && (uint32_t)rules->stop[i] < info.n_vocab);
    for (size_t i = 0; i < rules->n_bad_words; i++)
        HOLDS(rules->bad_words[i][0]);
}

static void check_job(const struct fg_job_request *job, bool chat)
{
    check_rules(&job->rules);
    HOLDS(chat == (job->kind == FG_PROMPT_CHAT));
    HOLDS(job->max_tokens >= -1 && job->n_logprobs >= -1 && job->n_logprobs <= FG_MAX_LOGPROBS);
    HOLDS(job->sampling.temperature >= 0 && job->sampling.top_p >= 0 && job->sampling.top_k >= 0);
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

static void check_sampling(const struct fg_sampling *s)
{
    HOLDS(isfinite(s->temperature) && isfinite(s->top_p) && isfinite(s->min_p));
    HOLDS(isfinite(s->presence_penalty) && isfinite(s->frequency_penalty));
    HOLDS(isfinite(s->repetition_penalty) && s->repetition_penalty >= 0);
}

/* Any other answer that the body asks for differs from the first one in its seed and its prompt. */
static void check_choice(const json_t *body, struct fg_api_choice choice,
                         const struct fg_api_request *first, size_t bytes)
{
    struct fg_http_error e = {0};
    struct fg_api_request r;
    size_t n;

    HOLDS(first->n_prompts && first->n && first->best_of >= first->n);
    if (fg_api_request_count(first, bytes, &n, &e)) {
        HOLDS(e.status >= 400 && e.message[0]);
        return;
    }
    HOLDS(n == first->n_prompts * first->best_of);
    choice.prompt %= first->n_prompts;
    choice.number %= first->best_of;
    if (fg_api_request_parse_choice(body, &choice, &info, &r, &e)) {
        HOLDS(choice.prompt && e.status >= 400 && e.message[0]);
        return;
    }
    check_job(&r.job, choice.chat);
    HOLDS(r.job.cache <= choice.cache && r.n_prompts == first->n_prompts);
    HOLDS(!json_is_integer(json_object_get(body, "seed")) ||
          r.job.sampling.seed == first->job.sampling.seed + choice.number);
    fg_api_request_finish(&r);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct fg_http_error e = {0};
    struct fg_api_choice choice;
    struct fg_api_request r;
    json_t *body = NULL;
    int rc;

    if (!n)
        return 0;
    choice = (struct fg_api_choice){.text = {(const char *)data + 1, n - 1},
                                    .chat = data[0] & 1,
                                    .cache = (data[0] >> 1 & 3) % 3};
    rc = fg_json_parse((const char *)data + 1, n - 1, &body, &e);
    if (rc == 0) {
        rc = fg_api_request_parse_choice(body, &choice, &info, &r, &e);
        if (rc == 0) {
            check_job(&r.job, choice.chat);
            check_sampling(&r.job.sampling);
            HOLDS(r.job.cache <= choice.cache);
            choice.prompt = data[0] >> 3 & 3;
            choice.number = data[0] >> 5;
            check_choice(body, choice, &r, n - 1);
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
