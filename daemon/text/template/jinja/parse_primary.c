#include <string.h>

#include "function.h"
#include "parse.h"

static struct jj_node *constant(struct jj_parser *p, struct jj_node *n, struct jj_value v)
{
    n->op = JJ_N_CONST;
    n->value = v;
    jj_parse_next(p);
    return n;
}

static void note_name(struct jj_parser *p, const struct jj_name *name)
{
    p->caller |= name == p->program->caller;
    p->varargs |= name == p->program->varargs;
    p->kwargs |= name == p->program->kwargs;
}

static struct jj_node *parse_name(struct jj_parser *p, struct jj_node *n, unsigned how)
{
    const struct jj_str *text = p->now.value.s;

    if (jj_str_is(text, "true") || jj_str_is(text, "True"))
        return constant(p, n, jj_bool(true));
    if (jj_str_is(text, "false") || jj_str_is(text, "False"))
        return constant(p, n, jj_bool(false));
    if (jj_str_is(text, "none") || jj_str_is(text, "None"))
        return constant(p, n, jj_none());
    jj_parse_next(p);
    n->name = jj_parse_name(p, text);
    note_name(p, n->name);
    if (!(how & JJ_P_NAMESPACE) || !jj_parse_skip(p, JJ_T_DOT))
        return n;
    n->op = JJ_N_NAMESPACE_REF;
    n->attribute = jj_parse_expect(p, JJ_T_NAME, "a name").value.s;
    return n;
}

/* Literals that follow each other are one. */
static struct jj_node *parse_string(struct jj_parser *p, struct jj_node *n)
{
    struct jj_value first = p->now.value;
    struct jj_text t = {0};

    constant(p, n, first);
    if (p->now.kind != JJ_T_STRING)
        return n;
    jj_text_str(p->j, &t, first.s);
    while (p->now.kind == JJ_T_STRING)
        jj_text_str(p->j, &t, jj_parse_next(p).value.s);
    n->value = jj_of_str(jj_text_end(p->j, &t));
    return n;
}

static struct jj_node *parse_list(struct jj_parser *p, struct jj_node *n)
{
    n->op = JJ_N_LIST;
    jj_parse_next(p);
    while (p->now.kind != JJ_T_RBRACKET) {
        if (n->n)
            jj_parse_expect(p, JJ_T_COMMA, "','");
        if (p->now.kind == JJ_T_RBRACKET)
            break;
        jj_parse_add(p, n, jj_parse_expression(p, true));
    }
    jj_parse_next(p);
    return n;
}

static struct jj_node *parse_dict(struct jj_parser *p, struct jj_node *n)
{
    n->op = JJ_N_DICT;
    jj_parse_next(p);
    while (p->now.kind != JJ_T_RBRACE) {
        if (n->n)
            jj_parse_expect(p, JJ_T_COMMA, "','");
        if (p->now.kind == JJ_T_RBRACE)
            break;
        jj_parse_add(p, n, jj_parse_expression(p, true));
        jj_parse_expect(p, JJ_T_COLON, "':'");
        jj_parse_add(p, n, jj_parse_expression(p, true));
    }
    jj_parse_next(p);
    return n;
}

struct jj_node *jj_parse_primary(struct jj_parser *p, unsigned how)
{
    struct jj_node *n = jj_parse_node(p, JJ_N_NAME);

    switch (p->now.kind) {
    case JJ_T_NAME: return parse_name(p, n, how);
    case JJ_T_STRING: return parse_string(p, n);
    case JJ_T_INTEGER:
    case JJ_T_FLOAT: return constant(p, n, p->now.value);
    case JJ_T_LPAREN:
        jj_parse_next(p);
        n = jj_parse_tuple(p, JJ_P_CONDITIONS | JJ_P_PARENTHESES);
        jj_parse_expect(p, JJ_T_RPAREN, "')'");
        return n;
    case JJ_T_LBRACKET: return parse_list(p, n);
    case JJ_T_LBRACE: return parse_dict(p, n);
    default: jj_parse_unexpected(p, NULL);
    }
}

static bool at_subscript_end(struct jj_parser *p)
{
    return p->now.kind == JJ_T_RBRACKET || p->now.kind == JJ_T_COMMA;
}

