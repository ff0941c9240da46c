/* What a model writes in its turn around that which a form is about: its thoughts, and the headers
 * of its messages. */
#ifndef FG_GRAMMAR_TURN_H
#define FG_GRAMMAR_TURN_H

#include "expr.h"
#include "text/tools/answer_form.h"

struct fg_turn {
    const struct fg_answer_form *form; /* of the model's answers to chats */
    enum fg_answer_start start;
};

/* A text in which the bytes 1..8 stand for the tags 0..7 of the form: these as their text, or as
 * their marks where they are control tokens. */
fg_expr fg_turn_text(struct fg_exprs *x, const struct fg_turn *turn, const char *text);
/* The text of tag i, or its mark, in `mark`; empty where the form has none. */
struct fg_str fg_turn_tag(const struct fg_turn *turn, size_t i, char mark[1]);

/* Do the tags that Harmony's messages are made of have marks? Else the form is not known. */
bool fg_turn_is_harmony(const struct fg_turn *turn);
/* The rest of a thought that the prompt has begun, with its end; of Harmony, the message of a
 * thought, which need not be there. What follows begins the answer proper; of Harmony, a message.
 * FG_ENOMEM. */
int fg_turn_thought(struct fg_exprs *x, const struct fg_turn *turn, fg_expr *out,
                    struct fg_err *err);
/* The same up to where the text of the answer begins. FG_ENOMEM. */
int fg_turn_begin(struct fg_exprs *x, const struct fg_turn *turn, fg_expr *out, struct fg_err *err);

#endif
