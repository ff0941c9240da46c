#include "regex.h"

#include <stdlib.h>
#include <string.h>

enum { MAX_DEPTH = 100, QUANTIFIER_DIGITS = 6 };

struct reader {
    struct fg_exprs *x;
    struct fg_str text;
    size_t at;
    enum fg_char_form form;
    bool whole;
    int depth;
    struct fg_err *err;
};

static int refuse(struct reader *r, int code, const char *what)
{
    return fg_fail(r->err, code, "%s at byte %zu of the regular expression", what, r->at);
}

static int peek(const struct reader *r)
{
    return r->at < r->text.n ? (unsigned char)r->text.p[r->at] : -1;
}

static bool take(struct reader *r, char c)
{
    if (peek(r) != (unsigned char)c)
        return false;
    r->at++;
    return true;
}

static bool take_text(struct reader *r, const char *s)
{
    size_t n = strlen(s);

    if (r->text.n - r->at < n || memcmp(r->text.p + r->at, s, n) != 0)
        return false;
    r->at += n;
    return true;
}

/* --- characters and sets --- */

static int hex_digits(struct reader *r, int n, uint32_t *c)
{
    *c = 0;
    for (int i = 0; i < n; i++) {
        int d = peek(r);
        int v = d >= '0' && d <= '9'   ? d - '0'
                : d >= 'a' && d <= 'f' ? d - 'a' + 10
                : d >= 'A' && d <= 'F' ? d - 'A' + 10
                                       : -1;

        if (v < 0)
            return refuse(r, FG_EINVAL, "a hexadecimal digit is missing");
        *c = *c * 16 + (uint32_t)v;
        r->at++;
    }
    return 0;
}

/* \uHHHH, also a pair of them, or \u{H..}. */
static int unicode_escape(struct reader *r, uint32_t *c)
{
    uint32_t low;
    size_t at;
    int n = 0, rc;

    if (take(r, '{')) {
        while (r->at + (size_t)n < r->text.n && r->text.p[r->at + (size_t)n] != '}' && n < 7)
            n++;
        rc = n ? hex_digits(r, n, c) : refuse(r, FG_EINVAL, "a hexadecimal digit is missing");
        if (rc == 0 && (!take(r, '}') || *c > FG_LAST_CHAR))
            rc = refuse(r, FG_EINVAL, "there is no such character");
        return rc;
    }
    rc = hex_digits(r, 4, c);
    at = r->at;
    if (rc == 0 && *c >= 0xd800 && *c < 0xdc00 && take_text(r, "\\u")) {
        rc = hex_digits(r, 4, &low);
        if (rc == 0 && low >= 0xdc00 && low < 0xe000)
            *c = 0x10000 + ((*c - 0xd800) << 10) + (low - 0xdc00);
        else
            r->at = at;
    }
    return rc;
}

static void add_blanks(struct fg_chars *c)
{
    static const uint32_t blanks[][2] = {{9, 13},          {0x20, 0x20},     {0xa0, 0xa0},
                                         {0x1680, 0x1680}, {0x2000, 0x200a}, {0x2028, 0x2029},
                                         {0x202f, 0x202f}, {0x205f, 0x205f}, {0x3000, 0x3000}};

    for (size_t i = 0; i < sizeof blanks / sizeof *blanks; i++)
        fg_chars_add(c, blanks[i][0], blanks[i][1]);
}

/* What others take for blanks: those of \s and more, which are in neither of \s and \S. */
static void add_doubtful_blanks(struct fg_chars *c)
{
    fg_chars_add(c, 0x1c, 0x1f);
    fg_chars_add(c, 0x85, 0x85);
    fg_chars_add(c, 0xfeff, 0xfeff);
}

/* \d and its kin; *ascii: the set is one of ASCII characters. False: it is none of them. */
static bool add_class(struct fg_chars *out, int letter, bool *ascii)
{
    struct fg_chars *c = &(struct fg_chars){0};

    switch (letter | 0x20) {
    case 'd': fg_chars_add(c, '0', '9'); break;
    case 'w':
        fg_chars_add(c, '0', '9');
        fg_chars_add(c, 'A', 'Z');
        fg_chars_add(c, '_', '_');
        fg_chars_add(c, 'a', 'z');
        break;
    case 's': add_blanks(c); break;
    default: return false;
    }
    if (letter == 'S') {
        add_doubtful_blanks(c);
        fg_chars_invert(c, FG_LAST_CHAR);
    } else if (letter < 'a') {
        fg_chars_invert(c, 0x7f);
    }
    *ascii = *ascii || (letter | 0x20) != 's';
    for (size_t i = 0; i < c->n; i++)
        fg_chars_add(out, c->range[i].first, c->range[i].last);
    return true;
}

