/* Answers in the model's own words: where in a rendered chat they take the place of what the
 * template makes of their content and calls. */
#include <stdlib.h>
#include <string.h>

#include "base/json_scan.h"
#include "chat_program.h"

static bool is_blank(char c)
{
    return c == ' ' || c == '\n' || c == '\t' || c == '\r';
}

static struct fg_str trim(struct fg_str s)
{
    while (s.n && is_blank(s.p[s.n - 1]))
        s.n--;
    while (s.n && is_blank(s.p[0])) {
        s.p++;
        s.n--;
    }
    return s;
}

/* Where a message lies in what was rendered. */
struct lie {
    const struct fg_jinja_range *turn; /* NULL: none, or more than one */
    bool twice;
    size_t first, last; /* all that came from its content lies within; last 0: nothing did */
};

/* Fills lies[n], one a message, which are zero. */
static void find_lies(const struct fg_jinja_result *r, struct lie *lies, size_t n)
{
    for (size_t i = 0; i < r->n_turns; i++) {
        struct lie *l = r->turns[i].message < n ? &lies[r->turns[i].message] : NULL;

        if (!l)
            continue;
        l->twice = l->twice || l->turn;
        l->turn = l->twice ? NULL : &r->turns[i];
    }
    for (size_t i = 0; i < r->n_spans; i++) {
        const struct fg_jinja_span *s = &r->spans[i];
        struct lie *l = s->message < n ? &lies[s->message] : NULL;

        if (!l || !fg_chat_of_content(s, s->message))
            continue;
        if (!l->last)
            l->first = s->offset;
        l->last = s->offset + s->length;
    }
}

/* Where in a turn the words stand, around all that came from the message's content. */
static bool find_words(const struct fg_jinja_result *r, const struct lie *l, struct fg_str words,
                       size_t *at)
{
    size_t end = l->turn->offset + l->turn->length;
    const char *hit = r->text + l->turn->offset;

    while (words.n && l->last) {
        hit = memmem(hit, (size_t)(r->text + end - hit), words.p, words.n);
        if (!hit || (size_t)(hit - r->text) > l->first)
            return false;
        *at = (size_t)(hit - r->text);
        if (*at + words.n >= l->last)
            return true;
        hit++;
    }
    return false;
}

/* A chat without the words, and with them in place of content and calls. */
struct sides {
    const struct fg_jinja_result *plain, *spoken;
    const struct fg_chat_message *words; /* what `spoken` was rendered of */
    struct lie *in_plain, *in_spoken;    /* one a message */
};

static const char *find_in(struct fg_str s, const char *word)
{
    return s.n ? memmem(s.p, s.n, word, strlen(word)) : NULL;
}

/* Harmony's template writes a content in a channel of its own, and calls in others: the words take
 * the place of all between the turn's header and the tag that makes the call, where it holds a
 * thought if they do. */
static bool place_harmony(const struct sides *s, size_t message, const struct fg_answer_form *form,
                          struct fg_chat_words *out)
{
    static const char header[] = "<|start|>assistant", call[] = "<|call|>";
    static const char thought[] = "<|channel|>analysis";
    const struct fg_jinja_range *turn = s->in_plain[message].turn;
    struct fg_str words = s->words[message].content, text, inside;
    size_t n = sizeof header - 1, end = sizeof call - 1;

    if (!turn)
        return false;
    text = (struct fg_str){s->plain->text + turn->offset, turn->length};
    if (text.n < n + end || memcmp(text.p, header, n) != 0 ||
        memcmp(text.p + text.n - end, call, end) != 0)
        return false;
    inside = (struct fg_str){text.p + n, text.n - n - end};
    out->from = turn->offset + n;
    out->to = turn->offset + text.n - end;
    out->bytes = words.n;
    return (find_in(words, thought) != NULL) == (find_in(inside, thought) != NULL) &&
           fg_tool_calls_alike(form, out->words, inside);
}

/* What the template writes around the words must be what it writes around content and calls; and
 * what it makes of these, read as an answer, must say the same as the words. */
static bool place(const struct sides *s, size_t message, const struct fg_answer_form *form,
                  struct fg_chat_words *out)
{
    struct fg_answer_form as_text = *form;
    const struct fg_jinja_result *plain = s->plain, *spoken = s->spoken;
    const struct fg_jinja_range *a = s->in_plain[message].turn, *b = s->in_spoken[message].turn;
    struct fg_str words = s->words[message].content;
    size_t at, before, after;

