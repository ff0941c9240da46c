/* The flow's parts put together, and its threads. */
#include "flow.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/hex.h"
#include "base/log.h"
#include "flow_state.h"
#include "job_state.h"
#include "operation_parts.h"
#include "prompt.h"
#include "prefix/verify.h"
#include "sweep.h"
#include "text/tools/tool_calls.h"

enum { DEFAULT_MAX_JOBS = 256, OFFER_AGAIN_MS = 20 };

static void *run_text(void *arg)
{
    struct fg_text_thread *t = arg;
    struct fg_flow *flow = t->flow;
    struct fg_link *link, *next;

    while ((link = fg_queue_take(&t->queue, true)) != NULL) {
        for (; link; link = next) {
            struct fg_job *job = (struct fg_job *)link;
            struct fg_err err = {0};
            int rc;

            next = link->next;
            rc = fg_job_canceled(job) ? fg_fail(&err, FG_ECANCELED, "the request was canceled")
                                      : fg_prompt_prepare(flow, job, &err);
            if (rc == 0) {
                fg_job_begun(job);
                fg_queue_post(&flow->gpu_queue, &job->link);
                continue;
            }
            fg_job_failed(flow, job, &err);
            fg_job_unref(job);
        }
    }
    return NULL;
}

/* What is posted; sleeps unless `busy`. A store that was full tells nobody when it is not. */
static struct fg_link *next_posts(struct fg_flow *flow, bool busy)
{
    if (!busy && fg_offer_refused(&flow->runner.prefix_cache))
        return fg_queue_take_within(&flow->gpu_queue, OFFER_AGAIN_MS);
    return fg_queue_take(&flow->gpu_queue, !busy);
}

/* What was stored wrong is out of the store; nobody is to go on with a copy of it. */
static void compare(struct fg_flow *flow)
{
    struct fg_verify_dropped dropped;

    while (fg_verify_turn(&flow->runner.prefix_cache, &dropped))
        fg_sweep_wrong(flow, &dropped);
}

static void *run_gpu(void *arg)
{
    struct fg_flow *flow = arg;
    bool open = true, busy = false;

    while (open || !fg_sched_idle(&flow->sched)) {
        struct fg_link *link = next_posts(flow, busy), *next;

        if (!link && fg_sched_idle(&flow->sched))
            open = !fg_queue_closed(&flow->gpu_queue);
        for (; link; link = next) {
            next = link->next;
            fg_sched_add(&flow->sched, (struct fg_job *)link);
        }
        fg_operation_gpu_calls(flow);
        compare(flow);
        busy = fg_sched_turn(flow);
    }
    return NULL;
}

static void log_cache(void *ctx, enum fg_cache_log_level level, const char *line)
{
    static const enum fg_log_level levels[] = {FG_LOG_ERROR, FG_LOG_WARN, FG_LOG_INFO};

    (void)ctx;
    fg_log(levels[level], "cache", "%s", line);
}

static int open_cache(struct fg_flow *flow, const struct fg_flow_options *opt, struct fg_err *err)
{
    struct fg_cache_options cache = {.dir = opt->cache_dir,
                                     .max_bytes = opt->cache_bytes,
                                     .write_budget = opt->cache_write_budget,
                                     .log = log_cache};
    int rc;

    if (!opt->cache_dir)
        return 0;
    flow->cache_dir = strdup(opt->cache_dir);
    if (!flow->cache_dir)
        return fg_fail(err, FG_ENOMEM, "no memory for the cache's path");
    rc = fg_cache_open(&cache, &flow->cache, err);
    for (int i = 0; rc == 0 && !opt->no_cache_texts && i < FG_DOCUMENT_KINDS; i++)
        fg_documents_store_in(&flow->documents[i], flow->cache);
    return rc;
}

/* The file's name without directories and .gguf. */
static char *name_of(const char *path)
{
    const char *base = strrchr(path, '/');
    char *name = strdup(base ? base + 1 : path);
    size_t n = name ? strlen(name) : 0;

    if (n > 5 && strcmp(name + n - 5, ".gguf") == 0)
        name[n - 5] = '\0';
    return name;
}

