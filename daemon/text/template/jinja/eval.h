/* Running a compiled template. */
#ifndef JJ_EVAL_H
#define JJ_EVAL_H

#include "ast.h"
#include "function.h"

struct jj_variable {
    const struct jj_name *name;
    struct jj_value value;
};

/* Variables of a block; those of the blocks around it are seen through `parent`. */
struct jj_scope {
    struct jj_scope *parent;
    struct jj_variable *variables;
    size_t n, cap;
    bool kept; /* a macro was made here, which needs the scope as long as it lives itself */
};

struct jj_macro {
    const struct jj_macro_def *def;
    struct jj_scope *scope; /* where it was made */
};

/* `loop`, and the loop itself. Items are taken as they are needed, as the condition of a loop may
 * depend on what its body did. */
struct jj_loop {
    const struct jj_node *node;
    struct jj_scope *scope; /* around the loop */
    struct jj_list *items;
    size_t at;             /* the next of the items */
    struct jj_list *ahead; /* items that passed the condition and were taken early, or NULL */
    size_t ahead_at;
    struct jj_value previous, current;
    size_t index;            /* of the current, from 1 */
    unsigned level;          /* of recursive loops, from 1 */
    struct jj_value changed; /* the tuple that changed() saw last, or missing */
};

enum jj_flow { JJ_GO_ON, JJ_BREAK, JJ_CONTINUE };

struct jj_value jj_eval(struct jj *j, const struct jj_node *n);
bool jj_eval_true(struct jj *j, const struct jj_node *n);
enum jj_flow jj_exec(struct jj *j, const struct jj_node *n);
/* The filters of a block, put to a text. */
struct jj_value jj_eval_filters(struct jj *j, const struct jj_node *n, struct jj_value text);

/* --- scopes (scope.c) --- */
struct jj_scope *jj_scope_push(struct jj *j, struct jj_scope *parent); /* becomes the innermost */
struct jj_value jj_lookup(struct jj *j, const struct jj_node *n);
void jj_assign(struct jj *j, const struct jj_name *name, struct jj_value v);
/* To a name, an attribute of a namespace, or a tuple of such. */
void jj_assign_target(struct jj *j, const struct jj_node *target, struct jj_value v);

/* --- loops (loop.c) --- */
enum jj_flow jj_exec_for(struct jj *j, const struct jj_node *n);
struct jj_value jj_loop_attribute(struct jj *j, struct jj_value loop, const struct jj_str *name);
/* loop(items) of a recursive loop: the text that its body writes for them. */
struct jj_value jj_loop_call(struct jj *j, struct jj_loop *loop, struct jj_value items);

/* --- calls (call.c) --- */
struct jj_args jj_eval_args(struct jj *j, const struct jj_call_args *args);
/* A macro or call block: the text that its body writes. */
struct jj_value jj_macro_call(struct jj *j, const struct jj_macro *m, const struct jj_args *args);

#endif
