/* Prompt: a request's chat, text or token ids to the tokens and prefix keys of a job. Everything
 * that a request can get wrong is found here, on a text thread, before the GPU hears of it. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "backend.h"
#include "flow_state.h"
#include "job_state.h"
#include "prompt.h"
#include "repairs.h"
#include "text/tools/tool_schemas.h"

enum { LARGE_BYTES = 1 << 16 /* which take a few milliseconds */ };

static struct fg_str view(const char *s, size_t n)
{
    return s ? (struct fg_str){s, n} : (struct fg_str){"", 0};
}

static struct fg_str text_view(const char *s)
{
    return view(s, s ? strlen(s) : 0);
}

/* The text of an answer that the message says again, and its reasoning where the message lacks it:
 * the message's, which the caller frees. */
static void take_spoken(const struct fg_answer_form *form, struct fg_str text,
                        struct fg_chat_message *m)
{
    struct fg_tool_message sent = {.content = m->content, .calls = m->calls};
    struct fg_buffer reasoning = {0}, thought = {0};

    fg_chat_reasoning(m, &reasoning);
    sent.reasoning = view(reasoning.p, reasoning.n);
    if (!reasoning.failed && fg_tool_calls_same(form, text, &sent, &thought)) {
        m->spoken = text;
        m->thought = (struct fg_str){thought.p, thought.n};
    } else {
        free((char *)text.p);
        fg_buffer_finish(&thought);
    }
    fg_buffer_finish(&reasoning);
}

/* The model's own words for the calls of each message that says the same; the texts are the
 * caller's. */
static void find_spoken(struct fg_flow *flow, const struct fg_job_request *req,
                        struct fg_chat_message *messages)
{
    struct fg_answer_form form = flow->vocabulary.form;
    struct fg_tool_schemas *schemas = NULL;

    for (size_t i = 0; i < req->n_messages; i++) {
        struct fg_chat_message *m = &messages[i];
        struct fg_str id, text;

        if (!m->calls.n || !fg_tool_calls_id(m->calls, &id) ||
            !fg_flow_recall(flow, &req->tenant, FG_DOCUMENT_CALL, id, &text))
            continue;
        if (!schemas && req->tools_json) /* by which the values were told */
            schemas = fg_tool_schemas_create(text_view(req->tools_json));
        form.schemas = schemas;
        take_spoken(&form, text, m);
    }
    fg_tool_schemas_destroy(schemas);
}

static void free_messages(struct fg_chat_message *messages, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        free((char *)messages[i].spoken.p);
        free((char *)messages[i].thought.p);
    }
    free(messages);
}

/* Where a chat's parts lie. */
struct chat_places {
    bool whole; /* it is not to be computed, may be longer than the context, and nobody asks */
    size_t bounds[FG_BOUNDS];   /* tokens before the first turn, before the last user message, and
                                 * before its last part; 0: there is none */
    size_t head_end, first_end; /* tokens before the first turn, and before its end; 0 */
    /* Tokens before what the request's hints name, and before what was moved; 0. */
    size_t marks[FG_CHAT_MARKS];
    uint32_t seconds[FG_CHAT_MARKS]; /* that what is kept there is to stay */
    size_t n_marks;
    uint32_t repaired; /* by which rules: fg_repair_name() */
    enum fg_answer_start start;
};
_Static_assert(FG_CHAT_MARKS + 1 == FG_PLACES, "those, and the prompt's end");

/* The hints of the request that lie in the chat, as marks. */
static size_t marks_of(const struct fg_job_request *req, struct fg_chat_mark marks[FG_CHAT_MARKS],
                       uint32_t seconds[FG_CHAT_MARKS])
{
    static const enum fg_chat_mark_kind kinds[] = {[FG_HINT_CONTENT] = FG_CHAT_MARK_CONTENT,
                                                   [FG_HINT_MESSAGE] = FG_CHAT_MARK_TURN,
                                                   [FG_HINT_TOOL] = FG_CHAT_MARK_TOOL};
    size_t n = 0;

    for (size_t i = 0; i < req->n_hints; i++) {
        const struct fg_cache_hint *h = &req->hints[i];

        if (h->place == FG_HINT_PROMPT)
            continue;
        seconds[n] = h->seconds;
        marks[n++] = (struct fg_chat_mark){kinds[h->place], h->index, h->at};
    }
    return n;
}

static size_t tokens_before(const struct fg_vocabulary *v, const int32_t *ids, size_t n,
                            size_t place)
{
    return place == FG_CHAT_NOWHERE ? 0 : fg_tokenizer_tokens_before(v->tokenizer, ids, n, place);
}

