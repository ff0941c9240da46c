/* Places in chats that somebody asks for: parts of contents, turns, tools. */
#include "chats.h"

static struct fg_chat_text render(const struct fg_chat *chat, const struct fg_chat_request *r)
{
    struct fg_chat_text t;
    struct fg_err err = {0};

    if (fg_chat_render(chat, r, &t, &err))
        fail_msg("%s", err.text);
    return t;
}

#define TURNS "{% for m in messages %}<{{ m.role }}>{{ m.content|trim }}<end>{% endfor %}"

static void parts_and_turns(void **state)
{
    struct fg_chat_message messages[] = {say("system", " one two "), say("user", "three"),
                                         say("assistant", "four"), say("user", "five")};
    const struct fg_chat_mark marks[] = {{FG_CHAT_MARK_CONTENT, 0, 4}, {FG_CHAT_MARK_CONTENT, 0, 0},
                                         {FG_CHAT_MARK_CONTENT, 0, 9}, {FG_CHAT_MARK_TURN, 2, 0},
                                         {FG_CHAT_MARK_CONTENT, 3, 4}, {FG_CHAT_MARK_TURN, 9, 0},
                                         {FG_CHAT_MARK_CONTENT, 9, 0}, {FG_CHAT_MARK_TOOL, 0, 0}};
    struct fg_chat_request r = {
        .messages = messages, .n_messages = 4, .marks = marks, .n_marks = FG_CHAT_MARKS};
    struct fg_chat *chat = chat_of(view(TURNS));
    struct fg_chat_text t;

    (void)state;
    t = render(chat, &r);
    assert_string_equal(t.text.p + t.marks[0],
                        " two<end><user>three<end><assistant>four<end><user>five<end>");
    assert_int_equal(t.marks[1], strlen("<system>")); /* what was trimmed has no place of its own */
    assert_int_equal(t.marks[2], strlen("<system>one two"));
    assert_string_equal(t.text.p + t.marks[3], "<user>five<end>");
    assert_string_equal(t.text.p + t.marks[4], "<end>");
    for (int i = 5; i < 8; i++)
        assert_true(t.marks[i] == FG_CHAT_NOWHERE);
    assert_string_equal(t.text.p + t.first_end, "<assistant>four<end><user>five<end>");
    fg_chat_text_finish(&t);
    fg_chat_destroy(chat);

    /* A content that is written otherwise: its end alone is known. */
    chat = chat_of(view("{% for m in messages %}{{ m.content|replace('o', 'O') }};{% endfor %}"));
    t = render(chat, &r);
    assert_true(t.marks[0] == FG_CHAT_NOWHERE);
    assert_string_equal(t.text.p + t.marks[4], ";");
    fg_chat_text_finish(&t);
    fg_chat_destroy(chat);
}

static void tools(void **state)
{
    struct fg_chat_message messages[] = {say("user", "three")};
    const struct fg_chat_mark marks[] = {
        {FG_CHAT_MARK_TOOL, 0, 0}, {FG_CHAT_MARK_TOOL, 1, 0}, {FG_CHAT_MARK_TOOL, 2, 0}};
    struct fg_chat_request r = {.messages = messages,
                                .n_messages = 1,
                                .tools = view("[{\"name\": \"a\"}, {\"name\": \"b\"}]"),
                                .marks = marks,
                                .n_marks = 3};
    struct fg_chat *chat = chat_of(
        view("{% if tools %}[{% for t in tools %}{{ t | tojson }};{% endfor %}]{% endif %}" TURNS));
    struct fg_chat_text t;

    (void)state;
    t = render(chat, &r);
    /* With another tool behind it the prompt would part there. */
    assert_string_equal(t.text.p + t.marks[0], "{\"name\": \"b\"};]<user>three<end>");
    assert_string_equal(t.text.p + t.marks[1], ";]<user>three<end>");
    assert_true(t.marks[2] == FG_CHAT_NOWHERE);
    fg_chat_text_finish(&t);
    fg_chat_destroy(chat);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parts_and_turns),
        cmocka_unit_test(tools),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
