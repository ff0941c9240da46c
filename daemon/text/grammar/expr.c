#include "expr.h"

#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"

static fg_expr add(struct fg_exprs *x, struct fg_expr_node node)
{
    if (x->error)
        return FG_EXPR_NEVER;
    if (x->n >= FG_EXPR_MAX_NODES)
        x->error = FG_EFULL;
    else if (!fg_grow((void **)&x->nodes, &x->cap, x->n + 1, sizeof *x->nodes))
        x->error = FG_ENOMEM;
    if (x->error)
        return FG_EXPR_NEVER;
    x->nodes[x->n] = node;
    return (fg_expr)x->n++;
}

void fg_exprs_init(struct fg_exprs *x)
{
    *x = (struct fg_exprs){0};
    add(x, (struct fg_expr_node){.kind = FG_EXPR_KIND_NEVER});
    add(x, (struct fg_expr_node){.kind = FG_EXPR_KIND_EMPTY});
}

void fg_exprs_finish(struct fg_exprs *x)
{
    free(x->nodes);
    free(x->rules);
    *x = (struct fg_exprs){0};
}

fg_expr fg_expr_byte(struct fg_exprs *x, uint8_t low, uint8_t high)
{
    return add(x, (struct fg_expr_node){.kind = FG_EXPR_KIND_BYTE, .low = low, .high = high});
}

fg_expr fg_expr_text(struct fg_exprs *x, struct fg_str bytes)
{
    fg_expr all = FG_EXPR_EMPTY;

    for (size_t i = 0; i < bytes.n; i++) {
        uint8_t byte = (uint8_t)bytes.p[i];

        all = fg_expr_seq(x, all, fg_expr_byte(x, byte, byte));
    }
    return all;
}

fg_expr fg_expr_literal(struct fg_exprs *x, const char *text)
{
    return fg_expr_text(x, (struct fg_str){text, strlen(text)});
}

fg_expr fg_expr_seq(struct fg_exprs *x, fg_expr a, fg_expr b)
{
    if (a == FG_EXPR_NEVER || b == FG_EXPR_NEVER)
        return FG_EXPR_NEVER;
    if (a == FG_EXPR_EMPTY)
        return b;
    if (b == FG_EXPR_EMPTY)
        return a;
    return add(x, (struct fg_expr_node){.kind = FG_EXPR_KIND_SEQ, .left = a, .right = b});
}

fg_expr fg_expr_alt(struct fg_exprs *x, fg_expr a, fg_expr b)
{
    if (a == FG_EXPR_NEVER || a == b)
        return b;
    if (b == FG_EXPR_NEVER)
        return a;
    return add(x, (struct fg_expr_node){.kind = FG_EXPR_KIND_ALT, .left = a, .right = b});
}

fg_expr fg_expr_optional(struct fg_exprs *x, fg_expr a)
{
    return fg_expr_alt(x, a, FG_EXPR_EMPTY);
}

/* What is repeated often is compiled once, as a rule. */
static fg_expr once(struct fg_exprs *x, fg_expr a)
{
    uint32_t rule;

    if (x->error || x->nodes[a].kind == FG_EXPR_KIND_BYTE || x->nodes[a].kind == FG_EXPR_KIND_RULE)
        return a;
    rule = fg_expr_new_rule(x);
    fg_expr_set_rule(x, rule, a);
    return fg_expr_rule(x, rule);
}

fg_expr fg_expr_repeat(struct fg_exprs *x, fg_expr a, uint32_t least, uint32_t most)
{
    bool endless = most == FG_EXPR_ANY_NUMBER;

    if (least > most)
        return FG_EXPR_NEVER;
    if (a == FG_EXPR_NEVER)
        return least ? FG_EXPR_NEVER : FG_EXPR_EMPTY;
    if (a == FG_EXPR_EMPTY || most == 0)
        return FG_EXPR_EMPTY;
    if (least == 1 && most == 1)
        return a;
    if (least > FG_EXPR_MAX_REPEAT || (!endless && most > FG_EXPR_MAX_REPEAT)) {
        if (!x->error)
            x->error = FG_EFULL;
        return FG_EXPR_NEVER;
    }
    if (least > 1 || (!endless && most > 1))
        a = once(x, a);
    return add(x, (struct fg_expr_node){
                      .kind = FG_EXPR_KIND_REPEAT, .left = a, .least = least, .most = most});
}