    as_text.control = 0;
    if (form->tools == FG_TOOLS_HARMONY)
        return place_harmony(s, message, &as_text, out);
    if (!a || !b)
        return false;
    if (!find_words(spoken, &s->in_spoken[message], words, &at)) {
        words = trim(words);
        if (!find_words(spoken, &s->in_spoken[message], words, &at))
            return false;
    }
    before = at - b->offset;
    after = b->length - before - words.n;
    if (before + after > a->length ||
        memcmp(plain->text + a->offset, spoken->text + b->offset, before) != 0 ||
        memcmp(plain->text + a->offset + a->length - after, spoken->text + at + words.n, after) !=
            0)
        return false;
    out->from = a->offset + before;
    out->to = a->offset + a->length - after;
    out->bytes = s->words[message].content.n;
    return fg_tool_calls_alike(&as_text, out->words,
                               (struct fg_str){plain->text + out->from, out->to - out->from});
}

/* Words with the texts of their tags, malloc'd; p NULL: out of memory. */
static struct fg_str write_marks(const struct fg_answer_form *form, struct fg_str words)
{
    struct fg_buffer out = {0};

    for (size_t i = 0; i < words.n; i++) {
        size_t tag = (size_t)(unsigned char)words.p[i] - FG_FIRST_MARK;
        const char *text = tag < FG_FORM_TAGS ? fg_answer_form_tag(form, tag) : NULL;

        fg_buffer_add(&out, text ? text : &words.p[i], text ? strlen(text) : 1);
    }
    if (out.failed)
        fg_buffer_finish(&out);
    return (struct fg_str){out.p, out.n};
}

static void free_messages(struct fg_chat_message *m, const struct fg_chat_request *r, size_t n)
{
    for (size_t i = 0; m && i < n; i++)
        if (r->messages[i].spoken.n)
            free((char *)m[i].content.p);
    free(m);
}

static struct fg_chat_message *messages_of_words(const struct fg_chat_request *r,
                                                 const struct fg_answer_form *form, size_t n)
{
    struct fg_chat_message *m = calloc(r->n_messages, sizeof *m);
    bool ok = m != NULL;
    struct fg_str thought;

    if (!m)
        return NULL;
    memcpy(m, r->messages, r->n_messages * sizeof *m);
    for (size_t i = 0; i < n; i++)
        if (m[i].spoken.n) {
            m[i].content = write_marks(form, m[i].spoken);
            m[i].calls = m[i].thought = (struct fg_str){"", 0};
            if (fg_scan_find(m[i].extra, "reasoning_content", &thought) ||
                fg_scan_find(m[i].extra, "reasoning", &thought)) /* which the words hold */
                m[i].extra = (struct fg_str){"", 0};
            ok = ok && m[i].content.p;
        }
    if (ok)
        return m;
    free_messages(m, r, n);
    return NULL;
}

/* A template may write its messages in another order; what comes out of turn keeps its rendering.
 */
static int place_all(const struct fg_chat_request *r, size_t n, const struct fg_answer_form *form,
                     struct sides *s, struct fg_chat_words_list *out)
{
    s->in_plain = calloc(n, 2 * sizeof *s->in_plain);
    if (!s->in_plain)
        return FG_ENOMEM;
    s->in_spoken = s->in_plain + n;
    find_lies(s->plain, s->in_plain, n);
    find_lies(s->spoken, s->in_spoken, n);
    for (size_t i = 0; i < n; i++) {
        struct fg_chat_words w = {.words = r->messages[i].spoken};

        if (w.words.n && place(s, i, form, &w) && (!out->n || w.from >= out->list[out->n - 1].to))
            out->list[out->n++] = w;
    }
    free(s->in_plain);
    return 0;
}

int fg_chat_find_words(const struct fg_chat *c, const struct fg_chat_program *p,
                       const struct fg_chat_request *request, const struct fg_jinja_result *plain,
                       struct fg_chat_words_list *out)
{
    size_t n = request->n_messages - request->continue_final, any = 0;
    struct fg_answer_form form = fg_chat_form_of(&p->wants, request);
    struct fg_chat_request r = *request;
    struct fg_jinja_result spoken;
    struct sides sides = {.plain = plain, .spoken = &spoken};
    struct fg_jinja_error why;
    struct fg_chat_message *m;
    int rc;

    *out = (struct fg_chat_words_list){.n = 0};
    for (size_t i = 0; i < n; i++)
        any += request->messages[i].spoken.n > 0;
    if (!any)
        return 0;
    m = messages_of_words(request, &form, n);
    out->list = calloc(any, sizeof *out->list);
    r.messages = sides.words = m;
    rc = m && out->list ? fg_chat_run(c, p, &r, &spoken, &why) : FG_ENOMEM;
    if (rc == 0) {
        rc = place_all(request, n, &form, &sides, out);
        fg_jinja_result_finish(&spoken);
    }
    free_messages(m, request, n);
    if (rc == FG_ENOMEM) {
        free(out->list);
        out->list = NULL;
        return rc;
    }
    return 0; /* a template that does not take the words writes its own */
}