static int describe(struct fg_flow *flow, const struct fg_flow_options *opt, struct fg_err *err)
{
    const struct fg_engine_info *info = &flow->runner.info;
    const struct fg_device_info *dev = fg_device_info(flow->runner.device);
    struct fg_str arch = {"", 0};
    struct stat st = {0};

    fg_gguf_str(flow->runner.gguf, "general.architecture", &arch, NULL);
    stat(opt->model_path, &st);
    flow->model_name = opt->model_name ? strdup(opt->model_name) : name_of(opt->model_path);
    flow->model_path = strdup(opt->model_path);
    flow->architecture = strndup(arch.p, arch.n);
    flow->device = strdup(dev->name);
    flow->driver = strdup(dev->driver);
    if (!flow->model_name || !flow->model_path || !flow->architecture || !flow->device ||
        !flow->driver)
        return fg_fail(err, FG_ENOMEM, "no memory for the model's description");
    fg_hex(info->numerics_id, sizeof info->numerics_id, flow->numerics_hex);
    flow->info = (struct fg_flow_info){.model_name = flow->model_name,
                                       .model_path = flow->model_path,
                                       .architecture = flow->architecture,
                                       .device = flow->device,
                                       .driver = flow->driver,
                                       .numerics = fg_numerics_name(opt->numerics),
                                       .numerics_id = flow->numerics_hex,
                                       .pack_key = flow->signers.text,
                                       .context_tokens = flow->context,
                                       .n_vocab = flow->n_vocab,
                                       .answer_form = flow->vocabulary.form,
                                       .tokenizer = flow->vocabulary.about,
                                       .weight_bytes = info->weight_bytes,
                                       .model_created = (uint64_t)st.st_mtime};
    return 0;
}

/* What follows from the opened runner. */
static void measure(struct fg_flow *flow, const struct fg_flow_options *opt)
{
    const struct fg_engine_info *info = &flow->runner.info;
    uint64_t held = (uint64_t)info->n_pages * FG_BLOCK_TOKENS;

    fg_gguf_fingerprint(flow->runner.gguf, flow->model);
    memcpy(flow->numerics, info->numerics_id, sizeof flow->numerics);
    flow->n_vocab = info->hp->n_vocab;
    flow->page_bytes = flow->runner.prefix_cache.page_bytes;
    flow->block_bytes = flow->runner.prefix_cache.block_bytes;
    flow->state_bytes = flow->runner.prefix_cache.state_bytes;
    flow->n_seq = info->n_seq < FG_MAX_ACTIVE ? info->n_seq : FG_MAX_ACTIVE;
    flow->context = info->n_ctx;
    /* A job that is alone must fit, whatever its length. */
    if (info->page_bytes && held < flow->context)
        flow->context = (uint32_t)held;
    if (opt->n_ctx > info->hp->n_ctx_train)
        fg_log(FG_LOG_WARN, "flow",
               "context=%u trained=%u why=\"--ctx is more than the model knows\"", opt->n_ctx,
               info->hp->n_ctx_train);
    flow->fair.max_jobs = opt->max_jobs ? opt->max_jobs : DEFAULT_MAX_JOBS;
}

struct fg_key fg_flow_root(const struct fg_flow *flow, const struct fg_tenant *tenant)
{
    static const struct fg_tenant shared;
    bool own = !fg_same_tenant(tenant, &shared);

    return fg_key_root(flow->model, flow->numerics, tenant->id, own ? sizeof tenant->id : 0);
}

struct fg_cache_root fg_flow_describe_root(const struct fg_flow *flow,
                                           const struct fg_tenant *tenant)
{
    struct fg_cache_root root = {.key = fg_flow_root(flow, tenant)};

    memcpy(root.model, flow->model, sizeof root.model);
    memcpy(root.numerics, flow->numerics, sizeof root.numerics);
    memcpy(root.tenant, tenant->id, sizeof root.tenant);
    snprintf(root.name, sizeof root.name, "%s", flow->model_name);
    return root;
}

void fg_flow_note_root(struct fg_flow *flow, const struct fg_tenant *tenant)
{
    struct fg_cache_root root;

    if (!flow->cache)
        return;
    root = fg_flow_describe_root(flow, tenant);
    fg_cache_note_root(flow->cache, &root);
}

void fg_flow_tenant(const struct fg_flow *flow, const char *who, struct fg_tenant *out)
{
    fg_tenant_derive(flow->secret, who, out);
}

/* The first n of them. */
static void end_texts(struct fg_flow *flow, size_t n)
{
    for (size_t i = 0; i < n; i++)
        fg_queue_close(&flow->texts[i].queue);
    for (size_t i = 0; i < n; i++)
        pthread_join(flow->texts[i].thread, NULL);
}

static int start_threads(struct fg_flow *flow, struct fg_err *err)
{
    size_t n = 0;

    while (n < FG_TEXT_THREADS &&
           pthread_create(&flow->texts[n].thread, NULL, run_text, &flow->texts[n]) == 0)
        n++;
    if (n < FG_TEXT_THREADS || pthread_create(&flow->gpu_thread, NULL, run_gpu, flow) != 0) {
        end_texts(flow, n);
        return fg_fail(err, FG_ENOMEM, "the threads of the flow cannot be started");
    }
    flow->threads_run = true;
    return 0;
}

