#include "writer.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/common/cache_json.h"
#include "base/clock.h"
#include "http/json_in.h"
#include "http/json_out.h"
#include "http/stream.h"
#include "text/tools/tool_calls.h"
#include "text/tools/tool_schemas.h"

enum {
    SILENT_MS = 3000, /* then a stream gets a comment */
    PREFIX = 48,      /* of the ids of an answer's calls */
};

int fg_writer_init(struct fg_writer *w, size_t n)
{
    w->choices = calloc(n, sizeof *w->choices);
    if (!w->choices)
        return FG_ENOMEM;
    w->n_choices = n;
    for (size_t i = 0; i < n; i++)
        w->choices[i].index = (uint32_t)i;
    return 0;
}

void fg_writer_finish(struct fg_writer *w)
{
    for (size_t i = 0; i < w->n_choices; i++) {
        struct fg_writer_choice *c = &w->choices[i];

        json_decref(c->logprobs);
        json_decref(c->ids);
        json_decref(c->prompt_ids);
        json_decref(c->prompt_logprobs);
        fg_buffer_finish(&c->text);
        free(c->echo);
        fg_answer_parts_destroy(c->parts);
        free(c->first_call);
    }
    fg_tool_schemas_destroy(w->schemas);
    fg_hold_release(&w->echoes);
    free(w->choices);
    free(w->answer.request_id);
    free(w->body);
}

void fg_writer_fail(struct fg_writer *w, const struct fg_http_error *e)
{
    json_t *root;
    char *data;

    if (!w->request.ev)
        return;
    if (!w->request.started) {
        fg_reply_error(&w->request, e);
        return;
    }
    root = fg_http_error_json(e);
    data = fg_json_dump(root);
    json_decref(root);
    if (data)
        fg_stream_event(&w->request, data);
    free(data);
    if (w->request.ev)
        fg_stream_end(&w->request);
}

bool fg_writer_nomem(struct fg_writer *w)
{
    struct fg_http_error e;

    fg_json_nomem(&e);
    fg_writer_fail(w, &e);
    return false;
}

void fg_writer_begin(struct fg_writer *w)
{
    if (!w->request.ev || !w->answer.stream || w->request.started)
        return;
    fg_stream_start(&w->request, FG_STREAM_EVENTS);
    w->sent = fg_clock_ms();
}

void fg_writer_keep_alive(struct fg_writer *w)
{
    if (!w->request.ev || !w->request.started || fg_clock_ms() - w->sent < SILENT_MS)
        return;
    fg_stream_comment(&w->request);
    w->sent = fg_clock_ms();
}

/* Takes over `chunk`. False: memory ran out. */
static bool send_chunk(struct fg_writer *w, json_t *chunk)
{
    char *data = fg_json_dump(chunk);
    bool ok = data != NULL;

    json_decref(chunk);
    if (w->request.ev && data)
        fg_stream_event(&w->request, data);
    else if (w->request.ev)
        fg_writer_nomem(w);
    free(data);
    w->sent = fg_clock_ms();
    return ok;
}

/* Sends a piece, unless there is nothing in it; the first of a chat's choice says its role. */
static bool send_piece(struct fg_writer *w, struct fg_writer_choice *c,
                       struct fg_answer_piece *piece)
{
    piece->index = c->index;
    if (!piece->text.p)
        piece->text.p = "";
    if (w->answer.chat && !c->role_sent) {
        struct fg_answer_piece role = {
            .index = c->index, .text = {"", 0}, .role = true, .prompt_ids = piece->prompt_ids};

        c->role_sent = true;
        piece->prompt_ids = NULL;
        if (!send_chunk(w, fg_answer_chunk(&w->answer, &role)))
            return false;
    }
    if (w->answer.bare) /* its tokens alone */
        piece->text.n = 0;
    if (!w->request.ev ||
        (!piece->text.n && !piece->event && !piece->logprobs && !piece->ids && !piece->prompt_ids))
        return true;
    return send_chunk(w, fg_answer_chunk(&w->answer, piece));
}

