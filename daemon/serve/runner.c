#include "runner.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "prefix/bring.h"
#include "prefix/verify.h"

static int copy(char **out, const char *s, struct fg_err *err)
{
    *out = s ? strdup(s) : NULL;
    return s && !*out ? fg_fail(err, FG_ENOMEM, "no memory for the options") : 0;
}

static void log_upload(void *ctx, uint64_t done, uint64_t all)
{
    unsigned *last = ctx;
    unsigned tenth = all ? (unsigned)(done / (all / 10 + 1)) : 0;

    if (tenth == *last)
        return;
    *last = tenth;
    fg_log(FG_LOG_DEBUG, "flow", "upload=%" PRIu64 " of=%" PRIu64, done, all);
}

void fg_runner_tune_progress(void *ctx, double share)
{
    (void)ctx;
    fg_log_bar("tuning", share);
}

/* What is in force besides the usual tilings, and what went wrong with the file. */
static void log_tuning(const struct fg_engine *e)
{
    const struct fg_tuned *t;
    const struct fg_err *note;
    uint32_t n = fg_engine_tuned(e, &t, &note);
    char name[FG_TILING_NAME];

    if (note->code)
        fg_log(FG_LOG_WARN, "flow", "tuning=file cause=\"%s\"", note->text);
    for (uint32_t i = 0; i < n; i++) {
        fg_tiling_name(&t[i].tiling, name);
        fg_log(t[i].seconds < t[i].usual_seconds ? FG_LOG_INFO : FG_LOG_DEBUG, "flow",
               "tuned type=%s tokens=%s tiling=\"%s\" factor=%.2f tried=%u of=%u",
               fg_dtype_name(t[i].type), t[i].many ? "many" : "one", name,
               t[i].usual_seconds / t[i].seconds, t[i].tried, t[i].candidates);
    }
}

static void close_device(struct fg_runner *m)
{
    if (m->engine) {
        fg_restore_reap(&m->prefix_cache, true);
        fg_verify_drain(&m->prefix_cache);
        fg_offer_drain(&m->prefix_cache);
    }
    fg_device_tier_destroy(m->vram);
    m->vram = NULL;
    if (m->engine)
        fg_engine_destroy(m->engine);
    m->engine = m->prefix_cache.engine = NULL;
    m->prefix_cache.vram = NULL;
    fg_device_close(m->device);
    m->device = NULL;
}

static int open_device(struct fg_runner *m, struct fg_err *err)
{
    struct fg_engine_options opt = m->options;
    struct fg_prefix_cache old;
    unsigned tenth = 0;
    int rc = fg_device_open(m->device_select, m->pipeline_dir, &m->device, err);

    opt.upload_progress = log_upload;
    opt.upload_ctx = &tenth;
    if (rc == 0)
        rc = fg_engine_create(&opt, m->gguf, m->device, &m->engine, err);
    if (rc == 0)
        rc = fg_device_tier_create(m->engine, &m->vram, err);
    if (rc) {
        close_device(m);
        return rc;
    }
    fg_engine_info(m->engine, &m->info);
    log_tuning(m->engine);
    if (!m->info.canonical && fg_numerics_portable(m->options.numerics))
        fg_log(FG_LOG_WARN, "flow",
               "numerics=not_canonical device=\"%s\" cause=\"the known-answer self-test gave other "
               "bits; the cache serves this device and driver only\"",
               fg_device_info(m->device)->name);
    old = m->prefix_cache;
    fg_prefix_cache_init(&m->prefix_cache, m->engine, m->vram, old.cache);
    m->prefix_cache.rate = old.rate;
    m->prefix_cache.wake = old.wake;
    m->prefix_cache.host = old.host;
    m->prefix_cache.offers = &m->offers;
    m->prefix_cache.unwanted = &m->unwanted;
    m->prefix_cache.looks = &m->looks;
    return 0;
}

void fg_runner_options(const struct fg_flow_options *opt, struct fg_engine_options *out)
{
    uint32_t n_seq = opt->n_seq ? opt->n_seq : 4;

    *out = (struct fg_engine_options){.kv_type = opt->kv_type,
                                      .numerics = opt->numerics,
                                      .tune = opt->tune,
                                      .tune_progress = fg_runner_tune_progress,
                                      .n_ctx = opt->n_ctx,
                                      .n_seq = n_seq,
                                      .n_pages = opt->n_pages,
                                      .n_states = opt->n_states ? opt->n_states : n_seq + 4,
                                      .cache_bytes = opt->vram_bytes,
                                      .n_batch = opt->n_batch};
}

int fg_runner_init(struct fg_runner *m, const struct fg_flow_options *opt, struct fg_err *err)
{
    int rc;

    *m = (struct fg_runner){0};
    fg_runner_options(opt, &m->options);
    rc = copy(&m->device_select, opt->device, err);
    if (rc == 0)
        rc = copy(&m->pipeline_dir, opt->pipeline_dir, err);
    if (rc == 0)
        rc = fg_gguf_open(opt->model_path, &m->gguf, err);
    if (rc == 0) {
        const struct fg_str *tokens;
        size_t n = 0;
        struct fg_err none;

        /* A model may have more logits than its vocabulary has tokens. */
        if (fg_gguf_str_array(m->gguf, "tokenizer.ggml.tokens", &tokens, &n, &none) == 0)
            m->options.n_choices = n < UINT32_MAX ? (uint32_t)n : 0;
        rc = open_device(m, err);
    }
    if (rc)
        fg_runner_finish(m);
    return rc;
}

void fg_runner_finish(struct fg_runner *m)
{
    close_device(m);
    fg_gguf_close(m->gguf);
    free(m->pipeline_dir);
    free(m->device_select);
    *m = (struct fg_runner){0};
}

int fg_runner_reopen(struct fg_runner *m, struct fg_err *err)
{
    uint8_t id[sizeof m->info.numerics_id];
    int rc;

    memcpy(id, m->info.numerics_id, sizeof id);
    close_device(m);
    rc = open_device(m, err);
    if (rc)
        return rc;
    if (memcmp(id, m->info.numerics_id, sizeof id) != 0) {
        memcpy(m->info.numerics_id, id, sizeof id);
        close_device(m);
        return fg_fail(err, FG_EDEVICE,
                       "the reopened device computes other bits; restart the daemon");
    }
    return 0;
}
