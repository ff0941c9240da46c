/* Files of rules. */
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "base/utf8.h"
#include "rules.h"

/* A file while it is read. */
struct reading {
    struct fg_repair *r;
    struct fg_repair_rule *rule; /* that is being read; NULL: none yet */
    const char *name;
    size_t line, begun; /* the line at hand, and that of the rule's name */
    bool where, action; /* were said of the rule */
    struct fg_err *err;
};

static struct fg_str trim(struct fg_str s)
{
    while (s.n && (s.p[0] == ' ' || s.p[0] == '\t')) {
        s.p++;
        s.n--;
    }
    while (s.n && (s.p[s.n - 1] == ' ' || s.p[s.n - 1] == '\t' || s.p[s.n - 1] == '\r'))
        s.n--;
    return s;
}

#define REFUSE(f, at, ...) refuse((f), (at), fg_fail((f)->err, FG_EINVAL, __VA_ARGS__))

/* Puts the file's name and the line before what is said. */
static int refuse(struct reading *f, size_t line, int code)
{
    struct fg_err why = *f->err;

    return fg_fail(f->err, code, "%.200s: line %zu: %.200s", f->name, line, why.text);
}

/* The rule at hand is whole. */
static int end_rule(struct reading *f)
{
    if (!f->rule)
        return 0;
    if (!f->where || !f->action || !f->rule->code)
        return REFUSE(f, f->begun, "the rule \"%s\" has no %s", f->rule->name,
                      !f->where    ? "where"
                      : !f->action ? "action"
                                   : "match");
    f->rule = NULL;
    return 0;
}

static bool is_name(struct fg_str s)
{
    for (size_t i = 0; i < s.n; i++)
        if (!((s.p[i] >= 'a' && s.p[i] <= 'z') || (s.p[i] >= '0' && s.p[i] <= '9') ||
              s.p[i] == '-' || s.p[i] == '_' || s.p[i] == '.'))
            return false;
    return s.n > 0 && s.n <= FG_REPAIR_MAX_NAME;
}

static int begin_rule(struct reading *f, struct fg_str line)
{
    struct fg_str name = {line.p + 1, line.n - 1};
    int rc = end_rule(f);

    if (rc)
        return rc;
    if (name.n == 0 || name.p[name.n - 1] != ']')
        return REFUSE(f, f->line, "a rule begins with its name in brackets: [name]");
    name.n--;
    if (!is_name(name))
        return REFUSE(f, f->line, "a name has 1 to %d of a-z, 0-9, \"-\", \"_\" and \".\"",
                      FG_REPAIR_MAX_NAME);
    if (fg_str_is(name, FG_REPAIR_BILLING))
        return REFUSE(f, f->line, "the name \"%s\" is that of a rule that is built in",
                      FG_REPAIR_BILLING);
    for (size_t i = 0; i < f->r->n; i++)
        if (fg_str_is(name, f->r->rules[i].name))
            return REFUSE(f, f->line, "the name \"%s\" was there before", f->r->rules[i].name);
    if (f->r->n == FG_REPAIR_MAX_RULES)
        return REFUSE(f, f->line, "a file has at most %d rules", FG_REPAIR_MAX_RULES);
    f->rule = &f->r->rules[f->r->n++];
    memcpy(f->rule->name, name.p, name.n);
    f->where = f->action = false;
    f->begun = f->line;
    return 0;
}

static int set_match(struct reading *f, struct fg_str pattern)
{
    PCRE2_UCHAR text[128];
    PCRE2_SIZE at;
    uint32_t least = 0;
    int code;

    if (f->rule->code)
        return REFUSE(f, f->line, "match was there before");
    if (pattern.n == 0 || pattern.n > FG_REPAIR_MAX_PATTERN)
        return REFUSE(f, f->line, "a pattern has 1 to %d bytes", FG_REPAIR_MAX_PATTERN);
    f->rule->code =
        pcre2_compile((PCRE2_SPTR)pattern.p, pattern.n,
                      PCRE2_UTF | PCRE2_NEVER_BACKSLASH_C | PCRE2_NO_UTF_CHECK, &code, &at, NULL);
    if (!f->rule->code) {
        pcre2_get_error_message(code, text, sizeof text);
        return REFUSE(f, f->line, "match: at its byte %zu: %s", (size_t)at, (const char *)text);
    }
    (void)pcre2_pattern_info(f->rule->code, PCRE2_INFO_MINLENGTH, &least);
    if (least == 0)
        return REFUSE(f, f->line, "match: it must not match an empty text");
    return 0;
}

static int set_member(struct reading *f, struct fg_str name, struct fg_str value)
{
    if (fg_str_is(name, "match"))
        return set_match(f, value);
    if (fg_str_is(name, "where") && !f->where) {
        f->where = true;
        f->rule->where = fg_str_is(value, "system") ? FG_REPAIR_SYSTEM : FG_REPAIR_FIRST_MESSAGE;
        return fg_str_is(value, "system") || fg_str_is(value, "first_message")
                   ? 0
                   : REFUSE(f, f->line, "where: it must be system or first_message");
    }
    if (fg_str_is(name, "action") && !f->action) {
        f->action = true;
        f->rule->move = fg_str_is(value, "move");
        return f->rule->move || fg_str_is(value, "omit")
                   ? 0
                   : REFUSE(f, f->line, "action: it must be move or omit");
    }
    if (fg_str_is(name, "where") || fg_str_is(name, "action"))
        return REFUSE(f, f->line, "%.*s was there before", (int)name.n, name.p);
    return REFUSE(f, f->line, "a rule has where, match and action");
}

static int read_line(struct reading *f, struct fg_str line)
{
    const char *equals = memchr(line.p, '=', line.n);
    struct fg_str name, value;

    if (line.n == 0 || line.p[0] == '#')
        return 0;
    if (line.p[0] == '[')
        return begin_rule(f, line);
    if (!equals)
        return REFUSE(f, f->line, "it is none of [name], name = value, # comment");
    if (!f->rule)
        return REFUSE(f, f->line, "it belongs to no rule: a rule begins with its name in brackets");
    name = trim((struct fg_str){line.p, (size_t)(equals - line.p)});
    value = trim((struct fg_str){equals + 1, (size_t)(line.p + line.n - equals - 1)});
    return set_member(f, name, value);
}

int fg_repair_create(struct fg_str text, const char *name, struct fg_repair **out,
                     struct fg_err *err)
{
    struct fg_err own;
    struct reading f = {.r = calloc(1, sizeof *f.r), .name = name, .err = err ? err : &own};
    int rc = 0;

    *out = NULL;
    if (!f.r)
        return fg_fail(err, FG_ENOMEM, "no memory for rules");
    for (size_t at = 0; rc == 0 && at < text.n; f.line++) {
        const char *end = memchr(text.p + at, '\n', text.n - at);
        size_t to = end ? (size_t)(end - text.p) : text.n;
        struct fg_str line = trim((struct fg_str){text.p + at, to - at});

        if (f.line == 0)
            f.line = 1;
        if (memchr(line.p, '\0', line.n) || fg_utf8_valid(line.p, line.n) < line.n)
            rc = REFUSE(&f, f.line, "it is not UTF-8");
        else
            rc = read_line(&f, line);
        at = to + 1;
    }
    if (rc == 0)
        rc = end_rule(&f);
    if (rc)
        fg_repair_destroy(f.r);
    else
        *out = f.r;
    return rc;
}