static bool keep_text(struct fg_writer_choice *c, const char *text, size_t n)
{
    fg_buffer_add(&c->text, text, n);
    return !c->text.failed;
}

/* --- a chat's parts --- */

/* What a chat's parts are sent with. */
struct telling {
    struct fg_writer *w;
    struct fg_writer_choice *c;
    struct fg_answer_piece *piece; /* what else goes with the first of them */
    bool ok;
};

static void on_part(void *ctx, const struct fg_answer_event *e)
{
    struct telling *t = *(struct telling **)ctx;
    struct fg_answer_piece *piece = t->piece;

    if (e->part == FG_ANSWER_CALL_END || !t->ok || !t->w->request.ev)
        return;
    if (e->part == FG_ANSWER_CALL && !t->c->first_call) {
        t->c->first_call = strdup(e->id);
        t->ok = t->c->first_call || fg_writer_nomem(t->w);
    }
    piece->text = e->text;
    piece->event = e;
    t->ok = t->ok && send_piece(t->w, t->c, piece);
    *piece = (struct fg_answer_piece){.text = {"", 0}};
}

static void call_prefix(const struct fg_writer *w, const struct fg_writer_choice *c,
                        char out[PREFIX])
{
    snprintf(out, PREFIX, c->index ? "%s_%u" : "%s", w->answer.nonce, c->index);
}

static bool begin_parts(struct fg_writer *w, struct fg_writer_choice *c)
{
    char prefix[PREFIX];

    if (c->parts)
        return true;
    call_prefix(w, c, prefix);
    c->parts = fg_answer_parts_create(&w->form, prefix, on_part, &c->telling);
    if (c->parts)
        fg_answer_parts_start(c->parts, c->start);
    return c->parts != NULL;
}

/* Sends what comes of more text, or of the end (text.p NULL), and what goes with it. */
static bool tell_parts(struct fg_writer *w, struct fg_writer_choice *c, struct fg_str text,
                       struct fg_answer_piece *piece)
{
    struct telling t = {.w = w, .c = c, .piece = piece, .ok = true};

    if (!begin_parts(w, c))
        return fg_writer_nomem(w);
    c->telling = &t;
    if (text.p)
        fg_answer_parts_push(c->parts, text);
    else
        fg_answer_parts_end(c->parts);
    c->telling = NULL;
    if (t.ok && fg_answer_parts_nomem(c->parts))
        return fg_writer_nomem(w);
    return t.ok && send_piece(w, c, piece);
}

static bool stream_delta(struct fg_writer *w, struct fg_writer_choice *c,
                         const struct fg_job_event *e, struct fg_answer_piece *piece)
{
    struct fg_str text = {e->text ? e->text : "", e->text_bytes};

    fg_writer_begin(w);
    if (w->answer.chat) {
        if (w->spoke && w->form.tools != FG_TOOLS_NONE && !keep_text(c, text.p, text.n))
            return fg_writer_nomem(w);
        return tell_parts(w, c, text, piece);
    }
    piece->text = text;
    return send_piece(w, c, piece);
}

/* Adds the members of `more` (or NULL) to *list. False: out of memory. */
static bool extend(json_t **list, json_t *more)
{
    if (more && *list)
        return json_array_extend(*list, more) == 0;
    if (!*list)
        *list = json_incref(more);
    return true;
}

/* Of an answer in one piece. */
static bool keep_delta(struct fg_writer *w, struct fg_writer_choice *c,
                       const struct fg_job_event *e, const struct fg_answer_piece *piece)
{
    if (!keep_text(c, e->text, e->text_bytes) || !extend(&c->ids, piece->ids) ||
        (c->logprobs && piece->logprobs && fg_answer_logprobs_extend(c->logprobs, piece->logprobs)))
        return fg_writer_nomem(w);
    if (!c->logprobs)
        c->logprobs = json_incref(piece->logprobs);
    c->n_logprobs += piece->logprobs ? e->n_tokens : 0;
    return true;
}

static json_t *delta_ids(const struct fg_job_event *e)
{
    json_t *list = json_array();

    for (size_t i = 0; list && i < e->n_tokens; i++)
        if (json_array_append_new(list, json_integer(e->tokens[i].chosen.token)) < 0) {
            json_decref(list);
            list = NULL;
        }
    return list;
}

