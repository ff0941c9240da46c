#include "eval.h"

#include <string.h>

static struct fg_jj_value eval_list(struct fg_jj *j, const struct fg_jj_node *n)
{
    struct fg_jj_list *l = fg_jj_list(j);

    for (size_t i = 0; i < n->n; i++)
        fg_jj_push(j, l, fg_jj_eval(j, n->list[i]));
    return fg_jj_of_list(n->op == FG_JJ_N_TUPLE ? FG_JJ_TUPLE : FG_JJ_LIST, l);
}

static struct fg_jj_value eval_dict(struct fg_jj *j, const struct fg_jj_node *n)
{
    struct fg_jj_dict *d = fg_jj_dict(j);

    for (size_t i = 0; i < n->n; i += 2) {
        struct fg_jj_value key = fg_jj_eval(j, n->list[i]);

        fg_jj_dict_set(j, d, key, fg_jj_eval(j, n->list[i + 1]));
    }
    return fg_jj_of_dict(d);
}

static struct fg_jj_value eval_cond(struct fg_jj *j, const struct fg_jj_node *n)
{
    if (fg_jj_eval_true(j, n->b))
        return fg_jj_eval(j, n->a);
    if (n->c)
        return fg_jj_eval(j, n->c);
    return fg_jj_undefined(j, "the inline if-expression evaluated to false and no else section was "
                              "defined.");
}

/* The first value that decides, or the last. */
static struct fg_jj_value eval_logic(struct fg_jj *j, const struct fg_jj_node *n)
{
    struct fg_jj_value v = {0};

    for (size_t i = 0; i < n->n; i++) {
        v = fg_jj_eval(j, n->list[i]);
        if (i + 1 < n->n && fg_jj_true(v) == (n->op == FG_JJ_N_OR))
            break;
    }
    return v;
}

static bool compare(struct fg_jj *j, enum fg_jj_compare op, struct fg_jj_value a,
                    struct fg_jj_value b)
{
    static const char *const signs[] = {
        [FG_JJ_C_LT] = "<", [FG_JJ_C_LE] = "<=", [FG_JJ_C_GT] = ">", [FG_JJ_C_GE] = ">="};
    int order;

    if (op == FG_JJ_C_EQ || op == FG_JJ_C_NE)
        return fg_jj_equal(j, a, b) == (op == FG_JJ_C_EQ);
    if (op == FG_JJ_C_IN || op == FG_JJ_C_NOT_IN)
        return fg_jj_contains(j, b, a) == (op == FG_JJ_C_IN);
    order = fg_jj_order(j, a, b, signs[op]);
    if (order == FG_JJ_UNORDERED)
        return false;
    switch (op) {
    case FG_JJ_C_LT: return order < 0;
    case FG_JJ_C_LE: return order <= 0;
    case FG_JJ_C_GT: return order > 0;
    default: return order >= 0;
    }
}

static struct fg_jj_value eval_compare(struct fg_jj *j, const struct fg_jj_node *n)
{
    struct fg_jj_value a = fg_jj_eval(j, n->a);

    for (size_t i = 0; i < n->n; i++) {
        struct fg_jj_value b = fg_jj_eval(j, n->list[i]->a);

        if (!compare(j, n->list[i]->compare, a, b))
            return fg_jj_bool(false);
        a = b;
    }
    return fg_jj_bool(true);
}

static struct fg_jj_value eval_concat(struct fg_jj *j, const struct fg_jj_node *n)
{
    struct fg_jj_text t = {0};

    for (size_t i = 0; i < n->n; i++)
        fg_jj_print(j, &t, fg_jj_eval(j, n->list[i]));
    return fg_jj_of_str(fg_jj_text_end(j, &t));
}

static struct fg_jj_value eval_item(struct fg_jj *j, const struct fg_jj_node *n)
{
    struct fg_jj_value of = fg_jj_eval(j, n->a), part[3] = {0};
    const struct fg_jj_node *const parts[] = {n->b->a, n->b->b, n->b->c};

