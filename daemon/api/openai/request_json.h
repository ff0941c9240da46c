/* OpenAI request bodies to fg_job_request. Every field that matters is checked, and a field that
 * fulgur knows but does not do is refused rather than ignored; unknown fields are ignored, since
 * clients send many. Pure; any thread. */
#ifndef FG_API_REQUEST_JSON_H
#define FG_API_REQUEST_JSON_H

#include <stdbool.h>
#include <jansson.h>

#include "fulgur/str.h"
#include "http/errors.h"
#include "serve/job.h"

struct fg_api_request {
    struct fg_job_request job;
    bool chat;
    bool stream, include_usage, progress;
    bool reasoning_as_text; /* what the model thinks is not told apart */
    bool tools;             /* the model sees tools: its calls become OpenAI's */
    bool echo;              /* the answer begins with its prompt */
    bool wants_logprobs;    /* else those of the job are for best_of */
    /* Best alternatives to each of the prompt's tokens that are told; -1: these are not asked
     * for. */
    int32_t n_prompt_logprobs;
    uint32_t n, best_of; /* answers to each prompt that are given, and that are computed */
    size_t n_prompts;
};

/* One of the answers that a body asks for. */
struct fg_api_choice {
    struct fg_str text;      /* the body, of which parts are passed on as they were written */
    bool chat;               /* the body is one of /v1/chat/completions, else of /v1/completions */
    const char *ids;         /* the prompt is the token ids in this member; NULL: it is `prompt` */
    enum fg_cache_use cache; /* at most, as a header said */
    size_t prompt;           /* which one of the body's, from 0 */
    uint32_t number;         /* which answer to it, from 0: each has another seed */
};

/* Reads a body into *out, which the caller ends with fg_api_request_finish on success. FG_EINVAL
 * with *e filled. */
int fg_api_request_parse_choice(const json_t *body, const struct fg_api_choice *choice,
                                const struct fg_flow_info *info, struct fg_api_request *out,
                                struct fg_http_error *e);
/* How many answers the body (of so many bytes) asks for: *n, n_prompts * best_of. FG_EINVAL with *e
 * filled: too many. */
int fg_api_request_count(const struct fg_api_request *r, size_t body_bytes, size_t *n,
                         struct fg_http_error *e);
void fg_api_request_finish(struct fg_api_request *r);

/* The `model` field: absent, empty, one of the served names, or the file's base name; else a 404 in
 * *e. */
int fg_api_request_model(const json_t *body, const struct fg_flow_info *info,
                         struct fg_http_error *e);
bool fg_api_model_matches(const char *name, const struct fg_flow_info *info);

/* An array of token ids of the model's vocabulary, the caller's (malloc; NULL when empty). `path`
 * is the field's name. */
int fg_api_request_tokens(const json_t *array, const char *path, const struct fg_flow_info *info,
                          int32_t **ids, size_t *n, struct fg_http_error *e);

/* refused.c: fields that fulgur does not do, or does for chats alone, unless their value changes
 * nothing. */
int fg_api_request_refuse(const json_t *body, bool chat, struct fg_http_error *e);

/* sampling_json.c: how tokens are chosen; which of them, and what ends the answer. What was read
 * stays in *out on failure. */
int fg_api_request_sampling(const json_t *body, struct fg_sampling *s, struct fg_http_error *e);
int fg_api_request_rules(const json_t *body, const struct fg_flow_info *info,
                         struct fg_api_request *out, struct fg_http_error *e);

/* form_json.c: the form that the answer is to have; `text` is the body's. What was read stays in
 * *out on failure. */
int fg_api_request_form(const json_t *body, struct fg_str text, struct fg_api_request *out,
                        struct fg_http_error *e);

/* chat_json.c: `messages`, `tools`, `tool_choice` and what is said to the chat template. `text` is
 * the body's. What was read stays in *out on failure, for fg_api_request_finish. */
int fg_api_request_chat(const json_t *body, struct fg_str text, struct fg_api_request *out,
                        struct fg_http_error *e);

#endif
