/* The text of a chat completion's body, as another dialect's request is made to one: strings and
 * objects go over as they were written, so that the same request always makes the same prompt.
 * Running out of memory shows in `failed` of the buffers. Pure; any thread. */
#ifndef FG_API_CHAT_TEXT_H
#define FG_API_CHAT_TEXT_H

#include <stdbool.h>

#include "base/buffer.h"
#include "fulgur/str.h"
#include "http/errors.h"

/* A message while it is put together. Zeros: an empty one. Strings are JSON with their quotes. */
struct fg_chat_draft {
    const char *role; /* static */
    struct fg_buffer parts, reasoning, calls, call_id;
    struct fg_buffer hint; /* a member of the message */
    size_t n_parts;
    bool hinted; /* one of the parts has another member */
};

void fg_chat_part(struct fg_chat_draft *m, struct fg_str quoted);
/* The same with plain words before it, which hold nothing that JSON escapes. */
void fg_chat_part_after(struct fg_chat_draft *m, const char *words, struct fg_str quoted);
/* A further member of the part that was added last, or where there is none, of the message. */
void fg_chat_part_member(struct fg_chat_draft *m, const char *name, struct fg_str value);
/* A further member of the message; the last one counts. */
void fg_chat_hint(struct fg_chat_draft *m, const char *name, struct fg_str value);
void fg_chat_thought(struct fg_chat_draft *m, struct fg_str quoted);
/* `arguments` is a string with its quotes, or an object, of which one is made. */
void fg_chat_call(struct fg_chat_draft *m, struct fg_str id, struct fg_str name,
                  struct fg_str arguments);
/* Whether there is anything in it. */
bool fg_chat_any(const struct fg_chat_draft *m);
/* Appends it to an array of messages, and empties it. */
void fg_chat_draft_end(struct fg_chat_draft *m, struct fg_buffer *messages);
void fg_chat_draft_finish(struct fg_chat_draft *m);

/* Appends a member to an object that is being written: its first byte, `{`, is written here. */
void fg_chat_member(struct fg_buffer *object, const char *name, struct fg_str value);
/* What another dialect makes of a member that a chat has otherwise, or not at all. */
enum fg_chat_use {
    FG_CHAT_OWN,     /* the dialect reads it itself */
    FG_CHAT_NOTHING, /* changes no answer here */
    FG_CHAT_NEVER,   /* refused, unless its value changes nothing */
};

struct fg_chat_members {
    const char *path; /* of the API, for messages */
    const struct fg_chat_row {
        const char *name;
        enum fg_chat_use use;
    } * rows; /* [n] */
    size_t n;
};

/* Appends the members of the object `body` that are no rows: a chat has them under the same names.
 * FG_EINVAL with *e filled: one is refused. */
int fg_chat_copy(const struct fg_chat_members *members, struct fg_str body, struct fg_buffer *chat,
                 struct fg_http_error *e);
/* Appends an element to an array's inside. */
void fg_chat_comma(struct fg_buffer *list);
/* A function as OpenAI's `tools` have it; an empty description or parameters are left out. */
void fg_chat_tool(struct fg_buffer *tools, struct fg_str name, struct fg_str description,
                  struct fg_str parameters);

#endif