/* Of an echo, which tells as much of the prompt as of the answer. */
static json_t *echo_logprobs(struct fg_writer *w, struct fg_writer_choice *c,
                             const struct fg_job_event *e)
{
    struct fg_job_token token;
    json_t *all = fg_answer_logprobs(&w->answer, NULL, 0, &c->text_offset), *one;

    for (size_t i = 0; all && i < e->n_tokens; i++) {
        token = e->tokens[i];
        if (token.n_top > (uint32_t)w->answer.n_logprobs)
            token.n_top = (uint32_t)w->answer.n_logprobs;
        one = fg_answer_logprobs(&w->answer, &token, 1, &c->text_offset);
        if (!one || fg_answer_logprobs_extend(all, one)) {
            json_decref(all);
            all = NULL;
        }
        json_decref(one);
    }
    return all;
}

static bool keep_prompt_logprobs(struct fg_writer *w, struct fg_writer_choice *c,
                                 const struct fg_job_event *e)
{
    if (!c->prompt_logprobs)
        c->prompt_logprobs = json_array();
    for (size_t i = 0; i < e->n_tokens; i++) {
        bool first = !json_array_size(c->prompt_logprobs);
        json_t *entry = fg_answer_prompt_logprob(&w->answer, &e->tokens[i], first);

        if (json_array_append_new(c->prompt_logprobs, entry) < 0)
            return fg_writer_nomem(w);
    }
    c->n_logprobs += e->n_tokens;
    return true;
}

/* PROMPT. */
static bool take_prompt(struct fg_writer *w, struct fg_writer_choice *c,
                        const struct fg_job_event *e)
{
    struct fg_answer_piece piece = {0};
    bool ok;

    if (w->answer.n_prompt_logprobs >= 0 && !keep_prompt_logprobs(w, c, e))
        return false;
    if (!w->echoes_logprobs)
        return true;
    piece.logprobs = echo_logprobs(w, c, e);
    if (!piece.logprobs)
        return fg_writer_nomem(w);
    ok = w->answer.stream ? stream_delta(w, c, e, &piece) : keep_delta(w, c, e, &piece);
    json_decref(piece.logprobs);
    return ok;
}

/* DELTA. */
static bool take_tokens(struct fg_writer *w, struct fg_writer_choice *c,
                        const struct fg_job_event *e)
{
    struct fg_answer_piece piece = {0};
    bool ok = true;

    for (size_t i = 0; i < e->n_tokens; i++)
        c->likelihood += (double)e->tokens[i].chosen.logprob;
    if (w->answer.n_logprobs >= 0 && e->n_tokens) {
        piece.logprobs = fg_answer_logprobs(&w->answer, e->tokens, e->n_tokens, &c->text_offset);
        ok = piece.logprobs != NULL;
    }
    if (w->answer.ids && e->n_tokens) {
        piece.ids = delta_ids(e);
        ok = ok && piece.ids;
    }
    if (!ok)
        fg_writer_nomem(w);
    else
        ok = w->answer.stream ? stream_delta(w, c, e, &piece) : keep_delta(w, c, e, &piece);
    json_decref(piece.logprobs);
    json_decref(piece.ids);
    return ok;
}

static bool take_begun(struct fg_writer *w, struct fg_writer_choice *c,
                       const struct fg_job_event *e)
{
    fg_writer_begin(w);
    c->start = e->start;
    if (!w->answer.ids || w->answer.bare)
        return true;
    c->prompt_ids = json_array();
    for (size_t i = 0; i < e->n_prompt; i++)
        if (json_array_append_new(c->prompt_ids, json_integer(e->prompt[i])) < 0)
            return fg_writer_nomem(w);
    if (!w->answer.stream)
        return c->prompt_ids || fg_writer_nomem(w);
    return send_piece(w, c, &(struct fg_answer_piece){.prompt_ids = c->prompt_ids});
}

