/* Answers in chats: what comes back as the model wrote it, and where an answer begins. */
#include "chats.h"

#define WORDS                                                                                      \
    "so\n\n<tool_call>\n{\"name\":\"f\",\"arguments\":{\"y\":1e3,\"x\":1.50}}\n</tool_call>\n"

/* They stand in their turn, are content from end to end, and what follows has moved. */
static void check_words(const struct fg_chat_text *t, const char *words)
{
    const char *end = words + strlen(WORDS);
    size_t at = (size_t)(words - t->text.p);

    assert_memory_equal(t->text.p, "<user>\na<end>\n<assistant>\nso", 27);
    assert_memory_equal(end, "<end>\n<tool>\nr<end>\n<user>\nbc<end>\n", 34);
    assert_string_equal(t->text.p + t->last_user, "<user>\nbc<end>\n");
    assert_string_equal(t->text.p + t->last_part, "c<end>\n");
    for (size_t k = 0; k < t->n_content; k++) {
        struct fg_span s = t->content[k];

        if (s.end > at && s.begin <= at) {
            assert_true(s.begin == at && s.end == at + strlen(WORDS));
        }
    }
}

/* An answer with calls comes back in the model's own words, where the template takes them. */
static void calls_come_back_as_they_were_spoken(void **state)
{
#define TURN(content) "{% for m in messages %}<{{ m.role }}>\n" content "<end>\n{% endfor %}"
#define WRITES                                                                                     \
    "{% for c in m.tool_calls %}\n<tool_call>\n{\"name\": \"{{ c.function.name }}\", "             \
    "\"arguments\": {{ c.function.arguments | tojson }}}\n</tool_call>{% endfor %}"
    static const struct {
        const char *text;
        bool spoken;
    } rows[] = {
        {TURN("{{ m.content }}" WRITES), true},
        {TURN("{{ m.content|trim }}" WRITES), true}, /* the blanks around it are put back */
        {TURN("{{ m.content|replace('so', 'S') }}" WRITES), false}, /* its words are not wanted */
        {TURN("{{ m.content }}" WRITES "{% if m.tool_calls %}!{% endif %}"), false},
        {TURN("{% if m.tool_calls %}!{% endif %}{{ m.content }}" WRITES), false},
        {TURN("{{ m.content }}{% if m.role == "
              "'assistant' and not m.tool_calls %}{{ raise_exception('a call') }}{% endif "
              "%}" WRITES),
         false},
    };
    struct fg_chat_message messages[] = {say("user", "a"), say("assistant", "so"), say("tool", "r"),
                                         say("user", "bc")};
    struct fg_chat_request r = {.messages = messages, .n_messages = 4};

    (void)state;
    messages[1].calls = view(CALLED);
    messages[1].spoken = view(WORDS);
    messages[3].last_part = 1;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct fg_chat *chat = chat_of(view(rows[i].text));
        struct fg_chat_text t;
        struct fg_err err = {0};
        const char *words;

        if (fg_chat_render(chat, &r, &t, &err) < 0) {
            fail_msg("%s: %s", rows[i].text, err.text);
        }
        words = strstr(t.text.p, WORDS);
        if ((words != NULL) != rows[i].spoken) {
            fail_msg("%s gives %s", rows[i].text, t.text.p);
        }
        if (words) {
            check_words(&t, words);
        } else {
            assert_non_null(strstr(t.text.p, "{\"x\": 1.50, \"y\": 1e3}"));
        }
        fg_chat_text_finish(&t);
        fg_chat_destroy(chat);
    }
}

/* Reasoning before a call is the model's own again, whether the client sent it back or not, where
 * the template keeps it. */
