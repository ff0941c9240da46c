/* Sets of characters, and how one is written: as it is, or inside of a JSON string. */
#ifndef FG_GRAMMAR_CHARS_H
#define FG_GRAMMAR_CHARS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "expr.h"

enum { FG_LAST_CHAR = 0x10ffff, FG_CHARS_MAX = 512 };

/* Code points; zero-initialized is empty. */
struct fg_chars {
    struct {
        uint32_t first, last;
    } range[FG_CHARS_MAX];
    size_t n;
    bool full; /* more than FG_CHARS_MAX ranges were added */
};

void fg_chars_add(struct fg_chars *c, uint32_t first, uint32_t last);
/* Ascending, and none twice. */
void fg_chars_sort(struct fg_chars *c);
/* All others, up to `most`. */
void fg_chars_invert(struct fg_chars *c, uint32_t most);

enum fg_char_form {
    FG_CHARS_PLAIN,
    FG_CHARS_IN_JSON,
    FG_CHARS_IN_TAGS, /* plain, without < and line feed, of which tags and what is around them are
                       * made: such characters match nothing */
};

/* One of them. In a JSON string: quotes, backslashes and control characters are escaped, others
 * stand for themselves. */
fg_expr fg_expr_chars(struct fg_exprs *x, struct fg_chars *c, enum fg_char_form form);
fg_expr fg_expr_char(struct fg_exprs *x, uint32_t c, enum fg_char_form form);

/* The next character of well-formed UTF-8 text at *at < text.n; moves *at behind it. False: it is
 * ill-formed. */
bool fg_next_char(struct fg_str text, size_t *at, uint32_t *c);

#endif
