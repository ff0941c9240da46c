#include "tune_report.h"

#include <jansson.h>

#include "serve/flow.h"
#include "serve/runner.h"
#include "gpu/device.h"

static void print_text(const struct fg_device_info *d, enum fg_numerics mode,
                       const struct fg_tuned *t, uint32_t n, FILE *out)
{
    char chosen[FG_TILING_NAME], usual[FG_TILING_NAME];
    fprintf(out, "device   %s\nnumerics %s\n\n", d->name, fg_numerics_name(mode));
    fprintf(out, "%-7s %-6s %-30s %9s   %-30s %9s  %6s  %s\n", "type", "tokens", "usual", "us",
            "chosen", "us", "factor", "tried");
    for (uint32_t i = 0; i < n; i++) {
        fg_tiling_name(&t[i].usual, usual);
        fg_tiling_name(&t[i].tiling, chosen);
        fprintf(out, "%-7s %-6s %-30s %9.1f   %-30s %9.1f  %6.2f  %u of %u\n",
                fg_dtype_name(t[i].type), t[i].many ? "many" : "one", usual,
                1e6 * t[i].usual_seconds, chosen, 1e6 * t[i].seconds,
                t[i].usual_seconds / t[i].seconds, t[i].tried, t[i].candidates);
    }
}

static json_t *tiling_json(const struct fg_tiling *t)
{
    return json_pack("{s:i, s:i, s:i, s:i, s:i, s:b}", "lanes", (int)t->lanes, "slices",
                     (int)t->slices, "rows", (int)t->rows, "tokens", (int)t->tokens, "spread",
                     (int)t->spread, "texel", (int)t->texel);
}

static void print_json(const struct fg_device_info *d, enum fg_numerics mode,
                       const struct fg_tuned *t, uint32_t n, FILE *out)
{
    json_t *rows = json_array(), *whole;
    for (uint32_t i = 0; i < n; i++)
        json_array_append_new(
            rows,
            json_pack("{s:s, s:b, s:o, s:f, s:o, s:f, s:i, s:i}", "type", fg_dtype_name(t[i].type),
                      "many", (int)t[i].many, "usual", tiling_json(&t[i].usual), "usual_seconds",
                      t[i].usual_seconds, "chosen", tiling_json(&t[i].tiling), "seconds",
                      t[i].seconds, "tried", (int)t[i].tried, "candidates", (int)t[i].candidates));
    whole = json_pack("{s:s, s:s, s:s, s:o}", "device", d->name, "driver", d->driver, "numerics",
                      fg_numerics_name(mode), "products", rows);
    json_dumpf(whole, out, JSON_INDENT(2) | JSON_REAL_PRECISION(6));
    fputc('\n', out);
    json_decref(whole);
}

int fg_tune_report(const struct fg_config *c, FILE *out, struct fg_err *err)
{
    struct fg_flow_options flow;
    struct fg_engine_options opt;
    struct fg_gguf *g = NULL;
    struct fg_device *dev = NULL;
    struct fg_engine *e = NULL;
    const struct fg_tuned *tuned;
    const struct fg_err *note;
    uint32_t n;
    int rc;

    fg_config_flow_options(c, &flow);
    fg_runner_options(&flow, &opt);
    opt.tune = FG_TUNE_ANEW;
    opt.tune_progress = fg_runner_tune_progress;
    rc = fg_gguf_open(c->model, &g, err);
    if (rc == 0)
        rc = fg_device_open(c->device, c->pipeline_dir, &dev, err);
    if (rc == 0)
        rc = fg_engine_create(&opt, g, dev, &e, err);
    if (rc == 0) {
        n = fg_engine_tuned(e, &tuned, &note);
        if (c->json)
            print_json(fg_device_info(dev), opt.numerics, tuned, n, out);
        else
            print_text(fg_device_info(dev), opt.numerics, tuned, n, out);
        if (note->code)
            rc = fg_fail(err, note->code, "%s", note->text);
        fg_engine_destroy(e);
    }
    fg_device_close(dev);
    fg_gguf_close(g);
    return rc;
}
