#include "value.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { FEW_PAIRS = 8 }; /* dicts of so many are searched in order */

struct fg_jj_value fg_jj_none(void)
{
    return (struct fg_jj_value){.kind = FG_JJ_NONE};
}

struct fg_jj_value fg_jj_bool(bool b)
{
    return (struct fg_jj_value){.kind = FG_JJ_BOOL, .b = b};
}

struct fg_jj_value fg_jj_int(int64_t i)
{
    return (struct fg_jj_value){.kind = FG_JJ_INT, .i = i};
}

struct fg_jj_value fg_jj_float(double f)
{
    return (struct fg_jj_value){.kind = FG_JJ_FLOAT, .f = f};
}

struct fg_jj_value fg_jj_of_str(const struct fg_jj_str *s)
{
    return (struct fg_jj_value){.kind = FG_JJ_STR, .s = s};
}

struct fg_jj_value fg_jj_of_list(enum fg_jj_kind kind, struct fg_jj_list *list)
{
    return (struct fg_jj_value){.kind = kind, .list = list};
}

struct fg_jj_value fg_jj_iter(struct fg_jj_list *list, const char *name)
{
    list->name = name;
    return fg_jj_of_list(FG_JJ_ITER, list);
}

struct fg_jj_value fg_jj_of_dict(struct fg_jj_dict *d)
{
    return (struct fg_jj_value){.kind = FG_JJ_DICT, .dict = d};
}

struct fg_jj_value fg_jj_undefined(struct fg_jj *j, const char *fmt, ...)
{
    struct fg_jj_undefined *u = fg_jj_alloc(j, sizeof *u);
    char text[256], *kept;
    size_t n;
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    n = strlen(text);
    kept = fg_jj_alloc(j, n + 1);
    memcpy(kept, text, n);
    u->message = (struct fg_jj_str){.p = kept, .n = n};
    return (struct fg_jj_value){.kind = FG_JJ_UNDEFINED, .undefined = u};
}

struct fg_jj_list *fg_jj_list(struct fg_jj *j)
{
    return fg_jj_alloc(j, sizeof(struct fg_jj_list));
}

void fg_jj_push(struct fg_jj *j, struct fg_jj_list *l, struct fg_jj_value v)
{
    fg_jj_spend(j, 1);
    l->v = fg_jj_grow(j, l->v, &l->cap, l->n + 1, sizeof *l->v);
    l->v[l->n++] = v;
}

struct fg_jj_dict *fg_jj_dict(struct fg_jj *j)
{
    return fg_jj_alloc(j, sizeof(struct fg_jj_dict));
}

static uint64_t hash_bytes(const void *p, size_t n, uint64_t h)
{
    const unsigned char *b = p;

    for (size_t i = 0; i < n; i++)
        h = (h ^ b[i]) * 0x100000001b3;
    return h;
}

static uint64_t hash(struct fg_jj *j, struct fg_jj_value v)
{
    uint64_t h = 0xcbf29ce484222325;
    double number;

    switch (v.kind) {
    case FG_JJ_STR: fg_jj_spend_bytes(j, v.s->n); return hash_bytes(v.s->p, v.s->n, h);
    case FG_JJ_BOOL:
    case FG_JJ_INT:
    case FG_JJ_BIGINT:
    case FG_JJ_FLOAT:
        number = fg_jj_as_float(v) + 0.0; /* -0.0 is 0 */
        return hash_bytes(&number, sizeof number, h);
    case FG_JJ_TUPLE:
        fg_jj_enter(j);
        for (size_t i = 0; i < v.list->n; i++)
            h = (h ^ hash(j, v.list->v[i])) * 0x100000001b3;
        fg_jj_leave(j);
        return h;
    case FG_JJ_LIST:
    case FG_JJ_DICT:
    case FG_JJ_VIEW: fg_jj_raise(j, "unhashable type: '%s'", fg_jj_type(v));
    default: return h + v.kind;
    }
}

/* The slot that holds the key, or the free one where it belongs. */
static size_t slot_of(struct fg_jj *j, const struct fg_jj_dict *d, struct fg_jj_value key,
                      uint64_t h)
{
    size_t slot = (size_t)(h ^ h >> 32) & (d->slots - 1);

    while (d->table[slot] && !fg_jj_equal(j, d->pairs[d->table[slot] - 1].key, key)) {
        fg_jj_spend(j, 1);
        slot = (slot + 1) & (d->slots - 1);
    }
    return slot;
}