/* Behind a backslash: one character. */
static int escape(struct reader *r, uint32_t *c)
{
    static const char letters[] = "nrtfv0", meant[] = "\n\r\t\f\v";
    int letter = peek(r);
    const char *known = letter > 0 ? strchr(letters, letter) : NULL;

    if (letter < 0)
        return refuse(r, FG_EINVAL, "a backslash has nothing behind it");
    if (letter == '0' && r->at + 1 < r->text.n && r->text.p[r->at + 1] >= '0' &&
        r->text.p[r->at + 1] <= '9')
        return refuse(r, FG_EUNSUPPORTED, "octal escapes are not done");
    if (letter >= 0x80)
        return fg_next_char(r->text, &r->at, c) ? 0 : refuse(r, FG_EINVAL, "it is not UTF-8");
    r->at++;
    if (known) {
        *c = (uint8_t)meant[known - letters];
        return 0;
    }
    if (letter == 'x')
        return hex_digits(r, 2, c);
    if (letter == 'u')
        return unicode_escape(r, c);
    if (letter == 'c' && ((peek(r) | 0x20) >= 'a' && (peek(r) | 0x20) <= 'z')) {
        *c = (uint32_t)r->text.p[r->at++] & 0x1f;
        return 0;
    }
    r->at--;
    if (letter == 'b' || letter == 'B')
        return refuse(r, FG_EUNSUPPORTED, "word boundaries are not done");
    if ((letter >= '1' && letter <= '9') || letter == 'k')
        return refuse(r, FG_EUNSUPPORTED, "back references are not done");
    if (letter == 'p' || letter == 'P')
        return refuse(r, FG_EUNSUPPORTED, "\\p is not done");
    if ((letter | 0x20) >= 'a' && (letter | 0x20) <= 'z')
        return refuse(r, FG_EUNSUPPORTED, "this escape is not done");
    r->at++;
    *c = (uint32_t)letter;
    return 0;
}

/* One element of [..]: a class (*single is false), or a character. */
static int set_element(struct reader *r, struct fg_chars *set, uint32_t *c, bool *single,
                       bool *ascii)
{
    *single = true;
    if (take(r, '\\')) {
        int letter = peek(r);

        if (letter > 0 && letter < 0x80 && strchr("dDwWsS", letter)) {
            r->at++;
            *single = false;
            add_class(set, letter, ascii);
            return 0;
        }
        if (take(r, 'b')) {
            *c = '\b';
            return 0;
        }
        return escape(r, c);
    }
    return fg_next_char(r->text, &r->at, c) ? 0 : refuse(r, FG_EINVAL, "it is not UTF-8");
}

static int read_set(struct reader *r, fg_expr *out)
{
    struct fg_chars set = {.n = 0};
    bool inverted = take(r, '^'), ascii = false, single;
    uint32_t first, last;

    while (!take(r, ']')) {
        if (inverted && r->at + 1 < r->text.n && r->text.p[r->at] == '\\' &&
            (r->text.p[r->at + 1] | 0x20) == 's')
            add_doubtful_blanks(&set);
        int rc = peek(r) < 0 ? refuse(r, FG_EINVAL, "a ] is missing")
                             : set_element(r, &set, &first, &single, &ascii);
        bool range;

        if (rc)
            return rc;
        range = single && peek(r) == '-' && r->at + 1 < r->text.n && r->text.p[r->at + 1] != ']';
        last = first;
        if (range) {
            r->at++;
            rc = set_element(r, &set, &last, &single, &ascii);
            if (rc == 0 && (!single || last < first))
                rc = refuse(r, FG_EINVAL, "a range of characters is malformed");
            if (rc)
                return rc;
        }
        if (single)
            fg_chars_add(&set, first, last);
    }
    if (inverted)
        fg_chars_invert(&set, ascii ? 0x7f : FG_LAST_CHAR);
    *out = fg_expr_chars(r->x, &set, r->form);
    return 0;
}

static fg_expr any_char(struct reader *r, bool lines)
{
    struct fg_chars set = {.n = 0};

    if (!lines) {
        fg_chars_add(&set, '\n', '\n');
        fg_chars_add(&set, '\r', '\r');
        fg_chars_add(&set, 0x2028, 0x2029);
    }
    fg_chars_invert(&set, FG_LAST_CHAR);
    return fg_expr_chars(r->x, &set, r->form);
}

/* --- atoms, quantifiers, alternatives --- */

static int read_alternatives(struct reader *r, fg_expr *out);

static int read_group(struct reader *r, fg_expr *out)
{
    int rc;

    if (take(r, '?')) {
        bool name = take_text(r, "P<") ||
                    (peek(r) == '<' && r->at + 1 < r->text.n && r->text.p[r->at + 1] != '=' &&
                     r->text.p[r->at + 1] != '!' && take(r, '<'));

        if (name) {
            while (peek(r) >= 0 && peek(r) != '>')
                r->at++;
            if (!take(r, '>'))
                return refuse(r, FG_EINVAL, "a > is missing");
        } else if (!take(r, ':')) {
            return refuse(r, FG_EUNSUPPORTED, "lookaround and flags are not done");
        }
    }
    if (++r->depth > MAX_DEPTH)
        return refuse(r, FG_EUNSUPPORTED, "groups are too deep");
    rc = read_alternatives(r, out);
    r->depth--;
    if (rc == 0 && !take(r, ')'))
        rc = refuse(r, FG_EINVAL, "a ) is missing");
    return rc;
}

