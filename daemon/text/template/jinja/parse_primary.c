#include <string.h>

#include "function.h"
#include "parse.h"

static const struct fg_jj_call_args *parse_call_args(struct fg_jj_parser *p);

static struct fg_jj_node *constant(struct fg_jj_parser *p, struct fg_jj_node *n,
                                   struct fg_jj_value v)
{
    n->op = FG_JJ_N_CONST;
    n->value = v;
    fg_jj_parse_next(p);
    return n;
}

static void note_name(struct fg_jj_parser *p, const struct fg_jj_name *name)
{
    p->caller |= name == p->program->caller;
    p->varargs |= name == p->program->varargs;
    p->kwargs |= name == p->program->kwargs;
}

static struct fg_jj_node *parse_name(struct fg_jj_parser *p, struct fg_jj_node *n, unsigned how)
{
    const struct fg_jj_str *text = p->now.value.s;

    if (fg_jj_str_is(text, "true") || fg_jj_str_is(text, "True"))
        return constant(p, n, fg_jj_bool(true));
    if (fg_jj_str_is(text, "false") || fg_jj_str_is(text, "False"))
        return constant(p, n, fg_jj_bool(false));
    if (fg_jj_str_is(text, "none") || fg_jj_str_is(text, "None"))
        return constant(p, n, fg_jj_none());
    fg_jj_parse_next(p);
    n->name = fg_jj_parse_name(p, text);
    note_name(p, n->name);
    if (!(how & FG_JJ_P_NAMESPACE) || !fg_jj_parse_skip(p, FG_JJ_T_DOT))
        return n;
    n->op = FG_JJ_N_NAMESPACE_REF;
    n->attribute = fg_jj_parse_expect(p, FG_JJ_T_NAME, "a name").value.s;
    return n;
}

/* Literals that follow each other are one. */
static struct fg_jj_node *parse_string(struct fg_jj_parser *p, struct fg_jj_node *n)
{
    struct fg_jj_value first = p->now.value;
    struct fg_jj_text t = {0};

    constant(p, n, first);
    if (p->now.kind != FG_JJ_T_STRING)
        return n;
    fg_jj_text_str(p->j, &t, first.s);
    while (p->now.kind == FG_JJ_T_STRING)
        fg_jj_text_str(p->j, &t, fg_jj_parse_next(p).value.s);
    n->value = fg_jj_of_str(fg_jj_text_end(p->j, &t));
    return n;
}

static struct fg_jj_node *parse_list(struct fg_jj_parser *p, struct fg_jj_node *n)
{
    n->op = FG_JJ_N_LIST;
    fg_jj_parse_next(p);
    while (p->now.kind != FG_JJ_T_RBRACKET) {
        if (n->n)
            fg_jj_parse_expect(p, FG_JJ_T_COMMA, "','");
        if (p->now.kind == FG_JJ_T_RBRACKET)
            break;
        fg_jj_parse_add(p, n, fg_jj_parse_expression(p, true));
    }
    fg_jj_parse_next(p);
    return n;
}

static struct fg_jj_node *parse_dict(struct fg_jj_parser *p, struct fg_jj_node *n)
{
    n->op = FG_JJ_N_DICT;
    fg_jj_parse_next(p);
    while (p->now.kind != FG_JJ_T_RBRACE) {
        if (n->n)
            fg_jj_parse_expect(p, FG_JJ_T_COMMA, "','");
        if (p->now.kind == FG_JJ_T_RBRACE)
            break;
        fg_jj_parse_add(p, n, fg_jj_parse_expression(p, true));
        fg_jj_parse_expect(p, FG_JJ_T_COLON, "':'");
        fg_jj_parse_add(p, n, fg_jj_parse_expression(p, true));
    }
    fg_jj_parse_next(p);
    return n;
}

struct fg_jj_node *fg_jj_parse_primary(struct fg_jj_parser *p, unsigned how)
{
    struct fg_jj_node *n = fg_jj_parse_node(p, FG_JJ_N_NAME);

    switch (p->now.kind) {
    case FG_JJ_T_NAME: return parse_name(p, n, how);
    case FG_JJ_T_STRING: return parse_string(p, n);
    case FG_JJ_T_INTEGER:
    case FG_JJ_T_FLOAT: return constant(p, n, p->now.value);
    case FG_JJ_T_LPAREN:
        fg_jj_parse_next(p);
        n = fg_jj_parse_tuple(p, FG_JJ_P_CONDITIONS | FG_JJ_P_PARENTHESES);
        fg_jj_parse_expect(p, FG_JJ_T_RPAREN, "')'");
        return n;
    case FG_JJ_T_LBRACKET: return parse_list(p, n);
    case FG_JJ_T_LBRACE: return parse_dict(p, n);
    default: fg_jj_parse_unexpected(p, NULL);
    }
}

