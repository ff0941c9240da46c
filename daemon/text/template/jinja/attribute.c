#include <string.h>

#include "eval.h"

/* What every object of Python has. The sandbox lets nobody see it. */
static const char *const internals[] = {
    "__class__",   "__contains__", "__delattr__", "__dict__",         "__dir__",
    "__doc__",     "__eq__",       "__format__",  "__ge__",           "__getattribute__",
    "__getitem__", "__gt__",       "__hash__",    "__init__",         "__init_subclass__",
    "__iter__",    "__le__",       "__len__",     "__lt__",           "__module__",
    "__ne__",      "__new__",      "__reduce__",  "__reduce_ex__",    "__repr__",
    "__setattr__", "__sizeof__",   "__str__",     "__subclasshook__", NULL};
/* What would change a value: an immutable sandbox does not give it away. */
static const char *const list_changes[] = {"append", "clear",   "extend", "insert", "pop",
                                           "remove", "reverse", "sort",   NULL};
static const char *const dict_changes[] = {"clear", "pop", "popitem", "setdefault", "update", NULL};

static bool is_one_of(const struct jj_str *name, const char *const *names)
{
    for (; *names; names++) {
        if (jj_str_is(name, *names))
            return true;
    }
    return false;
}

static struct jj_value unsafe(struct jj *j, struct jj_value of, const struct jj_str *name)
{
    return jj_undefined(j, "access to attribute '%.*s' of '%s' object is unsafe.", (int)name->n,
                        name->p, jj_type(of));
}

static struct jj_value bind(struct jj *j, struct jj_value self, const struct jj_function *f)
{
    struct jj_method *m = jj_alloc(j, sizeof *m);

    m->self = self;
    m->function = f;
    return (struct jj_value){.kind = JJ_METHOD, .method = m};
}

static struct jj_value cycler_next(struct jj *j, struct jj_value self, const struct jj_args *args)
{
    struct jj_list *l = self.list;
    size_t at = l->at;

    (void)j;
    (void)args;
    l->at = (at + 1) % l->n;
    return l->v[at];
}

static struct jj_value cycler_reset(struct jj *j, struct jj_value self, const struct jj_args *args)
{
    (void)j;
    (void)args;
    self.list->at = 0;
    return jj_none();
}

static const struct jj_function cycler_methods[] = {
    {"next", "", cycler_next}, {"reset", "", cycler_reset}, {0}};

static const struct jj_function *find_method(struct jj_value of, const struct jj_str *name)
{
    const struct jj_function *f = NULL;

    switch (of.kind) {
    case JJ_STR:
        f = jj_find_function(jj_str_methods, name);
        return f ? f : jj_find_function(jj_str_more_methods, name);
    case JJ_DICT: return jj_find_function(jj_dict_methods, name);
    case JJ_LIST:
    case JJ_TUPLE:
    case JJ_RANGE: return jj_find_function(jj_list_methods, name);
    case JJ_CYCLER: return jj_find_function(cycler_methods, name);
    default: return NULL;
    }
}

struct jj_value jj_python_attribute(struct jj *j, struct jj_value of, const struct jj_str *name)
{
    const struct jj_function *f = find_method(of, name);
    struct jj_value *there, missing = {0};

    jj_spend(j, 5); /* tables were looked through */
    if (f)
        return bind(j, of, f);
    if (name->n && name->p[0] == '_')
        return is_one_of(name, internals) ? unsafe(j, of, name) : missing;
    if (of.kind == JJ_NAMESPACE) {
        there = jj_dict_find(j, of.dict, name);
        return there ? *there : missing;
    }
    if (of.kind == JJ_LOOP)
        return jj_loop_attribute(j, of, name);
    if (of.kind == JJ_TUPLE && of.list->group && jj_str_is(name, "grouper"))
        return of.list->v[0];
    if (of.kind == JJ_TUPLE && of.list->group && jj_str_is(name, "list"))
        return of.list->v[1];
    if (of.kind == JJ_CYCLER && jj_str_is(name, "current"))
        return of.list->v[of.list->at];
    if (of.kind == JJ_MACRO && jj_str_is(name, "name") && of.macro->def->name)
        return jj_of_str(of.macro->def->name->text);
    if ((of.kind == JJ_LIST && is_one_of(name, list_changes)) ||
        (of.kind == JJ_DICT && is_one_of(name, dict_changes)))
        return unsafe(j, of, name);
    return missing;
}

