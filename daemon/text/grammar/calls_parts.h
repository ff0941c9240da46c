/* Calls of tools as their files see them. */
#ifndef FG_GRAMMAR_CALLS_PARTS_H
#define FG_GRAMMAR_CALLS_PARTS_H

#include "calls.h"

/* How a form writes calls: before all of them, before each one's name, between this and the
 * arguments, behind these, behind all calls, and between two. The bytes 1..8 are tags
 * (fg_turn_text()). */
struct fg_call_writing {
    enum fg_tool_form form;
    uint16_t needs, lacks; /* tags that are control tokens, and that are not, where it is used */
    const char *begin, *before, *name_end, *behind, *end, *between;
    bool quoted; /* the name is a string of JSON */
    /* Of each argument, where they have tags: before its name, between this and the value, and
     * behind, up to the tag that ends it. NULL: they are one JSON object. */
    const char *value, *value_begin, *value_end;
};
#define FG_TAG_BYTE_VALUE_END "\6"

/* The next writing of the form behind `last` (NULL: the first); NULL: there is no more. */
const struct fg_call_writing *fg_call_writing(const struct fg_answer_form *form,
                                              const struct fg_call_writing *last);

/* call_values.c: the arguments of a call whose values have tags. `parameters` is the tool's
 * schema, NULL: any arguments. any_text: a rule of any text and the tag that ends it. Errors of
 * fg_json_schema_read(). */
struct fg_call_values {
    const struct fg_turn *turn;
    const struct fg_call_writing *writing;
    fg_expr any_text;
};
int fg_call_values_read(struct fg_exprs *x, const struct fg_call_values *v,
                        const json_t *parameters, fg_expr *out, struct fg_err *err);

#endif