static bool at_subscript_end(struct fg_jj_parser *p)
{
    return p->now.kind == FG_JJ_T_RBRACKET || p->now.kind == FG_JJ_T_COMMA;
}

/* One index or slice between brackets. */
static struct fg_jj_node *parse_index(struct fg_jj_parser *p)
{
    struct fg_jj_node *n = fg_jj_parse_node(p, FG_JJ_N_SLICE);

    if (p->now.kind != FG_JJ_T_COLON) {
        n->a = fg_jj_parse_expression(p, true);
        if (p->now.kind != FG_JJ_T_COLON)
            return n->a;
    }
    fg_jj_parse_next(p);
    if (p->now.kind != FG_JJ_T_COLON && !at_subscript_end(p))
        n->b = fg_jj_parse_expression(p, true);
    if (fg_jj_parse_skip(p, FG_JJ_T_COLON) && !at_subscript_end(p))
        n->c = fg_jj_parse_expression(p, true);
    return n;
}

static struct fg_jj_node *parse_brackets(struct fg_jj_parser *p, struct fg_jj_node *of)
{
    struct fg_jj_node *n = fg_jj_parse_node(p, FG_JJ_N_ITEM),
                      *tuple = fg_jj_parse_node(p, FG_JJ_N_TUPLE);

    n->a = of;
    fg_jj_parse_next(p);
    while (p->now.kind != FG_JJ_T_RBRACKET) {
        if (tuple->n)
            fg_jj_parse_expect(p, FG_JJ_T_COMMA, "','");
        fg_jj_parse_add(p, tuple, parse_index(p));
    }
    fg_jj_parse_next(p);
    n->b = tuple->n == 1 ? tuple->list[0] : tuple;
    return n;
}

static struct fg_jj_node *parse_attribute(struct fg_jj_parser *p, struct fg_jj_node *of)
{
    struct fg_jj_node *n = fg_jj_parse_node(p, FG_JJ_N_ATTR);
    struct fg_jj_token t;

    fg_jj_parse_next(p);
    n->a = of;
    t = p->now;
    if (t.kind == FG_JJ_T_NAME) {
        n->attribute = t.value.s;
    } else if (t.kind == FG_JJ_T_INTEGER) {
        n->op = FG_JJ_N_ITEM;
        n->b = fg_jj_parse_node(p, FG_JJ_N_CONST);
        n->b->value = t.value;
    } else {
        fg_jj_parse_unexpected(p, "a name or a number");
    }
    fg_jj_parse_next(p);
    return n;
}

static struct fg_jj_node *parse_call(struct fg_jj_parser *p, struct fg_jj_node *of)
{
    struct fg_jj_node *n = fg_jj_parse_node(p, FG_JJ_N_CALL);

    n->a = of;
    n->args = parse_call_args(p);
    return n;
}

struct fg_jj_node *fg_jj_parse_postfix(struct fg_jj_parser *p, struct fg_jj_node *n)
{
    for (;;) {
        if (p->now.kind == FG_JJ_T_DOT)
            n = parse_attribute(p, n);
        else if (p->now.kind == FG_JJ_T_LBRACKET)
            n = parse_brackets(p, n);
        else if (p->now.kind == FG_JJ_T_LPAREN)
            n = parse_call(p, n);
        else
            return n;
    }
}

static void add_keyword(struct fg_jj_parser *p, struct fg_jj_call_args *args)
{
    struct fg_jj_call_keyword k = {.name = fg_jj_parse_next(p).value.s};

    fg_jj_parse_next(p); /* = */
    k.value = fg_jj_parse_expression(p, true);
    for (size_t i = 0; i < args->n_keywords; i++) {
        if (fg_jj_str_eq(args->keywords[i].name, k.name))
            fg_jj_parse_fail(p, "keyword argument repeated");
    }
    fg_jj_spend(p->j, args->n_keywords);
    args->keywords = fg_jj_grow(p->j, args->keywords, &args->cap_keywords, args->n_keywords + 1,
                                sizeof *args->keywords);
    args->keywords[args->n_keywords++] = k;
}

static void parse_argument(struct fg_jj_parser *p, struct fg_jj_call_args *args)
{
    bool keywords = args->n_keywords || args->all_keywords;

    if (p->now.kind == FG_JJ_T_MUL && !args->all && !args->all_keywords) {
        fg_jj_parse_next(p);
        args->all = fg_jj_parse_expression(p, true);
    } else if (p->now.kind == FG_JJ_T_POW && !args->all_keywords) {
        fg_jj_parse_next(p);
        args->all_keywords = fg_jj_parse_expression(p, true);
    } else if (p->now.kind == FG_JJ_T_NAME && fg_jj_parse_peek(p)->kind == FG_JJ_T_ASSIGN) {
        if (args->all_keywords)
            fg_jj_parse_fail(p, "invalid syntax for function call expression");
        add_keyword(p, args);
    } else {
        if (keywords || args->all)
            fg_jj_parse_fail(p, "invalid syntax for function call expression");
        args->positional =
            fg_jj_grow(p->j, args->positional, &args->cap, args->n + 1, sizeof *args->positional);
        args->positional[args->n++] = fg_jj_parse_expression(p, true);
    }
}

