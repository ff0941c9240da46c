#include "repairs.h"

#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "fulgur/error.h"

/* Others part where the text begins that was moved: its place is worth a state. */
static void mark_moved(struct fg_repairs *r, size_t message, const struct fg_repaired *text)
{
    if (text->moved < text->text.n && text->moved > 0 && r->n_marks < FG_CHAT_MARKS)
        r->marks[r->n_marks++] = (struct fg_chat_mark){FG_CHAT_MARK_CONTENT, message, text->moved};
}

static int apply(const struct fg_repair *rules, enum fg_repair_where where, size_t message,
                 struct fg_repairs *r)
{
    struct fg_chat_message *m = &r->messages[message];
    struct fg_repaired *text = &r->texts[message];
    int rc = fg_repair_apply(rules, where, m->content, text);

    if (rc || !text->applied)
        return rc;
    for (size_t i = 0; i < r->n_marks; i++)
        if (r->marks[i].kind == FG_CHAT_MARK_CONTENT && r->marks[i].index == message)
            r->marks[i].at = fg_repaired_place(text, r->marks[i].at);
    m->last_part = fg_repaired_place(text, m->last_part);
    m->content = (struct fg_str){text->text.n ? text->text.p : "", text->text.n};
    r->applied |= text->applied;
    mark_moved(r, message, text);
    return 0;
}

int fg_repairs_apply(const struct fg_repair *rules, struct fg_repairs *r)
{
    bool user = false;
    int rc = 0;

    if (!rules || !r->n)
        return 0;
    r->texts = calloc(r->n, sizeof *r->texts);
    if (!r->texts)
        return FG_ENOMEM;
    for (size_t i = 0; rc == 0 && i < r->n; i++) {
        if (fg_str_is(r->messages[i].role, "system"))
            rc = apply(rules, FG_REPAIR_SYSTEM, i, r);
        else if (fg_str_is(r->messages[i].role, "user") && !user) {
            user = true;
            rc = apply(rules, FG_REPAIR_FIRST_MESSAGE, i, r);
        }
    }
    return rc;
}

void fg_repairs_finish(struct fg_repairs *r)
{
    for (size_t i = 0; r->texts && i < r->n; i++)
        fg_repaired_finish(&r->texts[i]);
    free(r->texts);
    r->texts = NULL;
}
