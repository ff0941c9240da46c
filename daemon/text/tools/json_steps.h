/* JSON checked while it is written, a byte at a time. Pure; one thread at a time. */
#ifndef FG_JSON_STEPS_H
#define FG_JSON_STEPS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/json_scan.h"

enum fg_json_state {
    FG_JSON_VALUE, /* a value is due */
    FG_JSON_ELEMENT_OR_END,
    FG_JSON_NAME_OR_END,
    FG_JSON_NAME,
    FG_JSON_COLON,
    FG_JSON_AFTER, /* behind a value of an array or object */
    FG_JSON_STRING,
    FG_JSON_ESCAPE,
    FG_JSON_HEX,
    FG_JSON_MINUS,
    FG_JSON_ZERO,
    FG_JSON_DIGITS,
    FG_JSON_POINT,
    FG_JSON_FRACTION,
    FG_JSON_E,
    FG_JSON_SIGN,
    FG_JSON_EXPONENT,
    FG_JSON_WORD,
};

/* Zero-initialized: before the value. */
struct fg_json_steps {
    enum fg_json_state state;
    bool in_name; /* the string is a member's name */
    uint8_t hex;  /* digits still due */
    const char *word;
    size_t containers;                        /* arrays and objects so far */
    uint32_t depth;                           /* of those that are open */
    uint64_t objects[FG_SCAN_MAX_DEPTH / 64]; /* which of these are objects */
};

enum fg_json_step { FG_JSON_MORE, FG_JSON_DONE, FG_JSON_BAD };

/* Takes the next byte of a value that is an array or an object. DONE: it ends the value. BAD: it
 * cannot stand there, or the value is deeper than FG_SCAN_MAX_DEPTH. */
enum fg_json_step fg_json_step(struct fg_json_steps *j, char c);

#endif
