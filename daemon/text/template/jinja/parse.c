#include "parse.h"

#include <stdio.h>
#include <string.h>

#include "function.h"

void jj_parse_fail(struct jj_parser *p, const char *what)
{
    p->j->line = p->now.line;
    p->j->column = p->now.column;
    jj_fail(p->j, FG_JINJA_SYNTAX, "%s", what);
}

void jj_parse_unexpected(struct jj_parser *p, const char *expected)
{
    char name[80], what[200];

    if (expected)
        snprintf(what, sizeof what, "expected %s, got '%s'", expected,
                 jj_token_name(&p->now, name));
    else
        snprintf(what, sizeof what, "unexpected '%s'", jj_token_name(&p->now, name));
    jj_parse_fail(p, what);
}

struct jj_token jj_parse_next(struct jj_parser *p)
{
    struct jj_token t = p->now;

    if (p->has_next)
        p->now = p->next;
    else
        p->now = jj_lex(&p->lexer);
    p->has_next = false;
    return t;
}

const struct jj_token *jj_parse_peek(struct jj_parser *p)
{
    if (!p->has_next)
        p->next = jj_lex(&p->lexer);
    p->has_next = true;
    return &p->next;
}

bool jj_parse_at_word(struct jj_parser *p, const char *word)
{
    return p->now.kind == JJ_T_NAME && jj_str_is(p->now.value.s, word);
}

bool jj_parse_skip_word(struct jj_parser *p, const char *word)
{
    bool there = jj_parse_at_word(p, word);

    if (there)
        jj_parse_next(p);
    return there;
}

bool jj_parse_skip(struct jj_parser *p, enum jj_token_kind kind)
{
    bool there = p->now.kind == kind;

    if (there)
        jj_parse_next(p);
    return there;
}

struct jj_token jj_parse_expect(struct jj_parser *p, enum jj_token_kind kind, const char *name)
{
    if (p->now.kind != kind)
        jj_parse_unexpected(p, name);
    return jj_parse_next(p);
}

struct jj_node *jj_parse_node(struct jj_parser *p, enum jj_op op)
{
    struct jj_node *n = jj_alloc(p->j, sizeof *n);

    n->op = op;
    n->line = p->now.line;
    n->column = p->now.column;
    return n;
}

void jj_parse_add(struct jj_parser *p, struct jj_node *to, struct jj_node *node)
{
    to->list = jj_grow(p->j, to->list, &to->cap, to->n + 1, sizeof *to->list);
    to->list[to->n++] = node;
}

const struct jj_name *jj_parse_name(struct jj_parser *p, const struct jj_str *text)
{
    struct fg_jinja_program *program = p->program;
    struct jj_value *there = jj_dict_find(p->j, program->names, text);
    struct jj_name *name;

    if (there)
        return program->name_list[there->i];
    name = jj_alloc(p->j, sizeof *name);
    name->text = text;
    name->global = jj_find_function(jj_globals, text);
    jj_dict_set(p->j, program->names, jj_of_str(text), jj_int((int64_t)program->n_names));
    program->name_list = jj_grow(p->j, program->name_list, &program->cap_names,
                                 program->n_names + 1, sizeof *program->name_list);
    program->name_list[program->n_names++] = name;
    return name;
}

static void fail_unknown(struct jj_parser *p, const struct jj_node *n)
{
    p->j->line = n->line;
    p->j->column = n->column;
    jj_fail(p->j, FG_JINJA_SYNTAX, "No %s named '%.*s'.", n->op == JJ_N_TEST ? "test" : "filter",
            (int)n->attribute->n, n->attribute->p);
}

void jj_parse(struct jj *j, struct fg_jinja_program *program, const char *text, size_t n)
{
    struct jj_parser p = {.j = j, .program = program};

    program->names = jj_dict(j);
    program->loop = jj_parse_name(&p, jj_str_c(j, "loop"));
    program->caller = jj_parse_name(&p, jj_str_c(j, "caller"));
    program->varargs = jj_parse_name(&p, jj_str_c(j, "varargs"));
    program->kwargs = jj_parse_name(&p, jj_str_c(j, "kwargs"));
    jj_lex_init(&p.lexer, j, text, n);
    jj_parse_next(&p); /* fills p.now */
    program->body = jj_parse_body(&p, NULL);
    if (p.unknown_for_sure || p.unknown)
        fail_unknown(&p, p.unknown_for_sure ? p.unknown_for_sure : p.unknown);
}
