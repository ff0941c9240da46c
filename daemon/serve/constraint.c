#include "constraint.h"

#include <stdlib.h>
#include <string.h>

#include "fair.h"
#include "job_state.h"
#include "text/grammar/form.h"
#include "vocabulary.h"

enum { MAX_HELD = 32 };
#define MAX_HELD_BYTES ((size_t)128 << 20)

/* A form, for the jobs that use it and those to come. */
struct fg_held_form {
    _Atomic int refs;
    struct fg_held_form *next; /* in the list, which has a reference */
    struct fg_tenant tenant;
    enum fg_form_kind kind;
    bool chat;
    enum fg_answer_start start; /* of a chat's answer */
    char *text;
    size_t n;
    struct fg_automaton *automaton; /* the thread's */
    _Atomic size_t bytes;           /* that it takes */
};

static void unref(struct fg_held_form *f)
{
    if (!f || atomic_fetch_sub(&f->refs, 1) != 1)
        return;
    fg_automaton_destroy(f->automaton);
    free(f->text);
    free(f);
}

static struct fg_held_form *ref(struct fg_held_form *f)
{
    atomic_fetch_add(&f->refs, 1);
    return f;
}

/* Takes over the automaton, also where it fails. */
static struct fg_held_form *create(const struct fg_tenant *tenant, const struct fg_form *form,
                                   struct fg_automaton *automaton)
{
    struct fg_held_form *f = calloc(1, sizeof *f);
    char *copy = malloc(form->text.n + 1);

    if (!f || !copy) {
        free(f);
        free(copy);
        fg_automaton_destroy(automaton);
        return NULL;
    }
    if (form->text.n)
        memcpy(copy, form->text.p, form->text.n);
    atomic_init(&f->refs, 1);
    f->tenant = *tenant;
    f->kind = form->kind;
    f->chat = form->turn.form != NULL;
    f->start = form->turn.start;
    f->text = copy;
    f->n = form->text.n;
    f->automaton = automaton;
    atomic_init(&f->bytes, fg_automaton_bytes(automaton));
    return f;
}

/* --- the list; under the lock --- */

static bool is_same(const struct fg_held_form *f, const struct fg_tenant *tenant,
                    const struct fg_form *form)
{
    return f->kind == form->kind && f->n == form->text.n && fg_same_tenant(&f->tenant, tenant) &&
           f->chat == (form->turn.form != NULL) && f->start == form->turn.start &&
           (!f->n || memcmp(f->text, form->text.p, f->n) == 0);
}

static struct fg_held_form *find(struct fg_constraints *c, const struct fg_tenant *tenant,
                                 const struct fg_form *form)
{
    for (struct fg_held_form **at = &c->held; *at; at = &(*at)->next) {
        struct fg_held_form *f = *at;

        if (!is_same(f, tenant, form))
            continue;
        *at = f->next;
        f->next = c->held;
        c->held = f;
        return f;
    }
    return NULL;
}

/* Lets go those that were used longest ago. */
static void trim(struct fg_constraints *c)
{
    struct fg_held_form **at = &c->held, *f, *next;
    size_t n = 0, bytes = 0;

    while (*at && n < MAX_HELD && (bytes += atomic_load(&(*at)->bytes)) <= MAX_HELD_BYTES) {
        at = &(*at)->next;
        n++;
    }
    f = *at;
    *at = NULL;
    for (; f; f = next) {
        next = f->next;
        unref(f);
    }
}

static void put(struct fg_constraints *c, struct fg_held_form *f)
{
    pthread_mutex_lock(&c->lock);
    f->next = c->held;
    c->held = ref(f);
    trim(c);
    pthread_mutex_unlock(&c->lock);
}

/* Puts `now` where `old` was; not where that was let go, or never there. */
static void replace(struct fg_constraints *c, struct fg_held_form *old, struct fg_held_form *now)
{
    struct fg_held_form **at = &c->held;

    pthread_mutex_lock(&c->lock);
    while (*at && *at != old)
        at = &(*at)->next;
    if (*at) {
        now->next = old->next;
        *at = ref(now);
        unref(old);
    }
    pthread_mutex_unlock(&c->lock);
}

void fg_constraints_forget(struct fg_constraints *c, const struct fg_tenant *tenant)
{
    struct fg_held_form **at = &c->held;

    pthread_mutex_lock(&c->lock);
    while (*at) {
        struct fg_held_form *f = *at;

        if (!fg_same_tenant(&f->tenant, tenant)) {
            at = &f->next;
            continue;
        }
        *at = f->next;
        unref(f);
    }
    pthread_mutex_unlock(&c->lock);
}

/* --- the thread --- */

/* What is held of a form is too much: the job goes on with a new automaton, and so do those to
 * come. */
static int renew(struct fg_constraints *all, struct fg_constraint *c)
{
    struct fg_held_form *old = c->form, *now;
    struct fg_form form = {.kind = old->kind, .text = {old->text, old->n}};
    struct fg_automaton *automaton;
    uint32_t place = FG_PLACE_NOWHERE;
    int rc = fg_automaton_renew(old->automaton, &automaton, &c->error);

    if (rc == 0)
        rc = fg_automaton_move(old->automaton, c->place, automaton, &place, &c->error);
    if (rc) {
        fg_automaton_destroy(automaton);
        return rc;
    }
    form.turn.form = old->chat ? &all->vocabulary->form : NULL;
    form.turn.start = old->start;
    now = create(&old->tenant, &form, automaton);
    if (!now)
        return fg_fail(&c->error, FG_ENOMEM, "no memory for the answer's form");
    replace(all, old, now);
    unref(old);
    c->form = now;
    c->place = place;
    return 0;
}

