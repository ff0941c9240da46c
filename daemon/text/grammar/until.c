/* The words as a tree of characters. Where a text stands is the node of its longest end that begins
 * a word (Aho and Corasick, Communications of the ACM 18, 1975); each node becomes a rule. */
#include "until.h"

#include <stdlib.h>

#include "chars.h"

enum { MAX_NODES = 256, MARKS = FG_LAST_CHAR + 1 /* a mark's character is this and its byte */ };

struct node {
    uint32_t parent, c, depth, rule;
    bool ends;
    fg_expr then;
};

struct tree {
    struct node nodes[MAX_NODES];
    uint32_t n;
    uint32_t letters[MAX_NODES]; /* that the words have, each once */
    uint32_t n_letters;
};

/* The node behind `at` with that character; 0: there is none. */
static uint32_t child(const struct tree *t, uint32_t at, uint32_t c)
{
    for (uint32_t i = 1; i < t->n; i++)
        if (t->nodes[i].parent == at && t->nodes[i].c == c)
            return i;
    return 0;
}

static bool next_letter(struct fg_str word, size_t *at, uint32_t *c)
{
    if (fg_next_char(word, at, c))
        return true;
    *c = MARKS + (unsigned char)word.p[*at];
    return ++*at == 1 && word.n == 1;
}

static bool add_word(struct tree *t, struct fg_str word, fg_expr then)
{
    uint32_t at = 0, c;

    for (size_t i = 0; i < word.n;) {
        uint32_t to, k = 0;

        if (!next_letter(word, &i, &c))
            return false;
        to = child(t, at, c);
        if (!to && t->n == MAX_NODES)
            return false;
        if (!to) {
            to = t->n++;
            t->nodes[to] = (struct node){.parent = at, .c = c, .depth = t->nodes[at].depth + 1};
        }
        while (k < t->n_letters && t->letters[k] != c)
            k++;
        if (k == t->n_letters)
            t->letters[t->n_letters++] = c;
        at = to;
    }
    t->nodes[at].ends = true;
    t->nodes[at].then = then;
    return at != 0;
}

/* Where a text at node `at` stands with one more character. A word that ends inside of another one
 * is the end. */
static uint32_t step(const struct tree *t, uint32_t at, uint32_t c)
{
    uint32_t way[MAX_NODES], depth = t->nodes[at].depth, best = 0;

    for (uint32_t d = depth, i = at; d > 0; d--, i = t->nodes[i].parent)
        way[d - 1] = t->nodes[i].c;
    way[depth] = c;
    for (uint32_t from = 0; from <= depth; from++) {
        uint32_t to = 0;

        for (uint32_t i = from; i <= depth && (to || i == from); i++)
            to = child(t, to, way[i]);
        if (to && t->nodes[to].ends)
            return to;
        if (!best)
            best = to;
    }
    return best;
}

static fg_expr letter(struct fg_exprs *x, uint32_t c)
{
    if (c >= MARKS)
        return fg_expr_byte(x, (uint8_t)(c - MARKS), (uint8_t)(c - MARKS));
    return fg_expr_code_points(x, c, c);
}

static fg_expr body(struct fg_exprs *x, const struct tree *t, uint32_t at, const struct fg_until *u)
{
    struct fg_chars others = {.n = 0};
    fg_expr all = u->may_stop ? FG_EXPR_EMPTY : FG_EXPR_NEVER, back = t->nodes[0].rule, free_ones;

    for (uint32_t i = 0; i < t->n_letters; i++) {
        uint32_t c = t->letters[i], to = step(t, at, c);
        fg_expr then = FG_EXPR_NEVER;

        if (!to)
            continue; /* as any other */
        if (c < MARKS)
            fg_chars_add(&others, c, c);
        then = t->nodes[to].ends ? t->nodes[to].then : fg_expr_rule(x, t->nodes[to].rule);
        all = fg_expr_alt(x, all, fg_expr_seq(x, letter(x, c), then));
    }
    fg_chars_invert(&others, FG_LAST_CHAR);
    free_ones = fg_expr_chars(x, &others, FG_CHARS_PLAIN);
    for (const char *m = u->marks; m && *m; m++)
        free_ones = fg_expr_alt(x, free_ones, letter(x, MARKS + (unsigned char)*m));
    return fg_expr_alt(x, all, fg_expr_seq(x, free_ones, fg_expr_rule(x, back)));
}

int fg_expr_until(struct fg_exprs *x, uint32_t rule, struct fg_until *u, struct fg_err *err)
{
    struct tree *t = calloc(1, sizeof *t);
    bool ok = true;

    if (!t)
        return fg_fail(err, FG_ENOMEM, "no memory for a grammar");
    t->n = 1;
    t->nodes[0].rule = rule;
    for (size_t i = 0; i < u->n && ok; i++)
        ok = add_word(t, u->ends[i].word, u->ends[i].then);
    for (uint32_t i = 1; i < t->n && ok; i++)
        if (!t->nodes[i].ends)
            t->nodes[i].rule = fg_expr_new_rule(x);
    for (uint32_t i = 0; i < t->n && ok; i++)
        if (!t->nodes[i].ends)
            fg_expr_set_rule(x, t->nodes[i].rule, body(x, t, i, u));
    u->begun = t->nodes[t->n > 1].rule;
    free(t);
    return ok ? 0 : fg_fail(err, FG_EINVAL, "a word that ends a text is empty, or too long");
}
