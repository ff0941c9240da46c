#include "lex_value.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "unicode.h"

_Noreturn static void fail(struct fg_jj *j, const char *what)
{
    fg_jj_fail(j, FG_JINJA_SYNTAX, "%s", what);
}

static char at_or_nul(const struct fg_jj_str *s, size_t at)
{
    return at < s->n ? s->p[at] : '\0';
}

static int digit_value(char c, int base)
{
    int d = 99;

    if (c >= '0' && c <= '9')
        d = c - '0';
    else if ((c | 32) >= 'a' && (c | 32) <= 'z')
        d = (c | 32) - 'a' + 10;
    return d < base ? d : -1;
}

/* Behind digits that single underscores may part; `at` where there are none. */
static size_t skip_digits(const struct fg_jj_str *s, size_t at, int base)
{
    if (digit_value(at_or_nul(s, at), base) < 0)
        return at;
    for (;;) {
        at++;
        if (digit_value(at_or_nul(s, at), base) >= 0)
            continue;
        if (at_or_nul(s, at) != '_' || digit_value(at_or_nul(s, at + 1), base) < 0)
            return at;
    }
}

/* The end of an exponent at `at`, or `at`. */
static size_t skip_exponent(const struct fg_jj_str *s, size_t at)
{
    size_t digits = at + 1, end;

    if ((at_or_nul(s, at) | 32) != 'e')
        return at;
    digits += at_or_nul(s, digits) == '+' || at_or_nul(s, digits) == '-';
    end = skip_digits(s, digits, 10);
    return end > digits ? end : at;
}

/* The end of a float at `at`, or 0. */
static size_t float_end(const struct fg_jj_str *s, size_t at)
{
    size_t whole = skip_digits(s, at, 10), fraction = whole, end;

    if (whole == at || (at && s->p[at - 1] == '.'))
        return 0;
    if (at_or_nul(s, whole) == '.')
        fraction = skip_digits(s, whole + 1, 10);
    if (fraction <= whole + 1)
        fraction = whole;
    end = skip_exponent(s, fraction);
    return end > whole ? end : 0;
}

/* The digits without underscores, NUL-terminated. */
static char *plain_digits(struct fg_jj *j, const struct fg_jj_str *s, size_t from, size_t to)
{
    char *text = fg_jj_alloc(j, to - from + 1), *p = text;

    for (; from < to; from++) {
        if (s->p[from] != '_')
            *p++ = s->p[from];
    }
    return text;
}

static size_t lex_integer(struct fg_jj *j, const struct fg_jj_str *s, size_t at,
                          struct fg_jj_token *t)
{
    static const char letters[] = "box";
    static const int bases[] = {2, 8, 16};
    char letter = (char)(at_or_nul(s, at + 1) | 32);
    const char *found = letter ? strchr(letters, letter) : NULL;
    size_t digits = at, end;
    int base = 10;
    char *text;

    if (s->p[at] == '0' && found && *found) {
        size_t first = at + 2 + (at_or_nul(s, at + 2) == '_');

        if (digit_value(at_or_nul(s, first), bases[found - letters]) >= 0) {
            base = bases[found - letters];
            digits = first;
        }
    }
    end = skip_digits(s, digits, base);
    if (base == 10 && s->p[at] == '0') {
        for (end = at + 1; at_or_nul(s, end + (at_or_nul(s, end) == '_')) == '0';)
            end += 1 + (s->p[end] == '_');
    }
    text = plain_digits(j, s, digits, end);
    errno = 0;
    t->kind = FG_JJ_T_INTEGER;
    t->value = fg_jj_int(strtoll(text, NULL, base));
    if (errno && base != 10)
        fail(j, "an integer is larger than 64 bits");
    if (errno)
        t->value = (struct fg_jj_value){
            .kind = FG_JJ_BIGINT, .f = strtod(text, NULL), .text = fg_jj_str_c(j, text)};
    return end;
}

static size_t lex_name(struct fg_jj *j, const struct fg_jj_str *s, size_t at, struct fg_jj_token *t)
{
    size_t end = at, next = at;

    while (next < s->n && fg_unicode_word(fg_jj_next_char(s, &next)))
        end = next;
    if (end == at)
        return 0;
    for (size_t i = at; i < end;) {
        bool first = i == at;
        uint32_t c = fg_jj_next_char(s, &i);

        if (c != '_' && !fg_unicode_alpha(c) && (first || !fg_unicode_decimal(c)))
            fail(j, "Invalid character in identifier");
    }
    t->kind = FG_JJ_T_NAME;
    t->value = fg_jj_of_str(fg_jj_str(j, s->p + at, end - at, 0));
    return end;
}