static bool take_progress(struct fg_writer *w, struct fg_writer_choice *c,
                          const struct fg_job_event *e)
{
    uint64_t done = 0, total = 0, reused = 0;

    c->done = e->done;
    c->total = e->total;
    c->reused = e->reused;
    for (size_t i = 0; i < w->n_choices; i++) {
        done += w->choices[i].done;
        total += w->choices[i].total;
        reused += w->choices[i].reused;
    }
    fg_writer_begin(w);
    return send_chunk(w, fg_answer_chunk_progress(&w->answer, done, total, reused));
}

bool fg_writer_echo(struct fg_writer *w, struct fg_writer_choice *c, const char *text, size_t n)
{
    if (!w->request.ev)
        return true;
    if (!w->answer.stream)
        return keep_text(c, text, n) || fg_writer_nomem(w);
    fg_writer_begin(w);
    return send_piece(w, c, &(struct fg_answer_piece){.text = {text, n}});
}

bool fg_writer_event(struct fg_writer *w, struct fg_writer_choice *c, const struct fg_job_event *e)
{
    if (!w->request.ev)
        return true;
    switch (e->kind) {
    case FG_EVENT_BEGUN: return take_begun(w, c, e);
    case FG_EVENT_PROGRESS: return take_progress(w, c, e);
    case FG_EVENT_PROMPT: return take_prompt(w, c, e);
    case FG_EVENT_DELTA: return take_tokens(w, c, e);
    case FG_EVENT_DONE:
    case FG_EVENT_FAILED: break;
    }
    return true;
}

/* The parts of a whole answer; one with a malformed call has none. False: out of memory. */
static bool read_parts(const struct fg_writer *w, const struct fg_writer_choice *c,
                       struct fg_tool_answer *out)
{
    struct fg_str text = {c->text.p ? c->text.p : "", c->text.n};
    struct fg_answer_form form = w->form;
    char prefix[PREFIX];

    call_prefix(w, c, prefix);
    if (!fg_tool_answer_read(out, &form, c->start, text, prefix))
        return false;
    if (!out->malformed)
        return true;
    fg_tool_answer_finish(out);
    form.tools = FG_TOOLS_NONE;
    return fg_tool_answer_read(out, &form, c->start, text, prefix);
}

static void end_choice(struct fg_writer *w, struct fg_writer_choice *c)
{
    struct fg_answer_choice done = {.index = c->index, .finish = c->finish};
    struct fg_answer_piece rest = {.text = {"", 0}};
    bool called;

    fg_writer_begin(w);
    if (w->answer.chat ? !tell_parts(w, c, (struct fg_str){NULL, 0}, &rest)
                       : !send_piece(w, c, &rest))
        return;
    called = c->first_call && !fg_answer_parts_failed(c->parts);
    if (called && w->spoke)
        w->spoke(w->spoke_ctx, c->first_call, (struct fg_str){c->text.p, c->text.n});
    done.called = called;
    if (w->request.ev)
        send_chunk(w, fg_answer_chunk_finish(&w->answer, &done, &c->account));
}

void fg_writer_done(struct fg_writer *w, struct fg_writer_choice *c, const struct fg_job_event *e)
{
    c->finish = e->finish;
    c->account = e->account;
    if (w->request.ev && w->answer.stream)
        end_choice(w, c);
}

/* A prompt counts once, however many answers it has. */
static struct fg_answer_cost cost_of(const struct fg_writer *w)
{
    struct fg_answer_cost cost = {.account = &w->choices[0].account};

    for (size_t i = 0; i < w->n_choices; i++) {
        const struct fg_job_account *a = &w->choices[i].account;

        cost.completion_tokens += a->completion_tokens;
        cost.reasoning_tokens += a->reasoning_tokens;
        if (i % w->of_prompt == 0) {
            cost.prompt_tokens += a->prompt_tokens;
            cost.cached_tokens += a->reused_tokens;
            cost.written_tokens += a->written_tokens;
        }
    }
    return cost;
}

void fg_writer_end_stream(struct fg_writer *w)
{
    struct fg_answer_cost cost = cost_of(w);

    if (w->request.ev && w->answer.include_usage)
        send_chunk(w, fg_answer_chunk_usage(&w->answer, &cost));
    if (w->request.ev)
        fg_stream_event(&w->request, "[DONE]");
    if (w->request.ev)
        fg_stream_end(&w->request);
}