uint32_t fg_expr_new_rule(struct fg_exprs *x)
{
    if (x->error)
        return 0;
    if (!fg_grow((void **)&x->rules, &x->cap_rules, x->n_rules + 1, sizeof *x->rules)) {
        x->error = FG_ENOMEM;
        return 0;
    }
    x->rules[x->n_rules] = FG_EXPR_NEVER;
    return (uint32_t)x->n_rules++;
}

void fg_expr_set_rule(struct fg_exprs *x, uint32_t rule, fg_expr body)
{
    if (!x->error)
        x->rules[rule] = body;
}

fg_expr fg_expr_rule(struct fg_exprs *x, uint32_t rule)
{
    return add(x, (struct fg_expr_node){.kind = FG_EXPR_KIND_RULE, .left = rule});
}

/* --- code points as UTF-8 --- */

static size_t encode(uint32_t c, uint8_t out[4])
{
    if (c < 0x80) {
        out[0] = (uint8_t)c;
        return 1;
    }
    if (c < 0x800) {
        out[0] = (uint8_t)(0xc0 | c >> 6);
        out[1] = (uint8_t)(0x80 | (c & 0x3f));
        return 2;
    }
    if (c < 0x10000) {
        out[0] = (uint8_t)(0xe0 | c >> 12);
        out[1] = (uint8_t)(0x80 | (c >> 6 & 0x3f));
        out[2] = (uint8_t)(0x80 | (c & 0x3f));
        return 3;
    }
    out[0] = (uint8_t)(0xf0 | c >> 18);
    out[1] = (uint8_t)(0x80 | (c >> 12 & 0x3f));
    out[2] = (uint8_t)(0x80 | (c >> 6 & 0x3f));
    out[3] = (uint8_t)(0x80 | (c & 0x3f));
    return 4;
}

/* Sequences of n bytes from a to b, as numbers, where all but the first bytes are 80..BF. */
static fg_expr between(struct fg_exprs *x, const uint8_t *a, const uint8_t *b, size_t n)
{
    static const uint8_t lowest[3] = {0x80, 0x80, 0x80}, highest[3] = {0xbf, 0xbf, 0xbf};
    uint8_t low = a[0], high = b[0];
    fg_expr all = FG_EXPR_NEVER;

    if (n == 1)
        return fg_expr_byte(x, low, high);
    if (low == high)
        return fg_expr_seq(x, fg_expr_byte(x, low, low), between(x, a + 1, b + 1, n - 1));
    if (memcmp(a + 1, lowest, n - 1) != 0) {
        all = fg_expr_seq(x, fg_expr_byte(x, low, low), between(x, a + 1, highest, n - 1));
        low++;
    }
    if (memcmp(b + 1, highest, n - 1) != 0) {
        all = fg_expr_alt(
            x, all, fg_expr_seq(x, fg_expr_byte(x, high, high), between(x, lowest, b + 1, n - 1)));
        high--;
    }
    if (low <= high)
        all = fg_expr_alt(
            x, all, fg_expr_seq(x, fg_expr_byte(x, low, high), between(x, lowest, highest, n - 1)));
    return all;
}

fg_expr fg_expr_code_points(struct fg_exprs *x, uint32_t first, uint32_t last)
{
    /* Those of one length, without surrogates. */
    static const uint32_t parts[][2] = {
        {0, 0x7f}, {0x80, 0x7ff}, {0x800, 0xd7ff}, {0xe000, 0xffff}, {0x10000, 0x10ffff}};
    fg_expr all = FG_EXPR_NEVER;

    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        uint32_t low = first > parts[i][0] ? first : parts[i][0];
        uint32_t high = last < parts[i][1] ? last : parts[i][1];
        uint8_t a[4], b[4];
        size_t n;

        if (low > high)
            continue;
        n = encode(low, a);
        encode(high, b);
        all = fg_expr_alt(x, all, between(x, a, b, n));
    }
    return all;
}
