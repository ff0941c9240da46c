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

static bool is_one_of(const struct fg_jj_str *name, const char *const *names)
{
    for (; *names; names++) {
        if (fg_jj_str_is(name, *names))
            return true;
    }
    return false;
}

static struct fg_jj_value unsafe(struct fg_jj *j, struct fg_jj_value of,
                                 const struct fg_jj_str *name)
{
    return fg_jj_undefined(j, "access to attribute '%.*s' of '%s' object is unsafe.", (int)name->n,
                           name->p, fg_jj_type(of));
}

static struct fg_jj_value bind(struct fg_jj *j, struct fg_jj_value self,
                               const struct fg_jj_function *f)
{
    struct fg_jj_method *m = fg_jj_alloc(j, sizeof *m);

    m->self = self;
    m->function = f;
    return (struct fg_jj_value){.kind = FG_JJ_METHOD, .method = m};
}

static struct fg_jj_value cycler_next(struct fg_jj *j, struct fg_jj_value self,
                                      const struct fg_jj_args *args)
{
    struct fg_jj_list *l = self.list;
    size_t at = l->at;

    (void)j;
    (void)args;
    l->at = (at + 1) % l->n;
    return l->v[at];
}

static struct fg_jj_value cycler_reset(struct fg_jj *j, struct fg_jj_value self,
                                       const struct fg_jj_args *args)
{
    (void)j;
    (void)args;
    self.list->at = 0;
    return fg_jj_none();
}

static const struct fg_jj_function cycler_methods[] = {
    {"next", "", cycler_next}, {"reset", "", cycler_reset}, {0}};

static const struct fg_jj_function *find_method(struct fg_jj_value of, const struct fg_jj_str *name)
{
    const struct fg_jj_function *f = NULL;

    switch (of.kind) {
    case FG_JJ_STR:
        f = fg_jj_find_function(fg_jj_str_methods, name);
        return f ? f : fg_jj_find_function(fg_jj_str_more_methods, name);
    case FG_JJ_DICT: return fg_jj_find_function(fg_jj_dict_methods, name);
    case FG_JJ_LIST:
    case FG_JJ_TUPLE:
    case FG_JJ_RANGE: return fg_jj_find_function(fg_jj_list_methods, name);
    case FG_JJ_CYCLER: return fg_jj_find_function(cycler_methods, name);
    default: return NULL;
    }
}

struct fg_jj_value fg_jj_python_attribute(struct fg_jj *j, struct fg_jj_value of,
                                          const struct fg_jj_str *name)
{
    const struct fg_jj_function *f = find_method(of, name);
    struct fg_jj_value *there, missing = {0};

    fg_jj_spend(j, 5); /* tables were looked through */
    if (f)
        return bind(j, of, f);
    if (name->n && name->p[0] == '_')
        return is_one_of(name, internals) ? unsafe(j, of, name) : missing;
    if (of.kind == FG_JJ_NAMESPACE) {
        there = fg_jj_dict_find(j, of.dict, name);
        return there ? *there : missing;
    }
    if (of.kind == FG_JJ_LOOP)
        return fg_jj_loop_attribute(j, of, name);
    if (of.kind == FG_JJ_TUPLE && of.list->group && fg_jj_str_is(name, "grouper"))
        return of.list->v[0];
    if (of.kind == FG_JJ_TUPLE && of.list->group && fg_jj_str_is(name, "list"))
        return of.list->v[1];
    if (of.kind == FG_JJ_CYCLER && fg_jj_str_is(name, "current"))
        return of.list->v[of.list->at];
    if (of.kind == FG_JJ_MACRO && fg_jj_str_is(name, "name") && of.macro->def->name)
        return fg_jj_of_str(of.macro->def->name->text);
    if ((of.kind == FG_JJ_LIST && is_one_of(name, list_changes)) ||
        (of.kind == FG_JJ_DICT && is_one_of(name, dict_changes)))
        return unsafe(j, of, name);
    return missing;
}

static const char *object_name(struct fg_jj_value of)
{
    return of.kind == FG_JJ_NONE ? "None" : fg_jj_type(of);
}

