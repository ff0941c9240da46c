#include <string.h>

#include "eval.h"

static enum fg_jj_flow exec_body(struct fg_jj *j, const struct fg_jj_node *n)
{
    enum fg_jj_flow flow = FG_JJ_GO_ON;

    for (size_t i = 0; i < n->n && flow == FG_JJ_GO_ON; i++)
        flow = fg_jj_exec(j, n->list[i]);
    return flow;
}

/* A body in a scope of its own. */
static enum fg_jj_flow exec_inside(struct fg_jj *j, const struct fg_jj_node *body)
{
    struct fg_jj_scope *outer = j->scope;
    enum fg_jj_flow flow;

    fg_jj_scope_push(j, outer);
    flow = fg_jj_exec(j, body);
    j->scope = outer;
    return flow;
}

/* What a body writes, as text. */
static enum fg_jj_flow capture(struct fg_jj *j, const struct fg_jj_node *body,
                               struct fg_jj_value *out)
{
    struct fg_jj_text t = {0}, *outer = j->text;
    enum fg_jj_flow flow;

    j->text = &t;
    flow = exec_inside(j, body);
    j->text = outer;
    *out = fg_jj_of_str(fg_jj_text_end(j, &t));
    return flow;
}

static enum fg_jj_flow exec_if(struct fg_jj *j, const struct fg_jj_node *n)
{
    for (size_t i = 0; i < n->n; i += 2) {
        if (fg_jj_eval_true(j, n->list[i]))
            return fg_jj_exec(j, n->list[i + 1]);
    }
    return n->otherwise ? fg_jj_exec(j, n->otherwise) : FG_JJ_GO_ON;
}

static enum fg_jj_flow exec_set_block(struct fg_jj *j, const struct fg_jj_node *n)
{
    struct fg_jj_value v;
    enum fg_jj_flow flow = capture(j, n->body, &v);

    if (flow == FG_JJ_GO_ON)
        fg_jj_assign_target(j, n->a, fg_jj_eval_filters(j, n->b, v));
    return flow;
}

static enum fg_jj_flow exec_filter_block(struct fg_jj *j, const struct fg_jj_node *n)
{
    struct fg_jj_value v;
    enum fg_jj_flow flow = capture(j, n->body, &v);

    if (flow == FG_JJ_GO_ON)
        fg_jj_text_str(j, j->text,
                       fg_jj_need_str(j, fg_jj_eval_filters(j, n->a, v), "a filtered block"));
    return flow;
}

static struct fg_jj_value make_macro(struct fg_jj *j, const struct fg_jj_macro_def *def)
{
    struct fg_jj_macro *m = fg_jj_alloc(j, sizeof *m);

    m->def = def;
    m->scope = j->scope;
    for (struct fg_jj_scope *s = j->scope; s && !s->kept; s = s->parent)
        s->kept = true;
    return (struct fg_jj_value){.kind = FG_JJ_MACRO, .macro = m};
}

static void exec_call_block(struct fg_jj *j, const struct fg_jj_node *n)
{
    struct fg_jj_value callee = fg_jj_eval(j, n->a->a);
    struct fg_jj_args args = fg_jj_eval_args(j, n->a->args);
    struct fg_jj_keyword *k = fg_jj_alloc(j, (args.n_keywords + 1) * sizeof *k);

    if (args.n_keywords)
        memcpy(k, args.keywords, args.n_keywords * sizeof *k);
    k[args.n_keywords].name = j->program->caller->text;
    k[args.n_keywords].value = make_macro(j, n->macro);
    args.keywords = k;
    args.n_keywords++;
    fg_jj_print(j, j->text, fg_jj_call_value(j, callee, &args));
}

static enum fg_jj_flow exec_with(struct fg_jj *j, const struct fg_jj_node *n)
{
    struct fg_jj_scope *outer = j->scope;
    struct fg_jj_value *v = fg_jj_alloc(j, (n->n / 2) * sizeof *v);
    enum fg_jj_flow flow;

    for (size_t i = 0; i < n->n; i += 2)
        v[i / 2] = fg_jj_eval(j, n->list[i + 1]);
    fg_jj_scope_push(j, outer);
    for (size_t i = 0; i < n->n; i += 2)
        fg_jj_assign_target(j, n->list[i], v[i / 2]);
    flow = fg_jj_exec(j, n->body);
    j->scope = outer;
    return flow;
}

/* As the body of a macro that is called without arguments. */
static void exec_generation(struct fg_jj *j, const struct fg_jj_node *n)
{
    size_t from = j->text->n;
    bool root = j->text == j->root;
    struct fg_jj_scope *outer = j->scope;

    fg_jj_scope_push(j, outer);
    fg_jj_assign(j, j->program->varargs, fg_jj_of_list(FG_JJ_TUPLE, fg_jj_list(j)));
    fg_jj_assign(j, j->program->kwargs, fg_jj_of_dict(fg_jj_dict(j)));
    fg_jj_assign(j, j->program->caller, fg_jj_undefined(j, "No caller defined"));
    fg_jj_exec(j, n->body);
    j->scope = outer;
    if (!root || j->text->n == from)
        return;
    j->generations = fg_jj_grow(j, j->generations, &j->cap_generations, j->n_generations + 1,
                                sizeof *j->generations);
    j->generations[j->n_generations++] =
        (struct fg_jinja_range){.offset = from, .length = j->text->n - from};
}

static enum fg_jj_flow exec_statement(struct fg_jj *j, const struct fg_jj_node *n)
{
    switch (n->op) {
    case FG_JJ_N_BODY: return exec_body(j, n);
    case FG_JJ_N_PRINT: fg_jj_print(j, j->text, fg_jj_eval(j, n->a)); break;
    case FG_JJ_N_FOR: return fg_jj_exec_for(j, n);
    case FG_JJ_N_IF: return exec_if(j, n);
    case FG_JJ_N_SET: fg_jj_assign_target(j, n->a, fg_jj_eval(j, n->b)); break;
    case FG_JJ_N_SET_BLOCK: return exec_set_block(j, n);
    case FG_JJ_N_MACRO: fg_jj_assign(j, n->name, make_macro(j, n->macro)); break;
    case FG_JJ_N_CALL_BLOCK: exec_call_block(j, n); break;
    case FG_JJ_N_FILTER_BLOCK: return exec_filter_block(j, n);
    case FG_JJ_N_WITH: return exec_with(j, n);
    case FG_JJ_N_GENERATION: exec_generation(j, n); break;
    case FG_JJ_N_SCOPE: return exec_inside(j, n->body);
    case FG_JJ_N_BREAK: return FG_JJ_BREAK;
    case FG_JJ_N_CONTINUE: return FG_JJ_CONTINUE;
    default: fg_jj_raise(j, "this is no statement");
    }
    return FG_JJ_GO_ON;
}

enum fg_jj_flow fg_jj_exec(struct fg_jj *j, const struct fg_jj_node *n)
{
    enum fg_jj_flow flow;

    fg_jj_spend(j, 1);
    fg_jj_enter(j);
    j->line = n->line;
    j->column = n->column;
    flow = exec_statement(j, n);
    fg_jj_leave(j);
    return flow;
}
