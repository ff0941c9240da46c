/* How a value is laid out: what Python's format specifications and % conversions say. */
#ifndef FG_JJ_FORMAT_H
#define FG_JJ_FORMAT_H

#include "value.h"

struct fg_jj_layout {
    const struct fg_jj_str *fill; /* one character */
    char align;                   /* < > ^ = or 0: as the kind of value wants */
    char sign;                    /* + - space, or 0 */
    bool alternate, zero;
    char grouping;            /* , _ or 0 */
    int64_t width, precision; /* precision < 0: none */
    char type;                /* or 0 */
};

/* `spec` as format() takes it. */
void fg_jj_layout_parse(struct fg_jj *j, const struct fg_jj_str *spec, struct fg_jj_layout *l);
void fg_jj_lay_out_str(struct fg_jj *j, struct fg_jj_text *t, const struct fg_jj_str *s,
                       const struct fg_jj_layout *l);
/* An int or float with a type of numbers. */
void fg_jj_lay_out_number(struct fg_jj *j, struct fg_jj_text *t, struct fg_jj_value v,
                          const struct fg_jj_layout *l);

#endif
