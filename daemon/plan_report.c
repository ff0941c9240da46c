#include "plan_report.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "serve/runner.h"
#include "model/plan.h"

/* A model on a device, and what of it would fit. */
struct report {
    const struct fg_config *config;
    struct fg_gguf *gguf;
    struct fg_hparams hp;
    struct fg_device_info device;
    struct fg_plan plan;
    uint32_t less_ctx;      /* the longest context that fits beside the rest; 0: none */
    uint32_t less_parallel; /* the most sequences that fit beside the rest; 0: none */
    uint32_t least_ctx;     /* the longest context of one sequence, when neither fits; 0: none */
};

static int choose_device(struct report *r, struct fg_err *err)
{
    struct fg_device_info *list;
    size_t n;
    int chosen, rc = fg_device_list(r->config->device, &list, &n, &chosen, err);

    if (rc)
        return rc;
    if (chosen < 0)
        rc = err->code ? err->code : FG_ENOTFOUND;
    else
        r->device = list[chosen];
    free(list);
    return rc;
}

/* The plan as the daemon would have it with another context and number of sequences; 0: as asked.
 */
static int plan_with(const struct report *r, uint32_t ctx, uint32_t parallel, struct fg_plan *p,
                     struct fg_err *err)
{
    struct fg_flow_options flow;
    struct fg_engine_options engine;

    fg_config_flow_options(r->config, &flow);
    if (ctx)
        flow.n_ctx = ctx;
    if (parallel)
        flow.n_seq = parallel;
    fg_runner_options(&flow, &engine);
    return fg_plan_init(p, &engine, &r->hp, r->gguf, &r->device, err);
}

static bool fits_with(const struct report *r, uint32_t ctx, uint32_t parallel)
{
    struct fg_plan p;

    return plan_with(r, ctx, parallel, &p, NULL) == 0 && fg_plan_fits(&p);
}

/* The longest context below that of the plan, in whole chunks, that fits; 0 when none does. */
static uint32_t longest(const struct report *r, uint32_t parallel)
{
    uint32_t low = 0,
             high = (r->plan.opt.n_ctx - 1) / FG_BLOCK_TOKENS + 1; /* low fits, high does not */

    while (high - low > 1) {
        uint32_t middle = low + (high - low) / 2;

        if (fits_with(r, middle * FG_BLOCK_TOKENS, parallel))
            low = middle;
        else
            high = middle;
    }
    return low * FG_BLOCK_TOKENS;
}

static void advise(struct report *r)
{
    uint32_t n = r->plan.opt.n_seq - 1;

    r->less_ctx = longest(r, 0);
    while (n && !fits_with(r, r->config->ctx, n))
        n--;
    r->less_parallel = n;
    if (!r->less_ctx && !r->less_parallel)
        r->least_ctx = longest(r, 1);
}

/* --- text --- */

