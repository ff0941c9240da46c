#include "eval.h"

#include <string.h>

static struct jj_value eval_list(struct jj *j, const struct jj_node *n)
{
    struct jj_list *l = jj_list(j);

    for (size_t i = 0; i < n->n; i++)
        jj_push(j, l, jj_eval(j, n->list[i]));
    return jj_of_list(n->op == JJ_N_TUPLE ? JJ_TUPLE : JJ_LIST, l);
}

static struct jj_value eval_dict(struct jj *j, const struct jj_node *n)
{
    struct jj_dict *d = jj_dict(j);

    for (size_t i = 0; i < n->n; i += 2) {
        struct jj_value key = jj_eval(j, n->list[i]);

        jj_dict_set(j, d, key, jj_eval(j, n->list[i + 1]));
    }
    return jj_of_dict(d);
}

static struct jj_value eval_cond(struct jj *j, const struct jj_node *n)
{
    if (jj_eval_true(j, n->b))
        return jj_eval(j, n->a);
    if (n->c)
        return jj_eval(j, n->c);
    return jj_undefined(j, "the inline if-expression evaluated to false and no else section was "
                           "defined.");
}

/* The first value that decides, or the last. */
static struct jj_value eval_logic(struct jj *j, const struct jj_node *n)
{
    struct jj_value v = {0};

    for (size_t i = 0; i < n->n; i++) {
        v = jj_eval(j, n->list[i]);
        if (i + 1 < n->n && jj_true(v) == (n->op == JJ_N_OR))
            break;
    }
    return v;
}

static bool compare(struct jj *j, enum jj_compare op, struct jj_value a, struct jj_value b)
{
    static const char *const signs[] = {
        [JJ_C_LT] = "<", [JJ_C_LE] = "<=", [JJ_C_GT] = ">", [JJ_C_GE] = ">="};
    int order;

    if (op == JJ_C_EQ || op == JJ_C_NE)
        return jj_equal(j, a, b) == (op == JJ_C_EQ);
    if (op == JJ_C_IN || op == JJ_C_NOT_IN)
        return jj_contains(j, b, a) == (op == JJ_C_IN);
    order = jj_order(j, a, b, signs[op]);
    if (order == JJ_UNORDERED)
        return false;
    switch (op) {
    case JJ_C_LT: return order < 0;
    case JJ_C_LE: return order <= 0;
    case JJ_C_GT: return order > 0;
    default: return order >= 0;
    }
}

static struct jj_value eval_compare(struct jj *j, const struct jj_node *n)
{
    struct jj_value a = jj_eval(j, n->a);

    for (size_t i = 0; i < n->n; i++) {
        struct jj_value b = jj_eval(j, n->list[i]->a);

        if (!compare(j, n->list[i]->compare, a, b))
            return jj_bool(false);
        a = b;
    }
    return jj_bool(true);
}

static struct jj_value eval_concat(struct jj *j, const struct jj_node *n)
{
    struct jj_text t = {0};

    for (size_t i = 0; i < n->n; i++)
        jj_print(j, &t, jj_eval(j, n->list[i]));
    return jj_of_str(jj_text_end(j, &t));
}

static struct jj_value eval_item(struct jj *j, const struct jj_node *n)
{
    struct jj_value of = jj_eval(j, n->a), part[3] = {0};
    const struct jj_node *const parts[] = {n->b->a, n->b->b, n->b->c};

    if (n->b->op != JJ_N_SLICE)
        return jj_item(j, of, jj_eval(j, n->b));
    for (int i = 0; i < 3; i++) {
        if (parts[i])
            part[i] = jj_eval(j, parts[i]);
    }
    return jj_slice(j, of, part);
}

static struct jj_value eval_call(struct jj *j, const struct jj_node *n)
{
    struct jj_value callee = jj_eval(j, n->a);
    struct jj_args args = jj_eval_args(j, n->args);

    j->line = n->line;
    j->column = n->column;
    return jj_call_value(j, callee, &args);
}

static struct jj_value eval_function(struct jj *j, const struct jj_node *n, struct jj_value self)
{
    struct jj_args args;

    if (!n->function)
        jj_raise(j, "No %s named '%.*s' found.", n->op == JJ_N_TEST ? "test" : "filter",
                 (int)n->attribute->n, n->attribute->p);
    args = jj_eval_args(j, n->args);
    j->line = n->line;
    j->column = n->column;
    return jj_call_function(j, n->function, self, &args);
}

struct jj_value jj_eval_filters(struct jj *j, const struct jj_node *n, struct jj_value text)
{
    if (!n)
        return text;
    jj_enter(j);
    text = jj_eval_filters(j, n->a, text);
    jj_leave(j);
    return eval_function(j, n, text);
}

/* What does not need to be quick. */
static struct jj_value eval_more(struct jj *j, const struct jj_node *n)
{
    struct jj_value a;

    switch (n->op) {
    case JJ_N_LIST:
    case JJ_N_TUPLE: return eval_list(j, n);
    case JJ_N_DICT: return eval_dict(j, n);
    case JJ_N_COND: return eval_cond(j, n);
    case JJ_N_OR:
    case JJ_N_AND: return eval_logic(j, n);
    case JJ_N_NOT: return jj_bool(!jj_eval_true(j, n->a));
    case JJ_N_COMPARE: return eval_compare(j, n);
    case JJ_N_MATH: a = jj_eval(j, n->a); return jj_compute(j, n->math, a, jj_eval(j, n->b));
    case JJ_N_CONCAT: return eval_concat(j, n);
    case JJ_N_NEG:
    case JJ_N_POS: return jj_negative(j, jj_eval(j, n->a), n->op == JJ_N_NEG);
    case JJ_N_ITEM: return eval_item(j, n);
    case JJ_N_CALL: return eval_call(j, n);
    case JJ_N_FILTER:
    case JJ_N_TEST: return eval_function(j, n, jj_eval(j, n->a));
    case JJ_N_SLICE: jj_raise(j, "slices in a tuple are not supported");
    default: jj_raise(j, "this is no expression");
    }
}

struct jj_value jj_eval(struct jj *j, const struct jj_node *n)
{
    struct jj_value v;

    jj_spend(j, 1);
    if (n->op == JJ_N_CONST)
        return n->value;
    j->line = n->line;
    j->column = n->column;
    if (n->op == JJ_N_NAME)
        return jj_lookup(j, n);
    jj_enter(j);
    if (n->op == JJ_N_ATTR)
        v = jj_attribute(j, jj_eval(j, n->a), n->attribute);
    else
        v = eval_more(j, n);
    jj_leave(j);
    return v;
}

bool jj_eval_true(struct jj *j, const struct jj_node *n)
{
    return jj_true(jj_eval(j, n));
}
