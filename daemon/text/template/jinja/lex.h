/* The text of a template as tokens, one after another: Jinja's lexer with trim_blocks and
 * lstrip_blocks. */
#ifndef FG_JJ_LEX_H
#define FG_JJ_LEX_H

#include "value.h"

enum fg_jj_token_kind {
    FG_JJ_T_END,
    FG_JJ_T_DATA,
    FG_JJ_T_BLOCK_BEGIN,
    FG_JJ_T_BLOCK_END,
    FG_JJ_T_VARIABLE_BEGIN,
    FG_JJ_T_VARIABLE_END,
    FG_JJ_T_NAME,
    FG_JJ_T_STRING,
    FG_JJ_T_INTEGER,
    FG_JJ_T_FLOAT,
    FG_JJ_T_ADD,
    FG_JJ_T_SUB,
    FG_JJ_T_MUL,
    FG_JJ_T_DIV,
    FG_JJ_T_FLOORDIV,
    FG_JJ_T_MOD,
    FG_JJ_T_POW,
    FG_JJ_T_TILDE,
    FG_JJ_T_LBRACKET,
    FG_JJ_T_RBRACKET,
    FG_JJ_T_LPAREN,
    FG_JJ_T_RPAREN,
    FG_JJ_T_LBRACE,
    FG_JJ_T_RBRACE,
    FG_JJ_T_EQ,
    FG_JJ_T_NE,
    FG_JJ_T_GT,
    FG_JJ_T_GE,
    FG_JJ_T_LT,
    FG_JJ_T_LE,
    FG_JJ_T_ASSIGN,
    FG_JJ_T_DOT,
    FG_JJ_T_COLON,
    FG_JJ_T_PIPE,
    FG_JJ_T_COMMA,
    FG_JJ_T_SEMICOLON,
};

struct fg_jj_token {
    enum fg_jj_token_kind kind;
    uint32_t line, column;
    struct fg_jj_value value; /* of names, strings and data: text; of numbers: the number */
};

struct fg_jj_lexer {
    struct fg_jj *j;
    const char *p;
    size_t n, at;
    uint32_t line, column; /* of `at` */
    enum { FG_JJ_LEX_ROOT, FG_JJ_LEX_BLOCK, FG_JJ_LEX_VARIABLE, FG_JJ_LEX_RAW } state;
    bool line_starting; /* what was matched last ended a line */
    char brackets[256]; /* open in this tag */
    size_t n_brackets;
};

/* text[n] is kept until the program is gone: data and strings point into it. Line ends are '\n' and
 * the last one is left out already (fg_jj_lex_normalize). */
void fg_jj_lex_init(struct fg_jj_lexer *l, struct fg_jj *j, const char *text, size_t n);
/* A copy of the text with such line ends. */
char *fg_jj_lex_normalize(struct fg_jj *j, struct fg_str text, size_t *n);
/* The next token, which a FG_JJ_T_END ends; raises FG_JINJA_SYNTAX. */
struct fg_jj_token fg_jj_lex(struct fg_jj_lexer *l);
/* How an error names a token. */
const char *fg_jj_token_name(const struct fg_jj_token *t, char buf[80]);

#endif