static const char *size(uint64_t bytes, char buf[32])
{
    static const char *const units[] = {"bytes", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
    double v = (double)bytes;
    int u = 0;

    while (v >= 1024 && u < 6) {
        v /= 1024;
        u++;
    }
    snprintf(buf, 32, u ? "%.2f %s" : "%.0f %s", v, units[u]);
    return buf;
}

static const char *family(const struct report *r)
{
    return fg_hparams_family(&r->hp);
}

static void print_line(FILE *out, const char *what, uint64_t bytes)
{
    char buf[32];

    fprintf(out, "  %-14s %12s", what, size(bytes, buf));
}

static void print_weights(const struct report *r, FILE *out)
{
    const struct fg_plan *p = &r->plan;
    char buf[32];

    print_line(out, "weights", p->weight_bytes);
    for (uint32_t i = 0; i < p->n_types; i++)
        fprintf(out, "%s%s %s in %" PRIu64, i ? ", " : "  ", fg_dtype_name(p->types[i].type),
                size(p->types[i].bytes, buf), p->types[i].n_tensors);
    fputs(p->n_types ? " tensors\n" : "\n", out);
}

static void print_device_part(const struct report *r, FILE *out)
{
    const struct fg_plan *p = &r->plan;
    uint64_t page = p->page_bytes;
    uint64_t state = p->state_bytes;
    char buf[32];

    fputs("on the device\n", out);
    print_weights(r, out);
    if (page) {
        print_line(out, "KV pages", p->kv_bytes);
        fprintf(out, "  %u of 64 tokens; %s for 1,000 tokens\n", p->opt.n_pages,
                size(page * 1000 / FG_BLOCK_TOKENS, buf));
    }
    if (state) {
        print_line(out, "states", p->seq_bytes);
        fprintf(out, "  %u sequences, state and rows %s each\n", p->opt.n_seq,
                size(p->state_bytes + p->rows_bytes, buf));
        print_line(out, "saved states", p->saved_bytes);
        fprintf(out, "  %u of %s\n", p->opt.n_states, size(state, buf));
    }
    print_line(out, "scratch", p->scratch_bytes);
    fprintf(out, "  steps of %u tokens\n", p->opt.n_batch);
    print_line(out, "together", p->device_bytes);
    fputs("\non the host\n", out);
    print_line(out, "scratch", p->scratch_host_bytes);
    fputs("  tables of a step, logits\n", out);
    print_line(out, "transfers", p->transfer_bytes);
    fputs("  a page or state on its way; weights while they load\n", out);
}

static void print_verdict(const struct report *r, FILE *out)
{
    const struct fg_plan *p = &r->plan;
    char a[32], b[32], c[32];

    if (fg_plan_fits(p)) {
        fprintf(out, "fits: %s of %s%s\n", size(p->needed_bytes, a), size(p->memory_bytes, b),
                p->one_memory ? ", the host's part included" : "");
        return;
    }
    if (p->needed_bytes > p->memory_bytes)
        fprintf(out, "does not fit: %s of %s%s, %s too much\n", size(p->needed_bytes, a),
                size(p->memory_bytes, b), p->one_memory ? ", the host's part included" : "",
                size(p->needed_bytes - p->memory_bytes, c));
    else
        fprintf(out, "does not fit: %s\n", p->refused.text);
    if (r->less_ctx)
        fprintf(out, "would fit: --ctx %u\n", r->less_ctx);
    if (r->less_parallel)
        fprintf(out, "would fit: --parallel %u\n", r->less_parallel);
    if (r->least_ctx)
        fprintf(out, "would fit: --parallel 1 --ctx %u\n", r->least_ctx);
    if (!r->less_ctx && !r->less_parallel && !r->least_ctx)
        fputs("no --ctx and no --parallel would fit\n", out);
}

static void print_text(const struct report *r, FILE *out)
{
    const struct fg_plan *p = &r->plan;
    uint32_t delta = fg_hparams_count(&r->hp, &fg_delta_rule_block);
    char buf[32];

    fprintf(out, "model    %s: %s, %u layers (%u %s, %u softmax attention)", r->config->model,
            family(r), r->hp.n_layer, delta ? delta : fg_hparams_count(&r->hp, &fg_lightning_block),
            delta ? "gated delta rule" : "lightning",
            fg_hparams_count(&r->hp, &fg_softmax_attention_block));
    if (fg_hparams_experts(&r->hp))
        fprintf(out, ", %u experts", fg_hparams_experts(&r->hp));
    fprintf(out, "\ndevice   %s (%s), %s%s\n", r->device.name, r->device.type,
            size(p->memory_bytes, buf),
            strcmp(r->device.type, "cpu") == 0 ? ", the machine's memory"
            : p->one_memory                    ? ", one memory with the host"
                                               : "");
    fprintf(out, "context  %u tokens, %u sequences, %s cache, numerics %s\n\n", p->opt.n_ctx,
            p->opt.n_seq, p->opt.kv_type == FG_KV_F16 ? "f16" : "f32",
            fg_numerics_name(p->opt.numerics));
    print_device_part(r, out);
    fputc('\n', out);
    print_verdict(r, out);
}

/* --- JSON --- */

static json_t *number(uint64_t v)
{
    return json_integer(v > INT64_MAX ? INT64_MAX : (json_int_t)v);
}

static json_t *types_json(const struct fg_plan *p)
{
    json_t *types = json_array();

    for (uint32_t i = 0; i < p->n_types; i++)
        json_array_append_new(
            types, json_pack("{s:s, s:o, s:o}", "type", fg_dtype_name(p->types[i].type), "tensors",
                             number(p->types[i].n_tensors), "bytes", number(p->types[i].bytes)));
    return types;
}

static json_t *sizes_json(const struct fg_plan *p)
{
    const struct {
        const char *key;
        uint64_t v;
    } all[] = {
        {"weight_bytes", p->weight_bytes},
        {"kv_bytes", p->kv_bytes},
        {"kv_bytes_per_1000_tokens", p->page_bytes * 1000 / FG_BLOCK_TOKENS},
        {"sequence_bytes", p->seq_bytes},
        {"state_bytes", p->state_bytes},
        {"saved_state_bytes", p->saved_bytes},
        {"scratch_bytes", p->scratch_bytes},
        {"device_bytes", p->device_bytes},
        {"host_scratch_bytes", p->scratch_host_bytes},
        {"transfer_bytes", p->transfer_bytes},
        {"host_bytes", p->host_bytes},
        {"needed_bytes", p->needed_bytes},
        {"memory_bytes", p->memory_bytes},
        {"short_bytes", p->needed_bytes > p->memory_bytes ? p->needed_bytes - p->memory_bytes : 0}};
    json_t *sizes = json_object();

    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        json_object_set_new(sizes, all[i].key, number(all[i].v));
    return sizes;
}

static json_t *or_null(uint32_t v)
{
    return v ? json_integer(v) : json_null();
}

static int print_json(const struct report *r, FILE *out, struct fg_err *err)
{
    const struct fg_plan *p = &r->plan;
    json_t *whole = json_pack(
        "{s:s, s:s, s:s, s:s, s:b, s:b, s:i, s:i, s:i, s:i, s:i, s:s, s:s, s:i, s:i, s:i}", "model",
        r->config->model, "architecture", family(r), "device", r->device.name, "device_type",
        r->device.type, "one_memory", (int)p->one_memory, "fits", (int)fg_plan_fits(p), "context",
        (int)p->opt.n_ctx, "parallel", (int)p->opt.n_seq, "batch", (int)p->opt.n_batch, "kv_pages",
        (int)p->opt.n_pages, "saved_states", (int)(p->state_bytes ? p->opt.n_states : 0), "kv_type",
        p->opt.kv_type == FG_KV_F16 ? "f16" : "f32", "numerics", fg_numerics_name(p->opt.numerics),
        "lightning_layers", (int)fg_hparams_count(&r->hp, &fg_lightning_block), "delta_layers",
        (int)fg_hparams_count(&r->hp, &fg_delta_rule_block), "softmax_layers",
        (int)fg_hparams_count(&r->hp, &fg_softmax_attention_block));

    if (!whole)
        return fg_fail(err, FG_EFORMAT,
                       "the model's path is no UTF-8, and JSON holds nothing else");
    json_object_set_new(whole, "bytes", sizes_json(p));
    json_object_set_new(whole, "weights", types_json(p));
    json_object_set_new(whole, "refused",
                        p->refused.code ? json_string(p->refused.text) : json_null());
    json_object_set_new(whole, "would_fit",
                        json_pack("{s:o, s:o, s:o}", "context", or_null(r->less_ctx), "parallel",
                                  or_null(r->less_parallel), "context_of_one",
                                  or_null(r->least_ctx)));
    json_dumpf(whole, out, JSON_INDENT(2));
    fputc('\n', out);
    json_decref(whole);
    return 0;
}

int fg_plan_report(const struct fg_config *c, FILE *out, bool *fits, struct fg_err *err)
{
    struct report r = {.config = c};
    int rc = fg_gguf_open(c->model, &r.gguf, err);

    *fits = false;
    if (rc == 0)
        rc = fg_hparams_init(&r.hp, r.gguf, err);
    if (rc) {
        fg_gguf_close(r.gguf);
        return rc;
    }
    rc = choose_device(&r, err);
    if (rc == 0)
        rc = plan_with(&r, 0, 0, &r.plan, err);
    if (rc == 0) {
        *fits = fg_plan_fits(&r.plan);
        if (!*fits)
            advise(&r);
        if (c->json)
            rc = print_json(&r, out, err);
        else
            print_text(&r, out);
    }
    fg_hparams_finish(&r.hp);
    fg_gguf_close(r.gguf);
    return rc;
}