static void reasoning_comes_back_with_its_call(void **state)
{
#define THINKS(keeps)                                                                              \
    "{% for m in messages %}<{{ m.role }}>\n{% set c = m.content %}"                               \
    "{% set r = m.reasoning_content|default('') %}{% if '</think>' in c %}"                        \
    "{% set r = c.split('</think>')[0].strip('\n') %}"                                             \
    "{% set c = c.split('</think>')[1].lstrip('\n') %}{% endif %}"                                 \
    "{% if r and " keeps " %}<think>\n{{ r }}\n</think>\n\n{% endif %}{{ c }}" WRITES              \
    "<end>\n{% endfor %}"
#define SPOKEN                                                                                     \
    "I  see\n</think>\n\nso\n<tool_call>\n{\"name\":\"f\", \"arguments\": {\"x\": "                \
    "1}}\n</tool_call>"
    static const struct {
        const char *text, *extra;
        bool spoken;
    } rows[] = {
        {THINKS("true"), "", true},
        {THINKS("true"), "{\"reasoning_content\": \"I  see\"}", true},
        {THINKS("true"), "{\"reasoning\": \"I  see\"}", true},
        {THINKS("false"), "", false},
    };
    struct fg_chat_message messages[] = {say("user", "a"), say("assistant", "so"),
                                         say("tool", "r")};
    struct fg_chat_request r = {.messages = messages, .n_messages = 3};

    (void)state;
    messages[1].calls = view("[{\"id\": \"c\", \"function\": {\"name\": \"f\", \"arguments\": "
                             "\"{\\\"x\\\": 1}\"}}]");
    messages[1].spoken = view(SPOKEN);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct fg_chat *chat = chat_of(view(rows[i].text));
        struct fg_chat_text t;

        messages[1].extra = view(rows[i].extra);
        messages[1].thought = view(*rows[i].extra ? "" : "I  see");
        assert_int_equal(fg_chat_render(chat, &r, &t, NULL), 0);
        if ((strstr(t.text.p, "<think>\n" SPOKEN "<end>") != NULL) != rows[i].spoken)
            fail_msg("%s gives %s", rows[i].text, t.text.p);
        assert_int_equal(strstr(t.text.p, "I  see") != NULL, rows[i].spoken);
        fg_chat_text_finish(&t);
        fg_chat_destroy(chat);
    }
}

/* The control tokens of the model's own words are control tokens again, the same text in them is
 * not. */
static void marks_are_tags_of_the_template(void **state)
{
    static const char text[] = "{% for m in messages %}<{{ m.role }}>{{ m.content }}{% for c in "
                               "m.tool_calls %}<tool_call>{\"name\": \"{{ c.function.name }}\", "
                               "\"arguments\": {{ c.function.arguments | tojson }}}</tool_call>"
                               "{% endfor %}<end>{% endfor %}";
    static const char words[] = "\xF5{\"name\": \"f\", \"arguments\": {\"x\":\"<tool_call>\"}}\xF6";
    const struct fg_answer_form form = {
        .tools = FG_TOOLS_HERMES, .reasoning = FG_REASONING_THINK, .control = 3};
    struct fg_chat_message messages[] = {say("user", "a"), say("assistant", "")};
    struct fg_chat_request r = {.messages = messages, .n_messages = 2, .form = &form};
    struct fg_chat *chat = chat_of(view(text));
    struct fg_chat_text t;
    const char *at;

    (void)state;
    messages[1].calls = view("[{\"id\": \"c\", \"function\": {\"name\": \"f\", \"arguments\": "
                             "\"{\\\"x\\\": \\\"<tool_call>\\\"}\"}}]");
    messages[1].spoken = view(words);
    assert_int_equal(fg_chat_render(chat, &r, &t, NULL), 0);
    at = strstr(t.text.p, "<assistant><tool_call>{\"name\": \"f\", \"arguments\": "
                          "{\"x\":\"<tool_call>\"}}</tool_call><end>");
    assert_non_null(at);
    assert_true(t.n_content > 0);
    for (size_t i = 0; i < t.n_content; i++) { /* no tag lies in what is content */
        struct fg_span s = t.content[i];

        if (t.text.p + s.begin > at + strlen("<assistant>"))
            assert_int_equal(t.text.p[s.begin], '{');
    }
    fg_chat_text_finish(&t);
    fg_chat_destroy(chat);
}

