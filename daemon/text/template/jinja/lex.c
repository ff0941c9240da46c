#include "lex.h"

#include <stdio.h>
#include <string.h>

#include "base/utf8.h"
#include "lex_value.h"
#include "unicode.h"

static const struct {
    char text[3];
    uint8_t kind;
} operators[] = {
    {"//", FG_JJ_T_FLOORDIV}, {"**", FG_JJ_T_POW},     {"==", FG_JJ_T_EQ},    {"!=", FG_JJ_T_NE},
    {">=", FG_JJ_T_GE},       {"<=", FG_JJ_T_LE},      {"+", FG_JJ_T_ADD},    {"-", FG_JJ_T_SUB},
    {"/", FG_JJ_T_DIV},       {"*", FG_JJ_T_MUL},      {"%", FG_JJ_T_MOD},    {"~", FG_JJ_T_TILDE},
    {"[", FG_JJ_T_LBRACKET},  {"]", FG_JJ_T_RBRACKET}, {"(", FG_JJ_T_LPAREN}, {")", FG_JJ_T_RPAREN},
    {"{", FG_JJ_T_LBRACE},    {"}", FG_JJ_T_RBRACE},   {">", FG_JJ_T_GT},     {"<", FG_JJ_T_LT},
    {"=", FG_JJ_T_ASSIGN},    {".", FG_JJ_T_DOT},      {":", FG_JJ_T_COLON},  {"|", FG_JJ_T_PIPE},
    {",", FG_JJ_T_COMMA},     {";", FG_JJ_T_SEMICOLON}};

void fg_jj_lex_init(struct fg_jj_lexer *l, struct fg_jj *j, const char *text, size_t n)
{
    *l = (struct fg_jj_lexer){
        .j = j, .p = text, .n = n, .line = 1, .column = 1, .line_starting = true};
}

char *fg_jj_lex_normalize(struct fg_jj *j, struct fg_str text, size_t *n)
{
    char *copy = fg_jj_alloc(j, text.n + 1);
    size_t to = 0;

    for (size_t i = 0; i < text.n; i++) {
        char c = text.p[i];

        if (c == '\r') {
            c = '\n';
            i += i + 1 < text.n && text.p[i + 1] == '\n';
        }
        copy[to++] = c;
    }
    *n = to - (to && copy[to - 1] == '\n');
    copy[*n] = '\0';
    return copy;
}

_Noreturn static void fail(struct fg_jj_lexer *l, const char *what)
{
    l->j->line = l->line;
    l->j->column = l->column;
    fg_jj_fail(l->j, FG_JINJA_SYNTAX, "%s", what);
}

static void advance(struct fg_jj_lexer *l, size_t to)
{
    for (; l->at < to; l->at++) {
        if (l->p[l->at] == '\n') {
            l->line++;
            l->column = 1;
        } else {
            l->column += ((unsigned char)l->p[l->at] & 0xc0) != 0x80;
        }
    }
}

static bool looking_at(const struct fg_jj_lexer *l, size_t at, const char *text)
{
    size_t n = strlen(text);

    return l->n - at >= n && memcmp(l->p + at, text, n) == 0;
}

/* Behind the white space at `at`. */
static size_t skip_space(const struct fg_jj_lexer *l, size_t at)
{
    const struct fg_jj_str s = {.p = l->p, .n = l->n};

    while (at < l->n) {
        size_t next = at;

        if (!fg_unicode_space(fg_jj_next_char(&s, &next)))
            break;
        at = next;
    }
    return at;
}

/* Before the white space that ends at `at`, not before `from`. */
static size_t strip_space(const struct fg_jj_lexer *l, size_t from, size_t at)
{
    const struct fg_jj_str s = {.p = l->p, .n = l->n};

    while (at > from) {
        size_t before = at;

        if (!fg_unicode_space(fg_jj_prev_char(&s, &before)))
            break;
        at = before;
    }
    return at;
}

static struct fg_jj_token token(const struct fg_jj_lexer *l, enum fg_jj_token_kind kind)
{
    return (struct fg_jj_token){.kind = kind, .line = l->line, .column = l->column};
}

/* Moves to `to`, behind something that was matched. */
static void matched(struct fg_jj_lexer *l, size_t to)
{
    l->line_starting = to > l->at && l->p[to - 1] == '\n';
    advance(l, to);
}

/* A tag's end at `at`, which begins with its sign or the bracket itself: behind it, or 0. `close`
 * is "%}" or "#}", and takes a line end with it. */