static int find_mask(struct fg_constraints *all, struct fg_constraint *c)
{
    int rc = fg_automaton_full(c->form->automaton) ? renew(all, c) : 0;

    if (rc == 0 && c->token >= 0)
        rc = fg_automaton_walk(c->form->automaton, c->place,
                               fg_token_trie_bytes(all->trie, c->token), &c->place, &c->error);
    if (rc == 0)
        rc = fg_automaton_mask(c->form->automaton, c->place, &c->mask, &c->error);
    atomic_store(&c->form->bytes, fg_automaton_bytes(c->form->automaton));
    return rc;
}

static void *run(void *arg)
{
    struct fg_constraints *all = arg;
    struct fg_link *link, *next;

    while ((link = fg_queue_take(&all->queue, true)) != NULL) {
        for (; link; link = next) {
            struct fg_constraint *c = (struct fg_constraint *)link;
            struct fg_job *job = c->job;

            next = link->next;
            c->error.code = 0;
            if (fg_job_canceled(job))
                fg_fail(&c->error, FG_ECANCELED, "the request was canceled");
            else if (find_mask(all, c) == FG_EFULL)
                c->error.code = FG_EINVAL; /* the request's own fault */
            atomic_store(&c->ready, true);
            fg_queue_wake(all->wake);
            fg_job_unref(job);
        }
    }
    return NULL;
}

static void ask(struct fg_constraints *all, struct fg_job *job, int32_t token)
{
    struct fg_constraint *c = &job->constraint;

    c->token = token;
    c->mask = NULL;
    atomic_store(&c->ready, false);
    atomic_fetch_add(&job->refs, 1);
    fg_queue_post(&all->queue, &c->link);
}

void fg_constraint_take(struct fg_constraints *all, struct fg_job *job, int32_t token)
{
    if (job->constraint.form)
        ask(all, job, token);
}

/* The request's form, compiled anew; the caller's reference. */
static int compile(struct fg_constraints *all, const struct fg_job_request *req,
                   const struct fg_form *wanted, struct fg_held_form **out, struct fg_err *err)
{
    struct fg_automaton *automaton;
    struct fg_grammar *g;
    int rc = fg_form_compile(wanted, &g, err);

    if (rc == 0)
        rc = fg_automaton_create(g, all->trie, &automaton, err);
    if (rc)
        return rc == FG_EFULL ? err->code = FG_EINVAL : rc;
    *out = create(&req->tenant, wanted, automaton);
    if (!*out)
        return fg_fail(err, FG_ENOMEM, "no memory for the answer's form");
    if (req->cache == FG_CACHE_READ_WRITE) /* others leave nothing behind */
        put(all, *out);
    return 0;
}

int fg_constraint_begin(struct fg_constraints *all, struct fg_job *job, struct fg_err *err)
{
    struct fg_job_request *req = &job->req;
    const struct fg_answer_form *turns = &all->vocabulary->form;
    struct fg_form wanted = {
        req->form, {req->form_text, req->form_bytes}, {NULL, FG_STARTS_ANYHOW}};
    struct fg_held_form *form;
    int rc;

    if (req->kind == FG_PROMPT_CHAT)
        wanted.turn = (struct fg_turn){turns, job->start};
    if (req->form == FG_FORM_GUARDED && turns->tools == FG_TOOLS_NONE)
        req->form = FG_FORM_NONE; /* no answer of this model has calls */
    if (req->form == FG_FORM_NONE)
        return 0;
    pthread_mutex_lock(&all->lock);
    form = find(all, &req->tenant, &wanted);
    if (form)
        ref(form);
    pthread_mutex_unlock(&all->lock);
    rc = form ? 0 : compile(all, req, &wanted, &form, err);
    if (rc)
        return rc;
    job->constraint.job = job;
    job->constraint.form = form;
    job->constraint.place = FG_PLACE_START;
    ask(all, job, -1);
    return 0;
}

void fg_constraint_finish(struct fg_constraint *c)
{
    unref(c->form);
    c->form = NULL;
}

int fg_constraints_init(struct fg_constraints *c, const struct fg_vocabulary *v,
                        struct fg_queue *wake, struct fg_err *err)
{
    int rc;

    fg_queue_init(&c->queue);
    pthread_mutex_init(&c->lock, NULL);
    c->vocabulary = v;
    c->wake = wake;
    rc = fg_token_trie_create(v->tokenizer, v->marks, &c->trie, err);
    if (rc)
        return rc;
    c->runs = pthread_create(&c->thread, NULL, run, c) == 0;
    return c->runs ? 0 : fg_fail(err, FG_ENOMEM, "the thread of forms cannot be started");
}

void fg_constraints_finish(struct fg_constraints *c)
{
    if (!c->wake)
        return;
    if (c->runs) {
        fg_queue_close(&c->queue);
        pthread_join(c->thread, NULL);
    }
    for (struct fg_held_form *f = c->held, *next; f; f = next) {
        next = f->next;
        unref(f);
    }
    fg_token_trie_destroy(c->trie);
    fg_queue_finish(&c->queue);
    pthread_mutex_destroy(&c->lock);
    *c = (struct fg_constraints){0};
}
