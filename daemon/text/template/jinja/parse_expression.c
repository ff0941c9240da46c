#include <string.h>

#include "parse.h"

static struct jj_node *binary(struct jj_parser *p, enum jj_op op, struct jj_node *a)
{
    struct jj_node *n = jj_parse_node(p, op);

    n->a = a;
    return n;
}

/* Sign, power, product: each level reads the next. */
static struct jj_node *parse_unary(struct jj_parser *p, bool filters)
{
    struct jj_node *n;

    jj_enter(p->j);
    if (p->now.kind == JJ_T_SUB || p->now.kind == JJ_T_ADD) {
        n = jj_parse_node(p, p->now.kind == JJ_T_SUB ? JJ_N_NEG : JJ_N_POS);
        jj_parse_next(p);
        n->a = parse_unary(p, false);
    } else {
        n = jj_parse_primary(p, 0);
    }
    n = jj_parse_postfix(p, n);
    if (filters)
        n = jj_parse_filter_expression(p, n);
    jj_leave(p->j);
    return n;
}

static struct jj_node *math(struct jj_parser *p, enum jj_math op, struct jj_node *a)
{
    struct jj_node *n = binary(p, JJ_N_MATH, a);

    n->math = op;
    jj_parse_next(p);
    return n;
}

static struct jj_node *parse_power(struct jj_parser *p)
{
    struct jj_node *n = parse_unary(p, true);

    while (p->now.kind == JJ_T_POW) {
        n = math(p, JJ_POW, n);
        n->b = parse_unary(p, true);
    }
    return n;
}

static struct jj_node *parse_product(struct jj_parser *p)
{
    struct jj_node *n = parse_power(p);

    for (;;) {
        switch (p->now.kind) {
        case JJ_T_MUL: n = math(p, JJ_MUL, n); break;
        case JJ_T_DIV: n = math(p, JJ_DIV, n); break;
        case JJ_T_FLOORDIV: n = math(p, JJ_FLOORDIV, n); break;
        case JJ_T_MOD: n = math(p, JJ_MOD, n); break;
        default: return n;
        }
        n->b = parse_power(p);
    }
}

static struct jj_node *parse_concat(struct jj_parser *p)
{
    struct jj_node *first = parse_product(p), *n;

    if (p->now.kind != JJ_T_TILDE)
        return first;
    n = jj_parse_node(p, JJ_N_CONCAT);
    jj_parse_add(p, n, first);
    while (jj_parse_skip(p, JJ_T_TILDE))
        jj_parse_add(p, n, parse_product(p));
    return n;
}

static struct jj_node *parse_sum(struct jj_parser *p)
{
    struct jj_node *n = parse_concat(p);

    while (p->now.kind == JJ_T_ADD || p->now.kind == JJ_T_SUB) {
        n = math(p, p->now.kind == JJ_T_ADD ? JJ_ADD : JJ_SUB, n);
        n->b = parse_concat(p);
    }
    return n;
}

/* Takes an operator of comparisons, if there is one. */
static bool take_compare(struct jj_parser *p, enum jj_compare *op)
{
    switch (p->now.kind) {
    case JJ_T_EQ: *op = JJ_C_EQ; break;
    case JJ_T_NE: *op = JJ_C_NE; break;
    case JJ_T_LT: *op = JJ_C_LT; break;
    case JJ_T_LE: *op = JJ_C_LE; break;
    case JJ_T_GT: *op = JJ_C_GT; break;
    case JJ_T_GE: *op = JJ_C_GE; break;
    default:
        *op = JJ_C_IN;
        if (jj_parse_at_word(p, "in"))
            break;
        if (!jj_parse_at_word(p, "not") || jj_parse_peek(p)->kind != JJ_T_NAME ||
            !jj_str_is(jj_parse_peek(p)->value.s, "in"))
            return false;
        *op = JJ_C_NOT_IN;
        jj_parse_next(p);
    }
    jj_parse_next(p);
    return true;
}

static struct jj_node *parse_compare(struct jj_parser *p)
{
    struct jj_node *first = parse_sum(p), *n = NULL, *operand;
    enum jj_compare op;

    for (;;) {
        operand = jj_parse_node(p, JJ_N_OPERAND);
        if (!take_compare(p, &op))
            return n ? n : first;
        if (!n)
            n = binary(p, JJ_N_COMPARE, first);
        operand->compare = op;
        operand->a = parse_sum(p);
        jj_parse_add(p, n, operand);
    }
}

static struct jj_node *parse_not(struct jj_parser *p)
{
    struct jj_node *n;

    if (!jj_parse_at_word(p, "not"))
        return parse_compare(p);
    n = jj_parse_node(p, JJ_N_NOT);
    jj_parse_next(p);
    jj_enter(p->j);
    n->a = parse_not(p);
    jj_leave(p->j);
    return n;
}

static struct jj_node *parse_and(struct jj_parser *p)
{
    struct jj_node *first = parse_not(p), *n;

    if (!jj_parse_at_word(p, "and"))
        return first;
    n = jj_parse_node(p, JJ_N_AND);
    jj_parse_add(p, n, first);
    while (jj_parse_skip_word(p, "and"))
        jj_parse_add(p, n, parse_not(p));
    return n;
}

static struct jj_node *parse_or(struct jj_parser *p)
{
    struct jj_node *first = parse_and(p), *n;

    if (!jj_parse_at_word(p, "or"))
        return first;
    n = jj_parse_node(p, JJ_N_OR);
    jj_parse_add(p, n, first);
    while (jj_parse_skip_word(p, "or"))
        jj_parse_add(p, n, parse_and(p));
    return n;
}

struct jj_node *jj_parse_expression(struct jj_parser *p, bool conditions)
{
    const struct jj_node *unknown = p->unknown;
    struct jj_node *n, *cond;

    jj_enter(p->j);
    n = parse_or(p);
    while (conditions && jj_parse_at_word(p, "if")) {
        cond = binary(p, JJ_N_COND, n);
        jj_parse_next(p);
        cond->b = parse_or(p);
        if (jj_parse_skip_word(p, "else"))
            cond->c = jj_parse_expression(p, true);
        n = cond;
        p->unknown = unknown;
    }
    jj_leave(p->j);
    return n;
}

static bool at_tuple_end(struct jj_parser *p)
{
    return p->now.kind == JJ_T_VARIABLE_END || p->now.kind == JJ_T_BLOCK_END ||
           p->now.kind == JJ_T_RPAREN;
}

struct jj_node *jj_parse_tuple(struct jj_parser *p, unsigned how)
{
    struct jj_node *tuple = jj_parse_node(p, JJ_N_TUPLE), *n;
    bool commas = false;

    jj_enter(p->j);
    while (!at_tuple_end(p)) {
        n = how & JJ_P_TARGET ? jj_parse_primary(p, how)
                              : jj_parse_expression(p, how & JJ_P_CONDITIONS);
        jj_parse_add(p, tuple, n);
        if (!jj_parse_skip(p, JJ_T_COMMA))
            break;
        commas = true;
    }
    jj_leave(p->j);
    if (commas)
        return tuple;
    if (tuple->n)
        return tuple->list[0];
    if (!(how & JJ_P_PARENTHESES))
        jj_parse_unexpected(p, "an expression");
    return tuple;
}
