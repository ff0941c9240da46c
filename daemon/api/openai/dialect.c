#include "dialect.h"

#include <stdlib.h>
#include <string.h>

#include "api/common/body.h"
#include "generate_json.h"
#include "http/json_in.h"
#include "request_json.h"
#include "text/tools/tool_schemas.h"
#include "writer.h"

static struct fg_writer *of(struct fg_request *answer)
{
    return (struct fg_writer *)answer;
}

static int make_echo(const struct fg_asking *a, const struct fg_job_request *job,
                     struct fg_writer_choice *c, struct fg_http_error *e)
{
    const struct fg_backend *b = &a->service->backend;
    struct fg_err err = {0};
    int rc;

    if (job->kind == FG_PROMPT_TOKENS) {
        rc = b->detokenize(b->ctx, job->tokens, job->n_tokens, &c->echo, &c->echo_bytes, &err);
        if (rc)
            fg_http_error_from(e, &err, false);
        return rc;
    }
    c->echo = malloc(job->text_bytes + 1);
    if (!c->echo)
        return fg_json_nomem(e);
    memcpy(c->echo, job->text, job->text_bytes);
    c->echo_bytes = job->text_bytes;
    return 0;
}

/* Text that a choice begins with; it counts as what is made of the body. */
static int read_echo(struct fg_writer *w, const struct fg_asking *a,
                     const struct fg_job_request *job, size_t i, struct fg_http_error *e)
{
    int rc = make_echo(a, job, &w->choices[i], e);

    return rc ? rc : fg_body_hold(a->body, &w->echoes, w->choices[i].echo_bytes, e);
}

static int parse(struct fg_writer *w, struct fg_asking *a, size_t i, struct fg_api_request *out,
                 struct fg_http_error *e)
{
    struct fg_api_choice which = {.text = fg_body_text(a->body),
                                  .chat = w->answer.chat,
                                  .ids = w->answer.bare ? "token_ids" : NULL,
                                  .cache = a->cache,
                                  .prompt = w->of_prompt ? i / w->of_prompt : 0,
                                  .number = w->of_prompt ? (uint32_t)(i % w->of_prompt) : 0};

    return fg_api_request_parse_choice(a->json, &which, &a->service->info, out, e);
}

static int read_more(struct fg_request *answer, struct fg_asking *a, size_t i,
                     struct fg_job_request *job, struct fg_http_error *e)
{
    struct fg_writer *w = of(answer);
    struct fg_api_request r;
    int rc = parse(w, a, i, &r, e);

    if (rc)
        return rc;
    *job = r.job;
    if (fg_answer_prompt_once(&w->answer))
        job->want_prompt = false;
    return r.echo ? read_echo(w, a, job, i, e) : 0;
}

/* Any thread. */
static void on_spoke(void *ctx, const char *id, struct fg_str text)
{
    const struct fg_writer *w = ctx;
    const struct fg_backend *b = &w->asking->service->backend;

    b->keep(b->ctx, w->asking->job, FG_DOCUMENT_CALL, id, text);
}

int fg_openai_form(const struct fg_asking *a, const struct fg_api_request *r,
                   struct fg_answer_form *form, struct fg_tool_schemas **schemas,
                   struct fg_http_error *e)
{
    *form = a->service->info.answer_form;
    if (r->reasoning_as_text)
        form->reasoning = FG_REASONING_NONE;
    if (!r->tools) {
        form->tools = FG_TOOLS_NONE;
        return 0;
    }
    *schemas =
        fg_tool_schemas_create((struct fg_str){r->job.tools_json, strlen(r->job.tools_json)});
    form->schemas = *schemas;
    return *schemas ? 0 : fg_json_nomem(e);
}

static void set_up(struct fg_writer *w, const struct fg_asking *a, const struct fg_api_request *r)
{
    w->asking = a;
    w->of_prompt = r->best_of;
    w->kept = r->n;
    /* Text with control tokens in it would not be read as such again. */
    w->spoke = r->job.cache == FG_CACHE_READ_WRITE && !r->job.show_control ? on_spoke : NULL;
    w->spoke_ctx = w;
    w->answer.stream = r->stream;
    w->answer.include_usage = r->include_usage;
    w->answer.n_logprobs = r->wants_logprobs ? r->job.n_logprobs : -1;
    w->answer.n_prompt_logprobs = r->n_prompt_logprobs;
    w->answer.ids = r->job.want_tokens;
    w->echoes_logprobs = r->echo && r->wants_logprobs;
}

/* The first answer, and how many more there are. */
static int read_first(struct fg_writer *w, struct fg_asking *a, struct fg_job_request *job,
                      struct fg_http_error *e)
{
    struct fg_api_request r;
    int rc = parse(w, a, 0, &r, e);