struct fg_jj_value *fg_jj_dict_get(struct fg_jj *j, const struct fg_jj_dict *d,
                                   struct fg_jj_value key)
{
    uint64_t h = hash(j, key);

    if (d->table) {
        uint32_t i = d->table[slot_of(j, d, key, h)];

        return i ? &d->pairs[i - 1].value : NULL;
    }
    for (size_t i = 0; i < d->n; i++) {
        if (fg_jj_equal(j, d->pairs[i].key, key))
            return &d->pairs[i].value;
    }
    return NULL;
}

struct fg_jj_value *fg_jj_dict_find(struct fg_jj *j, const struct fg_jj_dict *d,
                                    const struct fg_jj_str *key)
{
    return fg_jj_dict_get(j, d, fg_jj_of_str(key));
}

static void rebuild_table(struct fg_jj *j, struct fg_jj_dict *d)
{
    d->slots = d->slots ? d->slots * 4 : 64;
    d->table = fg_jj_alloc(j, d->slots * sizeof *d->table);
    for (size_t i = 0; i < d->n; i++)
        d->table[slot_of(j, d, d->pairs[i].key, hash(j, d->pairs[i].key))] = (uint32_t)i + 1;
}

void fg_jj_dict_set(struct fg_jj *j, struct fg_jj_dict *d, struct fg_jj_value key,
                    struct fg_jj_value v)
{
    struct fg_jj_value *there = fg_jj_dict_get(j, d, key);

    fg_jj_spend(j, 1);
    if (there) {
        *there = v;
        return;
    }
    d->pairs = fg_jj_grow(j, d->pairs, &d->cap, d->n + 1, sizeof *d->pairs);
    d->pairs[d->n++] = (struct fg_jj_pair){.key = key, .value = v};
    if (d->n > FEW_PAIRS && d->n * 2 > d->slots)
        rebuild_table(j, d);
    else if (d->table)
        d->table[slot_of(j, d, key, hash(j, key))] = (uint32_t)d->n;
}

const char *fg_jj_type(struct fg_jj_value v)
{
    switch (v.kind) {
    case FG_JJ_MISSING: return "missing";
    case FG_JJ_UNDEFINED: return "Undefined";
    case FG_JJ_NONE: return "NoneType";
    case FG_JJ_BOOL: return "bool";
    case FG_JJ_INT:
    case FG_JJ_BIGINT: return "int";
    case FG_JJ_FLOAT: return "float";
    case FG_JJ_STR: return v.s->markup ? "Markup" : "str";
    case FG_JJ_LIST: return "list";
    case FG_JJ_TUPLE: return v.list->group ? "_GroupTuple" : "tuple";
    case FG_JJ_DICT: return "dict";
    case FG_JJ_NAMESPACE: return "Namespace";
    case FG_JJ_RANGE: return "range";
    case FG_JJ_ITER:
    case FG_JJ_VIEW: return v.list->name;
    case FG_JJ_LOOP: return "LoopContext";
    case FG_JJ_MACRO: return "Macro";
    case FG_JJ_CYCLER: return "Cycler";
    case FG_JJ_JOINER: return "Joiner";
    case FG_JJ_FUNCTION: return "function";
    case FG_JJ_METHOD: return "builtin_function_or_method";
    }
    return "object";
}

bool fg_jj_is_number(struct fg_jj_value v)
{
    return v.kind == FG_JJ_BOOL || v.kind == FG_JJ_INT || v.kind == FG_JJ_BIGINT ||
           v.kind == FG_JJ_FLOAT;
}

bool fg_jj_is_integer(struct fg_jj_value v)
{
    return v.kind == FG_JJ_BOOL || v.kind == FG_JJ_INT;
}

int64_t fg_jj_as_int(struct fg_jj_value v)
{
    return v.kind == FG_JJ_BOOL ? v.b : v.i;
}

double fg_jj_as_float(struct fg_jj_value v)
{
    if (v.kind == FG_JJ_BOOL)
        return v.b;
    return v.kind == FG_JJ_INT ? (double)v.i : v.f;
}

void fg_jj_defined(struct fg_jj *j, struct fg_jj_value v)
{
    if (v.kind == FG_JJ_UNDEFINED && v.undefined)
        fg_jj_raise(j, "%.*s", (int)v.undefined->message.n, v.undefined->message.p);
    if (v.kind == FG_JJ_UNDEFINED)
        fg_jj_raise(j, "a value is undefined");
}

