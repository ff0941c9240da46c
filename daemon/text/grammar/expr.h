/* Expressions over bytes: what the front ends (JSON Schema, GBNF, regular expressions) make of what
 * they read, and what a grammar is compiled from.
 *
 * An expression is built bottom-up and is a handle; rules are expressions that may name each other.
 * What goes wrong is remembered in `error`, so that a chain of calls is checked once, at its end. A
 * set is one thread's. */
#ifndef FG_GRAMMAR_EXPR_H
#define FG_GRAMMAR_EXPR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "fulgur/error.h"
#include "fulgur/str.h"

typedef uint32_t fg_expr;

enum { FG_EXPR_NEVER, FG_EXPR_EMPTY }; /* matches nothing at all; matches the empty text */
#define FG_EXPR_ANY_NUMBER UINT32_MAX
enum {
    FG_EXPR_MAX_NODES = 1 << 19,
    FG_EXPR_MAX_REPEAT = 1 << 15, /* the largest count of a repetition */
};

enum fg_expr_kind {
    FG_EXPR_KIND_NEVER,
    FG_EXPR_KIND_EMPTY,
    FG_EXPR_KIND_BYTE,   /* one byte, low..high */
    FG_EXPR_KIND_SEQ,    /* left, then right */
    FG_EXPR_KIND_ALT,    /* left or right */
    FG_EXPR_KIND_REPEAT, /* left, least..most times */
    FG_EXPR_KIND_RULE,   /* the rule `left` */
};

struct fg_expr_node {
    uint8_t kind, low, high;
    uint32_t left, right; /* below the node's own index, but for a rule's number */
    uint32_t least, most;
};

struct fg_exprs {
    struct fg_expr_node *nodes;
    size_t n, cap;
    fg_expr *rules; /* their bodies; FG_EXPR_NEVER until set */
    size_t n_rules, cap_rules;
    int error; /* 0; FG_ENOMEM; FG_EFULL: more than FG_EXPR_MAX_NODES, or a count too large */
};

/* Ends with fg_exprs_finish(), also where this fails: then error is set. */
void fg_exprs_init(struct fg_exprs *x);
void fg_exprs_finish(struct fg_exprs *x);

fg_expr fg_expr_byte(struct fg_exprs *x, uint8_t low, uint8_t high);
fg_expr fg_expr_text(struct fg_exprs *x, struct fg_str bytes);
fg_expr fg_expr_literal(struct fg_exprs *x, const char *text);
/* Chains of both are built to the left: seq(seq(a, b), c). */
fg_expr fg_expr_seq(struct fg_exprs *x, fg_expr a, fg_expr b);
fg_expr fg_expr_alt(struct fg_exprs *x, fg_expr a, fg_expr b);
fg_expr fg_expr_optional(struct fg_exprs *x, fg_expr a);
/* most: FG_EXPR_ANY_NUMBER where there is no limit. */
fg_expr fg_expr_repeat(struct fg_exprs *x, fg_expr a, uint32_t least, uint32_t most);
/* A new rule's number; its body is set once. */
uint32_t fg_expr_new_rule(struct fg_exprs *x);
void fg_expr_set_rule(struct fg_exprs *x, uint32_t rule, fg_expr body);
fg_expr fg_expr_rule(struct fg_exprs *x, uint32_t rule);

/* Code points first..last of UTF-8, without surrogates. */
fg_expr fg_expr_code_points(struct fg_exprs *x, uint32_t first, uint32_t last);

#endif
