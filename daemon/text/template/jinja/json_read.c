#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/hex.h"
#include "base/utf8.h"
#include "json.h"

struct reader {
    struct fg_jj *j;
    const char *start, *p, *end;
};

_Noreturn static void bad(struct reader *r, const char *what)
{
    struct fg_jj *j = r->j;

    j->line = j->column = 1;
    for (const char *p = r->start; p < r->p; p++) {
        j->column = *p == '\n' ? 1 : j->column + 1;
        j->line += *p == '\n';
    }
    fg_jj_fail(j, FG_JINJA_CONTEXT, "%s", what);
}

uint32_t fg_jj_add_origin(struct fg_jj *j, struct fg_jj_origin origin)
{
    j->origins = fg_jj_grow(j, j->origins, &j->cap_origins, j->n_origins + 1, sizeof *j->origins);
    j->origins[j->n_origins] = origin;
    return (uint32_t)j->n_origins++;
}

static void skip_space(struct reader *r)
{
    while (r->p < r->end && (*r->p == ' ' || *r->p == '\t' || *r->p == '\n' || *r->p == '\r'))
        r->p++;
}

static bool take(struct reader *r, char c)
{
    skip_space(r);
    if (r->p == r->end || *r->p != c)
        return false;
    r->p++;
    return true;
}

static void expect(struct reader *r, char c, const char *what)
{
    if (!take(r, c))
        bad(r, what);
}

static uint32_t read_hex(struct reader *r)
{
    uint32_t c = 0;

    for (int i = 0; i < 4; i++, r->p++) {
        int digit = r->p < r->end ? fg_hex_digit(*r->p) : -1;

        if (digit < 0)
            bad(r, "a \\u escape has four hexadecimal digits");
        c = c << 4 | (uint32_t)digit;
    }
    return c;
}

/* Behind the backslash. */
static void read_escape(struct reader *r, struct fg_jj_text *t, uint32_t src)
{
    static const char names[] = "\"\"\\\\//b\bf\fn\nr\rt\t";
    char e = r->p < r->end ? *r->p++ : '\0';
    uint32_t c, low;

    for (size_t i = 0; i + 1 < sizeof names; i += 2) {
        if (names[i] == e) {
            fg_jj_text_add(r->j, t, &names[i + 1], 1, src);
            return;
        }
    }
    if (e != 'u')
        bad(r, "a backslash in a string begins no escape");
    c = read_hex(r);
    if (c >= 0xd800 && c < 0xdc00 && r->end - r->p >= 6 && r->p[0] == '\\' && r->p[1] == 'u') {
        r->p += 2;
        low = read_hex(r);
        if (low < 0xdc00 || low > 0xdfff)
            bad(r, "half of a surrogate pair stands alone");
        c = 0x10000 + ((c - 0xd800) << 10) + (low - 0xdc00);
    }
    if (c >= 0xd800 && c < 0xe000)
        bad(r, "half of a surrogate pair stands alone");
    fg_jj_text_char(r->j, t, c, src);
}

/* Behind the first quote. */
static const struct fg_jj_str *read_string(struct reader *r, uint32_t src)
{
    struct fg_jj_text t = {0};
    const char *plain = r->p;
    bool escaped = false;
    struct fg_jj_str *s;

    while (r->p < r->end && *r->p != '"') {
        if ((unsigned char)*r->p < 0x20)
            bad(r, "a control character in a string");
        if (*r->p++ != '\\')
            continue;
        escaped = true;
        fg_jj_text_add(r->j, &t, plain, (size_t)(r->p - 1 - plain), src);
        read_escape(r, &t, src);
        plain = r->p;
    }
    if (r->p == r->end)
        bad(r, "a string does not end");
    r->p++;
    if (!escaped)
        return fg_jj_str(r->j, plain, (size_t)(r->p - 1 - plain), src);
    fg_jj_text_add(r->j, &t, plain, (size_t)(r->p - 1 - plain), src);
    s = (struct fg_jj_str *)fg_jj_text_end(r->j, &t);
    s->src = src;
    return s;
}

static size_t skip_digits(struct reader *r)
{
    const char *from = r->p;

    while (r->p < r->end && *r->p >= '0' && *r->p <= '9')
        r->p++;
    return (size_t)(r->p - from);
}

/* True when it is an integer. */
static bool skip_number(struct reader *r)
{
    bool integer = true;

    r->p += *r->p == '-';
    if (r->p < r->end && *r->p == '0')
        r->p++;
    else if (!skip_digits(r))
        bad(r, "no value");
    if (r->p < r->end && *r->p == '.') {
        integer = false;
        r->p++;
        if (!skip_digits(r))
            bad(r, "a number has digits behind its point");
    }
    if (r->p < r->end && (*r->p == 'e' || *r->p == 'E')) {
        integer = false;
        r->p++;
        if (r->p < r->end && (*r->p == '+' || *r->p == '-'))
            r->p++;
        if (!skip_digits(r))
            bad(r, "a number has digits in its exponent");
    }
    return integer;
}

static struct fg_jj_value read_number(struct reader *r, uint32_t src)
{
    const char *from = r->p;
    bool integer = skip_number(r);
    size_t n = (size_t)(r->p - from);
    char *copy = fg_jj_alloc(r->j, n + 1);
    struct fg_jj_value v = {.src = src, .text = fg_jj_str(r->j, from, n, src)};

