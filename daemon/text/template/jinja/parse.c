#include "parse.h"

#include <stdio.h>
#include <string.h>

#include "function.h"

void fg_jj_parse_fail(struct fg_jj_parser *p, const char *what)
{
    p->j->line = p->now.line;
    p->j->column = p->now.column;
    fg_jj_fail(p->j, FG_JINJA_SYNTAX, "%s", what);
}

void fg_jj_parse_unexpected(struct fg_jj_parser *p, const char *expected)
{
    char name[80], what[200];

    if (expected)
        snprintf(what, sizeof what, "expected %s, got '%s'", expected,
                 fg_jj_token_name(&p->now, name));
    else
        snprintf(what, sizeof what, "unexpected '%s'", fg_jj_token_name(&p->now, name));
    fg_jj_parse_fail(p, what);
}

struct fg_jj_token fg_jj_parse_next(struct fg_jj_parser *p)
{
    struct fg_jj_token t = p->now;

    if (p->has_next)
        p->now = p->next;
    else
        p->now = fg_jj_lex(&p->lexer);
    p->has_next = false;
    return t;
}

const struct fg_jj_token *fg_jj_parse_peek(struct fg_jj_parser *p)
{
    if (!p->has_next)
        p->next = fg_jj_lex(&p->lexer);
    p->has_next = true;
    return &p->next;
}

bool fg_jj_parse_at_word(struct fg_jj_parser *p, const char *word)
{
    return p->now.kind == FG_JJ_T_NAME && fg_jj_str_is(p->now.value.s, word);
}

bool fg_jj_parse_skip_word(struct fg_jj_parser *p, const char *word)
{
    bool there = fg_jj_parse_at_word(p, word);

    if (there)
        fg_jj_parse_next(p);
    return there;
}

bool fg_jj_parse_skip(struct fg_jj_parser *p, enum fg_jj_token_kind kind)
{
    bool there = p->now.kind == kind;

    if (there)
        fg_jj_parse_next(p);
    return there;
}

struct fg_jj_token fg_jj_parse_expect(struct fg_jj_parser *p, enum fg_jj_token_kind kind,
                                      const char *name)
{
    if (p->now.kind != kind)
        fg_jj_parse_unexpected(p, name);
    return fg_jj_parse_next(p);
}

struct fg_jj_node *fg_jj_parse_node(struct fg_jj_parser *p, enum fg_jj_op op)
{
    struct fg_jj_node *n = fg_jj_alloc(p->j, sizeof *n);

    n->op = op;
    n->line = p->now.line;
    n->column = p->now.column;
    return n;
}

void fg_jj_parse_add(struct fg_jj_parser *p, struct fg_jj_node *to, struct fg_jj_node *node)
{
    to->list = fg_jj_grow(p->j, to->list, &to->cap, to->n + 1, sizeof *to->list);
    to->list[to->n++] = node;
}

const struct fg_jj_name *fg_jj_parse_name(struct fg_jj_parser *p, const struct fg_jj_str *text)
{
    struct fg_jinja_program *program = p->program;
    struct fg_jj_value *there = fg_jj_dict_find(p->j, program->names, text);
    struct fg_jj_name *name;

    if (there)
        return program->name_list[there->i];
    name = fg_jj_alloc(p->j, sizeof *name);
    name->text = text;
    name->global = fg_jj_find_function(fg_jj_globals, text);
    fg_jj_dict_set(p->j, program->names, fg_jj_of_str(text), fg_jj_int((int64_t)program->n_names));
    program->name_list = fg_jj_grow(p->j, program->name_list, &program->cap_names,
                                    program->n_names + 1, sizeof *program->name_list);
    program->name_list[program->n_names++] = name;
    return name;
}

static void fail_unknown(struct fg_jj_parser *p, const struct fg_jj_node *n)
{
    p->j->line = n->line;
    p->j->column = n->column;
    fg_jj_fail(p->j, FG_JINJA_SYNTAX, "No %s named '%.*s'.",
               n->op == FG_JJ_N_TEST ? "test" : "filter", (int)n->attribute->n, n->attribute->p);
}

void fg_jj_parse(struct fg_jj *j, struct fg_jinja_program *program, const char *text, size_t n)
{
    struct fg_jj_parser p = {.j = j, .program = program};

    program->names = fg_jj_dict(j);
    program->loop = fg_jj_parse_name(&p, fg_jj_str_c(j, "loop"));
    program->caller = fg_jj_parse_name(&p, fg_jj_str_c(j, "caller"));
    program->varargs = fg_jj_parse_name(&p, fg_jj_str_c(j, "varargs"));
    program->kwargs = fg_jj_parse_name(&p, fg_jj_str_c(j, "kwargs"));
    fg_jj_lex_init(&p.lexer, j, text, n);
    fg_jj_parse_next(&p); /* fills p.now */
    program->body = fg_jj_parse_body(&p, NULL);
    if (p.unknown_for_sure || p.unknown)
        fail_unknown(&p, p.unknown_for_sure ? p.unknown_for_sure : p.unknown);
}
