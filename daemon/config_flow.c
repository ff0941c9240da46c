#include "config.h"

void fg_config_flow_options(const struct fg_config *c, struct fg_flow_options *out)
{
    *out = (struct fg_flow_options){.model_path = c->model,
                                    .model_name = c->alias,
                                    .chat_template = {c->chat_template.p, c->chat_template.n},
                                    .repair = c->repair,
                                    .device = c->device,
                                    .kv_type = c->kv_type,
                                    .numerics = c->numerics,
                                    .tune = c->tune ? FG_TUNE_ONCE : FG_TUNE_NEVER,
                                    .n_ctx = c->ctx,
                                    .n_seq = c->parallel,
                                    .n_batch = c->batch,
                                    .max_jobs = c->queue,
                                    .cache_dir = c->cache_dir,
                                    .cache_bytes = c->cache_bytes,
                                    .vram_bytes = c->vram_bytes,
                                    .ram_bytes = c->ram_bytes,
                                    .cache_write_budget = c->cache_write_budget,
                                    .no_cache_texts = c->no_cache_texts,
                                    .import_keys = c->import_keys,
                                    .n_import_keys = c->n_import_keys};
}