/* NULL: out of memory. */
static struct fg_chat_message *messages_of(const struct fg_job_request *req)
{
    struct fg_chat_message *messages = calloc(req->n_messages, sizeof *messages);

    for (size_t i = 0; messages && i < req->n_messages; i++) {
        const struct fg_job_message *m = &req->messages[i];

        messages[i].role = text_view(m->role);
        messages[i].content = view(m->content, m->content_bytes);
        messages[i].last_part = m->last_part;
        messages[i].name = text_view(m->name);
        messages[i].calls = text_view(m->calls_json);
        messages[i].extra = text_view(m->extra_json);
    }
    return messages;
}

static void find_places(const struct fg_vocabulary *v, const struct fg_chat_text *text,
                        const int32_t *ids, size_t n, struct chat_places *places)
{
    places->start = text->start;
    places->head_end = places->bounds[0] = tokens_before(v, ids, n, text->head_end);
    places->bounds[1] = tokens_before(v, ids, n, text->last_user);
    places->bounds[2] = tokens_before(v, ids, n, text->last_part);
    places->first_end = tokens_before(v, ids, n, text->first_end);
    for (size_t i = 0; i < places->n_marks; i++)
        places->marks[i] = tokens_before(v, ids, n, text->marks[i]);
}

/* Renders the messages, after the rules for them. */
static int render_chat(struct fg_flow *flow, const struct fg_job_request *req,
                       struct chat_places *places, struct fg_chat_text *text, struct fg_err *err)
{
    const struct fg_vocabulary *v = &flow->vocabulary;
    struct fg_chat_mark marks[FG_CHAT_MARKS];
    struct fg_repairs repairs = {
        .messages = messages_of(req), .n = req->n_messages, .marks = marks};
    struct fg_chat_request chat = {.messages = repairs.messages,
                                   .n_messages = req->n_messages,
                                   .tools = text_view(req->tools_json),
                                   .variables = text_view(req->variables_json),
                                   .add_generation_prompt = !req->no_answer_header,
                                   .continue_final = req->continue_final,
                                   .now = (int64_t)time(NULL),
                                   .form = &v->form,
                                   .marks = marks};
    int rc;

    if (!repairs.messages)
        return fg_fail(err, FG_ENOMEM, "no memory for %zu messages", req->n_messages);
    repairs.n_marks = marks_of(req, marks, places->seconds);
    find_spoken(flow, req, repairs.messages);
    rc = fg_repairs_apply(flow->repair, &repairs);
    chat.n_marks = places->n_marks = repairs.n_marks;
    places->repaired = repairs.applied;
    if (rc)
        rc = fg_fail(err, rc, "no memory for a chat");
    else
        rc = fg_chat_render(v->chat, &chat, text, err);
    fg_repairs_finish(&repairs);
    free_messages(repairs.messages, req->n_messages);
    return rc;
}

static int encode_chat(struct fg_flow *flow, const struct fg_job_request *req,
                       struct chat_places *places, int32_t **ids, size_t *n, struct fg_err *err)
{
    const struct fg_vocabulary *v = &flow->vocabulary;
    struct fg_chat_text text = {0};
    int rc;

    if (!v->chat)
        return fg_fail(err, FG_EUNSUPPORTED, "this model cannot chat: %s", v->chat_err.text);
    if (req->n_messages == 0)
        return fg_fail(err, FG_EINVAL, "messages is empty; a chat needs at least one");
    rc = render_chat(flow, req, places, &text, err);
    if (rc)
        return rc;
    struct fg_chat_spans spans = {
        .text = {text.text.p, text.text.n}, .content = text.content, .n_content = text.n_content};
    rc = fg_tokenizer_encode_chat(v->tokenizer, &spans, places->whole ? 0 : flow->context, ids, n,
                                  err);
    if (rc == 0 && !places->whole)
        find_places(v, &text, *ids, *n, places);
    fg_chat_text_finish(&text);
    return rc;
}

static int check_ids(const int32_t *ids, size_t n, uint32_t n_vocab, struct fg_err *err)
{
    for (size_t i = 0; i < n; i++)
        if (ids[i] < 0 || (uint32_t)ids[i] >= n_vocab)
            return fg_fail(err, FG_EINVAL,
                           "prompt token %zu is %" PRId32 "; the vocabulary has ids 0..%u", i,
                           ids[i], n_vocab - 1);
    return 0;
}

