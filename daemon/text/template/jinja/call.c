#include <string.h>

#include "eval.h"

static void add_positional(struct jj *j, struct jj_args *args, size_t *cap, struct jj_value v)
{
    args->v = jj_grow(j, args->v, cap, args->n + 1, sizeof *args->v);
    args->v[args->n++] = v;
}

static void add_keyword(struct jj *j, struct jj_args *args, size_t *cap, struct jj_keyword k)
{
    jj_spend(j, 1 + args->n_keywords);
    for (size_t i = 0; i < args->n_keywords; i++) {
        if (jj_str_eq(args->keywords[i].name, k.name))
            jj_raise(j, "got multiple values for keyword argument '%.*s'", (int)k.name->n,
                     k.name->p);
    }
    args->keywords = jj_grow(j, args->keywords, cap, args->n_keywords + 1, sizeof k);
    args->keywords[args->n_keywords++] = k;
}

static void add_all_keywords(struct jj *j, struct jj_args *args, size_t *cap, struct jj_value v)
{
    jj_defined(j, v);
    if (v.kind != JJ_DICT)
        jj_raise(j, "argument after ** must be a mapping, not %s", jj_type(v));
    for (size_t i = 0; i < v.dict->n; i++) {
        const struct jj_pair *pair = &v.dict->pairs[i];

        add_keyword(j, args, cap,
                    (struct jj_keyword){.name = jj_need_str(j, pair->key, "a keyword"),
                                        .value = pair->value});
    }
}

struct jj_args jj_eval_args(struct jj *j, const struct jj_call_args *from)
{
    struct jj_args args = {0};
    size_t cap = 0, cap_keywords = 0;

    for (size_t i = 0; i < from->n; i++)
        add_positional(j, &args, &cap, jj_eval(j, from->positional[i]));
    if (from->all) {
        struct jj_list *l = jj_items(j, jj_eval(j, from->all));

        for (size_t i = 0; i < l->n; i++)
            add_positional(j, &args, &cap, l->v[i]);
    }
    for (size_t i = 0; i < from->n_keywords; i++)
        add_keyword(j, &args, &cap_keywords,
                    (struct jj_keyword){.name = from->keywords[i].name,
                                        .value = jj_eval(j, from->keywords[i].value)});
    if (from->all_keywords)
        add_all_keywords(j, &args, &cap_keywords, jj_eval(j, from->all_keywords));
    return args;
}

static const char *macro_name(const struct jj_macro_def *def, int *n)
{
    *n = def->name ? (int)def->name->text->n : 6;
    return def->name ? def->name->text->p : "caller";
}

/* The place of the parameter, or def->n. */
static size_t find_parameter(const struct jj_macro_def *def, const struct jj_str *name)
{
    size_t i = 0;

    while (i < def->n && !jj_str_eq(def->parameters[i].name->text, name))
        i++;
    return i;
}

/* Keywords to parameters; the others go to `kwargs` and `caller` where the body knows these. */
static void bind_keywords(struct jj *j, const struct jj_macro_def *def, const struct jj_args *args,
                          struct jj_value *v)
{
    struct jj_dict *more = jj_dict(j);
    struct jj_value caller = {0};
    int n;
    const char *name = macro_name(def, &n);

    for (size_t i = 0; i < args->n_keywords; i++) {
        const struct jj_keyword *k = &args->keywords[i];
        size_t at = find_parameter(def, k->name);

        jj_spend(j, 1 + def->n);
        if (at < def->n && at < args->n)
            jj_raise(j, "macro '%.*s' got two values for '%.*s'", n, name, (int)k->name->n,
                     k->name->p);
        if (at < def->n)
            v[at] = k->value;
        else if (def->caller && jj_str_is(k->name, "caller"))
            caller = k->value;
        else if (def->kwargs)
            jj_dict_set(j, more, jj_of_str(k->name), k->value);
        else
            jj_raise(j, "macro '%.*s' takes no keyword argument '%.*s'", n, name, (int)k->name->n,
                     k->name->p);
    }
    if (def->kwargs)
        jj_assign(j, j->program->kwargs, jj_of_dict(more));
    if (def->caller && find_parameter(def, j->program->caller->text) == def->n)
        jj_assign(j, j->program->caller,
                  caller.kind ? caller : jj_undefined(j, "No caller defined"));
}

static void bind(struct jj *j, const struct jj_macro_def *def, const struct jj_args *args)
{
    struct jj_value *v = jj_alloc(j, def->n * sizeof *v);
    struct jj_list *more = jj_list(j);
    int n;
    const char *name = macro_name(def, &n);

    for (size_t i = 0; i < args->n; i++) {
        if (i < def->n)
            v[i] = args->v[i];
        else
            jj_push(j, more, args->v[i]);
    }
    if (more->n && !def->varargs)
        jj_raise(j, "macro '%.*s' takes not more than %zu argument(s)", n, name, def->n);
    bind_keywords(j, def, args, v);
    if (def->varargs)
        jj_assign(j, j->program->varargs, jj_of_list(JJ_TUPLE, more));
    for (size_t i = 0; i < def->n; i++) {
        const struct jj_parameter *p = &def->parameters[i];

        if (v[i].kind == JJ_MISSING && p->otherwise)
            v[i] = jj_eval(j, p->otherwise);
        else if (v[i].kind == JJ_MISSING)
            v[i] = jj_undefined(j, "parameter '%.*s' was not provided", (int)p->name->text->n,
                                p->name->text->p);
        jj_assign(j, p->name, v[i]);
    }
}

struct jj_value jj_macro_call(struct jj *j, const struct jj_macro *m, const struct jj_args *args)
{
    struct jj_text t = {0}, *outer = j->text;
    struct jj_scope *scope = j->scope;

    jj_enter(j);
    jj_scope_push(j, m->scope);
    bind(j, m->def, args);
    j->text = &t;
    jj_exec(j, m->def->body);
    j->text = outer;
    j->scope = scope;
    jj_leave(j);
    return jj_of_str(jj_text_end(j, &t));
}

static struct jj_value call_joiner(struct jj *j, struct jj_value v)
{
    if (*v.used)
        return jj_of_str(v.text);
    *v.used = true;
    return jj_empty_str(j);
}

static void no_arguments(struct jj *j, const struct jj_args *args, const char *what)
{
    if (args->n || args->n_keywords)
        jj_raise(j, "%s takes no arguments", what);
}

bool jj_callable(struct jj_value v)
{
    return v.kind == JJ_FUNCTION || v.kind == JJ_METHOD || v.kind == JJ_MACRO ||
           v.kind == JJ_LOOP || v.kind == JJ_JOINER || v.kind == JJ_UNDEFINED;
}

struct jj_value jj_call_value(struct jj *j, struct jj_value v, const struct jj_args *args)
{
    jj_defined(j, v);
    switch (v.kind) {
    case JJ_FUNCTION: return jj_call_function(j, v.function, jj_none(), args);
    case JJ_METHOD: return jj_call_function(j, v.method->function, v.method->self, args);
    case JJ_MACRO: return jj_macro_call(j, v.macro, args);
    case JJ_JOINER: no_arguments(j, args, "a joiner"); return call_joiner(j, v);
    case JJ_LOOP:
        if (args->n != 1 || args->n_keywords)
            jj_raise(j, "loop() takes one argument");
        return jj_loop_call(j, v.loop, args->v[0]);
    default: jj_raise(j, "'%s' object is not callable", jj_type(v));
    }
}
