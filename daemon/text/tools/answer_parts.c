/* What is not in a call: text, reasoning, and the tags that lead from one to the other. */
#include "answer_parts.h"

#include <stdlib.h>
#include <string.h>

#include "answer_state.h"
#include "tool_calls.h"

bool fg_answer_blank(char c)
{
    return c == ' ' || c == '\n' || c == '\r' || c == '\t';
}

bool fg_answer_is_mark(char c, int *tag)
{
    *tag = (unsigned char)c - FG_FIRST_MARK;
    return *tag >= 0 && *tag < FG_FORM_TAGS;
}

/* --- telling --- */

void fg_answer_flush(struct fg_answer_parts *p)
{
    struct fg_answer_event e = {.part = p->part, .call = p->n_calls, .text = {p->run.p, p->run.n}};

    p->nomem = p->nomem || p->run.failed;
    if (p->run.n && !p->nomem)
        p->fn(p->ctx, &e);
    fg_buffer_clear(&p->run);
}

void fg_answer_put(struct fg_answer_parts *p, enum fg_answer_part part, const char *s, size_t n)
{
    if (part != p->part)
        fg_answer_flush(p);
    p->part = part;
    fg_buffer_add(&p->run, s, n);
}

static void put_blanks(struct fg_answer_parts *p, enum fg_answer_part part)
{
    if (p->n_blanks)
        fg_answer_put(p, part, p->blanks, p->n_blanks);
    p->n_blanks = 0;
}

/* Without tools a text has no end that matters. */
static bool holds_blanks(const struct fg_answer_parts *p, enum fg_answer_part part)
{
    return part == FG_ANSWER_REASONING || p->mode == FG_AT_START ||
           (p->form.tools != FG_TOOLS_NONE && p->mode != FG_AS_IT_IS);
}

void fg_answer_say(struct fg_answer_parts *p, enum fg_answer_part part, char c)
{
    if (fg_answer_blank(c)) {
        if (p->strip)
            return;
        if (p->n_blanks == sizeof p->blanks)
            put_blanks(p, part);
        p->blanks[p->n_blanks++] = c;
        if (!holds_blanks(p, part))
            put_blanks(p, part);
        return;
    }
    p->strip = false;
    put_blanks(p, part);
    fg_answer_put(p, part, &c, 1);
}

void fg_answer_say_any(struct fg_answer_parts *p, enum fg_answer_part part, char c)
{
    int tag;
    const char *text;

    if (!fg_answer_is_mark(c, &tag)) {
        fg_answer_say(p, part, c);
        return;
    }
    text = fg_answer_form_tag(&p->form, (size_t)tag);
    for (; text && *text; text++)
        fg_answer_say(p, part, *text);
}

void fg_answer_turn(struct fg_answer_parts *p)
{
    p->n_blanks = 0;
    p->strip = true;
}

bool fg_answer_keep(struct fg_answer_parts *p, struct fg_buffer *to, const char *s, size_t n,
                    size_t most)
{
    if (n > most || to->n > most - n)
        return false;
    fg_buffer_add(to, s, n);
    p->nomem = p->nomem || to->failed;
    return !to->failed;
}

/* --- tags --- */

/* How much of a tag the looked at bytes are: its length where they begin with all of it, 0 where
 * they may become it, or FG_LOOK_NONE. A control token is its mark alone. */
static int match_tag(const struct fg_answer_parts *p, int tag, size_t *n)
{
    const char *text = fg_answer_form_tag(&p->form, (size_t)tag);
    size_t length;

    if (!text)
        return FG_LOOK_NONE;
    *n = 1;
    if ((unsigned char)p->look[0] == FG_FIRST_MARK + tag)
        return tag;
    if (p->form.control >> tag & 1)
        return FG_LOOK_NONE;
    length = *n = strlen(text);
    if (length > p->n_look)
        return memcmp(p->look, text, p->n_look) == 0 ? FG_LOOK_MORE : FG_LOOK_NONE;
    return memcmp(p->look, text, length) == 0 ? tag : FG_LOOK_NONE;
}

int fg_answer_match(const struct fg_answer_parts *p, unsigned wanted, size_t *n)
{
    int found = FG_LOOK_NONE;

    for (int tag = 0; tag < FG_FORM_TAGS; tag++) {
        int hit = wanted >> tag & 1 ? match_tag(p, tag, n) : FG_LOOK_NONE;

        if (hit >= 0)
            return hit;
        if (hit == FG_LOOK_MORE)
            found = hit;
    }
    return found;
}

