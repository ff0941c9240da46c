#include "fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "serve/sample.h"

static void *need(void *p)
{
    if (!p)
        abort();
    return p;
}

char *fixture_copy(const char *s)
{
    return need(strdup(s));
}

/* --- the model file --- */

static void put(FILE *f, const void *p, size_t n)
{
    if (fwrite(p, 1, n, f) != n)
        abort();
}

static void put_u32(FILE *f, uint32_t v)
{
    put(f, &v, sizeof v);
}

static void put_u64(FILE *f, uint64_t v)
{
    put(f, &v, sizeof v);
}

static void put_str(FILE *f, const char *s)
{
    put_u64(f, strlen(s));
    put(f, s, strlen(s));
}

enum { GGUF_U32 = 4, GGUF_I32 = 5, GGUF_STRING = 8, GGUF_ARRAY = 9 };

static void put_key(FILE *f, const char *key, uint32_t type)
{
    put_str(f, key);
    put_u32(f, type);
}

/* Byte b in GPT-2's alphabet of printable characters, as UTF-8. */
static void alphabet(int b, char out[3])
{
    int c = b, next = 256;

    for (int i = 0; i <= b; i++) {
        bool plain = (i >= 33 && i <= 126) || (i >= 161 && i <= 172) || i >= 174;

        c = plain ? i : next++;
    }
    if (c < 0x80) {
        out[0] = (char)c;
        out[1] = '\0';
    } else {
        out[0] = (char)(0xc0 | c >> 6);
        out[1] = (char)(0x80 | (c & 0x3f));
        out[2] = '\0';
    }
}

static void put_vocabulary(FILE *f)
{
    put_key(f, "tokenizer.ggml.tokens", GGUF_ARRAY);
    put_u32(f, GGUF_STRING);
    put_u64(f, FIXTURE_TOKENS);
    for (int b = 0; b < FIXTURE_BYTES; b++) {
        char text[3];

        alphabet(b, text);
        put_str(f, text);
    }
    put_str(f, "<|im_start|>");
    put_str(f, "<|im_end|>");
    put_str(f, "<think>");
    put_key(f, "tokenizer.ggml.token_type", GGUF_ARRAY);
    put_u32(f, GGUF_I32);
    put_u64(f, FIXTURE_TOKENS);
    for (int i = 0; i < FIXTURE_TOKENS; i++)
        put_u32(f, i < FIXTURE_BYTES ? 1 : i == FIXTURE_THINK ? 4 : 3);
    put_key(f, "tokenizer.ggml.merges", GGUF_ARRAY);
    put_u32(f, GGUF_STRING);
    put_u64(f, 0);
}

static char *write_model(const char *dir, const int32_t *suppressed, size_t n_suppressed)
{
    char path[512];
    FILE *f;

    snprintf(path, sizeof path, "%s/toy.gguf", dir);
    f = need(fopen(path, "wb"));
    put(f, "GGUF", 4);
    put_u32(f, 3);
    put_u64(f, 0);                  /* tensors */
    put_u64(f, suppressed ? 9 : 8); /* keys */
    if (suppressed) {
        put_key(f, "tokenizer.ggml.suppress_tokens", GGUF_ARRAY);
        put_u32(f, GGUF_I32);
        put_u64(f, n_suppressed);
        put(f, suppressed, n_suppressed * sizeof *suppressed);
    }
    put_key(f, "general.architecture", GGUF_STRING);
    put_str(f, "toy");
    put_key(f, "tokenizer.ggml.model", GGUF_STRING);
    put_str(f, "gpt2");
    put_key(f, "tokenizer.ggml.pre", GGUF_STRING);
    put_str(f, "gpt-2");
    put_vocabulary(f);
    put_key(f, "tokenizer.ggml.eos_token_id", GGUF_U32);
    put_u32(f, FIXTURE_END);
    put_key(f, "tokenizer.chat_template", GGUF_STRING);
    put_str(f, "{% for message in messages %}{{'<|im_start|>' + message['role'] + '\n' + "
               "message['content'] + '<|im_end|>' + '\n'}}{% endfor %}"
               "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}");
    if (fclose(f) != 0)
        abort();
    return fixture_copy(path);
}

char *fixture_model(const char *dir)
{
    return write_model(dir, NULL, 0);
}

char *fixture_model_suppressing(const char *dir, const int32_t *ids, size_t n)
{
    return write_model(dir, ids, n);
}

void fixture_home_init(struct fixture_home *h)
{
    char path[4096];

    h->dir = dir_make();
    h->model = fixture_model(h->dir);
    snprintf(path, sizeof path, "%s/cache", h->dir);
    h->cache = fixture_copy(path);
}

void fixture_home_finish(struct fixture_home *h)
{
    dir_remove(h->dir);
    free(h->model);
    free(h->cache);
}

void fixture_home_clear(const struct fixture_home *h)
{
    dir_clear(h->cache);
}

struct fg_flow *fixture_flow(const struct fg_flow_options *opt)
{
    struct fg_err err = {0};
    struct fg_flow *flow;

    if (fg_flow_create(opt, &flow, &err)) {
        fprintf(stderr, "%s\n", err.text);
        abort();
    }
    return flow;
}

