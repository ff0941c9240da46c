/* Values of templates: what Python calls objects. They lie in the arena and are immutable but for
 * namespaces, cyclers, joiners, loops and iterators. */
#ifndef FG_JJ_VALUE_H
#define FG_JJ_VALUE_H

#include "core.h"

enum fg_jj_kind {
    FG_JJ_MISSING,   /* no value: an argument that was not given. Never seen by a template */
    FG_JJ_UNDEFINED, /* Jinja's Undefined */
    FG_JJ_NONE,
    FG_JJ_BOOL,
    FG_JJ_INT,
    FG_JJ_BIGINT, /* an integer of the request beyond 64 bits: only printed and compared */
    FG_JJ_FLOAT,
    FG_JJ_STR,
    FG_JJ_LIST,
    FG_JJ_TUPLE,
    FG_JJ_DICT,
    FG_JJ_NAMESPACE,
    FG_JJ_RANGE,
    FG_JJ_ITER, /* a generator: its values can be taken once */
    FG_JJ_VIEW, /* keys(), values() and items() of a dict */
    FG_JJ_LOOP,
    FG_JJ_MACRO,
    FG_JJ_CYCLER,
    FG_JJ_JOINER,
    FG_JJ_FUNCTION, /* a global function */
    FG_JJ_METHOD,   /* a function bound to a value */
};

/* The source of the bytes before `end` and behind the run before. Sources are indices of
 * j->origins. */
struct fg_jj_run {
    size_t end;
    uint32_t src;
};

/* Text: UTF-8, and where each byte came from. */
struct fg_jj_str {
    const char *p;
    size_t n;     /* bytes */
    size_t chars; /* code points */
    const struct fg_jj_run *runs;
    size_t n_runs; /* 0: all of it has the source `src` */
    uint32_t src;
    bool markup; /* HTML that needs no escaping (the filters `safe` and `escape`) */
};

struct fg_jj_list;
struct fg_jj_dict;
struct fg_jj_loop;
struct fg_jj_macro;
struct fg_jj_function;
struct fg_jj_method;
struct fg_jj_range;
struct fg_jj_undefined;

struct fg_jj_value {
    enum fg_jj_kind kind;
    uint32_t src; /* where the value came from; a string has its own */
    union {
        bool b;
        int64_t i;
        double f;
        const struct fg_jj_str *s;
        struct fg_jj_list *list; /* lists, tuples, iterators, views, cyclers */
        struct fg_jj_dict *dict; /* dicts, namespaces */
        struct fg_jj_range *range;
        struct fg_jj_loop *loop;
        const struct fg_jj_macro *macro;
        const struct fg_jj_function *function;
        const struct fg_jj_method *method;
        const struct fg_jj_undefined *undefined; /* or NULL: one without a name */
        bool *used;                              /* joiner's; see sep */
    };
    const struct fg_jj_str
        *text; /* a number: as the request wrote it, or NULL. A joiner: what joins */
};

struct fg_jj_list {
    struct fg_jj_value *v;
    size_t n, cap;
    size_t at;        /* iterators: the next to take; cyclers: the current */
    const char *name; /* iterators and views: what Python calls the type */
    bool group;       /* a tuple (grouper, list) of the filter groupby */
};

struct fg_jj_pair {
    struct fg_jj_value key, value;
};

struct fg_jj_dict {
    struct fg_jj_pair *pairs; /* in order */
    size_t n, cap;
    uint32_t *table; /* index + 1 of pairs, by hash; NULL while there are few */
    size_t slots;
};

struct fg_jj_range {
    int64_t start, stop, step;
    size_t n;
};

struct fg_jj_undefined {
    struct fg_jj_str message; /* what using it says */
};