static size_t tag_end(const struct fg_jj_lexer *l, size_t at, const char *close)
{
    if (looking_at(l, at, close))
        return at + 2 + (at + 2 < l->n && l->p[at + 2] == '\n');
    if (at < l->n && l->p[at] == '+' && looking_at(l, at + 1, close))
        return at + 3;
    if (at < l->n && l->p[at] == '-' && looking_at(l, at + 1, close))
        return skip_space(l, at + 3);
    return 0;
}

/* A tag {% word %} at `at`: behind it, or 0. The first of a pair takes no line end with it. */
static size_t word_tag(const struct fg_jj_lexer *l, size_t at, const char *word, bool first)
{
    if (!looking_at(l, at, "{%"))
        return 0;
    at += 2;
    at += at < l->n && (l->p[at] == '-' || l->p[at] == '+');
    at = skip_space(l, at);
    if (!looking_at(l, at, word))
        return 0;
    at = skip_space(l, at + strlen(word));
    if (!first)
        return tag_end(l, at, "%}");
    if (looking_at(l, at, "-%}"))
        return skip_space(l, at + 3);
    return looking_at(l, at, "%}") ? at + 2 : 0;
}

/* Where data ends that a tag at `tag` follows: what the tag's sign, or lstrip_blocks, strips. */
static size_t data_end(const struct fg_jj_lexer *l, size_t tag)
{
    char sign = tag + 2 < l->n ? l->p[tag + 2] : '\0';
    size_t line = tag, end;

    if (sign == '-')
        return strip_space(l, l->at, tag);
    if (sign == '+' || l->p[tag + 1] == '{')
        return tag;
    while (line > l->at && l->p[line - 1] != '\n')
        line--;
    if (line == l->at && !l->line_starting)
        return tag;
    end = strip_space(l, line, tag);
    return end == line ? line : tag;
}

static size_t find_tag(const struct fg_jj_lexer *l, size_t at)
{
    for (; at + 1 < l->n; at++) {
        const char *brace = memchr(l->p + at, '{', l->n - 1 - at);

        if (!brace)
            return l->n;
        at = (size_t)(brace - l->p);
        if (strchr("%#{", brace[1]) && brace[1])
            return at;
    }
    return l->n;
}

/* Data up to `end`, before a tag at `tag`. */
static bool take_data(struct fg_jj_lexer *l, size_t end, size_t tag, struct fg_jj_token *t)
{
    *t = token(l, FG_JJ_T_DATA);
    if (end > l->at)
        t->value = fg_jj_of_str(fg_jj_str(l->j, l->p + l->at, end - l->at, 0));
    advance(l, tag);
    return t->value.kind == FG_JJ_STR;
}

static void skip_comment(struct fg_jj_lexer *l)
{
    size_t at = l->at + 2, end = 0;

    at += at < l->n && (l->p[at] == '-' || l->p[at] == '+');
    for (; at < l->n && !end; at++)
        end = tag_end(l, at, "#}");
    if (!end)
        fail(l, "a comment does not end");
    matched(l, end);
}

/* At a tag: a token that begins it, or false where it was no token. */
static bool begin_tag(struct fg_jj_lexer *l, struct fg_jj_token *t)
{
    size_t raw = word_tag(l, l->at, "raw", true), to = l->at + 2;

    if (raw) {
        matched(l, raw);
        l->state = FG_JJ_LEX_RAW;
        return false;
    }
    if (l->p[l->at + 1] == '#') {
        skip_comment(l);
        return false;
    }
    l->state = l->p[l->at + 1] == '%' ? FG_JJ_LEX_BLOCK : FG_JJ_LEX_VARIABLE;
    *t = token(l, l->state == FG_JJ_LEX_BLOCK ? FG_JJ_T_BLOCK_BEGIN : FG_JJ_T_VARIABLE_BEGIN);
    matched(l, to + (to < l->n && (l->p[to] == '-' || l->p[to] == '+')));
    return true;
}

/* Raw text up to its end tag. */
static bool lex_raw(struct fg_jj_lexer *l, struct fg_jj_token *t)
{
    size_t tag = l->at, end;
    bool some;

    while (tag < l->n && !word_tag(l, tag, "endraw", false))
        tag++;
    if (tag == l->n)
        fail(l, "a raw block does not end");
    end = word_tag(l, tag, "endraw", false);
    some = take_data(l, data_end(l, tag), tag, t);
    matched(l, end);
    l->state = FG_JJ_LEX_ROOT;
    return some;
}

/* One step outside of tags; false where it gave no token. */
static bool lex_root(struct fg_jj_lexer *l, struct fg_jj_token *t)
{
    size_t tag;

    if (l->at == l->n) {
        *t = token(l, FG_JJ_T_END);
        return true;
    }
    tag = find_tag(l, l->at);
    if (tag == l->at)
        return begin_tag(l, t);
    return take_data(l, tag < l->n ? data_end(l, tag) : tag, tag, t);
}

