#include "eval.h"

struct fg_jj_scope *fg_jj_scope_push(struct fg_jj *j, struct fg_jj_scope *parent)
{
    struct fg_jj_scope *s = fg_jj_alloc(j, sizeof *s);

    s->parent = parent;
    return j->scope = s;
}

static struct fg_jj_value *find(struct fg_jj *j, const struct fg_jj_scope *s,
                                const struct fg_jj_name *name)
{
    fg_jj_spend(j, s->n / 8);
    for (size_t i = 0; i < s->n; i++) {
        if (s->variables[i].name == name)
            return &s->variables[i].value;
    }
    return NULL;
}

struct fg_jj_value fg_jj_lookup(struct fg_jj *j, const struct fg_jj_node *n)
{
    for (const struct fg_jj_scope *s = j->scope; s; s = s->parent) {
        struct fg_jj_value *v = find(j, s, n->name);

        if (v && v->kind != FG_JJ_MISSING)
            return *v;
        fg_jj_spend(j, 1);
    }
    if (n->name->global)
        return (struct fg_jj_value){.kind = FG_JJ_FUNCTION, .function = n->name->global};
    return fg_jj_undefined(j, "'%.*s' is undefined", (int)n->name->text->n, n->name->text->p);
}

void fg_jj_assign(struct fg_jj *j, const struct fg_jj_name *name, struct fg_jj_value v)
{
    struct fg_jj_scope *s = j->scope;
    struct fg_jj_value *there = find(j, s, name);

    if (there) {
        *there = v;
        return;
    }
    s->variables = fg_jj_grow(j, s->variables, &s->cap, s->n + 1, sizeof *s->variables);
    s->variables[s->n++] = (struct fg_jj_variable){.name = name, .value = v};
}

static void assign_tuple(struct fg_jj *j, const struct fg_jj_node *target, struct fg_jj_value v)
{
    struct fg_jj_list *items;

    fg_jj_defined(j, v);
    if (v.kind < FG_JJ_STR)
        fg_jj_raise(j, "cannot unpack non-iterable %s object", fg_jj_type(v));
    items = fg_jj_items(j, v);
    if (items->n < target->n)
        fg_jj_raise(j, "not enough values to unpack (expected %zu, got %zu)", target->n, items->n);
    if (items->n > target->n)
        fg_jj_raise(j, "too many values to unpack (expected %zu)", target->n);
    fg_jj_enter(j);
    for (size_t i = 0; i < target->n; i++)
        fg_jj_assign_target(j, target->list[i], items->v[i]);
    fg_jj_leave(j);
}

void fg_jj_assign_target(struct fg_jj *j, const struct fg_jj_node *target, struct fg_jj_value v)
{
    struct fg_jj_value ns;

    if (target->op == FG_JJ_N_NAME) {
        fg_jj_assign(j, target->name, v);
        return;
    }
    if (target->op == FG_JJ_N_TUPLE) {
        assign_tuple(j, target, v);
        return;
    }
    ns = fg_jj_lookup(j, target);
    if (ns.kind != FG_JJ_NAMESPACE)
        fg_jj_raise(j, "cannot assign attribute on non-namespace object");
    fg_jj_dict_set(j, ns.dict, fg_jj_of_str(target->attribute), v);
}
