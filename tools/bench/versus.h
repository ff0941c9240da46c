/* Our rates beside those of llama.cpp's llama-bench, taken in turn. */
#ifndef FG_VERSUS_H
#define FG_VERSUS_H

#include "rates.h"

struct versus_side {
    char ran_on[256];         /* what it says it ran on */
    struct rates_test *tests; /* as the tests of struct rates, with this side's samples */
};

/* Runs `ours` (a fulgur-bench) and opt.llama_dir's llama-bench, each for one repetition of all of
 * r's tests, opt.reps times in turn: ours, llama-bench, ours, llama-bench. Both load the model and
 * warm up every time. Fills both sides, whose `tests` end with versus_finish(), also after a
 * failure. FG_ENOTFOUND (no llama-bench in DIR or DIR/bin), FG_EFORMAT (what was printed is not
 * what llama-bench -o json prints, or a test is missing), FG_EIO, FG_ENOMEM. */
int versus_measure(const struct rates *r, const char *ours, struct versus_side sides[2],
                   struct fg_err *err);
void versus_finish(const struct rates *r, struct versus_side sides[2]);
/* Writes both sides and their ratios (ours over theirs) in opt.format. */
void versus_print(const struct rates *r, const struct versus_side sides[2], FILE *out);

#endif
