#include <string.h>

#include "parse.h"

static struct fg_jj_node *binary(struct fg_jj_parser *p, enum fg_jj_op op, struct fg_jj_node *a)
{
    struct fg_jj_node *n = fg_jj_parse_node(p, op);

    n->a = a;
    return n;
}

/* Sign, power, product: each level reads the next. */
static struct fg_jj_node *parse_unary(struct fg_jj_parser *p, bool filters)
{
    struct fg_jj_node *n;

    fg_jj_enter(p->j);
    if (p->now.kind == FG_JJ_T_SUB || p->now.kind == FG_JJ_T_ADD) {
        n = fg_jj_parse_node(p, p->now.kind == FG_JJ_T_SUB ? FG_JJ_N_NEG : FG_JJ_N_POS);
        fg_jj_parse_next(p);
        n->a = parse_unary(p, false);
    } else {
        n = fg_jj_parse_primary(p, 0);
    }
    n = fg_jj_parse_postfix(p, n);
    if (filters)
        n = fg_jj_parse_filter_expression(p, n);
    fg_jj_leave(p->j);
    return n;
}

static struct fg_jj_node *math(struct fg_jj_parser *p, enum fg_jj_math op, struct fg_jj_node *a)
{
    struct fg_jj_node *n = binary(p, FG_JJ_N_MATH, a);

    n->math = op;
    fg_jj_parse_next(p);
    return n;
}

static struct fg_jj_node *parse_power(struct fg_jj_parser *p)
{
    struct fg_jj_node *n = parse_unary(p, true);

    while (p->now.kind == FG_JJ_T_POW) {
        n = math(p, FG_JJ_POW, n);
        n->b = parse_unary(p, true);
    }
    return n;
}

static struct fg_jj_node *parse_product(struct fg_jj_parser *p)
{
    struct fg_jj_node *n = parse_power(p);

    for (;;) {
        switch (p->now.kind) {
        case FG_JJ_T_MUL: n = math(p, FG_JJ_MUL, n); break;
        case FG_JJ_T_DIV: n = math(p, FG_JJ_DIV, n); break;
        case FG_JJ_T_FLOORDIV: n = math(p, FG_JJ_FLOORDIV, n); break;
        case FG_JJ_T_MOD: n = math(p, FG_JJ_MOD, n); break;
        default: return n;
        }
        n->b = parse_power(p);
    }
}

static struct fg_jj_node *parse_concat(struct fg_jj_parser *p)
{
    struct fg_jj_node *first = parse_product(p), *n;

    if (p->now.kind != FG_JJ_T_TILDE)
        return first;
    n = fg_jj_parse_node(p, FG_JJ_N_CONCAT);
    fg_jj_parse_add(p, n, first);
    while (fg_jj_parse_skip(p, FG_JJ_T_TILDE))
        fg_jj_parse_add(p, n, parse_product(p));
    return n;
}

static struct fg_jj_node *parse_sum(struct fg_jj_parser *p)
{
    struct fg_jj_node *n = parse_concat(p);

    while (p->now.kind == FG_JJ_T_ADD || p->now.kind == FG_JJ_T_SUB) {
        n = math(p, p->now.kind == FG_JJ_T_ADD ? FG_JJ_ADD : FG_JJ_SUB, n);
        n->b = parse_concat(p);
    }
    return n;
}

/* Takes an operator of comparisons, if there is one. */
static bool take_compare(struct fg_jj_parser *p, enum fg_jj_compare *op)
{
    switch (p->now.kind) {
    case FG_JJ_T_EQ: *op = FG_JJ_C_EQ; break;
    case FG_JJ_T_NE: *op = FG_JJ_C_NE; break;
    case FG_JJ_T_LT: *op = FG_JJ_C_LT; break;
    case FG_JJ_T_LE: *op = FG_JJ_C_LE; break;
    case FG_JJ_T_GT: *op = FG_JJ_C_GT; break;
    case FG_JJ_T_GE: *op = FG_JJ_C_GE; break;
    default:
        *op = FG_JJ_C_IN;
        if (fg_jj_parse_at_word(p, "in"))
            break;
        if (!fg_jj_parse_at_word(p, "not") || fg_jj_parse_peek(p)->kind != FG_JJ_T_NAME ||
            !fg_jj_str_is(fg_jj_parse_peek(p)->value.s, "in"))
            return false;
        *op = FG_JJ_C_NOT_IN;
        fg_jj_parse_next(p);
    }
    fg_jj_parse_next(p);
    return true;
}

