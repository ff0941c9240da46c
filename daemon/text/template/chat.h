/* Chats to prompt text: the chat template of the model is run.
 *
 * What a template wants is found out once, when it is compiled, by rendering small conversations:
 * whether contents are strings or lists of parts, whether it writes tools and tool calls, and
 * whether the arguments of a call are to be JSON text or objects. A conversation is given to it in
 * that form; what the client wrote of numbers, names and order stays as it was written.
 *
 * Every byte of the prompt is known by where it came from, so that control tokens are found in the
 * template's own text alone (fg_tokenizer_encode_chat). */
#ifndef FG_CHAT_H
#define FG_CHAT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "fulgur/error.h"
#include "fulgur/str.h"
#include "base/buffer.h"
#include "text/tokenizer/tokenizer.h"
#include "text/tools/tool_calls.h"

/* How one model's chats are written. Immutable: any thread. */
struct fg_chat; /* opaque */

/* The templates, and the special tokens that they may name; empty where there is none. */
struct fg_chat_spec {
    struct fg_str text;
    struct fg_str tools_text; /* takes the other's place in a request with tools */
    struct fg_str bos, eos, unk, pad;
};

/* Compiles. On success *out is the caller's until fg_chat_destroy(). FG_EUNSUPPORTED: there is no
 * template, or it is larger than can be; FG_EFORMAT: it is malformed (err says where); FG_ENOMEM.
 * *out is NULL then. */
int fg_chat_create(const struct fg_chat_spec *spec, struct fg_chat **out, struct fg_err *err);
void fg_chat_destroy(struct fg_chat *c); /* NULL is fine */

/* Why the template can hardly be the model's own, in words, or NULL; static storage. */
const char *fg_chat_doubt(const struct fg_chat *c);

/* How the model writes reasoning and tool calls, as its template tells it. */
struct fg_answer_form fg_chat_answer_form(const struct fg_chat *c);
/* Whether the template writes the tools of a request. */
bool fg_chat_writes_tools(const struct fg_chat *c);

/* The text of the template that is built in under that name (chatml, minimax-m1), or else of that
 * file: appended to *out. FG_EINVAL: it is empty, or not UTF-8; the errors of fg_file_read(). */
int fg_chat_template_read(const char *name_or_file, struct fg_buffer *out, struct fg_err *err);

struct fg_chat_message {
    struct fg_str role; /* system, user, assistant, tool */
    struct fg_str content;
    struct fg_str name;    /* empty: none */
    size_t last_part;      /* bytes of content before its last part; 0: it has one */
    struct fg_str calls;   /* OpenAI's tool_calls, a JSON array; empty: none */
    struct fg_str spoken;  /* an assistant's whole answer as the model wrote it, marks in it, of
                            * which content and calls were read; or empty */
    struct fg_str thought; /* the reasoning of those words, which the client left out; or empty */
    struct fg_str extra;   /* a JSON object: further members, given to the template; or empty */
};

/* A place in a chat that somebody wants to know in its text. */
enum { FG_CHAT_MARKS = 8 };
enum fg_chat_mark_kind {
    FG_CHAT_MARK_CONTENT, /* behind `at` bytes of a message's content */
    FG_CHAT_MARK_TURN,    /* behind all that is written of a message */
    FG_CHAT_MARK_TOOL,    /* behind a tool */
};
struct fg_chat_mark {
    enum fg_chat_mark_kind kind;
    size_t index; /* of the message, of the tool */
    size_t at;
};

struct fg_chat_request {
    const struct fg_chat_message *messages;
    size_t n_messages;          /* at least 1 */
    struct fg_str tools;        /* a JSON array, not empty; empty text: none */
    struct fg_str variables;    /* a JSON object: more variables for the template; or empty */
    bool add_generation_prompt; /* end with the header of the answer */
    bool continue_final;        /* end with the content of the last message, which goes on */
    int64_t now;                /* seconds since 1970, for the template's clock */
    const struct fg_chat_mark *marks;
    size_t n_marks; /* FG_CHAT_MARKS at most */
    /* How the model answers, its vocabulary looked at too; NULL: as the template tells it. */
    const struct fg_answer_form *form;
};

/* Appends the reasoning that came with a message, `reasoning_content` or `reasoning` of its further
 * members; nothing where it has none. */
void fg_chat_reasoning(const struct fg_chat_message *m, struct fg_buffer *out);

#define FG_CHAT_NOWHERE ((size_t)-1)

/* A rendered chat; offsets count bytes of `text`. Zero-initialized is empty. */
struct fg_chat_text {
    struct fg_buffer text;
    struct fg_span *content; /* what came from the request: ascending, disjoint, not empty */
    size_t n_content;
    size_t content_cap;
    size_t head_end; /* where the first turn that is not of the system begins, or FG_CHAT_NOWHERE */
    size_t first_end; /* where that turn ends, or FG_CHAT_NOWHERE */
    size_t last_user; /* where the last user message begins, or FG_CHAT_NOWHERE */
    size_t last_part; /* where its last part does; FG_CHAT_NOWHERE: it has one part, or none is */
    size_t marks[FG_CHAT_MARKS]; /* of the request's; FG_CHAT_NOWHERE: the template has no such
                                  * place, or does not tell it */
    enum fg_answer_start start;  /* where the answer begins */
};

/* Renders, within fg_jinja_default_limits. An answer that is known as it was spoken is written so
 * wherever the template, given those words as the content, writes them as they are between what it
 * writes before and after the message anyway; else as the template has it. On success *out is the
 * caller's until fg_chat_text_finish(); on failure it needs none. FG_EINVAL: what the request asks
 * for the template does not do, or it raised an exception (err has its words); FG_EUNSUPPORTED:
 * tools or tool calls for a template without; FG_ENOMEM. */
int fg_chat_render(const struct fg_chat *c, const struct fg_chat_request *request,
                   struct fg_chat_text *out, struct fg_err *err);
void fg_chat_text_finish(struct fg_chat_text *t);

#endif
