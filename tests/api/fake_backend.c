#include "fake_backend.h"

#include <math.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "cache/cache.h"
#include "fake_documents.h"
#include "fake_operation.h"

struct fg_job {
    struct fg_job *next;
    struct fake_backend *b;
    struct fg_job_request request;
    fg_job_sink *sink;
    void *ctx;
    uint64_t id;
    bool taken, canceled, ended, released;
};

struct fake_backend {
    struct fake_options opt;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    pthread_t worker;
    bool stop;
    struct fg_job *jobs; /* newest first; freed with the b */
    unsigned n_jobs;
    unsigned n_tokenizing;
    bool let_go;
    char spoken[FAKE_SPOKEN];
};

static void emit(struct fg_job *job, const struct fg_job_event *event)
{
    pthread_mutex_lock(&job->b->lock);
    if (event->kind == FG_EVENT_DONE || event->kind == FG_EVENT_FAILED)
        job->ended = true;
    pthread_mutex_unlock(&job->b->lock);
    job->sink(job->ctx, event);
}

static bool is_canceled(struct fg_job *job)
{
    bool canceled;

    pthread_mutex_lock(&job->b->lock);
    canceled = job->canceled;
    pthread_mutex_unlock(&job->b->lock);
    return canceled;
}

void fake_job_begun(struct fg_job *job, const int32_t *prompt, size_t n)
{
    struct fg_job_event e = {.kind = FG_EVENT_BEGUN, .prompt = prompt, .n_prompt = n};

    emit(job, &e);
}

void fake_job_begun_at(struct fg_job *job, enum fg_answer_start start)
{
    struct fg_job_event e = {.kind = FG_EVENT_BEGUN, .start = start};

    emit(job, &e);
}

void fake_job_prompt(struct fg_job *job, const struct fg_job_token *tokens, size_t n)
{
    struct fg_job_event e = {.kind = FG_EVENT_PROMPT, .text = "", .tokens = tokens, .n_tokens = n};

    emit(job, &e);
}

void fake_job_progress(struct fg_job *job, uint32_t done, uint32_t total, uint32_t reused)
{
    struct fg_job_event e = {
        .kind = FG_EVENT_PROGRESS, .done = done, .total = total, .reused = reused};

    if (job->request.cache == FG_CACHE_READ_WRITE && total / 64 * 64 > reused)
        e.written = total / 64 * 64 - reused;
    emit(job, &e);
}

void fake_job_delta(struct fg_job *job, const char *text, const struct fg_job_token *tokens,
                    size_t n)
{
    /* Copies that die at once: the API must not keep the pointers. */
    char *copy = malloc(strlen(text) + 1);
    struct fg_job_token *mine = malloc((n + 1) * sizeof *mine);
    struct fg_job_event e = {.kind = FG_EVENT_DELTA, .text_bytes = strlen(text), .n_tokens = n};

    memcpy(copy, text, strlen(text) + 1);
    if (n)
        memcpy(mine, tokens, n * sizeof *mine);
    e.text = copy;
    e.tokens = mine;
    emit(job, &e);
    memset(copy, 'x', strlen(text));
    memset(mine, 0x55, n * sizeof *mine);
    free(copy);
    free(mine);
}

void fake_job_done(struct fg_job *job, enum fg_finish_reason finish)
{
    fake_job_stopped(job, finish, 0);
}

void fake_job_stopped(struct fg_job *job, enum fg_finish_reason finish, size_t stop)
{
    struct fg_job_event e = {
        .kind = FG_EVENT_DONE,
        .finish = finish,
        .stop = stop,
        .account = {.prompt_tokens = 1000,
                    .completion_tokens = 7,
                    .reasoning_tokens = 4,
                    .reused_tokens = 960,
                    .recomputed_tokens = 40,
                    .source = FG_SOURCE_STORE,
                    .queue_ms = job->b->opt.no_time ? (double)NAN : 0.5,
                    .restore_ms = 1.25,
                    .prefill_ms = 20.5,
                    .first_token_ms = 25,
                    .decode_ms = 30.75,
                    .saved_ms = 512.5,
                    .why = {.reason = FG_REASON_DIVERGED,
                            .diverged_at = 987,
                            .before = "as \xff",
                            .before_bytes = 4,
                            .prompt = "here",
                            .prompt_bytes = 4,
                            .stored = "there",
                            .stored_bytes = 5}},
    };

    emit(job, &e);
}

void fake_job_fail(struct fg_job *job, int code, const char *text)
{
    struct fg_job_event e = {.kind = FG_EVENT_FAILED};

    fg_fail(&e.error, code, "%s", text);
    emit(job, &e);
}

