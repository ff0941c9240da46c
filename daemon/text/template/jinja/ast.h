/* A compiled template: a tree of nodes, which lies in the program's arena and never changes. */
#ifndef JJ_AST_H
#define JJ_AST_H

#include "value.h"

enum jj_op {
    /* expressions */
    JJ_N_CONST,   /* value */
    JJ_N_NAME,    /* name, function: the global of that name */
    JJ_N_LIST,    /* list */
    JJ_N_TUPLE,   /* list */
    JJ_N_DICT,    /* list: keys and values in turn */
    JJ_N_COND,    /* a if b else c (NULL: undefined) */
    JJ_N_OR,      /* list */
    JJ_N_AND,     /* list */
    JJ_N_NOT,     /* a */
    JJ_N_COMPARE, /* a, list: a JJ_N_OPERAND each */
    JJ_N_OPERAND, /* compare, a */
    JJ_N_MATH,    /* math, a, b */
    JJ_N_CONCAT,  /* list */
    JJ_N_NEG,     /* a */
    JJ_N_POS,     /* a */
    JJ_N_ATTR,    /* a . name */
    JJ_N_ITEM,    /* a [b] */
    JJ_N_SLICE,   /* a : b : c, each may be NULL */
    JJ_N_CALL,    /* a, args */
    JJ_N_FILTER,  /* a (NULL: the text of the block), name, function, args */
    JJ_N_TEST,    /* a, name, function, args */
    /* statements */
    JJ_N_BODY,         /* list */
    JJ_N_PRINT,        /* a; a JJ_N_CONST is template data or a literal */
    JJ_N_FOR,          /* target a, of b, only if c; body, otherwise, recursive */
    JJ_N_IF,           /* list: a condition and a JJ_N_BODY in turn; otherwise */
    JJ_N_SET,          /* target a, b */
    JJ_N_SET_BLOCK,    /* target a, filters b or NULL, body */
    JJ_N_MACRO,        /* name, macro */
    JJ_N_CALL_BLOCK,   /* the call a, macro */
    JJ_N_FILTER_BLOCK, /* filters a, body */
    JJ_N_WITH,         /* list: targets and values in turn; body */
    JJ_N_GENERATION,   /* body */
    JJ_N_SCOPE,        /* body, in a scope of its own */
    JJ_N_BREAK,
    JJ_N_CONTINUE,
    JJ_N_NAMESPACE_REF, /* a target: name.attribute */
};

enum jj_compare { JJ_C_EQ, JJ_C_NE, JJ_C_LT, JJ_C_LE, JJ_C_GT, JJ_C_GE, JJ_C_IN, JJ_C_NOT_IN };

/* A variable's name; one for each text, so names are compared by their pointers. */
struct jj_name {
    const struct jj_str *text;
    const struct jj_function *global; /* or NULL */
};

struct jj_call_keyword {
    const struct jj_str *name;
    struct jj_node *value;
};

struct jj_call_args {
    struct jj_node **positional;
    size_t n, cap;
    struct jj_call_keyword *keywords;
    size_t n_keywords, cap_keywords;
    struct jj_node *all, *all_keywords; /* of * and **; or NULL */
};

struct jj_parameter {
    const struct jj_name *name;
    struct jj_node *otherwise; /* its default, or NULL */
};

struct jj_macro_def {
    const struct jj_name *name; /* NULL: of a call block */
    struct jj_parameter *parameters;
    size_t n, cap;
    struct jj_node *body;
    bool varargs, kwargs, caller; /* the body speaks of them */
};

struct jj_node {
    enum jj_op op;
    uint32_t line, column;
    struct jj_node *a, *b, *c;
    struct jj_node **list;
    size_t n, cap;
    struct jj_value value;
    const struct jj_name *name;
    const struct jj_str *attribute;
    const struct jj_function *function;
    const struct jj_call_args *args;
    const struct jj_macro_def *macro;
    struct jj_node *body, *otherwise;
    enum jj_compare compare;
    enum jj_math math;
    bool recursive;
};

struct fg_jinja_program {
    struct jj_arena arena;
    struct jj_node *body;
    struct jj_dict *names; /* text to the index in name_list */
    struct jj_name **name_list;
    size_t n_names, cap_names;
    const struct jj_name *loop, *caller, *varargs, *kwargs;
};

#endif
