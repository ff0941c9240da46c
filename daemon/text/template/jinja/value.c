#include "value.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { FEW_PAIRS = 8 }; /* dicts of so many are searched in order */

struct jj_value jj_none(void)
{
    return (struct jj_value){.kind = JJ_NONE};
}

struct jj_value jj_bool(bool b)
{
    return (struct jj_value){.kind = JJ_BOOL, .b = b};
}

struct jj_value jj_int(int64_t i)
{
    return (struct jj_value){.kind = JJ_INT, .i = i};
}

struct jj_value jj_float(double f)
{
    return (struct jj_value){.kind = JJ_FLOAT, .f = f};
}

struct jj_value jj_of_str(const struct jj_str *s)
{
    return (struct jj_value){.kind = JJ_STR, .s = s};
}

struct jj_value jj_of_list(enum jj_kind kind, struct jj_list *list)
{
    return (struct jj_value){.kind = kind, .list = list};
}

struct jj_value jj_iter(struct jj_list *list, const char *name)
{
    list->name = name;
    return jj_of_list(JJ_ITER, list);
}

struct jj_value jj_of_dict(struct jj_dict *d)
{
    return (struct jj_value){.kind = JJ_DICT, .dict = d};
}

struct jj_value jj_undefined(struct jj *j, const char *fmt, ...)
{
    struct jj_undefined *u = jj_alloc(j, sizeof *u);
    char text[256], *kept;
    size_t n;
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    n = strlen(text);
    kept = jj_alloc(j, n + 1);
    memcpy(kept, text, n);
    u->message = (struct jj_str){.p = kept, .n = n};
    return (struct jj_value){.kind = JJ_UNDEFINED, .undefined = u};
}

struct jj_list *jj_list(struct jj *j)
{
    return jj_alloc(j, sizeof(struct jj_list));
}

void jj_push(struct jj *j, struct jj_list *l, struct jj_value v)
{
    jj_spend(j, 1);
    l->v = jj_grow(j, l->v, &l->cap, l->n + 1, sizeof *l->v);
    l->v[l->n++] = v;
}

struct jj_dict *jj_dict(struct jj *j)
{
    return jj_alloc(j, sizeof(struct jj_dict));
}

static uint64_t hash_bytes(const void *p, size_t n, uint64_t h)
{
    const unsigned char *b = p;

    for (size_t i = 0; i < n; i++)
        h = (h ^ b[i]) * 0x100000001b3;
    return h;
}

static uint64_t hash(struct jj *j, struct jj_value v)
{
    uint64_t h = 0xcbf29ce484222325;
    double number;

    switch (v.kind) {
    case JJ_STR: jj_spend_bytes(j, v.s->n); return hash_bytes(v.s->p, v.s->n, h);
    case JJ_BOOL:
    case JJ_INT:
    case JJ_BIGINT:
    case JJ_FLOAT:
        number = jj_as_float(v) + 0.0; /* -0.0 is 0 */
        return hash_bytes(&number, sizeof number, h);
    case JJ_TUPLE:
        jj_enter(j);
        for (size_t i = 0; i < v.list->n; i++)
            h = (h ^ hash(j, v.list->v[i])) * 0x100000001b3;
        jj_leave(j);
        return h;
    case JJ_LIST:
    case JJ_DICT:
    case JJ_VIEW: jj_raise(j, "unhashable type: '%s'", jj_type(v));
    default: return h + v.kind;
    }
}

/* The slot that holds the key, or the free one where it belongs. */
static size_t slot_of(struct jj *j, const struct jj_dict *d, struct jj_value key, uint64_t h)
{
    size_t slot = (size_t)(h ^ h >> 32) & (d->slots - 1);

    while (d->table[slot] && !jj_equal(j, d->pairs[d->table[slot] - 1].key, key)) {
        jj_spend(j, 1);
        slot = (slot + 1) & (d->slots - 1);
    }
    return slot;
}

struct jj_value *jj_dict_get(struct jj *j, const struct jj_dict *d, struct jj_value key)
{
    uint64_t h = hash(j, key);

    if (d->table) {
        uint32_t i = d->table[slot_of(j, d, key, h)];

        return i ? &d->pairs[i - 1].value : NULL;
    }
    for (size_t i = 0; i < d->n; i++) {
        if (jj_equal(j, d->pairs[i].key, key))
            return &d->pairs[i].value;
    }
    return NULL;
}

struct jj_value *jj_dict_find(struct jj *j, const struct jj_dict *d, const struct jj_str *key)
{
    return jj_dict_get(j, d, jj_of_str(key));
}

static void rebuild_table(struct jj *j, struct jj_dict *d)
{
    d->slots = d->slots ? d->slots * 4 : 64;
    d->table = jj_alloc(j, d->slots * sizeof *d->table);
    for (size_t i = 0; i < d->n; i++)
        d->table[slot_of(j, d, d->pairs[i].key, hash(j, d->pairs[i].key))] = (uint32_t)i + 1;
}

void jj_dict_set(struct jj *j, struct jj_dict *d, struct jj_value key, struct jj_value v)
{
    struct jj_value *there = jj_dict_get(j, d, key);

    jj_spend(j, 1);
    if (there) {
        *there = v;
        return;
    }
    d->pairs = jj_grow(j, d->pairs, &d->cap, d->n + 1, sizeof *d->pairs);
    d->pairs[d->n++] = (struct jj_pair){.key = key, .value = v};
    if (d->n > FEW_PAIRS && d->n * 2 > d->slots)
        rebuild_table(j, d);
    else if (d->table)
        d->table[slot_of(j, d, key, hash(j, key))] = (uint32_t)d->n;
}

