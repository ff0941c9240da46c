#include "report.h"

#include <jansson.h>

#define GIB ((double)(1 << 30))

double report_factor(const struct sim_result *ours, const struct sim_result *other)
{
    return other->saved > 0 ? ours->saved / other->saved : 0;
}

static double hit_rate(const struct sim_result *r)
{
    return r->tokens ? (double)r->reused / (double)r->tokens : 0;
}

static void print_row(const struct report *r, const struct report_trace *t, size_t b, size_t p,
                      FILE *out)
{
    const struct sim_result *x = &t->results[b][p];
    double gib = (double)r->budgets[b] / GIB, factor = report_factor(&t->results[b][SIM_OURS], x);

    fprintf(out, "| %s | %.4g | %s | %.3f | %.0f | %.1f | ", t->name, gib, sim_policies[p].name,
            hit_rate(x), x->saved, x->saved / gib);
    if (p == SIM_OURS)
        fprintf(out, " |\n");
    else if (factor > 0)
        fprintf(out, "%.2f |\n", factor);
    else
        fprintf(out, "- |\n");
}

void report_table(const struct report *r, FILE *out)
{
    fprintf(out,
            "prefill %.0f tokens/s, half of that at token %.0f; KV %llu bytes a token, state %llu "
            "bytes\n\n",
            r->model.rate, r->model.half_depth, (unsigned long long)r->model.kv_bytes,
            (unsigned long long)r->model.state_bytes);
    for (size_t p = 0; p < sim_n_policies; p++)
        fprintf(out, "%-14s %s\n", sim_policies[p].name, sim_policies[p].what);
    fprintf(out,
            "\n| trace | GiB | policy | hit rate | saved s | s/GiB | factor of %s |\n"
            "| --- | ---: | --- | ---: | ---: | ---: | ---: |\n",
            sim_policies[SIM_OURS].name);
    for (size_t t = 0; t < r->n_traces; t++)
        for (size_t b = 0; b < r->n_budgets; b++)
            for (size_t p = 0; p < sim_n_policies; p++)
                print_row(r, &r->traces[t], b, p, out);
}

static json_t *result_json(const struct report *r, const struct report_trace *t, size_t b, size_t p)
{
    const struct sim_result *x = &t->results[b][p];
    double factor = report_factor(&t->results[b][SIM_OURS], x);

    return json_pack("{s:s, s:I, s:I, s:s, s:f, s:f, s:f, s:f, s:o}", "trace", t->name, "requests",
                     (json_int_t)t->requests, "budget_bytes", (json_int_t)r->budgets[b], "policy",
                     sim_policies[p].name, "token_hit_rate", hit_rate(x), "prefill_seconds",
                     x->seconds, "saved_seconds", x->saved, "saved_seconds_per_gib",
                     x->saved / ((double)r->budgets[b] / GIB), "factor",
                     factor > 0 ? json_real(factor) : json_null());
}

int report_json(const struct report *r, FILE *out)
{
    json_t *all = json_array(), *top;
    int rc;

    for (size_t t = 0; t < r->n_traces; t++)
        for (size_t b = 0; b < r->n_budgets; b++)
            for (size_t p = 0; p < sim_n_policies; p++)
                json_array_append_new(all, result_json(r, &r->traces[t], b, p));
    top = json_pack("{s:f, s:f, s:I, s:I, s:I, s:o}", "tokens_per_second", r->model.rate,
                    "half_depth", r->model.half_depth, "kv_bytes_per_token",
                    (json_int_t)r->model.kv_bytes, "state_bytes", (json_int_t)r->model.state_bytes,
                    "seed", (json_int_t)r->seed, "results", all);
    if (!top)
        return FG_ENOMEM;
    rc = json_dumpf(top, out, JSON_INDENT(2)) || fputc('\n', out) == EOF ? FG_EIO : 0;
    json_decref(top);
    return rc;
}
