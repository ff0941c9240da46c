/* Harmony: an answer is messages, each of a channel and perhaps to a recipient.
 *
 *     <|channel|>analysis<|message|>...<|end|><|start|>assistant<|channel|>final<|message|>... */
#include <string.h>

#include "base/str.h"

#include "answer_state.h"
#include "tool_calls.h"

enum { MAX_HEADER = 1024 };

void fg_answer_harmony_start(struct fg_answer_parts *p, enum fg_answer_start start)
{
    p->mode = FG_IN_HARMONY;
    p->in_body = start != FG_STARTS_ANYHOW;
    p->body = start == FG_STARTS_REASONING ? FG_ANSWER_REASONING : FG_ANSWER_TEXT;
    p->strip = p->in_body;
}

static struct fg_str view(const struct fg_buffer *b)
{
    return (struct fg_str){b->p ? b->p : "", b->n};
}

static void keep_held(struct fg_answer_parts *p, char c)
{
    int tag;
    const char *text =
        fg_answer_is_mark(c, &tag) ? fg_answer_form_tag(&p->form, (size_t)tag) : NULL;

    if (text)
        fg_buffer_str(&p->held, text);
    else
        fg_buffer_add(&p->held, &c, 1);
    p->nomem = p->nomem || p->held.failed;
}

/* What is held goes out as text. */
static void say_held(struct fg_answer_parts *p, enum fg_answer_part part)
{
    for (size_t i = 0; i < p->held.n; i++)
        fg_answer_say(p, part, p->held.p[i]);
    fg_buffer_clear(&p->held);
}

/* The word behind `what` in a message's header. */
static struct fg_str word_behind(struct fg_str header, const char *what)
{
    struct fg_str word = {"", 0};
    const char *at = header.n ? memmem(header.p, header.n, what, strlen(what)) : NULL;

    if (!at)
        return word;
    word.p = at + strlen(what);
    while (word.p + word.n < header.p + header.n && !fg_answer_blank(word.p[word.n]) &&
           word.p[word.n] != '<')
        word.n++;
    return word;
}

static void begin_body(struct fg_answer_parts *p)
{
    static const char functions[] = "functions.";
    struct fg_str header = view(&p->held), to = word_behind(header, "to=");
    bool analysis = fg_str_is(word_behind(header, "<|channel|>"), "analysis");

    p->in_body = true;
    p->body = analysis && p->form.reasoning == FG_REASONING_HARMONY ? FG_ANSWER_REASONING
                                                                    : FG_ANSWER_TEXT;
    if (to.n > strlen(functions) && memcmp(to.p, functions, strlen(functions)) == 0) {
        to.p += strlen(functions);
        to.n -= strlen(functions);
    }
    if (to.n && p->form.tools == FG_TOOLS_HARMONY && !fg_str_is(to, "user") &&
        !fg_str_is(to, "assistant")) {
        struct fg_buffer header_text = p->held;

        p->held = (struct fg_buffer){0};
        fg_answer_new_call(p);
        fg_buffer_view(&p->name, to);
        p->nomem = p->nomem || p->name.failed;
        fg_buffer_finish(&p->held);
        p->held = header_text;
        p->body = FG_ANSWER_CALL;
        p->state = FG_CALL_BEFORE_JSON;
        return;
    }
    /* Reasoning that is to stay in the text keeps its tags. */
    if (analysis && p->body == FG_ANSWER_TEXT)
        say_held(p, FG_ANSWER_TEXT);
    else
        fg_buffer_clear(&p->held);
    p->strip = !analysis || p->body != FG_ANSWER_TEXT;
}

/* A header that is none: text. */
static void give_up_header(struct fg_answer_parts *p)
{
    p->in_body = true;
    p->body = FG_ANSWER_TEXT;
    say_held(p, FG_ANSWER_TEXT);
}

/* Whether what stands before the first tag can be of a header. */
static bool may_be_header(struct fg_str s)
{
    static const char *const known[] = {"assistant", "to="};
    size_t at = 0;

    while (at < s.n && fg_answer_blank(s.p[at]))
        at++;
    if (at == s.n || s.p[at] == '<')
        return true;
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        size_t n = strlen(known[i]), left = s.n - at;

        if (memcmp(s.p + at, known[i], left < n ? left : n) == 0)
            return true;
    }
    return false;
}