/* --- making values --- */
struct fg_jj_value fg_jj_none(void);
struct fg_jj_value fg_jj_bool(bool b);
struct fg_jj_value fg_jj_int(int64_t i);
struct fg_jj_value fg_jj_float(double f);
struct fg_jj_value fg_jj_of_str(const struct fg_jj_str *s);
struct fg_jj_value fg_jj_of_list(enum fg_jj_kind kind,
                                 struct fg_jj_list *list); /* lists, tuples, views */
struct fg_jj_value fg_jj_iter(struct fg_jj_list *list, const char *name);
struct fg_jj_value fg_jj_of_dict(struct fg_jj_dict *d);
/* Not defined; the message says what. */
__attribute__((format(printf, 2, 3))) struct fg_jj_value fg_jj_undefined(struct fg_jj *j,
                                                                         const char *fmt, ...);

/* --- strings --- */
/* p is kept. */
const struct fg_jj_str *fg_jj_str(struct fg_jj *j, const char *p, size_t n, uint32_t src);
const struct fg_jj_str *fg_jj_str_c(struct fg_jj *j, const char *literal);
struct fg_jj_value fg_jj_text_value(struct fg_jj *j, const char *literal);
/* Bytes [from, to); shares the bytes. */
const struct fg_jj_str *fg_jj_str_cut(struct fg_jj *j, const struct fg_jj_str *s, size_t from,
                                      size_t to);
uint32_t fg_jj_str_src(const struct fg_jj_str *s, size_t at); /* of the byte at `at` */
/* One source for all of it: the template's where all of it is, otherwise the first other. */
uint32_t fg_jj_str_one_src(const struct fg_jj_str *s);
size_t fg_jj_str_offset(const struct fg_jj_str *s,
                        size_t chars); /* where so many code points end */
bool fg_jj_str_eq(const struct fg_jj_str *a, const struct fg_jj_str *b);
bool fg_jj_str_is(const struct fg_jj_str *s, const char *literal);
int fg_jj_str_cmp(const struct fg_jj_str *a, const struct fg_jj_str *b); /* by code points */
/* First or last place of `needle` in bytes [from, to) of s; SIZE_MAX: none. */
size_t fg_jj_str_find(struct fg_jj *j, const struct fg_jj_str *s, const struct fg_jj_str *needle,
                      size_t from, size_t to);
size_t fg_jj_str_rfind(struct fg_jj *j, const struct fg_jj_str *s, const struct fg_jj_str *needle,
                       size_t from, size_t to);
/* The code point at byte *at, which moves behind it. */
uint32_t fg_jj_next_char(const struct fg_jj_str *s, size_t *at);
/* The code point before byte *at, which moves to its start. */
uint32_t fg_jj_prev_char(const struct fg_jj_str *s, size_t *at);

/* --- growing text --- */
struct fg_jj_text {
    char *p;
    size_t n, cap;
    struct fg_jj_run *runs;
    size_t n_runs, cap_runs;
};
void fg_jj_text_add(struct fg_jj *j, struct fg_jj_text *t, const char *p, size_t n, uint32_t src);
void fg_jj_text_c(struct fg_jj *j, struct fg_jj_text *t, const char *literal, uint32_t src);
void fg_jj_text_char(struct fg_jj *j, struct fg_jj_text *t, uint32_t c, uint32_t src);
void fg_jj_text_str(struct fg_jj *j, struct fg_jj_text *t, const struct fg_jj_str *s);
void fg_jj_text_cut(struct fg_jj *j, struct fg_jj_text *t, const struct fg_jj_str *s, size_t from,
                    size_t to);
const struct fg_jj_str *fg_jj_text_end(struct fg_jj *j, struct fg_jj_text *t); /* t is used up */

/* --- lists and dicts --- */
struct fg_jj_list *fg_jj_list(struct fg_jj *j);
void fg_jj_push(struct fg_jj *j, struct fg_jj_list *l, struct fg_jj_value v);
struct fg_jj_dict *fg_jj_dict(struct fg_jj *j);
/* The value of a key, or NULL. Raises where the key cannot be one. */
struct fg_jj_value *fg_jj_dict_get(struct fg_jj *j, const struct fg_jj_dict *d,
                                   struct fg_jj_value key);
