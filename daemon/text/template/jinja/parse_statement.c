#include <stdio.h>
#include <string.h>

#include "parse.h"

/* Statements until one of `ends`, which is taken; says which in *which where that is not NULL. */
static struct fg_jj_node *body_until(struct fg_jj_parser *p, const char *const *ends, size_t *which)
{
    struct fg_jj_node *body;

    fg_jj_parse_expect(p, FG_JJ_T_BLOCK_END, "the end of the statement");
    body = fg_jj_parse_body(p, ends);
    for (size_t i = 0; ends[i]; i++) {
        if (fg_jj_parse_skip_word(p, ends[i])) {
            if (which)
                *which = i;
            break;
        }
    }
    return body;
}

static struct fg_jj_node *body_to(struct fg_jj_parser *p, const char *end)
{
    const char *const ends[] = {end, NULL};

    return body_until(p, ends, NULL);
}

/* Raises where the tree cannot be assigned to. */
static void check_target(struct fg_jj_parser *p, const struct fg_jj_node *n)
{
    if (n->op == FG_JJ_N_TUPLE) {
        for (size_t i = 0; i < n->n; i++)
            check_target(p, n->list[i]);
        return;
    }
    if (n->op != FG_JJ_N_NAME && n->op != FG_JJ_N_NAMESPACE_REF) {
        p->j->line = n->line;
        p->j->column = n->column;
        fg_jj_fail(p->j, FG_JINJA_SYNTAX, "can't assign to this");
    }
}

static struct fg_jj_node *parse_target(struct fg_jj_parser *p, unsigned how)
{
    struct fg_jj_node *n = fg_jj_parse_tuple(p, FG_JJ_P_TARGET | how);

    check_target(p, n);
    return n;
}

/* Inside of loops `loop` is the loop's own. */
static void note_assigned(struct fg_jj_parser *p, const struct fg_jj_node *target)
{
    for (size_t i = 0; i < target->n; i++)
        note_assigned(p, target->list[i]);
    p->loop_assigned |= target->op == FG_JJ_N_NAME && target->name == p->program->loop;
}

static const struct fg_jj_name *parse_plain_name(struct fg_jj_parser *p)
{
    struct fg_jj_node *n;

    if (p->now.kind != FG_JJ_T_NAME)
        fg_jj_parse_unexpected(p, "a name");
    n = fg_jj_parse_primary(p, 0);
    check_target(p, n);
    return n->name;
}

/* What was unknown inside runs for sure where the thing itself does: branches around do not help,
 * as Jinja2 looks filters of loops and macros up when it compiles them. */
static void settle_unknown(struct fg_jj_parser *p, const struct fg_jj_node *before)
{
    if (p->unknown != before && !p->unknown_for_sure)
        p->unknown_for_sure = p->unknown;
}

static struct fg_jj_node *parse_for(struct fg_jj_parser *p, struct fg_jj_node *n)
{
    static const char *const ends[] = {"endfor", "else", NULL};
    const struct fg_jj_node *unknown;
    bool loop_assigned = p->loop_assigned;
    unsigned loops = p->loops;
    size_t which = 0;

    n->op = FG_JJ_N_FOR;
    p->loop_assigned = false;
    n->a = parse_target(p, 0);
    note_assigned(p, n->a);
    if (!fg_jj_parse_skip_word(p, "in"))
        fg_jj_parse_unexpected(p, "'in'");
    n->b = fg_jj_parse_tuple(p, 0);
    if (fg_jj_parse_skip_word(p, "if"))
        n->c = fg_jj_parse_expression(p, true);
    n->recursive = fg_jj_parse_skip_word(p, "recursive");
    unknown = p->unknown;
    p->unknown = NULL;
    p->loops++;
    n->body = body_until(p, ends, &which);
    /* A recursive loop is a function in Jinja2, whose else no loop around goes on from. */
    p->loops = n->recursive ? 0 : loops;
    if (which)
        n->otherwise = body_to(p, "endfor");
    p->loops = loops;
    if (p->loop_assigned)
        fg_jj_parse_fail(p, "Can't assign to special loop variable in for-loop target");
    p->loop_assigned = loop_assigned;
    settle_unknown(p, NULL);
    p->unknown = unknown;
    return n;
}

