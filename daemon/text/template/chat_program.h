/* A compiled template and what it wants; how a conversation is given to it. For the files of this
 * folder. */
#ifndef FG_CHAT_PROGRAM_H
#define FG_CHAT_PROGRAM_H

#include "chat.h"
#include "jinja/jinja.h"

/* What a template was found to want. */
struct fg_chat_wants {
    bool parts;   /* contents are lists of {"type": "text", "text": ...} */
    bool tools;   /* it writes the tools */
    bool calls;   /* it writes the calls of an assistant's message; else they are content */
    bool objects; /* arguments of calls are objects, not text */
    enum fg_tool_form form;
    enum fg_reasoning_form reasoning;
};

struct fg_chat_program {
    struct fg_jinja_program *jinja; /* NULL: there is none */
    struct fg_chat_wants wants;
    const char *doubt; /* why chats may not be what the model knows, or NULL; static storage */
};

struct fg_chat {
    struct fg_chat_program plain, with_tools;
    struct fg_buffer tokens[4]; /* bos, eos, unk, pad as JSON strings */
};

/* How the model answers, for this request. */
struct fg_answer_form fg_chat_form_of(const struct fg_chat_wants *wants,
                                      const struct fg_chat_request *r);

/* The variable `messages`: a JSON array of the messages as `wants` has it. Running out of memory
 * shows in out->failed. */
void fg_chat_messages(const struct fg_chat_wants *wants, const struct fg_chat_request *r,
                      struct fg_buffer *out);

/* Runs the program over the request. As fg_jinja_render(). */
int fg_chat_run(const struct fg_chat *c, const struct fg_chat_program *p,
                const struct fg_chat_request *r, struct fg_jinja_result *out,
                struct fg_jinja_error *error);

/* Finds out what the program wants. FG_ENOMEM. */
int fg_chat_probe(const struct fg_chat *c, struct fg_chat_program *p);

/* The places of `out` in the result, as they are before words are put in. FG_ENOMEM. */
int fg_chat_find_places(const struct fg_chat *c, const struct fg_chat_program *p,
                        const struct fg_chat_request *request, const struct fg_jinja_result *r,
                        struct fg_chat_text *out);

/* Whether a span of output came from that message's content. */
bool fg_chat_of_content(const struct fg_jinja_span *s, size_t message);

/* What templates trim from around a content. */
static inline bool fg_chat_is_blank(char c)
{
    return c == ' ' || c == '\n' || c == '\t' || c == '\r';
}

/* Bytes [from, to) of a rendered chat, and the words that take their place. */
struct fg_chat_words {
    size_t from, to;
    struct fg_str words; /* the request's, marks in it */
    size_t bytes;        /* of the words, each mark the text of its tag */
};
struct fg_chat_words_list {
    struct fg_chat_words *list; /* ascending, disjoint; malloc'd */
    size_t n;
};
/* Where the spoken answers of the request belong in `plain`, which it was rendered to without them.
 * *out is the caller's: it frees the list. FG_ENOMEM. */
int fg_chat_find_words(const struct fg_chat *c, const struct fg_chat_program *p,
                       const struct fg_chat_request *request, const struct fg_jinja_result *plain,
                       struct fg_chat_words_list *out);

#endif
