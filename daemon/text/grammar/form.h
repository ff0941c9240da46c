/* The form that an answer is to have, as a request says it, and its grammar. */
#ifndef FG_FORM_H
#define FG_FORM_H

#include "fulgur/error.h"
#include "fulgur/str.h"
#include "form_kind.h"
#include "grammar.h"
#include "turn.h"

struct fg_form {
    enum fg_form_kind kind;
    struct fg_str text; /* form_kind.h */
    /* Of an answer to a chat: its turn, with what the model writes before the form begins; the
     * form of its calls is told by it too. turn.form NULL: the text is of the form from its start
     * on. */
    struct fg_turn turn;
};

/* Takes milliseconds. On success *out is the caller's until fg_grammar_destroy(). FG_EINVAL:
 * malformed, not done, or too large: err says what; FG_ENOMEM. */
int fg_form_compile(const struct fg_form *form, struct fg_grammar **out, struct fg_err *err);

#endif
