#include "fake_flow.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "cache/cache.h"
#include "fake_task.h"

struct fg_job {
    struct fg_job *next;
    struct fg_flow *flow;
    struct fg_job_request request;
    fg_job_sink *sink;
    void *ctx;
    uint64_t id;
    bool taken, canceled, ended, released;
};

struct fg_flow {
    struct fake_options opt;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    pthread_t worker;
    bool stop;
    struct fg_job *jobs; /* newest first; freed with the flow */
    unsigned n_jobs;
};

void fg_job_request_finish(struct fg_job_request *r)
{
    for (size_t i = 0; i < r->n_messages; i++) {
        free(r->messages[i].role);
        free(r->messages[i].content);
        free(r->messages[i].name);
    }
    for (size_t i = 0; i < r->n_stop; i++)
        free(r->stop[i]);
    free(r->messages);
    free(r->stop);
    free(r->text);
    free(r->tokens);
    free(r->tools_json);
    memset(r, 0, sizeof *r);
}

static void emit(struct fg_job *job, const struct fg_job_event *event)
{
    pthread_mutex_lock(&job->flow->lock);
    if (event->kind == FG_EVENT_DONE || event->kind == FG_EVENT_FAILED)
        job->ended = true;
    pthread_mutex_unlock(&job->flow->lock);
    job->sink(job->ctx, event);
}

static bool is_canceled(struct fg_job *job)
{
    bool canceled;

    pthread_mutex_lock(&job->flow->lock);
    canceled = job->canceled;
    pthread_mutex_unlock(&job->flow->lock);
    return canceled;
}