    if (rc)
        return rc;
    if (w->forecast) { /* of the first answer to the first prompt */
        r.job.mode = FG_MODE_FORECAST;
        r.stream = false;
        r.n = r.best_of = 1;
    } else {
        rc = fg_api_request_count(&r, a->body_bytes, &a->n, e);
    }
    *job = r.job;
    if (rc)
        return rc;
    a->stream = r.stream;
    set_up(w, a, &r);
    rc = fg_openai_form(a, &r, &w->form, &w->schemas, e);
    if (rc)
        return rc;
    if (fg_writer_init(w, a->n))
        return fg_json_nomem(e);
    return r.echo ? read_echo(w, a, job, 0, e) : 0;
}

static int read_text(struct fg_request *answer, struct fg_asking *a, struct fg_job_request *job,
                     struct fg_http_error *e)
{
    return read_first(of(answer), a, job, e);
}

static int read_chat(struct fg_request *answer, struct fg_asking *a, struct fg_job_request *job,
                     struct fg_http_error *e)
{
    of(answer)->answer.chat = true;
    return read_first(of(answer), a, job, e);
}

static int read_generate(struct fg_request *answer, struct fg_asking *a, struct fg_job_request *job,
                         struct fg_http_error *e)
{
    struct fg_writer *w = of(answer);
    int rc = fg_generate_body(&a->json, &w->answer.request_id, e);

    w->answer.bare = true;
    return rc ? rc : read_first(w, a, job, e);
}

static int read_explain(struct fg_request *answer, struct fg_asking *a, struct fg_job_request *job,
                        struct fg_http_error *e)
{
    of(answer)->answer.chat = json_object_get(a->json, "messages") != NULL;
    of(answer)->forecast = true;
    return read_first(of(answer), a, job, e);
}

int fg_openai_read_as_chat(struct fg_asking *a, struct fg_buffer *text, struct fg_api_request *out,
                           struct fg_http_error *e)
{
    int rc = fg_body_rewrite(a->body, text, &a->json, e);
    struct fg_api_choice which = {.chat = true, .cache = a->cache};

    if (rc)
        return rc;
    which.text = fg_body_text(a->body);
    return fg_api_request_parse_choice(a->json, &which, &a->service->info, out, e);
}

static int start(struct fg_request *answer, struct fg_asking *a, struct fg_http_error *e)
{
    if (fg_answer_init(&of(answer)->answer, &a->service->info))
        return fg_http_fail(e, 500, NULL, NULL, "no random id could be drawn");
    return 0;
}

static void begin(struct fg_request *answer)
{
    fg_writer_begin(of(answer));
}

static void keep_alive(struct fg_request *answer)
{
    fg_writer_keep_alive(of(answer));
}

static bool event(struct fg_request *answer, size_t i, const struct fg_job_event *e)
{
    struct fg_writer *w = of(answer);
    struct fg_writer_choice *c = &w->choices[i];
    bool ok = !c->echo || fg_writer_echo(w, c, c->echo, c->echo_bytes);

    if (c->echo && w->answer.stream) /* else the answer holds it */
        fg_hold_keep(&w->echoes, w->echoes.bytes - c->echo_bytes);
    free(c->echo);
    c->echo = NULL;
    if (e->kind != FG_EVENT_DONE)
        return fg_writer_event(w, c, e) && ok;
    fg_writer_done(w, c, e);
    return ok;
}

static void end(struct fg_request *answer)
{
    fg_writer_end_stream(of(answer));
}

static size_t size(const struct fg_request *answer)
{
    return fg_writer_bytes((const struct fg_writer *)answer);
}

static void build(struct fg_request *answer)
{
    fg_writer_build(of(answer));
}

static void send_whole(struct fg_request *answer)
{
    fg_writer_send(of(answer));
}

static void fail(struct fg_request *answer, const struct fg_http_error *e)
{
    fg_writer_fail(of(answer), e);
}

static void finish(struct fg_request *answer)
{
    fg_writer_finish(of(answer));
}

#define OPENAI(how)                                                                                \
    {                                                                                              \
        .bytes = sizeof(struct fg_writer), .read = how, .more = read_more, .start = start,         \
        .begin = begin, .keep_alive = keep_alive, .event = event, .end = end, .size = size,        \
        .build = build, .send = send_whole, .fail = fail, .finish = finish                         \
    }

const struct fg_dialect fg_openai_text = OPENAI(read_text);
const struct fg_dialect fg_openai_chat = OPENAI(read_chat);
const struct fg_dialect fg_openai_generate = OPENAI(read_generate);
const struct fg_dialect fg_openai_explain = OPENAI(read_explain);
