/* Steps of the fake engine: a thread of the device's own runs them, so that the one of the calls is
 * free meanwhile; what they compute is written when they are finished. */
#include <math.h>
#include <string.h>
#include <time.h>

#include "base/ticket.h"
#include "fake_parts.h"

static void *run_device(void *arg)
{
    struct fg_engine *e = arg;

    pthread_mutex_lock(&e->lock);
    while (!e->closing) {
        struct fg_step *s = e->given;

        if (!s) {
            pthread_cond_wait(&e->changed, &e->lock);
            continue;
        }
        pthread_mutex_unlock(&e->lock);
        if (fake_settings.on_step)
            fake_settings.on_step(fake_settings.on_step_ctx, s->number);
        else
            nanosleep(&(struct timespec){.tv_nsec = fake_settings.step_us * 1000L}, NULL);
        pthread_mutex_lock(&e->lock);
        e->given = NULL;
        pthread_cond_broadcast(&e->changed);
        if (s->ticket)
            fg_ticket_end(s->ticket, 0, NULL);
    }
    pthread_mutex_unlock(&e->lock);
    return NULL;
}

void fake_device_start(struct fg_engine *e)
{
    pthread_mutex_init(&e->lock, NULL);
    pthread_cond_init(&e->changed, NULL);
    CHECK(pthread_create(&e->device_thread, NULL, run_device, e) == 0);
}

void fake_device_stop(struct fg_engine *e)
{
    CHECK(e->steps[0].phase == FREE && e->steps[1].phase == FREE);
    pthread_mutex_lock(&e->lock);
    e->closing = true;
    pthread_cond_broadcast(&e->changed);
    pthread_mutex_unlock(&e->lock);
    pthread_join(e->device_thread, NULL);
    pthread_cond_destroy(&e->changed);
    pthread_mutex_destroy(&e->lock);
}

/* The step as a whole; returns what it takes from the pool. */
static uint32_t check_step(struct fg_engine *e, const struct fg_step_span *spans, uint32_t n)
{
    uint32_t tokens = 0, pages = 0;

    CHECK(n >= 1 && n <= e->info.n_seq);
    for (uint32_t i = 0; i < n; i++) {
        const struct fg_step_span *p = &spans[i];
        uint32_t end = p->seq->n + p->seq->ahead + p->n, need = fake_page_count(e, end);

        CHECK(p->seq->e == e && !p->seq->lacks_state);
        CHECK(p->n >= 1 && p->n_logits <= p->n && (p->logits || !p->n_logits));
        CHECK(p->n_best <= FG_BEST_MOST && (!p->n_best || (p->best && p->n_logits <= 1)));
        for (uint32_t j = 0; j < i; j++)
            CHECK(spans[j].seq != p->seq);
        for (uint32_t j = 0; j < p->n; j++)
            CHECK(p->tokens[j] >= 0 && p->tokens[j] < FAKE_VOCAB);
        CHECK(end <= e->info.n_ctx);
        tokens += p->n;
        pages += need > p->seq->n_pages ? need - p->seq->n_pages : 0;
    }
    CHECK(tokens <= e->info.n_batch);
    return pages;
}

static void add_span(struct fg_step *s, const struct fg_step_span *p)
{
    struct fg_seq *q = p->seq;
    uint32_t i = s->n++;

    s->spans[i] = *p;
    s->tokens[i] = malloc(p->n * sizeof *p->tokens);
    CHECK(s->tokens[i]);
    memcpy(s->tokens[i], p->tokens, p->n * sizeof *p->tokens);
    s->spans[i].tokens = s->tokens[i];
    s->begins[i] = q->n + q->ahead;
    q->ahead += p->n;
    q->in_steps++;
    for (; q->n_pages < fake_page_count(s->e, q->n + q->ahead); q->n_pages++)
        q->pages[q->n_pages] = fake_take_page(s->e, q->n_pages);
}

int fg_step_prepare(struct fg_engine *e, const struct fg_step_span *spans, uint32_t n,
                    struct fg_step **out, struct fg_err *err)
{
    struct fg_step *s = e->steps[0].phase == FREE ? &e->steps[0] : &e->steps[1];
    uint32_t pages;

