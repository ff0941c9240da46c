/* Answers in the model's own words: where in a rendered chat they take the place of what the
 * template makes of their content and calls. */
#include <stdlib.h>
#include <string.h>

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

/* The one turn of a message, or NULL. */
static const struct fg_jinja_range *turn_of(const struct fg_jinja_result *r, size_t message)
{
    const struct fg_jinja_range *found = NULL;

    for (size_t i = 0; i < r->n_turns; i++)
        if (r->turns[i].message == message) {
            if (found)
                return NULL;
            found = &r->turns[i];
        }
    return found;
}

/* Where in a turn the words stand, around all that came from the message's content. */
static bool find_words(const struct fg_jinja_result *r, const struct fg_jinja_range *turn,
                       struct fg_str words, size_t *at)
{
    size_t first = SIZE_MAX, last = 0, end = turn->offset + turn->length;
    const char *hit = r->text + turn->offset;

    for (size_t i = 0; i < r->n_spans; i++)
        if (fg_chat_of_content(&r->spans[i], turn->message)) {
            first = first < r->spans[i].offset ? first : r->spans[i].offset;
            last = r->spans[i].offset + r->spans[i].length;
        }
    while (words.n && first != SIZE_MAX) {
        hit = memmem(hit, (size_t)(r->text + end - hit), words.p, words.n);
        if (!hit || (size_t)(hit - r->text) > first)
            return false;
        *at = (size_t)(hit - r->text);
        if (*at + words.n >= last)
            return true;
        hit++;
    }
    return false;
}

/* What the template writes around the words must be what it writes around content and calls; and
 * what it makes of these, read as an answer, must say the same as the words. */
static bool place(const struct fg_jinja_result *plain, const struct fg_jinja_result *spoken,
                  size_t message, enum fg_tool_form form, struct fg_chat_words *out)
{
    struct fg_str words = out->words;
    const struct fg_jinja_range *a = turn_of(plain, message), *b = turn_of(spoken, message);
    size_t at, before, after;

    if (!a || !b)
        return false;
    if (!find_words(spoken, b, words, &at)) {
        words = trim(words);
        if (!find_words(spoken, b, words, &at))
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
    return fg_tool_calls_alike(form, out->words,
                               (struct fg_str){plain->text + out->from, out->to - out->from});
}

static struct fg_chat_message *messages_of_words(const struct fg_chat_request *r, size_t n)
{
    struct fg_chat_message *m = calloc(r->n_messages, sizeof *m);

    if (!m)
        return NULL;
    memcpy(m, r->messages, r->n_messages * sizeof *m);
    for (size_t i = 0; i < n; i++)
        if (m[i].spoken.n) {
            m[i].content = m[i].spoken;
            m[i].calls = (struct fg_str){"", 0};
        }
    return m;
}

int fg_chat_find_words(const struct fg_chat *c, const struct fg_chat_program *p,
                       const struct fg_chat_request *request, const struct fg_jinja_result *plain,
                       struct fg_chat_words_list *out)
{
    size_t n = request->n_messages - request->continue_final, any = 0;
    struct fg_chat_request r = *request;
    struct fg_jinja_result spoken;
    struct fg_jinja_error why;
    struct fg_chat_message *m;
    int rc;

    *out = (struct fg_chat_words_list){.n = 0};
    for (size_t i = 0; i < n; i++)
        any += request->messages[i].spoken.n > 0;
    if (!any)
        return 0;
    m = messages_of_words(request, n);
    out->list = calloc(any, sizeof *out->list);
    r.messages = m;
    rc = m && out->list ? fg_chat_run(c, p, &r, &spoken, &why) : FG_ENOMEM;
    for (size_t i = 0; rc == 0 && i < n; i++) {
        struct fg_chat_words w = {.words = request->messages[i].spoken};

        if (w.words.n && place(plain, &spoken, i, p->wants.form, &w))
            out->list[out->n++] = w;
    }
    if (rc == 0)
        fg_jinja_result_finish(&spoken);
    free(m);
    if (rc == FG_ENOMEM) {
        free(out->list);
        out->list = NULL;
        return rc;
    }
    return 0; /* a template that does not take the words writes its own */
}