/* --- text and reasoning --- */

static bool knows_calls(const struct fg_answer_parts *p)
{
    return p->form.tools != FG_TOOLS_NONE;
}

/* A call may be without any tag where it begins an answer. */
static bool begins_bare(const struct fg_answer_parts *p, char c)
{
    bool gemma = p->form.tools == FG_TOOLS_GEMMA;

    return (p->form.tools == FG_TOOLS_LLAMA3 || gemma) && (c == '{' || (gemma && c == '['));
}

static unsigned wanted(const struct fg_answer_parts *p)
{
    unsigned tags = 0;

    if (p->mode == FG_IN_REASONING)
        return fg_answer_bit(FG_TAG_THOUGHT);
    if (knows_calls(p)) {
        tags |= fg_answer_bit(FG_TAG_OPEN);
        /* Some models leave out the tag around it. */
        if (p->form.tools == FG_TOOLS_HERMES || p->form.tools == FG_TOOLS_QWEN_XML ||
            p->form.tools == FG_TOOLS_MINIMAX_XML)
            tags |= fg_answer_bit(FG_TAG_CALL);
    }
    if (p->mode == FG_AT_START || p->form.control >> FG_TAG_THINK & 1)
        tags |= fg_answer_bit(FG_TAG_THINK);
    return tags;
}

static void take_tag(struct fg_answer_parts *p, int tag)
{
    if (tag == FG_TAG_THINK) {
        fg_answer_turn(p);
        p->mode = FG_IN_REASONING;
    } else if (tag == FG_TAG_THOUGHT) {
        fg_answer_turn(p);
        p->mode = FG_AT_START;
    } else {
        fg_answer_open_calls(p, tag);
    }
}

static void feed(struct fg_answer_parts *p, char c);

static void drop_looked_at(struct fg_answer_parts *p, size_t n)
{
    p->n_look -= n;
    memmove(p->look, p->look + n, p->n_look);
}

/* The rest of what was looked at, once more. */
static void feed_looked_at(struct fg_answer_parts *p)
{
    char again[FG_ANSWER_MAX_TAG];
    size_t n = p->n_look;

    memcpy(again, p->look, n);
    p->n_look = 0;
    for (size_t i = 0; i < n; i++)
        feed(p, again[i]);
}

static void say_one(struct fg_answer_parts *p)
{
    bool reasons = p->mode == FG_IN_REASONING;
    char c = p->look[0];

    if (p->mode == FG_AT_START && !fg_answer_blank(c)) {
        if (begins_bare(p, c)) {
            fg_answer_open_calls(p, FG_LOOK_NONE);
            feed_looked_at(p);
            return;
        }
        p->mode = FG_IN_TEXT;
    }
    fg_answer_say_any(p, reasons ? FG_ANSWER_REASONING : FG_ANSWER_TEXT, c);
    drop_looked_at(p, 1);
}

static void text_step(struct fg_answer_parts *p, char c)
{
    p->look[p->n_look++] = c;
    while (p->n_look) {
        size_t n;
        int tag = fg_answer_match(p, wanted(p), &n);

        if (tag == FG_LOOK_MORE)
            return;
        if (tag == FG_LOOK_NONE) {
            say_one(p);
            continue;
        }
        drop_looked_at(p, n);
        take_tag(p, tag);
        feed_looked_at(p);
        return;
    }
}

void fg_answer_break_call(struct fg_answer_parts *p)
{
    fg_answer_flush(p);
    p->fn(p->ctx, &(struct fg_answer_event){.part = FG_ANSWER_CALL_END, .call = p->n_calls});
    p->n_calls++;
    p->told = false;
    p->failed = true;
}

/* What is held is text after all; the last byte of it may begin something again. */
static void fail_calls(struct fg_answer_parts *p, char c)
{
    size_t n = p->held.n - (p->held.n > 0);

    p->n_look = 0;
    if (p->told) {
        fg_answer_break_call(p);
        p->mode = FG_AS_IT_IS;
        p->strip = false;
        fg_answer_say_any(p, FG_ANSWER_TEXT, c);
        return;
    }
    p->mode = FG_IN_TEXT;
    for (size_t i = 0; i < n; i++)
        fg_answer_say_any(p, FG_ANSWER_TEXT, p->held.p[i]);
    fg_buffer_clear(&p->held);
    text_step(p, c);
}

