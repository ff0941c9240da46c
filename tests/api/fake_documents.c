#include "fake_documents.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct document {
    struct document *next;
    struct fg_tenant tenant;
    enum fg_document_kind kind;
    char id[64];
    size_t n;
    char text[];
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct document *list;
static uint64_t submitted, forgotten;
static pthread_t loop;
static bool loop_known;

static void drop_all(void)
{
    while (list) {
        struct document *d = list;

        list = d->next;
        free(d);
    }
}

void fake_documents_submitted(uint64_t job)
{
    pthread_mutex_lock(&lock);
    submitted = job;
    pthread_mutex_unlock(&lock);
}

void fake_documents_forget(void)
{
    pthread_mutex_lock(&lock);
    drop_all();
    forgotten = submitted;
    pthread_mutex_unlock(&lock);
}

void fake_documents_finish(void)
{
    fake_documents_submitted(0);
    fake_documents_forget();
    loop_known = false;
}

void fake_documents_on_loop(void)
{
    pthread_mutex_lock(&lock);
    loop = pthread_self();
    loop_known = true;
    pthread_mutex_unlock(&lock);
}

/* lock held */
static void refuse_loop(void)
{
    if (!loop_known || !pthread_equal(loop, pthread_self()))
        return;
    fprintf(stderr, "the loop waits for the disk\n");
    abort();
}

void fake_documents_keep(const struct fg_tenant *tenant, uint64_t job, enum fg_document_kind kind,
                         const char *id, struct fg_str text)
{
    struct document *d = calloc(1, sizeof *d + text.n);

    *d = (struct document){.tenant = *tenant, .kind = kind, .n = text.n};
    snprintf(d->id, sizeof d->id, "%s", id);
    memcpy(d->text, text.p, text.n);
    pthread_mutex_lock(&lock);
    if (job > forgotten) {
        d->next = list;
        list = d;
        d = NULL;
    }
    pthread_mutex_unlock(&lock);
    free(d);
}

/* lock held */
static struct document **find(const struct fg_tenant *tenant, enum fg_document_kind kind,
                              struct fg_str id)
{
    struct document **at = &list;

    while (*at && ((*at)->kind != kind || !fg_same_tenant(&(*at)->tenant, tenant) ||
                   strlen((*at)->id) != id.n || memcmp((*at)->id, id.p, id.n) != 0))
        at = &(*at)->next;
    return at;
}

bool fake_documents_recall(void *ctx, const struct fg_tenant *tenant, enum fg_document_kind kind,
                           struct fg_str id, struct fg_str *text)
{
    const struct document *d;
    char *copy = NULL;

    (void)ctx;
    pthread_mutex_lock(&lock);
    refuse_loop();
    d = *find(tenant, kind, id);
    if (d) {
        copy = malloc(d->n);
        memcpy(copy, d->text, d->n);
        *text = (struct fg_str){copy, d->n};
    }
    pthread_mutex_unlock(&lock);
    return copy != NULL;
}

bool fake_documents_drop(void *ctx, const struct fg_tenant *tenant, enum fg_document_kind kind,
                         struct fg_str id)
{
    struct document **at, *d;

    (void)ctx;
    pthread_mutex_lock(&lock);
    refuse_loop();
    at = find(tenant, kind, id);
    d = *at;
    if (d)
        *at = d->next;
    pthread_mutex_unlock(&lock);
    free(d);
    return d != NULL;
}

void fake_documents_damage(void)
{
    pthread_mutex_lock(&lock);
    for (struct document *d = list; d; d = d->next)
        memset(d->text, 'x', d->n);
    pthread_mutex_unlock(&lock);
}
