/* Expressions to states: what can never end is left out, rules that call themselves before a byte
 * are refused, the rest is numbered from the end of each rule to its beginning. */
#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "grammar.h"

/* What is known of a node. */
enum { ENDS = 1 /* some text matches it */, NULLABLE = 2 /* the empty one does */ };

struct compiler {
    const struct fg_exprs *x;
    uint8_t *known;    /* a node's bits */
    uint32_t *parents; /* of node i: parents[first[i] .. first[i + 1]) */
    uint32_t *first;
    uint32_t *starts; /* of the rules: states; 0: not numbered yet */
    struct fg_grammar *g;
    size_t cap_states;
    int error;
};

/* The nodes whose bits may follow from those of node i's: its children, or the rule's body. */
static unsigned children(const struct compiler *c, size_t i, uint32_t out[2])
{
    const struct fg_expr_node *node = &c->x->nodes[i];

    switch (node->kind) {
    case FG_EXPR_KIND_SEQ:
    case FG_EXPR_KIND_ALT:
        out[0] = node->left;
        out[1] = node->right;
        return 2;
    case FG_EXPR_KIND_REPEAT: out[0] = node->left; return 1;
    case FG_EXPR_KIND_RULE: out[0] = c->x->rules[node->left]; return 1;
    default: return 0;
    }
}

static int find_parents(struct compiler *c)
{
    size_t n = c->x->n, total = 0;
    uint32_t child[2];

    c->first = calloc(n + 2, sizeof *c->first);
    if (!c->first)
        return FG_ENOMEM;
    for (size_t i = 0; i < n; i++)
        for (unsigned k = children(c, i, child); k-- > 0; total++)
            c->first[child[k] + 2]++;
    for (size_t i = 2; i < n + 2; i++)
        c->first[i] += c->first[i - 1];
    c->parents = calloc(total + 1, sizeof *c->parents);
    if (!c->parents)
        return FG_ENOMEM;
    for (size_t i = 0; i < n; i++)
        for (unsigned k = children(c, i, child); k-- > 0;)
            c->parents[c->first[child[k] + 1]++] = (uint32_t)i;
    return 0;
}

static uint8_t judge(const struct compiler *c, size_t i)
{
    const struct fg_expr_node *node = &c->x->nodes[i];
    const uint8_t *known = c->known;

    switch (node->kind) {
    case FG_EXPR_KIND_EMPTY: return ENDS | NULLABLE;
    case FG_EXPR_KIND_BYTE: return ENDS;
    case FG_EXPR_KIND_SEQ: return known[node->left] & known[node->right];
    case FG_EXPR_KIND_ALT: return known[node->left] | known[node->right];
    case FG_EXPR_KIND_REPEAT: return node->least ? known[node->left] : ENDS | NULLABLE;
    case FG_EXPR_KIND_RULE: return known[c->x->rules[node->left]];
    default: return 0;
    }
}

/* Bits are only ever added: each time, a node's parents are judged again. */
static int find_known(struct compiler *c)
{
    size_t n = c->x->n, n_todo = 0;
    uint32_t *todo = malloc((3 * n + 1) * sizeof *todo);

    c->known = calloc(n + 1, 1);
    if (!todo || !c->known) {
        free(todo);
        return FG_ENOMEM;
    }
    for (size_t i = 0; i < n; i++) {
        c->known[i] = judge(c, i);
        if (c->known[i])
            todo[n_todo++] = (uint32_t)i;
    }
    while (n_todo) {
        uint32_t at = todo[--n_todo];

        for (uint32_t p = c->first[at]; p < c->first[at + 1]; p++) {
            uint32_t parent = c->parents[p];
            uint8_t now = judge(c, parent);

            if (now == c->known[parent])
                continue;
            c->known[parent] = now;
            todo[n_todo++] = parent;
        }
    }
    free(todo);
    return 0;
}

/* Nodes that may be where node i begins. */
static unsigned leftmost(const struct compiler *c, uint32_t i, uint32_t out[2])
{
    const struct fg_expr_node *node = &c->x->nodes[i];
    unsigned n;

    if (!(c->known[i] & ENDS))
        return 0;
    n = children(c, i, out);
    return node->kind == FG_EXPR_KIND_SEQ && !(c->known[node->left] & NULLABLE) ? 1 : n;
}

/* Is there a circle of nodes, each the beginning of the one before? */
static int find_circle(const struct compiler *c, struct fg_err *err)
{
    enum { NEW, ON_THE_WAY, SEEN };
    size_t n = c->x->n;
    uint8_t *mark = calloc(n, 1);
    uint32_t *way = malloc(2 * n * sizeof *way);
    int rc = mark && way ? 0 : FG_ENOMEM;

    for (size_t i = 0; rc == 0 && i < n; i++) {
        size_t depth = 0;

        if (mark[i] == NEW)
            way[depth++] = (uint32_t)i;
        while (depth && rc == 0) {
            uint32_t at = way[depth - 1], child[2];
            unsigned k = leftmost(c, at, child);
            bool deeper = false;

            mark[at] = ON_THE_WAY;
            while (k-- > 0 && rc == 0) {
                if (mark[child[k]] == ON_THE_WAY)
                    rc = FG_EINVAL;
                deeper = mark[child[k]] == NEW;
                if (deeper) {
                    way[depth++] = child[k];
                    break;
                }
            }
            if (!deeper) {
                mark[at] = SEEN;
                depth--;
            }
        }
    }
    free(mark);
    free(way);
    return rc == FG_EINVAL ? fg_fail(err, rc, "a rule calls itself before it has taken a character")
                           : rc;
}

