/* Values of templates: what Python calls objects. They lie in the arena and are immutable but for
 * namespaces, cyclers, joiners, loops and iterators. */
#ifndef JJ_VALUE_H
#define JJ_VALUE_H

#include "core.h"

enum jj_kind {
    JJ_MISSING,   /* no value: an argument that was not given. Never seen by a template */
    JJ_UNDEFINED, /* Jinja's Undefined */
    JJ_NONE,
    JJ_BOOL,
    JJ_INT,
    JJ_BIGINT, /* an integer of the request beyond 64 bits: only printed and compared */
    JJ_FLOAT,
    JJ_STR,
    JJ_LIST,
    JJ_TUPLE,
    JJ_DICT,
    JJ_NAMESPACE,
    JJ_RANGE,
    JJ_ITER, /* a generator: its values can be taken once */
    JJ_VIEW, /* keys(), values() and items() of a dict */
    JJ_LOOP,
    JJ_MACRO,
    JJ_CYCLER,
    JJ_JOINER,
    JJ_FUNCTION, /* a global function */
    JJ_METHOD,   /* a function bound to a value */
};

/* The source of the bytes before `end` and behind the run before. Sources are indices of
 * j->origins. */
struct jj_run {
    size_t end;
    uint32_t src;
};

/* Text: UTF-8, and where each byte came from. */
struct jj_str {
    const char *p;
    size_t n;     /* bytes */
    size_t chars; /* code points */
    const struct jj_run *runs;
    size_t n_runs; /* 0: all of it has the source `src` */
    uint32_t src;
    bool markup; /* HTML that needs no escaping (the filters `safe` and `escape`) */
};

struct jj_list;
struct jj_dict;
struct jj_loop;
struct jj_macro;
struct jj_function;
struct jj_method;
struct jj_range;
struct jj_undefined;

struct jj_value {
    enum jj_kind kind;
    uint32_t src; /* where the value came from; a string has its own */
    union {
        bool b;
        int64_t i;
        double f;
        const struct jj_str *s;
        struct jj_list *list; /* lists, tuples, iterators, views, cyclers */
        struct jj_dict *dict; /* dicts, namespaces */
        struct jj_range *range;
        struct jj_loop *loop;
        const struct jj_macro *macro;
        const struct jj_function *function;
        const struct jj_method *method;
        const struct jj_undefined *undefined; /* or NULL: one without a name */
        bool *used;                           /* joiner's; see sep */
    };
    const struct jj_str
        *text; /* a number: as the request wrote it, or NULL. A joiner: what joins */
};

struct jj_list {
    struct jj_value *v;
    size_t n, cap;
    size_t at;        /* iterators: the next to take; cyclers: the current */
    const char *name; /* iterators and views: what Python calls the type */
    bool group;       /* a tuple (grouper, list) of the filter groupby */
};

struct jj_pair {
    struct jj_value key, value;
};

struct jj_dict {
    struct jj_pair *pairs; /* in order */
    size_t n, cap;
    uint32_t *table; /* index + 1 of pairs, by hash; NULL while there are few */
    size_t slots;
};

struct jj_range {
    int64_t start, stop, step;
    size_t n;
};

struct jj_undefined {
    struct jj_str message; /* what using it says */
};

/* --- making values --- */
struct jj_value jj_none(void);
struct jj_value jj_bool(bool b);
struct jj_value jj_int(int64_t i);
struct jj_value jj_float(double f);
struct jj_value jj_of_str(const struct jj_str *s);
struct jj_value jj_of_list(enum jj_kind kind, struct jj_list *list); /* lists, tuples, views */
struct jj_value jj_iter(struct jj_list *list, const char *name);
struct jj_value jj_of_dict(struct jj_dict *d);
/* Not defined; the message says what. */
__attribute__((format(printf, 2, 3))) struct jj_value jj_undefined(struct jj *j, const char *fmt,
                                                                   ...);

/* --- strings --- */
/* p is kept. */
const struct jj_str *jj_str(struct jj *j, const char *p, size_t n, uint32_t src);
const struct jj_str *jj_str_c(struct jj *j, const char *literal);
struct jj_value jj_text_value(struct jj *j, const char *literal);
/* Bytes [from, to); shares the bytes. */
const struct jj_str *jj_str_cut(struct jj *j, const struct jj_str *s, size_t from, size_t to);
uint32_t jj_str_src(const struct jj_str *s, size_t at); /* of the byte at `at` */
/* One source for all of it: the template's where all of it is, otherwise the first other. */
uint32_t jj_str_one_src(const struct jj_str *s);
size_t jj_str_offset(const struct jj_str *s, size_t chars); /* where so many code points end */
bool jj_str_eq(const struct jj_str *a, const struct jj_str *b);
bool jj_str_is(const struct jj_str *s, const char *literal);
int jj_str_cmp(const struct jj_str *a, const struct jj_str *b); /* by code points */
/* First or last place of `needle` in bytes [from, to) of s; SIZE_MAX: none. */
size_t jj_str_find(struct jj *j, const struct jj_str *s, const struct jj_str *needle, size_t from,
                   size_t to);
