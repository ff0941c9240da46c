/* A compiled template: a tree of nodes, which lies in the program's arena and never changes. */
#ifndef FG_JJ_AST_H
#define FG_JJ_AST_H

#include "value.h"

enum fg_jj_op {
    /* expressions */
    FG_JJ_N_CONST,   /* value */
    FG_JJ_N_NAME,    /* name, function: the global of that name */
    FG_JJ_N_LIST,    /* list */
    FG_JJ_N_TUPLE,   /* list */
    FG_JJ_N_DICT,    /* list: keys and values in turn */
    FG_JJ_N_COND,    /* a if b else c (NULL: undefined) */
    FG_JJ_N_OR,      /* list */
    FG_JJ_N_AND,     /* list */
    FG_JJ_N_NOT,     /* a */
    FG_JJ_N_COMPARE, /* a, list: a FG_JJ_N_OPERAND each */
    FG_JJ_N_OPERAND, /* compare, a */
    FG_JJ_N_MATH,    /* math, a, b */
    FG_JJ_N_CONCAT,  /* list */
    FG_JJ_N_NEG,     /* a */
    FG_JJ_N_POS,     /* a */
    FG_JJ_N_ATTR,    /* a . name */
    FG_JJ_N_ITEM,    /* a [b] */
    FG_JJ_N_SLICE,   /* a : b : c, each may be NULL */
    FG_JJ_N_CALL,    /* a, args */
    FG_JJ_N_FILTER,  /* a (NULL: the text of the block), name, function, args */
    FG_JJ_N_TEST,    /* a, name, function, args */
    /* statements */
    FG_JJ_N_BODY,         /* list */
    FG_JJ_N_PRINT,        /* a; a FG_JJ_N_CONST is template data or a literal */
    FG_JJ_N_FOR,          /* target a, of b, only if c; body, otherwise, recursive */
    FG_JJ_N_IF,           /* list: a condition and a FG_JJ_N_BODY in turn; otherwise */
    FG_JJ_N_SET,          /* target a, b */
    FG_JJ_N_SET_BLOCK,    /* target a, filters b or NULL, body */
    FG_JJ_N_MACRO,        /* name, macro */
    FG_JJ_N_CALL_BLOCK,   /* the call a, macro */
    FG_JJ_N_FILTER_BLOCK, /* filters a, body */
    FG_JJ_N_WITH,         /* list: targets and values in turn; body */
    FG_JJ_N_GENERATION,   /* body */
    FG_JJ_N_SCOPE,        /* body, in a scope of its own */
    FG_JJ_N_BREAK,
    FG_JJ_N_CONTINUE,
    FG_JJ_N_NAMESPACE_REF, /* a target: name.attribute */
};

enum fg_jj_compare {
    FG_JJ_C_EQ,
    FG_JJ_C_NE,
    FG_JJ_C_LT,
    FG_JJ_C_LE,
    FG_JJ_C_GT,
    FG_JJ_C_GE,
    FG_JJ_C_IN,
    FG_JJ_C_NOT_IN
};

/* A variable's name; one for each text, so names are compared by their pointers. */
struct fg_jj_name {
    const struct fg_jj_str *text;
    const struct fg_jj_function *global; /* or NULL */
};

struct fg_jj_call_keyword {
    const struct fg_jj_str *name;
    struct fg_jj_node *value;
};

struct fg_jj_call_args {
    struct fg_jj_node **positional;
    size_t n, cap;
    struct fg_jj_call_keyword *keywords;
    size_t n_keywords, cap_keywords;
    struct fg_jj_node *all, *all_keywords; /* of * and **; or NULL */
};

struct fg_jj_parameter {
    const struct fg_jj_name *name;
    struct fg_jj_node *otherwise; /* its default, or NULL */
};

struct fg_jj_macro_def {
    const struct fg_jj_name *name; /* NULL: of a call block */
    struct fg_jj_parameter *parameters;
    size_t n, cap;
    struct fg_jj_node *body;
    bool varargs, kwargs, caller; /* the body speaks of them */
};

struct fg_jj_node {
    enum fg_jj_op op;
    uint32_t line, column;
    struct fg_jj_node *a, *b, *c;
    struct fg_jj_node **list;
    size_t n, cap;
    struct fg_jj_value value;
    const struct fg_jj_name *name;
    const struct fg_jj_str *attribute;
    const struct fg_jj_function *function;
    const struct fg_jj_call_args *args;
    const struct fg_jj_macro_def *macro;
    struct fg_jj_node *body, *otherwise;
    enum fg_jj_compare compare;
    enum fg_jj_math math;
    bool recursive;
};

struct fg_jinja_program {
    struct fg_jj_arena arena;
    struct fg_jj_node *body;
    struct fg_jj_dict *names; /* text to the index in name_list */
    struct fg_jj_name **name_list;
    size_t n_names, cap_names;
    const struct fg_jj_name *loop, *caller, *varargs, *kwargs;
};

#endif
