#include "rates.h"

#include <jansson.h>

static const char *kv_name(const struct rates *r)
{
    return r->opt.kv == FG_KV_F16 ? "f16" : "f32";
}

static void print_table(const struct rates *r, FILE *out)
{
    char name[64];
    fprintf(out, "| model | device | numerics | test | tokens/s | median |\n"
                 "| --- | --- | --- | ---: | ---: | ---: |\n");
    for (uint32_t i = 0; i < r->n_tests; i++) {
        const struct rates_test *t = &r->tests[i];
        fprintf(out, "| %s | %s | %s | %s | %.2f +- %.2f | %.2f |\n", r->opt.model, r->device,
                fg_numerics_name(r->opt.numerics), rates_test_name(t, name), t->ts.mean,
                t->ts.stddev, t->ts.median);
    }
}

/* A field in quotes, its quotes doubled (RFC 4180). */
static void print_quoted(const char *s, FILE *out)
{
    fputc('"', out);
    for (; *s; s++) {
        if (*s == '"')
            fputc('"', out);
        fputc(*s, out);
    }
    fputs("\",", out);
}

static void print_csv(const struct rates *r, FILE *out)
{
    fputs("model_filename,device,driver,type_k,numerics,n_prompt,n_gen,n_depth,repetitions,avg_ts,"
          "stddev_ts,"
          "median_ts\n",
          out);
    for (uint32_t i = 0; i < r->n_tests; i++) {
        const struct rates_test *t = &r->tests[i];
        print_quoted(r->opt.model, out);
        print_quoted(r->device, out);
        print_quoted(r->driver, out);
        fprintf(out, "%s,%s,%u,%u,%u,%u,%.6g,%.6g,%.6g\n", kv_name(r),
                fg_numerics_name(r->opt.numerics), t->n_prompt, t->n_gen, t->n_depth, r->opt.reps,
                t->ts.mean, t->ts.stddev, t->ts.median);
    }
}

static json_t *samples_of(const struct rates *r, const struct rates_test *t)
{
    json_t *samples = json_array();
    for (uint32_t i = 0; i < r->opt.reps; i++)
        json_array_append_new(samples, json_real(t->samples[i]));
    return samples;
}

static void print_json(const struct rates *r, FILE *out)
{
    json_t *all = json_array();
    for (uint32_t i = 0; i < r->n_tests; i++) {
        const struct rates_test *t = &r->tests[i];
        json_array_append_new(
            all, json_pack("{s:s, s:s, s:s, s:s, s:s, s:i, s:i, s:i, s:i, s:f, s:f, s:f, s:o}",
                           "model_filename", r->opt.model, "device", r->device, "driver", r->driver,
                           "type_k", kv_name(r), "numerics", fg_numerics_name(r->opt.numerics),
                           "n_prompt", (int)t->n_prompt, "n_gen", (int)t->n_gen, "n_depth",
                           (int)t->n_depth, "repetitions", (int)r->opt.reps, "avg_ts", t->ts.mean,
                           "stddev_ts", t->ts.stddev, "median_ts", t->ts.median, "samples_ts",
                           samples_of(r, t)));
    }
    json_dumpf(all, out, JSON_INDENT(2));
    fputc('\n', out);
    json_decref(all);
}

void rates_print(const struct rates *r, FILE *out)
{
    switch (r->opt.format) {
    case RATES_TABLE: print_table(r, out); break;
    case RATES_CSV: print_csv(r, out); break;
    case RATES_JSON: print_json(r, out); break;
    }
}
