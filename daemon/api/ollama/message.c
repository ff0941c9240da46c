/* An answer of Ollama's as it is written: one object, or a stream with an object a line. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "api/common/block_answer.h"
#include "api/common/body.h"
#include "api/common/cache_json.h"
#include "api/openai/dialect.h"
#include "api/openai/request_json.h"
#include "base/clock.h"
#include "base/hex.h"
#include "base/json_scan.h"
#include "dialect.h"
#include "http/json_in.h"
#include "http/json_out.h"
#include "http/lossy.h"
#include "http/stream.h"
#include "request.h"

#define LINES "application/x-ndjson"

enum { SILENT_MS = 3000 /* then a stream says something */ };

struct message {
    struct fg_block_answer answer;
    bool chat;
    bool context; /* the ids of prompt and answer are told at the end */
    struct fg_ollama_request asked;
    double begun, sent;   /* fg_clock_ms(): the request, and what last went out */
    char *model;          /* as JSON */
    char nonce[17];       /* in the ids of calls */
    struct fg_buffer ids; /* int32_t */
    enum fg_finish_reason finish;
};

/* What one line says; empty where it says nothing of a kind. */
struct said {
    struct fg_str text, thinking;
    const struct fg_block *calls; /* the calls among these, [n_calls] */
    size_t n_calls;
    bool done;
};

static struct message *of(struct fg_request *answer)
{
    return (struct message *)answer;
}

/* --- the request --- */

/* Nothing is computed; its answer says that the model is there. */
static int read_load(struct fg_job_request *job, struct fg_http_error *e)
{
    fg_job_request_finish(job);
    *job = (struct fg_job_request){
        .kind = FG_PROMPT_TOKENS, .mode = FG_MODE_FORECAST, .n_logprobs = -1};
    job->sampling.top_p = 1;
    job->tokens = calloc(1, sizeof *job->tokens);
    job->n_tokens = 1;
    return job->tokens ? 0 : fg_json_nomem(e);
}

/* The ids of what was said before, and then those of this prompt. */
static int join(const struct fg_asking *a, int32_t *before, size_t n_before,
                struct fg_job_request *job, struct fg_http_error *e)
{
    const struct fg_backend *b = &a->service->backend;
    const struct fg_tokenize_request request = {.chat = job};
    struct fg_err err = {0};
    int32_t *ids = NULL, *all;
    size_t n = 0;

    job->tenant = *a->tenant;
    if (b->tokenize(b->ctx, &request, &ids, &n, &err)) {
        fg_http_error_from(e, &err, false);
        return FG_EINVAL;
    }
    all = realloc(ids, (n_before + n + 1) * sizeof *ids);
    if (!all) {
        free(ids);
        return fg_json_nomem(e);
    }
    memmove(all + n_before, all, n * sizeof *all);
    if (n_before)
        memcpy(all, before, n_before * sizeof *all);
    job->kind = FG_PROMPT_TOKENS;
    job->tokens = all;
    job->n_tokens = n_before + n;
    return 0;
}

/* FG_EINVAL with *e filled. */
static int read_context(const struct fg_asking *a, int32_t **ids, size_t *n,
                        struct fg_http_error *e)
{
    const json_t *context = fg_json_field(a->json, "context");
    char found[64];

    if (!context)
        return 0;
    if (!json_is_array(context))
        return fg_http_fail(e, 400, "context", NULL,
                            "context: found %s, it must be an array of token ids",
                            fg_json_found(context, found));
    return fg_api_request_tokens(context, "context", &a->service->info, ids, n, e);
}

static int read_completion(struct message *m, struct fg_asking *a, struct fg_api_request *r,
                           struct fg_http_error *e)
{
    const struct fg_flow_info *info = &a->service->info;
    struct fg_str body = fg_body_text(a->body);
    struct fg_api_choice which = {.chat = !m->asked.raw, .cache = a->cache};
    struct fg_buffer text = {0};
    int rc = m->chat ? fg_ollama_read_chat(body, a->json, info, &m->asked, &text, e)
                     : fg_ollama_read(body, a->json, info, &m->asked, &text, e);