/* One index or slice between brackets. */
static struct jj_node *parse_index(struct jj_parser *p)
{
    struct jj_node *n = jj_parse_node(p, JJ_N_SLICE);

    if (p->now.kind != JJ_T_COLON) {
        n->a = jj_parse_expression(p, true);
        if (p->now.kind != JJ_T_COLON)
            return n->a;
    }
    jj_parse_next(p);
    if (p->now.kind != JJ_T_COLON && !at_subscript_end(p))
        n->b = jj_parse_expression(p, true);
    if (jj_parse_skip(p, JJ_T_COLON) && !at_subscript_end(p))
        n->c = jj_parse_expression(p, true);
    return n;
}

static struct jj_node *parse_brackets(struct jj_parser *p, struct jj_node *of)
{
    struct jj_node *n = jj_parse_node(p, JJ_N_ITEM), *tuple = jj_parse_node(p, JJ_N_TUPLE);

    n->a = of;
    jj_parse_next(p);
    while (p->now.kind != JJ_T_RBRACKET) {
        if (tuple->n)
            jj_parse_expect(p, JJ_T_COMMA, "','");
        jj_parse_add(p, tuple, parse_index(p));
    }
    jj_parse_next(p);
    n->b = tuple->n == 1 ? tuple->list[0] : tuple;
    return n;
}

static struct jj_node *parse_attribute(struct jj_parser *p, struct jj_node *of)
{
    struct jj_node *n = jj_parse_node(p, JJ_N_ATTR);
    struct jj_token t;

    jj_parse_next(p);
    n->a = of;
    t = p->now;
    if (t.kind == JJ_T_NAME) {
        n->attribute = t.value.s;
    } else if (t.kind == JJ_T_INTEGER) {
        n->op = JJ_N_ITEM;
        n->b = jj_parse_node(p, JJ_N_CONST);
        n->b->value = t.value;
    } else {
        jj_parse_unexpected(p, "a name or a number");
    }
    jj_parse_next(p);
    return n;
}

static struct jj_node *parse_call(struct jj_parser *p, struct jj_node *of)
{
    struct jj_node *n = jj_parse_node(p, JJ_N_CALL);

    n->a = of;
    n->args = jj_parse_call_args(p);
    return n;
}

struct jj_node *jj_parse_postfix(struct jj_parser *p, struct jj_node *n)
{
    for (;;) {
        if (p->now.kind == JJ_T_DOT)
            n = parse_attribute(p, n);
        else if (p->now.kind == JJ_T_LBRACKET)
            n = parse_brackets(p, n);
        else if (p->now.kind == JJ_T_LPAREN)
            n = parse_call(p, n);
        else
            return n;
    }
}

static void add_keyword(struct jj_parser *p, struct jj_call_args *args)
{
    struct jj_call_keyword k = {.name = jj_parse_next(p).value.s};

    jj_parse_next(p); /* = */
    k.value = jj_parse_expression(p, true);
    for (size_t i = 0; i < args->n_keywords; i++) {
        if (jj_str_eq(args->keywords[i].name, k.name))
            jj_parse_fail(p, "keyword argument repeated");
    }
    jj_spend(p->j, args->n_keywords);
    args->keywords = jj_grow(p->j, args->keywords, &args->cap_keywords, args->n_keywords + 1,
                             sizeof *args->keywords);
    args->keywords[args->n_keywords++] = k;
}

static void parse_argument(struct jj_parser *p, struct jj_call_args *args)
{
    bool keywords = args->n_keywords || args->all_keywords;

    if (p->now.kind == JJ_T_MUL && !args->all && !args->all_keywords) {
        jj_parse_next(p);
        args->all = jj_parse_expression(p, true);
    } else if (p->now.kind == JJ_T_POW && !args->all_keywords) {
        jj_parse_next(p);
        args->all_keywords = jj_parse_expression(p, true);
    } else if (p->now.kind == JJ_T_NAME && jj_parse_peek(p)->kind == JJ_T_ASSIGN) {
        if (args->all_keywords)
            jj_parse_fail(p, "invalid syntax for function call expression");
        add_keyword(p, args);
    } else {
        if (keywords || args->all)
            jj_parse_fail(p, "invalid syntax for function call expression");
        args->positional =
            jj_grow(p->j, args->positional, &args->cap, args->n + 1, sizeof *args->positional);
        args->positional[args->n++] = jj_parse_expression(p, true);
    }
}

