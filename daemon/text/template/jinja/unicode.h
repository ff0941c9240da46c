/* What Unicode says about characters, as Python's strings use it: kinds of characters and cases.
 * The tables (unicode_*.h) are made by tools/make-unicode. Pure functions, any thread. */
#ifndef FG_UNICODE_H
#define FG_UNICODE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

bool fg_unicode_space(uint32_t c);      /* str.isspace() */
bool fg_unicode_printable(uint32_t c);  /* str.isprintable() */
bool fg_unicode_alpha(uint32_t c);      /* str.isalpha() */
bool fg_unicode_decimal(uint32_t c);    /* str.isdecimal() */
int fg_unicode_digit_value(uint32_t c); /* of a decimal; -1: it is none */
bool fg_unicode_digit(uint32_t c);      /* str.isdigit() */
bool fg_unicode_numeric(uint32_t c);    /* str.isnumeric() */
bool fg_unicode_lower(uint32_t c);      /* str.islower() */
bool fg_unicode_upper(uint32_t c);      /* str.isupper() */
bool fg_unicode_cased(uint32_t c);      /* has a case, titles too */
bool fg_unicode_ignorable(uint32_t c);  /* does not end a word where a case depends on its end */
bool fg_unicode_word(uint32_t c);       /* \w of regular expressions */

/* The character in another case: 1 to 3 characters. */
size_t fg_unicode_to_upper(uint32_t c, uint32_t out[3]);
size_t fg_unicode_to_lower(uint32_t c, uint32_t out[3]);
size_t fg_unicode_to_title(uint32_t c, uint32_t out[3]);
size_t fg_unicode_fold(uint32_t c, uint32_t out[3]); /* str.casefold() */

#endif
