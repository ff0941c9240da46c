/* Objects, arrays and strings of a JSON schema. */
#include <stdlib.h>
#include <string.h>

#include "json_schema_parts.h"
#include "regex.h"

static fg_expr blanks(struct fg_schema_reader *r)
{
    return fg_expr_rule(r->x, r->blanks);
}

static fg_expr as_rule(struct fg_exprs *x, fg_expr e)
{
    uint32_t rule = fg_expr_new_rule(x);

    fg_expr_set_rule(x, rule, e);
    return fg_expr_rule(x, rule);
}

/* --- strings --- */

/* \uHHHH but for surrogates, which come in pairs: the digits are those of one of the four. */
static fg_expr unicode_escape(struct fg_exprs *x)
{
    static const char *const forms[] = {"[0-9A-Ca-cEFef][0-9A-Fa-f]{3}|[Dd][0-7][0-9A-Fa-f]{2}",
                                        "[Dd][89ABab][0-9A-Fa-f]{2}", "[Dd][C-Fc-f][0-9A-Fa-f]{2}"};
    fg_expr e[3], start = fg_expr_literal(x, "\\u");

    for (size_t i = 0; i < 3; i++) {
        e[i] = FG_EXPR_NEVER;
        (void)fg_regex_read(x, (struct fg_str){forms[i], strlen(forms[i])}, FG_CHARS_PLAIN, true,
                            &e[i], NULL);
        e[i] = fg_expr_seq(x, start, e[i]);
    }
    return fg_expr_alt(x, e[0], fg_expr_seq(x, e[1], e[2]));
}

fg_expr fg_schema_char(struct fg_exprs *x)
{
    fg_expr all = fg_expr_alt(x, fg_expr_code_points(x, 0x20, '"' - 1),
                              fg_expr_code_points(x, '"' + 1, '\\' - 1)),
            escaped = FG_EXPR_NEVER;

    all = fg_expr_alt(x, all, fg_expr_code_points(x, '\\' + 1, FG_LAST_CHAR));
    for (const char *c = "\"\\/bfnrt"; *c; c++)
        escaped = fg_expr_alt(x, escaped, fg_expr_byte(x, (uint8_t)*c, (uint8_t)*c));
    all = fg_expr_alt(x, all, fg_expr_seq(x, fg_expr_literal(x, "\\"), escaped));
    return fg_expr_alt(x, all, unicode_escape(x));
}

fg_expr fg_schema_text(struct fg_exprs *x, struct fg_str text)
{
    fg_expr all = FG_EXPR_EMPTY;
    size_t at = 0;
    uint32_t c;

    while (at < text.n && fg_next_char(text, &at, &c))
        all = fg_expr_seq(x, all, fg_expr_char(x, c, FG_CHARS_IN_JSON));
    return at == text.n ? all : FG_EXPR_NEVER;
}

static fg_expr quoted(struct fg_exprs *x, fg_expr content)
{
    fg_expr quote = fg_expr_literal(x, "\"");

    return fg_expr_seq(x, fg_expr_seq(x, quote, content), quote);
}

#define OCTET "(25[0-5]|2[0-4]\\d|1\\d\\d|[1-9]?\\d)"
#define IPV4 OCTET "(\\." OCTET "){3}"
#define HEX "[0-9A-Fa-f]"
#define GROUP HEX "{1,4}"
#define LABEL "[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
#define YEAR "([1-9]\\d{3}|0[1-9]\\d\\d|00[1-9]\\d|000[1-9])"
#define LEAP "(\\d\\d(0[48]|[2468][048]|[13579][26])|(0[48]|[2468][048]|[13579][26])00)"
#define DATE                                                                                       \
    "(" YEAR "-((0[13578]|1[02])-(0[1-9]|[12]\\d|3[01])|(0[469]|11)-(0[1-9]|[12]\\d|30)|"          \
    "02-(0[1-9]|1\\d|2[0-8]))|" LEAP "-02-29)"
#define TIME "([01]\\d|2[0-3]):[0-5]\\d:[0-5]\\d(\\.\\d{1,9})?(Z|[+-]([01]\\d|2[0-3]):[0-5]\\d)"
#define ATOM "[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+"

