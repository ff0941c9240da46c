#include "eval.h"

struct jj_scope *jj_scope_push(struct jj *j, struct jj_scope *parent)
{
    struct jj_scope *s = jj_alloc(j, sizeof *s);

    s->parent = parent;
    return j->scope = s;
}

static struct jj_value *find(struct jj *j, const struct jj_scope *s, const struct jj_name *name)
{
    jj_spend(j, s->n / 8);
    for (size_t i = 0; i < s->n; i++) {
        if (s->variables[i].name == name)
            return &s->variables[i].value;
    }
    return NULL;
}

struct jj_value jj_lookup(struct jj *j, const struct jj_node *n)
{
    for (const struct jj_scope *s = j->scope; s; s = s->parent) {
        struct jj_value *v = find(j, s, n->name);

        if (v && v->kind != JJ_MISSING)
            return *v;
        jj_spend(j, 1);
    }
    if (n->name->global)
        return (struct jj_value){.kind = JJ_FUNCTION, .function = n->name->global};
    return jj_undefined(j, "'%.*s' is undefined", (int)n->name->text->n, n->name->text->p);
}

void jj_assign(struct jj *j, const struct jj_name *name, struct jj_value v)
{
    struct jj_scope *s = j->scope;
    struct jj_value *there = find(j, s, name);

    if (there) {
        *there = v;
        return;
    }
    s->variables = jj_grow(j, s->variables, &s->cap, s->n + 1, sizeof *s->variables);
    s->variables[s->n++] = (struct jj_variable){.name = name, .value = v};
}

static void assign_tuple(struct jj *j, const struct jj_node *target, struct jj_value v)
{
    struct jj_list *items;

    jj_defined(j, v);
    if (v.kind < JJ_STR)
        jj_raise(j, "cannot unpack non-iterable %s object", jj_type(v));
    items = jj_items(j, v);
    if (items->n < target->n)
        jj_raise(j, "not enough values to unpack (expected %zu, got %zu)", target->n, items->n);
    if (items->n > target->n)
        jj_raise(j, "too many values to unpack (expected %zu)", target->n);
    jj_enter(j);
    for (size_t i = 0; i < target->n; i++)
        jj_assign_target(j, target->list[i], items->v[i]);
    jj_leave(j);
}

void jj_assign_target(struct jj *j, const struct jj_node *target, struct jj_value v)
{
    struct jj_value ns;

    if (target->op == JJ_N_NAME) {
        jj_assign(j, target->name, v);
        return;
    }
    if (target->op == JJ_N_TUPLE) {
        assign_tuple(j, target, v);
        return;
    }
    ns = jj_lookup(j, target);
    if (ns.kind != JJ_NAMESPACE)
        jj_raise(j, "cannot assign attribute on non-namespace object");
    jj_dict_set(j, ns.dict, jj_of_str(target->attribute), v);
}