int fg_flow_create(const struct fg_flow_options *opt, struct fg_flow **out, struct fg_err *err)
{
    struct fg_flow *flow = calloc(1, sizeof *flow);
    int rc;

    *out = NULL;
    if (!flow)
        return fg_fail(err, FG_ENOMEM, "no memory for the flow");
    pthread_mutex_init(&flow->lock, NULL);
    pthread_cond_init(&flow->operations_changed, NULL);
    for (size_t i = 0; i < FG_TEXT_THREADS; i++) {
        flow->texts[i].flow = flow;
        fg_queue_init(&flow->texts[i].queue);
    }
    fg_documents_init(&flow->documents[FG_DOCUMENT_CALL], "call", FG_CALLS_BYTES);
    fg_documents_init(&flow->documents[FG_DOCUMENT_RESPONSE], "response", FG_RESPONSES_BYTES);
    fg_queue_init(&flow->gpu_queue);
    fg_sched_init(&flow->sched, &flow->gpu_queue);
    /* First what is quick to fail. */
    rc = open_cache(flow, opt, err);
    if (rc == 0)
        rc = fg_tenant_secret(opt->cache_dir, flow->secret, err);
    if (rc == 0)
        rc = fg_signers_init(&flow->signers, opt->cache_dir, opt->import_keys, opt->n_import_keys,
                             err);
    if (rc == 0 && flow->cache) { /* a file that could not be written, or read, is none to keep */
        fg_cache_keep_file(flow->cache, FG_TENANT_SECRET_FILE);
        fg_cache_keep_file(flow->cache, FG_PACK_KEY_FILE);
    }
    if (rc == 0)
        rc = fg_runner_init(&flow->runner, opt, err);
    if (rc == 0) {
        flow->runner.prefix_cache.cache = flow->cache;
        flow->host = fg_host_tier_create(opt->ram_bytes);
        flow->runner.prefix_cache.host = flow->host;
        flow->runner.prefix_cache.rate = &flow->prefill_rate;
        flow->runner.prefix_cache.wake = &flow->gpu_queue;
        measure(flow, opt);
        flow->repair = opt->repair;
        rc = fg_vocabulary_init(&flow->vocabulary, flow->runner.gguf, flow->n_vocab,
                                opt->chat_template, err);
    }
    if (rc == 0)
        rc = describe(flow, opt, err);
    /* Rows of the logits beyond the vocabulary are padding and never chosen. */
    if (rc == 0)
        rc = fg_sampler_init(&flow->sampler,
                             (uint32_t)fg_tokenizer_n_vocab(flow->vocabulary.tokenizer), err);
    if (rc == 0)
        rc = fg_constraints_init(&flow->constraints, &flow->vocabulary, &flow->gpu_queue, err);
    if (rc == 0)
        rc = start_threads(flow, err);
    if (rc)
        fg_flow_destroy(flow);
    else
        *out = flow;
    return rc;
}

void fg_flow_drain(struct fg_flow *flow)
{
    pthread_mutex_lock(&flow->lock);
    flow->draining = true;
    pthread_mutex_unlock(&flow->lock);
}

void fg_flow_destroy(struct fg_flow *flow)
{
    if (!flow)
        return;
    if (flow->threads_run) {
        fg_flow_drain(flow);
        fg_flow_cancel_all(flow);
        fg_operation_end_all(flow);
        end_texts(flow, FG_TEXT_THREADS);
        fg_queue_close(&flow->gpu_queue);
        pthread_join(flow->gpu_thread, NULL);
    }
    fg_constraints_finish(&flow->constraints);
    fg_sched_finish(&flow->sched);
    fg_sampler_finish(&flow->sampler);
    fg_vocabulary_finish(&flow->vocabulary);
    fg_runner_finish(&flow->runner);
    fg_host_tier_destroy(flow->host);
    fg_cache_close(flow->cache);
    fg_queue_finish(&flow->gpu_queue);
    for (size_t i = 0; i < FG_TEXT_THREADS; i++)
        fg_queue_finish(&flow->texts[i].queue);
    for (int i = 0; i < FG_DOCUMENT_KINDS; i++)
        fg_documents_finish(&flow->documents[i]);
    pthread_cond_destroy(&flow->operations_changed);
    pthread_mutex_destroy(&flow->lock);
    fg_signers_finish(&flow->signers);
    free(flow->cache_dir);
    free(flow->model_name);
    free(flow->model_path);
    free(flow->architecture);
    free(flow->device);
    free(flow->driver);
    free(flow);
}

void fg_flow_info(const struct fg_flow *flow, struct fg_flow_info *out)
{
    *out = flow->info;
}

int fg_flow_cache_stats(struct fg_flow *flow, struct fg_cache_stats *out, const char **dir)
{
    uint64_t offered;

    if (!flow->cache)
        return FG_ENOTFOUND;
    /* What is on its way to the queue counts as queued; looked at first, so that nothing that moves
     * meanwhile is missed. */
    offered = atomic_load(&flow->runner.offers.bytes);
    fg_cache_stats(flow->cache, out);
    out->queued_bytes += offered;
    out->bad_prefixes = atomic_load(&flow->bad_prefixes);
    if (dir)
        *dir = flow->cache_dir;
    return 0;
}