struct fg_job_token fake_token(int32_t id, const char *piece, float logprob)
{
    struct fg_job_token t = {.chosen = {.token = id, .logprob = logprob}};

    t.chosen.piece_bytes = (uint32_t)strlen(piece);
    memcpy(t.chosen.piece, piece, t.chosen.piece_bytes);
    return t;
}

static void run_job(struct fg_job *job)
{
    struct fg_job_token tokens[2] = {fake_token(11, "Hello", -0.5f), fake_token(12, ", ", -1.5f)};

    if (job->request.want_progress)
        fake_job_progress(job, 64, 128, 0);
    fake_job_delta(job, "Hello", tokens, 1);
    fake_job_delta(job, ", ", tokens + 1, 1);
    fake_job_delta(job, "world", NULL, 0);
    if (is_canceled(job))
        fake_job_fail(job, FG_ECANCELED, "canceled");
    else
        fake_job_done(job, FG_FINISH_STOP);
}

/* A job that can go on by itself; called with the lock held. */
static struct fg_job *runnable(struct fake_backend *b)
{
    struct fg_job *found = NULL;

    for (struct fg_job *j = b->jobs; j; j = j->next)
        if (!j->ended &&
            ((b->opt.automatic && !j->taken) || (b->opt.fail_on_cancel && j->canceled)))
            found = j; /* the oldest */
    return found;
}

static void *work(void *arg)
{
    struct fake_backend *b = arg;

    pthread_mutex_lock(&b->lock);
    for (;;) {
        struct fg_job *job = runnable(b);

        if (!job && b->stop)
            break;
        if (!job) {
            pthread_cond_wait(&b->changed, &b->lock);
            continue;
        }
        job->taken = true;
        job->ended = true;
        pthread_mutex_unlock(&b->lock);
        if (is_canceled(job))
            fake_job_fail(job, FG_ECANCELED, "canceled");
        else
            run_job(job);
        pthread_mutex_lock(&b->lock);
    }
    pthread_mutex_unlock(&b->lock);
    return NULL;
}

struct fake_backend *fake_backend_create(const struct fake_options *opt)
{
    struct fake_backend *b = calloc(1, sizeof *b);

    b->opt = *opt;
    pthread_mutex_init(&b->lock, NULL);
    pthread_cond_init(&b->changed, NULL);
    assert_int_equal(pthread_create(&b->worker, NULL, work, b), 0);
    return b;
}

void fake_backend_destroy(struct fake_backend *b)
{
    fake_operation_wait_none();
    pthread_mutex_lock(&b->lock);
    b->stop = true;
    pthread_cond_broadcast(&b->changed);
    pthread_mutex_unlock(&b->lock);
    pthread_join(b->worker, NULL);
    while (b->jobs) {
        struct fg_job *job = b->jobs;

        b->jobs = job->next;
        assert_true(job->ended);
        assert_true(job->released);
        fg_job_request_finish(&job->request);
        free(job);
    }
    fake_documents_finish();
    pthread_cond_destroy(&b->changed);
    pthread_mutex_destroy(&b->lock);
    free(b);
}

static int fake_submit(void *ctx, struct fg_job_request *request, fg_job_sink *sink, void *sink_ctx,
                       struct fg_job **job, struct fg_err *err)
{
    struct fake_backend *b = ctx;
    struct fg_job *j;

    if (b->opt.busy)
        return fg_fail(err, FG_EBUSY, "32 jobs wait already");
    j = calloc(1, sizeof *j);
    j->b = b;
    j->request = *request;
    memset(request, 0, sizeof *request);
    j->sink = sink;
    j->ctx = sink_ctx;
    *job = j;
    pthread_mutex_lock(&b->lock);
    j->id = ++b->n_jobs;
    fake_documents_submitted(j->id);
    j->next = b->jobs;
    b->jobs = j;
    pthread_cond_broadcast(&b->changed);
    pthread_mutex_unlock(&b->lock);
    return 0;
}

static void fake_cancel(void *ctx, struct fg_job *job)
{
    (void)ctx;
    pthread_mutex_lock(&job->b->lock);
    job->canceled = true;
    pthread_cond_broadcast(&job->b->changed);
    pthread_mutex_unlock(&job->b->lock);
}

static void fake_release(void *ctx, struct fg_job *job)
{
    (void)ctx;
    if (!job)
        return;
    pthread_mutex_lock(&job->b->lock);
    assert_true(job->ended);
    assert_false(job->released);
    job->released = true;
    if (job->request.let_go) /* as the engine does when it has read the texts, or is done */
        job->request.let_go(job->request.held);
    job->request.let_go = NULL;
    pthread_cond_broadcast(&job->b->changed);
    pthread_mutex_unlock(&job->b->lock);
}

