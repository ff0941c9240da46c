/* The results of the policy bench, and the forms they are printed in. */
#ifndef FG_POLICY_REPORT_H
#define FG_POLICY_REPORT_H

#include "sim.h"

enum { REPORT_MAX_POLICIES = 16, REPORT_MAX_BUDGETS = 16 };

/* One trace: a row of results for each budget, one for each of sim_policies. */
struct report_trace {
    char name[64];
    size_t requests;
    struct sim_result results[REPORT_MAX_BUDGETS][REPORT_MAX_POLICIES];
};

struct report {
    struct sim_model model;
    uint64_t seed; /* of generated traces; 0: read */
    uint64_t budgets[REPORT_MAX_BUDGETS];
    size_t n_budgets;
    struct report_trace *traces;
    size_t n_traces;
};

/* Seconds that ours saves, for each that the other saves; 0 when the other saves none. */
double report_factor(const struct sim_result *ours, const struct sim_result *other);

void report_table(const struct report *r, FILE *out);
int report_json(const struct report *r, FILE *out);  /* FG_ENOMEM, FG_EIO */
void report_plot(const struct report *r, FILE *out); /* an SVG picture */

#endif
