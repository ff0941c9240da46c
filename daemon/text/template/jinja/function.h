/* Functions that templates call: filters, tests, globals and methods, as tables of rows. */
#ifndef FG_JJ_FUNCTION_H
#define FG_JJ_FUNCTION_H

#include "value.h"

struct fg_jj_keyword {
    const struct fg_jj_str *name;
    struct fg_jj_value value;
};

struct fg_jj_args {
    struct fg_jj_value *v;
    size_t n;
    struct fg_jj_keyword *keywords;
    size_t n_keywords;
};

/* self: what a filter or test is put to, or a method belongs to. */
typedef struct fg_jj_value (*fg_jj_call)(struct fg_jj *j, struct fg_jj_value self,
                                         const struct fg_jj_args *args);

struct fg_jj_function {
    const char *name;
    /* The parameters' names with commas between; `?` behind one that may be left out. The function
     * then gets exactly these, in this order, FG_JJ_MISSING for what was left out, and no keywords.
     * NULL: the function gets what was given. */
    const char *parameters;
    fg_jj_call call;
};

struct fg_jj_method {
    struct fg_jj_value self;
    const struct fg_jj_function *function;
};

/* A row without a name ends each. */
extern const struct fg_jj_function fg_jj_filters[], fg_jj_tests[], fg_jj_globals[];
extern const struct fg_jj_function fg_jj_str_methods[], fg_jj_str_more_methods[],
    fg_jj_dict_methods[], fg_jj_list_methods[];

const struct fg_jj_function *fg_jj_find_function(const struct fg_jj_function *table,
                                                 const struct fg_jj_str *name);

enum { FG_JJ_MAX_PARAMETERS = 8 };

/* Calls it with its parameters bound; raises where the arguments do not fit. */
struct fg_jj_value fg_jj_call_function(struct fg_jj *j, const struct fg_jj_function *f,
                                       struct fg_jj_value self, const struct fg_jj_args *args);

/* Calls a value: a function, a method, a macro, a loop, ... (call.c). */
struct fg_jj_value fg_jj_call_value(struct fg_jj *j, struct fg_jj_value callee,
                                    const struct fg_jj_args *args);
bool fg_jj_callable(struct fg_jj_value v);

/* Attributes and items as `a.b` and `a[b]` find them (attribute.c). */
struct fg_jj_value fg_jj_attribute(struct fg_jj *j, struct fg_jj_value of,
                                   const struct fg_jj_str *name);
/* What Python's getattr() finds: no items. FG_JJ_MISSING: nothing. */
struct fg_jj_value fg_jj_python_attribute(struct fg_jj *j, struct fg_jj_value of,
                                          const struct fg_jj_str *name);
struct fg_jj_value fg_jj_item(struct fg_jj *j, struct fg_jj_value of, struct fg_jj_value key);
/* fg_jj_item() with a slice; what is left out is FG_JJ_MISSING or none. */
struct fg_jj_value fg_jj_slice(struct fg_jj *j, struct fg_jj_value of,
                               const struct fg_jj_value part[3]);

/* --- helpers of the tables --- */
/* An argument that may be missing or none. */
int64_t fg_jj_opt_int(struct fg_jj *j, struct fg_jj_value v, int64_t otherwise, const char *what);
bool fg_jj_opt_bool(struct fg_jj_value v, bool otherwise);
const struct fg_jj_str *fg_jj_opt_str(struct fg_jj *j, struct fg_jj_value v, const char *what);
bool fg_jj_given(struct fg_jj_value v); /* neither missing nor none */
struct fg_jj_value fg_jj_empty_str(struct fg_jj *j);
/* Sorts by the keys; stable. Undefined keys and mixed kinds raise. */
void fg_jj_sort(struct fg_jj *j, struct fg_jj_pair *v, size_t n, bool reverse);

#endif
