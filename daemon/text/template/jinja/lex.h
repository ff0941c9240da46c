/* The text of a template as tokens, one after another: Jinja's lexer with trim_blocks and
 * lstrip_blocks. */
#ifndef JJ_LEX_H
#define JJ_LEX_H

#include "value.h"

enum jj_token_kind {
    JJ_T_END,
    JJ_T_DATA,
    JJ_T_BLOCK_BEGIN,
    JJ_T_BLOCK_END,
    JJ_T_VARIABLE_BEGIN,
    JJ_T_VARIABLE_END,
    JJ_T_NAME,
    JJ_T_STRING,
    JJ_T_INTEGER,
    JJ_T_FLOAT,
    JJ_T_ADD,
    JJ_T_SUB,
    JJ_T_MUL,
    JJ_T_DIV,
    JJ_T_FLOORDIV,
    JJ_T_MOD,
    JJ_T_POW,
    JJ_T_TILDE,
    JJ_T_LBRACKET,
    JJ_T_RBRACKET,
    JJ_T_LPAREN,
    JJ_T_RPAREN,
    JJ_T_LBRACE,
    JJ_T_RBRACE,
    JJ_T_EQ,
    JJ_T_NE,
    JJ_T_GT,
    JJ_T_GE,
    JJ_T_LT,
    JJ_T_LE,
    JJ_T_ASSIGN,
    JJ_T_DOT,
    JJ_T_COLON,
    JJ_T_PIPE,
    JJ_T_COMMA,
    JJ_T_SEMICOLON,
};

struct jj_token {
    enum jj_token_kind kind;
    uint32_t line, column;
    struct jj_value value; /* of names, strings and data: text; of numbers: the number */
};

struct jj_lexer {
    struct jj *j;
    const char *p;
    size_t n, at;
    uint32_t line, column; /* of `at` */
    enum { JJ_LEX_ROOT, JJ_LEX_BLOCK, JJ_LEX_VARIABLE, JJ_LEX_RAW } state;
    bool line_starting; /* what was matched last ended a line */
    char brackets[256]; /* open in this tag */
    size_t n_brackets;
};

/* text[n] is kept until the program is gone: data and strings point into it. Line ends are '\n' and
 * the last one is left out already (jj_lex_normalize). */
void jj_lex_init(struct jj_lexer *l, struct jj *j, const char *text, size_t n);
/* A copy of the text with such line ends. */
char *jj_lex_normalize(struct jj *j, struct fg_str text, size_t *n);
/* The next token, which a JJ_T_END ends; raises FG_JINJA_SYNTAX. */
struct jj_token jj_lex(struct jj_lexer *l);
/* How an error names a token. */
const char *jj_token_name(const struct jj_token *t, char buf[80]);

#endif