/* What the context does not hold is not looked at further than to see that. */
static int encode(struct fg_flow *flow, struct fg_job_request *req, struct chat_places *places,
                  int32_t **ids, size_t *n, struct fg_err *err)
{
    const struct fg_encode_options how = {.flags = FG_ENCODE_PARSE_SPECIAL |
                                                   (req->no_begin ? 0 : FG_ENCODE_ADD_SPECIAL),
                                          .most = flow->context};

    switch (req->kind) {
    case FG_PROMPT_TEXT:
        /* Control tokens are found in it: a text prompt is the caller's own, chat markup included.
         */
        return fg_tokenizer_encode(flow->vocabulary.tokenizer, view(req->text, req->text_bytes),
                                   how, ids, n, err);
    case FG_PROMPT_TOKENS:
        *ids = req->tokens;
        *n = req->n_tokens;
        req->tokens = NULL;
        return check_ids(*ids, *n, flow->n_vocab, err);
    case FG_PROMPT_CHAT: return encode_chat(flow, req, places, ids, n, err);
    }
    return fg_fail(err, FG_EINVAL, "unknown kind of prompt");
}

static int check_request(const struct fg_job_request *req, struct fg_err *err)
{
    int rc = fg_sampling_check(&req->sampling, err);

    if (rc)
        return rc;
    if (req->max_tokens < -1)
        return fg_fail(err, FG_EINVAL, "max_tokens is %" PRId32 "; it must be at least 0",
                       req->max_tokens);
    if (req->n_logprobs < -1 || req->n_logprobs > FG_MAX_LOGPROBS)
        return fg_fail(err, FG_EINVAL, "logprobs is %" PRId32 "; at most %d are given",
                       req->n_logprobs, FG_MAX_LOGPROBS);
    if (req->n_prompt_top < 0 || req->n_prompt_top > FG_MAX_LOGPROBS)
        return fg_fail(err, FG_EINVAL, "prompt_logprobs is %" PRId32 "; at most %d are given",
                       req->n_prompt_top, FG_MAX_LOGPROBS);
    for (size_t i = 0; i < req->n_stop; i++)
        if (!req->stop[i] || !req->stop[i][0])
            return fg_fail(err, FG_EINVAL, "stop string %zu is empty", i);
    return 0;
}

/* The texts are of no more use; the stop strings are. */
static void drop_texts(struct fg_job_request *req)
{
    struct fg_job_request texts = {.text = req->text,
                                   .tokens = req->tokens,
                                   .messages = req->messages,
                                   .n_messages = req->n_messages,
                                   .tools_json = req->tools_json,
                                   .variables_json = req->variables_json,
                                   .let_go = req->let_go,
                                   .held = req->held};

    fg_job_request_finish(&texts);
    req->let_go = NULL;
    req->text = req->tools_json = req->variables_json = NULL;
    req->tokens = NULL;
    req->messages = NULL;
    req->n_messages = 0;
}

/* Looks at no more of the text than to see it. */
static bool exceeds(size_t *left, const char *text)
{
    size_t n = text ? strnlen(text, *left + 1) : 0;

    if (n > *left)
        return true;
    *left -= n;
    return false;
}

bool fg_prompt_is_large(const struct fg_job_request *req)
{
    size_t n = req->text_bytes + req->n_tokens * sizeof *req->tokens + req->form_bytes, left;

    for (size_t i = 0; i < req->n_messages && n <= LARGE_BYTES; i++)
        n += sizeof req->messages[i] + req->messages[i].content_bytes;
    if (n > LARGE_BYTES)
        return true;
    left = LARGE_BYTES - n;
    if (exceeds(&left, req->tools_json) || exceeds(&left, req->variables_json))
        return true;
    for (size_t i = 0; i < req->n_messages; i++)
        if (exceeds(&left, req->messages[i].calls_json) ||
            exceeds(&left, req->messages[i].extra_json))
            return true;
    return false;
}

static uint32_t boundary(size_t tokens)
{
    return (uint32_t)tokens / FG_BLOCK_TOKENS * FG_BLOCK_TOKENS;
}

static void add_hint(struct fg_job *job, size_t tokens, uint32_t seconds)
{
    job->hints[job->n_hints].at = boundary(tokens);
    job->hints[job->n_hints++].seconds = seconds;
}