bool fg_jj_true(struct fg_jj_value v)
{
    switch (v.kind) {
    case FG_JJ_MISSING:
    case FG_JJ_NONE: return false;
    case FG_JJ_UNDEFINED: return false;
    case FG_JJ_BOOL: return v.b;
    case FG_JJ_INT: return v.i != 0;
    case FG_JJ_FLOAT: return v.f != 0;
    case FG_JJ_STR: return v.s->n != 0;
    case FG_JJ_LIST:
    case FG_JJ_TUPLE:
    case FG_JJ_VIEW: return v.list->n != 0;
    case FG_JJ_DICT: return v.dict->n != 0;
    case FG_JJ_RANGE: return v.range->n != 0;
    default: return true;
    }
}

static uint32_t src_of(struct fg_jj_value v)
{
    return v.kind == FG_JJ_STR ? fg_jj_str_one_src(v.s) : v.src;
}

uint32_t fg_jj_src_both(struct fg_jj_value a, struct fg_jj_value b)
{
    uint32_t src = src_of(a);

    return src ? src : src_of(b);
}

struct fg_jj_value fg_jj_range_at(const struct fg_jj_range *r, size_t i)
{
    return fg_jj_int(r->start + (int64_t)i * r->step);
}

static struct fg_jj_list *str_items(struct fg_jj *j, const struct fg_jj_str *s)
{
    struct fg_jj_list *l = fg_jj_list(j);
    struct fg_jj_str *plain = fg_jj_alloc(j, sizeof *plain);

    *plain = *s;
    plain->markup = false;
    for (size_t at = 0; at < s->n;) {
        size_t from = at;

        fg_jj_next_char(s, &at);
        fg_jj_push(j, l, fg_jj_of_str(fg_jj_str_cut(j, plain, from, at)));
    }
    return l;
}

struct fg_jj_list *fg_jj_items(struct fg_jj *j, struct fg_jj_value v)
{
    struct fg_jj_list *l;

    switch (v.kind) {
    case FG_JJ_LIST:
    case FG_JJ_TUPLE:
    case FG_JJ_VIEW: return v.list;
    case FG_JJ_STR: return str_items(j, v.s);
    case FG_JJ_UNDEFINED: return fg_jj_list(j);
    case FG_JJ_DICT:
        l = fg_jj_list(j);
        for (size_t i = 0; i < v.dict->n; i++)
            fg_jj_push(j, l, v.dict->pairs[i].key);
        return l;
    case FG_JJ_RANGE:
        l = fg_jj_list(j);
        for (size_t i = 0; i < v.range->n; i++)
            fg_jj_push(j, l, fg_jj_range_at(v.range, i));
        return l;
    case FG_JJ_ITER:
        l = fg_jj_list(j);
        while (v.list->at < v.list->n)
            fg_jj_push(j, l, v.list->v[v.list->at++]);
        return l;
    default: fg_jj_raise(j, "'%s' object is not iterable", fg_jj_type(v));
    }
}

size_t fg_jj_length(struct fg_jj *j, struct fg_jj_value v)
{
    switch (v.kind) {
    case FG_JJ_LIST:
    case FG_JJ_TUPLE:
    case FG_JJ_VIEW: return v.list->n;
    case FG_JJ_STR: return v.s->chars;
    case FG_JJ_DICT: return v.dict->n;
    case FG_JJ_RANGE: return v.range->n;
    case FG_JJ_UNDEFINED: return 0;
    default: fg_jj_raise(j, "object of type '%s' has no len()", fg_jj_type(v));
    }
}

const struct fg_jj_str *fg_jj_need_str(struct fg_jj *j, struct fg_jj_value v, const char *what)
{
    fg_jj_defined(j, v);
    if (v.kind != FG_JJ_STR)
        fg_jj_raise(j, "%s must be a string, not '%s'", what, fg_jj_type(v));
    return v.s;
}

int64_t fg_jj_need_int(struct fg_jj *j, struct fg_jj_value v, const char *what)
{
    fg_jj_defined(j, v);
    if (!fg_jj_is_integer(v))
        fg_jj_raise(j, "%s must be an integer, not '%s'", what, fg_jj_type(v));
    return fg_jj_as_int(v);
}
