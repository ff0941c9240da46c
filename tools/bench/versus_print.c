#include "versus.h"

#include <jansson.h>

static void print_table(const struct rates *r, const struct versus_side s[2], FILE *out)
{
    char name[64];
    fprintf(out, "model %s, %u rounds in turn, tokens/s\nfulgur: %s\nllama.cpp: %s\n\n",
            r->opt.model, r->opt.reps, s[0].ran_on, s[1].ran_on);
    fputs("| test | fulgur: median | mean | llama.cpp: median | mean | ratio of medians | of means "
          "|\n"
          "| --- | ---: | ---: | ---: | ---: | ---: | ---: |\n",
          out);
    for (uint32_t i = 0; i < r->n_tests; i++) {
        const struct bench_stats *a = &s[0].tests[i].ts, *b = &s[1].tests[i].ts;
        fprintf(out, "| %s | %.2f | %.2f +- %.2f | %.2f | %.2f +- %.2f | %.3f | %.3f |\n",
                rates_test_name(&r->tests[i], name), a->median, a->mean, a->stddev, b->median,
                b->mean, b->stddev, a->median / b->median, a->mean / b->mean);
    }
}

static void print_csv(const struct rates *r, const struct versus_side s[2], FILE *out)
{
    fputs("n_prompt,n_gen,n_depth,rounds,fulgur_median_ts,fulgur_avg_ts,fulgur_stddev_ts,"
          "llama_median_ts,llama_avg_ts,llama_stddev_ts,ratio_median,ratio_avg\n",
          out);
    for (uint32_t i = 0; i < r->n_tests; i++) {
        const struct rates_test *t = &r->tests[i];
        const struct bench_stats *a = &s[0].tests[i].ts, *b = &s[1].tests[i].ts;
        fprintf(out, "%u,%u,%u,%u,%.6g,%.6g,%.6g,%.6g,%.6g,%.6g,%.6g,%.6g\n", t->n_prompt, t->n_gen,
                t->n_depth, r->opt.reps, a->median, a->mean, a->stddev, b->median, b->mean,
                b->stddev, a->median / b->median, a->mean / b->mean);
    }
}

static json_t *side_json(const struct rates *r, const struct rates_test *t)
{
    json_t *samples = json_array();
    for (uint32_t i = 0; i < r->opt.reps; i++)
        json_array_append_new(samples, json_real(t->samples[i]));
    return json_pack("{s:f, s:f, s:f, s:o}", "median_ts", t->ts.median, "avg_ts", t->ts.mean,
                     "stddev_ts", t->ts.stddev, "samples_ts", samples);
}

static void print_json(const struct rates *r, const struct versus_side s[2], FILE *out)
{
    json_t *all = json_array(), *whole;
    for (uint32_t i = 0; i < r->n_tests; i++) {
        const struct rates_test *t = &r->tests[i];
        const struct bench_stats *a = &s[0].tests[i].ts, *b = &s[1].tests[i].ts;
        json_array_append_new(
            all, json_pack("{s:i, s:i, s:i, s:o, s:o, s:f, s:f}", "n_prompt", (int)t->n_prompt,
                           "n_gen", (int)t->n_gen, "n_depth", (int)t->n_depth, "fulgur",
                           side_json(r, &s[0].tests[i]), "llama", side_json(r, &s[1].tests[i]),
                           "ratio_median", a->median / b->median, "ratio_avg", a->mean / b->mean));
    }
    whole = json_pack("{s:s, s:i, s:s, s:s, s:o}", "model_filename", r->opt.model, "rounds",
                      (int)r->opt.reps, "fulgur", s[0].ran_on, "llama", s[1].ran_on, "tests", all);
    json_dumpf(whole, out, JSON_INDENT(2));
    fputc('\n', out);
    json_decref(whole);
}

void versus_print(const struct rates *r, const struct versus_side sides[2], FILE *out)
{
    switch (r->opt.format) {
    case RATES_TABLE: print_table(r, sides, out); break;
    case RATES_CSV: print_csv(r, sides, out); break;
    case RATES_JSON: print_json(r, sides, out); break;
    }
}