size_t jj_str_rfind(struct jj *j, const struct jj_str *s, const struct jj_str *needle, size_t from,
                    size_t to);
/* The code point at byte *at, which moves behind it. */
uint32_t jj_next_char(const struct jj_str *s, size_t *at);
/* The code point before byte *at, which moves to its start. */
uint32_t jj_prev_char(const struct jj_str *s, size_t *at);

/* --- growing text --- */
struct jj_text {
    char *p;
    size_t n, cap;
    struct jj_run *runs;
    size_t n_runs, cap_runs;
};
void jj_text_add(struct jj *j, struct jj_text *t, const char *p, size_t n, uint32_t src);
void jj_text_c(struct jj *j, struct jj_text *t, const char *literal, uint32_t src);
void jj_text_char(struct jj *j, struct jj_text *t, uint32_t c, uint32_t src);
void jj_text_str(struct jj *j, struct jj_text *t, const struct jj_str *s);
void jj_text_cut(struct jj *j, struct jj_text *t, const struct jj_str *s, size_t from, size_t to);
const struct jj_str *jj_text_end(struct jj *j, struct jj_text *t); /* t is used up */

/* --- lists and dicts --- */
struct jj_list *jj_list(struct jj *j);
void jj_push(struct jj *j, struct jj_list *l, struct jj_value v);
struct jj_dict *jj_dict(struct jj *j);
/* The value of a key, or NULL. Raises where the key cannot be one. */
struct jj_value *jj_dict_get(struct jj *j, const struct jj_dict *d, struct jj_value key);
struct jj_value *jj_dict_find(struct jj *j, const struct jj_dict *d, const struct jj_str *key);
void jj_dict_set(struct jj *j, struct jj_dict *d, struct jj_value key, struct jj_value v);

/* --- what values are --- */
const char *jj_type(struct jj_value v); /* as Python names it */
bool jj_is_number(struct jj_value v);   /* booleans too */
bool jj_is_integer(struct jj_value v);  /* booleans too; not big ones */
int64_t jj_as_int(struct jj_value v);   /* of jj_is_integer() */
double jj_as_float(struct jj_value v);  /* of jj_is_number() */
bool jj_true(struct jj_value v);
bool jj_equal(struct jj *j, struct jj_value a, struct jj_value b);
enum { JJ_UNORDERED = 2 }; /* one of the two is not a number */
/* -1, 0, 1 or JJ_UNORDERED; raises where Python does not order them. `op` is for the message. */
int jj_order(struct jj *j, struct jj_value a, struct jj_value b, const char *op);
/* The source of something computed from both. */
uint32_t jj_src_of(struct jj_value v);
uint32_t jj_src_both(struct jj_value a, struct jj_value b);
/* Raises for an undefined value. */
void jj_defined(struct jj *j, struct jj_value v);

/* All values of something that can be walked through; raises otherwise. The list may be the value's
 * own: it is not changed. Takes what an iterator has left. */
struct jj_list *jj_items(struct jj *j, struct jj_value v);
/* Number of items; raises where Python's len() does. */
size_t jj_length(struct jj *j, struct jj_value v);
struct jj_value jj_range_at(const struct jj_range *r, size_t i);

/* --- operators (ops.c) --- */
enum jj_math { JJ_ADD, JJ_SUB, JJ_MUL, JJ_DIV, JJ_FLOORDIV, JJ_MOD, JJ_POW };
struct jj_value jj_compute(struct jj *j, enum jj_math op, struct jj_value a, struct jj_value b);
struct jj_value jj_negative(struct jj *j, struct jj_value v, bool minus); /* -v, or +v */
bool jj_contains(struct jj *j, struct jj_value all, struct jj_value item);
/* HTML's special characters as entities; marked so. One that is marked already stays. */
const struct jj_str *jj_escape(struct jj *j, const struct jj_str *s);
/* The operator % of a string (format.c). */
struct jj_value jj_percent(struct jj *j, const struct jj_str *fmt, struct jj_value values);

/* --- values as text (print.c) --- */
void jj_print(struct jj *j, struct jj_text *t, struct jj_value v); /* str() */
void jj_repr(struct jj *j, struct jj_text *t, struct jj_value v);  /* repr() */
const struct jj_str *jj_to_str(struct jj *j, struct jj_value v);
void jj_float_text(double x, char out[40]); /* Python's repr of a float */

/* A string that must be one; raises otherwise, naming what. */
const struct jj_str *jj_need_str(struct jj *j, struct jj_value v, const char *what);
int64_t jj_need_int(struct jj *j, struct jj_value v, const char *what);

#endif