static uint64_t fake_job_id(void *ctx, struct fg_job *job)
{
    (void)ctx;
    return job->id;
}

struct fg_job *fake_backend_next(struct fake_backend *b)
{
    struct fg_job *found = NULL;

    pthread_mutex_lock(&b->lock);
    while (!found) {
        for (struct fg_job *j = b->jobs; j; j = j->next)
            if (!j->taken)
                found = j;
        if (!found)
            pthread_cond_wait(&b->changed, &b->lock);
    }
    found->taken = true;
    pthread_mutex_unlock(&b->lock);
    return found;
}

const struct fg_job_request *fake_job_request(const struct fg_job *job)
{
    return &job->request;
}

void fake_job_wait_canceled(struct fg_job *job)
{
    pthread_mutex_lock(&job->b->lock);
    while (!job->canceled)
        pthread_cond_wait(&job->b->changed, &job->b->lock);
    pthread_mutex_unlock(&job->b->lock);
}

static bool all_released(const struct fake_backend *b)
{
    for (const struct fg_job *j = b->jobs; j; j = j->next)
        if (!j->released)
            return false;
    return true;
}

void fake_backend_wait_released(struct fake_backend *b)
{
    pthread_mutex_lock(&b->lock);
    while (!all_released(b))
        pthread_cond_wait(&b->changed, &b->lock);
    pthread_mutex_unlock(&b->lock);
}

unsigned fake_backend_submitted(struct fake_backend *b)
{
    unsigned n;

    pthread_mutex_lock(&b->lock);
    n = b->n_jobs;
    pthread_mutex_unlock(&b->lock);
    return n;
}

/* A token a byte, with the begin token 1000. */
static void enter_tokenizer(struct fake_backend *b)
{
    pthread_mutex_lock(&b->lock);
    b->n_tokenizing++;
    pthread_cond_broadcast(&b->changed);
    while (b->opt.slow_tokenizer && !b->let_go)
        pthread_cond_wait(&b->changed, &b->lock);
    b->n_tokenizing--;
    pthread_mutex_unlock(&b->lock);
}

void fake_tokenizer_wait_entered(struct fake_backend *b, unsigned n)
{
    pthread_mutex_lock(&b->lock);
    while (b->n_tokenizing < n)
        pthread_cond_wait(&b->changed, &b->lock);
    pthread_mutex_unlock(&b->lock);
}

void fake_tokenizer_let_go(struct fake_backend *b)
{
    pthread_mutex_lock(&b->lock);
    b->let_go = true;
    pthread_cond_broadcast(&b->changed);
    pthread_mutex_unlock(&b->lock);
}

/* How many messages there are, then the last one's bytes. */
static int fake_tokenize_chat(const struct fg_job_request *chat, int32_t **ids, size_t *n,
                              struct fg_err *err)
{
    const struct fg_job_message *last = &chat->messages[chat->n_messages - 1];

    if (chat->continue_final)
        return fg_fail(err, FG_EUNSUPPORTED, "this model cannot chat");
    *ids = malloc((last->content_bytes + 1) * sizeof **ids);
    (*ids)[0] = (int32_t)chat->n_messages;
    for (size_t i = 0; i < last->content_bytes; i++)
        (*ids)[i + 1] = (unsigned char)last->content[i];
    *n = last->content_bytes + 1;
    return 0;
}

static int fake_tokenize(void *ctx, const struct fg_tokenize_request *r, int32_t **ids, size_t *n,
                         struct fg_err *err)
{
    enter_tokenizer(ctx);
    if (r->chat)
        return fake_tokenize_chat(r->chat, ids, n, err);
    *ids = malloc((r->bytes + 2) * sizeof **ids);
    *n = 0;
    if (r->add_special)
        (*ids)[(*n)++] = 1000;
    for (size_t i = 0; i < r->bytes; i++)
        (*ids)[(*n)++] = (unsigned char)r->text[i];
    if (!r->parse_special)
        (*ids)[(*n)++] = 1001;
    return 0;
}

static int fake_detokenize(void *ctx, const int32_t *ids, size_t n, char **text, size_t *bytes,
                           struct fg_err *err)
{
    (void)ctx;
    for (size_t i = 0; i < n; i++)
        if (ids[i] > 255)
            return fg_fail(err, FG_EINVAL, "token %d has no text", ids[i]);
    *text = malloc(n + 1);
    for (size_t i = 0; i < n; i++)
        (*text)[i] = (char)ids[i];
    *bytes = n;
    return 0;
}

