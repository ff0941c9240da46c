#include <string.h>

#include "eval.h"

static enum jj_flow exec_body(struct jj *j, const struct jj_node *n)
{
    enum jj_flow flow = JJ_GO_ON;

    for (size_t i = 0; i < n->n && flow == JJ_GO_ON; i++)
        flow = jj_exec(j, n->list[i]);
    return flow;
}

/* A body in a scope of its own. */
static enum jj_flow exec_inside(struct jj *j, const struct jj_node *body)
{
    struct jj_scope *outer = j->scope;
    enum jj_flow flow;

    jj_scope_push(j, outer);
    flow = jj_exec(j, body);
    j->scope = outer;
    return flow;
}

/* What a body writes, as text. */
static enum jj_flow capture(struct jj *j, const struct jj_node *body, struct jj_value *out)
{
    struct jj_text t = {0}, *outer = j->text;
    enum jj_flow flow;

    j->text = &t;
    flow = exec_inside(j, body);
    j->text = outer;
    *out = jj_of_str(jj_text_end(j, &t));
    return flow;
}

static enum jj_flow exec_if(struct jj *j, const struct jj_node *n)
{
    for (size_t i = 0; i < n->n; i += 2) {
        if (jj_eval_true(j, n->list[i]))
            return jj_exec(j, n->list[i + 1]);
    }
    return n->otherwise ? jj_exec(j, n->otherwise) : JJ_GO_ON;
}

static enum jj_flow exec_set_block(struct jj *j, const struct jj_node *n)
{
    struct jj_value v;
    enum jj_flow flow = capture(j, n->body, &v);

    if (flow == JJ_GO_ON)
        jj_assign_target(j, n->a, jj_eval_filters(j, n->b, v));
    return flow;
}

static enum jj_flow exec_filter_block(struct jj *j, const struct jj_node *n)
{
    struct jj_value v;
    enum jj_flow flow = capture(j, n->body, &v);

    if (flow == JJ_GO_ON)
        jj_text_str(j, j->text, jj_need_str(j, jj_eval_filters(j, n->a, v), "a filtered block"));
    return flow;
}

static struct jj_value make_macro(struct jj *j, const struct jj_macro_def *def)
{
    struct jj_macro *m = jj_alloc(j, sizeof *m);

    m->def = def;
    m->scope = j->scope;
    for (struct jj_scope *s = j->scope; s && !s->kept; s = s->parent)
        s->kept = true;
    return (struct jj_value){.kind = JJ_MACRO, .macro = m};
}

static void exec_call_block(struct jj *j, const struct jj_node *n)
{
    struct jj_value callee = jj_eval(j, n->a->a);
    struct jj_args args = jj_eval_args(j, n->a->args);
    struct jj_keyword *k = jj_alloc(j, (args.n_keywords + 1) * sizeof *k);

    if (args.n_keywords)
        memcpy(k, args.keywords, args.n_keywords * sizeof *k);
    k[args.n_keywords].name = j->program->caller->text;
    k[args.n_keywords].value = make_macro(j, n->macro);
    args.keywords = k;
    args.n_keywords++;
    jj_print(j, j->text, jj_call_value(j, callee, &args));
}

static enum jj_flow exec_with(struct jj *j, const struct jj_node *n)
{
    struct jj_scope *outer = j->scope;
    struct jj_value *v = jj_alloc(j, (n->n / 2) * sizeof *v);
    enum jj_flow flow;

    for (size_t i = 0; i < n->n; i += 2)
        v[i / 2] = jj_eval(j, n->list[i + 1]);
    jj_scope_push(j, outer);
    for (size_t i = 0; i < n->n; i += 2)
        jj_assign_target(j, n->list[i], v[i / 2]);
    flow = jj_exec(j, n->body);
    j->scope = outer;
    return flow;
}

/* As the body of a macro that is called without arguments. */
static void exec_generation(struct jj *j, const struct jj_node *n)
{
    size_t from = j->text->n;
    bool root = j->text == j->root;
    struct jj_scope *outer = j->scope;

    jj_scope_push(j, outer);
    jj_assign(j, j->program->varargs, jj_of_list(JJ_TUPLE, jj_list(j)));
    jj_assign(j, j->program->kwargs, jj_of_dict(jj_dict(j)));
    jj_assign(j, j->program->caller, jj_undefined(j, "No caller defined"));
    jj_exec(j, n->body);
    j->scope = outer;
    if (!root || j->text->n == from)
        return;
    j->generations = jj_grow(j, j->generations, &j->cap_generations, j->n_generations + 1,
                             sizeof *j->generations);
    j->generations[j->n_generations++] =
        (struct fg_jinja_range){.offset = from, .length = j->text->n - from};
}

static enum jj_flow exec_statement(struct jj *j, const struct jj_node *n)
{
    switch (n->op) {
    case JJ_N_BODY: return exec_body(j, n);
    case JJ_N_PRINT: jj_print(j, j->text, jj_eval(j, n->a)); break;
    case JJ_N_FOR: return jj_exec_for(j, n);
    case JJ_N_IF: return exec_if(j, n);
    case JJ_N_SET: jj_assign_target(j, n->a, jj_eval(j, n->b)); break;
    case JJ_N_SET_BLOCK: return exec_set_block(j, n);
    case JJ_N_MACRO: jj_assign(j, n->name, make_macro(j, n->macro)); break;
    case JJ_N_CALL_BLOCK: exec_call_block(j, n); break;
    case JJ_N_FILTER_BLOCK: return exec_filter_block(j, n);
    case JJ_N_WITH: return exec_with(j, n);
    case JJ_N_GENERATION: exec_generation(j, n); break;
    case JJ_N_SCOPE: return exec_inside(j, n->body);
    case JJ_N_BREAK: return JJ_BREAK;
    case JJ_N_CONTINUE: return JJ_CONTINUE;
    default: jj_raise(j, "this is no statement");
    }
    return JJ_GO_ON;
}

enum jj_flow jj_exec(struct jj *j, const struct jj_node *n)
{
    enum jj_flow flow;

    jj_spend(j, 1);
    jj_enter(j);
    j->line = n->line;
    j->column = n->column;
    flow = exec_statement(j, n);
    jj_leave(j);
    return flow;
}
