/* Names, strings and numbers of a template's expressions. */
#ifndef FG_JJ_LEX_VALUE_H
#define FG_JJ_LEX_VALUE_H

#include "lex.h"

/* What begins at byte `at` of `text`: its kind and value go to *t. Returns where it ends, or 0
 * where nothing of the three begins; raises FG_JINJA_SYNTAX. */
size_t fg_jj_lex_value(struct fg_jj *j, const struct fg_jj_str *text, size_t at,
                       struct fg_jj_token *t);

#endif