static struct fg_jj_node *parse_if(struct fg_jj_parser *p, struct fg_jj_node *n)
{
    static const char *const ends[] = {"elif", "else", "endif", NULL};
    const struct fg_jj_node *unknown = p->unknown;
    size_t which = 0;

    n->op = FG_JJ_N_IF;
    do {
        fg_jj_parse_add(p, n, fg_jj_parse_tuple(p, 0));
        fg_jj_parse_add(p, n, body_until(p, ends, &which));
    } while (which == 0);
    if (which == 1)
        n->otherwise = body_to(p, "endif");
    p->unknown = unknown;
    return n;
}

static struct fg_jj_node *parse_set(struct fg_jj_parser *p, struct fg_jj_node *n)
{
    n->a = parse_target(p, FG_JJ_P_NAMESPACE);
    note_assigned(p, n->a);
    if (fg_jj_parse_skip(p, FG_JJ_T_ASSIGN)) {
        n->op = FG_JJ_N_SET;
        n->b = fg_jj_parse_tuple(p, FG_JJ_P_CONDITIONS);
        return n;
    }
    n->op = FG_JJ_N_SET_BLOCK;
    n->b = fg_jj_parse_filters(p, NULL, false);
    n->body = body_to(p, "endset");
    return n;
}

static void parse_signature(struct fg_jj_parser *p, struct fg_jj_macro_def *m)
{
    bool defaults = false;

    fg_jj_parse_expect(p, FG_JJ_T_LPAREN, "'('");
    while (p->now.kind != FG_JJ_T_RPAREN) {
        struct fg_jj_parameter parameter = {0};

        if (m->n)
            fg_jj_parse_expect(p, FG_JJ_T_COMMA, "','");
        parameter.name = parse_plain_name(p);
        if (fg_jj_parse_skip(p, FG_JJ_T_ASSIGN)) {
            parameter.otherwise = fg_jj_parse_expression(p, true);
            defaults = true;
        } else if (defaults) {
            fg_jj_parse_fail(p, "non-default argument follows default argument");
        }
        for (size_t i = 0; i < m->n; i++) {
            if (m->parameters[i].name == parameter.name)
                fg_jj_parse_fail(p, "two parameters have the same name");
        }
        fg_jj_spend(p->j, m->n);
        m->parameters = fg_jj_grow(p->j, m->parameters, &m->cap, m->n + 1, sizeof *m->parameters);
        m->parameters[m->n++] = parameter;
    }
    fg_jj_parse_next(p);
}

/* The body of a macro, whose signature was read. */
static void parse_macro_body(struct fg_jj_parser *p, struct fg_jj_macro_def *m, const char *end)
{
    const struct fg_jj_node *unknown = p->unknown;
    bool varargs = p->varargs, kwargs = p->kwargs, caller = p->caller;
    unsigned loops = p->loops;

    p->unknown = NULL;
    p->loops = 0;
    p->varargs = p->kwargs = p->caller = false;
    m->body = body_to(p, end);
    m->varargs = p->varargs;
    m->kwargs = p->kwargs;
    m->caller = p->caller;
    p->varargs |= varargs;
    p->kwargs |= kwargs;
    p->caller |= caller;
    p->loops = loops;
    settle_unknown(p, NULL);
    p->unknown = unknown;
}

static struct fg_jj_node *parse_macro(struct fg_jj_parser *p, struct fg_jj_node *n)
{
    struct fg_jj_macro_def *m = fg_jj_alloc(p->j, sizeof *m);

    n->op = FG_JJ_N_MACRO;
    n->name = m->name = parse_plain_name(p);
    n->macro = m;
    parse_signature(p, m);
    parse_macro_body(p, m, "endmacro");
    return n;
}

static struct fg_jj_node *parse_call_block(struct fg_jj_parser *p, struct fg_jj_node *n)
{
    struct fg_jj_macro_def *m = fg_jj_alloc(p->j, sizeof *m);