void fake_job_progress(struct fg_job *job, uint32_t done, uint32_t total, uint32_t reused)
{
    struct fg_job_event e = {
        .kind = FG_EVENT_PROGRESS, .done = done, .total = total, .reused = reused};

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
    struct fg_job_event e = {
        .kind = FG_EVENT_DONE,
        .finish = finish,
        .account = {.prompt_tokens = 1000,
                    .completion_tokens = 7,
                    .reused_tokens = 960,
                    .recomputed_tokens = 40,
                    .source = FG_SOURCE_STORE,
                    .queue_ms = 0.5,
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
static struct fg_job *runnable(struct fg_flow *flow)
{
    struct fg_job *found = NULL;

    for (struct fg_job *j = flow->jobs; j; j = j->next)
        if (!j->ended &&
            ((flow->opt.automatic && !j->taken) || (flow->opt.fail_on_cancel && j->canceled)))
            found = j; /* the oldest */
    return found;
}

static void *work(void *arg)
{
    struct fg_flow *flow = arg;

    pthread_mutex_lock(&flow->lock);
    for (;;) {
        struct fg_job *job = runnable(flow);

        if (!job && flow->stop)
            break;
        if (!job) {
            pthread_cond_wait(&flow->changed, &flow->lock);
            continue;
        }
        job->taken = true;
        job->ended = true;
        pthread_mutex_unlock(&flow->lock);
        if (is_canceled(job))
            fake_job_fail(job, FG_ECANCELED, "canceled");
        else
            run_job(job);
        pthread_mutex_lock(&flow->lock);
    }
    pthread_mutex_unlock(&flow->lock);
    return NULL;
}

struct fg_flow *fake_flow_create(const struct fake_options *opt)
{
    struct fg_flow *flow = calloc(1, sizeof *flow);

    flow->opt = *opt;
    pthread_mutex_init(&flow->lock, NULL);
    pthread_cond_init(&flow->changed, NULL);
    assert_int_equal(pthread_create(&flow->worker, NULL, work, flow), 0);
    return flow;
}

void fake_flow_destroy(struct fg_flow *flow)
{
    fake_task_wait_none();
    pthread_mutex_lock(&flow->lock);
    flow->stop = true;
    pthread_cond_broadcast(&flow->changed);
    pthread_mutex_unlock(&flow->lock);
    pthread_join(flow->worker, NULL);
    while (flow->jobs) {
        struct fg_job *job = flow->jobs;

        flow->jobs = job->next;
        assert_true(job->ended);
        assert_true(job->released);
        fg_job_request_finish(&job->request);
        free(job);
    }
    pthread_cond_destroy(&flow->changed);
    pthread_mutex_destroy(&flow->lock);
    free(flow);
}

int fg_flow_submit(struct fg_flow *flow, struct fg_job_request *request, fg_job_sink *sink,
                   void *sink_ctx, struct fg_job **job, struct fg_err *err)
{
    struct fg_job *j;

    if (flow->opt.busy)
        return fg_fail(err, FG_EBUSY, "32 jobs wait already");
    j = calloc(1, sizeof *j);
    j->flow = flow;
    j->request = *request;
    memset(request, 0, sizeof *request);
    j->sink = sink;
    j->ctx = sink_ctx;
    *job = j;
    pthread_mutex_lock(&flow->lock);
    j->id = ++flow->n_jobs;
    j->next = flow->jobs;
    flow->jobs = j;
    pthread_cond_broadcast(&flow->changed);
    pthread_mutex_unlock(&flow->lock);
    return 0;
}

void fg_job_cancel(struct fg_job *job)
{
    pthread_mutex_lock(&job->flow->lock);
    job->canceled = true;
    pthread_cond_broadcast(&job->flow->changed);
    pthread_mutex_unlock(&job->flow->lock);
}

void fg_job_release(struct fg_job *job)
{
    if (!job)
        return;
    pthread_mutex_lock(&job->flow->lock);
    assert_true(job->ended);
    assert_false(job->released);
    job->released = true;
    pthread_cond_broadcast(&job->flow->changed);
    pthread_mutex_unlock(&job->flow->lock);
}

uint64_t fg_job_id(const struct fg_job *job)
{
    return job->id;
}

struct fg_job *fake_flow_next(struct fg_flow *flow)
{
    struct fg_job *found = NULL;

    pthread_mutex_lock(&flow->lock);
    while (!found) {
        for (struct fg_job *j = flow->jobs; j; j = j->next)
            if (!j->taken)
                found = j;
        if (!found)
            pthread_cond_wait(&flow->changed, &flow->lock);
    }
    found->taken = true;
    pthread_mutex_unlock(&flow->lock);
    return found;
}

const struct fg_job_request *fake_job_request(const struct fg_job *job)
{
    return &job->request;
}

void fake_job_wait_canceled(struct fg_job *job)
{
    pthread_mutex_lock(&job->flow->lock);
    while (!job->canceled)
        pthread_cond_wait(&job->flow->changed, &job->flow->lock);
    pthread_mutex_unlock(&job->flow->lock);
}

static bool all_released(const struct fg_flow *flow)
{
    for (const struct fg_job *j = flow->jobs; j; j = j->next)
        if (!j->released)
            return false;
    return true;
}

void fake_flow_wait_released(struct fg_flow *flow)
{
    pthread_mutex_lock(&flow->lock);
    while (!all_released(flow))
        pthread_cond_wait(&flow->changed, &flow->lock);
    pthread_mutex_unlock(&flow->lock);
}

unsigned fake_flow_submitted(struct fg_flow *flow)
{
    unsigned n;

    pthread_mutex_lock(&flow->lock);
    n = flow->n_jobs;
    pthread_mutex_unlock(&flow->lock);
    return n;
}

/* A token a byte, with the begin token 1000. */
int fg_flow_tokenize(struct fg_flow *flow, const char *text, size_t bytes, bool add_special,
                     bool parse_special, int32_t **ids, size_t *n, struct fg_err *err)
{
    (void)flow;
    (void)err;
    *ids = malloc((bytes + 2) * sizeof **ids);
    *n = 0;
    if (add_special)
        (*ids)[(*n)++] = 1000;
    for (size_t i = 0; i < bytes; i++)
        (*ids)[(*n)++] = (unsigned char)text[i];
    if (!parse_special)
        (*ids)[(*n)++] = 1001;
    return 0;
}

int fg_flow_detokenize(struct fg_flow *flow, const int32_t *ids, size_t n, char **text,
                       size_t *bytes, struct fg_err *err)
{
    (void)flow;
    for (size_t i = 0; i < n; i++)
        if (ids[i] > 255)
            return fg_fail(err, FG_EINVAL, "token %d has no text", ids[i]);
    *text = malloc(n + 1);
    for (size_t i = 0; i < n; i++)
        (*text)[i] = (char)ids[i];
    *bytes = n;
    return 0;
}

void fg_flow_info(const struct fg_flow *flow, struct fg_flow_info *out)
{
    (void)flow;
    *out = (struct fg_flow_info){
        .model_name = "tiny",
        .model_path = "/models/tiny-q8_0.gguf",
        .architecture = "minimax-01",
        .device = "Fake GPU",
        .driver = "none 1.0",
        .numerics = "exact",
        .numerics_id = "0123456789abcdef0123456789abcdef",
        .context_tokens = 4096,
        .n_vocab = 2000,
        .weight_bytes = 123456789,
        .model_created = 1700000000,
    };
}

/* Its name, as far as it goes: tests can read it, and compare. */
void fg_flow_tenant(const struct fg_flow *flow, const char *who, struct fg_tenant *out)
{
    size_t n = strlen(who);

    (void)flow;
    memset(out, 0, sizeof *out);
    memcpy(out->id, who, n < sizeof out->id ? n : sizeof out->id);
}

size_t fg_flow_jobs(struct fg_flow *flow, const struct fg_tenant *tenant, struct fg_job_status *out,
                    size_t max)
{
    size_t n = 0;

    pthread_mutex_lock(&flow->lock);
    for (struct fg_job *j = flow->jobs; j; j = j->next) {
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
    pthread_mutex_unlock(&flow->lock);
    return n;
}

bool fake_flow_has_store(const struct fg_flow *flow)
{
    return !flow->opt.no_store;
}

int fg_flow_cache_stats(struct fg_flow *flow, struct fg_cache_stats *out, const char **dir)
{
    if (flow->opt.no_store)
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
