/* Names, strings and numbers of a template's expressions. */
#ifndef JJ_LEX_VALUE_H
#define JJ_LEX_VALUE_H

#include "lex.h"

/* What begins at byte `at` of `text`: its kind and value go to *t. Returns where it ends, or 0
 * where nothing of the three begins; raises FG_JINJA_SYNTAX. */
size_t jj_lex_value(struct jj *j, const struct jj_str *text, size_t at, struct jj_token *t);

#endif