    memcpy(copy, from, n);
    errno = 0;
    if (integer) {
        v.kind = FG_JJ_INT;
        v.i = strtoll(copy, NULL, 10);
        if (!errno)
            return v;
    }
    v.kind = integer ? FG_JJ_BIGINT : FG_JJ_FLOAT;
    v.f = strtod(copy, NULL);
    return v;
}

static struct fg_jj_value read_word(struct reader *r, uint32_t src)
{
    static const struct {
        const char *word;
        struct fg_jj_value value;
    } words[] = {{"true", {.kind = FG_JJ_BOOL, .b = true}},
                 {"false", {.kind = FG_JJ_BOOL}},
                 {"null", {.kind = FG_JJ_NONE}}};

    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        size_t n = strlen(words[i].word);
        struct fg_jj_value v = words[i].value;

        if ((size_t)(r->end - r->p) >= n && memcmp(r->p, words[i].word, n) == 0) {
            r->p += n;
            v.src = src;
            return v;
        }
    }
    bad(r, "no value");
}

static struct fg_jj_value read_value(struct reader *r, uint32_t src);

/* Behind the bracket; a message's members have origins of their own. */
static struct fg_jj_value read_object(struct reader *r, uint32_t src, bool message)
{
    struct fg_jj *j = r->j;
    struct fg_jj_dict *d = fg_jj_dict(j);
    struct fg_jj_value v = fg_jj_of_dict(d), *role;
    size_t first = j->n_origins;

    v.src = src;
    if (take(r, '}'))
        return v;
    do {
        const struct fg_jj_str *key;
        struct fg_jj_value member;
        uint32_t of = src;

        expect(r, '"', "a member's name is a string");
        key = read_string(r, src);
        expect(r, ':', "no colon behind a member's name");
        if (message) {
            struct fg_jj_origin origin = j->origins[src];

            origin.field = key;
            of = fg_jj_add_origin(j, origin);
        }
        member = read_value(r, of);
        fg_jj_dict_set(j, d, fg_jj_of_str(key), member);
    } while (take(r, ','));
    expect(r, '}', "no comma or bracket behind a member");
    role = message ? fg_jj_dict_find(j, d, fg_jj_str_c(j, "role")) : NULL;
    if (role && role->kind == FG_JJ_STR) {
        j->origins[src].role = *role;
        for (size_t i = first; i < j->n_origins; i++)
            j->origins[i].role = *role;
    }
    return v;
}

static struct fg_jj_value read_array(struct reader *r, uint32_t src)
{
    struct fg_jj_list *l = fg_jj_list(r->j);
    struct fg_jj_value v = fg_jj_of_list(FG_JJ_LIST, l);

    v.src = src;
    if (take(r, ']'))
        return v;
    do {
        fg_jj_push(r->j, l, read_value(r, src));
    } while (take(r, ','));
    expect(r, ']', "no comma or bracket behind an element");
    return v;
}

static struct fg_jj_value read_value(struct reader *r, uint32_t src)
{
    struct fg_jj_value v;

    fg_jj_enter(r->j);
    if (take(r, '{'))
        v = read_object(r, src, false);
    else if (take(r, '['))
        v = read_array(r, src);
    else if (take(r, '"'))
        v = fg_jj_of_str(read_string(r, src));
    else if (r->p < r->end && (*r->p == '-' || (*r->p >= '0' && *r->p <= '9')))
        v = read_number(r, src);
    else
        v = read_word(r, src);
    fg_jj_leave(r->j);
    return v;
}

static struct fg_jj_value read_messages(struct reader *r, const struct fg_jj_str *name)
{
    struct fg_jj_list *l = fg_jj_list(r->j);
    struct fg_jj_origin origin = {.source = FG_JINJA_INPUT, .field = name};
    struct fg_jj_value v = fg_jj_of_list(FG_JJ_LIST, l);

    v.src = fg_jj_add_origin(r->j, origin);
    origin = (struct fg_jj_origin){.source = FG_JINJA_MESSAGE, .field = fg_jj_str_c(r->j, "")};
    expect(r, '[', "messages are an array");
    if (take(r, ']'))
        return v;
    do {
        uint32_t src;

        origin.message = l->n;
        src = fg_jj_add_origin(r->j, origin);
        fg_jj_push(r->j, l, take(r, '{') ? read_object(r, src, true) : read_value(r, src));
    } while (take(r, ','));
    expect(r, ']', "no comma or bracket behind a message");
    return v;
}

struct fg_jj_value fg_jj_read_json(struct fg_jj *j, const struct fg_jinja_variable *variable)
{
    struct fg_str text = variable->json;
    struct reader r = {.j = j, .start = text.p, .p = text.p, .end = text.p + text.n};
    const struct fg_jj_str *name = fg_jj_str(j, variable->name.p, variable->name.n, 0);
    struct fg_jj_origin origin = {.source = variable->source, .field = name};
    struct fg_jj_value v;

    r.p = text.p + fg_utf8_valid(text.p, text.n);
    if (r.p != r.end)
        bad(&r, "no UTF-8");
    r.p = text.p;
    if (variable->source == FG_JINJA_MESSAGE)
        v = read_messages(&r, name);
    else
        v = read_value(&r, variable->source == FG_JINJA_INPUT ? fg_jj_add_origin(j, origin) : 0);
    skip_space(&r);
    if (r.p != r.end)
        bad(&r, "something follows the value");
    return v;
}