const struct jj_call_args *jj_parse_call_args(struct jj_parser *p)
{
    struct jj_call_args *args = jj_alloc(p->j, sizeof *args);
    bool more = false;

    jj_parse_expect(p, JJ_T_LPAREN, "'('");
    while (p->now.kind != JJ_T_RPAREN) {
        if (more)
            jj_parse_expect(p, JJ_T_COMMA, "','");
        more = true;
        if (p->now.kind == JJ_T_RPAREN)
            break;
        parse_argument(p, args);
    }
    jj_parse_next(p);
    return args;
}

/* The name of a filter or a test, which may have points in it. */
static void parse_function_name(struct jj_parser *p, struct jj_node *n,
                                const struct jj_function *table)
{
    struct jj_text t = {0};

    jj_text_str(p->j, &t, jj_parse_expect(p, JJ_T_NAME, "a name").value.s);
    while (jj_parse_skip(p, JJ_T_DOT)) {
        jj_text_c(p->j, &t, ".", 0);
        jj_text_str(p->j, &t, jj_parse_expect(p, JJ_T_NAME, "a name").value.s);
    }
    n->attribute = jj_text_end(p->j, &t);
    n->function = jj_find_function(table, n->attribute);
    if (!n->function && !p->unknown)
        p->unknown = n;
}

struct jj_node *jj_parse_filters(struct jj_parser *p, struct jj_node *of, bool inside)
{
    static const struct jj_call_args none;

    while (inside || jj_parse_skip(p, JJ_T_PIPE)) {
        struct jj_node *n = jj_parse_node(p, JJ_N_FILTER);

        n->a = of;
        parse_function_name(p, n, jj_filters);
        n->args = p->now.kind == JJ_T_LPAREN ? jj_parse_call_args(p) : &none;
        of = n;
        inside = false;
    }
    return of;
}

static bool at_test_argument(struct jj_parser *p)
{
    switch (p->now.kind) {
    case JJ_T_NAME:
        return !jj_parse_at_word(p, "else") && !jj_parse_at_word(p, "or") &&
               !jj_parse_at_word(p, "and");
    case JJ_T_STRING:
    case JJ_T_INTEGER:
    case JJ_T_FLOAT:
    case JJ_T_LBRACKET:
    case JJ_T_LBRACE: return true;
    default: return false;
    }
}

static struct jj_node *parse_test(struct jj_parser *p, struct jj_node *of)
{
    struct jj_node *n = jj_parse_node(p, JJ_N_TEST), *no;
    struct jj_call_args *args;
    bool negated;

    jj_parse_next(p);
    negated = jj_parse_skip_word(p, "not");
    n->a = of;
    parse_function_name(p, n, jj_tests);
    if (p->now.kind == JJ_T_LPAREN) {
        n->args = jj_parse_call_args(p);
    } else {
        n->args = args = jj_alloc(p->j, sizeof *args);
        if (at_test_argument(p)) {
            if (jj_parse_at_word(p, "is"))
                jj_parse_fail(p, "You cannot chain multiple tests with is");
            args->positional = jj_grow(p->j, NULL, &args->cap, 1, sizeof *args->positional);
            args->positional[args->n++] = jj_parse_postfix(p, jj_parse_primary(p, 0));
        }
    }
    if (!negated)
        return n;
    no = jj_parse_node(p, JJ_N_NOT);
    no->a = n;
    return no;
}

struct jj_node *jj_parse_filter_expression(struct jj_parser *p, struct jj_node *n)
{
    for (;;) {
        if (p->now.kind == JJ_T_PIPE)
            n = jj_parse_filters(p, n, false);
        else if (jj_parse_at_word(p, "is"))
            n = parse_test(p, n);
        else if (p->now.kind == JJ_T_LPAREN)
            n = parse_call(p, n);
        else
            return n;
    }
}