const char *jj_type(struct jj_value v)
{
    switch (v.kind) {
    case JJ_MISSING: return "missing";
    case JJ_UNDEFINED: return "Undefined";
    case JJ_NONE: return "NoneType";
    case JJ_BOOL: return "bool";
    case JJ_INT:
    case JJ_BIGINT: return "int";
    case JJ_FLOAT: return "float";
    case JJ_STR: return v.s->markup ? "Markup" : "str";
    case JJ_LIST: return "list";
    case JJ_TUPLE: return v.list->group ? "_GroupTuple" : "tuple";
    case JJ_DICT: return "dict";
    case JJ_NAMESPACE: return "Namespace";
    case JJ_RANGE: return "range";
    case JJ_ITER:
    case JJ_VIEW: return v.list->name;
    case JJ_LOOP: return "LoopContext";
    case JJ_MACRO: return "Macro";
    case JJ_CYCLER: return "Cycler";
    case JJ_JOINER: return "Joiner";
    case JJ_FUNCTION: return "function";
    case JJ_METHOD: return "builtin_function_or_method";
    }
    return "object";
}

bool jj_is_number(struct jj_value v)
{
    return v.kind == JJ_BOOL || v.kind == JJ_INT || v.kind == JJ_BIGINT || v.kind == JJ_FLOAT;
}

bool jj_is_integer(struct jj_value v)
{
    return v.kind == JJ_BOOL || v.kind == JJ_INT;
}

int64_t jj_as_int(struct jj_value v)
{
    return v.kind == JJ_BOOL ? v.b : v.i;
}

double jj_as_float(struct jj_value v)
{
    if (v.kind == JJ_BOOL)
        return v.b;
    return v.kind == JJ_INT ? (double)v.i : v.f;
}

void jj_defined(struct jj *j, struct jj_value v)
{
    if (v.kind == JJ_UNDEFINED && v.undefined)
        jj_raise(j, "%.*s", (int)v.undefined->message.n, v.undefined->message.p);
    if (v.kind == JJ_UNDEFINED)
        jj_raise(j, "a value is undefined");
}

bool jj_true(struct jj_value v)
{
    switch (v.kind) {
    case JJ_MISSING:
    case JJ_NONE: return false;
    case JJ_UNDEFINED: return false;
    case JJ_BOOL: return v.b;
    case JJ_INT: return v.i != 0;
    case JJ_FLOAT: return v.f != 0;
    case JJ_STR: return v.s->n != 0;
    case JJ_LIST:
    case JJ_TUPLE:
    case JJ_VIEW: return v.list->n != 0;
    case JJ_DICT: return v.dict->n != 0;
    case JJ_RANGE: return v.range->n != 0;
    default: return true;
    }
}

uint32_t jj_src_of(struct jj_value v)
{
    return v.kind == JJ_STR ? jj_str_one_src(v.s) : v.src;
}

uint32_t jj_src_both(struct jj_value a, struct jj_value b)
{
    uint32_t src = jj_src_of(a);

    return src ? src : jj_src_of(b);
}

struct jj_value jj_range_at(const struct jj_range *r, size_t i)
{
    return jj_int(r->start + (int64_t)i * r->step);
}

static struct jj_list *str_items(struct jj *j, const struct jj_str *s)
{
    struct jj_list *l = jj_list(j);
    struct jj_str *plain = jj_alloc(j, sizeof *plain);

    *plain = *s;
    plain->markup = false;
    for (size_t at = 0; at < s->n;) {
        size_t from = at;

        jj_next_char(s, &at);
        jj_push(j, l, jj_of_str(jj_str_cut(j, plain, from, at)));
    }
    return l;
}

struct jj_list *jj_items(struct jj *j, struct jj_value v)
{
    struct jj_list *l;

    switch (v.kind) {
    case JJ_LIST:
    case JJ_TUPLE:
    case JJ_VIEW: return v.list;
    case JJ_STR: return str_items(j, v.s);
    case JJ_UNDEFINED: return jj_list(j);
    case JJ_DICT:
        l = jj_list(j);
        for (size_t i = 0; i < v.dict->n; i++)
            jj_push(j, l, v.dict->pairs[i].key);
        return l;
    case JJ_RANGE:
        l = jj_list(j);
        for (size_t i = 0; i < v.range->n; i++)
            jj_push(j, l, jj_range_at(v.range, i));
        return l;
    case JJ_ITER:
        l = jj_list(j);
        while (v.list->at < v.list->n)
            jj_push(j, l, v.list->v[v.list->at++]);
        return l;
    default: jj_raise(j, "'%s' object is not iterable", jj_type(v));
    }
}

size_t jj_length(struct jj *j, struct jj_value v)
{
    switch (v.kind) {
    case JJ_LIST:
    case JJ_TUPLE:
    case JJ_VIEW: return v.list->n;
    case JJ_STR: return v.s->chars;
    case JJ_DICT: return v.dict->n;
    case JJ_RANGE: return v.range->n;
    case JJ_UNDEFINED: return 0;
    default: jj_raise(j, "object of type '%s' has no len()", jj_type(v));
    }
}

const struct jj_str *jj_need_str(struct jj *j, struct jj_value v, const char *what)
{
    jj_defined(j, v);
    if (v.kind != JJ_STR)
        jj_raise(j, "%s must be a string, not '%s'", what, jj_type(v));
    return v.s;
}

int64_t jj_need_int(struct jj *j, struct jj_value v, const char *what)
{
    jj_defined(j, v);
    if (!jj_is_integer(v))
        jj_raise(j, "%s must be an integer, not '%s'", what, jj_type(v));
    return jj_as_int(v);
}