static void fake_info(void *ctx, struct fg_flow_info *out)
{
    (void)ctx;
    *out = (struct fg_flow_info){
        .model_name = "tiny",
        .model_path = "/models/tiny-q8_0.gguf",
        .architecture = "minimax-01",
        .device = "Fake GPU",
        .driver = "none 1.0",
        .numerics = "exact",
        .numerics_id = "0123456789abcdef0123456789abcdef",
        .pack_key = "ed25519:0123",
        .answer_form = {.tools = FG_TOOLS_MINIMAX, .reasoning = FG_REASONING_THINK},
        .context_tokens = 4096,
        .n_vocab = 2000,
        .weight_bytes = 123456789,
        .model_created = 1700000000,
        .tokenizer = {.bos = {1000, {"<s>", 3}},
                      .eos = {1001, {"</s>", 4}},
                      .unk = {-1, {"", 0}},
                      .pad = {-1, {"", 0}},
                      .add_bos = true,
                      .chat_template = {"{{ messages }}", 14}},
    };
}

static void fake_keep(void *ctx, const struct fg_job *job, enum fg_document_kind kind,
                      const char *id, struct fg_str text)
{
    struct fake_backend *b = ctx;

    assert_true(job->ended);
    fake_documents_keep(&job->request.tenant, job->id, kind, id, text);
    if (kind != FG_DOCUMENT_CALL)
        return;
    pthread_mutex_lock(&b->lock);
    snprintf(b->spoken, sizeof b->spoken, "%s %.*s", id, (int)text.n, text.p);
    pthread_mutex_unlock(&b->lock);
}

void fake_backend_spoken(struct fake_backend *b, char out[FAKE_SPOKEN])
{
    pthread_mutex_lock(&b->lock);
    memcpy(out, b->spoken, sizeof b->spoken);
    pthread_mutex_unlock(&b->lock);
}

/* Its name, as far as it goes: tests can read it, and compare. */
static void fake_tenant(void *ctx, const char *who, struct fg_tenant *out)
{
    size_t n = strlen(who);

    (void)ctx;
    fake_documents_on_loop(); /* which is who asks */
    memset(out, 0, sizeof *out);
    memcpy(out->id, who, n < sizeof out->id ? n : sizeof out->id);
}

static size_t fake_jobs(void *ctx, const struct fg_tenant *tenant, struct fg_job_status *out,
                        size_t max)
{
    struct fake_backend *b = ctx;
    size_t n = 0;

    pthread_mutex_lock(&b->lock);
    for (struct fg_job *j = b->jobs; j; j = j->next) {
        if (tenant && memcmp(tenant, &j->request.tenant, sizeof *tenant) != 0)
            continue;
        if (!j->ended && n++ < max)
            out[n - 1] = (struct fg_job_status){.id = j->id,
                                                .phase = FG_PHASE_PREFILL,
                                                .prompt_tokens = 100,
                                                .done_tokens = 64,
                                                .reused_tokens = 32,
                                                .age_ms = 12.5};
    }
    pthread_mutex_unlock(&b->lock);
    return n;
}

bool fake_backend_has_store(const struct fake_backend *b)
{
    return !b->opt.no_store;
}

static int fake_cache_stats(void *ctx, struct fg_cache_stats *out, const char **dir)
{
    const struct fake_backend *b = ctx;
    if (b->opt.no_store)
        return FG_ENOTFOUND;
    *out = (struct fg_cache_stats){.blocks = 1,
                                   .states = 2,
                                   .block_bytes = 3,
                                   .state_bytes = 4,
                                   .file_bytes = 5,
                                   .max_bytes = 1ull << 40,
                                   .queued_bytes = 7,
                                   .evicted = 8,
                                   .dropped_corrupt = 9,
                                   .dropped_full = 10,
                                   .dropped_queue = 11,
                                   .dropped_budget = 16,
                                   .dropped_orphan = 17,
                                   .write_errors = 12,
                                   .hits_blocks = 13,
                                   .hits_states = 14,
                                   .bytes_written = 15};
    *dir = "/cache";
    return 0;
}

void fake_backend_table(struct fake_backend *b, struct fg_backend *out)
{
    *out = (struct fg_backend){.ctx = b,
                               .submit = fake_submit,
                               .cancel = fake_cancel,
                               .release = fake_release,
                               .job_id = fake_job_id,
                               .jobs = fake_jobs,
                               .info = fake_info,
                               .tenant = fake_tenant,
                               .keep = fake_keep,
                               .recall = fake_documents_recall,
                               .drop = fake_documents_drop,
                               .tokenize = fake_tokenize,
                               .detokenize = fake_detokenize,
                               .cache_stats = fake_cache_stats};
    fake_operation_table(out);
}