    if (rc) {
        fg_buffer_finish(&text);
        return rc;
    }
    which.chat = !m->asked.raw;
    if (m->asked.load && m->chat) { /* there is nothing to read but the model's name */
        fg_buffer_finish(&text);
        *r = (struct fg_api_request){.chat = true};
        return 0;
    }
    rc = fg_body_rewrite(a->body, &text, &a->json, e);
    if (rc)
        return rc;
    which.text = fg_body_text(a->body);
    return fg_api_request_parse_choice(a->json, &which, info, r, e);
}

static int read_request(struct message *m, struct fg_asking *a, struct fg_job_request *job,
                        struct fg_http_error *e)
{
    struct fg_api_request r;
    int32_t *before = NULL;
    size_t n_before = 0;
    int rc = m->chat ? 0 : read_context(a, &before, &n_before, e);

    m->begun = fg_clock_ms();
    if (rc == 0)
        rc = read_completion(m, a, &r, e);
    if (rc) {
        free(before);
        return rc;
    }
    *job = r.job;
    if (!m->asked.load && !m->asked.raw) /* a raw answer is text */
        rc = fg_openai_form(a, &r, &m->answer.form, &m->answer.schemas, e);
    fg_block_answer_read(&m->answer, a, job, r.stream);
    m->context = !m->chat && !m->asked.raw && !m->asked.load;
    job->want_tokens = m->context;
    if (m->asked.load)
        rc = read_load(job, e);
    else if (rc == 0 && n_before)
        rc = join(a, before, n_before, job, e);
    free(before);
    return rc;
}

static int read_chat(struct fg_request *answer, struct fg_asking *a, struct fg_job_request *job,
                     struct fg_http_error *e)
{
    of(answer)->chat = true;
    return read_request(of(answer), a, job, e);
}

static int read_generate(struct fg_request *answer, struct fg_asking *a, struct fg_job_request *job,
                         struct fg_http_error *e)
{
    return read_request(of(answer), a, job, e);
}

/* --- lines --- */

static void add_now(struct fg_buffer *out)
{
    struct timespec now;
    struct tm tm;
    char seconds[32], text[64];

    if (clock_gettime(CLOCK_REALTIME, &now) || !gmtime_r(&now.tv_sec, &tm))
        return;
    strftime(seconds, sizeof seconds, "%Y-%m-%dT%H:%M:%S", &tm);
    snprintf(text, sizeof text, "\"%s.%09ldZ\"", seconds, now.tv_nsec);
    fg_buffer_str(out, text);
}

static void add_text(struct fg_buffer *out, const char *name, struct fg_str text)
{
    fg_buffer_str(out, name);
    fg_scan_quote(text, out);
}

static void add_calls(struct fg_buffer *out, const struct said *said)
{
    size_t n = 0;

    for (size_t i = 0; i < said->n_calls; i++) {
        const struct fg_block *b = &said->calls[i];

        if (b->kind != FG_BLOCK_CALL)
            continue;
        fg_buffer_str(out, n++ ? ",{\"id\":" : ",\"tool_calls\":[{\"id\":");
        fg_scan_quote((struct fg_str){b->id, strlen(b->id)}, out);
        add_text(out, ",\"function\":{\"name\":", fg_block_text(&b->name));
        fg_buffer_str(out, ",\"arguments\":");
        fg_buffer_view(out, fg_block_text(&b->text));
        fg_buffer_str(out, "}}");
    }
    if (n)
        fg_buffer_str(out, "]");
}

static uint64_t nanoseconds(double ms)
{
    return ms > 0 ? (uint64_t)(ms * 1e6) : 0;
}

static void add_ids(struct fg_buffer *out, const struct fg_buffer *ids)
{
    char digits[16];

    fg_buffer_str(out, ",\"context\":[");
    for (size_t i = 0; i < ids->n / sizeof(int32_t); i++) {
        int32_t id;

        memcpy(&id, ids->p + i * sizeof id, sizeof id);
        snprintf(digits, sizeof digits, i ? ",%d" : "%d", (int)id);
        fg_buffer_str(out, digits);
    }
    fg_buffer_str(out, "]");
}

