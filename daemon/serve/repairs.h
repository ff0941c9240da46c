/* Repairs: rules of text/repair/ applied to the messages of a chat, before it is rendered. Any
 * thread. */
#ifndef FG_REPAIRS_H
#define FG_REPAIRS_H

#include <stddef.h>
#include <stdint.h>

#include "text/repair/repair.h"
#include "text/template/chat.h"

/* A chat's messages, and places in them, which move with what is cut. */
struct fg_repairs {
    struct fg_chat_message *messages; /* [n] */
    size_t n;
    struct fg_chat_mark *marks; /* [FG_CHAT_MARKS]; where something was moved one is added */
    size_t n_marks;
    struct fg_repaired *texts; /* what the contents lie in then; [n], or NULL */
    uint32_t applied;
};

/* FG_ENOMEM. The caller finishes it in any case. */
int fg_repairs_apply(const struct fg_repair *rules, struct fg_repairs *r);
void fg_repairs_finish(struct fg_repairs *r);

#endif
