#include <string.h>

#include "filters.h"

/* A part of a path: an index where it is digits. */
static struct jj_value path_part(struct jj *j, const struct jj_str *path, size_t from, size_t to)
{
    int64_t i = 0;

    for (size_t k = from; k < to; k++) {
        if (path->p[k] < '0' || path->p[k] > '9' || to - from > 18)
            return jj_of_str(jj_str_cut(j, path, from, to));
        i = i * 10 + (path->p[k] - '0');
    }
    return from < to ? jj_int(i) : jj_empty_str(j);
}

struct jj_value jj_path_or(struct jj *j, struct jj_value v, struct jj_value path,
                           struct jj_value otherwise)
{
    size_t from = 0, to = 0, n = 0;

    if (!jj_given(path))
        return v;
    if (path.kind == JJ_STR)
        n = path.s->n;
    do {
        const char *dot = n > from ? memchr(path.s->p + from, '.', n - from) : NULL;

        to = dot ? (size_t)(dot - path.s->p) : n;
        v = jj_item(j, v, path.kind == JJ_STR ? path_part(j, path.s, from, to) : path);
        if (v.kind == JJ_UNDEFINED && jj_given(otherwise))
            v = otherwise;
        from = to + 1;
    } while (to < n);
    return v;
}

struct jj_value jj_path(struct jj *j, struct jj_value v, struct jj_value path)
{
    return jj_path_or(j, v, path, jj_none());
}

JJ_FILTER(attr)
{
    const struct jj_str *name = jj_to_str(j, args->v[0]);
    struct jj_value v;

    jj_defined(j, self);
    v = jj_python_attribute(j, self, name);
    if (v.kind == JJ_MISSING)
        return jj_undefined(j, "'%s object' has no attribute '%.*s'", jj_type(self), (int)name->n,
                            name->p);
    return v;
}

JJ_FILTER(batch)
{
    struct jj_list *items = jj_items(j, self), *out = jj_list(j), *part = jj_list(j);
    int64_t n = jj_need_int(j, args->v[0], "the length of a batch");

    for (size_t i = 0; i < items->n; i++) {
        if ((int64_t)part->n == n) {
            jj_push(j, out, jj_of_list(JJ_LIST, part));
            part = jj_list(j);
        }
        jj_push(j, part, items->v[i]);
    }
    if (!part->n)
        return jj_iter(out, "generator");
    while (jj_given(args->v[1]) && (int64_t)part->n < n)
        jj_push(j, part, args->v[1]);
    jj_push(j, out, jj_of_list(JJ_LIST, part));
    return jj_iter(out, "generator");
}

JJ_FILTER(slice)
{
    struct jj_list *items = jj_items(j, self), *out = jj_list(j);
    int64_t slices = jj_need_int(j, args->v[0], "the number of slices");
    size_t each, more, at = 0;

    if (!slices)
        jj_raise(j, "integer division or modulo by zero");
    each = slices > 0 ? items->n / (size_t)slices : 0;
    more = slices > 0 ? items->n % (size_t)slices : 0;
    for (int64_t i = 0; i < slices; i++) {
        struct jj_list *part = jj_list(j);
        size_t end = at + each + ((size_t)i < more);

        while (at < end)
            jj_push(j, part, items->v[at++]);
        if (jj_given(args->v[1]) && (size_t)i >= more)
            jj_push(j, part, args->v[1]);
        jj_push(j, out, jj_of_list(JJ_LIST, part));
    }
    return jj_iter(out, "generator");
}

JJ_FILTER(default)
{
    bool falsy = jj_opt_bool(args->v[1], false);

    if (self.kind != JJ_UNDEFINED && !(falsy && !jj_true(self)))
        return self;
    return args->v[0].kind == JJ_MISSING ? jj_empty_str(j) : args->v[0];
}

JJ_FILTER(first)
{
    struct jj_list *l;

    (void)args;
    if (self.kind == JJ_ITER && self.list->at < self.list->n)
        return self.list->v[self.list->at++];
    l = jj_items(j, self);
    return l->n ? l->v[0] : jj_undefined(j, "No first item, sequence was empty.");
}

JJ_FILTER(last)
{
    struct jj_list *l;

    (void)args;
    if (self.kind == JJ_ITER)
        jj_raise(j, "'%s' object is not reversible", jj_type(self));
    l = jj_items(j, self);
    return l->n ? l->v[l->n - 1] : jj_undefined(j, "No last item, sequence was empty.");
}

JJ_FILTER(items)
{
    struct jj_list *l = jj_list(j);

    (void)args;
    if (self.kind == JJ_UNDEFINED)
        return jj_iter(l, "generator");
    if (self.kind != JJ_DICT)
        jj_raise(j, "Can only get item pairs from a mapping.");
    for (size_t i = 0; i < self.dict->n; i++) {
        struct jj_list *pair = jj_list(j);

        jj_push(j, pair, self.dict->pairs[i].key);
        jj_push(j, pair, self.dict->pairs[i].value);
        jj_push(j, l, jj_of_list(JJ_TUPLE, pair));
    }
    return jj_iter(l, "generator");
}

JJ_FILTER(join)
{
    const struct jj_str *between = args->v[0].kind == JJ_MISSING ? NULL : jj_to_str(j, args->v[0]);
    struct jj_list *items = jj_items(j, self);
    struct jj_text t = {0};

    for (size_t i = 0; i < items->n; i++) {
        if (i && between)
            jj_text_str(j, &t, between);
        jj_print(j, &t, jj_path(j, items->v[i], args->v[1]));
    }
    return jj_of_str(jj_text_end(j, &t));
}

JJ_FILTER(length)
{
    (void)args;
    return jj_int((int64_t)jj_length(j, self));
}

JJ_FILTER(list)
{
    struct jj_list *items = jj_items(j, self), *l = jj_list(j);
    struct jj_value v = jj_of_list(JJ_LIST, l);

    (void)args;
    for (size_t i = 0; i < items->n; i++)
        jj_push(j, l, items->v[i]);
    v.src = self.kind == JJ_STR ? 0 : self.src;
    return v;
}

JJ_FILTER(reverse)
{
    struct jj_list *items, *l;

    (void)args;
    if (self.kind == JJ_STR) {
        struct jj_value back[3] = {{0}, {0}, jj_int(-1)};

        return jj_slice(j, self, back);
    }
    items = jj_items(j, self);
    l = jj_list(j);
    for (size_t i = items->n; i > 0; i--)
        jj_push(j, l, items->v[i - 1]);
    return self.kind == JJ_ITER ? jj_of_list(JJ_LIST, l) : jj_iter(l, "list_reverseiterator");
}

JJ_FILTER(sum)
{
    struct jj_list *items = jj_items(j, self);
    struct jj_value sum = args->v[1].kind == JJ_MISSING ? jj_int(0) : args->v[1];

    if (sum.kind == JJ_STR)
        jj_raise(j, "sum() can't sum strings [use ''.join(seq) instead]");
    for (size_t i = 0; i < items->n; i++)
        sum = jj_compute(j, JJ_ADD, sum, jj_path(j, items->v[i], args->v[0]));
    return sum;
}