/* Harmony has a channel for calls, so that the words are none of a content. */
static void harmony_calls_come_back(void **state)
{
    static const char text[] =
        "{% for m in messages %}{% if m.tool_calls %}{% if m.thinking %}<|start|>assistant"
        "<|channel|>analysis<|message|>{{ m.thinking }}<|end|>{% endif %}<|start|>assistant to="
        "functions.{{ m.tool_calls[0].function.name }}<|channel|>commentary json<|message|>"
        "{{ m.tool_calls[0].function.arguments|tojson }}<|call|>{% elif m.role == 'assistant' %}"
        "<|start|>assistant<|channel|>final<|message|>{{ m.content }}<|end|>{% else %}<|start|>"
        "{{ m.role }}<|message|>{{ m.content }}<|end|>{% endif %}{% endfor %}";
    static const char words[] = "\xF5"
                                "analysis\xF6I see\xF8\xF7"
                                "assistant\xF5"
                                "commentary to=functions.f \xFBjson\xF6{\"x\":1}";
    struct fg_chat_message messages[] = {say("user", "a"), say("assistant", "")};
    struct fg_chat_request r = {.messages = messages, .n_messages = 2};
    struct fg_chat *chat = chat_of(view(text));

    (void)state;
    assert_int_equal(fg_chat_answer_form(chat).tools, FG_TOOLS_HARMONY);
    assert_int_equal(fg_chat_answer_form(chat).reasoning, FG_REASONING_HARMONY);
    messages[1].calls = view("[{\"id\": \"c\", \"function\": {\"name\": \"f\", \"arguments\": "
                             "\"{\\\"x\\\": 1}\"}}]");
    messages[1].spoken = view(words);
    for (int thinks = 0; thinks < 2; thinks++) {
        struct fg_chat_text t;

        messages[1].thought = view(thinks ? "I see" : "");
        assert_int_equal(fg_chat_render(chat, &r, &t, NULL), 0);
        /* Where the thought is not to be there, nor are the words. */
        assert_string_equal(
            strstr(t.text.p, "a<|end|>") + 8,
            thinks
                ? "<|start|>assistant<|channel|>analysis<|message|>I see<|end|><|start|>assistant"
                  "<|channel|>commentary to=functions.f <|constrain|>json<|message|>{\"x\":1}"
                  "<|call|>"
                : "<|start|>assistant to=functions.f<|channel|>commentary json<|message|>"
                  "{\"x\": 1}<|call|>");
        fg_chat_text_finish(&t);
    }
    fg_chat_destroy(chat);
}

/* What a prompt ends with says where its answer begins. */
static void answers_begin_where_the_prompt_ends(void **state)
{
    static const char text[] = "{% for m in messages %}<{{ m.role }}>{{ m.content }}<end>{% endfor "
                               "%}{% if add_generation_prompt %}<assistant><think>\n{% if no %}\n"
                               "</think>\n\n{% endif %}{% endif %}";
    struct fg_chat_message messages[] = {say("user", "<think>"), say("assistant", "<think>\nI")};
    struct fg_chat_request r = {
        .messages = messages, .n_messages = 1, .add_generation_prompt = true};
    struct fg_chat *chat = chat_of(view(text));
    enum fg_answer_start wanted[] = {FG_STARTS_REASONING, FG_STARTS_TEXT, FG_STARTS_ANYHOW,
                                     FG_STARTS_REASONING};

    (void)state;
    assert_int_equal(fg_chat_answer_form(chat).reasoning, FG_REASONING_THINK);
    for (int i = 0; i < 4; i++) {
        struct fg_chat_text t;

        r.variables = view(i == 1 ? "{\"no\": true}" : "");
        r.add_generation_prompt = i < 2;
        r.continue_final = i == 3;
        r.n_messages = i == 3 ? 2 : 1;
        assert_int_equal(fg_chat_render(chat, &r, &t, NULL), 0);
        assert_int_equal(t.start, wanted[i]);
        fg_chat_text_finish(&t);
    }
    fg_chat_destroy(chat);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(calls_come_back_as_they_were_spoken),
        cmocka_unit_test(reasoning_comes_back_with_its_call),
        cmocka_unit_test(marks_are_tags_of_the_template),
        cmocka_unit_test(harmony_calls_come_back),
        cmocka_unit_test(answers_begin_where_the_prompt_ends),
    };

    return cmocka_run_group_tests_name("chat answers", tests, NULL, NULL);
}