static const char *object_name(struct jj_value of)
{
    return of.kind == JJ_NONE ? "None" : jj_type(of);
}

static struct jj_value no_attribute(struct jj *j, struct jj_value of, const struct jj_str *name)
{
    return jj_undefined(j, "'%s%s' has no attribute '%.*s'", object_name(of),
                        of.kind == JJ_NONE ? "" : " object", (int)name->n, name->p);
}

static struct jj_value no_element(struct jj *j, struct jj_value of, struct jj_value key)
{
    struct jj_text t = {0};
    const struct jj_str *s;

    if (key.kind == JJ_STR)
        return no_attribute(j, of, key.s);
    jj_repr(j, &t, key);
    s = jj_text_end(j, &t);
    return jj_undefined(j, "%s%s has no element %.*s", object_name(of),
                        of.kind == JJ_NONE ? "" : " object", (int)(s->n < 100 ? s->n : 100), s->p);
}

struct jj_value jj_attribute(struct jj *j, struct jj_value of, const struct jj_str *name)
{
    struct jj_value v, *there;

    if (of.kind == JJ_UNDEFINED && is_one_of(name, internals))
        return unsafe(j, of, name);
    jj_defined(j, of);
    v = jj_python_attribute(j, of, name);
    if (v.kind != JJ_MISSING)
        return v;
    if (of.kind == JJ_DICT) {
        there = jj_dict_find(j, of.dict, name);
        if (there)
            return *there;
    }
    return no_attribute(j, of, name);
}

static bool hashable(struct jj_value v)
{
    if (v.kind != JJ_TUPLE)
        return v.kind != JJ_LIST && v.kind != JJ_DICT && v.kind != JJ_VIEW;
    for (size_t i = 0; i < v.list->n; i++) {
        if (v.list->v[i].kind == JJ_LIST || v.list->v[i].kind == JJ_DICT ||
            v.list->v[i].kind == JJ_TUPLE)
            return false;
    }
    return true;
}

static struct jj_value char_at(struct jj *j, const struct jj_str *s, size_t i)
{
    size_t from = jj_str_offset(s, i), to = from;

    jj_spend_bytes(j, from);
    jj_next_char(s, &to);
    return jj_of_str(jj_str_cut(j, s, from, to));
}

/* The element of a sequence, counted from its end when i < 0; JJ_MISSING: there is none. */
static struct jj_value sequence_item(struct jj *j, struct jj_value of, int64_t i)
{
    struct jj_value missing = {0};
    size_t n;

    if (of.kind != JJ_STR && of.kind != JJ_LIST && of.kind != JJ_TUPLE && of.kind != JJ_RANGE)
        return missing;
    n = jj_length(j, of);
    if (i < 0)
        i += (int64_t)n;
    if (i < 0 || (uint64_t)i >= n)
        return missing;
    if (of.kind == JJ_STR)
        return char_at(j, of.s, (size_t)i);
    return of.kind == JJ_RANGE ? jj_range_at(of.range, (size_t)i) : of.list->v[i];
}

struct jj_value jj_item(struct jj *j, struct jj_value of, struct jj_value key)
{
    struct jj_value v = {0}, *there = NULL;

    jj_defined(j, of);
    if (of.kind == JJ_DICT && hashable(key)) {
        there = jj_dict_get(j, of.dict, key);
        if (there)
            return *there;
    } else if (jj_is_integer(key)) {
        v = sequence_item(j, of, jj_as_int(key));
    }
    if (v.kind == JJ_MISSING && key.kind == JJ_STR)
        v = jj_python_attribute(j, of, key.s);
    return v.kind == JJ_MISSING ? no_element(j, of, key) : v;
}

/* --- slices --- */

struct indices {
    int64_t start, step;
    size_t n;
};