static void take_places(struct fg_job *job, const struct chat_places *places)
{
    for (int i = 0; i < FG_BOUNDS; i++)
        job->bounds[i] = boundary(places->bounds[i]);
    for (size_t i = 0; i < places->n_marks; i++)
        add_hint(job, places->marks[i], places->seconds[i]);
    /* The last boundary that leaves a token to compute, should the same prompt come again. */
    for (size_t i = 0; i < job->req.n_hints; i++)
        if (job->req.hints[i].place == FG_HINT_PROMPT && job->n_hints < FG_PLACES)
            add_hint(job, job->n_prompt - 1, job->req.hints[i].seconds);
    job->head_end = (uint32_t)places->head_end;
    job->first_end = (uint32_t)places->first_end;
    job->start = places->start;
}

static void name_repairs(const struct fg_flow *flow, struct fg_job *job, uint32_t applied)
{
    struct fg_job_account *a = &job->account;

    if (job->req.billing_left_out)
        applied |= FG_REPAIR_BILLING_BIT;
    for (unsigned bit = 0; bit < FG_REPAIRED_NAMES; bit++)
        if (applied >> bit & 1)
            a->repaired[a->n_repaired++] = fg_repair_name(flow->repair, bit);
}

int fg_prompt_prepare(struct fg_flow *flow, struct fg_job *job, struct fg_err *err)
{
    struct chat_places places = {.bounds = {0}};
    int32_t *ids = NULL;
    size_t n = 0;
    uint32_t room;
    int rc = check_request(&job->req, err);

    if (rc)
        return rc;
    rc = encode(flow, &job->req, &places, &ids, &n, err);
    job->tokens = ids;
    if (rc == FG_ETOOLONG && n == flow->context)
        return fg_job_too_long(err, flow->context, n + 1, true, job->req.max_tokens);
    if (rc)
        return rc;
    if (n == 0)
        return fg_fail(err, FG_EINVAL, "the prompt is empty; it needs at least one token");
    if (n > flow->context)
        return fg_job_too_long(err, flow->context, n, false, job->req.max_tokens);
    if (job->req.want_prompt)
        job->req.cache = FG_CACHE_NONE; /* all of it is computed */
    job->n_tokens = job->cap_tokens = job->n_prompt = (uint32_t)n;
    take_places(job, &places);
    name_repairs(flow, job, places.repaired);
    rc = fg_constraint_begin(&flow->constraints, job, err);
    if (rc)
        return rc;
    job->account.prompt_tokens = job->n_prompt;
    room = flow->context - job->n_prompt;
    job->max_new = job->req.max_tokens >= 0 && (uint32_t)job->req.max_tokens < room
                       ? (uint32_t)job->req.max_tokens
                       : room;
    drop_texts(&job->req);
    if (job->req.cache == FG_CACHE_READ_WRITE)
        fg_flow_note_root(flow, &job->req.tenant);
    return fg_prefix_extend(&job->prefix, job->tokens, job->n_tokens, err);
}

void fg_flow_keep(struct fg_flow *flow, const struct fg_job *job, enum fg_document_kind kind,
                  const char *id, struct fg_str text)
{
    const struct fg_document_job by = {
        .tenant = job->req.tenant, .id = job->id, .prefix = &job->prefix};

    fg_documents_keep(&flow->documents[kind], &by, id, text);
}

bool fg_flow_recall(struct fg_flow *flow, const struct fg_tenant *tenant,
                    enum fg_document_kind kind, struct fg_str id, struct fg_str *text)
{
    return fg_documents_find(&flow->documents[kind], tenant, id, text);
}

bool fg_flow_drop(struct fg_flow *flow, const struct fg_tenant *tenant, enum fg_document_kind kind,
                  struct fg_str id)
{
    return fg_documents_drop(&flow->documents[kind], tenant, id);
}

int fg_flow_tokenize(struct fg_flow *flow, const struct fg_tokenize_request *r, int32_t **ids,
                     size_t *n, struct fg_err *err)
{
    const struct fg_encode_options how = {.flags =
                                              (r->parse_special ? FG_ENCODE_PARSE_SPECIAL : 0) |
                                              (r->add_special ? FG_ENCODE_ADD_SPECIAL : 0)};

    struct chat_places places = {.whole = true};

    if (r->chat)
        return encode_chat(flow, r->chat, &places, ids, n, err);
    return fg_tokenizer_encode(flow->vocabulary.tokenizer, view(r->text, r->bytes), how, ids, n,
                               err);
}

int fg_flow_detokenize(struct fg_flow *flow, const int32_t *ids, size_t n, char **text,
                       size_t *bytes, struct fg_err *err)
{
    return fg_tokenizer_decode(flow->vocabulary.tokenizer, ids, n, text, bytes, err);
}