    n->op = FG_JJ_N_CALL_BLOCK;
    n->macro = m;
    if (p->now.kind == FG_JJ_T_LPAREN)
        parse_signature(p, m);
    n->a = fg_jj_parse_expression(p, true);
    if (n->a->op != FG_JJ_N_CALL)
        fg_jj_parse_fail(p, "expected call");
    parse_macro_body(p, m, "endcall");
    return n;
}

static struct fg_jj_node *parse_filter_block(struct fg_jj_parser *p, struct fg_jj_node *n)
{
    n->op = FG_JJ_N_FILTER_BLOCK;
    n->a = fg_jj_parse_filters(p, NULL, true);
    n->body = body_to(p, "endfilter");
    return n;
}

static struct fg_jj_node *parse_with(struct fg_jj_parser *p, struct fg_jj_node *n)
{
    n->op = FG_JJ_N_WITH;
    while (p->now.kind != FG_JJ_T_BLOCK_END) {
        if (n->n)
            fg_jj_parse_expect(p, FG_JJ_T_COMMA, "','");
        fg_jj_parse_add(p, n, parse_target(p, 0));
        fg_jj_parse_expect(p, FG_JJ_T_ASSIGN, "'='");
        fg_jj_parse_add(p, n, fg_jj_parse_expression(p, true));
    }
    n->body = body_to(p, "endwith");
    return n;
}

static struct fg_jj_node *parse_print(struct fg_jj_parser *p, struct fg_jj_node *n)
{
    n->op = FG_JJ_N_BODY;
    while (p->now.kind != FG_JJ_T_BLOCK_END) {
        struct fg_jj_node *print = fg_jj_parse_node(p, FG_JJ_N_PRINT);

        if (n->n)
            fg_jj_parse_expect(p, FG_JJ_T_COMMA, "','");
        print->a = fg_jj_parse_expression(p, true);
        fg_jj_parse_add(p, n, print);
    }
    return n;
}

/* A call block in Jinja2: a function of its own, which a loop's break does not leave. */
static struct fg_jj_node *parse_generation(struct fg_jj_parser *p, struct fg_jj_node *n)
{
    unsigned loops = p->loops;

    n->op = FG_JJ_N_GENERATION;
    p->loops = 0;
    n->body = body_to(p, "endgeneration");
    p->loops = loops;
    return n;
}

static struct fg_jj_node *parse_loop_control(struct fg_jj_parser *p, struct fg_jj_node *n)
{
    if (!p->loops)
        fg_jj_parse_fail(p, "break and continue stand inside of a loop");
    return n;
}

static struct fg_jj_node *parse_break(struct fg_jj_parser *p, struct fg_jj_node *n)
{
    n->op = FG_JJ_N_BREAK;
    return parse_loop_control(p, n);
}

static struct fg_jj_node *parse_continue(struct fg_jj_parser *p, struct fg_jj_node *n)
{
    n->op = FG_JJ_N_CONTINUE;
    return parse_loop_control(p, n);
}

/* A template that nobody extends prints its blocks where they stand. */
static struct fg_jj_node *parse_block(struct fg_jj_parser *p, struct fg_jj_node *n)
{
    const struct fg_jj_name *name = parse_plain_name(p);
    unsigned loops = p->loops;

    fg_jj_parse_skip_word(p, "scoped");
    fg_jj_parse_skip_word(p, "required");
    n->op = FG_JJ_N_SCOPE;
    p->loops = 0;
    n->body = body_to(p, "endblock");
    p->loops = loops;
    if (p->now.kind == FG_JJ_T_NAME && parse_plain_name(p) != name)
        fg_jj_parse_fail(p, "endblock names another block");
    return n;
}

static struct fg_jj_node *refuse(struct fg_jj_parser *p, struct fg_jj_node *n)
{
    p->now.line = n->line;
    p->now.column = n->column;
    fg_jj_parse_fail(p, "templates that need others, or escape by themselves, are not supported");
}

/* Nothing is escaped by itself anyway. */
static struct fg_jj_node *parse_autoescape(struct fg_jj_parser *p, struct fg_jj_node *n)
{
    struct fg_jj_node *on = fg_jj_parse_expression(p, true);