    fake_check_thread(e);
    CHECK(s->phase == FREE);
    *out = NULL;
    pages = check_step(e, spans, n);
    if (pages > e->free_pages)
        return fg_fail(err, FG_EBUSY, "the step needs %u pages, %u are free", pages, e->free_pages);
    *s = (struct fg_step){.e = e, .phase = PREPARED, .ahead = e->submitted != NULL};
    for (uint32_t i = 0; i < n; i++)
        add_span(s, &spans[i]);
    *out = s;
    return 0;
}

int fg_step_token(struct fg_step *s, uint32_t i, int32_t id, struct fg_err *err)
{
    (void)err;
    fake_check_thread(s->e);
    CHECK(s->phase == PREPARED && i < s->n && s->spans[i].n == 1 && id >= 0 && id < FAKE_VOCAB);
    s->tokens[i][0] = id;
    return 0;
}

int fg_step_submit(struct fg_step *s, struct fg_ticket *ticket, struct fg_err *err)
{
    struct fg_engine *e = s->e;

    fake_check_thread(e);
    CHECK(s->phase == PREPARED && !e->submitted);
    s->number = ++fake_counters.steps;
    e->lost =
        e->lost || s->number == fake_settings.lose_at || s->number == fake_settings.lose_again_at;
    if (e->lost && s->number % 2) { /* else it is seen when the step is finished */
        s->phase = FAILED;
        return fake_lost(e, err);
    }
    for (uint32_t i = 0; i < s->n; i++) {
        CHECK(s->spans[i].seq->n == s->begins[i] && !s->spans[i].seq->running);
        s->spans[i].seq->running = true;
    }
    s->phase = SUBMITTED;
    fake_counters.ahead += s->ahead;
    s->ticket = ticket;
    e->submitted = s;
    if (ticket)
        fg_ticket_begin(ticket);
    pthread_mutex_lock(&e->lock);
    e->given = s;
    pthread_cond_broadcast(&e->changed);
    pthread_mutex_unlock(&e->lock);
    return 0;
}

static void leave(struct fg_step *s)
{
    for (uint32_t i = 0; i < s->n; i++) {
        struct fg_seq *q = s->spans[i].seq;

        q->ahead -= s->spans[i].n;
        q->in_steps--;
        q->running = q->running && s->phase != SUBMITTED;
        free(s->tokens[i]);
    }
    s->phase = FREE;
}

static void compute_all(struct fg_step *s)
{
    fake_counters.shared_steps += s->n > 1;
    for (uint32_t i = 0; i < s->n; i++) {
        struct fg_step_span *p = &s->spans[i];

        fake_counters.tokens += p->n;
        fake_compute(p->seq, p);
        if (s->number == fake_settings.nan_at && p->n_logits)
            p->logits[17] = NAN;
        if (s->number == fake_settings.nan_at && p->n_best)
            p->best[0].logit = NAN;
    }
}

int fg_step_finish(struct fg_step *s, struct fg_err *err)
{
    struct fg_engine *e = s->e;
    int rc;

    fake_check_thread(e);
    CHECK(s->phase == SUBMITTED);
    pthread_mutex_lock(&e->lock);
    while (e->given)
        pthread_cond_wait(&e->changed, &e->lock);
    pthread_mutex_unlock(&e->lock);
    rc = fake_lost(e, err);
    if (rc == 0)
        compute_all(s);
    e->submitted = NULL;
    leave(s);
    return rc;
}

void fg_step_drop(struct fg_step *s)
{
    if (!s)
        return;
    fake_check_thread(s->e);
    CHECK(s->phase == PREPARED || s->phase == FAILED);
    leave(s);
}

int fg_engine_step(struct fg_engine *e, const struct fg_step_span *spans, uint32_t n,
                   struct fg_err *err)
{
    struct fg_step *s;
    int rc = fg_step_prepare(e, spans, n, &s, err);

    if (rc)
        return rc;
    rc = fg_step_submit(s, NULL, err);
    if (rc == 0)
        return fg_step_finish(s, err);
    fg_step_drop(s);
    return rc;
}