static struct fg_jj_node *parse_compare(struct fg_jj_parser *p)
{
    struct fg_jj_node *first = parse_sum(p), *n = NULL, *operand;
    enum fg_jj_compare op;

    for (;;) {
        operand = fg_jj_parse_node(p, FG_JJ_N_OPERAND);
        if (!take_compare(p, &op))
            return n ? n : first;
        if (!n)
            n = binary(p, FG_JJ_N_COMPARE, first);
        operand->compare = op;
        operand->a = parse_sum(p);
        fg_jj_parse_add(p, n, operand);
    }
}

static struct fg_jj_node *parse_not(struct fg_jj_parser *p)
{
    struct fg_jj_node *n;

    if (!fg_jj_parse_at_word(p, "not"))
        return parse_compare(p);
    n = fg_jj_parse_node(p, FG_JJ_N_NOT);
    fg_jj_parse_next(p);
    fg_jj_enter(p->j);
    n->a = parse_not(p);
    fg_jj_leave(p->j);
    return n;
}

static struct fg_jj_node *parse_and(struct fg_jj_parser *p)
{
    struct fg_jj_node *first = parse_not(p), *n;

    if (!fg_jj_parse_at_word(p, "and"))
        return first;
    n = fg_jj_parse_node(p, FG_JJ_N_AND);
    fg_jj_parse_add(p, n, first);
    while (fg_jj_parse_skip_word(p, "and"))
        fg_jj_parse_add(p, n, parse_not(p));
    return n;
}

static struct fg_jj_node *parse_or(struct fg_jj_parser *p)
{
    struct fg_jj_node *first = parse_and(p), *n;

    if (!fg_jj_parse_at_word(p, "or"))
        return first;
    n = fg_jj_parse_node(p, FG_JJ_N_OR);
    fg_jj_parse_add(p, n, first);
    while (fg_jj_parse_skip_word(p, "or"))
        fg_jj_parse_add(p, n, parse_and(p));
    return n;
}

struct fg_jj_node *fg_jj_parse_expression(struct fg_jj_parser *p, bool conditions)
{
    const struct fg_jj_node *unknown = p->unknown;
    struct fg_jj_node *n, *cond;

    fg_jj_enter(p->j);
    n = parse_or(p);
    while (conditions && fg_jj_parse_at_word(p, "if")) {
        cond = binary(p, FG_JJ_N_COND, n);
        fg_jj_parse_next(p);
        cond->b = parse_or(p);
        if (fg_jj_parse_skip_word(p, "else"))
            cond->c = fg_jj_parse_expression(p, true);
        n = cond;
        p->unknown = unknown;
    }
    fg_jj_leave(p->j);
    return n;
}

static bool at_tuple_end(struct fg_jj_parser *p)
{
    return p->now.kind == FG_JJ_T_VARIABLE_END || p->now.kind == FG_JJ_T_BLOCK_END ||
           p->now.kind == FG_JJ_T_RPAREN;
}

struct fg_jj_node *fg_jj_parse_tuple(struct fg_jj_parser *p, unsigned how)
{
    struct fg_jj_node *tuple = fg_jj_parse_node(p, FG_JJ_N_TUPLE), *n;
    bool commas = false;

    fg_jj_enter(p->j);
    while (!at_tuple_end(p)) {
        n = how & FG_JJ_P_TARGET ? fg_jj_parse_primary(p, how)
                                 : fg_jj_parse_expression(p, how & FG_JJ_P_CONDITIONS);
        fg_jj_parse_add(p, tuple, n);
        if (!fg_jj_parse_skip(p, FG_JJ_T_COMMA))
            break;
        commas = true;
    }
    fg_jj_leave(p->j);
    if (commas)
        return tuple;
    if (tuple->n)
        return tuple->list[0];
    if (!(how & FG_JJ_P_PARENTHESES))
        fg_jj_parse_unexpected(p, "an expression");
    return tuple;
}
