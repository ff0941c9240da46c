/* JSON to values and back. */
#ifndef FG_JJ_JSON_H
#define FG_JJ_JSON_H

#include "value.h"

/* Where a value of the request came from. */
struct fg_jj_origin {
    enum fg_jinja_source source;
    size_t message;
    struct fg_jj_value role; /* a string, or missing */
    const struct fg_jj_str *field;
};

/* The number of a new origin. */
uint32_t fg_jj_add_origin(struct fg_jj *j, struct fg_jj_origin origin);

/* The value of a variable; strings point into its text where they can. Raises FG_JINJA_CONTEXT at
 * the line and column of the text. */
struct fg_jj_value fg_jj_read_json(struct fg_jj *j, const struct fg_jinja_variable *variable);

struct fg_jj_json_style {
    bool ascii, sorted;
    const struct fg_jj_str *indent;              /* one level's; NULL: all on one line */
    const struct fg_jj_str *between, *after_key; /* separators */
};

/* As Python's json.dumps() writes it, but for numbers of the request: they stay as they are. */
void fg_jj_write_json(struct fg_jj *j, struct fg_jj_text *t, struct fg_jj_value v,
                      const struct fg_jj_json_style *style);

#endif
