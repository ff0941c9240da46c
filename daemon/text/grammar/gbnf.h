/* GBNF, the grammars of llama.cpp:
 *
 *     root ::= "yes" | "no" | number     # a comment
 *     number ::= [0-9]{1,3} ("." [0-9]+)?
 *
 * Strings and sets take \n \r \t \\ \" \[ \] \xHH \uHHHH \UHHHHHHHH; . is any character; * + ? {m}
 * {m,} {,n} {m,n} repeat. A rule ends with its line, but inside of ( ) and behind |. */
#ifndef FG_GBNF_H
#define FG_GBNF_H

#include "expr.h"

/* The texts of the rule `root`. FG_EINVAL (malformed; err says where), FG_EUNSUPPORTED (tokens in
 * < >), FG_ENOMEM; what is wrong with the expressions is in x->error. */
int fg_gbnf_read(struct fg_exprs *x, struct fg_str text, fg_expr *out, struct fg_err *err);

#endif
