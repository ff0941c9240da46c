#include "blocks.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct fg_str fg_block_text(const struct fg_buffer *text)
{
    return text->n ? (struct fg_str){text->p, text->n} : (struct fg_str){"", 0};
}

struct fg_str fg_blocks_whole(const struct fg_blocks *b)
{
    return fg_block_text(&b->whole);
}

static void tell(struct fg_blocks *b, enum fg_block_step step, struct fg_str more)
{
    if (b->fn)
        b->fn(b->ctx, b->n - 1, step, more);
}

static void end_block(struct fg_blocks *b)
{
    if (b->open)
        tell(b, FG_BLOCK_ENDS, (struct fg_str){"", 0});
    b->open = false;
}

static struct fg_block *add(struct fg_blocks *b, enum fg_block_kind kind)
{
    end_block(b);
    if (!fg_grow((void **)&b->list, &b->cap, b->n + 1, sizeof *b->list)) {
        b->failed = true;
        return NULL;
    }
    b->list[b->n] = (struct fg_block){.kind = kind};
    b->open = true;
    return &b->list[b->n++];
}

static void grow(struct fg_blocks *b, enum fg_block_kind kind, struct fg_str more)
{
    struct fg_block *last = b->open ? &b->list[b->n - 1] : NULL;

    if (!more.n)
        return;
    if (!last || last->kind != kind) {
        last = add(b, kind);
        if (!last)
            return;
        tell(b, FG_BLOCK_BEGINS, (struct fg_str){"", 0});
    }
    fg_buffer_view(&last->text, more);
    b->failed = b->failed || last->text.failed;
    tell(b, FG_BLOCK_GROWS, more);
}

const struct fg_block *fg_blocks_call(const struct fg_blocks *b)
{
    if (b->parts && fg_answer_parts_failed(b->parts))
        return NULL;
    for (size_t i = 0; i < b->n; i++)
        if (b->list[i].kind == FG_BLOCK_CALL)
            return &b->list[i];
    return NULL;
}

static void add_call(struct fg_blocks *b, const struct fg_answer_event *e)
{
    struct fg_block *block = add(b, FG_BLOCK_CALL);

    if (!block)
        return;
    snprintf(block->id, sizeof block->id, "%s", e->id);
    fg_buffer_view(&block->name, e->text);
    b->failed = b->failed || block->name.failed;
    tell(b, FG_BLOCK_BEGINS, (struct fg_str){"", 0});
}

static void on_part(void *ctx, const struct fg_answer_event *e)
{
    struct fg_blocks *b = ctx;

    if (b->failed)
        return;
    switch (e->part) {
    case FG_ANSWER_REASONING: grow(b, FG_BLOCK_REASONING, e->text); break;
    case FG_ANSWER_TEXT: grow(b, FG_BLOCK_TEXT, e->text); break;
    case FG_ANSWER_CALL: add_call(b, e); break;
    case FG_ANSWER_ARGUMENTS: grow(b, FG_BLOCK_CALL, e->text); break;
    case FG_ANSWER_CALL_END: end_block(b); break;
    }
}

void fg_blocks_init(struct fg_blocks *b, const struct fg_answer_form *form, const char *id,
                    fg_block_fn *fn, void *ctx)
{
    *b = (struct fg_blocks){.fn = fn, .ctx = ctx, .form = *form};
    b->parts = fg_answer_parts_create(form, id, on_part, b);
    b->failed = !b->parts;
}

static void clear_list(struct fg_blocks *b)
{
    for (size_t i = 0; i < b->n; i++) {
        fg_buffer_finish(&b->list[i].name);
        fg_buffer_finish(&b->list[i].text);
    }
    b->n = 0;
    b->open = false;
}

void fg_blocks_finish(struct fg_blocks *b)
{
    clear_list(b);
    free(b->list);
    fg_answer_parts_destroy(b->parts);
    fg_buffer_finish(&b->whole);
    *b = (struct fg_blocks){.n = 0};
}

void fg_blocks_start(struct fg_blocks *b, enum fg_answer_start start)
{
    b->start = start;
    if (b->parts)
        fg_answer_parts_start(b->parts, start);
}

void fg_blocks_push(struct fg_blocks *b, struct fg_str more)
{
    fg_buffer_view(&b->whole, more);
    b->failed = b->failed || b->whole.failed;
    if (b->failed)
        return;
    fg_answer_parts_push(b->parts, more);
    b->failed = b->failed || fg_answer_parts_nomem(b->parts);
}

/* The answer once more, of which calls are no part. */
static void read_as_text(struct fg_blocks *b)
{
    fg_answer_parts_destroy(b->parts);
    clear_list(b);
    b->form.tools = FG_TOOLS_NONE;
    b->parts = fg_answer_parts_create(&b->form, "", on_part, b);
    b->failed = !b->parts;
    if (b->failed)
        return;
    fg_answer_parts_start(b->parts, b->start);
    fg_answer_parts_push(b->parts, fg_blocks_whole(b));
    fg_answer_parts_end(b->parts);
    b->failed = b->failed || fg_answer_parts_nomem(b->parts);
}

void fg_blocks_end(struct fg_blocks *b)
{
    if (b->failed)
        return;
    fg_answer_parts_end(b->parts);
    b->failed = b->failed || fg_answer_parts_nomem(b->parts);
    if (!b->fn && !b->failed && fg_answer_parts_failed(b->parts))
        read_as_text(b);
    if (b->failed)
        return;
    if (!b->n && add(b, FG_BLOCK_TEXT))
        tell(b, FG_BLOCK_BEGINS, (struct fg_str){"", 0});
    end_block(b);
}