static const struct {
    const char *name, *pattern;
} formats[] = {
    {"date", DATE},
    {"time", TIME},
    {"date-time", DATE "T" TIME},
    {"duration", "P(\\d{1,9}W|\\d{1,9}Y(\\d{1,9}M)?(\\d{1,9}D)?|\\d{1,9}M(\\d{1,9}D)?|\\d{1,9}D|"
                 "(\\d{1,9}Y(\\d{1,9}M)?(\\d{1,9}D)?|\\d{1,9}M(\\d{1,9}D)?|\\d{1,9}D)?"
                 "T(\\d{1,9}H(\\d{1,9}M(\\d{1,9}S)?)?|\\d{1,9}M(\\d{1,9}S)?|\\d{1,9}S))"},
    {"uuid", HEX "{8}-" HEX "{4}-" HEX "{4}-" HEX "{4}-" HEX "{12}"},
    {"email", ATOM "(\\." ATOM ")*@(" LABEL "\\.)+[A-Za-z]{2,63}"},
    {"hostname", LABEL "(\\." LABEL "){0,20}"},
    {"ipv4", IPV4},
    {"ipv6", "(" GROUP ":){7}" GROUP "|(" GROUP ":){1,7}:|(" GROUP ":){1,6}:" GROUP "|(" GROUP
             ":){1,5}(:" GROUP "){1,2}|(" GROUP ":){1,4}(:" GROUP "){1,3}|(" GROUP ":){1,3}(:" GROUP
             "){1,4}|(" GROUP ":){1,2}(:" GROUP "){1,5}|" GROUP ":(:" GROUP "){1,6}|:((:" GROUP
             "){1,7}|:)"},
    {"uri", "[A-Za-z][A-Za-z0-9+.-]{0,30}://" LABEL "(\\." LABEL "){0,20}(:\\d{1,4})?"
            "(/([A-Za-z0-9._~!$&'()*+,;=:@-]|%" HEX "{2})*)*"
            "(\\?([A-Za-z0-9._~!$&'()*+,;=:@/?-]|%" HEX "{2})*)?"
            "(#([A-Za-z0-9._~!$&'()*+,;=:@/?-]|%" HEX "{2})*)?"},
};

static fg_expr pattern(struct fg_schema_reader *r, const json_t *v, bool whole, const char *keyword)
{
    struct fg_str text = {json_string_value(v), json_string_length(v)};
    struct fg_err err = {0};
    fg_expr out = FG_EXPR_NEVER;
    int rc;

    if (!json_is_string(v))
        return fg_schema_fail(r, FG_EINVAL, "%s must be a string", keyword);
    rc = fg_regex_read(r->x, text, FG_CHARS_IN_JSON, whole, &out, &err);
    return rc ? fg_schema_fail(r, rc, "%s: %.300s", keyword, err.text) : out;
}

const char *fg_schema_format(const char *name)
{
    for (size_t i = 0; name && i < sizeof formats / sizeof *formats; i++)
        if (strcmp(name, formats[i].name) == 0)
            return formats[i].pattern;
    return NULL;
}

static fg_expr format(struct fg_schema_reader *r, const char *name)
{
    const char *p = fg_schema_format(name);
    fg_expr out = FG_EXPR_NEVER;

    if (!p)
        return fg_schema_fail(r, FG_EUNSUPPORTED, "format \"%.40s\" is not done", name ? name : "");
    (void)fg_regex_read(r->x, (struct fg_str){p, strlen(p)}, FG_CHARS_IN_JSON, true, &out, NULL);
    return out;
}

fg_expr fg_schema_string(struct fg_schema_reader *r, const json_t *schema)
{
    const json_t *p = json_object_get(schema, "pattern"), *f = json_object_get(schema, "format");
    uint32_t least = fg_schema_count(r, schema, "minLength", 0);
    uint32_t most = fg_schema_count(r, schema, "maxLength", FG_EXPR_ANY_NUMBER);
    bool counted = least || most != FG_EXPR_ANY_NUMBER;

    if ((p || f) && counted)
        return fg_schema_fail(r, FG_EUNSUPPORTED,
                              "minLength and maxLength beside \"%s\" are not done",
                              p ? "pattern" : "format");
    if (p && f)
        return fg_schema_fail(r, FG_EUNSUPPORTED, "\"format\" beside \"pattern\" is not done");
    if (p)
        return quoted(r->x, pattern(r, p, false, "pattern"));
    if (f)
        return quoted(r->x, format(r, json_string_value(f)));
    return quoted(r->x, fg_expr_repeat(r->x, fg_schema_char(r->x), least, most));
}

/* --- objects --- */

