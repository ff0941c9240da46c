#include "mailbox.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

int fg_mailbox_init(struct fg_mailbox *m, struct fg_err *err)
{
    m->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (m->wake_fd < 0)
        return fg_fail(err, FG_EIO, "eventfd: %s", strerror(errno));
    m->first = NULL;
    m->last = &m->first;
    if (pthread_mutex_init(&m->lock, NULL) == 0) {
        if (pthread_cond_init(&m->arrived, NULL) == 0)
            return 0;
        pthread_mutex_destroy(&m->lock);
    }
    close(m->wake_fd);
    m->wake_fd = -1;
    return fg_fail(err, FG_ENOMEM, "the API's lock could not be made");
}

void fg_mailbox_finish(struct fg_mailbox *m)
{
    pthread_cond_destroy(&m->arrived);
    pthread_mutex_destroy(&m->lock);
    close(m->wake_fd);
}

struct fg_letter *fg_letter_new(void *to, const struct fg_job_event *event)
{
    size_t n_top = 0, at = sizeof(struct fg_letter);
    struct fg_job_token *tokens;
    struct fg_token_logprob *top;
    struct fg_letter *l;

    for (size_t i = 0; i < event->n_tokens; i++)
        n_top += event->tokens[i].n_top;
    l = malloc(at + event->n_tokens * sizeof *tokens + n_top * sizeof *top + event->text_bytes);
    if (!l)
        return NULL;
    l->next = NULL;
    l->to = to;
    l->event = *event;
    tokens = (struct fg_job_token *)((char *)l + at);
    top = (struct fg_token_logprob *)(tokens + event->n_tokens);
    l->event.tokens = tokens;
    for (size_t i = 0; i < event->n_tokens; i++) {
        tokens[i] = event->tokens[i];
        tokens[i].top = top;
        if (tokens[i].n_top)
            memcpy(top, event->tokens[i].top, tokens[i].n_top * sizeof *top);
        top += tokens[i].n_top;
    }
    if (event->text_bytes)
        memcpy(top, event->text, event->text_bytes);
    l->event.text = (const char *)top;
    return l;
}

void fg_mailbox_post(struct fg_mailbox *m, struct fg_letter *letter)
{
    const uint64_t one = 1;

    letter->next = NULL;
    pthread_mutex_lock(&m->lock);
    *m->last = letter;
    m->last = &letter->next;
    pthread_cond_signal(&m->arrived);
    /* Inside the lock: whoever has taken the letter may destroy the mailbox. A full counter wakes
     * as well as one more would. */
    if (write(m->wake_fd, &one, sizeof one) < 0)
        (void)0;
    pthread_mutex_unlock(&m->lock);
}

struct fg_letter *fg_mailbox_take(struct fg_mailbox *m, bool wait)
{
    struct fg_letter *all;
    uint64_t count;

    pthread_mutex_lock(&m->lock);
    while (wait && !m->first)
        pthread_cond_wait(&m->arrived, &m->lock);
    all = m->first;
    m->first = NULL;
    m->last = &m->first;
    if (read(m->wake_fd, &count, sizeof count) < 0)
        (void)0; /* nothing was signalled: fine */
    pthread_mutex_unlock(&m->lock);
    return all;
}
