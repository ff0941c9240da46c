/* One chat with a scripted server, and what its callbacks saw. */
#ifndef FG_TEST_ASKING_H
#define FG_TEST_ASKING_H

#include <semaphore.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "fulgur/client.h"
#include "scripted_server.h"

#define SSE "text/event-stream"
#define OK "200 OK"
#define LENGTH(a) (sizeof(a) / sizeof((a)[0]))

#define CHUNK(choice) "data: {\"choices\":[" choice "]}\n\n"

/* A whole answer of a chat, and of a completion. */
#define CHAT_STREAM                                                                                \
    ": hello\n\n"                                                                                  \
    "data: {\"choices\":[],\"fulgur\":{\"progress\":{\"done\":64,\"total\":100,\"reused\":64}}}\n" \
    "\n"                                                                                           \
    "data: {\"choices\":[],\"fulgur\":{\"progress\":{\"done\":100,\"total\":100,\"reused\":64}}}"  \
    "\r\n\r\n"                                                                                     \
    "data: {\"model\":\"tiny\",\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\"}}]}\n"  \
    "\n"                                                                                           \
    "data: {\"choices\":[{\"delta\":{\"content\":\"d\xC3\xA9j\\u00e0\"},\"finish_reason\":null}]}" \
    "\n\n"                                                                                         \
    "data: {\"choices\":[{\"delta\":{\"content\":\" vu\\u0000!\"}}]}\n\n"                          \
    "data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"stop\"}],"                              \
    "\"fulgur\":{\"cache\":{\"reused_tokens\":64,\"recomputed_tokens\":36,\"source\":\"store\","   \
    "\"queue_ms\":0.5,\"restore_ms\":2,\"prefill_ms\":30.25,\"first_token_ms\":33,"                \
    "\"decode_ms\":10}}}\n\n"                                                                      \
    "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":100,\"completion_tokens\":5,"              \
    "\"total_tokens\":105}}\n\n"                                                                   \
    "data: [DONE]\n\n"
#define CHAT_TEXT "d\xC3\xA9j\xC3\xA0 vu\0!"

#define TEXT_STREAM                                                                                \
    "data: {\"choices\":[{\"text\":\"one\",\"finish_reason\":null}]}\n\n"                          \
    "data: {\"choices\":[{\"text\":\"\",\"finish_reason\":\"length\"}]}\n\n"                       \
    "data: [DONE]\n\n"

/* What a call's callbacks saw. */
struct seen {
    char text[256];
    size_t n, texts, progresses;
    struct fg_client_progress last;
    char tokens[256]; /* "text:logprob(top:logprob,...) ..." */
    size_t stop_at;   /* the piece of text whose callback ends the call; 0: none */
    struct fg_client *client;
    sem_t *posted; /* on the first text */
};

static inline int on_text(void *ctx, const char *text, size_t bytes)
{
    struct seen *s = ctx;
    assert_true(bytes > 0);
    assert_true(s->n + bytes < sizeof s->text);
    memcpy(s->text + s->n, text, bytes);
    s->n += bytes;
    if (++s->texts == 1 && s->posted) {
        sem_post(s->posted);
    }
    return s->texts == s->stop_at;
}

static inline int on_progress(void *ctx, const struct fg_client_progress *progress)
{
    struct seen *s = ctx;
    s->progresses++;
    s->last = *progress;
    return 0;
}

static inline int on_tokens(void *ctx, const struct fg_client_token *tokens, size_t n)
{
    struct seen *s = ctx;
    size_t at = strlen(s->tokens);

    for (size_t i = 0; i < n; i++) {
        at += (size_t)snprintf(s->tokens + at, sizeof s->tokens - at, "%.*s:%g(",
                               (int)tokens[i].chosen.bytes, tokens[i].chosen.text,
                               tokens[i].chosen.logprob);
        for (size_t k = 0; k < tokens[i].n_top; k++) {
            at += (size_t)snprintf(s->tokens + at, sizeof s->tokens - at, "%.*s:%g,",
                                   (int)tokens[i].top[k].bytes, tokens[i].top[k].text,
                                   tokens[i].top[k].logprob);
        }
        at += (size_t)snprintf(s->tokens + at, sizeof s->tokens - at, ") ");
    }
    return 0;
}

static inline struct fg_client *client_at(const char *path)
{
    struct fg_client_options options = {.socket_path = path, .idle_timeout_ms = 60000};
    struct fg_client *client;
    struct fg_err err;

    if (fg_client_create(&options, &client, &err) < 0) {
        fail_msg("%s", err.text);
    }
    return client;
}

static const struct fg_client_message question = {"user", "hi \xC3\xA9", 5, 0};

static inline void chat_request(struct fg_client_request *r)
{
    fg_client_request_init(r);
    r->messages = &question;
    r->n_messages = 1;
}

/* One chat against one script. */
static inline int ask(const struct script *script, struct seen *seen,
                      struct fg_client_result *result, struct fg_err *err,
                      struct scripted_server *server)
{
    struct fg_client_handler handler = {
        .on_text = on_text, .on_progress = on_progress, .on_tokens = on_tokens, .ctx = seen};
    struct fg_client_request request;

    scripted_server_start(server, script, 1);
    struct fg_client *client = client_at(server->path);
    chat_request(&request);
    request.logprobs = 2;
    int rc = fg_client_complete(client, &request, &handler, result, err);
    fg_client_destroy(client);
    scripted_server_stop(server);
    return rc;
}

static inline void check_chat(const struct seen *seen, const struct fg_client_result *r)
{
    assert_int_equal(seen->n, sizeof CHAT_TEXT - 1);
    assert_memory_equal(seen->text, CHAT_TEXT, sizeof CHAT_TEXT - 1);
    assert_int_equal(seen->texts, 2);
    assert_int_equal(seen->progresses, 2);
    assert_int_equal(seen->last.done, 100);
    assert_int_equal(seen->last.total, 100);
    assert_int_equal(seen->last.reused, 64);
    assert_int_equal(r->finish, FG_CLIENT_FINISH_STOP);
    assert_true(r->has_usage);
    assert_int_equal(r->prompt_tokens, 100);
    assert_int_equal(r->completion_tokens, 5);
    assert_true(r->has_account);
    assert_int_equal(r->account.reused_tokens, 64);
    assert_int_equal(r->account.recomputed_tokens, 36);
    assert_int_equal(r->account.source, FG_CLIENT_SOURCE_STORE);
    assert_true(r->account.queue_ms == 0.5);
    assert_true(r->account.restore_ms == 2);
    assert_true(r->account.prefill_ms == 30.25);
    assert_true(r->account.first_token_ms == 33);
    assert_true(r->account.decode_ms == 10);
    assert_string_equal(r->model, "tiny");
    assert_true(r->first_text_ms >= 0);
    assert_true(r->total_ms >= r->first_text_ms);
    assert_null(r->text);
}

#endif
