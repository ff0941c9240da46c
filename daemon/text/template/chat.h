/* Chats to prompt text, as the chat template of the model prints them.
 *
 * The templates in model files are Jinja programs. Two families are known by what their programs
 * write, and rendered here:
 *   chatml      <|im_start|>{role}\n{content}<|im_end|>\n for each message; a default system
 * message first when the template has one as a literal and the first message is not a system
 *               message. Has no tools.
 *   minimax-m1  MiniMax-M1 and Text-01: all system messages joined in front, a block of tools, then
 *               the turns; tool results carry the name of their tool.
 * Content is copied as it is. Where it lies in the text is reported, so that control tokens are not
 * found inside it (fg_tokenizer_encode_chat). */
#ifndef FG_CHAT_H
#define FG_CHAT_H

#include <stdbool.h>
#include <stddef.h>

#include "fulgur/error.h"
#include "fulgur/str.h"
#include "base/buffer.h"
#include "text/tokenizer/tokenizer.h"

enum fg_chat_format { FG_CHAT_CHATML, FG_CHAT_MINIMAX_M1 };

/* How one model's chats are written. Immutable after fg_chat_init(): any thread. */
struct fg_chat {
    enum fg_chat_format format;
    struct fg_buffer default_system; /* chatml: content of the default message; p NULL: none */
    const char *tool_quote;          /* minimax-m1: what the instructions put around `name` */
};

struct fg_chat_message {
    struct fg_str role; /* system, user, assistant, tool */
    struct fg_str content;
    struct fg_str name; /* minimax-m1: the tool that a tool message answers for; else ignored */
    size_t last_part;   /* bytes of content before its last part; 0: it has one */
};

struct fg_chat_request {
    const struct fg_chat_message *messages;
    size_t n_messages;          /* at least 1 */
    struct fg_str tools;        /* a JSON array of objects, each printed as given; empty: none */
    bool add_generation_prompt; /* end with the header of the answer */
};

#define FG_CHAT_NOWHERE ((size_t)-1)

/* A rendered chat; offsets count bytes of `text`. Zero-initialized is empty. */
struct fg_chat_text {
    struct fg_buffer text;
    struct fg_span *content; /* what came from messages and tools: ascending, disjoint, not empty */
    size_t n_content;
    size_t content_cap;
    size_t head_end;  /* where system prompt and tools end and the first turn begins */
    size_t last_user; /* where the last user message begins, or FG_CHAT_NOWHERE */
    size_t last_part; /* where its last part does; FG_CHAT_NOWHERE: it has one part, or none is */
};

/* Finds the format from the text of the file's chat template, or takes the one called `name`
 * ("chatml", "minimax-m1") when that is not empty; the template then still gives the details.
 * Neither view is kept. FG_EUNSUPPORTED (err lists the formats), FG_ENOMEM; on failure *c needs no
 * fg_chat_finish(). */
int fg_chat_init(struct fg_chat *c, struct fg_str template_text, struct fg_str name,
                 struct fg_err *err);
void fg_chat_finish(struct fg_chat *c);

/* Static storage. */
const char *fg_chat_format_name(enum fg_chat_format format);

/* Renders. On success *out is the caller's until fg_chat_text_finish(); on failure it needs none.
 * FG_EINVAL (err names the index of the message and what is wrong, or where `tools` is no JSON
 * array of objects), FG_EUNSUPPORTED (tools for a format without), FG_ENOMEM. */
int fg_chat_render(const struct fg_chat *c, const struct fg_chat_request *request,
                   struct fg_chat_text *out, struct fg_err *err);
void fg_chat_text_finish(struct fg_chat_text *t);

#endif
