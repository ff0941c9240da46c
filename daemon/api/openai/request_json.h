/* OpenAI request bodies to fg_job_request. Every field that matters is checked, and a field that
 * fulgur knows but does not do is refused rather than ignored; unknown fields are ignored, since
 * clients send many. Pure; any thread. */
#ifndef FG_API_REQUEST_JSON_H
#define FG_API_REQUEST_JSON_H

#include <stdbool.h>
#include <jansson.h>

#include "http/errors.h"
#include "serve/job.h"

struct fg_api_request {
    struct fg_job_request job;
    bool chat;
    bool stream, include_usage, progress;
    bool tools; /* the answer's <tool_calls> become OpenAI tool calls */
};

/* Reads the body of /v1/chat/completions (chat) or /v1/completions into *out, which the caller ends
 * with fg_api_request_finish on success. FG_EINVAL with *e filled. */
int fg_api_request_parse(const json_t *body, bool chat, const struct fg_flow_info *info,
                         struct fg_api_request *out, struct fg_http_error *e);
void fg_api_request_finish(struct fg_api_request *r);

/* The `model` field: absent, the served name, or its file's base name; else a 404 in *e. */
int fg_api_request_model(const json_t *body, const struct fg_flow_info *info,
                         struct fg_http_error *e);
bool fg_api_model_matches(const char *name, const struct fg_flow_info *info);

/* An array of token ids of the model's vocabulary, the caller's (malloc; NULL when empty). `path`
 * is the field's name. */
int fg_api_request_tokens(const json_t *array, const char *path, const struct fg_flow_info *info,
                          int32_t **ids, size_t *n, struct fg_http_error *e);

/* chat_json.c: `messages`, `tools` and `tool_choice`. What was read stays in *out on failure, for
 * fg_api_request_finish. */
int fg_api_request_chat(const json_t *body, struct fg_api_request *out, struct fg_http_error *e);

#endif