static struct fg_jj_value no_attribute(struct fg_jj *j, struct fg_jj_value of,
                                       const struct fg_jj_str *name)
{
    return fg_jj_undefined(j, "'%s%s' has no attribute '%.*s'", object_name(of),
                           of.kind == FG_JJ_NONE ? "" : " object", (int)name->n, name->p);
}

static struct fg_jj_value no_element(struct fg_jj *j, struct fg_jj_value of, struct fg_jj_value key)
{
    struct fg_jj_text t = {0};
    const struct fg_jj_str *s;

    if (key.kind == FG_JJ_STR)
        return no_attribute(j, of, key.s);
    fg_jj_repr(j, &t, key);
    s = fg_jj_text_end(j, &t);
    return fg_jj_undefined(j, "%s%s has no element %.*s", object_name(of),
                           of.kind == FG_JJ_NONE ? "" : " object", (int)(s->n < 100 ? s->n : 100),
                           s->p);
}

struct fg_jj_value fg_jj_attribute(struct fg_jj *j, struct fg_jj_value of,
                                   const struct fg_jj_str *name)
{
    struct fg_jj_value v, *there;

    if (of.kind == FG_JJ_UNDEFINED && is_one_of(name, internals))
        return unsafe(j, of, name);
    fg_jj_defined(j, of);
    v = fg_jj_python_attribute(j, of, name);
    if (v.kind != FG_JJ_MISSING)
        return v;
    if (of.kind == FG_JJ_DICT) {
        there = fg_jj_dict_find(j, of.dict, name);
        if (there)
            return *there;
    }
    return no_attribute(j, of, name);
}

static bool hashable(struct fg_jj_value v)
{
    if (v.kind != FG_JJ_TUPLE)
        return v.kind != FG_JJ_LIST && v.kind != FG_JJ_DICT && v.kind != FG_JJ_VIEW;
    for (size_t i = 0; i < v.list->n; i++) {
        if (v.list->v[i].kind == FG_JJ_LIST || v.list->v[i].kind == FG_JJ_DICT ||
            v.list->v[i].kind == FG_JJ_TUPLE)
            return false;
    }
    return true;
}

static struct fg_jj_value char_at(struct fg_jj *j, const struct fg_jj_str *s, size_t i)
{
    size_t from = fg_jj_str_offset(s, i), to = from;

    fg_jj_spend_bytes(j, from);
    fg_jj_next_char(s, &to);
    return fg_jj_of_str(fg_jj_str_cut(j, s, from, to));
}

/* The element of a sequence, counted from its end when i < 0; FG_JJ_MISSING: there is none. */
static struct fg_jj_value sequence_item(struct fg_jj *j, struct fg_jj_value of, int64_t i)
{
    struct fg_jj_value missing = {0};
    size_t n;

    if (of.kind != FG_JJ_STR && of.kind != FG_JJ_LIST && of.kind != FG_JJ_TUPLE &&
        of.kind != FG_JJ_RANGE)
        return missing;
    n = fg_jj_length(j, of);
    if (i < 0)
        i += (int64_t)n;
    if (i < 0 || (uint64_t)i >= n)
        return missing;
    if (of.kind == FG_JJ_STR)
        return char_at(j, of.s, (size_t)i);
    return of.kind == FG_JJ_RANGE ? fg_jj_range_at(of.range, (size_t)i) : of.list->v[i];
}

struct fg_jj_value fg_jj_item(struct fg_jj *j, struct fg_jj_value of, struct fg_jj_value key)
{
    struct fg_jj_value v = {0}, *there = NULL;

    fg_jj_defined(j, of);
    if (of.kind == FG_JJ_DICT && hashable(key)) {
        there = fg_jj_dict_get(j, of.dict, key);
        if (there)
            return *there;
    } else if (fg_jj_is_integer(key)) {
        v = sequence_item(j, of, fg_jj_as_int(key));
    }
    if (v.kind == FG_JJ_MISSING && key.kind == FG_JJ_STR)
        v = fg_jj_python_attribute(j, of, key.s);
    return v.kind == FG_JJ_MISSING ? no_element(j, of, key) : v;
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

static int64_t part_of(struct fg_jj *j, struct fg_jj_value v, int64_t otherwise)
{
    if (!fg_jj_given(v))
        return otherwise;
    fg_jj_defined(j, v);
    if (!fg_jj_is_integer(v))
        fg_jj_raise(j, "slice indices must be integers or None or have an __index__ method");
    return fg_jj_as_int(v);
}

static struct indices indices_of(struct fg_jj *j, const struct fg_jj_value part[3], int64_t n)
{
    int64_t step = part_of(j, part[2], 1), start, stop, count = 0;

