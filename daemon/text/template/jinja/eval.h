/* Running a compiled template. */
#ifndef FG_JJ_EVAL_H
#define FG_JJ_EVAL_H

#include "ast.h"
#include "function.h"

struct fg_jj_variable {
    const struct fg_jj_name *name;
    struct fg_jj_value value;
};

/* Variables of a block; those of the blocks around it are seen through `parent`. */
struct fg_jj_scope {
    struct fg_jj_scope *parent;
    struct fg_jj_variable *variables;
    size_t n, cap;
    bool kept; /* a macro was made here, which needs the scope as long as it lives itself */
};

struct fg_jj_macro {
    const struct fg_jj_macro_def *def;
    struct fg_jj_scope *scope; /* where it was made */
};

/* `loop`, and the loop itself. Items are taken as they are needed, as the condition of a loop may
 * depend on what its body did. */
struct fg_jj_loop {
    const struct fg_jj_node *node;
    struct fg_jj_scope *scope; /* around the loop */
    struct fg_jj_list *items;
    size_t at;                /* the next of the items */
    struct fg_jj_list *ahead; /* items that passed the condition and were taken early, or NULL */
    size_t ahead_at;
    struct fg_jj_value previous, current;
    size_t index;               /* of the current, from 1 */
    unsigned level;             /* of recursive loops, from 1 */
    struct fg_jj_value changed; /* the tuple that changed() saw last, or missing */
};

enum fg_jj_flow { FG_JJ_GO_ON, FG_JJ_BREAK, FG_JJ_CONTINUE };

struct fg_jj_value fg_jj_eval(struct fg_jj *j, const struct fg_jj_node *n);
bool fg_jj_eval_true(struct fg_jj *j, const struct fg_jj_node *n);
enum fg_jj_flow fg_jj_exec(struct fg_jj *j, const struct fg_jj_node *n);
/* The filters of a block, put to a text. */
struct fg_jj_value fg_jj_eval_filters(struct fg_jj *j, const struct fg_jj_node *n,
                                      struct fg_jj_value text);

/* --- scopes (scope.c) --- */
struct fg_jj_scope *fg_jj_scope_push(struct fg_jj *j,
                                     struct fg_jj_scope *parent); /* becomes the innermost */
struct fg_jj_value fg_jj_lookup(struct fg_jj *j, const struct fg_jj_node *n);
void fg_jj_assign(struct fg_jj *j, const struct fg_jj_name *name, struct fg_jj_value v);
/* To a name, an attribute of a namespace, or a tuple of such. */
void fg_jj_assign_target(struct fg_jj *j, const struct fg_jj_node *target, struct fg_jj_value v);

/* --- loops (loop.c) --- */
enum fg_jj_flow fg_jj_exec_for(struct fg_jj *j, const struct fg_jj_node *n);
struct fg_jj_value fg_jj_loop_attribute(struct fg_jj *j, struct fg_jj_value loop,
                                        const struct fg_jj_str *name);
/* loop(items) of a recursive loop: the text that its body writes for them. */
struct fg_jj_value fg_jj_loop_call(struct fg_jj *j, struct fg_jj_loop *loop,
                                   struct fg_jj_value items);

/* --- calls (call.c) --- */
struct fg_jj_args fg_jj_eval_args(struct fg_jj *j, const struct fg_jj_call_args *args);

#endif