    if (n->b->op != FG_JJ_N_SLICE)
        return fg_jj_item(j, of, fg_jj_eval(j, n->b));
    for (int i = 0; i < 3; i++) {
        if (parts[i])
            part[i] = fg_jj_eval(j, parts[i]);
    }
    return fg_jj_slice(j, of, part);
}

static struct fg_jj_value eval_call(struct fg_jj *j, const struct fg_jj_node *n)
{
    struct fg_jj_value callee = fg_jj_eval(j, n->a);
    struct fg_jj_args args = fg_jj_eval_args(j, n->args);

    j->line = n->line;
    j->column = n->column;
    return fg_jj_call_value(j, callee, &args);
}

static struct fg_jj_value eval_function(struct fg_jj *j, const struct fg_jj_node *n,
                                        struct fg_jj_value self)
{
    struct fg_jj_args args;

    if (!n->function)
        fg_jj_raise(j, "No %s named '%.*s' found.", n->op == FG_JJ_N_TEST ? "test" : "filter",
                    (int)n->attribute->n, n->attribute->p);
    args = fg_jj_eval_args(j, n->args);
    j->line = n->line;
    j->column = n->column;
    return fg_jj_call_function(j, n->function, self, &args);
}

struct fg_jj_value fg_jj_eval_filters(struct fg_jj *j, const struct fg_jj_node *n,
                                      struct fg_jj_value text)
{
    if (!n)
        return text;
    fg_jj_enter(j);
    text = fg_jj_eval_filters(j, n->a, text);
    fg_jj_leave(j);
    return eval_function(j, n, text);
}

/* What does not need to be quick. */
static struct fg_jj_value eval_more(struct fg_jj *j, const struct fg_jj_node *n)
{
    struct fg_jj_value a;

    switch (n->op) {
    case FG_JJ_N_LIST:
    case FG_JJ_N_TUPLE: return eval_list(j, n);
    case FG_JJ_N_DICT: return eval_dict(j, n);
    case FG_JJ_N_COND: return eval_cond(j, n);
    case FG_JJ_N_OR:
    case FG_JJ_N_AND: return eval_logic(j, n);
    case FG_JJ_N_NOT: return fg_jj_bool(!fg_jj_eval_true(j, n->a));
    case FG_JJ_N_COMPARE: return eval_compare(j, n);
    case FG_JJ_N_MATH:
        a = fg_jj_eval(j, n->a);
        return fg_jj_compute(j, n->math, a, fg_jj_eval(j, n->b));
    case FG_JJ_N_CONCAT: return eval_concat(j, n);
    case FG_JJ_N_NEG:
    case FG_JJ_N_POS: return fg_jj_negative(j, fg_jj_eval(j, n->a), n->op == FG_JJ_N_NEG);
    case FG_JJ_N_ITEM: return eval_item(j, n);
    case FG_JJ_N_CALL: return eval_call(j, n);
    case FG_JJ_N_FILTER:
    case FG_JJ_N_TEST: return eval_function(j, n, fg_jj_eval(j, n->a));
    case FG_JJ_N_SLICE: fg_jj_raise(j, "slices in a tuple are not supported");
    default: fg_jj_raise(j, "this is no expression");
    }
}

struct fg_jj_value fg_jj_eval(struct fg_jj *j, const struct fg_jj_node *n)
{
    struct fg_jj_value v;

    fg_jj_spend(j, 1);
    if (n->op == FG_JJ_N_CONST)
        return n->value;
    j->line = n->line;
    j->column = n->column;
    if (n->op == FG_JJ_N_NAME)
        return fg_jj_lookup(j, n);
    fg_jj_enter(j);
    if (n->op == FG_JJ_N_ATTR)
        v = fg_jj_attribute(j, fg_jj_eval(j, n->a), n->attribute);
    else
        v = eval_more(j, n);
    fg_jj_leave(j);
    return v;
}

bool fg_jj_eval_true(struct fg_jj *j, const struct fg_jj_node *n)
{
    return fg_jj_true(fg_jj_eval(j, n));
}
