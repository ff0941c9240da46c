#include "reasoning_count.h"

#include <stdlib.h>
#include <string.h>

#include "answer_parts.h"
#include "answer_state.h"
#include "fulgur/error.h"

struct fg_reasoning_count {
    struct fg_answer_parts *parts;
    uint32_t tokens;
    /* The last tokens, of which it is not known yet what they are: bytes of each, but for those of
     * headers, which are as many as there are. */
    size_t bytes[FG_ANSWER_MAX_TAG];
    uint32_t undecided;
};

static void nobody(void *ctx, const struct fg_answer_event *e)
{
    (void)ctx;
    (void)e;
}

struct fg_reasoning_count *fg_reasoning_count_create(const struct fg_answer_form *form,
                                                     enum fg_answer_start start)
{
    struct fg_reasoning_count *c = calloc(1, sizeof *c);
    struct fg_answer_form without = *form;

    if (!c)
        return NULL;
    without.tools = FG_TOOLS_NONE; /* a call is no reasoning, whatever is in it */
    without.schemas = NULL;
    c->parts = fg_answer_parts_create(&without, "", nobody, c);
    if (!c->parts) {
        free(c);
        return NULL;
    }
    fg_answer_parts_start(c->parts, start);
    return c;
}

void fg_reasoning_count_destroy(struct fg_reasoning_count *c)
{
    if (!c)
        return;
    fg_answer_parts_destroy(c->parts);
    free(c);
}

static bool reasons(const struct fg_answer_parts *p)
{
    return p->mode == FG_IN_REASONING ||
           (p->mode == FG_IN_HARMONY && p->in_body && p->body == FG_ANSWER_REASONING);
}

/* A token more that may be of a tag, or of a header. */
static void add_undecided(struct fg_reasoning_count *c, size_t n)
{
    const struct fg_answer_parts *p = c->parts;
    size_t sum = 0;
    uint32_t first = 0;

    if (p->mode == FG_IN_HARMONY) {
        c->undecided++;
        return;
    }
    if (c->undecided == FG_ANSWER_MAX_TAG) /* longer than any tag, if each had a byte */
        memmove(c->bytes, c->bytes + 1, --c->undecided * sizeof *c->bytes);
    c->bytes[c->undecided++] = n;
    for (uint32_t i = 0; i < c->undecided; i++)
        sum += c->bytes[i];
    /* What was looked at and is none has been passed on. */
    while (first + 1 < c->undecided && sum - c->bytes[first] >= p->n_look)
        sum -= c->bytes[first++];
    c->undecided -= first;
    memmove(c->bytes, c->bytes + first, c->undecided * sizeof *c->bytes);
}

int fg_reasoning_count_push(struct fg_reasoning_count *c, struct fg_str text)
{
    const struct fg_answer_parts *p = c->parts;
    bool before = reasons(p);

    fg_answer_parts_push(c->parts, text);
    if (fg_answer_parts_nomem(p))
        return FG_ENOMEM;
    if (before || reasons(p)) {
        c->tokens += c->undecided + 1;
        c->undecided = 0;
    } else if (p->n_look || (p->mode == FG_IN_HARMONY && !p->in_body)) {
        add_undecided(c, text.n);
    } else {
        c->undecided = 0;
    }
    return 0;
}

uint32_t fg_reasoning_count_tokens(const struct fg_reasoning_count *c)
{
    return c->tokens;
}
