/* The text of a template as a tree: Jinja's parser. Raises FG_JINJA_SYNTAX. */
#ifndef JJ_PARSE_H
#define JJ_PARSE_H

#include "ast.h"
#include "lex.h"

struct jj_parser {
    struct jj *j;
    struct fg_jinja_program *program;
    struct jj_lexer lexer;
    struct jj_token now, next;
    bool has_next; /* `next` was read */
    /* Filters and tests that there are none of: an error but in a branch, which may never run. */
    const struct jj_node *unknown, *unknown_for_sure;
    bool varargs, kwargs, caller; /* names that were spoken of since these were reset */
    bool loop_assigned;           /* to `loop`, since this was reset */
    unsigned loops;               /* around here, inside the same macro */
};

/* Fills program->body. */
void jj_parse(struct jj *j, struct fg_jinja_program *program, const char *text, size_t n);

/* --- shared by parse_*.c --- */
_Noreturn void jj_parse_fail(struct jj_parser *p, const char *what); /* at the current token */
_Noreturn void jj_parse_unexpected(struct jj_parser *p, const char *expected);
struct jj_token jj_parse_next(struct jj_parser *p); /* takes the current token */
const struct jj_token *jj_parse_peek(struct jj_parser *p);
bool jj_parse_at_word(struct jj_parser *p, const char *word);
bool jj_parse_skip_word(struct jj_parser *p, const char *word);
bool jj_parse_skip(struct jj_parser *p, enum jj_token_kind kind);
struct jj_token jj_parse_expect(struct jj_parser *p, enum jj_token_kind kind, const char *name);
struct jj_node *jj_parse_node(struct jj_parser *p, enum jj_op op); /* at the current token */
void jj_parse_add(struct jj_parser *p, struct jj_node *to, struct jj_node *node);
const struct jj_name *jj_parse_name(struct jj_parser *p, const struct jj_str *text);

enum {
    JJ_P_CONDITIONS = 1, /* a if b else c is read */
    JJ_P_PARENTHESES = 2,
    JJ_P_TARGET = 4,    /* only names, literals and their tuples */
    JJ_P_NAMESPACE = 8, /* of targets: a.b too */
};
struct jj_node *jj_parse_tuple(struct jj_parser *p, unsigned how);
struct jj_node *jj_parse_expression(struct jj_parser *p, bool conditions);
struct jj_node *jj_parse_primary(struct jj_parser *p, unsigned how);
struct jj_node *jj_parse_postfix(struct jj_parser *p, struct jj_node *node);
/* Filters: behind the first `|` with `inside`, otherwise at one. */
struct jj_node *jj_parse_filters(struct jj_parser *p, struct jj_node *node, bool inside);
struct jj_node *jj_parse_filter_expression(struct jj_parser *p, struct jj_node *node);
const struct jj_call_args *jj_parse_call_args(struct jj_parser *p);
struct jj_node *jj_parse_target(struct jj_parser *p, unsigned how);

/* Statements until one of the words, which stays the current token. */
struct jj_node *jj_parse_body(struct jj_parser *p, const char *const *ends);

#endif
