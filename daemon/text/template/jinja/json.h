/* JSON to values and back. */
#ifndef JJ_JSON_H
#define JJ_JSON_H

#include "value.h"

/* Where a value of the request came from. */
struct jj_origin {
    enum fg_jinja_source source;
    size_t message;
    struct jj_value role; /* a string, or missing */
    const struct jj_str *field;
};

/* The number of a new origin. */
uint32_t jj_add_origin(struct jj *j, struct jj_origin origin);

/* The value of a variable; strings point into its text where they can. Raises FG_JINJA_CONTEXT at
 * the line and column of the text. */
struct jj_value jj_read_json(struct jj *j, const struct fg_jinja_variable *variable);

struct jj_json_style {
    bool ascii, sorted;
    const struct jj_str *indent;              /* one level's; NULL: all on one line */
    const struct jj_str *between, *after_key; /* separators */
};

/* As Python's json.dumps() writes it, but for numbers of the request: they stay as they are. */
void jj_write_json(struct jj *j, struct jj_text *t, struct jj_value v,
                   const struct jj_json_style *style);

#endif
