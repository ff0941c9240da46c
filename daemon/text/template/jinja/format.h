/* How a value is laid out: what Python's format specifications and % conversions say. */
#ifndef JJ_FORMAT_H
#define JJ_FORMAT_H

#include "value.h"

struct jj_layout {
    const struct jj_str *fill; /* one character */
    char align;                /* < > ^ = or 0: as the kind of value wants */
    char sign;                 /* + - space, or 0 */
    bool alternate, zero;
    char grouping;            /* , _ or 0 */
    int64_t width, precision; /* precision < 0: none */
    char type;                /* or 0 */
};

/* `spec` as format() takes it. */
void jj_layout_parse(struct jj *j, const struct jj_str *spec, struct jj_layout *l);
void jj_lay_out_str(struct jj *j, struct jj_text *t, const struct jj_str *s,
                    const struct jj_layout *l);
/* An int or float with a type of numbers. */
void jj_lay_out_number(struct jj *j, struct jj_text *t, struct jj_value v,
                       const struct jj_layout *l);

#endif
