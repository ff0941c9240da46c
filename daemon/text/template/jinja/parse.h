/* The text of a template as a tree: Jinja's parser. Raises FG_JINJA_SYNTAX. */
#ifndef FG_JJ_PARSE_H
#define FG_JJ_PARSE_H

#include "ast.h"
#include "lex.h"

struct fg_jj_parser {
    struct fg_jj *j;
    struct fg_jinja_program *program;
    struct fg_jj_lexer lexer;
    struct fg_jj_token now, next;
    bool has_next; /* `next` was read */
    /* Filters and tests that there are none of: an error but in a branch, which may never run. */
    const struct fg_jj_node *unknown, *unknown_for_sure;
    bool varargs, kwargs, caller; /* names that were spoken of since these were reset */
    bool loop_assigned;           /* to `loop`, since this was reset */
    unsigned loops;               /* around here, inside the same macro */
};

/* Fills program->body. */
void fg_jj_parse(struct fg_jj *j, struct fg_jinja_program *program, const char *text, size_t n);

/* --- shared by parse_*.c --- */
_Noreturn void fg_jj_parse_fail(struct fg_jj_parser *p,
                                const char *what); /* at the current token */
_Noreturn void fg_jj_parse_unexpected(struct fg_jj_parser *p, const char *expected);
struct fg_jj_token fg_jj_parse_next(struct fg_jj_parser *p); /* takes the current token */
const struct fg_jj_token *fg_jj_parse_peek(struct fg_jj_parser *p);
bool fg_jj_parse_at_word(struct fg_jj_parser *p, const char *word);
bool fg_jj_parse_skip_word(struct fg_jj_parser *p, const char *word);
bool fg_jj_parse_skip(struct fg_jj_parser *p, enum fg_jj_token_kind kind);
struct fg_jj_token fg_jj_parse_expect(struct fg_jj_parser *p, enum fg_jj_token_kind kind,
                                      const char *name);
struct fg_jj_node *fg_jj_parse_node(struct fg_jj_parser *p,
                                    enum fg_jj_op op); /* at the current token */
void fg_jj_parse_add(struct fg_jj_parser *p, struct fg_jj_node *to, struct fg_jj_node *node);
const struct fg_jj_name *fg_jj_parse_name(struct fg_jj_parser *p, const struct fg_jj_str *text);

enum {
    FG_JJ_P_CONDITIONS = 1, /* a if b else c is read */
    FG_JJ_P_PARENTHESES = 2,
    FG_JJ_P_TARGET = 4,    /* only names, literals and their tuples */
    FG_JJ_P_NAMESPACE = 8, /* of targets: a.b too */
};
struct fg_jj_node *fg_jj_parse_tuple(struct fg_jj_parser *p, unsigned how);
struct fg_jj_node *fg_jj_parse_expression(struct fg_jj_parser *p, bool conditions);
struct fg_jj_node *fg_jj_parse_primary(struct fg_jj_parser *p, unsigned how);
struct fg_jj_node *fg_jj_parse_postfix(struct fg_jj_parser *p, struct fg_jj_node *node);
/* Filters: behind the first `|` with `inside`, otherwise at one. */
struct fg_jj_node *fg_jj_parse_filters(struct fg_jj_parser *p, struct fg_jj_node *node,
                                       bool inside);
struct fg_jj_node *fg_jj_parse_filter_expression(struct fg_jj_parser *p, struct fg_jj_node *node);

/* Statements until one of the words, which stays the current token. */
struct fg_jj_node *fg_jj_parse_body(struct fg_jj_parser *p, const char *const *ends);

#endif
