/* What Python's strings can do, for filters and methods. Results keep where their bytes came from.
 */
#ifndef FG_JJ_TEXT_H
#define FG_JJ_TEXT_H

#include "value.h"

const struct fg_jj_str *fg_jj_upper(struct fg_jj *j, const struct fg_jj_str *s);
const struct fg_jj_str *fg_jj_lower(struct fg_jj *j, const struct fg_jj_str *s);
const struct fg_jj_str *fg_jj_casefold(struct fg_jj *j, const struct fg_jj_str *s);
const struct fg_jj_str *fg_jj_capitalize(struct fg_jj *j, const struct fg_jj_str *s);
const struct fg_jj_str *fg_jj_swapcase(struct fg_jj *j, const struct fg_jj_str *s);
const struct fg_jj_str *fg_jj_title(struct fg_jj *j, const struct fg_jj_str *s);
/* Appends bytes [from, to) of s in upper or lower case. */
void fg_jj_text_upper(struct fg_jj *j, struct fg_jj_text *t, const struct fg_jj_str *s, size_t from,
                      size_t to);
void fg_jj_text_lower(struct fg_jj *j, struct fg_jj_text *t, const struct fg_jj_str *s, size_t from,
                      size_t to);

bool fg_jj_is_lower(struct fg_jj *j, const struct fg_jj_str *s);
bool fg_jj_is_upper(struct fg_jj *j, const struct fg_jj_str *s);

/* Without these characters at its ends; NULL: white space. */
const struct fg_jj_str *fg_jj_strip(struct fg_jj *j, const struct fg_jj_str *s,
                                    const struct fg_jj_str *chars, bool left, bool right);
/* The first `count` places of `from`, all of them when it is negative. */
const struct fg_jj_str *fg_jj_replace(struct fg_jj *j, const struct fg_jj_str *s,
                                      const struct fg_jj_str *from, const struct fg_jj_str *to,
                                      int64_t count);
/* Parts between `by` (NULL: white space), at most `most` cuts (negative: any number). */
struct fg_jj_list *fg_jj_split(struct fg_jj *j, const struct fg_jj_str *s,
                               const struct fg_jj_str *by, int64_t most);
struct fg_jj_list *fg_jj_rsplit(struct fg_jj *j, const struct fg_jj_str *s,
                                const struct fg_jj_str *by, int64_t most);
struct fg_jj_list *fg_jj_lines(struct fg_jj *j, const struct fg_jj_str *s, bool keep_ends);
/* At least so many characters: fills up on the left, the right, or (at 0) both sides. */
const struct fg_jj_str *fg_jj_pad(struct fg_jj *j, const struct fg_jj_str *s, int64_t width,
                                  const struct fg_jj_str *fill, int side);
void fg_jj_text_repeat(struct fg_jj *j, struct fg_jj_text *t, const struct fg_jj_str *s,
                       int64_t times);

/* Python's int() and float() of a text; false: it is none. */
bool fg_jj_parse_int(struct fg_jj *j, const struct fg_jj_str *s, int base, struct fg_jj_value *out);
bool fg_jj_parse_float(struct fg_jj *j, const struct fg_jj_str *s, double *out);

/* s.format(...). */
struct fg_jj_args;
struct fg_jj_value fg_jj_format(struct fg_jj *j, const struct fg_jj_str *s,
                                const struct fg_jj_args *args);

#endif
