#include <string.h>

#include "eval.h"

static void add_positional(struct fg_jj *j, struct fg_jj_args *args, size_t *cap,
                           struct fg_jj_value v)
{
    args->v = fg_jj_grow(j, args->v, cap, args->n + 1, sizeof *args->v);
    args->v[args->n++] = v;
}

static void add_keyword(struct fg_jj *j, struct fg_jj_args *args, size_t *cap,
                        struct fg_jj_keyword k)
{
    fg_jj_spend(j, 1 + args->n_keywords);
    for (size_t i = 0; i < args->n_keywords; i++) {
        if (fg_jj_str_eq(args->keywords[i].name, k.name))
            fg_jj_raise(j, "got multiple values for keyword argument '%.*s'", (int)k.name->n,
                        k.name->p);
    }
    args->keywords = fg_jj_grow(j, args->keywords, cap, args->n_keywords + 1, sizeof k);
    args->keywords[args->n_keywords++] = k;
}

static void add_all_keywords(struct fg_jj *j, struct fg_jj_args *args, size_t *cap,
                             struct fg_jj_value v)
{
    fg_jj_defined(j, v);
    if (v.kind != FG_JJ_DICT)
        fg_jj_raise(j, "argument after ** must be a mapping, not %s", fg_jj_type(v));
    for (size_t i = 0; i < v.dict->n; i++) {
        const struct fg_jj_pair *pair = &v.dict->pairs[i];

        add_keyword(j, args, cap,
                    (struct fg_jj_keyword){.name = fg_jj_need_str(j, pair->key, "a keyword"),
                                           .value = pair->value});
    }
}

struct fg_jj_args fg_jj_eval_args(struct fg_jj *j, const struct fg_jj_call_args *from)
{
    struct fg_jj_args args = {0};
    size_t cap = 0, cap_keywords = 0;

    for (size_t i = 0; i < from->n; i++)
        add_positional(j, &args, &cap, fg_jj_eval(j, from->positional[i]));
    if (from->all) {
        struct fg_jj_list *l = fg_jj_items(j, fg_jj_eval(j, from->all));

        for (size_t i = 0; i < l->n; i++)
            add_positional(j, &args, &cap, l->v[i]);
    }
    for (size_t i = 0; i < from->n_keywords; i++)
        add_keyword(j, &args, &cap_keywords,
                    (struct fg_jj_keyword){.name = from->keywords[i].name,
                                           .value = fg_jj_eval(j, from->keywords[i].value)});
    if (from->all_keywords)
        add_all_keywords(j, &args, &cap_keywords, fg_jj_eval(j, from->all_keywords));
    return args;
}

static const char *macro_name(const struct fg_jj_macro_def *def, int *n)
{
    *n = def->name ? (int)def->name->text->n : 6;
    return def->name ? def->name->text->p : "caller";
}

/* The place of the parameter, or def->n. */
static size_t find_parameter(const struct fg_jj_macro_def *def, const struct fg_jj_str *name)
{
    size_t i = 0;

    while (i < def->n && !fg_jj_str_eq(def->parameters[i].name->text, name))
        i++;
    return i;
}

/* Keywords to parameters; the others go to `kwargs` and `caller` where the body knows these. */
static void bind_keywords(struct fg_jj *j, const struct fg_jj_macro_def *def,
                          const struct fg_jj_args *args, struct fg_jj_value *v)
{
    struct fg_jj_dict *more = fg_jj_dict(j);
    struct fg_jj_value caller = {0};
    int n;
    const char *name = macro_name(def, &n);

    for (size_t i = 0; i < args->n_keywords; i++) {
        const struct fg_jj_keyword *k = &args->keywords[i];
        size_t at = find_parameter(def, k->name);

        fg_jj_spend(j, 1 + def->n);
        if (at < def->n && at < args->n)
            fg_jj_raise(j, "macro '%.*s' got two values for '%.*s'", n, name, (int)k->name->n,
                        k->name->p);
        if (at < def->n)
            v[at] = k->value;
        else if (def->caller && fg_jj_str_is(k->name, "caller"))
            caller = k->value;
        else if (def->kwargs)
            fg_jj_dict_set(j, more, fg_jj_of_str(k->name), k->value);
        else
            fg_jj_raise(j, "macro '%.*s' takes no keyword argument '%.*s'", n, name,
                        (int)k->name->n, k->name->p);
    }
    if (def->kwargs)
        fg_jj_assign(j, j->program->kwargs, fg_jj_of_dict(more));
    if (def->caller && find_parameter(def, j->program->caller->text) == def->n)
        fg_jj_assign(j, j->program->caller,
                     caller.kind ? caller : fg_jj_undefined(j, "No caller defined"));
}

