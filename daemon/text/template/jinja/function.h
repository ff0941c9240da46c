/* Functions that templates call: filters, tests, globals and methods, as tables of rows. */
#ifndef JJ_FUNCTION_H
#define JJ_FUNCTION_H

#include "value.h"

struct jj_keyword {
    const struct jj_str *name;
    struct jj_value value;
};

struct jj_args {
    struct jj_value *v;
    size_t n;
    struct jj_keyword *keywords;
    size_t n_keywords;
};

/* self: what a filter or test is put to, or a method belongs to. */
typedef struct jj_value (*jj_call)(struct jj *j, struct jj_value self, const struct jj_args *args);

struct jj_function {
    const char *name;
    /* The parameters' names with commas between; `?` behind one that may be left out. The function
     * then gets exactly these, in this order, JJ_MISSING for what was left out, and no keywords.
     * NULL: the function gets what was given. */
    const char *parameters;
    jj_call call;
};

struct jj_method {
    struct jj_value self;
    const struct jj_function *function;
};

/* A row without a name ends each. */
extern const struct jj_function jj_filters[], jj_tests[], jj_globals[];
extern const struct jj_function jj_str_methods[], jj_str_more_methods[], jj_dict_methods[],
    jj_list_methods[];

const struct jj_function *jj_find_function(const struct jj_function *table,
                                           const struct jj_str *name);

enum { JJ_MAX_PARAMETERS = 8 };

/* Calls it with its parameters bound; raises where the arguments do not fit. */
struct jj_value jj_call_function(struct jj *j, const struct jj_function *f, struct jj_value self,
                                 const struct jj_args *args);

/* Calls a value: a function, a method, a macro, a loop, ... (call.c). */
struct jj_value jj_call_value(struct jj *j, struct jj_value callee, const struct jj_args *args);
bool jj_callable(struct jj_value v);

/* Attributes and items as `a.b` and `a[b]` find them (attribute.c). */
struct jj_value jj_attribute(struct jj *j, struct jj_value of, const struct jj_str *name);
/* What Python's getattr() finds: no items. JJ_MISSING: nothing. */
struct jj_value jj_python_attribute(struct jj *j, struct jj_value of, const struct jj_str *name);
struct jj_value jj_item(struct jj *j, struct jj_value of, struct jj_value key);
/* jj_item() with a slice; what is left out is JJ_MISSING or none. */
struct jj_value jj_slice(struct jj *j, struct jj_value of, const struct jj_value part[3]);

/* --- helpers of the tables --- */
/* An argument that may be missing or none. */
int64_t jj_opt_int(struct jj *j, struct jj_value v, int64_t otherwise, const char *what);
bool jj_opt_bool(struct jj_value v, bool otherwise);
const struct jj_str *jj_opt_str(struct jj *j, struct jj_value v, const char *what);
bool jj_given(struct jj_value v); /* neither missing nor none */
struct jj_value jj_empty_str(struct jj *j);
/* Sorts by the keys; stable. Undefined keys and mixed kinds raise. */
void jj_sort(struct jj *j, struct jj_pair *v, size_t n, bool reverse);
/* A key that does not tell cases apart, unless it should. */
struct jj_value jj_fold_key(struct jj *j, struct jj_value v, bool case_sensitive);

#endif