static fg_expr comma(struct fg_schema_reader *r)
{
    return fg_expr_seq(r->x, fg_expr_literal(r->x, ","), blanks(r));
}

/* A member, of its quoted name and its value. */
static fg_expr member(struct fg_schema_reader *r, fg_expr name, fg_expr value)
{
    fg_expr colon = fg_expr_seq(r->x, fg_expr_literal(r->x, ":"), blanks(r));

    return fg_expr_seq(r->x, fg_expr_seq(r->x, name, colon), value);
}

/* The end, without its quote, of a name that is none of those: `list` are these, sorted, from their
 * byte `at` on. Such names have no escapes, so that none can be written in another way. */
static fg_expr other_name(struct fg_schema_reader *r, const struct fg_str *list, size_t n,
                          size_t at, fg_expr plain)
{
    struct fg_exprs *x = r->x;
    struct fg_chars rest = {.n = 0};
    fg_expr all = FG_EXPR_EMPTY;
    size_t i = 0;

    if (n && list[0].n == at) { /* it is one of them where it ends here */
        all = FG_EXPR_NEVER;
        i = 1;
    }
    while (i < n) {
        size_t next = at, from = i;
        fg_expr tail;
        uint32_t c;

        if (!fg_next_char(list[i], &next, &c))
            return FG_EXPR_NEVER;
        while (i < n && list[i].n >= next &&
               memcmp(list[i].p + at, list[from].p + at, next - at) == 0)
            i++;
        fg_chars_add(&rest, c, c);
        if (c < 0x20 || c == '"' || c == '\\')
            continue; /* would have to be escaped */
        tail = other_name(r, list + from, i - from, next, plain);
        all = fg_expr_alt(x, all, fg_expr_seq(x, fg_expr_code_points(x, c, c), tail));
    }
    fg_chars_add(&rest, 0, 0x1f);
    fg_chars_add(&rest, '"', '"');
    fg_chars_add(&rest, '\\', '\\');
    fg_chars_invert(&rest, FG_LAST_CHAR);
    return fg_expr_alt(x, all, fg_expr_seq(x, fg_expr_chars(x, &rest, FG_CHARS_PLAIN), plain));
}

/* The properties of an object, and what comes beside them. */
struct members {
    json_t *names;    /* of all that may come, in order: with their schemas */
    json_t *required; /* their names too */
    fg_expr other;    /* any other member; FG_EXPR_NEVER: there is none */
    uint32_t least, most;
};

static int compare_names(const void *a, const void *b)
{
    const struct fg_str *x = a, *y = b;
    int c = memcmp(x->p, y->p, x->n < y->n ? x->n : y->n);

    return c ? c : (x->n > y->n) - (x->n < y->n);
}

enum { MAX_NAMES = 1024, MAX_NAME = 128 };

static fg_expr other_member(struct fg_schema_reader *r, const struct members *m,
                            const json_t *schema)
{
    struct fg_exprs *x = r->x;
    struct fg_str list[MAX_NAMES];
    struct fg_chars plain = {.n = 0};
    fg_expr chars;
    size_t n = 0;
    const char *name;
    json_t *v;

    json_object_foreach(m->names, name, v)
    {
        if (n == MAX_NAMES || strlen(name) > MAX_NAME)
            return fg_schema_fail(r, FG_EUNSUPPORTED,
                                  "more than %d properties, or names of more than %d bytes, with "
                                  "additionalProperties are not done",
                                  MAX_NAMES, MAX_NAME);
        list[n++] = (struct fg_str){name, strlen(name)};
    }
    if (!n)
        return member(r, fg_expr_rule(x, r->string), fg_schema_value(r, schema));
    qsort(list, n, sizeof *list, compare_names);
    fg_chars_add(&plain, 0x20, '"' - 1);
    fg_chars_add(&plain, '"' + 1, '\\' - 1);
    fg_chars_add(&plain, '\\' + 1, FG_LAST_CHAR);
    chars = fg_expr_repeat(x, fg_expr_chars(x, &plain, FG_CHARS_PLAIN), 0, FG_EXPR_ANY_NUMBER);
    chars = as_rule(x, chars);
    return member(r, quoted(x, other_name(r, list, n, 0, chars)), fg_schema_value(r, schema));
}

