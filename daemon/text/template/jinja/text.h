/* What Python's strings can do, for filters and methods. Results keep where their bytes came from.
 */
#ifndef JJ_TEXT_H
#define JJ_TEXT_H

#include "value.h"

const struct jj_str *jj_upper(struct jj *j, const struct jj_str *s);
const struct jj_str *jj_lower(struct jj *j, const struct jj_str *s);
const struct jj_str *jj_casefold(struct jj *j, const struct jj_str *s);
const struct jj_str *jj_capitalize(struct jj *j, const struct jj_str *s);
const struct jj_str *jj_swapcase(struct jj *j, const struct jj_str *s);
const struct jj_str *jj_title(struct jj *j, const struct jj_str *s);
/* Appends bytes [from, to) of s in upper or lower case. */
void jj_text_upper(struct jj *j, struct jj_text *t, const struct jj_str *s, size_t from, size_t to);
void jj_text_lower(struct jj *j, struct jj_text *t, const struct jj_str *s, size_t from, size_t to);

bool jj_is_lower(struct jj *j, const struct jj_str *s);
bool jj_is_upper(struct jj *j, const struct jj_str *s);

/* Without these characters at its ends; NULL: white space. */
const struct jj_str *jj_strip(struct jj *j, const struct jj_str *s, const struct jj_str *chars,
                              bool left, bool right);
/* The first `count` places of `from`, all of them when it is negative. */
const struct jj_str *jj_replace(struct jj *j, const struct jj_str *s, const struct jj_str *from,
                                const struct jj_str *to, int64_t count);
/* Parts between `by` (NULL: white space), at most `most` cuts (negative: any number). */
struct jj_list *jj_split(struct jj *j, const struct jj_str *s, const struct jj_str *by,
                         int64_t most);
struct jj_list *jj_rsplit(struct jj *j, const struct jj_str *s, const struct jj_str *by,
                          int64_t most);
struct jj_list *jj_lines(struct jj *j, const struct jj_str *s, bool keep_ends);
/* At least so many characters: fills up on the left, the right, or (at 0) both sides. */
const struct jj_str *jj_pad(struct jj *j, const struct jj_str *s, int64_t width,
                            const struct jj_str *fill, int side);
void jj_text_repeat(struct jj *j, struct jj_text *t, const struct jj_str *s, int64_t times);

/* Python's int() and float() of a text; false: it is none. */
bool jj_parse_int(struct jj *j, const struct jj_str *s, int base, struct jj_value *out);
bool jj_parse_float(struct jj *j, const struct jj_str *s, double *out);

/* s.format(...). */
struct jj_args;
struct jj_value jj_format(struct jj *j, const struct jj_str *s, const struct jj_args *args);

#endif