struct fg_jj_value *fg_jj_dict_find(struct fg_jj *j, const struct fg_jj_dict *d,
                                    const struct fg_jj_str *key);
void fg_jj_dict_set(struct fg_jj *j, struct fg_jj_dict *d, struct fg_jj_value key,
                    struct fg_jj_value v);

/* --- what values are --- */
const char *fg_jj_type(struct fg_jj_value v); /* as Python names it */
bool fg_jj_is_number(struct fg_jj_value v);   /* booleans too */
bool fg_jj_is_integer(struct fg_jj_value v);  /* booleans too; not big ones */
int64_t fg_jj_as_int(struct fg_jj_value v);   /* of fg_jj_is_integer() */
double fg_jj_as_float(struct fg_jj_value v);  /* of fg_jj_is_number() */
bool fg_jj_true(struct fg_jj_value v);
bool fg_jj_equal(struct fg_jj *j, struct fg_jj_value a, struct fg_jj_value b);
enum { FG_JJ_UNORDERED = 2 }; /* one of the two is not a number */
/* -1, 0, 1 or FG_JJ_UNORDERED; raises where Python does not order them. `op` is for the message. */
int fg_jj_order(struct fg_jj *j, struct fg_jj_value a, struct fg_jj_value b, const char *op);
/* The source of something computed from both. */
uint32_t fg_jj_src_both(struct fg_jj_value a, struct fg_jj_value b);
/* Raises for an undefined value. */
void fg_jj_defined(struct fg_jj *j, struct fg_jj_value v);

/* All values of something that can be walked through; raises otherwise. The list may be the value's
 * own: it is not changed. Takes what an iterator has left. */
struct fg_jj_list *fg_jj_items(struct fg_jj *j, struct fg_jj_value v);
/* Number of items; raises where Python's len() does. */
size_t fg_jj_length(struct fg_jj *j, struct fg_jj_value v);
struct fg_jj_value fg_jj_range_at(const struct fg_jj_range *r, size_t i);

/* --- operators (ops.c) --- */
enum fg_jj_math {
    FG_JJ_ADD,
    FG_JJ_SUB,
    FG_JJ_MUL,
    FG_JJ_DIV,
    FG_JJ_FLOORDIV,
    FG_JJ_MOD,
    FG_JJ_POW
};
struct fg_jj_value fg_jj_compute(struct fg_jj *j, enum fg_jj_math op, struct fg_jj_value a,
                                 struct fg_jj_value b);
struct fg_jj_value fg_jj_negative(struct fg_jj *j, struct fg_jj_value v,
                                  bool minus); /* -v, or +v */
bool fg_jj_contains(struct fg_jj *j, struct fg_jj_value all, struct fg_jj_value item);
/* HTML's special characters as entities; marked so. One that is marked already stays. */
const struct fg_jj_str *fg_jj_escape(struct fg_jj *j, const struct fg_jj_str *s);
/* The operator % of a string (format.c). */
struct fg_jj_value fg_jj_percent(struct fg_jj *j, const struct fg_jj_str *fmt,
                                 struct fg_jj_value values);

/* --- values as text (print.c) --- */
void fg_jj_print(struct fg_jj *j, struct fg_jj_text *t, struct fg_jj_value v); /* str() */
void fg_jj_repr(struct fg_jj *j, struct fg_jj_text *t, struct fg_jj_value v);  /* repr() */
const struct fg_jj_str *fg_jj_to_str(struct fg_jj *j, struct fg_jj_value v);
void fg_jj_float_text(double x, char out[40]); /* Python's repr of a float */

/* A string that must be one; raises otherwise, naming what. */
const struct fg_jj_str *fg_jj_need_str(struct fg_jj *j, struct fg_jj_value v, const char *what);
int64_t fg_jj_need_int(struct fg_jj *j, struct fg_jj_value v, const char *what);

#endif