static void header_byte(struct fg_answer_parts *p, char c)
{
    keep_held(p, c);
    if (p->held.n > MAX_HEADER || (p->held.n < 64 && !may_be_header(view(&p->held))))
        give_up_header(p);
}

/* A call that has not come to its end is malformed. */
static void end_call(struct fg_answer_parts *p)
{
    if (p->body == FG_ANSWER_CALL && p->told)
        fg_answer_break_call(p);
    else if (p->body == FG_ANSWER_CALL && p->state == FG_CALL_BEFORE_JSON)
        (void)fg_answer_end_call(p);
}

static void end_message(struct fg_answer_parts *p)
{
    end_call(p);
    p->in_body = false;
    fg_buffer_clear(&p->held);
    fg_answer_turn(p);
}

static void fail_call(struct fg_answer_parts *p, char c)
{
    if (p->told) {
        fg_answer_break_call(p);
    } else {
        p->strip = false;
        say_held(p, FG_ANSWER_TEXT);
    }
    p->body = FG_ANSWER_TEXT;
    fg_answer_say_any(p, FG_ANSWER_TEXT, c);
}

static void call_byte(struct fg_answer_parts *p, char c)
{
    enum fg_answer_step step = FG_STEP_ON;

    if (p->state == FG_CALL_BETWEEN) { /* it has ended */
        if (!fg_answer_blank(c))
            fg_answer_say_any(p, FG_ANSWER_TEXT, c);
        return;
    }
    if (p->state == FG_CALL_BEFORE_JSON && fg_answer_blank(c)) {
        keep_held(p, c);
        return;
    }
    if (p->state == FG_CALL_BEFORE_JSON) {
        step = c == '{' ? fg_answer_tell(p) : FG_STEP_FAIL;
        p->state = FG_CALL_JSON;
    }
    if (step == FG_STEP_ON)
        step = fg_answer_json_step(p, c);
    if (step == FG_STEP_FAIL)
        fail_call(p, c);
}

static void byte(struct fg_answer_parts *p, char c)
{
    if (!p->in_body)
        header_byte(p, c);
    else if (p->body == FG_ANSWER_CALL)
        call_byte(p, c);
    else
        fg_answer_say_any(p, p->body, c);
}

static void hold_tag(struct fg_answer_parts *p, int tag)
{
    fg_buffer_str(&p->held, fg_answer_form_tag(&p->form, (size_t)tag));
    p->nomem = p->nomem || p->held.failed;
}

static void take_tag(struct fg_answer_parts *p, int tag)
{
    if (!p->in_body) {
        hold_tag(p, tag);
        if (tag == FG_TAG_MESSAGE)
            begin_body(p);
        else if (tag == FG_TAG_START || tag == FG_TAG_END || tag == FG_TAG_RETURN)
            fg_buffer_clear(&p->held);
        return;
    }
    end_message(p);
    if (tag == FG_TAG_CHANNEL)
        hold_tag(p, tag);
}

void fg_answer_harmony_step(struct fg_answer_parts *p, char c)
{
    unsigned tags = fg_answer_bit(FG_TAG_CHANNEL) | fg_answer_bit(FG_TAG_START) |
                    fg_answer_bit(FG_TAG_END) | fg_answer_bit(FG_TAG_CALL_MADE) |
                    fg_answer_bit(FG_TAG_RETURN);

    if (!p->in_body)
        tags |= fg_answer_bit(FG_TAG_MESSAGE) | fg_answer_bit(FG_TAG_CONSTRAIN);
    p->look[p->n_look++] = c;
    while (p->n_look) {
        size_t n;
        int tag = fg_answer_match(p, tags, &n);

        if (tag == FG_LOOK_MORE)
            return;
        if (tag != FG_LOOK_NONE) {
            p->n_look = 0;
            take_tag(p, tag);
            return;
        }
        c = p->look[0];
        p->n_look--;
        memmove(p->look, p->look + 1, p->n_look);
        byte(p, c);
    }
}

void fg_answer_harmony_end(struct fg_answer_parts *p)
{
    char left[FG_ANSWER_MAX_TAG];
    size_t n = p->n_look;

    memcpy(left, p->look, n);
    p->n_look = 0;
    if (!p->in_body && p->held.n && p->held.p[0] != '<')
        give_up_header(p);
    if (!p->in_body)
        return;
    for (size_t i = 0; i < n; i++)
        byte(p, left[i]);
    end_call(p); /* the tag that makes a call ends the answer, and may have no text */
}
