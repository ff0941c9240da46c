/* A grammar: rules over bytes, compiled to states. Immutable; any thread.
 *
 * States of a rule lead to states by a byte, by nothing, or by a call of a rule that comes back to
 * one: a pushdown automaton, which automaton.h runs. Parts that can never end are left out, so that
 * from every state the end can be reached. */
#ifndef FG_GRAMMAR_H
#define FG_GRAMMAR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "expr.h"
#include "fulgur/error.h"
#include "fulgur/str.h"

enum fg_state_kind {
    FG_STATE_FAIL,
    FG_STATE_RETURN, /* the rule ends */
    FG_STATE_BYTE,   /* low..high leads to next */
    FG_STATE_SPLIT,  /* is next and other */
    FG_STATE_CALL,   /* the rule that begins at `other`, then next */
};

struct fg_state {
    uint8_t kind, low, high;
    uint32_t next, other;
};

enum { FG_GRAMMAR_MAX_STATES = 1 << 19, FG_GRAMMAR_MAX_TEXT = 1 << 18 /* bytes of one */ };

struct fg_grammar {
    struct fg_state *states;
    size_t n_states;
    uint32_t start;
    uint8_t classes[256]; /* bytes that no state tells apart have one number, below n_classes */
    uint32_t n_classes;
};

/* The texts that rule `root` matches. The expressions stay the caller's. On success *out is the
 * caller's until fg_grammar_destroy(). FG_EINVAL: a rule calls itself before it has taken a byte,
 * or no text matches; FG_EFULL: too many states; FG_ENOMEM; what x->error says. */
int fg_grammar_compile(const struct fg_exprs *x, uint32_t root, struct fg_grammar **out,
                       struct fg_err *err);
void fg_grammar_destroy(struct fg_grammar *g); /* takes NULL */

#endif
