/* The flow: a model, ready to answer. Owns the device, the engine, both caches, and the threads
 * that take a request from text to answer; job.h is what goes through it.
 *
 * Threads: fg_flow_submit() and the other calls of job.h run anywhere. Two text threads render,
 * tokenize and check prompts, one the small ones and one the large; the GPU thread alone touches
 * the engine, its sequences and the VRAM cache, and runs all jobs together, a step at a time; the
 * store's writer is the cache's own. They pass jobs through queues; no lock is held across a GPU
 * wait or a disk write. */
#ifndef FG_FLOW_H
#define FG_FLOW_H

#include "cache/pack_key.h"
#include "job.h"
#include "model/engine.h"

struct fg_repair;

struct fg_flow_options {
    const char *model_path; /* a GGUF file */
    const char *model_name; /* the name that requests use; NULL: the file's name without .gguf */
    struct fg_str chat_template;    /* in the place of the file's; empty: the file's own */
    const struct fg_repair *repair; /* rules for prompts, which outlive the flow; NULL: none */
    const char *device;             /* see fg_device_open(); NULL: the best one */
    const char *pipeline_dir;       /* where the pipeline cache is kept, or NULL */
    enum fg_kv_type kv_type;
    enum fg_numerics numerics;
    enum fg_tune tune;
    uint32_t n_ctx;              /* 0: the model's, cut to the memory */
    uint32_t n_seq;              /* jobs computed at a time; 0: 4 */
    uint32_t n_batch;            /* tokens of a step; 0: the engine's choice */
    uint32_t n_pages;            /* 0: the engine's choice */
    uint32_t n_states;           /* 0: n_seq + 4 */
    const char *cache_dir;       /* the store's directory; NULL: no store */
    uint64_t cache_bytes;        /* the store's budget */
    uint64_t vram_bytes;         /* of KV pages and saved states on the device; 0: what fits */
    uint64_t ram_bytes;          /* of records in host memory; 0: none */
    uint64_t cache_write_budget; /* bytes written to it within 24 hours; 0: any number */
    bool no_cache_texts;         /* what documents.h keeps is not written to it */
    const struct fg_pack_public *import_keys; /* whose packs are taken beside the store's own */
    size_t n_import_keys;
    uint32_t max_jobs; /* unfinished jobs, waiting ones included, as fair.h has it; 0: 256 */
};

/* Loads the model, opens device and store, starts the threads. The options are copied. The errors
 * of fg_gguf_open(), fg_device_open(), fg_engine_create(), fg_cache_open(), fg_signers_init();
 * FG_EFORMAT and FG_EUNSUPPORTED for a vocabulary that cannot be used. */
int fg_flow_create(const struct fg_flow_options *opt, struct fg_flow **out, struct fg_err *err);
/* Cancels the jobs that still run (their sinks see FAILED), joins the threads, writes what the
 * store has queued, closes all. Handles may be released later. NULL is fine. */
void fg_flow_destroy(struct fg_flow *flow);
/* From now on submits get FG_EBUSY; the jobs there are go on. Done when fg_flow_jobs() counts none,
 * but for last events on their way; fg_flow_destroy() waits for them. Any thread. */
void fg_flow_drain(struct fg_flow *flow);
/* Cancels every job. Any thread. */
void fg_flow_cancel_all(struct fg_flow *flow);

#endif
