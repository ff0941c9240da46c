/* Text up to the first of some words: what a model writes freely before it begins something. */
#ifndef FG_GRAMMAR_UNTIL_H
#define FG_GRAMMAR_UNTIL_H

#include "expr.h"

enum { FG_UNTIL_ENDS = 4 };

struct fg_until {
    struct {
        struct fg_str word; /* UTF-8, or a mark: one byte that is none */
        fg_expr then;       /* what follows it; FG_EXPR_NEVER: the text does not hold the word */
    } ends[FG_UNTIL_ENDS];
    size_t n;
    bool may_stop;     /* the text may also be whole without any of them */
    const char *marks; /* those that the text may hold; NULL: none */
    uint32_t begun;    /* out: the rule of what follows the first character of ends[0] */
};

/* Sets the rule. FG_EINVAL: a word is empty, or too long; FG_ENOMEM. */
int fg_expr_until(struct fg_exprs *x, uint32_t rule, struct fg_until *u, struct fg_err *err);

#endif