static void bracket(struct fg_jj_lexer *l, char c)
{
    static const char open[] = "([{", close[] = ")]}";
    const char *found = strchr(close, c);
    char what[64];

    if (strchr(open, c)) {
        if (l->n_brackets == sizeof l->brackets)
            fg_jj_fail(l->j, FG_JINJA_LIMIT, "too many open brackets");
        l->brackets[l->n_brackets++] = close[strchr(open, c) - open];
        return;
    }
    if (!found)
        return;
    if (!l->n_brackets)
        snprintf(what, sizeof what, "unexpected '%c'", c);
    else if (l->brackets[l->n_brackets - 1] != c)
        snprintf(what, sizeof what, "unexpected '%c', expected '%c'", c,
                 l->brackets[l->n_brackets - 1]);
    else {
        l->n_brackets--;
        return;
    }
    fail(l, what);
}

static size_t end_of_tag(const struct fg_jj_lexer *l)
{
    if (l->n_brackets)
        return 0;
    if (l->state == FG_JJ_LEX_BLOCK)
        return tag_end(l, l->at, "%}");
    if (looking_at(l, l->at, "}}"))
        return l->at + 2;
    return looking_at(l, l->at, "-}}") ? skip_space(l, l->at + 3) : 0;
}

static struct fg_jj_token lex_operator(struct fg_jj_lexer *l)
{
    char what[64];

    for (size_t i = 0; i < sizeof operators / sizeof operators[0]; i++) {
        if (looking_at(l, l->at, operators[i].text)) {
            struct fg_jj_token t = token(l, (enum fg_jj_token_kind)operators[i].kind);

            bracket(l, operators[i].text[0]);
            matched(l, l->at + strlen(operators[i].text));
            return t;
        }
    }
    snprintf(what, sizeof what, "unexpected character '%.*s'",
             (int)fg_utf8_length(l->p + l->at, l->n - l->at), l->p + l->at);
    fail(l, what);
}

/* Inside a tag. */
static struct fg_jj_token lex_tag(struct fg_jj_lexer *l)
{
    struct fg_jj_token t;
    size_t end;

    for (;;) {
        if (l->at == l->n)
            return token(l, FG_JJ_T_END);
        end = end_of_tag(l);
        if (end) {
            t = token(l, l->state == FG_JJ_LEX_BLOCK ? FG_JJ_T_BLOCK_END : FG_JJ_T_VARIABLE_END);
            matched(l, end);
            l->state = FG_JJ_LEX_ROOT;
            return t;
        }
        end = skip_space(l, l->at);
        if (end == l->at)
            break;
        matched(l, end);
    }
    t = token(l, FG_JJ_T_END);
    l->j->line = l->line;
    l->j->column = l->column;
    end = fg_jj_lex_value(l->j, &(struct fg_jj_str){.p = l->p, .n = l->n}, l->at, &t);
    if (!end)
        return lex_operator(l);
    matched(l, end);
    return t;
}

struct fg_jj_token fg_jj_lex(struct fg_jj_lexer *l)
{
    struct fg_jj_token t;

    for (;;) {
        fg_jj_spend(l->j, 1);
        if (l->state == FG_JJ_LEX_BLOCK || l->state == FG_JJ_LEX_VARIABLE)
            return lex_tag(l);
        if (l->state == FG_JJ_LEX_RAW ? lex_raw(l, &t) : lex_root(l, &t))
            return t;
    }
}

const char *fg_jj_token_name(const struct fg_jj_token *t, char buf[80])
{
    static const char *const names[] = {
        [FG_JJ_T_END] = "end of template",
        [FG_JJ_T_DATA] = "template data / text",
        [FG_JJ_T_BLOCK_BEGIN] = "begin of statement block",
        [FG_JJ_T_BLOCK_END] = "end of statement block",
        [FG_JJ_T_VARIABLE_BEGIN] = "begin of print statement",
        [FG_JJ_T_VARIABLE_END] = "end of print statement",
        [FG_JJ_T_STRING] = "string",
        [FG_JJ_T_INTEGER] = "integer",
        [FG_JJ_T_FLOAT] = "float",
    };

    if (t->kind == FG_JJ_T_NAME && t->value.kind == FG_JJ_STR) {
        snprintf(buf, 80, "%.*s", (int)t->value.s->n, t->value.s->p);
        return buf;
    }
    if (t->kind == FG_JJ_T_NAME)
        return "name";
    for (size_t i = 0; i < sizeof operators / sizeof operators[0]; i++) {
        if (operators[i].kind == t->kind)
            return operators[i].text;
    }
    return names[t->kind];
}