static void calls_step(struct fg_answer_parts *p, char c)
{
    enum fg_answer_step step = FG_STEP_BACK;

    if (!p->told && !fg_answer_keep(p, &p->held, &c, 1, FG_ARGUMENTS_MAX_BYTES + 4096)) {
        fg_buffer_add(&p->held, &c, 1);
        step = FG_STEP_FAIL;
    }
    while (step == FG_STEP_BACK)
        step = fg_answer_calls_step(p, c);
    if (step == FG_STEP_FAIL)
        fail_calls(p, c);
}

static void feed(struct fg_answer_parts *p, char c)
{
    switch (p->mode) {
    case FG_AT_START:
    case FG_IN_TEXT:
    case FG_IN_REASONING: text_step(p, c); break;
    case FG_IN_CALLS: calls_step(p, c); break;
    case FG_IN_HARMONY: fg_answer_harmony_step(p, c); break;
    case FG_AS_IT_IS: fg_answer_say_any(p, FG_ANSWER_TEXT, c); break;
    }
}

/* --- the object --- */

struct fg_answer_parts *fg_answer_parts_create(const struct fg_answer_form *form,
                                               const char *id_prefix, fg_answer_event_fn *fn,
                                               void *ctx)
{
    struct fg_answer_parts *p = calloc(1, sizeof *p);

    if (!p)
        return NULL;
    p->form = *form;
    p->fn = fn;
    p->ctx = ctx;
    strncpy(p->prefix, id_prefix, sizeof p->prefix - 1);
    if (form->tools == FG_TOOLS_HARMONY || form->reasoning == FG_REASONING_HARMONY)
        fg_answer_harmony_start(p, FG_STARTS_ANYHOW);
    return p;
}

void fg_answer_parts_destroy(struct fg_answer_parts *p)
{
    if (!p)
        return;
    fg_buffer_finish(&p->run);
    fg_buffer_finish(&p->held);
    fg_buffer_finish(&p->name);
    fg_buffer_finish(&p->word);
    fg_buffer_finish(&p->late);
    free(p);
}

void fg_answer_parts_start(struct fg_answer_parts *p, enum fg_answer_start start)
{
    if (p->mode == FG_IN_HARMONY) {
        fg_answer_harmony_start(p, start);
        return;
    }
    if (start == FG_STARTS_REASONING && p->form.reasoning != FG_REASONING_NONE)
        take_tag(p, FG_TAG_THINK);
    else if (start == FG_STARTS_TEXT)
        fg_answer_turn(p);
}

void fg_answer_parts_push(struct fg_answer_parts *p, struct fg_str more)
{
    for (size_t i = 0; i < more.n && !p->nomem; i++)
        feed(p, more.p[i]);
    fg_answer_flush(p);
}

/* A block may lack its end, where the answer was cut by a stop string or its length. */
static void end_calls(struct fg_answer_parts *p)
{
    if (p->told) {
        fg_answer_break_call(p);
        return;
    }
    if (p->n_in_block && (p->state == FG_CALL_BETWEEN || p->state == FG_CALL_TAIL))
        return;
    p->mode = FG_IN_TEXT;
    for (size_t i = 0; i < p->held.n; i++)
        fg_answer_say_any(p, FG_ANSWER_TEXT, p->held.p[i]);
}

void fg_answer_parts_end(struct fg_answer_parts *p)
{
    bool reasons = p->mode == FG_IN_REASONING ||
                   (p->mode == FG_IN_HARMONY && p->in_body && p->body == FG_ANSWER_REASONING);

    if (p->mode == FG_IN_HARMONY)
        fg_answer_harmony_end(p);
    else if (p->mode == FG_IN_CALLS)
        end_calls(p);
    else
        for (size_t i = 0; i < p->n_look; i++)
            fg_answer_say_any(p, reasons ? FG_ANSWER_REASONING : FG_ANSWER_TEXT, p->look[i]);
    p->n_look = 0;
    if (!reasons && !p->n_calls)
        put_blanks(p, FG_ANSWER_TEXT);
    fg_answer_flush(p);
}

bool fg_answer_parts_failed(const struct fg_answer_parts *p)
{
    return p->failed;
}

bool fg_answer_parts_nomem(const struct fg_answer_parts *p)
{
    return p->nomem;
}