/* The value of `n` hexadecimal digits, or octal ones, as many as there are up to n. */
static uint32_t number_escape(struct fg_jj *j, const struct fg_jj_str *s, size_t *at, int n)
{
    int base = n == 3 ? 8 : 16, i = 0;
    uint32_t c = 0;

    while (i < n && digit_value(at_or_nul(s, *at), base) >= 0) {
        c = c * (uint32_t)base + (uint32_t)digit_value(s->p[(*at)++], base);
        i++;
    }
    if (base == 16 && i < n)
        fail(j, "an escape in a string has too few digits");
    if (c > 0x10ffff || (c >= 0xd800 && c < 0xe000))
        fail(j, "an escape in a string is no character");
    return c;
}

/* Behind a backslash. */
static void lex_escape(struct fg_jj *j, struct fg_jj_text *t, const struct fg_jj_str *s, size_t *at)
{
    static const char names[] = "\\\\''\"\"a\ab\bf\fn\nr\rt\tv\v";
    char e = s->p[*at], text[16];
    uint32_t c;

    for (size_t i = 0; i + 1 < sizeof names; i += 2) {
        if (names[i] == e) {
            fg_jj_text_add(j, t, &names[i + 1], 1, 0);
            ++*at;
            return;
        }
    }
    if (e == 'N')
        fail(j, "characters by name (\\N) are not supported");
    if (e == '\n') {
        ++*at;
    } else if (e >= '0' && e <= '7') {
        fg_jj_text_char(j, t, number_escape(j, s, at, 3), 0);
    } else if (e == 'x' || e == 'u' || e == 'U') {
        ++*at;
        fg_jj_text_char(j, t, number_escape(j, s, at, e == 'x' ? 2 : e == 'u' ? 4 : 8), 0);
    } else {
        fg_jj_text_add(j, t, "\\", 1, 0);
        c = fg_jj_next_char(s, at);
        /* Jinja2 writes such a character as an escape before it looks for escapes. */
        if (c < 0x80)
            snprintf(text, sizeof text, "%c", (int)c);
        else if (c < 0x100)
            snprintf(text, sizeof text, "x%02x", (unsigned)c);
        else if (c < 0x10000)
            snprintf(text, sizeof text, "u%04x", (unsigned)c);
        else
            snprintf(text, sizeof text, "U%08x", (unsigned)c);
        fg_jj_text_c(j, t, text, 0);
    }
}

static size_t lex_string(struct fg_jj *j, const struct fg_jj_str *s, size_t at,
                         struct fg_jj_token *t)
{
    char quote = s->p[at];
    size_t end = at + 1, plain = at + 1;
    struct fg_jj_text text = {0};
    bool escaped = false;

    while (end < s->n && s->p[end] != quote) {
        escaped |= s->p[end] == '\\';
        end += 1 + (s->p[end] == '\\');
    }
    if (end >= s->n)
        return 0;
    t->kind = FG_JJ_T_STRING;
    if (!escaped) {
        t->value = fg_jj_of_str(fg_jj_str(j, s->p + at + 1, end - at - 1, 0));
        return end + 1;
    }
    for (size_t i = plain; i < end;) {
        if (s->p[i] != '\\') {
            i++;
            continue;
        }
        fg_jj_text_add(j, &text, s->p + plain, i - plain, 0);
        i++;
        lex_escape(j, &text, s, &i);
        plain = i;
    }
    fg_jj_text_add(j, &text, s->p + plain, end - plain, 0);
    t->value = fg_jj_of_str(fg_jj_text_end(j, &text));
    return end + 1;
}

size_t fg_jj_lex_value(struct fg_jj *j, const struct fg_jj_str *s, size_t at, struct fg_jj_token *t)
{
    size_t end;

    if (s->p[at] == '\'' || s->p[at] == '"')
        return lex_string(j, s, at, t);
    if (s->p[at] < '0' || s->p[at] > '9')
        return lex_name(j, s, at, t);
    end = float_end(s, at);
    if (!end)
        return lex_integer(j, s, at, t);
    t->kind = FG_JJ_T_FLOAT;
    t->value = fg_jj_float(strtod(plain_digits(j, s, at, end), NULL));
    return end;
}
