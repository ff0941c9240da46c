#include "blocks.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "text/tools/tool_calls.h"

void fg_blocks_init(struct fg_blocks *b, enum fg_tool_form tools, const char *id, fg_block_fn *fn,
                    void *ctx)
{
    *b = (struct fg_blocks){.tools = tools, .fn = fn, .ctx = ctx};
    snprintf(b->id, sizeof b->id, "%s", id);
}

void fg_blocks_finish(struct fg_blocks *b)
{
    for (size_t i = 0; i < b->n; i++) {
        fg_buffer_finish(&b->list[i].name);
        fg_buffer_finish(&b->list[i].text);
    }
    free(b->list);
    fg_buffer_finish(&b->whole);
    *b = (struct fg_blocks){.n = 0};
}

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

static void add_call(struct fg_blocks *b, const json_t *call)
{
    const json_t *function = json_object_get(call, "function");
    const json_t *name = json_object_get(function, "name");
    const json_t *arguments = json_object_get(function, "arguments");
    struct fg_block *block = add(b, FG_BLOCK_CALL);

    if (!block)
        return;
    snprintf(block->id, sizeof block->id, "%s", json_string_value(json_object_get(call, "id")));
    fg_buffer_add(&block->name, json_string_value(name), json_string_length(name));
    b->failed = b->failed || block->name.failed;
    tell(b, FG_BLOCK_BEGINS, (struct fg_str){"", 0});
    grow(b, FG_BLOCK_CALL,
         (struct fg_str){json_string_value(arguments), json_string_length(arguments)});
    end_block(b);
}

/* What of the whole is text for sure, up to `end`. */
static void tell_text(struct fg_blocks *b, size_t end)
{
    struct fg_str whole = fg_blocks_whole(b);

    if (end <= b->n_told)
        return;
    grow(b, FG_BLOCK_TEXT, (struct fg_str){whole.p + b->n_told, end - b->n_told});
    b->n_told = end;
}

void fg_blocks_push(struct fg_blocks *b, struct fg_str more)
{
    struct fg_str whole;
    size_t end;

    fg_buffer_view(&b->whole, more);
    b->failed = b->failed || b->whole.failed;
    if (b->failed)
        return;
    whole = fg_blocks_whole(b);
    end = b->tools ? fg_tool_calls_clear(b->tools, whole, b->n_told) : whole.n;
    /* Blanks before a call are left out. */
    while (b->tools && end > b->n_told && strchr(" \t\r\n", whole.p[end - 1]))
        end--;
    tell_text(b, end);
}

void fg_blocks_end(struct fg_blocks *b)
{
    size_t content = b->whole.n, i;
    json_t *calls = NULL, *call;

    if (b->failed)
        return;
    if (b->tools)
        calls = fg_tool_calls_read(b->tools, fg_blocks_whole(b), b->id, &content);
    tell_text(b, content);
    json_array_foreach(calls, i, call) add_call(b, call);
    json_decref(calls);
    if (!b->n && add(b, FG_BLOCK_TEXT))
        tell(b, FG_BLOCK_BEGINS, (struct fg_str){"", 0});
    end_block(b);
}

const struct fg_block *fg_blocks_call(const struct fg_blocks *b)
{
    for (size_t i = 0; i < b->n; i++)
        if (b->list[i].kind == FG_BLOCK_CALL)
            return &b->list[i];
    return NULL;
}
