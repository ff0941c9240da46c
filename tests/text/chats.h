/* What the tests of chats share. */
#ifndef FG_TESTS_TEXT_CHATS_H
#define FG_TESTS_TEXT_CHATS_H

#include "vectors.h"

#include "text/template/chat.h"

/* A call of f, of which numbers are to stay as they are. */
#define CALLED                                                                                     \
    "[{\"id\": \"c\", \"type\": \"function\", \"function\": {\"name\": \"f\", \"arguments\": "     \
    "\"{\\\"x\\\":1.50,\\\"y\\\":1e3}\"}}]"

static inline struct fg_chat *chat_of(struct fg_str text)
{
    const struct fg_chat_spec spec = {.text = text, .bos = view("<s>"), .eos = view("</s>")};
    struct fg_chat *chat;
    struct fg_err err = {0};

    if (fg_chat_create(&spec, &chat, &err) < 0) {
        fail_msg("%s", err.text);
    }
    return chat;
}

static inline struct fg_chat_message say(const char *role, const char *content)
{
    return (struct fg_chat_message){.role = view(role), .content = view(content)};
}

#endif