/* patternProperties, which is done where it is alone. */
static fg_expr pattern_member(struct fg_schema_reader *r, const json_t *schema,
                              const struct members *m)
{
    json_t *patterns = json_object_get(schema, "patternProperties"), *v;
    const json_t *rest = json_object_get(schema, "additionalProperties");
    fg_expr all = FG_EXPR_NEVER;
    const char *name;

    if (json_object_size(patterns) != 1 || json_object_size(m->names) ||
        (rest && !json_is_false(rest)))
        return fg_schema_fail(r, FG_EUNSUPPORTED,
                              "\"patternProperties\" is done for one pattern, without properties, "
                              "required and additionalProperties");
    json_object_foreach(patterns, name, v)
    {
        json_t *text = json_string(name);

        all = quoted(r->x, pattern(r, text, false, "patternProperties"));
        all = member(r, all, fg_schema_value(r, v));
        json_decref(text);
    }
    return all;
}

/* All that are named, `required` ones without a schema too. */
static void name_members(struct fg_schema_reader *r, const json_t *schema, struct members *m)
{
    json_t *properties = json_object_get(schema, "properties"), *v;
    json_t *rest = json_object_get(schema, "additionalProperties");
    const json_t *required = json_object_get(schema, "required");
    const char *name;
    size_t i;

    if ((properties && !json_is_object(properties)) || (required && !json_is_array(required))) {
        fg_schema_fail(r, FG_EINVAL, "properties must be an object, required an array of strings");
        return;
    }
    json_object_foreach(properties, name, v) json_object_set(m->names, name, v);
    json_array_foreach(required, i, v)
    {
        name = json_string_value(v);
        if (!name) {
            fg_schema_fail(r, FG_EINVAL, "required must be an array of strings");
            return;
        }
        json_object_set_new(m->required, name, json_true());
        if (!json_object_get(m->names, name))
            json_object_set_new(m->names, name, rest ? json_incref(rest) : json_true());
    }
}

/* Counts of members that cannot be kept by the order in which they come. */
static void check_counts(struct fg_schema_reader *r, const struct members *m)
{
    size_t named = json_object_size(m->names), needed = json_object_size(m->required);
    bool few = m->least > needed && (named || m->least > 1);
    bool many =
        m->most != FG_EXPR_ANY_NUMBER && named && (m->most < named || m->other != FG_EXPR_NEVER);

    if (few)
        fg_schema_fail(r, FG_EUNSUPPORTED,
                       "\"minProperties\" of more than the required ones is not done");
    if (many)
        fg_schema_fail(r, FG_EUNSUPPORTED, "\"maxProperties\" beside properties is not done");
}

/* Others: least..most of them. */
static fg_expr others(struct fg_schema_reader *r, const struct members *m)
{
    uint32_t most = m->most == FG_EXPR_ANY_NUMBER || !m->most ? m->most : m->most - 1;
    fg_expr more = fg_expr_repeat(r->x, fg_expr_seq(r->x, comma(r), m->other),
                                  m->least ? m->least - 1 : 0, most);

    if (!m->most || m->other == FG_EXPR_NEVER)
        return m->least ? FG_EXPR_NEVER : FG_EXPR_EMPTY;
    more = fg_expr_seq(r->x, m->other, more);
    return m->least ? more : fg_expr_optional(r->x, more);
}

/* From the last member to the first: what follows when others came before, or none did. */
static fg_expr ordered(struct fg_schema_reader *r, const struct members *m)
{
    struct fg_exprs *x = r->x;
    fg_expr first, rest, one, text;
    json_t *backwards = json_array();
    const char *name;
    json_t *v;

    rest = as_rule(x, fg_expr_repeat(x, fg_expr_seq(x, comma(r), m->other), 0, FG_EXPR_ANY_NUMBER));
    first =
        as_rule(x, m->other == FG_EXPR_NEVER ? FG_EXPR_EMPTY
                                             : fg_expr_optional(x, fg_expr_seq(x, m->other, rest)));
    json_object_foreach(m->names, name, v) json_array_append_new(backwards, json_string(name));
    for (size_t i = json_array_size(backwards); i-- > 0 && !r->rc;) {
        bool required;

        name = json_string_value(json_array_get(backwards, i));
        required = json_object_get(m->required, name) != NULL;
        text = quoted(x, fg_schema_text(x, (struct fg_str){name, strlen(name)}));
        one = member(r, text, fg_schema_value(r, json_object_get(m->names, name)));
        first =
            as_rule(x, fg_expr_alt(x, fg_expr_seq(x, one, rest), required ? FG_EXPR_NEVER : first));
        rest = as_rule(x, fg_expr_alt(x, fg_expr_seq(x, fg_expr_seq(x, comma(r), one), rest),
                                      required ? FG_EXPR_NEVER : rest));
    }
    json_decref(backwards);
    return first;
}