static int64_t clamp(int64_t i, int64_t n, int64_t step)
{
    int64_t low = step < 0 ? -1 : 0, high = step < 0 ? n - 1 : n;

    if (i < 0)
        i += n;
    return i < low ? low : i > high ? high : i;
}

static int64_t part_of(struct jj *j, struct jj_value v, int64_t otherwise)
{
    if (!jj_given(v))
        return otherwise;
    jj_defined(j, v);
    if (!jj_is_integer(v))
        jj_raise(j, "slice indices must be integers or None or have an __index__ method");
    return jj_as_int(v);
}

static struct indices indices_of(struct jj *j, const struct jj_value part[3], int64_t n)
{
    int64_t step = part_of(j, part[2], 1), start, stop, count = 0;

    if (!step)
        jj_raise(j, "slice step cannot be zero");
    step = step < -INT64_MAX ? -INT64_MAX : step;
    start = part_of(j, part[0], 0);
    stop = part_of(j, part[1], 0);
    start = jj_given(part[0]) ? clamp(start, n, step) : step < 0 ? n - 1 : 0;
    stop = jj_given(part[1]) ? clamp(stop, n, step) : step < 0 ? -1 : n;
    if (step > 0 && start < stop)
        count = (stop - start - 1) / step + 1;
    else if (step < 0 && start > stop)
        count = (start - stop - 1) / -step + 1;
    return (struct indices){.start = start, .step = step, .n = (size_t)count};
}

static struct jj_value slice_str(struct jj *j, const struct jj_str *s, struct indices at)
{
    struct jj_text t = {0};

    if (at.step == 1) {
        size_t from = jj_str_offset(s, (size_t)at.start);

        return jj_of_str(jj_str_cut(j, s, from, jj_str_offset(s, (size_t)at.start + at.n)));
    }
    if (s->chars != s->n) { /* one look at each character finds all of them */
        size_t *offsets = jj_alloc(j, (s->chars + 1) * sizeof *offsets), k = 0;

        for (size_t i = 0; i < s->n; k++) {
            offsets[k] = i;
            jj_next_char(s, &i);
        }
        offsets[k] = s->n;
        for (size_t i = 0; i < at.n; i++) {
            int64_t c = at.start + (int64_t)i * at.step;

            jj_text_cut(j, &t, s, offsets[c], offsets[c + 1]);
        }
        return jj_of_str(jj_text_end(j, &t));
    }
    for (size_t i = 0; i < at.n; i++) {
        size_t c = (size_t)(at.start + (int64_t)i * at.step);

        jj_text_cut(j, &t, s, c, c + 1);
    }
    return jj_of_str(jj_text_end(j, &t));
}

static struct jj_value slice_range(struct jj *j, const struct jj_range *r, struct indices at)
{
    struct jj_range *s = jj_alloc(j, sizeof *s);

    s->start = r->start + at.start * r->step;
    s->step = at.n ? r->step * at.step : r->step;
    s->stop = s->start + (int64_t)at.n * s->step;
    s->n = at.n;
    return (struct jj_value){.kind = JJ_RANGE, .range = s};
}

struct jj_value jj_slice(struct jj *j, struct jj_value of, const struct jj_value part[3])
{
    struct jj_list *l;
    struct indices at;

    jj_defined(j, of);
    if (of.kind != JJ_STR && of.kind != JJ_LIST && of.kind != JJ_TUPLE && of.kind != JJ_RANGE)
        jj_raise(j, "'%s' object cannot be sliced", jj_type(of));
    at = indices_of(j, part, (int64_t)jj_length(j, of));
    if (of.kind == JJ_STR)
        jj_spend_bytes(j, of.s->n);
    if (at.step != 1)
        jj_spend(j, at.n);
    if (of.kind == JJ_STR)
        return slice_str(j, of.s, at);
    if (of.kind == JJ_RANGE)
        return slice_range(j, of.range, at);
    l = jj_list(j);
    for (size_t i = 0; i < at.n; i++)
        jj_push(j, l, of.list->v[at.start + (int64_t)i * at.step]);
    return (struct jj_value){.kind = of.kind, .src = of.src, .list = l};
}