/* What it cost. */
static void add_end(struct fg_buffer *out, const struct message *m)
{
    const struct fg_job_account *a = &m->answer.account;
    const char *reason = m->asked.load ? "load" : m->finish == FG_FINISH_LENGTH ? "length" : "stop";
    json_t *fulgur = m->asked.load ? NULL : fg_cache_json(a);
    char *cache = fg_json_dump(fulgur);
    char text[384];

    json_decref(fulgur);
    if (m->asked.load) {
        fg_buffer_str(out, ",\"done_reason\":\"load\"");
        return;
    }
    snprintf(text, sizeof text,
             ",\"done_reason\":\"%s\",\"total_duration\":%llu,\"load_duration\":0,"
             "\"prompt_eval_count\":%u,\"prompt_eval_duration\":%llu,\"eval_count\":%u,"
             "\"eval_duration\":%llu",
             reason, (unsigned long long)nanoseconds(fg_clock_ms() - m->begun), a->prompt_tokens,
             (unsigned long long)nanoseconds(a->restore_ms + a->prefill_ms), a->completion_tokens,
             (unsigned long long)nanoseconds(a->decode_ms));
    fg_buffer_str(out, text);
    if (m->context)
        add_ids(out, &m->ids);
    fg_buffer_str(out, ",\"fulgur\":");
    if (cache)
        fg_buffer_str(out, cache);
    out->failed = out->failed || !cache;
    free(cache);
}

/* NULL: out of memory. */
static char *line_of(const struct message *m, const struct said *said)
{
    struct fg_buffer out = {0};

    fg_buffer_str(&out, "{\"model\":");
    fg_buffer_str(&out, m->model);
    fg_buffer_str(&out, ",\"created_at\":");
    add_now(&out);
    add_text(&out, m->chat ? ",\"message\":{\"role\":\"assistant\",\"content\":" : ",\"response\":",
             said->text);
    if (said->thinking.n)
        add_text(&out, ",\"thinking\":", said->thinking);
    if (m->chat) {
        add_calls(&out, said);
        fg_buffer_str(&out, "}");
    }
    fg_buffer_str(&out, said->done ? ",\"done\":true" : ",\"done\":false");
    if (said->done)
        add_end(&out, m);
    fg_buffer_add(&out, "}", sizeof "}");
    if (!out.failed)
        return out.p;
    fg_buffer_finish(&out);
    return NULL;
}

static void fail(struct fg_request *answer, const struct fg_http_error *e)
{
    char *data;

    if (!answer->ev)
        return;
    if (!answer->started) {
        fg_reply_error(answer, e);
        return;
    }
    data = fg_request_error(answer, e);
    if (data)
        fg_stream_line(answer, data);
    free(data);
    if (answer->ev)
        fg_stream_end(answer);
}

static void nomem(struct message *m)
{
    struct fg_http_error e;

    fg_json_nomem(&e);
    fail(&m->answer.request, &e);
}

static void begin(struct fg_request *answer)
{
    struct message *m = of(answer);

    if (!answer->ev || !m->answer.stream || answer->started)
        return;
    fg_stream_start(answer, LINES);
    m->sent = fg_clock_ms();
}

static void send_line(struct message *m, const struct said *said)
{
    char *line = line_of(m, said);

    begin(&m->answer.request);
    if (m->answer.request.ev && line)
        fg_stream_line(&m->answer.request, line);
    else if (m->answer.request.ev)
        nomem(m);
    free(line);
    m->sent = fg_clock_ms();
}

/* There are no comments: a line that says nothing. */
static void keep_alive(struct fg_request *answer)
{
    struct message *m = of(answer);

    if (answer->ev && answer->started && fg_clock_ms() - m->sent >= SILENT_MS)
        send_line(m, &(struct said){.text = {"", 0}, .thinking = {"", 0}});
}

static void on_block(void *ctx, size_t index, enum fg_block_step step, struct fg_str more)
{
    struct message *m = ctx;
    const struct fg_block *b = &m->answer.blocks.list[index];
    struct said said = {.text = {"", 0}, .thinking = {"", 0}};
    struct fg_str arguments;

    if (!m->answer.request.ev)
        return;
    if (b->kind == FG_BLOCK_CALL && step == FG_BLOCK_ENDS) {
        /* What was cut or is malformed is no object, and goes out as what the model wrote. */
        if (fg_scan_whole(fg_block_text(&b->text), &arguments)) {
            said.calls = b;
            said.n_calls = 1;
        } else {
            said.text = fg_block_text(&b->text);
        }
    } else if (b->kind != FG_BLOCK_CALL && step == FG_BLOCK_GROWS && more.n) {
        *(b->kind == FG_BLOCK_TEXT ? &said.text : &said.thinking) = more;
    } else {
        return;
    }
    send_line(m, &said);
}

