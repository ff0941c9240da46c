/* A chat template of a model file, and messages rendered by it. The first byte chooses one of the
 * known templates or the input's own; the messages are separated by NUL. */
#include "fuzz.h"

#include "text/template/chat.h"

enum { MESSAGES = 16 };

static const char *const templates[] = {
    "{% for m in messages %}<|im_start|>{{m.role}}\n{{m.content}}<|im_end|>\n{% endfor %}",
    "{{'<|im_start|>system\nYou are helpful<|im_end|>\n'}}<|im_start|>",
    "{% for m in messages %}{{ m.content[0].text }}{{ m.tool_calls }}{% endfor %}{{ tools }}",
};

static struct fg_str view(const uint8_t *p, size_t n)
{
    return (struct fg_str){(const char *)p, n};
}

static struct fg_str role(unsigned which)
{
    static const char *const roles[] = {"system", "user", "assistant", "tool", "nobody"};
    const char *r = roles[which % 5 < 4 || which > 250 ? which % 5 : 1];

    return (struct fg_str){r, strlen(r)};
}

static void check(const struct fg_chat_text *t)
{
    size_t at = 0;

    for (size_t i = 0; i < t->n_content; i++) {
        HOLDS(t->content[i].begin >= at && t->content[i].end > t->content[i].begin);
        at = t->content[i].end;
    }
    HOLDS(at <= t->text.n);
    HOLDS(t->head_end == FG_CHAT_NOWHERE || t->head_end <= t->text.n);
    HOLDS(t->last_user == FG_CHAT_NOWHERE || t->last_user <= t->text.n);
    HOLDS(t->last_part == FG_CHAT_NOWHERE || t->last_part <= t->text.n);
    HOLDS(t->first_end == FG_CHAT_NOWHERE || t->first_end <= t->text.n);
    for (size_t i = 0; i < FG_CHAT_MARKS; i++)
        HOLDS(t->marks[i] == FG_CHAT_NOWHERE || t->marks[i] <= t->text.n);
}

static void render(const struct fg_chat *c, struct input *in)
{
    struct fg_chat_message messages[MESSAGES];
    struct fg_chat_mark marks[FG_CHAT_MARKS];
    struct fg_chat_request request = {.messages = messages, .marks = marks};
    struct fg_chat_text text;
    struct fg_err err = {0};
    const uint8_t *p;
    size_t n;

    request.add_generation_prompt = take(in, 1) & 1;
    request.continue_final = take(in, 1) & 1;
    p = take_until(in, 0, &n);
    request.tools = view(p, n);
    while (in->n && request.n_messages < MESSAGES) {
        struct fg_chat_message *m = &messages[request.n_messages++];
        unsigned which = (unsigned)take(in, 1), part = (unsigned)take(in, 1);

        p = take_until(in, 0, &n);
        *m = (struct fg_chat_message){.role = role(which), .content = view(p, n)};
        m->last_part = n ? part % (n + 1) : 0;
        m->name = which & 0x40 ? m->content : (struct fg_str){"f", 1};
        if (request.n_marks < FG_CHAT_MARKS)
            marks[request.n_marks++] =
                (struct fg_chat_mark){.kind = (enum fg_chat_mark_kind)(part % 3),
                                      .index = (which + part) % MESSAGES,
                                      .at = m->last_part};
    }
    if (fg_chat_render(c, &request, &text, &err)) {
        HOLDS(err.text[0]);
        return;
    }
    check(&text);
    fg_chat_text_finish(&text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct input in = {data, n};
    unsigned which = (unsigned)take(&in, 1) % 4;
    struct fg_err err = {0};
    struct fg_chat_spec spec = {.bos = {"<s>", 3}};
    struct fg_chat *chat;
    size_t bytes;

    if (which < 3) {
        spec.text = (struct fg_str){templates[which], strlen(templates[which])};
    } else {
        const uint8_t *p = take_until(&in, 0, &bytes);

        spec.text = view(p, bytes);
    }
    if (fg_chat_create(&spec, &chat, &err)) {
        HOLDS(err.text[0]);
        return 0;
    }
    render(chat, &in);
    fg_chat_destroy(chat);
    return 0;
}