/* Log-probability of a token of it, in the mean. */
static double merit(const struct fg_writer_choice *c)
{
    return c->account.completion_tokens ? c->likelihood / c->account.completion_tokens : -INFINITY;
}

static int by_merit(const void *a, const void *b)
{
    double x = merit(a), y = merit(b);

    return x == y ? 0 : x > y ? -1 : 1;
}

/* Appends what is told of one choice. False: out of memory. */
static bool add_choice(struct fg_writer *w, struct fg_writer_choice *c, json_t *list)
{
    struct fg_answer_choice done = {.index = (uint32_t)json_array_size(list),
                                    .text = {c->text.p ? c->text.p : "", c->text.n},
                                    .finish = c->finish};
    struct fg_tool_answer parts = {.calls = NULL};
    bool ok = !w->answer.chat || read_parts(w, c, &parts);

    if (!c->logprobs && w->answer.n_logprobs >= 0) /* of an empty answer */
        c->logprobs = fg_answer_logprobs(&w->answer, NULL, 0, &c->text_offset);
    if (!c->ids && w->answer.ids)
        c->ids = json_array();
    done.logprobs = c->logprobs;
    done.ids = c->ids;
    done.prompt_ids = c->prompt_ids;
    done.prompt_logprobs = c->prompt_logprobs;
    if (w->answer.chat) {
        done.text = (struct fg_str){parts.text.p ? parts.text.p : "", parts.text.n};
        done.reasoning = (struct fg_str){parts.reasoning.p, parts.reasoning.n};
        done.calls = json_array_size(parts.calls) ? parts.calls : NULL;
        done.called = done.calls != NULL;
    }
    if (ok && done.called && w->spoke)
        w->spoke(w->spoke_ctx,
                 json_string_value(json_object_get(json_array_get(done.calls, 0), "id")),
                 (struct fg_str){c->text.p, c->text.n});
    ok = ok && json_array_append_new(list, fg_answer_choice_json(&w->answer, &done)) == 0;
    fg_tool_answer_finish(&parts);
    return ok;
}

void fg_writer_build(struct fg_writer *w)
{
    struct fg_answer_cost cost = cost_of(w);
    /* A choice's own may move when the likeliest come first. */
    const struct fg_answer_choice first = {.prompt_ids = w->choices[0].prompt_ids,
                                           .prompt_logprobs = w->choices[0].prompt_logprobs};
    json_t *list = json_array(), *root = NULL;
    bool ok = list != NULL;

    if (w->forecast) {
        root = fg_cache_forecast_json(w->answer.model, &w->choices[0].account);
        json_decref(list);
    } else {
        for (size_t p = 0; ok && p < w->n_choices; p += w->of_prompt) {
            if (w->kept < w->of_prompt)
                qsort(w->choices + p, w->of_prompt, sizeof *w->choices, by_merit);
            for (size_t i = 0; ok && i < w->kept; i++)
                ok = add_choice(w, &w->choices[p + i], list);
        }
        if (ok)
            root = fg_answer_whole(&w->answer, list, &first, &cost);
        else
            json_decref(list);
    }
    w->body = fg_json_dump(root);
    json_decref(root);
}

void fg_writer_send(struct fg_writer *w)
{
    if (!w->body) {
        fg_writer_nomem(w);
        return;
    }
    fg_reply_text(&w->request, 200, w->body);
    w->body = NULL;
}

size_t fg_writer_bytes(const struct fg_writer *w)
{
    const size_t token = 64; /* with its logprob and its alternatives' */
    const size_t id = 8;
    size_t n = 0;

    for (size_t i = 0; i < w->n_choices; i++)
        n += w->choices[i].text.n +
             w->choices[i].n_logprobs * token *
                 (size_t)(2 + w->answer.n_logprobs + w->answer.n_prompt_logprobs) +
             (json_array_size(w->choices[i].ids) + json_array_size(w->choices[i].prompt_ids)) * id;
    return n;
}