/* --- the job --- */

static int start(struct fg_request *answer, struct fg_asking *a, struct fg_http_error *e)
{
    struct message *m = of(answer);
    json_t *name = fg_json_string(a->service->info.model_name);

    m->model = name ? json_dumps(name, JSON_ENCODE_ANY) : NULL;
    json_decref(name);
    if (!m->model)
        return fg_json_nomem(e);
    if (!fg_hex_random(sizeof m->nonce / 2, m->nonce))
        return fg_http_fail(e, 500, NULL, NULL, "no random id could be drawn");
    fg_block_answer_start(&m->answer, m->nonce, on_block, m);
    return 0;
}

static void done(struct message *m, const struct fg_job_event *e)
{
    m->finish = e->finish;
    if (m->asked.load)
        m->answer.account = e->account;
    else
        (void)fg_block_answer_done(&m->answer, e);
}

static void take_ids(struct message *m, const struct fg_job_event *e)
{
    if (!m->context)
        return;
    fg_buffer_add(&m->ids, e->prompt, e->n_prompt * sizeof *e->prompt);
    for (size_t i = 0; i < e->n_tokens; i++)
        fg_buffer_add(&m->ids, &e->tokens[i].chosen.token, sizeof e->tokens[i].chosen.token);
}

static bool event(struct fg_request *answer, size_t i, const struct fg_job_event *e)
{
    struct message *m = of(answer);

    (void)i;
    if (!answer->ev)
        return true;
    switch (e->kind) {
    case FG_EVENT_BEGUN:
        begin(answer);
        fg_blocks_start(&m->answer.blocks, e->start);
        take_ids(m, e);
        break;
    case FG_EVENT_DELTA:
        take_ids(m, e);
        fg_blocks_push(&m->answer.blocks, (struct fg_str){e->text, e->text_bytes});
        break;
    case FG_EVENT_DONE: done(m, e); break;
    case FG_EVENT_PROGRESS:
    case FG_EVENT_PROMPT:
    case FG_EVENT_FAILED: break;
    }
    if (!m->answer.blocks.failed && !m->ids.failed)
        return true;
    if (answer->ev)
        nomem(m);
    return false;
}

static void end(struct fg_request *answer)
{
    send_line(of(answer), &(struct said){.text = {"", 0}, .thinking = {"", 0}, .done = true});
    if (answer->ev)
        fg_stream_end(answer);
}

static void build(struct fg_request *answer)
{
    struct message *m = of(answer);
    struct said said = {.text = {"", 0}, .thinking = {"", 0}, .done = true};
    struct fg_buffer text = {0}, thinking = {0};

    for (size_t i = 0; i < m->answer.blocks.n; i++) {
        const struct fg_block *b = &m->answer.blocks.list[i];

        if (b->kind != FG_BLOCK_CALL)
            fg_buffer_view(b->kind == FG_BLOCK_TEXT ? &text : &thinking, fg_block_text(&b->text));
    }
    if (text.n)
        said.text = (struct fg_str){text.p, text.n};
    if (thinking.n)
        said.thinking = (struct fg_str){thinking.p, thinking.n};
    said.calls = m->answer.blocks.list;
    said.n_calls = m->answer.blocks.n;
    if (!text.failed && !thinking.failed)
        m->answer.body = line_of(m, &said);
    fg_buffer_finish(&text);
    fg_buffer_finish(&thinking);
}

static void finish(struct fg_request *answer)
{
    struct message *m = of(answer);

    free(m->model);
    fg_buffer_finish(&m->ids);
    fg_block_answer_finish(answer);
}

#define OLLAMA(how)                                                                                \
    {                                                                                              \
        .bytes = sizeof(struct message), .read = how, .start = start, .begin = begin,              \
        .keep_alive = keep_alive, .event = event, .end = end, .size = fg_block_answer_size,        \
        .build = build, .send = fg_block_answer_send, .fail = fail, .finish = finish               \
    }

const struct fg_dialect fg_ollama_chat = OLLAMA(read_chat);
const struct fg_dialect fg_ollama_generate = OLLAMA(read_generate);
