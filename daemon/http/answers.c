#include "answers.h"

#include <stdlib.h>
#include <string.h>
#include <event2/buffer.h>

#include "base/clock.h"
#include "base/log.h"
#include "conn.h"

/* A whole answer on its way. */
struct answer {
    char *text;
    struct fg_hold hold;
};

/* Who makes room: of `tenant`, or of any (NULL). NULL: all take what they get. */
static struct fg_conn *find_stalled(const struct fg_conn *but, const uint8_t *tenant)
{
    const struct fg_http *http = but->http;
    double now = fg_clock_ms();
    struct fg_conn *c, *longest = NULL;

    LIST_FOREACH(c, &http->conns, link)
    {
        if (c == but || fg_conn_unsent(c) <= FG_ANSWER_SMALL || now - c->moved < http->stall_ms ||
            (tenant && memcmp(c->tenant, tenant, sizeof c->tenant) != 0))
            continue;
        if (!longest || c->moved < longest->moved)
            longest = c;
    }
    return longest;
}

/* n bytes more, for which others may have to go. */
static int hold(struct fg_conn *c, struct fg_hold *h, size_t n)
{
    for (;;) {
        bool own = false;
        int rc = fg_hold_alone(h, c->http->answers, c->tenant, n, &own);
        struct fg_conn *stalled = rc == FG_EBUSY ? find_stalled(c, own ? c->tenant : NULL) : NULL;

        if (!stalled)
            return rc;
        fg_log(FG_LOG_WARN, "api", "closed cause=\"the client does not read\" unsent=%zu",
               fg_conn_unsent(stalled));
        fg_conn_close(stalled);
    }
}

static void free_text(const void *data, size_t n, void *text)
{
    (void)data;
    (void)n;
    free(text);
}

static void free_answer(const void *data, size_t n, void *arg)
{
    struct answer *a = arg;

    (void)data;
    (void)n;
    free(a->text);
    fg_hold_release(&a->hold);
    free(a);
}

static int add_large(struct fg_conn *c, struct evbuffer *out, char *text, size_t n)
{
    struct answer *a = calloc(1, sizeof *a);
    int rc = a ? hold(c, &a->hold, n) : FG_ENOMEM;

    if (rc == 0 && evbuffer_add_reference(out, text, n, free_answer, a) < 0)
        rc = FG_ENOMEM;
    if (rc == 0) {
        a->text = text;
        return 0;
    }
    if (a)
        fg_hold_release(&a->hold);
    free(a);
    return rc;
}

int fg_answers_add(struct fg_conn *c, struct evbuffer *out, char *text, size_t n,
                   struct fg_http_error *e)
{
    int rc = 0;

    if (n > FG_ANSWER_SMALL)
        rc = add_large(c, out, text, n);
    else if (evbuffer_add_reference(out, text, n, free_text, text) < 0)
        rc = FG_ENOMEM;
    if (rc == 0)
        return 0;
    if (rc == FG_ENOMEM)
        return fg_http_fail(e, 500, NULL, NULL, "out of memory");
    fg_log(FG_LOG_WARN, "api", "refused cause=\"answers are not read\" bytes=%zu", n);
    return fg_http_fail(e, 503, NULL, "answers_full",
                        "there is no room for an answer of %zu bytes beside those that are not "
                        "read yet; read them, or send the request again",
                        n);
}

int fg_answers_grow(struct fg_conn *c)
{
    size_t unsent = fg_conn_unsent(c);

    if (unsent <= FG_ANSWER_SMALL || unsent <= c->unread.bytes)
        return 0;
    return hold(c, &c->unread, unsent - c->unread.bytes);
}

void fg_answers_sent(struct fg_conn *c)
{
    size_t unsent;

    if (!c->unread.budget)
        return;
    unsent = fg_conn_unsent(c);
    if (unsent > FG_ANSWER_SMALL)
        fg_hold_keep(&c->unread, unsent);
    else
        fg_hold_release(&c->unread);
}