    if (on->op != FG_JJ_N_CONST || fg_jj_true(on->value))
        refuse(p, n);
    n->op = FG_JJ_N_SCOPE;
    n->body = body_to(p, "endautoescape");
    return n;
}

static const struct {
    const char *word;
    struct fg_jj_node *(*parse)(struct fg_jj_parser *p, struct fg_jj_node *n);
} statements[] = {{"for", parse_for},
                  {"if", parse_if},
                  {"set", parse_set},
                  {"macro", parse_macro},
                  {"call", parse_call_block},
                  {"filter", parse_filter_block},
                  {"with", parse_with},
                  {"print", parse_print},
                  {"generation", parse_generation},
                  {"break", parse_break},
                  {"continue", parse_continue},
                  {"block", parse_block},
                  {"include", refuse},
                  {"import", refuse},
                  {"from", refuse},
                  {"extends", refuse},
                  {"autoescape", parse_autoescape}};

static struct fg_jj_node *parse_statement(struct fg_jj_parser *p)
{
    struct fg_jj_node *n = fg_jj_parse_node(p, FG_JJ_N_BODY);
    char name[80], what[128];

    if (p->now.kind != FG_JJ_T_NAME)
        fg_jj_parse_fail(p, "tag name expected");
    for (size_t i = 0; i < sizeof statements / sizeof statements[0]; i++) {
        if (fg_jj_parse_skip_word(p, statements[i].word)) {
            n = statements[i].parse(p, n);
            return n;
        }
    }
    snprintf(what, sizeof what, "unknown tag '%s'", fg_jj_token_name(&p->now, name));
    fg_jj_parse_fail(p, what);
}

static struct fg_jj_node *parse_print_tag(struct fg_jj_parser *p)
{
    struct fg_jj_node *n = fg_jj_parse_node(p, FG_JJ_N_PRINT);

    fg_jj_parse_next(p);
    n->a = fg_jj_parse_tuple(p, FG_JJ_P_CONDITIONS);
    fg_jj_parse_expect(p, FG_JJ_T_VARIABLE_END, "the end of the print statement");
    return n;
}

static struct fg_jj_node *parse_data(struct fg_jj_parser *p)
{
    struct fg_jj_node *n = fg_jj_parse_node(p, FG_JJ_N_PRINT);

    n->a = fg_jj_parse_node(p, FG_JJ_N_CONST);
    n->a->value = fg_jj_parse_next(p).value;
    return n;
}

/* At a tag's begin: whether one of the words follows, which is the current token then. */
static bool at_end(struct fg_jj_parser *p, const char *const *ends)
{
    fg_jj_parse_next(p);
    for (size_t i = 0; ends && ends[i]; i++) {
        if (fg_jj_parse_at_word(p, ends[i]))
            return true;
    }
    return false;
}

_Noreturn static void fail_end(struct fg_jj_parser *p, const char *const *ends)
{
    char what[100] = "the template ends before ";

    for (size_t i = 0; ends[i]; i++) {
        size_t n = strlen(what);

        snprintf(what + n, sizeof what - n, "%s'%s'", i ? " or " : "", ends[i]);
    }
    fg_jj_parse_fail(p, what);
}

struct fg_jj_node *fg_jj_parse_body(struct fg_jj_parser *p, const char *const *ends)
{
    struct fg_jj_node *body = fg_jj_parse_node(p, FG_JJ_N_BODY);

    fg_jj_enter(p->j);
    while (p->now.kind != FG_JJ_T_END) {
        if (p->now.kind == FG_JJ_T_DATA) {
            fg_jj_parse_add(p, body, parse_data(p));
        } else if (p->now.kind == FG_JJ_T_VARIABLE_BEGIN) {
            fg_jj_parse_add(p, body, parse_print_tag(p));
        } else {
            if (at_end(p, ends)) {
                fg_jj_leave(p->j);
                return body;
            }
            fg_jj_parse_add(p, body, parse_statement(p));
            fg_jj_parse_expect(p, FG_JJ_T_BLOCK_END, "the end of the statement");
        }
    }
    if (ends)
        fail_end(p, ends);
    fg_jj_leave(p->j);
    return body;
}
