#include "gbnf.h"

#include <string.h>
#include <jansson.h>

#include "chars.h"

enum { MAX_DEPTH = 100, MAX_RULES = 4096, MAX_NAME = 128, COUNT_DIGITS = 6 };

struct reader {
    struct fg_exprs *x;
    struct fg_str text;
    size_t at;
    json_t *rules;   /* their numbers by their names */
    json_t *defined; /* true for those that have a body */
    int depth;
    struct fg_err *err;
};

static int refuse(struct reader *r, int code, const char *what)
{
    size_t line = 1;

    for (size_t i = 0; i < r->at; i++)
        line += r->text.p[i] == '\n';
    return fg_fail(r->err, code, "%s in line %zu of the grammar", what, line);
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

/* Blanks and comments; lines: ends of lines too. */
static void skip(struct reader *r, bool lines)
{
    for (int c = peek(r); c == ' ' || c == '\t' || c == '#' || (lines && (c == '\n' || c == '\r'));
         c = peek(r)) {
        if (c == '#')
            while (peek(r) >= 0 && peek(r) != '\n' && peek(r) != '\r')
                r->at++;
        else
            r->at++;
    }
}

static bool is_name(int c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '_';
}

static int read_name(struct reader *r, char name[MAX_NAME])
{
    size_t n = 0;

    while (is_name(peek(r)) && n < MAX_NAME - 1)
        name[n++] = r->text.p[r->at++];
    name[n] = '\0';
    if (!n)
        return refuse(r, FG_EINVAL, "a rule's name is missing");
    return is_name(peek(r)) ? refuse(r, FG_EINVAL, "a rule's name is too long") : 0;
}

/* The number of the rule of that name, a new one where it is the first time. */
static int find_rule(struct reader *r, const char *name, uint32_t *rule)
{
    const json_t *known = json_object_get(r->rules, name);

    if (known) {
        *rule = (uint32_t)json_integer_value(known);
        return 0;
    }
    if (json_object_size(r->rules) >= MAX_RULES)
        return refuse(r, FG_EINVAL, "there are too many rules");
    *rule = fg_expr_new_rule(r->x);
    if (json_object_set_new(r->rules, name, json_integer(*rule)) < 0)
        return fg_fail(r->err, FG_ENOMEM, "no memory for a grammar");
    return 0;
}

static int hex_digits(struct reader *r, int n, uint32_t *c)
{
    *c = 0;
    for (int i = 0; i < n; i++, r->at++) {
        int d = peek(r);
        const char *digits = "0123456789abcdef", *found;

        found = d > 0 ? strchr(digits, d >= 'A' && d <= 'F' ? d + 32 : d) : NULL;
        if (!found)
            return refuse(r, FG_EINVAL, "a hexadecimal digit is missing");
        *c = *c * 16 + (uint32_t)(found - digits);
    }
    return *c > FG_LAST_CHAR || (*c >= 0xd800 && *c < 0xe000)
               ? refuse(r, FG_EINVAL, "there is no such character")
               : 0;
}

/* One character of a string or a set. */
static int read_char(struct reader *r, uint32_t *c)
{
    static const char letters[] = "nrt\\\"[]-^", meant[] = "\n\r\t\\\"[]-^";
    const char *known;
    int letter;

    if (!take(r, '\\'))
        return peek(r) >= 0 && fg_next_char(r->text, &r->at, c)
                   ? 0
                   : refuse(r, FG_EINVAL, "a string or a set has no end, or is not UTF-8");
    letter = peek(r);
    r->at += letter >= 0;
    if (letter == 'x')
        return hex_digits(r, 2, c);
    if (letter == 'u')
        return hex_digits(r, 4, c);
    if (letter == 'U')
        return hex_digits(r, 8, c);
    known = letter > 0 ? strchr(letters, letter) : NULL;
    if (!known)
        return refuse(r, FG_EINVAL, "an escape is unknown");
    *c = (uint8_t)meant[known - letters];
    return 0;
}

static int read_string(struct reader *r, fg_expr *out)
{
    uint32_t c;
    int rc = 0;

    *out = FG_EXPR_EMPTY;
    while (rc == 0 && !take(r, '"')) {
        rc = read_char(r, &c);
        if (rc == 0)
            *out = fg_expr_seq(r->x, *out, fg_expr_code_points(r->x, c, c));
    }
    return rc;
}

static int read_set(struct reader *r, fg_expr *out)
{
    struct fg_chars set = {.n = 0};
    bool inverted = take(r, '^');
    uint32_t first, last;
    int rc = 0;

    while (rc == 0 && !take(r, ']')) {
        rc = read_char(r, &first);
        last = first;
        if (rc == 0 && peek(r) == '-' && r->at + 1 < r->text.n && r->text.p[r->at + 1] != ']') {
            r->at++;
            rc = read_char(r, &last);
        }
        if (rc == 0 && last < first)
            rc = refuse(r, FG_EINVAL, "a range of characters is malformed");
        if (rc == 0)
            fg_chars_add(&set, first, last);
    }
    if (inverted)
        fg_chars_invert(&set, FG_LAST_CHAR);
    *out = fg_expr_chars(r->x, &set, FG_CHARS_PLAIN);
    return rc;
}

static int read_alternatives(struct reader *r, fg_expr *out);

static int read_group(struct reader *r, fg_expr *out)
{
    int rc;

    if (++r->depth > MAX_DEPTH)
        return refuse(r, FG_EINVAL, "groups are too deep");
    skip(r, true);
    rc = read_alternatives(r, out);
    r->depth--;
    if (rc == 0 && !take(r, ')'))
        rc = refuse(r, FG_EINVAL, "a ) is missing");
    return rc;
}

static int read_atom(struct reader *r, fg_expr *out)
{
    char name[MAX_NAME];
    uint32_t rule;
    int rc;

    if (take(r, '"'))
        return read_string(r, out);
    if (take(r, '['))
        return read_set(r, out);
    if (take(r, '('))
        return read_group(r, out);
    if (take(r, '.')) {
        *out = fg_expr_code_points(r->x, 0, FG_LAST_CHAR);
        return 0;
    }
    if (peek(r) == '<' || peek(r) == '!')
        return refuse(r, FG_EUNSUPPORTED, "tokens are not done");
    rc = read_name(r, name);
    if (rc == 0)
        rc = find_rule(r, name, &rule);
    if (rc == 0)
        *out = fg_expr_rule(r->x, rule);
    return rc;
}

static bool read_count(struct reader *r, uint32_t *n)
{
    int digits = 0;

    for (*n = 0; peek(r) >= '0' && peek(r) <= '9' && digits < COUNT_DIGITS; digits++)
        *n = *n * 10 + (uint32_t)(r->text.p[r->at++] - '0');
    return digits > 0;
}

static int read_counts(struct reader *r, uint32_t *least, uint32_t *most)
{
    bool given;

    skip(r, false);
    given = read_count(r, least);
    *most = *least;
    skip(r, false);
    if (take(r, ',')) {
        skip(r, false);
        if (!read_count(r, most)) {
            *most = FG_EXPR_ANY_NUMBER;
        } else {
            given = true;
        }
        skip(r, false);
    }
    if (!given || !take(r, '}') || *least > *most)
        return refuse(r, FG_EINVAL, "a count is malformed");
    return 0;
}

/* What is behind an atom, any number of them. */
static int read_quantifiers(struct reader *r, fg_expr *e)
{
    for (int n = 0; n < MAX_DEPTH; n++) {
        uint32_t least = 0, most = FG_EXPR_ANY_NUMBER;

        skip(r, r->depth > 0);
        if (take(r, '+'))
            least = 1;
        else if (take(r, '?'))
            most = 1;
        else if (take(r, '{')) {
            int rc = read_counts(r, &least, &most);

            if (rc)
                return rc;
        } else if (!take(r, '*'))
            return 0;
        *e = most == 1 && !least ? fg_expr_optional(r->x, *e)
                                 : fg_expr_repeat(r->x, *e, least, most);
    }
    return refuse(r, FG_EINVAL, "there are too many repetitions of one thing");
}

static int read_alternatives(struct reader *r, fg_expr *out)
{
    fg_expr e, one = FG_EXPR_EMPTY;
    int rc = 0;

    *out = FG_EXPR_NEVER;
    while (rc == 0) {
        skip(r, r->depth > 0);
        if (take(r, '|')) {
            *out = fg_expr_alt(r->x, *out, one);
            one = FG_EXPR_EMPTY;
            skip(r, true);
            continue;
        }
        if (peek(r) < 0 || peek(r) == ')' || peek(r) == '\n' || peek(r) == '\r')
            break;
        rc = read_atom(r, &e);
        if (rc == 0)
            rc = read_quantifiers(r, &e);
        if (rc == 0)
            one = fg_expr_seq(r->x, one, e);
    }
    *out = fg_expr_alt(r->x, *out, one);
    return rc;
}

static int read_rule(struct reader *r)
{
    char name[MAX_NAME];
    uint32_t rule;
    fg_expr body;
    int rc = read_name(r, name);

    if (rc == 0)
        rc = find_rule(r, name, &rule);
    if (rc == 0 && json_object_get(r->defined, name))
        rc = refuse(r, FG_EINVAL, "a rule is there twice");
    if (rc)
        return rc;
    skip(r, false);
    if (!take(r, ':') || !take(r, ':') || !take(r, '='))
        return refuse(r, FG_EINVAL, "a ::= is missing");
    skip(r, true);
    rc = read_alternatives(r, &body);
    if (rc == 0 && peek(r) >= 0 && peek(r) != '\n' && peek(r) != '\r')
        rc = refuse(r, FG_EINVAL, "a ) has no (");
    if (rc)
        return rc;
    fg_expr_set_rule(r->x, rule, body);
    json_object_set_new(r->defined, name, json_true());
    return 0;
}

/* All rules that are named have a body, and `root` is one. */
static int check_rules(struct reader *r, fg_expr *out)
{
    const json_t *root = json_object_get(r->rules, "root");
    const char *name;
    json_t *v;

    json_object_foreach(r->rules, name, v) if (!json_object_get(r->defined, name)) return fg_fail(
        r->err, FG_EINVAL, "the grammar has no rule \"%.60s\"", name);
    if (!root)
        return fg_fail(r->err, FG_EINVAL, "the grammar has no rule \"root\"");
    *out = fg_expr_rule(r->x, (uint32_t)json_integer_value(root));
    return 0;
}

int fg_gbnf_read(struct fg_exprs *x, struct fg_str text, fg_expr *out, struct fg_err *err)
{
    struct reader r = {.x = x, .text = text, .err = err};
    int rc;

    r.rules = json_object();
    r.defined = json_object();
    rc = r.rules && r.defined ? 0 : fg_fail(err, FG_ENOMEM, "no memory for a grammar");
    skip(&r, true);
    while (rc == 0 && peek(&r) >= 0) {
        rc = read_rule(&r);
        skip(&r, true);
    }
    if (rc == 0)
        rc = check_rules(&r, out);
    json_decref(r.rules);
    json_decref(r.defined);
    return rc;
}