    if (!step)
        fg_jj_raise(j, "slice step cannot be zero");
    step = step < -INT64_MAX ? -INT64_MAX : step;
    start = part_of(j, part[0], 0);
    stop = part_of(j, part[1], 0);
    start = fg_jj_given(part[0]) ? clamp(start, n, step) : step < 0 ? n - 1 : 0;
    stop = fg_jj_given(part[1]) ? clamp(stop, n, step) : step < 0 ? -1 : n;
    if (step > 0 && start < stop)
        count = (stop - start - 1) / step + 1;
    else if (step < 0 && start > stop)
        count = (start - stop - 1) / -step + 1;
    return (struct indices){.start = start, .step = step, .n = (size_t)count};
}

static struct fg_jj_value slice_str(struct fg_jj *j, const struct fg_jj_str *s, struct indices at)
{
    struct fg_jj_text t = {0};

    if (at.step == 1) {
        size_t from = fg_jj_str_offset(s, (size_t)at.start);

        return fg_jj_of_str(
            fg_jj_str_cut(j, s, from, fg_jj_str_offset(s, (size_t)at.start + at.n)));
    }
    if (s->chars != s->n) { /* one look at each character finds all of them */
        size_t *offsets = fg_jj_alloc(j, (s->chars + 1) * sizeof *offsets), k = 0;

        for (size_t i = 0; i < s->n; k++) {
            offsets[k] = i;
            fg_jj_next_char(s, &i);
        }
        offsets[k] = s->n;
        for (size_t i = 0; i < at.n; i++) {
            int64_t c = at.start + (int64_t)i * at.step;

            fg_jj_text_cut(j, &t, s, offsets[c], offsets[c + 1]);
        }
        return fg_jj_of_str(fg_jj_text_end(j, &t));
    }
    for (size_t i = 0; i < at.n; i++) {
        size_t c = (size_t)(at.start + (int64_t)i * at.step);

        fg_jj_text_cut(j, &t, s, c, c + 1);
    }
    return fg_jj_of_str(fg_jj_text_end(j, &t));
}

static struct fg_jj_value slice_range(struct fg_jj *j, const struct fg_jj_range *r,
                                      struct indices at)
{
    struct fg_jj_range *s = fg_jj_alloc(j, sizeof *s);

    s->start = r->start + at.start * r->step;
    s->step = at.n ? r->step * at.step : r->step;
    s->stop = s->start + (int64_t)at.n * s->step;
    s->n = at.n;
    return (struct fg_jj_value){.kind = FG_JJ_RANGE, .range = s};
}

struct fg_jj_value fg_jj_slice(struct fg_jj *j, struct fg_jj_value of,
                               const struct fg_jj_value part[3])
{
    struct fg_jj_list *l;
    struct indices at;

    fg_jj_defined(j, of);
    if (of.kind != FG_JJ_STR && of.kind != FG_JJ_LIST && of.kind != FG_JJ_TUPLE &&
        of.kind != FG_JJ_RANGE)
        fg_jj_raise(j, "'%s' object cannot be sliced", fg_jj_type(of));
    at = indices_of(j, part, (int64_t)fg_jj_length(j, of));
    if (of.kind == FG_JJ_STR)
        fg_jj_spend_bytes(j, of.s->n);
    if (at.step != 1)
        fg_jj_spend(j, at.n);
    if (of.kind == FG_JJ_STR)
        return slice_str(j, of.s, at);
    if (of.kind == FG_JJ_RANGE)
        return slice_range(j, of.range, at);
    l = fg_jj_list(j);
    for (size_t i = 0; i < at.n; i++)
        fg_jj_push(j, l, of.list->v[at.start + (int64_t)i * at.step]);
    return (struct fg_jj_value){.kind = of.kind, .src = of.src, .list = l};
}