static int read_atom(struct reader *r, fg_expr *out)
{
    struct fg_chars set = {.n = 0};
    bool ascii = false;
    uint32_t c;
    int rc = 0;

    if (take(r, '('))
        return read_group(r, out);
    if (take(r, '['))
        return read_set(r, out);
    if (take(r, '.')) {
        *out = any_char(r, false);
        return 0;
    }
    if (peek(r) == '*' || peek(r) == '+' || peek(r) == '?')
        return refuse(r, FG_EINVAL, "there is nothing to repeat");
    if (peek(r) == '^' || peek(r) == '$')
        return refuse(r, FG_EUNSUPPORTED,
                      "^ and $ inside of an alternative or a group are not done");
    if (take(r, '\\')) {
        if (peek(r) > 0 && peek(r) < 0x80 && add_class(&set, peek(r), &ascii)) {
            r->at++;
            *out = fg_expr_chars(r->x, &set, r->form);
            return 0;
        }
        rc = escape(r, &c);
    } else if (!fg_next_char(r->text, &r->at, &c)) {
        rc = refuse(r, FG_EINVAL, "it is not UTF-8");
    }
    if (rc == 0 && c >= 0xd800 && c < 0xe000)
        rc = refuse(r, FG_EINVAL, "half a surrogate pair is no character");
    if (rc == 0)
        *out = fg_expr_char(r->x, c, r->form);
    return rc;
}

static bool read_count(struct reader *r, uint32_t *n)
{
    int digits = 0;

    for (*n = 0; peek(r) >= '0' && peek(r) <= '9' && digits < QUANTIFIER_DIGITS; digits++)
        *n = *n * 10 + (uint32_t)(r->text.p[r->at++] - '0');
    return digits > 0;
}

/* {m}, {m,} and {m,n}; anything else behind a { is that character, and this false. */
static bool read_counts(struct reader *r, uint32_t *least, uint32_t *most)
{
    size_t at = r->at;

    if (take(r, '{') && read_count(r, least)) {
        *most = *least;
        if (take(r, ',') && !read_count(r, most))
            *most = FG_EXPR_ANY_NUMBER;
        if (take(r, '}'))
            return true;
    }
    r->at = at;
    return false;
}

static int read_quantifier(struct reader *r, fg_expr *e)
{
    uint32_t least = 0, most = FG_EXPR_ANY_NUMBER;

    if (take(r, '+'))
        least = 1;
    else if (take(r, '?'))
        most = 1;
    else if (!take(r, '*') && !read_counts(r, &least, &most))
        return 0;
    if (least > most)
        return refuse(r, FG_EINVAL, "a count is larger than the one behind it");
    if (most == 1 && least == 0)
        *e = fg_expr_optional(r->x, *e);
    else
        *e = fg_expr_repeat(r->x, *e, least, most);
    take(r, '?'); /* lazy: the same texts match */
    if (peek(r) == '+')
        return refuse(r, FG_EUNSUPPORTED, "possessive quantifiers are not done");
    if (peek(r) == '*' || peek(r) == '?' || read_counts(r, &least, &most))
        return refuse(r, FG_EINVAL, "there is nothing to repeat");
    return 0;
}

/* One alternative; where it is not anchored, and need not match as a whole, anything is around. */
static int read_alternative(struct reader *r, fg_expr *out)
{
    bool top = r->depth == 0, begins = top && take(r, '^'), ends = false;
    fg_expr e;

    *out = FG_EXPR_EMPTY;
    while (peek(r) >= 0 && peek(r) != '|' && peek(r) != ')') {
        int rc;

        if (top && peek(r) == '$' && (r->at + 1 == r->text.n || r->text.p[r->at + 1] == '|')) {
            r->at++;
            ends = true;
            break;
        }
        rc = read_atom(r, &e);
        if (rc == 0)
            rc = read_quantifier(r, &e);
        if (rc)
            return rc;
        *out = fg_expr_seq(r->x, *out, e);
    }
    if (!top || r->whole || (begins && ends))
        return 0;
    e = fg_expr_repeat(r->x, any_char(r, true), 0, FG_EXPR_ANY_NUMBER);
    *out = fg_expr_seq(r->x, begins ? FG_EXPR_EMPTY : e,
                       fg_expr_seq(r->x, *out, ends ? FG_EXPR_EMPTY : e));
    return 0;
}

static int read_alternatives(struct reader *r, fg_expr *out)
{
    fg_expr one;
    int rc = read_alternative(r, out);

    while (rc == 0 && take(r, '|')) {
        rc = read_alternative(r, &one);
        *out = fg_expr_alt(r->x, *out, one);
    }
    return rc;
}

int fg_regex_read(struct fg_exprs *x, struct fg_str pattern, enum fg_char_form form, bool whole,
                  fg_expr *out, struct fg_err *err)
{
    struct reader r = {.x = x, .text = pattern, .form = form, .whole = whole, .err = err};
    int rc = read_alternatives(&r, out);

    if (rc == 0 && r.at < pattern.n)
        rc = refuse(&r, FG_EINVAL, "a ) has no (");
    return rc;
}