fg_expr fg_schema_object(struct fg_schema_reader *r, const json_t *schema)
{
    struct fg_exprs *x = r->x;
    const json_t *rest = json_object_get(schema, "additionalProperties");
    struct members m = {.names = json_object(), .required = json_object(), .other = FG_EXPR_NEVER};
    fg_expr all = FG_EXPR_NEVER, closing;

    m.least = fg_schema_count(r, schema, "minProperties", 0);
    m.most = fg_schema_count(r, schema, "maxProperties", FG_EXPR_ANY_NUMBER);
    name_members(r, schema, &m);
    if (r->rc == 0 && json_object_get(schema, "patternProperties"))
        m.other = pattern_member(r, schema, &m);
    else if (r->rc == 0 && rest && !json_is_false(rest))
        m.other = other_member(r, &m, rest);
    else if (r->rc == 0 && !rest && !json_object_get(schema, "properties") &&
             !json_object_size(m.required))
        m.other = member(r, fg_expr_rule(x, r->string), fg_expr_rule(x, r->value));
    check_counts(r, &m);
    if (r->rc == 0)
        all = json_object_size(m.names) ? ordered(r, &m) : others(r, &m);
    json_decref(m.names);
    json_decref(m.required);
    closing = fg_expr_seq(x, blanks(r), fg_expr_literal(x, "}"));
    all = fg_expr_seq(x, fg_expr_seq(x, blanks(r), all), closing);
    return fg_expr_seq(x, fg_expr_literal(x, "{"), all);
}

/* --- arrays --- */

/* Behind `before` elements: the rest. */
static fg_expr elements(struct fg_schema_reader *r, const json_t *fixed, const json_t *schema,
                        fg_expr item)
{
    struct fg_exprs *x = r->x;
    uint32_t least = fg_schema_count(r, schema, "minItems", 0);
    uint32_t most = fg_schema_count(r, schema, "maxItems", FG_EXPR_ANY_NUMBER);
    uint32_t n = (uint32_t)json_array_size(fixed);
    fg_expr rest, one;

    if (most == 0)
        return least ? FG_EXPR_NEVER : FG_EXPR_EMPTY;
    if (n == 0) {
        rest = fg_expr_repeat(x, fg_expr_seq(x, comma(r), item), least ? least - 1 : 0,
                              most == FG_EXPR_ANY_NUMBER ? most : most - 1);
        rest = fg_expr_seq(x, item, rest);
        return least ? rest : fg_expr_optional(x, rest);
    }
    if (most < n)
        n = most;
    rest = fg_expr_repeat(x, fg_expr_seq(x, comma(r), item), least > n ? least - n : 0,
                          most == FG_EXPR_ANY_NUMBER ? most : most - n);
    for (uint32_t i = n; i-- > 0;) {
        one = fg_schema_value(r, json_array_get(fixed, i));
        one = fg_expr_seq(x, i ? fg_expr_seq(x, comma(r), one) : one, rest);
        rest = as_rule(x, i >= least ? fg_expr_optional(x, one) : one);
    }
    return rest;
}

fg_expr fg_schema_array(struct fg_schema_reader *r, const json_t *schema)
{
    struct fg_exprs *x = r->x;
    const json_t *fixed = json_object_get(schema, "prefixItems");
    const json_t *items = json_object_get(schema, "items");
    fg_expr item, all;

    if (json_is_array(items)) { /* as it was before 2020-12 */
        if (fixed)
            return fg_schema_fail(r, FG_EINVAL, "items beside prefixItems must be a schema");
        fixed = items;
        items = json_object_get(schema, "additionalItems");
    }
    if (fixed && !json_is_array(fixed))
        return fg_schema_fail(r, FG_EINVAL, "prefixItems must be an array");
    item = items ? fg_schema_value(r, items) : fg_expr_rule(x, r->value);
    all = elements(r, fixed, schema, item);
    all = fg_expr_seq(x, fg_expr_seq(x, blanks(r), all), blanks(r));
    return fg_expr_seq(x, fg_expr_literal(x, "["), fg_expr_seq(x, all, fg_expr_literal(x, "]")));
}
