#include "turn.h"

#include <string.h>

#include "text/tools/answer_tags.h"
#include "until.h"

/* As bytes of fg_turn_text(). */
#define CHANNEL "\1"
#define MESSAGE "\2"
#define START "\3"
#define END "\4"

struct fg_str fg_turn_tag(const struct fg_turn *turn, size_t i, char mark[1])
{
    const char *text = fg_answer_form_tag(turn->form, i);

    mark[0] = (char)(FG_FIRST_MARK + (int)i);
    if (turn->form->control >> i & 1)
        return (struct fg_str){mark, 1};
    return text ? (struct fg_str){text, strlen(text)} : (struct fg_str){"", 0};
}

fg_expr fg_turn_text(struct fg_exprs *x, const struct fg_turn *turn, const char *text)
{
    fg_expr all = FG_EXPR_EMPTY;

    for (; *text; text++) {
        char mark[1];
        struct fg_str piece = {text, 1};

        if (*text >= 1 && *text <= 8)
            piece = fg_turn_tag(turn, (size_t)*text - 1, mark);
        all = fg_expr_seq(x, all, fg_expr_text(x, piece));
    }
    return all;
}

bool fg_turn_is_harmony(const struct fg_turn *turn)
{
    unsigned needed =
        1u << FG_TAG_CHANNEL | 1u << FG_TAG_MESSAGE | 1u << FG_TAG_START | 1u << FG_TAG_END;

    return turn->form->reasoning == FG_REASONING_HARMONY &&
           (turn->form->control & needed) == needed;
}

/* Any text up to a tag, and the tag. */
static int until_tag(struct fg_exprs *x, const struct fg_turn *turn, size_t tag, fg_expr *out,
                     struct fg_err *err)
{
    char mark[1];
    struct fg_until u = {.n = 1};
    uint32_t rule = fg_expr_new_rule(x);
    int rc;

    u.ends[0].word = fg_turn_tag(turn, tag, mark);
    u.ends[0].then = FG_EXPR_EMPTY;
    rc = fg_expr_until(x, rule, &u, err);
    *out = fg_expr_rule(x, rule);
    return rc;
}

static int harmony_thought(struct fg_exprs *x, const struct fg_turn *turn, fg_expr *out,
                           struct fg_err *err)
{
    fg_expr thought, next = fg_turn_text(x, turn, START "assistant");
    int rc = until_tag(x, turn, FG_TAG_END, &thought, err);

    if (turn->start == FG_STARTS_TEXT)
        thought = fg_turn_text(x, turn, END);
    *out = fg_expr_seq(x, thought, next);
    if (turn->start == FG_STARTS_ANYHOW)
        *out = fg_expr_optional(
            x, fg_expr_seq(x, fg_turn_text(x, turn, CHANNEL "analysis" MESSAGE), *out));
    return rc;
}

int fg_turn_thought(struct fg_exprs *x, const struct fg_turn *turn, fg_expr *out,
                    struct fg_err *err)
{
    fg_expr lines = fg_expr_repeat(x, fg_expr_byte(x, '\n', '\n'), 0, 2);
    int rc;

    *out = FG_EXPR_EMPTY;
    if (fg_turn_is_harmony(turn))
        return harmony_thought(x, turn, out, err);
    if (turn->start != FG_STARTS_REASONING || !fg_answer_form_tag(turn->form, FG_TAG_THOUGHT))
        return 0;
    rc = until_tag(x, turn, FG_TAG_THOUGHT, out, err);
    *out = fg_expr_seq(x, *out, lines);
    return rc;
}

int fg_turn_begin(struct fg_exprs *x, const struct fg_turn *turn, fg_expr *out, struct fg_err *err)
{
    int rc;

    *out = FG_EXPR_EMPTY;
    if (fg_turn_is_harmony(turn) && turn->start == FG_STARTS_TEXT)
        return 0;
    rc = fg_turn_thought(x, turn, out, err);
    if (fg_turn_is_harmony(turn))
        *out = fg_expr_seq(x, *out, fg_turn_text(x, turn, CHANNEL "final" MESSAGE));
    return rc;
}
