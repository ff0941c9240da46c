/* JSON as text: finding values in it without making a tree of them, so that they stay byte for byte
 * as they were written. Pure; any thread. */
#ifndef FG_BASE_JSON_SCAN_H
#define FG_BASE_JSON_SCAN_H

#include <stdbool.h>
#include <stddef.h>

#include "fulgur/str.h"
#include "buffer.h"

enum { FG_SCAN_MAX_DEPTH = 2048 }; /* arrays and objects in each other */

/* Moves *at past blanks and one value of text; false, with *at anywhere, where there is no
 * well-formed one or it is deeper than FG_SCAN_MAX_DEPTH. Whether strings are UTF-8 is not looked
 * at. */
bool fg_scan_value(struct fg_str text, size_t *at);
/* The one value that the text is, without the blanks around it. */
bool fg_scan_whole(struct fg_str text, struct fg_str *value);

/* The members of an object or the elements of an array, in order. Start with {.text = it}, which
 * begins with its bracket; views point into it. */
struct fg_scan {
    struct fg_str text;
    size_t at;
    struct fg_str name;  /* of a member, with its quotes; empty in an array */
    struct fg_str value; /* without blanks around it */
};
/* False at the end, and where the text is malformed or neither object nor array. */
bool fg_scan_next(struct fg_scan *s);

/* The member called `name`, the last one where there are several; false when there is none. */
bool fg_scan_find(struct fg_str object, const char *name, struct fg_str *value);
/* Whether a string with its quotes is that one. */
bool fg_scan_is(struct fg_str quoted, const char *text);
/* Appends what a string with its quotes stands for; lone surrogates become U+FFFD. Running out of
 * memory shows in out->failed. */
void fg_scan_string(struct fg_str quoted, struct fg_buffer *out);
/* Appends a string as JSON, with quotes. */
void fg_scan_quote(struct fg_str s, struct fg_buffer *out);

/* Whether two texts are the same JSON value: members in any order, strings by what they stand for,
 * numbers by value, where 1e3, 1000 and 1000.0 are one, and a fraction or an exponent makes two
 * numbers the same that are the same as doubles. `a` has no name twice in an object. False where
 * one is malformed, and where it cannot be told: out of memory, or hundreds of levels or thousands
 * of members in another order. */
bool fg_scan_equal(struct fg_str a, struct fg_str b);

#endif