static void bind(struct fg_jj *j, const struct fg_jj_macro_def *def, const struct fg_jj_args *args)
{
    struct fg_jj_value *v = fg_jj_alloc(j, def->n * sizeof *v);
    struct fg_jj_list *more = fg_jj_list(j);
    int n;
    const char *name = macro_name(def, &n);

    for (size_t i = 0; i < args->n; i++) {
        if (i < def->n)
            v[i] = args->v[i];
        else
            fg_jj_push(j, more, args->v[i]);
    }
    if (more->n && !def->varargs)
        fg_jj_raise(j, "macro '%.*s' takes not more than %zu argument(s)", n, name, def->n);
    bind_keywords(j, def, args, v);
    if (def->varargs)
        fg_jj_assign(j, j->program->varargs, fg_jj_of_list(FG_JJ_TUPLE, more));
    for (size_t i = 0; i < def->n; i++) {
        const struct fg_jj_parameter *p = &def->parameters[i];

        if (v[i].kind == FG_JJ_MISSING && p->otherwise)
            v[i] = fg_jj_eval(j, p->otherwise);
        else if (v[i].kind == FG_JJ_MISSING)
            v[i] = fg_jj_undefined(j, "parameter '%.*s' was not provided", (int)p->name->text->n,
                                   p->name->text->p);
        fg_jj_assign(j, p->name, v[i]);
    }
}

/* A macro or call block: the text that its body writes. */
static struct fg_jj_value call_macro(struct fg_jj *j, const struct fg_jj_macro *m,
                                     const struct fg_jj_args *args)
{
    struct fg_jj_text t = {0}, *outer = j->text;
    struct fg_jj_scope *scope = j->scope;

    fg_jj_enter(j);
    fg_jj_scope_push(j, m->scope);
    bind(j, m->def, args);
    j->text = &t;
    fg_jj_exec(j, m->def->body);
    j->text = outer;
    j->scope = scope;
    fg_jj_leave(j);
    return fg_jj_of_str(fg_jj_text_end(j, &t));
}

static struct fg_jj_value call_joiner(struct fg_jj *j, struct fg_jj_value v)
{
    if (*v.used)
        return fg_jj_of_str(v.text);
    *v.used = true;
    return fg_jj_empty_str(j);
}

static void no_arguments(struct fg_jj *j, const struct fg_jj_args *args, const char *what)
{
    if (args->n || args->n_keywords)
        fg_jj_raise(j, "%s takes no arguments", what);
}

bool fg_jj_callable(struct fg_jj_value v)
{
    return v.kind == FG_JJ_FUNCTION || v.kind == FG_JJ_METHOD || v.kind == FG_JJ_MACRO ||
           v.kind == FG_JJ_LOOP || v.kind == FG_JJ_JOINER || v.kind == FG_JJ_UNDEFINED;
}

struct fg_jj_value fg_jj_call_value(struct fg_jj *j, struct fg_jj_value v,
                                    const struct fg_jj_args *args)
{
    fg_jj_defined(j, v);
    switch (v.kind) {
    case FG_JJ_FUNCTION: return fg_jj_call_function(j, v.function, fg_jj_none(), args);
    case FG_JJ_METHOD: return fg_jj_call_function(j, v.method->function, v.method->self, args);
    case FG_JJ_MACRO: return call_macro(j, v.macro, args);
    case FG_JJ_JOINER: no_arguments(j, args, "a joiner"); return call_joiner(j, v);
    case FG_JJ_LOOP:
        if (args->n != 1 || args->n_keywords)
            fg_jj_raise(j, "loop() takes one argument");
        return fg_jj_loop_call(j, v.loop, args->v[0]);
    default: fg_jj_raise(j, "'%s' object is not callable", fg_jj_type(v));
    }
}