/* --- jobs --- */

struct fg_job_request fixture_request(const int32_t *tokens, size_t n, int32_t max_tokens)
{
    struct fg_job_request req = {.kind = FG_PROMPT_TOKENS,
                                 .n_tokens = n,
                                 .max_tokens = max_tokens,
                                 .sampling = {.top_p = 1},
                                 .n_logprobs = 0,
                                 .cache = FG_CACHE_READ_WRITE};

    req.tokens = need(malloc(n * sizeof *tokens + 1));
    if (n)
        memcpy(req.tokens, tokens, n * sizeof *tokens);
    return req;
}

static void take_delta(struct reply *r, const struct fg_job_event *e)
{
    r->text = need(realloc(r->text, r->n_text + e->text_bytes + 1));
    memcpy(r->text + r->n_text, e->text, e->text_bytes);
    r->n_text += e->text_bytes;
    r->text[r->n_text] = '\0';
    for (size_t i = 0; i < e->n_tokens; i++) {
        r->tokens = need(realloc(r->tokens, (r->n_tokens + 1) * sizeof *r->tokens));
        r->logprobs = need(realloc(r->logprobs, (r->n_tokens + 1) * sizeof *r->logprobs));
        r->tokens[r->n_tokens] = e->tokens[i].chosen.token;
        r->logprobs[r->n_tokens++] = e->tokens[i].chosen.logprob;
    }
}

static _Atomic uint32_t ended_jobs;

static void sink(void *ctx, const struct fg_job_event *e)
{
    struct reply *r = ctx;

    pthread_mutex_lock(&r->lock);
    if (r->ended)
        abort(); /* the flow promised silence */
    switch (e->kind) {
    case FG_EVENT_BEGUN:
        if (r->begun)
            abort();
        r->begun = true;
        r->n_prompt = e->n_prompt;
        break;
    case FG_EVENT_PROMPT:
        r->prompt_logprobs = need(realloc(r->prompt_logprobs, (r->told_prompt + e->n_tokens) *
                                                                  sizeof *r->prompt_logprobs));
        for (size_t i = 0; i < e->n_tokens; i++)
            r->prompt_logprobs[r->told_prompt++] = e->tokens[i].chosen.logprob;
        break;
    case FG_EVENT_PROGRESS:
        if (e->done < r->last_done || e->done > e->total || e->reused > e->done)
            abort();
        r->progress++;
        r->last_done = e->done;
        r->last_reused = e->reused;
        break;
    case FG_EVENT_DELTA: take_delta(r, e); break;
    case FG_EVENT_DONE:
        r->finish = e->finish;
        r->account = e->account;
        r->ended = true;
        r->order = ++ended_jobs;
        break;
    case FG_EVENT_FAILED:
        r->error = e->error;
        r->ended = r->failed = true;
        break;
    }
    pthread_cond_broadcast(&r->change);
    pthread_mutex_unlock(&r->lock);
}

int reply_start(struct reply *r, struct fg_flow *flow, struct fg_job_request *req,
                struct fg_err *err)
{
    *r = (struct reply){0};
    pthread_mutex_init(&r->lock, NULL);
    pthread_cond_init(&r->change, NULL);
    r->text = need(calloc(1, 1));
    return fg_flow_submit(flow, req, sink, r, &r->job, err);
}

void reply_wait(struct reply *r)
{
    pthread_mutex_lock(&r->lock);
    while (!r->ended)
        pthread_cond_wait(&r->change, &r->lock);
    pthread_mutex_unlock(&r->lock);
    fg_job_release(r->job);
    r->job = NULL;
}

void reply_finish(struct reply *r)
{
    pthread_mutex_destroy(&r->lock);
    pthread_cond_destroy(&r->change);
    free(r->text);
    free(r->tokens);
    free(r->prompt_logprobs);
    free(r->logprobs);
}

uint32_t fixture_random(uint64_t *state)
{
    uint64_t at = (*state)++;

    return (uint32_t)(fg_sample_random(at >> 32, at & UINT32_MAX) >> 32);
}

void fixture_tokens(int32_t *tokens, uint32_t n, uint64_t seed)
{
    uint64_t rng = seed << 32;

    for (uint32_t i = 0; i < n; i++)
        tokens[i] = (int32_t)(fixture_random(&rng) % FIXTURE_BYTES);
}

struct fg_job_request fixture_seeded_request(uint64_t seed, uint32_t n, int32_t max_tokens)
{
    int32_t *tokens = need(malloc(n * sizeof *tokens + 1));
    struct fg_job_request req;

    fixture_tokens(tokens, n, seed);
    req = fixture_request(tokens, n, max_tokens);
    free(tokens);
    req.ignore_eos = true;
    return req;
}

struct fg_job_request fixture_random_request(uint32_t n, int32_t max_tokens)
{
    return fixture_seeded_request(n, n, max_tokens);
}

void reply_run(struct reply *r, struct fg_flow *flow, struct fg_job_request *req)
{
    if (reply_start(r, flow, req, NULL) || req->tokens) /* taken over */
        abort();
    reply_wait(r);
}