static uint32_t add_state(struct compiler *c, struct fg_state s)
{
    struct fg_grammar *g = c->g;

    if (c->error)
        return 0;
    if (g->n_states >= FG_GRAMMAR_MAX_STATES)
        c->error = FG_EFULL;
    else if (!fg_grow((void **)&g->states, &c->cap_states, g->n_states + 1, sizeof *g->states))
        c->error = FG_ENOMEM;
    if (c->error)
        return 0;
    g->states[g->n_states] = s;
    return (uint32_t)g->n_states++;
}

static uint32_t split(struct compiler *c, uint32_t a, uint32_t b)
{
    return add_state(c, (struct fg_state){.kind = FG_STATE_SPLIT, .next = a, .other = b});
}

static uint32_t number(struct compiler *c, fg_expr e, uint32_t next);

static uint32_t number_repeat(struct compiler *c, const struct fg_expr_node *node, uint32_t next)
{
    uint32_t at = next, end = next;

    if (node->most == FG_EXPR_ANY_NUMBER) {
        at = split(c, next, next);
        end = number(c, node->left, at);
        if (!c->error)
            c->g->states[at].other = end;
    } else {
        for (uint32_t i = node->least; i < node->most && !c->error; i++)
            at = split(c, end, number(c, node->left, at));
    }
    for (uint32_t i = 0; i < node->least && !c->error; i++)
        at = number(c, node->left, at);
    return at;
}

/* The state in which e begins, where `next` is what follows it. Chains go to the left. */
static uint32_t number(struct compiler *c, fg_expr e, uint32_t next)
{
    const struct fg_expr_node *node = &c->x->nodes[e];
    uint32_t end = next, others = 0;
    bool more = false; /* alternatives, in `others` */

    for (; !c->error; node = &c->x->nodes[e]) {
        uint32_t at = 0;

        if (node->kind == FG_EXPR_KIND_ALT && !(c->known[node->right] & ENDS)) {
            e = node->left;
            continue;
        }
        if (node->kind == FG_EXPR_KIND_ALT && next == end) {
            at = number(c, node->right, next);
            others = more ? split(c, at, others) : at;
            more = true;
            e = node->left;
            continue;
        }
        if (node->kind == FG_EXPR_KIND_SEQ && (c->known[e] & ENDS)) {
            next = number(c, node->right, next);
            e = node->left;
            if (c->x->nodes[e].kind != FG_EXPR_KIND_ALT)
                continue;
            at = number(c, e, next);
            return more ? split(c, at, others) : at;
        }
        if (!(c->known[e] & ENDS))
            return more ? others : 0;
        if (node->kind == FG_EXPR_KIND_EMPTY)
            at = next;
        else if (node->kind == FG_EXPR_KIND_BYTE)
            at = add_state(c, (struct fg_state){FG_STATE_BYTE, node->low, node->high, next, 0});
        else if (node->kind == FG_EXPR_KIND_RULE)
            at = add_state(c, (struct fg_state){FG_STATE_CALL, 0, 0, next, node->left});
        else if (node->kind == FG_EXPR_KIND_REPEAT)
            at = number_repeat(c, node, next);
        return more ? split(c, at, others) : at;
    }
    return 0;
}

/* Bytes that every state takes or leaves together. */
static void classify(struct fg_grammar *g)
{
    bool begins[257] = {true};
    uint32_t n = 0;

    for (size_t i = 0; i < g->n_states; i++)
        if (g->states[i].kind == FG_STATE_BYTE)
            begins[g->states[i].low] = begins[g->states[i].high + 1] = true;
    for (size_t b = 0; b < 256; b++) {
        n += begins[b];
        g->classes[b] = (uint8_t)(n - 1);
    }
    g->n_classes = n;
}

static int build(struct compiler *c, uint32_t root)
{
    const struct fg_exprs *x = c->x;

    c->g = calloc(1, sizeof *c->g);
    c->starts = calloc(x->n_rules + 1, sizeof *c->starts);
    if (!c->g || !c->starts)
        return FG_ENOMEM;
    add_state(c, (struct fg_state){.kind = FG_STATE_FAIL});
    add_state(c, (struct fg_state){.kind = FG_STATE_RETURN});
    for (size_t i = 0; i < x->n_rules; i++)
        c->starts[i] = number(c, x->rules[i], 1);
    if (c->error)
        return c->error;
    for (size_t i = 0; i < c->g->n_states; i++)
        if (c->g->states[i].kind == FG_STATE_CALL)
            c->g->states[i].other = c->starts[c->g->states[i].other];
    c->g->start = c->starts[root];
    classify(c->g);
    return 0;
}

int fg_grammar_compile(const struct fg_exprs *x, uint32_t root, struct fg_grammar **out,
                       struct fg_err *err)
{
    struct compiler c = {.x = x};
    int rc = x->error;

    *out = NULL;
    if (rc == 0)
        rc = find_parents(&c);
    if (rc == 0)
        rc = find_known(&c);
    if (rc == 0 && !(c.known[x->rules[root]] & ENDS))
        rc = fg_fail(err, FG_EINVAL, "no text can match");
    if (rc == 0)
        rc = find_circle(&c, err);
    if (rc == 0)
        rc = build(&c, root);
    if (rc == FG_ENOMEM)
        fg_fail(err, rc, "no memory for a grammar");
    if (rc == FG_EFULL)
        fg_fail(err, rc, "the grammar is too large, or a count in it is");
    if (rc)
        fg_grammar_destroy(c.g);
    else
        *out = c.g;
    free(c.known);
    free(c.parents);
    free(c.first);
    free(c.starts);
    return rc;
}

void fg_grammar_destroy(struct fg_grammar *g)
{
    if (!g)
        return;
    free(g->states);
    free(g);
}
