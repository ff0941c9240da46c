/* Regular expressions, without what looks around or back.
 *
 *     x  .  [abc]  [^a-z]         characters; . is all but line feed and carriage return
 *     \d \w \s                    ASCII digits; ASCII letters, digits and _; blanks
 *     \D \W                       other ASCII characters; as is [^..] with \d, \D, \w or \W in it
 *     \S                          all but blanks, of Unicode
 *     \n \r \t \f \v \0 \xHH \uHHHH \u{H..} \cX   characters; \ before punctuation: itself
 *     (..) (?:..) (?<name>..) (?P<name>..)  groups, all alike
 *     a|b  a*  a+  a?  a{m} a{m,} a{m,n}    a ? behind these changes nothing of what matches
 *
 * ^ and $ stand at the beginning and the end of an alternative that is in no group. Not done, and
 * refused by name: assertions (lookaround, \b), back references, \p, flags, possessive
 * quantifiers. */
#ifndef FG_GRAMMAR_REGEX_H
#define FG_GRAMMAR_REGEX_H

#include "chars.h"
#include "expr.h"

/* whole: the text matches as a whole, anchored or not; else a part of it does, as JSON Schema has
 * it. FG_EINVAL (malformed), FG_EUNSUPPORTED; what is wrong with the expressions is in x->error. */
int fg_regex_read(struct fg_exprs *x, struct fg_str pattern, enum fg_char_form form, bool whole,
                  fg_expr *out, struct fg_err *err);

#endif