static const struct fg_jj_call_args *parse_call_args(struct fg_jj_parser *p)
{
    struct fg_jj_call_args *args = fg_jj_alloc(p->j, sizeof *args);
    bool more = false;

    fg_jj_parse_expect(p, FG_JJ_T_LPAREN, "'('");
    while (p->now.kind != FG_JJ_T_RPAREN) {
        if (more)
            fg_jj_parse_expect(p, FG_JJ_T_COMMA, "','");
        more = true;
        if (p->now.kind == FG_JJ_T_RPAREN)
            break;
        parse_argument(p, args);
    }
    fg_jj_parse_next(p);
    return args;
}

/* The name of a filter or a test, which may have points in it. */
static void parse_function_name(struct fg_jj_parser *p, struct fg_jj_node *n,
                                const struct fg_jj_function *table)
{
    struct fg_jj_text t = {0};

    fg_jj_text_str(p->j, &t, fg_jj_parse_expect(p, FG_JJ_T_NAME, "a name").value.s);
    while (fg_jj_parse_skip(p, FG_JJ_T_DOT)) {
        fg_jj_text_c(p->j, &t, ".", 0);
        fg_jj_text_str(p->j, &t, fg_jj_parse_expect(p, FG_JJ_T_NAME, "a name").value.s);
    }
    n->attribute = fg_jj_text_end(p->j, &t);
    n->function = fg_jj_find_function(table, n->attribute);
    if (!n->function && !p->unknown)
        p->unknown = n;
}

struct fg_jj_node *fg_jj_parse_filters(struct fg_jj_parser *p, struct fg_jj_node *of, bool inside)
{
    static const struct fg_jj_call_args none;

    while (inside || fg_jj_parse_skip(p, FG_JJ_T_PIPE)) {
        struct fg_jj_node *n = fg_jj_parse_node(p, FG_JJ_N_FILTER);

        n->a = of;
        parse_function_name(p, n, fg_jj_filters);
        n->args = p->now.kind == FG_JJ_T_LPAREN ? parse_call_args(p) : &none;
        of = n;
        inside = false;
    }
    return of;
}

static bool at_test_argument(struct fg_jj_parser *p)
{
    switch (p->now.kind) {
    case FG_JJ_T_NAME:
        return !fg_jj_parse_at_word(p, "else") && !fg_jj_parse_at_word(p, "or") &&
               !fg_jj_parse_at_word(p, "and");
    case FG_JJ_T_STRING:
    case FG_JJ_T_INTEGER:
    case FG_JJ_T_FLOAT:
    case FG_JJ_T_LBRACKET:
    case FG_JJ_T_LBRACE: return true;
    default: return false;
    }
}

static struct fg_jj_node *parse_test(struct fg_jj_parser *p, struct fg_jj_node *of)
{
    struct fg_jj_node *n = fg_jj_parse_node(p, FG_JJ_N_TEST), *no;
    struct fg_jj_call_args *args;
    bool negated;

    fg_jj_parse_next(p);
    negated = fg_jj_parse_skip_word(p, "not");
    n->a = of;
    parse_function_name(p, n, fg_jj_tests);
    if (p->now.kind == FG_JJ_T_LPAREN) {
        n->args = parse_call_args(p);
    } else {
        n->args = args = fg_jj_alloc(p->j, sizeof *args);
        if (at_test_argument(p)) {
            if (fg_jj_parse_at_word(p, "is"))
                fg_jj_parse_fail(p, "You cannot chain multiple tests with is");
            args->positional = fg_jj_grow(p->j, NULL, &args->cap, 1, sizeof *args->positional);
            args->positional[args->n++] = fg_jj_parse_postfix(p, fg_jj_parse_primary(p, 0));
        }
    }
    if (!negated)
        return n;
    no = fg_jj_parse_node(p, FG_JJ_N_NOT);
    no->a = n;
    return no;
}

struct fg_jj_node *fg_jj_parse_filter_expression(struct fg_jj_parser *p, struct fg_jj_node *n)
{
    for (;;) {
        if (p->now.kind == FG_JJ_T_PIPE)
            n = fg_jj_parse_filters(p, n, false);
        else if (fg_jj_parse_at_word(p, "is"))
            n = parse_test(p, n);
        else if (p->now.kind == FG_JJ_T_LPAREN)
            n = parse_call(p, n);
        else
            return n;
    }
}
